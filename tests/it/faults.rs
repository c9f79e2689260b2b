//! Whatever OPAL, OPA and the target do wrong, and whenever: what is wrong is told, nothing old is
//! sent, and once it is over the target has the right users.
//!
//! What can be wrong is data ([`Wrong`]), and so is where it is; the moments are functions. The
//! cases of one place and one moment run at once, because they mostly wait.

mod peers;
mod phases;
mod sizes;
mod stale;
mod toggles;
mod wrong;

use std::fmt::Debug;
use std::thread;

use stale::nothing_stale_was_sent;
pub(crate) use wrong::Wrong;

/// A request that hangs is a failure after this.
pub(crate) const SOON: &str = "http_timeout = \"1s\"";

/// Runs all cases of one moment at once. Each has a thread of its name, which a failure shows.
pub(crate) fn at_once<C: Copy + Debug + Send>(moment: &str, cases: &[C], run: fn(C)) {
    thread::scope(|scope| {
        for case in cases.iter().copied() {
            let named = thread::Builder::new().name(format!("{case:?} {moment}"));
            named.spawn_scoped(scope, move || run(case)).unwrap();
        }
    });
}
