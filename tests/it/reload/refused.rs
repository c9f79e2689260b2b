//! Configurations that are not taken over.

use crate::support::World;
use crate::support::program::Daemon;

const REFUSED: &str = "reload rejected, keeping the current configuration";

/// Fails unless this configuration is refused in these words, and all goes on.
#[track_caller]
fn refuses(world: &World, daemon: &Daemon, config: &str, words: &str) {
    let refusals = || daemon.process.stderr().matches(REFUSED).count();
    let before = refusals();
    world.program.reload(daemon, config);
    world.wait_until("it is refused", || refusals() > before);
    let log = daemon.process.stderr();
    let line = log.lines().rfind(|line| line.contains(REFUSED)).unwrap();
    assert!(line.contains(words), "{words}\n{log}");
    for user in ["bob", "eve"] {
        world.change("us", &[user]);
        world.wait_for_users("us", &[user]);
    }
    assert_eq!(daemon.health(), 200);
}

#[test]
fn an_invalid_file_is_refused_with_its_places_and_the_old_one_stays() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    let config = world.program.config();
    refuses(&world, &daemon, "", "there are no sources");
    let wrong = config.replace("users_policy", "usersPolicy");
    refuses(&world, &daemon, &wrong, "error: unknown key `usersPolicy`");
    let wrong = config.replace("${FLAGS_TOKEN}", "${NOWHERE}");
    refuses(&world, &daemon, &wrong, "NOWHERE");
    let wrong = config.replace("[target]", "[target");
    refuses(&world, &daemon, &wrong, "optoggles.toml:");
    daemon.terminate().exits(0);
}

#[test]
fn a_changed_bind_is_refused_and_with_it_the_whole_file() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    let config = world.program.config();
    let config = config.replace("bind = \"127.0.0.1:", "bind = \":");
    let config = format!("resync_interval = \"1h\"\n{config}");
    let words = "a reload cannot change `bind`: restart optoggles, or set it back";
    refuses(&world, &daemon, &config, words);
}

#[test]
fn a_file_that_is_gone_is_refused_and_no_other_is_looked_for() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    world.program.remove("optoggles.toml");
    daemon.process.signal(rustix::process::Signal::HUP);
    world.wait_until("it is refused", || {
        daemon.process.stderr().contains(REFUSED)
    });
    world.change("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
}
