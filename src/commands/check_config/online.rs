//! `optoggles check-config --online`: what the sources and the target say to the configuration.

use std::sync::Arc;
use std::thread;

use crossbeam_channel::unbounded;

use super::count;
use crate::check::{Answers, SourceCheck, Told};
use crate::commands::Stop;
use crate::config::Config;
use crate::config::report::Entry;
use crate::engine::Subject;
use crate::error::Failure;
use crate::job::{SourceId, ToggleId};
use crate::metrics::Metrics;
use crate::secret::Secret;
use crate::source::{self, Source};
use crate::status::Clocks;
use crate::target::{self, Target};
use crate::terminal::Tone;

/// What came of one question.
pub(super) struct Finding {
    /// What it is about, such as `source example-opal`.
    about: String,
    /// Where that stands in the configuration, such as `toggles[2].users_policy`.
    key: String,
    /// What was asked, such as `OPAL` or `rule data.app.rbac.us_users`.
    asked: String,
    pub(super) result: Result<Told, Failure>,
}

enum Peer {
    Source(SourceId, Box<dyn Source>),
    Target(Box<dyn Target>),
}

/// Asks every source and the target, all at once, and each question once. Nothing is written.
///
/// The findings are in the order of the file: the sources, the toggles, the target.
pub(super) fn ask(config: &Arc<Config>) -> Result<Vec<Finding>, Stop> {
    // Nothing is to call back, so that no token is needed; nor are the requests shown anywhere.
    let token = Secret::new("");
    let metrics =
        Metrics::new(Clocks::read().wall).map_err(Stop::failed_to("set up the metrics"))?;
    let mut peers = Vec::new();
    for (id, source) in config.sources.iter().enumerate() {
        let source = source::open(source, config, &token, &metrics).map_err(Stop::invalid)?;
        peers.push(Peer::Source(id, source));
    }
    let target = target::open(config, metrics.requests("target")).map_err(Stop::invalid)?;
    peers.push(Peer::Target(target));
    let answers = in_parallel(&peers, peers.len(), |peer| peer.ask(config)).concat();
    let mut findings: Vec<(Subject, Finding)> = answers
        .into_iter()
        .map(|(subject, asked, result)| (subject, Finding::new(subject, asked, result, config)))
        .collect();
    // Stable: what a peer was asked stays in the order in which it was asked.
    findings.sort_by_key(|(subject, _)| *subject);
    Ok(findings.into_iter().map(|(_, finding)| finding).collect())
}

impl Finding {
    fn new(
        subject: Subject,
        asked: String,
        result: Result<Told, Failure>,
        config: &Config,
    ) -> Finding {
        let (about, key) = match subject {
            Subject::Source(id) => (
                format!("source {}", config.sources[id].id),
                format!("sources[{id}]"),
            ),
            Subject::Toggle(id) => (
                format!("toggle {}", config.toggles[id].key),
                format!("toggles[{id}].users_policy"),
            ),
            Subject::Target => (
                format!("target {}", config.target.kind.name),
                "target".to_owned(),
            ),
        };
        Finding {
            about,
            key,
            asked,
            result,
        }
    }

    /// How serious it is, and the answer in words.
    fn verdict(&self) -> (&'static str, String) {
        match &self.result {
            Ok(told) if told.is_warning => ("warning", told.words.clone()),
            Ok(told) => ("ok", told.words.clone()),
            Err(failure) => ("error", failure.to_string()),
        }
    }

    pub(super) fn entry(&self) -> Entry {
        let (severity, answer) = self.verdict();
        let message = format!("{}: {}: {answer}", self.about, self.asked);
        Entry {
            key: Some(self.key.clone()),
            ..Entry::new(severity, "online", message)
        }
    }
}

/// A line for each finding, with colours where these are wanted.
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

/// An answer: about what, to which question, and what it was.
type Answer = (Subject, String, Result<Told, Failure>);

impl Peer {
    fn ask(&self, config: &Config) -> Vec<Answer> {
        let of = |subject: Subject, answers: Answers| {
            let answers = answers.into_iter();
            answers.map(move |(asked, result)| (subject, asked, result))
        };
        match self {
            Peer::Source(id, source) => {
                let toggles: Vec<ToggleId> = (0..config.toggles.len())
                    .filter(|toggle| config.toggles[*toggle].users_policy.source == *id)
                    .collect();
                let SourceCheck { answers, origin } = source.check(!toggles.is_empty());
                let users = origin.map(|origin| {
                    in_parallel(&toggles, config.concurrency, |toggle| {
                        let rule = &config.toggles[*toggle].users_policy;
                        let users = origin
                            .clone()
                            .and_then(|origin| source.query(&origin, rule));
                        let told = users.map(|users| count(users.len(), "user").into());
                        (Subject::Toggle(*toggle), format!("rule {rule}"), told)
                    })
                });
                of(Subject::Source(*id), answers)
                    .chain(users.into_iter().flatten())
                    .collect()
            }
            Peer::Target(target) => of(Subject::Target, target.check()).collect(),
        }
    }
}

/// Does the work for each item, on so many threads; what comes of it is in the order of the items.
fn in_parallel<T, R>(items: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R>
where
    T: Sync,
    R: Send,
{
    let (queue, waiting) = unbounded();
    for item in items.iter().enumerate() {
        // The receiver outlives this, so that the channel is open.
        let _ = queue.send(item);
    }
    drop(queue);
    let (sender, results) = unbounded();
    let run = || {
        for (index, item) in &waiting {
            let _ = sender.send((index, work(item)));
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
    let mut results: Vec<(usize, R)> = results.try_iter().collect();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
