//! Several targets, with toggles that follow the same rule.

use super::isolation::is_updated_promptly;
use crate::support::opa::query_of;
use crate::support::store::Store;
use crate::support::world::{FLAGS_TOKEN, Plan};
use crate::support::{Fault, World};

/// The third target takes this one alone.
const OTHER_TOKEN: &str = "other-token-of-the-tests-6b3f";

/// The toggle `us` at each target, with the rule of its name; the first target is the store of the world.
struct Targets {
    world: World,
    others: Vec<Store>,
    /// The configuration before its targets.
    head: String,
}

impl Targets {
    fn of(ids: &[&str], plan: Plan) -> Targets {
        let world = plan.build();
        let other = |_: &&str| Store::start(&world.stage, Some(FLAGS_TOKEN));
        let others = ids[1..].iter().map(other).collect();
        let (head, _) = world.program.config().split_once("[target]").unwrap();
        let head = head.to_owned();
        let mut targets = Targets {
            world,
            others,
            head,
        };
        let config = targets.config(ids);
        targets.world.program.set_config(&config);
        targets.world.opa.allow("us", &["ann"]);
        targets
    }

    /// The same with these ids: an empty one leaves its target out.
    fn config(&self, ids: &[&str]) -> String {
        let stores = [&self.world.store].into_iter().chain(&self.others);
        let urls = ids.iter().zip(stores.map(Store::url));
        let used = urls.filter(|(id, _)| !id.is_empty());
        let tables = used.map(|(id, url)| {
            let target = format!(
                "[[targets]]\nid = {id:?}\ntype = \"restapi\"\nendpoint_url = {url:?}\n\
                 extra_headers = {{ Authorization = \"Bearer ${{FLAGS_TOKEN}}\" }}\n"
            );
            let toggle = format!(
                "[[toggles]]\nkey = \"us\"\ntarget = {id:?}\nusers_policy = {{ source = \"main\", \
                 package = \"app.rbac\", rule = \"us\" }}\n"
            );
            (target, toggle)
        });
        let (targets, toggles): (Vec<_>, Vec<_>) = tables.unzip();
        let head = &self.head;
        format!("{head}{}{}", targets.concat(), toggles.concat())
    }
}

#[test]
fn a_target_that_hangs_or_pauses_delays_no_other_and_a_rule_is_queried_once_for_all() {
    let plan = World::of(&["us"]).setting("http_timeout = \"1s\"");
    let targets = Targets::of(&["fine", "stuck", "busy"], plan);
    let (world, others) = (&targets.world, &targets.others);
    let daemon = world.serve();
    daemon.wait_healthy();
    let has = |store: &Store| store.has("us", &["ann"]);
    world.wait_until("all have it", || {
        has(&world.store) && others.iter().all(has)
    });
    let queries = world.queries("us");
    others[0].http.always("PATCH *", Fault::Hang);
    let later = Fault::retry_after(429, "60");
    others[1].http.next(1, "PATCH *", later);
    is_updated_promptly(world, &world.opa, &world.opal, "us");
    assert_eq!(world.queries("us"), queries + 5, "one for each change");
    assert_eq!(others[1].http.count("PATCH *"), 2, "it is left alone");
    let reasons = [
        "toggle stuck/us: update: no answer in time",
        "toggle busy/us: update: answered 429",
    ];
    world.wait_until("/health names the targets", || {
        let health = daemon.get("/health").text();
        reasons.iter().all(|reason| health.contains(reason)) && !health.contains("fine")
    });
    let status = daemon.status();
    for (number, (id, target, toggle)) in [
        ("fine", "ok", "in sync"),
        ("stuck", "ok", "failing"),
        ("busy", "paused", "failing"),
    ]
    .into_iter()
    .enumerate()
    {
        let rows = [&status["targets"][number], &status["toggles"][number]];
        assert_eq!([&rows[0]["id"], &rows[1]["target"]], [id, id]);
        assert_eq!(
            [&rows[0]["state"], &rows[1]["state"]],
            [target, toggle],
            "{id}"
        );
    }
    let page = daemon.get("/").text();
    assert!(page.contains(">fine/us<") && page.contains(">stuck/us<"));
    let metrics = daemon.get("/metrics").text();
    for line in [
        "optoggles_target_paused{target=\"busy\"} 1",
        "optoggles_target_paused{target=\"fine\"} 0",
        "optoggles_toggle_in_sync{source=\"main\",target=\"fine\",toggle=\"us\"} 1",
        "optoggles_toggle_in_sync{source=\"main\",target=\"stuck\",toggle=\"us\"} 0",
    ] {
        assert!(metrics.contains(line), "{line}");
    }
    let log = daemon.terminate().exits(0);
    log.complains("update failed toggle=stuck/us count=1 ")
        .complains("paused target=busy ");
}

#[test]
fn a_report_names_each_toggle_with_its_target() {
    let targets = Targets::of(&["fine", "shut"], World::of(&["us"]));
    let world = &targets.world;
    targets.others[0].http.always("POST *", Fault::status(403));
    let output = world.sync(&[]).exits(1);
    let output = output.reports("fine/us ? 1 user set");
    let output = output.reports_start("shut/us failed: POST ");
    output.sums_up("2 toggles: 1 updated, 1 failed");
    assert_eq!(world.opa.http.count(&query_of("us")), 1);
    let document = world.sync(&["--format", "json"]).exits(1).json();
    let rows = [&document["toggles"][0], &document["toggles"][1]];
    assert_eq!(rows.map(|row| row["key"].as_str()), [Some("us"); 2]);
    assert_eq!(
        rows.map(|row| row["target"].as_str()),
        [Some("fine"), Some("shut")]
    );
}

#[test]
fn a_reload_adds_removes_and_renames_targets_and_changes_credentials() {
    let mut targets = Targets::of(&["one", "two"], World::of(&["us"]));
    let stage = &targets.world.stage;
    stage.add_secret(OTHER_TOKEN);
    targets.others.push(Store::start(stage, Some(OTHER_TOKEN)));
    let (world, two, three) = (&targets.world, &targets.others[0], &targets.others[1]);
    let daemon = world.serve();
    daemon.wait_healthy();
    world.wait_until("both have it", || {
        world.store.has("us", &["ann"]) && two.has("us", &["ann"])
    });
    let asked = (world.store.http.count("*"), two.http.count("*"));
    // One is renamed, two goes, and three comes, with credentials that it refuses.
    world.reload(&daemon, |_| targets.config(&["first", "", "three"]));
    world.wait_until("the new target is asked", || {
        let health = daemon.get("/health").text();
        health.contains("toggle three/us: creation: answered 401") && !health.contains("first")
    });
    world.change("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    assert_eq!(
        world.store.http.count("*"),
        asked.0 + 1,
        "but for the change"
    );
    // Its credentials are corrected.
    world.reload(&daemon, |_| {
        let config = targets.config(&["first", "", "three"]);
        let (before, three) = config.split_once("id = \"three\"").unwrap();
        let three = three.replace("${FLAGS_TOKEN}", OTHER_TOKEN);
        format!("{before}id = \"three\"{three}")
    });
    world.wait_until("the new target has it", || three.has("us", &["bob"]));
    daemon.wait_healthy();
    assert!(two.has("us", &["ann"]));
    assert_eq!(two.http.count("*"), asked.1, "it is left as it is");
    let rows = daemon.status()["targets"].clone();
    assert_eq!([&rows[0]["id"], &rows[1]["id"]], ["first", "three"]);
    let log = daemon.terminate().exits(0);
    log.complains("target two is no longer used: its toggles stay as they are");
}
