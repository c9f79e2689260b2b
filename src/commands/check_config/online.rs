//! `optoggles check-config --online`: what the sources and targets answer.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use crate::audit;
use crate::check::{Answers, SourceCheck, Told};
use crate::commands::Stop;
use crate::config::report::{Entry, count};
use crate::config::{Config, Rule};
use crate::disk::Disk;
use crate::engine::Subject;
use crate::error::Failure;
use crate::job::{RuleId, SourceId};
use crate::metrics::Metrics;
use crate::peers::Peers;
use crate::secret::Secret;
use crate::source::Source;
use crate::status::Clocks;
use crate::target::Evaluations;
use crate::terminal::Tone;

/// What came of one question.
pub(super) struct Finding {
    /// None: the audit log.
    subject: Option<Subject>,
    /// The subject in words, such as `source example-opal`.
    about: String,
    /// Where that stands in the configuration, such as `toggles[2].users_policy`.
    key: String,
    /// What was asked, such as `OPAL` or `rule data.app.rbac.us_users`.
    asked: String,
    /// What cannot be shown is redacted in it.
    pub(super) result: Result<Told, String>,
}

type Ask<'a> = Box<dyn Fn() -> Vec<Finding> + Sync + 'a>;

/// Asks every source and target, all at once, and each question once. Nothing is written.
///
/// The findings are in the order of the file: the sources, the toggles, the targets.
pub(super) fn ask(config: &Arc<Config>) -> Result<Vec<Finding>, Stop> {
    // Nothing is to call back, so that no token is needed; nor are the requests shown anywhere.
    let token = Secret::new("");
    let metrics = Metrics::new(Clocks::read().wall);
    let metrics = Arc::new(metrics.map_err(Stop::failed_to("set up the metrics"))?);
    let evaluations = Arc::new(Evaluations::new(&metrics));
    let peers = Peers::new(Arc::clone(config), &token, &metrics, &evaluations);
    let peers = peers.map_err(Stop::invalid)?;
    let sources = peers.sources.iter().enumerate();
    let sources =
        sources.map(|(id, source)| -> Ask { Box::new(move || ask_source(config, id, &**source)) });
    let targets = peers.targets.iter().enumerate();
    let targets = targets.map(|(id, target)| -> Ask {
        Box::new(move || Finding::all(config, Subject::Target(id), target.check()))
    });
    let asks: Vec<Ask> = sources.chain(targets).collect();
    let findings = in_parallel(&asks, asks.len(), |ask| ask());
    let mut findings: Vec<Finding> = findings.into_iter().flatten().collect();
    findings.extend(
        config
            .audit_log
            .as_deref()
            .map(|path| ask_audit_log(config, path)),
    );
    // Stable: what a peer was asked stays in the order in which it was asked.
    findings.sort_by_key(|finding| finding.subject);
    Ok(findings)
}

fn ask_audit_log(config: &Config, path: &Path) -> Finding {
    let (disk, path) = (
        Disk::new("audit log".to_owned(), config.http_timeout, None),
        path.to_owned(),
    );
    let checked = disk.run(move || audit::check(&path));
    let checked = checked.map_err(|failure| failure.to_string()).flatten();
    Finding {
        subject: None,
        about: "audit log".to_owned(),
        key: "audit_log".to_owned(),
        asked: "path".to_owned(),
        result: checked.map(Told::from),
    }
}

fn ask_source(config: &Config, id: SourceId, source: &dyn Source) -> Vec<Finding> {
    let rules = config.rules.iter().enumerate();
    let rules: Vec<(RuleId, &Rule)> = rules.filter(|(_, rule)| rule.source == id).collect();
    let SourceCheck { answers, origin } = source.check(!rules.is_empty());
    let mut findings = Finding::all(config, Subject::Source(id), answers);
    let Some(origin) = origin else {
        return findings;
    };
    let told = in_parallel(&rules, config.concurrency, |(_, rule)| {
        let users = source
            .query(origin.as_ref().map_err(Clone::clone)?, rule, None)?
            .users;
        Ok(Told::from(count(users.len(), "user")))
    });
    for ((id, rule), told) in rules.iter().zip(told) {
        let toggles = config.toggles.iter().enumerate();
        for (toggle, _) in toggles.filter(|(_, toggle)| toggle.rule == Some(*id)) {
            let answers = vec![(format!("rule {rule}"), told.clone())];
            findings.extend(Finding::all(config, Subject::Toggle(toggle), answers));
        }
    }
    findings
}

impl Finding {
    fn all(config: &Config, subject: Subject, answers: Answers) -> Vec<Finding> {
        let (about, key) = match subject {
            Subject::Source(id) => {
                let name = &config.sources[id].id;
                (format!("source {name}"), format!("sources[{id}]"))
            }
            Subject::Rule(id) => (format!("rule {}", config.rules[id]), "toggles".to_owned()),
            Subject::Toggle(id) | Subject::Environment(id, _) => {
                let name = config.name_of(id);
                let key = format!("toggles[{id}].users_policy");
                (format!("toggle {name}"), key)
            }
            Subject::Target(id) => {
                let name = &config.targets[id].id;
                (format!("target {name}"), config.targets[id].key.clone())
            }
        };
        let shown = |words: &str| config.secrets.redact(words);
        let finding = |(asked, result): (String, Result<Told, Failure>)| Finding {
            subject: Some(subject),
            about: about.clone(),
            key: key.clone(),
            asked: shown(&asked),
            result: match result {
                Ok(told) => Ok(Told {
                    words: shown(&told.words),
                    ..told
                }),
                Err(failure) => Err(shown(&failure.to_string())),
            },
        };
        answers.into_iter().map(finding).collect()
    }

    /// How serious it is, and the answer in words.
    fn verdict(&self) -> (&'static str, String) {
        match &self.result {
            Ok(told) if told.is_warning => ("warning", told.words.clone()),
            Ok(told) => ("ok", told.words.clone()),
            Err(words) => ("error", words.clone()),
        }
    }

    pub(super) fn entry(&self) -> Entry {
        let (severity, answer) = self.verdict();
        Entry {
            severity,
            code: "online",
            message: format!("{}: {}: {answer}", self.about, self.asked),
            key: Some(self.key.clone()),
            ..Entry::default()
        }
    }
}

/// A line for each finding.
pub(super) fn human(findings: &[Finding], colours: bool) -> String {
    let width = |text: fn(&Finding) -> &str| {
        let widths = findings.iter().map(|finding| text(finding).chars().count());
        widths.max().unwrap_or_default()
    };
    let abouts = width(|finding| &finding.about);
    let askeds = width(|finding| &finding.asked);
    let line = |finding: &Finding| {
        let (about, asked) = (&finding.about, &finding.asked);
        let (tone, answer) = match finding.verdict() {
            ("ok", words) => (Tone::Good, format!("ok: {words}")),
            ("warning", words) => (Tone::Bad, format!("warning: {words}")),
            (_, reason) => (Tone::Bad, format!("failed: {reason}")),
        };
        let answer = if colours { tone.paint(&answer) } else { answer };
        format!("{about:abouts$}   {asked:askeds$}   {answer}\n")
    };
    findings.iter().map(line).collect()
}

/// Does the work for each item, on so many threads; the results are in the order of the items.
fn in_parallel<T, R>(items: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R>
where
    T: Sync,
    R: Send + Sync,
{
    let next = AtomicUsize::new(0);
    let results: Vec<OnceLock<R>> = items.iter().map(|_| OnceLock::new()).collect();
    let run = || {
        while let index = next.fetch_add(1, Ordering::Relaxed)
            && let Some(item) = items.get(index)
        {
            results[index].get_or_init(|| work(item));
        }
    };
    thread::scope(|scope| {
        // This thread is one of them: where no other can be started, it does all the work.
        for _ in 1..threads.min(items.len()) {
            let thread = thread::Builder::new().name("request".into());
            if let Err(error) = thread.spawn_scoped(scope, run) {
                log::error!("failed to start a request thread: {error}");
            }
        }
        run();
    });
    let results = results.into_iter();
    results.filter_map(OnceLock::into_inner).collect()
}
