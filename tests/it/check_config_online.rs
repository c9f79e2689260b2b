//! `check-config --online`: what every peer answers, without anything written.

mod sources;
mod target;

use std::time::Duration;

use crate::support::output::Output;
use crate::support::world::Plan;
use crate::support::{Fault, Server, World};

/// All is well around these.
fn world_of(plan: Plan) -> World {
    let world = plan.build();
    world.opa.allow("us", &["ann", "bob"]);
    world.opa.allow("tax", &["ann"]);
    world.opa.set_ready(Some(true));
    world
}

impl World {
    /// `check-config --online`; then nobody was asked for anything that writes.
    #[track_caller]
    fn check_online(&self) -> Output {
        let output = self.program.run(&["check-config", "--online"]);
        for server in self.servers() {
            let reads = server.count("GET *") + server.count("HEAD *");
            assert_eq!(server.count("*"), reads, "{}", output.picture());
        }
        assert!(self.opal.keys().is_empty(), "{}", output.picture());
        output
    }

    fn servers(&self) -> [&Server; 3] {
        [&self.opal.http, &self.opa.http, &self.store.http]
    }
}

/// The lines after the first, which is about the file; blanks count once.
fn findings(output: &Output) -> Vec<String> {
    let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    output.stdout.lines().skip(1).map(squeeze).collect()
}

#[test]
fn where_all_is_well_every_answer_is_reported_and_nothing_is_written() {
    let world = world_of(World::of(&["us", "tax"]));
    let output = world.check_online().exits(0);
    let opa = world.opa.http.url();
    let expected = format!(
        "source main      OPAL                     ok: OPA is at {opa}\n\
         source main      callbacks                ok: not registered (serve does that)\n\
         source main      OPA                      ok: answers, everything is loaded\n\
         toggle us        rule data.app.rbac.us    ok: 2 users\n\
         toggle tax       rule data.app.rbac.tax   ok: 1 user\n\
         target restapi   endpoint_url             ok: answers\n"
    );
    let (_, rest) = output.stdout.split_once('\n').unwrap();
    assert_eq!(rest, expected);
    assert_eq!(output.stderr, "");
}

#[test]
fn without_online_and_with_an_invalid_file_nothing_is_asked() {
    let world = world_of(World::of(&["us"]));
    world.program.run(&["check-config"]).exits(0);
    assert!(world.servers().iter().all(|server| server.count("*") == 0));
    let world = world_of(World::of(&["us"]).setting("concurrency = 0"));
    world.check_online().exits(2).complains("concurrency");
    assert!(world.servers().iter().all(|server| server.count("*") == 0));
}

#[test]
fn findings_stand_in_the_order_of_the_file_whoever_answers_first() {
    let world = world_of(World::of(&["us", "tax"]).and_other(&["beta"]));
    let slow = Fault::Delay(Duration::from_millis(200));
    world.opal.http.always("GET /policy-store/config", slow);
    let other = world.other.as_ref().unwrap();
    other.opa.allow("beta", &["eve"]);
    let lines = findings(&world.check_online().exits(0));
    let starts: Vec<String> = lines
        .iter()
        .map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        starts,
        [
            "source main OPAL",
            "source main callbacks",
            "source main OPA",
            "source other OPAL",
            "source other callbacks",
            "source other OPA",
            "toggle us rule",
            "toggle tax rule",
            "toggle beta rule",
            "target restapi endpoint_url",
        ]
    );
}
