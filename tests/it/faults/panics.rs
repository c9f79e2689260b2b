//! A panic in any thread ends the process.

use crate::support::World;

/// What cannot be written to the log is a panic of simple_logger, in the thread that logs: here the
/// worker's, because nobody else has anything to warn of. What the panic says is tested in
/// `commands.rs`: here nobody could read it.
#[test]
fn a_panic_of_the_worker_ends_the_process() {
    let world = World::of(&["us"]).build();
    world.opal.http.stop();
    world.program.run_with_a_full_log(&["serve"]).exits(1);
}
