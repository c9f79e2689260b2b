//! Logs the engine's notices, one line each, counts them, and has changes of users written to the audit log.

use std::time::UNIX_EPOCH;

use log::Level;

use crate::audit::{self, Audit};
use crate::config::{Config, Rule};
use crate::duration::Seconds;
use crate::engine::{Cause, Engine, News, Notice, Subject, Update, Why};
use crate::error::UNTOLD;
use crate::job::ToggleId;
use crate::metrics::Metrics;
use crate::status::{Clocks, Time};

const LOG: &str = "optoggles";

pub(super) fn tell(engine: &mut Engine, config: &Config, metrics: &Metrics, audit: &Audit) {
    for Notice { subject, news } in engine.take_notices() {
        count(subject, &news, config, metrics);
        if let (Subject::Environment(id, number), News::Updated(update)) = (subject, &news)
            && config.audit_log.is_some()
            && let Some(entry) = entry(id, engine.environment(id, number), update, config)
        {
            audit.write(entry);
        }
        let level = level(&news);
        if log::log_enabled!(target: LOG, level) {
            let of = config.secrets.redact(&field(subject, config, engine));
            let words = config.secrets.redact(&words(&of, &news));
            log::log!(target: LOG, level, "{words}");
            trace_users(&of, &news);
        }
    }
}

/// None where no users came or went. Names are those of `/status`; users are not redacted.
fn entry(
    id: ToggleId,
    environment: &str,
    update: &Update,
    config: &Config,
) -> Option<audit::Entry> {
    let toggle = &config.toggles[id];
    let cause = update.why?;
    let is_empty = update.change.as_ref().is_some_and(|it| it.is_empty());
    if is_empty && cause != Why::Retired {
        return None;
    }
    let rule = toggle.rule.map(|rule| &config.rules[rule]);
    let source = config.source_of(toggle);
    let instance = source.and_then(|source| source.settings.text("instance").ok());
    let instance = instance.map_or_else(audit::host, str::to_owned);
    Some(audit::Entry {
        time: Time(Clocks::read().wall.max(UNIX_EPOCH)).to_string(),
        target: config.targets[toggle.target].id.clone(),
        toggle: config.name_at_target(id).to_owned(),
        environment: Some(config.secrets.redact(environment)).filter(|name| !name.is_empty()),
        change: update.change.clone(),
        users: update.users.len(),
        cause,
        source: source.map(|source| source.id.clone()),
        rule: rule.map(Rule::to_string),
        revision: update.revision.clone(),
        instance: config.secrets.redact(&instance),
    })
}

fn count(subject: Subject, news: &News, config: &Config, metrics: &Metrics) {
    match (subject, news) {
        (_, News::Retry { operation, .. }) => metrics.retry(*operation),
        (
            Subject::Source(id),
            News::Pass {
                failed, late, took, ..
            },
        ) => {
            metrics.pass(&config.sources[id].id, *failed, *late, *took);
        }
        _ => {}
    }
}

/// The object of a line, such as `toggle=us-feature`.
fn field(subject: Subject, config: &Config, engine: &Engine) -> String {
    match subject {
        Subject::Source(id) => format!("source={}", config.sources[id].id),
        Subject::Rule(id) => {
            let rule = &config.rules[id];
            format!("source={} rule={rule}", config.sources[rule.source].id)
        }
        Subject::Toggle(id) => format!("toggle={}", config.name_of(id)),
        Subject::Environment(id, number) => {
            let toggle = config.name_of(id);
            match engine.environment(id, number) {
                "" => format!("toggle={toggle}"),
                name => format!("toggle={toggle} environment={name}"),
            }
        }
        Subject::Target(id) => format!("target={}", config.targets[id].id),
    }
}

fn level(news: &News) -> Level {
    match news {
        // Polling every few seconds would fill the log, as would passes in which everything is late
        // because OPA is not ready.
        News::Pass {
            cause: Cause::Poll | Cause::Watch,
            toggles,
            changed: 0,
            failed: 0,
            late,
            ..
        } if *late == 0 || late == toggles => Level::Debug,
        News::Retry { .. } => Level::Debug,
        News::Discovered { .. }
        | News::Registered
        | News::Doubtful
        | News::Pass { .. }
        | News::Released
        | News::Created
        | News::Updated(_)
        | News::Mended { .. } => Level::Info,
        _ => Level::Warn,
    }
}

fn words(of: &str, news: &News) -> String {
    match news {
        News::Discovered { opa } => format!("discovered {of} opa={opa}"),
        News::Registered => format!("registered {of}"),
        News::Lost => format!("registration lost, re-registering {of}"),
        News::Unheard { advertised } => format!(
            "OPAL has never called back, although a resync found changes: either it cannot reach \
             advertised_address={advertised} (try from its host), or it runs without \
             OPAL_SHOULD_REPORT_ON_DATA_UPDATES=True {of}"
        ),
        News::Untold => format!("OPA answers, but {UNTOLD} {of}"),
        News::Doubtful => format!(
            "OPA removes users from a toggle: asking OPAL to load everything before applying that {of}"
        ),
        News::Unproven => format!(
            "OPAL has not reported loading everything into OPA (it reports only with \
             OPAL_SHOULD_REPORT_ON_DATA_UPDATES=True): applying only changes within max_removal {of}"
        ),
        News::Restarted => format!(
            "OPA was restarted, applying nothing until OPAL has loaded everything again {of}"
        ),
        News::NotReady => format!("OPA is not ready, applying nothing {of}"),
        News::Pass {
            cause,
            toggles,
            changed,
            failed,
            late,
            took,
        } => format!(
            "pass {of} cause={cause} toggles={toggles} changed={changed} failed={failed} late={late} \
             took={}",
            Seconds(*took)
        ),
        News::HeldBack(failure) => format!("held {of}: {failure}"),
        News::Released => format!("no longer held {of}"),
        News::Created => format!("created {of}"),
        News::Updated(Update {
            users, change, why, ..
        }) => {
            let done = match why {
                Some(Why::Retired) => "retired",
                _ => "updated",
            };
            let counts = change.as_ref().map_or(String::new(), |change| {
                let (added, removed) = (change.added.len(), change.removed.len());
                format!(" added={added} removed={removed}")
            });
            format!("{done} {of} users={}{counts}", users.len())
        }
        News::Late { after } => {
            format!("the change has not arrived {of} after={}", Seconds(*after))
        }
        News::Overdue { took, left } => format!(
            "a resync takes longer than resync_interval {of} took={} left={left}: raise resync_interval",
            Seconds(*took)
        ),
        News::Failing {
            operation,
            failure,
            count,
            retry_in,
        } => {
            let retry = retry_in.map_or("never".into(), |wait| Seconds(wait).to_string());
            let what = operation.word();
            format!("{what} failed {of} count={count} retry_in={retry}: {failure}")
        }
        News::Retry { operation, wait } => {
            format!("retry of {} {of} in={}", operation.word(), Seconds(*wait))
        }
        News::Mended { operation, count } => {
            format!("{} works again {of} failures={count}", operation.word())
        }
        News::Paused { wait } => format!("paused {of} wait={}", Seconds(*wait)),
    }
}

/// User names are logged at trace only.
fn trace_users(of: &str, news: &News) {
    if let News::Updated(Update {
        change: Some(change),
        ..
    }) = news
        && log::log_enabled!(Level::Trace)
    {
        let added: Vec<&str> = change.added.iter().collect();
        let removed: Vec<&str> = change.removed.iter().collect();
        log::trace!(target: LOG, "updated {of} added={added:?} removed={removed:?}");
    }
}
