//! `optoggles explain`: why a user has a toggle, or not.

mod audit;

use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use serde::Serialize;

use super::machine::{Machine, Signals};
use super::sync::misnamed;
use super::sync::report::errors_of_targets;
use super::{Again, Exit, PATIENCE, Stop, on_thread, print, print_briefly};
use crate::cli::{Explain, Format};
use crate::config::Config;
use crate::config::report::count;
use crate::engine::{Counts, Engine, EnvironmentOutcome, Holding, Mode, Trouble, Verdict};
use crate::error::{Failure, quote};
use crate::job::Operation;
use crate::metrics::Metrics;
use crate::secret::Secret;
use crate::status::{Clocks, Time};
use crate::target;
use crate::terminal::{Tone, is_colourful};
use audit::{LastChange, LastChanges};

/// The default of `--timeout`: a person waits.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The toggle: the configuration has no other, or the one of the toggles to retire has none.
const TOGGLE: usize = 0;

/// Looks at one toggle, and explains what one user has of it; `again` reads the configuration again.
pub(super) fn run(
    config: Config,
    signals: Signals,
    again: Again,
    options: &Explain,
) -> Result<Exit, Stop> {
    let until = Instant::now() + options.timeout.unwrap_or(TIMEOUT);
    let mode = Mode::Once {
        until,
        dry_run: true,
        force: false,
    };
    let name = [options.toggle.clone()];
    let chosen = move |config: Config| {
        let config = config.only(&name, true, true).map_err(Stop::invalid)?;
        let until = Some(until);
        Ok((Config { until, ..config }, mode))
    };
    let (config, _) = chosen(config)?;
    let config = Arc::new(config);
    let machine = Machine::new(Arc::clone(&config), mode, Secret::new(""), signals)?;
    let metrics = Arc::clone(&machine.metrics);
    let ask = |config: &Arc<Config>| Asked::begin(config, &options.user, &metrics);
    let is_kept = !config.toggles.is_empty();
    let asked = is_kept.then(|| ask(&config)).transpose()?;
    let end = machine.run(Arc::new(move || chosen(again()?)), || {})?;
    let engine = known(&end.engines)?;
    let config = engine.config();
    let asked = asked.map_or_else(|| ask(config), Ok)?;
    let now = Instant::now();
    let deadline = match end.is_stopped {
        true => now,
        false => until.max(now + PATIENCE),
    };
    let explanation = Explanation::new(engine, &options.user, asked.wait(deadline));
    let words = match options.format {
        Format::Human => explanation.human(is_colourful(&io::stdout())),
        Format::Json => serde_json::to_string_pretty(&explanation)
            .map_err(Stop::failed_to("write the explanation"))?,
    };
    match end.is_stopped {
        true => print_briefly(words)?,
        false => print(&words)?,
    }
    Ok(match explanation.agrees {
        true => Exit::Done,
        false => Exit::Failed,
    })
}

/// The engine that knows the toggle.
fn known(engines: &[Engine]) -> Result<&Engine, Stop> {
    let known = engines
        .iter()
        .find(|engine| !engine.config().toggles.is_empty());
    known.ok_or_else(|| match engines.iter().flat_map(errors_of_targets).next() {
        Some(error) => Stop::new(Exit::Failed, error),
        None => Stop::invalid(misnamed(engines).join("\n")),
    })
}

/// What is asked beside the engine, each on a thread of its own, because it can hang.
struct Asked {
    log: Option<Receiver<io::Result<LastChanges>>>,
    /// Whether the user has the toggle, if only `serve` holds it.
    serve: Option<Receiver<Result<bool, Failure>>>,
}

/// The answers.
struct Answers {
    log: Result<LastChanges, String>,
    serve: Option<Result<bool, String>>,
}

impl Asked {
    fn begin(config: &Arc<Config>, user: &str, metrics: &Metrics) -> Result<Asked, Stop> {
        let toggle = &config.toggles[TOGGLE];
        let target = &config.targets[toggle.target];
        let log = config.audit_log.clone().map(|path| {
            let key = config.name_at_target(TOGGLE).to_owned();
            let (target, user) = (target.id.clone(), user.to_owned());
            on_thread(move || audit::read(&path, &target, &key, &user))
        });
        let serve = target.kind.is_served.then(|| {
            let (config, user) = (Arc::clone(config), user.to_owned());
            let requests = metrics.requests(format!("target {}", target.id));
            on_thread(move || target::ask(&config, TOGGLE, &user, requests))
        });
        Ok(Asked {
            log: log.transpose()?,
            serve: serve.transpose()?,
        })
    }

    fn wait(self, deadline: Instant) -> Answers {
        fn wait<T, E: ToString>(
            asked: &Receiver<Result<T, E>>,
            deadline: Instant,
        ) -> Result<T, String> {
            let answer = asked.recv_deadline(deadline);
            let answer = answer.map_err(|_| "no answer in time".to_owned())?;
            answer.map_err(|error| error.to_string())
        }
        let log = self.log.map(|log| wait(&log, deadline));
        Answers {
            log: log.unwrap_or_else(|| Ok(LastChanges::new())),
            serve: self.serve.map(|serve| wait(&serve, deadline)),
        }
    }
}

/// Serialized, it is the document of `--format json`.
#[derive(Serialize)]
struct Explanation {
    toggle: String,
    target: String,
    user: String,
    /// Everywhere, the user is known to have what the rule says.
    agrees: bool,
    rule: RuleRow,
    environments: Vec<Row>,
    /// The end of a pause that the target asked for.
    paused_until: Option<Time>,
    /// Why the audit log could not be read.
    audit_log_error: Option<String>,
    /// The toggle as people know it.
    #[serde(skip)]
    name: String,
}

/// What the rule says.
#[derive(Serialize)]
struct RuleRow {
    /// None of a toggle that has left the configuration.
    source: Option<String>,
    name: Option<String>,
    allows: Option<bool>,
    users: Option<usize>,
    error: Option<String>,
}

/// What one environment has.
#[derive(Serialize)]
struct Row {
    /// None at a target without environments.
    name: Option<String>,
    on: Option<bool>,
    /// What the next sync does there; none where only `serve` knows.
    result: Option<Verdict>,
    #[serde(flatten)]
    counts: Counts,
    /// What keeps it from what the rule says, or from being known.
    reason: Option<String>,
    last_change: Option<LastChange>,
}

impl Explanation {
    fn new(engine: &Engine, user: &str, answers: Answers) -> Explanation {
        let config = engine.config();
        let (toggle, outcome) = (&config.toggles[TOGGLE], engine.outcome(TOGGLE));
        let target = &config.targets[toggle.target];
        let (allows, users) = engine.allows(TOGGLE, user).unzip();
        // Those of single environments are told there.
        let troubles = outcome
            .troubles
            .iter()
            .filter(|(_, names)| names.is_empty());
        let troubles = troubles.map(|(trouble, _)| trouble);
        let (at_source, at_target): (Vec<_>, Vec<_>) = troubles.partition(|it| is_of_source(it));
        let words = |troubles: &[&Trouble]| {
            let words: Vec<String> = troubles.iter().map(|it| it.failure.to_string()).collect();
            let words = config.secrets.redact(&words.join("; "));
            Some(words).filter(|words| !words.is_empty())
        };
        let at_target = words(&at_target);
        let (mut last, audit_log_error) = match answers.log {
            Ok(last) => (last, None),
            Err(error) => (LastChanges::new(), Some(error)),
        };
        let holdings = engine.holdings(TOGGLE, user);
        let environments = outcome.environments.into_iter().zip(holdings);
        let environments = environments.map(|(it, holding)| {
            let last_change = last.remove(&it.name);
            let row = match &answers.serve {
                Some(served) => {
                    Row::served(served.clone().map_err(|it| config.secrets.redact(&it)))
                }
                None => Row::new(it, holding, allows, at_target.as_ref()),
            };
            Row { last_change, ..row }
        });
        let environments: Vec<Row> = environments.collect();
        Explanation {
            toggle: toggle.key.clone(),
            target: target.id.clone(),
            user: user.to_owned(),
            agrees: allows.is_some() && environments.iter().all(|it| it.on == allows),
            rule: RuleRow {
                source: config.source_of(toggle).map(|source| source.id.clone()),
                name: toggle.rule.map(|rule| config.rules[rule].to_string()),
                allows,
                users,
                error: words(&at_source),
            },
            environments,
            paused_until: Clocks::read().time(engine.target(toggle.target).paused_until),
            audit_log_error,
            name: config.name_of(TOGGLE).to_owned(),
        }
    }

    fn human(&self, colours: bool) -> String {
        let verdict = self.verdict();
        let tone = if self.agrees { Tone::Good } else { Tone::Bad };
        let verdict = match colours {
            true => tone.paint(&verdict),
            false => verdict,
        };
        let says = match (&self.rule.error, self.rule.users) {
            (Some(error), _) => error.clone(),
            (None, Some(users)) => count(users, "user"),
            (None, None) => "not known".to_owned(),
        };
        let says = match (&self.rule.name, &self.rule.source) {
            (Some(name), Some(source)) => format!("{name} of source {source}: {says}"),
            _ => "none: the toggle has left the configuration".to_owned(),
        };
        let mut lines = vec![("rule", state(self.rule.allows), says)];
        for row in &self.environments {
            let name = row.name.as_ref().unwrap_or(&self.target);
            lines.push((name, state(row.on), row.words()));
        }
        if let Some(end) = &self.paused_until {
            lines.push(("paused", "", format!("target {} until {end}", self.target)));
        }
        if let Some(error) = &self.audit_log_error {
            lines.push(("audit log", "", error.clone()));
        }
        let widths = lines.iter().map(|(name, ..)| name.chars().count());
        let width = widths.max().unwrap_or_default();
        let mut text = format!(
            "{} for {}: {verdict}\n",
            self.name,
            self.user.escape_debug()
        );
        for (name, state, words) in lines {
            let line = format!("  {name:width$}   {state:3}   {words}");
            // Writing to a string does not fail.
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }

    /// The answer in a few words.
    fn verdict(&self) -> String {
        let Some(allows) = self.rule.allows else {
            return "whether the rule allows it is not known".to_owned();
        };
        let says = match self.rule.name {
            Some(_) => "as the rule says",
            None => "because the toggle has left the configuration",
        };
        let state = state(Some(allows));
        let named = |is_it: &dyn Fn(Option<bool>) -> bool| {
            let rows = self.environments.iter().filter(|row| is_it(row.on));
            let names: Vec<&str> = rows.map(|row| row.name.as_deref().unwrap_or("")).collect();
            let place = match names[..] {
                [] => return None,
                [""] => String::new(),
                _ => format!(" in {}", names.join(", ")),
            };
            Some(place)
        };
        let differing = named(&|on| on.is_some_and(|on| on != allows));
        match (differing, named(&|on| on.is_none())) {
            (Some(place), _) => format!("should be {state}, and is not{place}"),
            (None, Some(place)) => format!("should be {state}, and is not known to be{place}"),
            (None, None) => format!("{state}, {says}"),
        }
    }
}

impl Row {
    fn new(
        outcome: EnvironmentOutcome,
        holding: Holding,
        allows: Option<bool>,
        at_target: Option<&String>,
    ) -> Row {
        let on = match holding {
            Holding::On => Some(true),
            Holding::Off => Some(false),
            _ => None,
        };
        let is_right = on.is_some() && on == allows;
        let reason = match (outcome.error, holding) {
            (Some(words), _) if outcome.result != Verdict::Held => Some(words),
            // Only others would come or go.
            (Some(words), _) if is_right => Some(format!("others are held: {words}")),
            (Some(words), _) => Some(format!("held: {words}")),
            (None, Holding::On | Holding::Off) if is_right || allows.is_none() => None,
            (None, _) if at_target.is_some() => at_target.cloned(),
            (None, Holding::On | Holding::Off) => {
                Some(format!("the next sync changes that ({})", outcome.counts))
            }
            (None, Holding::Missing) => {
                Some("the toggle does not exist yet: the application's default decides".to_owned())
            }
            (None, Holding::Unreadable) => Some("the target cannot be read".to_owned()),
            (None, Holding::Otherwise) => {
                Some("something other than lists of users decides there".to_owned())
            }
            (None, Holding::Unread) => Some("it was not read".to_owned()),
        };
        Row {
            name: Some(outcome.name).filter(|name| !name.is_empty()),
            on,
            result: Some(outcome.result),
            counts: outcome.counts,
            reason,
            last_change: None,
        }
    }

    /// Of a toggle that only `serve` holds, which says who has it, one by one.
    fn served(answer: Result<bool, String>) -> Row {
        let (on, reason) = match answer {
            Ok(on) => (Some(on), None),
            Err(words) => (
                None,
                Some(format!("only the serve that holds it knows: {words}")),
            ),
        };
        Row {
            name: None,
            on,
            result: None,
            counts: Counts::default(),
            reason,
            last_change: None,
        }
    }

    /// The reason, and since when it is so.
    fn words(&self) -> String {
        let since = self.last_change.as_ref().map(|it| {
            let done = if it.added { "added" } else { "removed" };
            let revision = it.revision.as_ref();
            let revision = revision.map(|it| format!(", revision {}", quote(it.as_bytes())));
            let at = format!(
                "{} ({}{})",
                quote(it.time.as_bytes()),
                quote(it.cause.as_bytes()),
                revision.unwrap_or_default()
            );
            match self.on {
                Some(on) if on == it.added => format!("since {at}"),
                Some(_) => format!("although {done} {at}"),
                None => format!("last {done} {at}"),
            }
        });
        let all = self.reason.iter().cloned().chain(since);
        all.collect::<Vec<String>>().join("; ")
    }
}

fn state(on: Option<bool>) -> &'static str {
    match on {
        Some(true) => "on",
        Some(false) => "off",
        None => "?",
    }
}

fn is_of_source(trouble: &Trouble) -> bool {
    match trouble.operation {
        Operation::Find
        | Operation::Read
        | Operation::Create
        | Operation::Describe
        | Operation::Update => false,
        Operation::Discover
        | Operation::ReadFile
        | Operation::Register
        | Operation::Watch
        | Operation::Count
        | Operation::Ready
        | Operation::Load
        | Operation::Leave
        | Operation::Query => true,
    }
}
