//! `optoggles check-config --online`: what the sources and the target say to the configuration.

mod source;

use std::sync::Arc;
use std::thread;

use crossbeam_channel::unbounded;

use crate::commands::Stop;
use crate::config::Config;
use crate::config::report::Entry;
use crate::error::Failure;
use crate::job::{SourceId, ToggleId};
use crate::metrics::Metrics;
use crate::secret::Secret;
use crate::source::Source;
use crate::status::Clocks;
use crate::target::{self, Target};
use crate::terminal::Tone;

/// What came of one question.
pub(super) struct Finding {
    /// Whom or what it is about, such as `source example-opal`.
    pub(super) about: String,
    /// Where that stands in the configuration, such as `toggles[2].users_policy`.
    pub(super) key: String,
    /// What was asked, such as `OPAL` or `rule data.app.rbac.us_users`.
    pub(super) asked: String,
    /// The answer, or why there is none that will do.
    pub(super) result: Result<Told, String>,
}

/// An answer.
#[derive(Clone)]
pub(super) struct Told {
    words: String,
    /// It will do, and somebody should know of it.
    is_warning: bool,
}

impl From<String> for Told {
    fn from(words: String) -> Told {
        Told {
            words,
            is_warning: false,
        }
    }
}

/// What a finding is about; their order is that of the findings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Source(SourceId),
    Toggle(ToggleId),
    Target,
}

/// An answer: about what, to which question, and what it was.
type Answer = (Place, String, Result<Told, Failure>);

/// Somebody to ask.
enum Peer {
    Source(SourceId, Box<Source>),
    Target(Box<dyn Target>),
}

/// Asks every source and the target, all at once, and each question once. Nothing is written.
///
/// The findings are in the order of the file: the sources, the toggles, the target.
pub(super) fn ask(config: &Arc<Config>) -> Result<Vec<Finding>, Stop> {
    // Nobody is asked to call back, so that no token is needed.
    let token = Secret::new("");
    // Nor are the requests of a moment shown to anybody.
    let metrics = Metrics::new(Clocks::read().wall).map_err(Stop::failed)?;
    let mut peers = Vec::new();
    for (id, source) in config.sources.iter().enumerate() {
        let source = Source::new(source, config, &token, &metrics).map_err(Stop::invalid)?;
        peers.push(Peer::Source(id, Box::new(source)));
    }
    let target = target::open(config, metrics.requests("target")).map_err(Stop::invalid)?;
    peers.push(Peer::Target(target));
    let answers = in_parallel(&peers, peers.len(), |peer| peer.ask(config));
    let mut answers = answers.concat();
    // Stable: what a peer was asked stays in the order in which it was asked.
    answers.sort_by_key(|(place, ..)| *place);
    let finding = |(place, asked, result): Answer| Finding {
        about: place.name(config),
        key: place.key(),
        asked,
        result: result.map_err(|failure| failure.to_string()),
    };
    Ok(answers.into_iter().map(finding).collect())
}

impl Finding {
    /// The same for programs.
    pub(super) fn entry(&self) -> Entry {
        let (severity, answer) = match &self.result {
            Ok(Told {
                words,
                is_warning: true,
            }) => ("warning", words),
            Ok(Told { words, .. }) => ("ok", words),
            Err(reason) => ("error", reason),
        };
        let message = format!("{}: {}: {answer}", self.about, self.asked);
        Entry {
            key: Some(self.key.clone()).filter(|key| !key.is_empty()),
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
        let (tone, answer) = match &finding.result {
            Ok(Told {
                words,
                is_warning: true,
            }) => (Tone::Bad, format!("warning: {words}")),
            Ok(Told { words, .. }) => (Tone::Good, format!("ok: {words}")),
            Err(reason) => (Tone::Bad, format!("failed: {reason}")),
        };
        let answer = if colours { tone.paint(&answer) } else { answer };
        format!("{about:abouts$}   {asked:askeds$}   {answer}\n")
    };
    findings.iter().map(line).collect()
}

impl Place {
    fn name(self, config: &Config) -> String {
        match self {
            Place::Source(id) => format!("source {}", config.sources[id].id),
            Place::Toggle(id) => format!("toggle {}", config.toggles[id].key),
            Place::Target => format!("target {}", config.target.type_name()),
        }
    }

    fn key(self) -> String {
        match self {
            Place::Source(id) => format!("sources[{id}]"),
            Place::Toggle(id) => format!("toggles[{id}].users_policy"),
            Place::Target => "target".to_owned(),
        }
    }
}

impl Peer {
    fn ask(&self, config: &Config) -> Vec<Answer> {
        match self {
            Peer::Source(id, source) => source::ask(config, *id, source),
            Peer::Target(target) => {
                let found = target.check().into_iter();
                found
                    .map(|(asked, result)| (Place::Target, asked, result.map(Told::from)))
                    .collect()
            }
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
