//! The engine's notices, in the log, one line each, and in the metrics.

use log::{Level, log_enabled};

use crate::engine::{Cause, Notice};
use crate::error::UNTOLD;
use crate::metrics::Metrics;
use crate::seconds::Seconds;
use crate::users::{Change, Users};

/// Under what name lines stand in the log.
const LOG: &str = "optoggles";

/// Writes notices to the log, and counts what is counted of them.
pub(super) fn tell(notices: Vec<Notice>, metrics: &Metrics) {
    for notice in notices {
        count(&notice, metrics);
        tell_one(notice);
    }
}

fn count(notice: &Notice, metrics: &Metrics) {
    match notice {
        Notice::Pass {
            name,
            failed,
            late,
            took,
            ..
        } => {
            let source = name.strip_prefix("source ").unwrap_or(name);
            metrics.pass(source, *failed, *late, *took);
        }
        Notice::Retry { what, .. } => metrics.retry(what),
        _ => {}
    }
}

fn tell_one(notice: Notice) {
    match notice {
        Notice::Discovered { name, opa } => {
            log::info!(target: LOG, "discovered {} opa={opa}", field(&name))
        }
        Notice::Registered { name } => log::info!(target: LOG, "registered {}", field(&name)),
        Notice::Lost { name } => {
            log::warn!(target: LOG, "registration gone, registering again {}", field(&name));
        }
        Notice::Unheard { name, address } => {
            log::warn!(target: LOG,
                "OPAL has never called back, although a resync found changes: either it cannot reach \
                 advertised_address={address} (try from its host), or it runs without \
                 OPAL_SHOULD_REPORT_ON_DATA_UPDATES=True {}", field(&name));
        }
        Notice::Untold { name } => {
            log::warn!(target: LOG, "OPA answers, but {UNTOLD} {}", field(&name))
        }
        Notice::Doubtful { name } => {
            log::info!(target: LOG,
                "OPA takes a toggle away from users: OPAL is asked to load everything before that is \
                 applied {}", field(&name));
        }
        Notice::Unproven { name } => {
            log::warn!(target: LOG,
                "OPAL has not reported that it has loaded everything into OPA (it reports with \
                 OPAL_SHOULD_REPORT_ON_DATA_UPDATES=True): only changes within max_removal are applied {}",
                field(&name));
        }
        Notice::Restarted { name } => {
            log::warn!(target: LOG,
                "OPA was restarted, nothing is applied until OPAL has loaded everything again {}",
                field(&name));
        }
        Notice::NotReady { name } => {
            log::warn!(target: LOG, "OPA is not ready, nothing is applied {}", field(&name));
        }
        Notice::Pass {
            name,
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
            log::log!(target: LOG, level,
                "pass {} cause={cause} toggles={toggles} changed={changed} failed={failed} \
                 late={late} took={}",
                field(&name),
                Seconds(took),
            );
        }
        Notice::HeldBack { name, failure } => {
            let words = failure.to_string();
            let why = words.strip_prefix("held: ").unwrap_or(&words);
            log::warn!(target: LOG, "held {}: {why}", field(&name));
        }
        Notice::Released { name } => {
            log::info!(target: LOG, "no longer held {}", field(&name));
        }
        Notice::Created { name } => log::info!(target: LOG, "created {}", field(&name)),
        Notice::Updated {
            name,
            users,
            change,
        } => tell_update(&name, &users, change.as_deref()),
        Notice::Late { name, after } => {
            log::warn!(target: LOG, "the change has not arrived {} after={}", field(&name), Seconds(after));
        }
        Notice::Overdue { took, left } => {
            log::warn!(target: LOG,
                "a resync takes longer than resync_interval took={} left={left}: raise resync_interval",
                Seconds(took));
        }
        Notice::Failing {
            name,
            what,
            failure,
            count,
            retry_in,
        } => {
            let retry = retry_in.map_or("never".into(), |wait| Seconds(wait).to_string());
            log::warn!(target: LOG,
                "{what} failed {} count={count} retry_in={retry}: {failure}",
                field(&name)
            );
        }
        Notice::Retry { name, what, wait } => {
            log::debug!(target: LOG, "retry of {what} {} in={}", field(&name), Seconds(wait));
        }
        Notice::Mended { name, what, count } => {
            log::info!(target: LOG, "{what} works again {} failures={count}", field(&name));
        }
        Notice::Paused { wait } => log::warn!(target: LOG, "paused target wait={}", Seconds(wait)),
    }
}

fn tell_update(name: &str, users: &Users, change: Option<&Change>) {
    let (name, count) = (field(name), users.len());
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

/// `toggle us-feature` as `toggle=us-feature`.
fn field(name: &str) -> String {
    name.replacen(' ', "=", 1)
}
