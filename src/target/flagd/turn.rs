//! Whose turn it is to write.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The turn to change a file of flags: within the process one thread has it, from before it reads the
/// file until its own is in place. After a reload those before it still write the same file, perhaps
/// under another name, so that there is one turn whatever the file is called.
pub(super) struct Turn(());

/// Whether somebody has the turn.
static TAKEN: Mutex<bool> = Mutex::new(false);

/// The turn was given back.
static GIVEN_BACK: Condvar = Condvar::new();

impl Turn {
    /// Waits for the turn; none where somebody else has done what it was wanted for.
    pub(super) fn take_unless(is_done: impl Fn() -> bool) -> Option<Turn> {
        let mut taken = GIVEN_BACK
            .wait_while(taken(), |taken| *taken && !is_done())
            .unwrap_or_else(PoisonError::into_inner);
        if is_done() {
            return None;
        }
        *taken = true;
        Some(Turn(()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *taken() = false;
        // All of them: who is answered goes, and one of the others writes for the rest.
        GIVEN_BACK.notify_all();
    }
}

fn taken() -> MutexGuard<'static, bool> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}
