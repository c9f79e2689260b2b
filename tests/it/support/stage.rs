//! Where a test takes place: one condition variable for all that happens, and a picture of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::lock;

/// How long a test waits for what must come.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Conditions are looked at again after this time, for what happens without a signal.
const RECHECK: Duration = Duration::from_millis(10);

type Picture = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// Shared by the stand-ins and processes of one test; its clones are the same stage.
#[derive(Clone, Default)]
pub(crate) struct Stage(Arc<Inner>);

#[derive(Default)]
struct Inner {
    turns: Mutex<u64>,
    changed: Condvar,
    pictures: Mutex<Vec<Picture>>,
    secrets: Mutex<BTreeSet<String>>,
    shown: AtomicBool,
}

impl Stage {
    pub(crate) fn new() -> Stage {
        Stage::default()
    }

    /// Something happened: everyone who waits looks again.
    pub(crate) fn ring(&self) {
        *lock(&self.0.turns) += 1;
        self.0.changed.notify_all();
    }

    /// Waits until the condition holds, and says whether it did in time.
    pub(crate) fn wait(&self, limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let turn = *lock(&self.0.turns);
            if condition() {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let turns = lock(&self.0.turns);
            let same = |now: &mut u64| *now == turn;
            let waited = self
                .0
                .changed
                .wait_timeout_while(turns, left.min(RECHECK), same);
            drop(waited);
        }
    }

    /// Waits until the condition holds; fails the test with a picture if it never does.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, condition: impl FnMut() -> bool) {
        self.wait_within(LIMIT, what, condition);
    }

    /// [`Stage::wait_until`] with another limit.
    #[track_caller]
    pub(crate) fn wait_within(&self, limit: Duration, what: &str, condition: impl FnMut() -> bool) {
        if !self.wait(limit, condition) {
            self.fail(&format!("waited {limit:?} in vain until {what}"));
        }
    }

    /// Watches for a while that the condition goes on to hold.
    ///
    /// Only for what must *not* happen and that nothing later gives away; it can miss a defect,
    /// but it cannot see one that is not there.
    #[track_caller]
    pub(crate) fn holds_for(
        &self,
        time: Duration,
        what: &str,
        mut condition: impl FnMut() -> bool,
    ) {
        if self.wait(time, || !condition()) {
            self.fail(&format!("this did not last {time:?}: {what}"));
        }
    }

    /// Ends the test with a picture of everything on the stage.
    #[track_caller]
    pub(crate) fn fail(&self, why: &str) -> ! {
        self.0.shown.store(true, Ordering::SeqCst);
        panic!("{why}\n{}", self.picture());
    }

    /// Prints the picture if the test is failing and it was not shown yet.
    pub(crate) fn show_if_failing(&self) {
        if std::thread::panicking() && !self.0.shown.swap(true, Ordering::SeqCst) {
            eprintln!("{}", self.picture());
        }
    }

    /// Adds something to the picture; it is left out once it gives none.
    pub(crate) fn add_picture(&self, picture: impl Fn() -> Option<String> + Send + Sync + 'static) {
        lock(&self.0.pictures).push(Box::new(picture));
    }

    /// From now on this must not be printed by any process on this stage.
    pub(crate) fn add_secret(&self, secret: &str) {
        lock(&self.0.secrets).insert(secret.to_owned());
    }

    /// What in this text must not have been printed: where it stands, without the secret itself.
    pub(crate) fn leaks(&self, text: &str) -> Vec<String> {
        let secrets = lock(&self.0.secrets);
        text.lines()
            .filter(|line| {
                // Help texts may say how a token is written in the configuration.
                let harmless = ["Bearer [redacted]", "Bearer ${"];
                let rest = harmless.iter().fold((*line).to_owned(), |rest, harmless| {
                    rest.replace(harmless, "")
                });
                rest.contains("Bearer ")
                    || secrets.iter().any(|secret| line.contains(secret.as_str()))
            })
            .map(str::to_owned)
            .collect()
    }

    fn picture(&self) -> String {
        let pictures = lock(&self.0.pictures);
        let shown: Vec<String> = pictures.iter().filter_map(|picture| picture()).collect();
        shown.join("\n")
    }
}
