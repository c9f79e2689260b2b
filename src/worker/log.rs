//! The engine's notices, in the log, one line each, and in the metrics.

use log::{Level, log_enabled};

use crate::config::Config;
use crate::engine::{Cause, News, Notice, Subject};
use crate::error::UNTOLD;
use crate::metrics::Metrics;
use crate::seconds::Seconds;
use crate::users::{Change, Users};

/// Under what name lines stand in the log.
const LOG: &str = "optoggles";

/// Writes notices to the log, and counts what is counted of them.
pub(super) fn tell(notices: Vec<Notice>, config: &Config, metrics: &Metrics) {
    for Notice { subject, news } in notices {
        count(subject, &news, config, metrics);
        tell_one(&field(subject, config), news);
    }
}

fn count(subject: Subject, news: &News, config: &Config, metrics: &Metrics) {
    match (subject, news) {
        (
            Subject::Source(id),
            News::Pass {
                failed, late, took, ..
            },
        ) => metrics.pass(&config.sources[id].id, *failed, *late, *took),
        (_, News::Retry { operation, .. }) => metrics.retry(*operation),
        _ => {}
    }
}

/// What a line is about: such as `toggle=us-feature`.
fn field(subject: Subject, config: &Config) -> String {
    match subject {
        Subject::Source(id) => format!("source={}", config.sources[id].id),
        Subject::Toggle(id) => format!("toggle={}", config.toggles[id].key),
        Subject::Target => "target".into(),
    }
}

fn tell_one(of: &str, news: News) {
    let (level, line) = match news {
        News::Discovered { opa } => (Level::Info, format!("discovered {of} opa={opa}")),
        News::Registered => (Level::Info, format!("registered {of}")),
        News::Lost => (
            Level::Warn,
            format!("registration lost, re-registering {of}"),
        ),
        News::Unheard { address } => (
            Level::Warn,
            format!(
                "OPAL has never called back, although a resync found changes: either it cannot reach \
                 advertised_address={address} (try from its host), or it runs without \
                 OPAL_SHOULD_REPORT_ON_DATA_UPDATES=True {of}"
            ),
        ),
        News::Untold => (Level::Warn, format!("OPA answers, but {UNTOLD} {of}")),
        News::Doubtful => (
            Level::Info,
            format!(
                "OPA takes a toggle away from users: OPAL is asked to load everything before that is \
                 applied {of}"
            ),
        ),
        News::Unproven => (
            Level::Warn,
            format!(
                "OPAL has not reported that it has loaded everything into OPA (it reports with \
                 OPAL_SHOULD_REPORT_ON_DATA_UPDATES=True): only changes within max_removal are applied \
                 {of}"
            ),
        ),
        News::Restarted => (
            Level::Warn,
            format!(
                "OPA was restarted, nothing is applied until OPAL has loaded everything again {of}"
            ),
        ),
        News::NotReady => (
            Level::Warn,
            format!("OPA is not ready, nothing is applied {of}"),
        ),
        News::Pass {
            cause,
            toggles,
            changed,
            failed,
            late,
            took,
        } => {
            // An OPA that is polled every few seconds would fill the log.
            // Nor is anything asked in a pass of which all is late, because OPA is not ready.
            let is_quiet = matches!(cause, Cause::Poll | Cause::Watch)
                && changed + failed == 0
                && (late == 0 || late == toggles);
            let level = if is_quiet { Level::Debug } else { Level::Info };
            let took = Seconds(took);
            (
                level,
                format!(
                    "pass {of} cause={cause} toggles={toggles} changed={changed} failed={failed} \
                     late={late} took={took}"
                ),
            )
        }
        News::HeldBack(failure) => (Level::Warn, format!("held {of}: {failure}")),
        News::Released => (Level::Info, format!("no longer held {of}")),
        News::Created => (Level::Info, format!("created {of}")),
        News::Updated { users, change } => return tell_update(of, &users, change.as_deref()),
        News::Late { after } => (
            Level::Warn,
            format!("the change has not arrived {of} after={}", Seconds(after)),
        ),
        News::Overdue { took, left } => (
            Level::Warn,
            format!(
                "a resync takes longer than resync_interval took={} left={left}: raise \
                 resync_interval",
                Seconds(took)
            ),
        ),
        News::Failing {
            operation,
            failure,
            count,
            retry_in,
        } => {
            let retry = retry_in.map_or("never".into(), |wait| Seconds(wait).to_string());
            let what = operation.word();
            (
                Level::Warn,
                format!("{what} failed {of} count={count} retry_in={retry}: {failure}"),
            )
        }
        News::Retry { operation, wait } => (
            Level::Debug,
            format!("retry of {} {of} in={}", operation.word(), Seconds(wait)),
        ),
        News::Mended { operation, count } => (
            Level::Info,
            format!("{} works again {of} failures={count}", operation.word()),
        ),
        News::Paused { wait } => (Level::Warn, format!("paused {of} wait={}", Seconds(wait))),
    };
    log::log!(target: LOG, level, "{line}");
}

fn tell_update(name: &str, users: &Users, change: Option<&Change>) {
    let count = users.len();
    let Some(change) = change else {
        return log::info!(target: LOG, "updated {name} users={count}");
    };
    let (added, removed) = (change.added.len(), change.removed.len());
    log::info!(target: LOG, "updated {name} users={count} added={added} removed={removed}");
    if log_enabled!(Level::Trace) {
        let (added, removed) = (names(&change.added), names(&change.removed));
        log::trace!(target: LOG, "updated {name} added={added:?} removed={removed:?}");
    }
}

fn names(users: &Users) -> Vec<&str> {
    users.iter().collect()
}
