//! The owner's mark, and the toggles that carry it and are no longer in the configuration.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::audit;
use crate::faults::SOON;
use crate::support::launchdarkly::flag::Flag;
use crate::support::launchdarkly::{Target, refusal};
use crate::support::{Fault, owned};

const OWNER: &str = "owner = \"payments\"";
const MARK: &str = "optoggles.payments";

/// The search for flags with the mark, in any project, and that in the project `default`.
const SEARCH: &str = "GET /api/v2/flags/default?limit=100&offset=0&filter=tags:*";
const PROJECTS: &str = "GET /api/v2/projects?*";

const RESYNC: &str = "resync_interval = \"1s\"";

const PEOPLE: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

/// A configuration without this toggle.
fn without(config: &str, key: &str) -> String {
    let start = format!("key = {key:?}\n");
    let parts = config.split("[[toggles]]\n");
    let kept = parts.filter(|part| !part.starts_with(&start));
    kept.collect::<Vec<_>>().join("[[toggles]]\n")
}

/// Toggles of an owner that these have.
fn marked(keys: &[&str], users: &[&str], settings: &[&str]) -> Flags {
    let plan = Flags::of(keys).target(OWNER);
    let settings = settings.iter();
    let flags = settings.fold(plan, |plan, line| plan.setting(line)).build();
    for key in keys {
        flags.opa.allow(key, users);
    }
    flags.sync(&[]).exits(0);
    flags
}

/// The same, and one of them leaves the configuration.
fn left(keys: &[&str], users: &[&str], settings: &[&str], key: &str) -> Flags {
    let mut flags = marked(keys, users, settings);
    leave(&mut flags, key);
    flags
}

fn leave(flags: &mut Flags, key: &str) {
    let config = without(flags.program.config(), key);
    flags.program.set_config(&config);
}

fn writes(flags: &Flags) -> usize {
    let all = flags.launchdarkly.http.count("* *");
    all - flags.count("GET", "*")
}

fn flag(flags: &Flags, project: &str, key: &str) -> Flag {
    flags.platform().flag(project, key).unwrap().clone()
}

/// Whether a flag is off for these in every environment of its project.
fn is_off(flags: &Flags, project: &str, key: &str, users: &[&str]) -> bool {
    let platform = flags.platform();
    let Some(flag) = platform.flag(project, key) else {
        return false;
    };
    let mut environments = flag.environments.iter();
    environments
        .all(|(name, config)| !config.on && platform.is_on_for(project, key, name, &[], users))
}

#[track_caller]
fn wait_until_off(flags: &Flags, project: &str, key: &str, users: &[&str]) {
    let what = format!("{project}/{key} is off");
    flags
        .stage
        .wait_until(&what, || is_off(flags, project, key, users));
}

/// Fails where a series of the metrics is there twice; returns all of them.
fn metrics(daemon: &Daemon) -> String {
    let text = daemon.get("/metrics").text();
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        assert!(seen.insert(series), "{series} is there twice");
    }
    text
}

#[test]
fn new_flags_and_those_that_are_there_carry_the_mark_beside_their_tags() {
    let spec = "name = \"{key}\"\nproj_key = \"default\"\nenvironments = [\"production\"]";
    for (tags, of_new, of_old) in [
        ("", &[MARK][..], &["mine", MARK][..]),
        ("tags = [\"policy\"]", &[MARK, "policy"], &[MARK, "policy"]),
    ] {
        let plan = Flags::of(&["new", "old"]).target(OWNER);
        let flags = plan.spec(&format!("{spec}\n{tags}")).build();
        let mut platform = flags.platform();
        for key in ["old", "foreign"] {
            let flag = platform.put("default", key, &[json!(true), json!(false)]);
            flag.tags = ["mine".to_owned()].into();
            flag.environment("production").on = true;
        }
        drop(platform);
        let foreign = flag(&flags, "default", "foreign");
        flags.opa.allow("new", &["ann"]);
        flags.opa.allow("old", &["ann"]);
        let output = flags.sync(&[]).exits(0);
        output.sums_up("2 toggles: 1 created, 1 updated");
        assert!(flag(&flags, "default", "new").tags.iter().eq(of_new));
        assert!(flag(&flags, "default", "old").tags.iter().eq(of_old));
        assert_eq!(flag(&flags, "default", "foreign"), foreign);
        let before = writes(&flags);
        flags.sync(&[]).exits(0).sums_up("2 toggles: 2 unchanged");
        assert_eq!(writes(&flags), before);
    }
}

#[test]
fn without_an_owner_nothing_is_marked_or_looked_for() {
    let flags = Flags::of(&["us", "gone"]).build();
    flags.opa.allow("us", &["ann"]);
    flags.opa.allow("gone", &["ann"]);
    flags.sync(&[]).exits(0);
    assert!(flag(&flags, "default", "us").tags.is_empty());
    assert_eq!(flags.launchdarkly.http.count(SEARCH), 0);
    assert_eq!(flags.launchdarkly.http.count(PROJECTS), 0);
}

#[test]
fn a_toggle_that_leaves_is_turned_off_in_every_environment_and_nothing_else_is_changed() {
    let flags = left(&["us", "gone"], &["ann", "bob"], &[], "gone");
    let mut platform = flags.platform();
    let staging = platform.edit("default", "gone").environment("staging");
    *staging = staging.clone();
    staging.on = true;
    staging.fallthrough = json!({ "variation": 1 });
    staging.off_variation = Some(0);
    staging.targets = vec![Target::new("user", 0, &["eve"])];
    staging.mark_order();
    drop(platform);
    let (us, mut gone) = (
        flag(&flags, "default", "us"),
        flag(&flags, "default", "gone"),
    );
    let before = writes(&flags);
    let output = flags.sync(&["--dry-run", "--exit-code"]).exits(3);
    let output = output.reports("us = 2 users unchanged");
    let output = output.reports("gone -3 0 users would be retired");
    output.sums_up("2 toggles: 1 unchanged, 1 would be retired");
    let dry_run = |format: &str| flags.sync(&["--dry-run", "--format", format]).exits(0);
    dry_run("markdown").says("| `gone` |  | −3: `ann` `bob` `eve` | 0 | would be retired |");
    let document = dry_run("json").json();
    let (summary, row) = (&document["summary"], &document["toggles"][1]);
    assert_eq!([&summary["retired"], &row["removed"]], [1, 3]);
    assert_eq!([&row["key"], &row["result"]], ["gone", "retired"]);
    assert_eq!(writes(&flags), before);
    assert_eq!(flag(&flags, "default", "gone"), gone);
    let output = flags.sync(&[]).exits(0);
    let output = output.reports("gone -3 0 users retired");
    output.sums_up("2 toggles: 1 unchanged, 1 retired");
    let patches = flags
        .requests("PATCH")
        .split_off(flags.count("PATCH", "*") - 3);
    let mut told: Vec<(String, Vec<String>)> = Vec::new();
    for patch in patches.iter().map(Request::json) {
        let kinds = patch["instructions"].as_array().unwrap().iter();
        let kinds = kinds.map(|it| it["kind"].as_str().unwrap().to_owned());
        told.push((
            patch["environmentKey"].as_str().unwrap().into(),
            kinds.collect(),
        ));
        assert_eq!(patch["comment"], "optoggles: retired");
    }
    told.sort();
    let off = owned(&["turnFlagOff"]);
    let both = owned(&["updateOffVariation", "turnFlagOff"]);
    let expected = [("production", &off), ("staging", &both), ("test", &off)];
    let expected = expected.map(|(name, kinds)| (name.to_owned(), kinds.clone()));
    assert_eq!(told, expected);
    assert_eq!(writes(&flags), before + 3);
    assert!(is_off(&flags, "default", "gone", &["ann", "bob", "eve"]));
    // All else is as it was.
    gone.version += 3;
    gone.environment("staging").off_variation = Some(1);
    for environment in gone.environments.values_mut() {
        environment.on = false;
        environment.version += 1;
    }
    assert_eq!(flag(&flags, "default", "gone"), gone);
    assert_eq!(flag(&flags, "default", "us"), us);
    let output = flags.sync(&["--dry-run", "--exit-code"]).exits(0);
    output.sums_up("1 toggle: 1 unchanged");
    assert_eq!(writes(&flags), before + 3);
}

#[test]
fn serve_retires_by_a_reload_or_a_restart_and_whatever_is_turned_on_again() {
    for by_reload in [true, false] {
        let mut flags = marked(&["us", "gone"], &["ann", "bob"], &[RESYNC]);
        let all = flags.program.config().to_owned();
        let daemon = match by_reload {
            true => {
                let daemon = flags.serve_in_step();
                let config = without(&all, "gone");
                flags.program.reload(&daemon, &config);
                daemon
            }
            false => {
                leave(&mut flags, "gone");
                flags.program.serve(&[])
            }
        };
        wait_until_off(&flags, "default", "gone", &["ann", "bob"]);
        let is_retired = || daemon.toggle("gone")["state"] == "retired";
        flags.stage.wait_until("/status says so", is_retired);
        assert_eq!(daemon.toggle("gone")["users"], 0);
        assert!(daemon.get("/").text().contains("✓</span> retired"));
        daemon.wait_healthy();
        assert!(!metrics(&daemon).contains("toggle=\"gone\""));
        let mut platform = flags.platform();
        platform.edit("default", "gone").environment("test").on = true;
        drop(platform);
        wait_until_off(&flags, "default", "gone", &["ann", "bob"]);
        // It is still there for those who stay.
        flags.wait_until_registered();
        flags.change("us", &["bob"]);
        flags.wait_until_on_for("us", &["bob"], &["ann"]);
        flags.opa.allow("gone", &["bob", "cid"]);
        flags.program.reload(&daemon, &all);
        flags.wait_until_on_for("gone", &["bob", "cid"], &["ann"]);
        let is_in_sync = || daemon.toggle("gone")["state"] == "in sync";
        flags.stage.wait_until("/status says so", is_in_sync);
        daemon.wait_healthy();
        assert!(metrics(&daemon).contains("toggle=\"gone\""));
        daemon.terminate().exits(0);
    }
}

#[test]
fn a_flag_that_others_delete_together_with_a_retired_one_is_created_again_at_the_resync() {
    let spec = "name = \"{key}\"\nproj_key = \"default\"\n\
                environments = [\"production\", \"staging\", \"test\"]\n";
    let plan = Flags::of(&["aaa", "bbb", "ccc"]).target(OWNER).spec(spec);
    let plan = plan.setting(RESYNC).setting(audit::SETTING);
    let mut flags = plan.build();
    for key in ["aaa", "bbb", "ccc"] {
        flags.opa.allow(key, &["ann"]);
    }
    flags.sync(&[]).exits(0);
    leave(&mut flags, "aaa");
    let daemon = flags.program.serve(&[]);
    let is_retired = || daemon.toggle("aaa")["state"] == "retired";
    flags.stage.wait_until("it is retired", is_retired);
    let mut platform = flags.platform();
    platform.delete("default", "aaa");
    platform.delete("default", "bbb");
    drop(platform);
    flags.wait_until_on_for("bbb", &["ann"], &[]);
    let is_in_sync = || daemon.toggle("bbb")["state"] == "in sync";
    flags.stage.wait_until("it is in sync", is_in_sync);
    daemon.terminate().exits(0);
    let lines = audit::lines(&flags.program);
    let lines = lines.iter().filter(|line| line["toggle"] == "bbb");
    assert_eq!(lines.count(), 6, "twice for each of three environments");
}

#[test]
fn a_reload_of_the_same_toggles_does_not_forget_what_is_still_to_be_retired() {
    let flags = left(
        &["us", "gone"],
        &PEOPLE,
        &["resync_interval = \"0s\""],
        "gone",
    );
    let daemon = flags.program.serve(&[]);
    daemon.wait_failing();
    let limit = format!("max_removal = \"off\"\n{}", flags.program.config());
    flags.program.reload(&daemon, &limit);
    wait_until_off(&flags, "default", "gone", &PEOPLE);
    daemon.wait_healthy();
}

#[test]
fn a_flag_of_another_owner_is_left_alone_and_named() {
    let flags = Flags::of(&["us", "tax"]).target(OWNER).build();
    let mut platform = flags.platform();
    let values = [json!(true), json!(false)];
    platform.put("default", "us", &values).tags = ["optoggles.growth".to_owned()].into();
    // Not in the configuration, and of both.
    let both = platform.put("default", "both", &values);
    both.tags = [MARK, "optoggles.growth"].map(str::to_owned).into();
    both.environment("test").on = true;
    drop(platform);
    let before = [
        flag(&flags, "default", "us"),
        flag(&flags, "default", "both"),
    ];
    flags.opa.allow("us", &["ann"]);
    flags.opa.allow("tax", &["ann"]);
    let output = flags.sync(&[]).exits(1);
    let output = output.reports_start(
        "us failed: flag us of project default belongs to the owner growth: remove it from one of",
    );
    let output = output.reports("tax +1 1 user created");
    output.sums_up("2 toggles: 1 created, 1 failed");
    let daemon = flags.program.serve(&[]);
    daemon.wait_failing();
    let health = daemon.get("/health").text();
    assert!(health.contains("toggle us: read: "), "{health}");
    flags.wait_until_registered();
    flags.change("tax", &["bob"]);
    flags.wait_until_on_for("tax", &["bob"], &["ann"]);
    let after = [
        flag(&flags, "default", "us"),
        flag(&flags, "default", "both"),
    ];
    assert_eq!(before, after);
}

#[test]
fn many_users_are_held_until_that_is_forced_for_this_toggle_alone() {
    let flags = left(&["us", "gone", "also"], &PEOPLE, &[RESYNC], "gone");
    let mut flags = flags;
    leave(&mut flags, "also");
    let held = "held: environments production, test: it left the configuration: it would remove 12 of 12 users, more than";
    let output = flags.sync(&[]).exits(1);
    let output = output.reports_start(&format!("gone {held}"));
    let output = output.says("let it through with sync --force --toggle gone");
    let output = output.reports_start(&format!("also {held}"));
    output.sums_up("3 toggles: 1 unchanged, 2 held");
    let daemon = flags.program.serve(&[]);
    daemon.wait_failing();
    let health = daemon.get("/health").text();
    assert!(health.contains("12 of 12 users"), "{health}");
    assert_eq!(daemon.toggle("gone")["state"], "held");
    metrics(&daemon);
    assert!(flags.is_on_for("gone", &PEOPLE, &[]) && flags.is_on_for("also", &PEOPLE, &[]));
    let output = flags.sync(&["--force", "--toggle", "gone"]).exits(0);
    output.sums_up("1 toggle: 1 retired");
    assert!(is_off(&flags, "default", "gone", &PEOPLE));
    let is_retired = || daemon.toggle("gone")["state"] == "retired";
    flags.stage.wait_until("/status says so", is_retired);
    assert_eq!(daemon.toggle("also")["state"], "held");
    daemon.terminate().exits(0);
    assert!(flags.is_on_for("also", &PEOPLE, &[]) && flags.is_on_for("us", &PEOPLE, &[]));
    let before = writes(&flags);
    let output = flags.sync(&["--force", "--toggle", "alsi"]).exits(2);
    output.complains("the configuration has no toggle `alsi`");
    let passes = ["sync", "--interval", "1s", "--toggle", "also"];
    let output = flags.program.run(&passes).exits(2);
    output.complains("the configuration has no toggle `also`");
    let searches = flags.launchdarkly.http.count(SEARCH);
    let output = flags.sync(&["--force", "--toggle", "us"]).exits(0);
    output.sums_up("1 toggle: 1 unchanged");
    assert_eq!(flags.launchdarkly.http.count(SEARCH), searches);
    assert_eq!(writes(&flags), before);
}

#[test]
fn a_toggle_that_was_the_last_one_of_its_project_is_found_among_all_projects() {
    let spec = "name = \"{key}\"\nproj_key = \"{key}\"\nenvironments = [\"production\"]";
    let plan = Flags::of(&["us", "zebra"]).target(OWNER).setting(RESYNC);
    let mut flags = plan.spec(spec).build();
    for number in 0..30 {
        let key = format!("project-{number}");
        flags.platform().add_project(&key, &["production"]);
    }
    for key in ["us", "zebra"] {
        flags.platform().add_project(key, &["production", "other"]);
        flags.opa.allow(key, &["ann"]);
    }
    flags.sync(&[]).exits(0);
    // One that the token may not see is none of ours.
    let forbidden = "GET /api/v2/flags/project-7?*";
    let refused = Fault::Answer(refusal(403, "no viewProject"));
    flags.launchdarkly.http.always(forbidden, refused);
    leave(&mut flags, "zebra");
    let daemon = flags.program.serve(&[]);
    wait_until_off(&flags, "zebra", "zebra", &["ann"]);
    daemon.wait_healthy();
    // Once they have been seen, only the projects of toggles matter.
    let of = |project: &str| {
        let which = format!("GET /api/v2/flags/{project}?limit=100&offset=0&filter=tags:*");
        flags.launchdarkly.http.count(&which)
    };
    let wait_for_searches = |more: usize| {
        let before = of("zebra");
        let has_more = || of("zebra") >= before + more;
        flags.stage.wait_until("there are more searches", has_more);
    };
    wait_for_searches(2);
    let before = of("project-3");
    wait_for_searches(2);
    assert_eq!(of("project-3"), before);
    // A token that may not list projects keeps to those of its toggles.
    daemon.terminate().exits(0);
    let refused = Fault::Answer(refusal(403, "no viewProjects"));
    flags.launchdarkly.http.always(PROJECTS, refused);
    flags.sync(&[]).exits(0).sums_up("1 toggle: 1 unchanged");
}

#[test]
fn a_search_in_many_projects_goes_on_where_it_was_interrupted() {
    let flags = Flags::of(&["us"]).target(OWNER).build();
    flags.opa.allow("us", &["ann"]);
    for number in 0..30 {
        let key = format!("project-{number:02}");
        flags.platform().add_project(&key, &["test"]);
    }
    let of = |number: usize| format!("GET /api/v2/flags/project-{number:02}?*");
    for number in [10, 20] {
        let busy = Fault::retry_after(429, "0.1");
        flags.launchdarkly.http.next(1, &of(number), busy);
    }
    flags.sync(&[]).exits(0);
    let searches = (0..30).map(|number| flags.launchdarkly.http.count(&of(number)));
    let more: Vec<(usize, usize)> = searches.enumerate().filter(|(_, it)| *it != 1).collect();
    assert_eq!(more, [(10, 2), (20, 2)]);
}

#[test]
fn a_toggle_that_moves_to_another_project_is_retired_in_the_first() {
    let mut flags = marked(&["us"], &PEOPLE, &[RESYNC]);
    flags
        .platform()
        .add_project("shop", &["production", "test"]);
    let moved = flags.program.config().replace("\"default\"", "\"shop\"");
    flags.program.set_config(&moved);
    let daemon = flags.program.serve(&[]);
    let is_held = || daemon.toggle("us (default)")["state"] == "held";
    flags.stage.wait_until("/status names both", is_held);
    let is_in_sync = || daemon.toggle("us")["state"] == "in sync";
    flags.stage.wait_until("/status names both", is_in_sync);
    metrics(&daemon);
    daemon.terminate().exits(0);
    let output = flags
        .sync(&["--force", "--toggle", "us (default)"])
        .exits(0);
    output.sums_up("1 toggle: 1 retired");
    assert!(is_off(&flags, "default", "us", &PEOPLE));
    let is_on = |environment: &&str| {
        let platform = flags.platform();
        platform.is_on_for("shop", "us", environment, &PEOPLE, &[])
    };
    assert!(ENVIRONMENTS.iter().all(is_on));
    flags.sync(&[]).exits(0).sums_up("1 toggle: 1 unchanged");
}

#[test]
fn of_two_with_the_same_key_the_one_that_is_named_is_forced() {
    let mut flags = marked(&["tax", "us"], &PEOPLE, &[]);
    let mut platform = flags.platform();
    platform.add_project("shop", &["test"]);
    let values = [json!(true), json!(false)];
    let us = platform.put("shop", "us", &values);
    us.tags.insert(MARK.to_owned());
    let test = us.environment("test");
    (test.on, test.fallthrough) = (true, json!({ "variation": 1 }));
    test.targets = vec![Target::new("user", 0, &PEOPLE)];
    test.mark_order();
    drop(platform);
    leave(&mut flags, "us");
    let output = flags.sync(&[]).exits(1);
    let output = output.says("let it through with sync --force --toggle us\n");
    let output = output.says("let it through with sync --force --toggle 'us (shop)'\n");
    output.sums_up("3 toggles: 1 unchanged, 2 held");
    let output = flags.sync(&["--force", "--toggle", "us"]).exits(0);
    output.sums_up("1 toggle: 1 retired");
    assert!(is_off(&flags, "default", "us", &PEOPLE));
    let platform = flags.platform();
    assert!(platform.is_on_for("shop", "us", "test", &PEOPLE, &[]));
}

#[test]
fn one_with_a_segment_counts_its_members_and_leaves_them_where_they_are() {
    let spec = "name = \"{key}\"\nproj_key = \"default\"\nenvironments = [\"production\"]\n\
                segment = \"people-{key}\"";
    let plan = Flags::of(&["us", "gone"]).target(OWNER).spec(spec);
    let mut flags = plan.build();
    for key in ["us", "gone"] {
        flags.opa.allow(key, &PEOPLE);
    }
    flags.sync(&[]).exits(0);
    leave(&mut flags, "gone");
    let mut gone = flag(&flags, "default", "gone");
    let output = flags.sync(&[]).exits(1);
    output.reports_start("gone held: environment production: it left the configuration: it would remove 12 of 12 users");
    assert_eq!(flag(&flags, "default", "gone"), gone);
    let before = writes(&flags);
    let output = flags.sync(&["--force", "--toggle", "gone"]).exits(0);
    output.reports("gone -12 0 users retired");
    assert_eq!(writes(&flags), before + 1);
    gone.version += 1;
    let production = gone.environment("production");
    (production.on, production.version) = (false, production.version + 1);
    assert_eq!(flag(&flags, "default", "gone"), gone);
    flags.sync(&[]).exits(0).sums_up("1 toggle: 1 unchanged");
}

#[test]
fn where_it_cannot_be_told_who_has_it_a_limit_that_is_set_holds_it() {
    let limit = "max_removal = \"90%\"";
    let flags = left(&["us", "gone"], &["ann"], &[limit], "gone");
    let mut platform = flags.platform();
    let production = platform.edit("default", "gone").environment("production");
    production.fallthrough = json!({ "variation": 0 });
    drop(platform);
    let output = flags.sync(&[]).exits(1);
    let output = output.reports_start(
        "gone held: environment production: it left the configuration: it would leave no users, and it is not known who has",
    );
    output.says("  production: ? held\n  staging: = unchanged\n");
    flags.sync(&["--force", "--toggle", "gone"]).exits(0);
    assert!(is_off(&flags, "default", "gone", &["ann", "eve"]));
}

#[test]
fn one_that_is_deleted_during_the_search_does_not_hide_the_others() {
    let mut flags = left(&["us", "also", "gone"], &["ann"], &[], "gone");
    leave(&mut flags, "also");
    let without_env = "GET /api/v2/flags/default/also";
    let deleted = Fault::Answer(refusal(404, "Unknown feature flag key"));
    flags.launchdarkly.http.next(1, without_env, deleted);
    flags.sync(&[]).exits(0);
    assert!(is_off(&flags, "default", "gone", &["ann"]));
}

#[test]
fn a_marked_flag_that_is_archived_is_off_and_one_that_is_not_boolean_fails_alone() {
    let flags = marked(&["us"], &["ann"], &[]);
    let mut platform = flags.platform();
    let archived = platform.put("default", "archived", &[json!(true), json!(false)]);
    archived.tags.insert(MARK.to_owned());
    archived.archived = true;
    let text = platform.put("default", "text", &[json!("a"), json!("b")]);
    text.tags.insert(MARK.to_owned());
    drop(platform);
    let text = flag(&flags, "default", "text");
    let output = flags.sync(&[]).exits(1);
    let output = output.reports_start(
        "text failed: the flag text is not boolean: turn it off by hand, or remove its tag \
         optoggles.payments",
    );
    output.sums_up("2 toggles: 1 unchanged, 1 failed");
    assert_eq!(flag(&flags, "default", "text"), text);
}

#[test]
fn one_that_is_deleted_or_needs_approval_meanwhile_delays_nothing() {
    let flags = left(&["us", "gone"], &["ann"], &[RESYNC], "gone");
    let refused = Fault::status(500);
    let patch = "PATCH /api/v2/flags/default/gone";
    flags.launchdarkly.http.always(patch, refused);
    let daemon = flags.program.serve(&[]);
    daemon.wait_failing();
    flags.platform().delete("default", "gone");
    flags.launchdarkly.http.heal();
    daemon.wait_healthy();
    let is_forgotten = || daemon.toggle("gone").is_null();
    flags.stage.wait_until("it is forgotten", is_forgotten);
    daemon.terminate().exits(0);
    let flags = left(&["us", "gone"], &["ann"], &[], "gone");
    flags.platform().require_approval("default", "test");
    let start = "gone users would be updated, failed: environment test: ";
    let output = flags.sync(&[]).exits(1);
    output.reports_start(&start.replace("would be updated", "updated"));
    let platform = flags.platform();
    assert!(platform.is_on_for("default", "gone", "production", &[], &["ann"]));
    assert!(platform.is_on_for("default", "gone", "test", &["ann"], &[]));
}

#[test]
fn a_search_that_fails_is_told_and_keeps_nothing_else_back() {
    for (search, fault, words) in [
        (
            SEARCH,
            Fault::Answer(refusal(403, "no viewProject")),
            "answered 403",
        ),
        (SEARCH, Fault::status(500), "answered 500"),
        (SEARCH, Fault::retry_after(503, "1"), "answered 503"),
        (SEARCH, Fault::Hang, "no answer in time"),
        (PROJECTS, Fault::status(500), "answered 500"),
    ] {
        let flags = left(&["us", "gone"], &["ann"], &[SOON, RESYNC], "gone");
        flags.launchdarkly.http.always(search, fault);
        let daemon = flags.program.serve(&[]);
        let health = || daemon.get("/health").text();
        let reason = "target launchdarkly: search for toggles to retire: ";
        let is_told = || health().contains(&format!("{reason}{words}"));
        flags.stage.wait_until(words, is_told);
        assert_eq!(daemon.target()["state"], "failing");
        flags.wait_until_registered();
        flags.change("us", &["bob"]);
        flags.wait_until_on_for("us", &["bob"], &["ann"]);
        assert!(flags.is_on_for("gone", &["ann"], &[]));
        flags.launchdarkly.http.heal();
        wait_until_off(&flags, "default", "gone", &["ann"]);
        daemon.wait_healthy();
        daemon.terminate().exits(0);
    }
}

#[test]
fn a_429_at_the_search_pauses_the_target_and_the_search_follows() {
    let flags = left(&["us", "gone"], &["ann"], &[], "gone");
    let refused = Fault::retry_after(429, "2");
    flags.launchdarkly.http.next(1, SEARCH, refused);
    let output = flags.sync(&[]).exits(0);
    output.sums_up("2 toggles: 1 unchanged, 1 retired");
    assert!(is_off(&flags, "default", "gone", &["ann"]));
}

#[test]
fn a_sync_whose_search_fails_reports_it_in_every_format() {
    let flags = left(&["us", "gone"], &["ann"], &[], "gone");
    let refused = Fault::Answer(refusal(403, "no viewProject"));
    flags.launchdarkly.http.always(SEARCH, refused);
    let words = "target launchdarkly: search for toggles to retire failed: flags of project default \
                 with the tag optoggles.payments: GET";
    flags.opa.allow("us", &["bob"]);
    let output = flags
        .sync(&["--dry-run", "--exit-code"])
        .exits(1)
        .says(words);
    output.sums_up("1 toggle: 1 would be updated");
    let document = flags.sync(&["--format", "json"]).exits(1).json();
    assert!(document["errors"][0].as_str().unwrap().starts_with(words));
    assert!(flags.is_on_for("us", &["bob"], &["ann"]));
    let output = flags.sync(&["--format", "markdown"]).exits(1);
    output.says("search for toggles to retire failed");
    // It cannot be told whether there is such a toggle.
    flags.launchdarkly.http.heal();
    flags.launchdarkly.http.always(SEARCH, Fault::status(500));
    let output = flags.sync(&["--toggle", "gone", "--timeout", "100ms"]);
    output.exits(1).says(words);
    // What passes by itself is waited for.
    flags.launchdarkly.http.heal();
    let later = Fault::retry_after(503, "1");
    flags.launchdarkly.http.next(1, SEARCH, later);
    flags
        .sync(&[])
        .exits(0)
        .sums_up("2 toggles: 1 unchanged, 1 retired");
}

/// Two targets at one account, each with a toggle and an owner.
fn at_two_targets(owners: [&str; 2]) -> Flags {
    let mut flags = Flags::of(&["us", "tax"]).build();
    let config = flags.program.config().replace(
        "[target]\n",
        &format!("[[targets]]\nid = \"a\"\nowner = {:?}\n", owners[0]),
    );
    let (head, toggles) = config.split_once("[[toggles]]\n").unwrap();
    let target = head.split("[[targets]]").last().unwrap();
    let target = target.replace("id = \"a\"", "id = \"b\"");
    let target = target.replace(owners[0], owners[1]);
    let toggles = toggles.replace("key = \"us\"", "target = \"a\"\nkey = \"us\"");
    let toggles = toggles.replace("key = \"tax\"", "target = \"b\"\nkey = \"tax\"");
    let config = format!("{head}[[targets]]{target}[[toggles]]\n{toggles}");
    flags.program.set_config(&config);
    flags
}

#[test]
fn targets_at_one_account_retire_no_toggle_of_each_other() {
    for owners in [["payments", "payments"], ["payments", "growth"]] {
        let mut flags = at_two_targets(owners);
        for key in ["us", "tax"] {
            flags.opa.allow(key, &["ann"]);
        }
        flags.sync(&[]).exits(0).sums_up("2 toggles: 2 created");
        let before = writes(&flags);
        flags.sync(&[]).exits(0).sums_up("2 toggles: 2 unchanged");
        assert_eq!(writes(&flags), before);
        // One is left out on purpose, and the other one has left.
        let config = flags.program.config().to_owned();
        let (kept, _) = config.split_once("[[toggles]]\ntarget = \"b\"").unwrap();
        flags.program.set_config(kept);
        flags.program.run(&["check-config", "--strict"]).exits(0);
        let output = flags.sync(&["--toggle", "tax"]).exits(0);
        output.sums_up("1 toggle: 1 retired");
        assert!(flags.is_on_for("us", &["ann"], &[]));
        assert!(is_off(&flags, "default", "tax", &["ann"]));
        let document = flags.sync(&["--format", "json"]).exits(0).json();
        assert_eq!(document["summary"]["retired"], Value::from(0));
    }
}
