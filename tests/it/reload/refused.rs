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
fn an_invalid_file_and_a_changed_bind_are_refused_and_the_old_file_stays() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    let config = world.program.config();
    refuses(&world, &daemon, "", "no source is configured");
    let wrong = config.replace("users_policy", "usersPolicy");
    refuses(&world, &daemon, &wrong, "error: unknown key `usersPolicy`");
    let wrong = config.replace("${FLAGS_TOKEN}", "${NOWHERE}");
    refuses(&world, &daemon, &wrong, "NOWHERE");
    let wrong = config.replace("[target]", "[target");
    refuses(&world, &daemon, &wrong, "optoggles.toml:");
    let bind = config.replace("bind = \"127.0.0.1:", "bind = \":");
    let words = "a reload cannot change `bind`: restart optoggles, or set it back";
    refuses(&world, &daemon, &bind, words);
    daemon.terminate().exits(0);
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

#[test]
fn a_refused_reload_shows_until_one_is_taken_over() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    let metric = "optoggles_config_last_reload_successful";
    let shows = |successful: bool| {
        let wanted = format!("{metric} {}\n", u8::from(successful));
        let on_the_page = "The last reload was rejected";
        daemon.status()["last_reload_successful"] == successful
            && daemon.get("/metrics").text().contains(&wanted)
            && daemon.get("/").text().contains(on_the_page) != successful
    };
    assert!(shows(true));
    world.program.reload(&daemon, "");
    world.wait_until("it shows", || shows(false));
    assert_eq!(daemon.health(), 200);
    world.reload(&daemon, str::to_owned);
    world.wait_until("it no longer shows", || shows(true));
}
