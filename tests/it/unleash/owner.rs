//! Features carry the mark of the owner, and are turned off once their toggle has left the configuration.

use std::collections::BTreeSet;

use super::*;
use crate::support::Fault;

/// The search for features with the mark.
const SEARCH: &str = "GET /api/admin/search/*";

fn tags(flags: &Flags, key: &str) -> Vec<String> {
    let mut platform = flags.platform();
    let tags = platform.edit(key).tags.iter();
    tags.map(|(kind, value)| format!("{kind}:{value}"))
        .collect()
}

/// The same configuration without a toggle.
fn without(config: &str, key: &str) -> String {
    let mut parts: Vec<&str> = config.split("[[toggles]]\n").collect();
    parts.retain(|part| !part.starts_with(&format!("key = {key:?}\n")));
    parts.join("[[toggles]]\n")
}

impl Flags {
    /// Toggles with an owner, each on for ann.
    fn owned(keys: &[&str]) -> Flags {
        let flags = Flags::of(keys)
            .owner("payments")
            .setting("resync_interval = \"1s\"")
            .build();
        for key in keys {
            flags.opa.allow(key, &["ann"]);
        }
        flags
    }

    /// A toggle leaves the configuration.
    fn take_out(&mut self, key: &str) {
        let config = without(self.program.config(), key);
        self.program.set_config(&config);
    }

    fn reload(&self, daemon: &Daemon, config: &str) {
        let count = || daemon.process.stderr().matches("reloaded sources=").count();
        let before = count();
        self.program.reload(daemon, config);
        self.stage
            .wait_until("the configuration is taken over", || count() > before);
    }

    fn is_off(&self, key: &str) -> bool {
        ENVIRONMENTS
            .iter()
            .all(|place| self.is_on_for(key, place, &[], &["ann", "eve"]))
    }

    fn wait_off(&self, key: &str) {
        self.stage
            .wait_until("the feature is off", || self.is_off(key));
    }

    fn wait_on(&self, key: &str) {
        self.stage.wait_until("ann has the feature", || {
            ENVIRONMENTS
                .iter()
                .all(|place| self.is_on_for(key, place, &["ann"], &["eve"]))
        });
    }

    /// The requests from this one on that are no reads.
    fn writes_from(&self, first: usize) -> BTreeSet<String> {
        let requests = self.requests_from(first).into_iter();
        requests.filter(|it| !it.starts_with("GET ")).collect()
    }
}

#[test]
fn features_are_marked_whether_they_are_new_or_there_and_their_other_tags_stay() {
    let flags = Flags::owned(&["us", "tax"]);
    flags.platform().put("tax").tag("team-a");
    flags
        .sync()
        .exits(0)
        .sums_up("2 toggles: 1 created, 1 updated");
    assert_eq!(tags(&flags, "us"), ["simple:optoggles.payments"]);
    assert_eq!(
        tags(&flags, "tax"),
        ["simple:optoggles.payments", "simple:team-a"]
    );
    let before = flags.count("*");
    flags.sync().exits(0).sums_up("2 toggles: 2 unchanged");
    assert_eq!(flags.writes_from(before), BTreeSet::new());
    flags.platform().edit("us").tags.clear();
    flags
        .sync()
        .exits(0)
        .sums_up("2 toggles: 1 updated, 1 unchanged");
    assert_eq!(
        flags.writes_from(before),
        ["POST us/tags".to_owned()].into()
    );
}

#[test]
fn the_marks_of_many_features_cost_one_request() {
    let keys: Vec<String> = (10..40).map(|number| format!("flag-{number}")).collect();
    let flags = Flags::owned(&refs(&keys));
    flags.sync().exits(0);
    let before = flags.count("*");
    flags.sync().exits(0).sums_up("30 toggles: 30 unchanged");
    let mut requests = flags.requests_from(before);
    requests.sort();
    let search = "GET /api/admin/search/features?tag=INCLUDE_ALL_OF:simple:optoggles.payments";
    let page = "&limit=100&offset=0";
    let list = |place| format!("GET /api/client/features?environment={place}&project=default");
    let expected = [
        "GET /api/admin/projects/default/overview".to_owned(),
        format!("{search}{page}"),
        format!("{search}&project=IS:default{page}"),
        list("development"),
        list("production"),
    ];
    assert_eq!(requests, expected);
}

#[test]
fn a_toggle_that_left_the_configuration_is_turned_off_and_nothing_else_changes() {
    let mut flags = Flags::owned(&["us", "tax"]);
    flags.sync().exits(0);
    let whole = flags.program.config().to_owned();
    let before = flags.platform().listed("tax", "production");
    flags.take_out("tax");
    let first = flags.count("*");
    let args = ["sync", "--dry-run", "--exit-code"];
    flags
        .program
        .run(&args)
        .exits(3)
        .reports("tax -1 0 users would be retired");
    assert_eq!(flags.writes_from(first), BTreeSet::new());
    flags
        .sync()
        .exits(0)
        .sums_up("2 toggles: 1 unchanged, 1 retired");
    let off = ENVIRONMENTS.map(|place| format!("POST tax/environments/{place}/off"));
    assert_eq!(flags.writes_from(first), off.into());
    assert!(flags.is_off("tax") && !flags.is_off("us"));
    assert_eq!(flags.platform().listed("tax", "production"), before);
    flags.sync().exits(0).sums_up("1 toggle: 1 unchanged");
    flags.program.set_config(&whole);
    flags
        .sync()
        .exits(0)
        .sums_up("2 toggles: 1 updated, 1 unchanged");
    flags.wait_on("tax");
}

#[test]
fn serve_retires_a_toggle_after_a_reload_and_after_a_restart_and_keeps_it_off() {
    let mut flags = Flags::owned(&["us", "tax", "eu", "shop", "vip"]);
    let daemon = flags.serve_in_step();
    let whole = flags.program.config().to_owned();
    let fewer = without(&whole, "tax");
    flags.reload(&daemon, &fewer);
    flags.wait_off("tax");
    flags.stage.wait_until("it is retired", || {
        daemon.toggle("tax")["state"] == "retired"
    });
    for place in ENVIRONMENTS {
        flags.platform().environment("tax", place).enabled = true;
    }
    flags.wait_off("tax");
    flags.reload(&daemon, &whole);
    flags.wait_on("tax");
    daemon.terminate().exits(0);
    flags.program.set_config(&fewer);
    let daemon = flags.program.serve(&[]);
    flags.wait_off("tax");
    daemon.wait_healthy();
    flags.wait_on("us");
    daemon.terminate().exits(0);
}

#[test]
fn a_feature_of_another_owner_is_left_alone() {
    let keys = ["us", "tax", "eu", "shop"];
    let flags = Flags::owned(&keys);
    flags.platform().put("us").tag("optoggles.shop");
    let refused = "feature us of project default belongs to the owner shop: remove it from one of the two configurations";
    flags
        .sync()
        .exits(1)
        .says(refused)
        .sums_up("4 toggles: 3 created, 1 failed");
    // Found with the others in one list.
    flags.platform().edit("us").tag("optoggles.payments");
    flags.opa.allow("tax", &["bob"]);
    flags
        .sync()
        .exits(1)
        .says(refused)
        .sums_up("4 toggles: 1 updated, 2 unchanged, 1 failed");
    let writes = flags.writes_from(0);
    assert!(writes.iter().all(|it| !it.contains(" us")), "{writes:?}");
}

#[test]
fn a_feature_that_another_owner_creates_at_the_same_time_is_left_alone() {
    let flags = Flags::owned(&["us"]);
    flags.platform().put("us").tag("optoggles.shop");
    let read = "GET /api/admin/projects/default/features/us";
    flags.unleash.http.next(1, read, Fault::status(404));
    flags.sync().exits(1).says("belongs to the owner shop");
    let writes = flags.writes_from(0);
    assert_eq!(
        writes,
        ["POST /api/admin/projects/default/features".to_owned()].into()
    );
}

#[test]
fn what_others_own_or_did_not_mark_is_not_retired() {
    let flags = Flags::owned(&["us"]);
    let mut platform = flags.platform();
    for (key, tag) in [
        ("old", "payments"),
        ("theirs", "optoggles.shop"),
        ("gone", "optoggles.payments"),
    ] {
        platform.put(key).tag(tag);
        platform.environment(key, "production").enabled = true;
    }
    platform.edit("gone").archived = true;
    drop(platform);
    flags.sync().exits(0).sums_up("1 toggle: 1 created");
    let writes = flags.writes_from(0);
    assert!(writes.iter().all(|it| !it.contains("off")), "{writes:?}");
}

#[test]
fn more_features_than_a_page_shows_are_retired_in_whatever_project_they_are() {
    let mut flags = Flags::owned(&["us"]);
    let mut platform = flags.platform();
    platform
        .projects
        .insert("shop".to_owned(), vec!["production".to_owned()]);
    for number in 0..250 {
        let feature = platform.put(&format!("old-{number:03}"));
        feature.tag("optoggles.payments");
        feature.environments.get_mut("production").unwrap().enabled = true;
    }
    let moved = platform.edit("old-249");
    moved.project = "shop".to_owned();
    moved.environments.remove("development");
    drop(platform);
    flags
        .sync()
        .exits(0)
        .sums_up("251 toggles: 1 created, 250 retired");
    let mut platform = flags.platform();
    let mut names = (0..250).map(|number| format!("old-{number:03}"));
    assert!(names.all(|it| !platform.environment(&it, "production").enabled));
    drop(platform);
    flags.take_out("us");
    flags.sync().exits(0).sums_up("1 toggle: 1 retired");
}

#[test]
fn max_removal_holds_a_retirement_until_it_is_forced() {
    let mut flags = Flags::owned(&["us", "tax", "eu"]);
    let many = users(0..12);
    flags.opa.allow("tax", &refs(&many));
    flags.opa.allow("eu", &refs(&many));
    flags.sync().exits(0);
    flags.take_out("tax");
    flags.take_out("eu");
    let before = flags.count("*");
    flags
        .sync()
        .exits(1)
        .says("sync --force --toggle tax")
        .sums_up("3 toggles: 1 unchanged, 2 held");
    assert_eq!(flags.writes_from(before), BTreeSet::new());
    let force = ["sync", "--force", "--toggle", "tax"];
    flags
        .program
        .run(&force)
        .exits(0)
        .sums_up("1 toggle: 1 retired");
    assert!(flags.is_on_for("tax", "production", &[], &refs(&many)));
    assert!(flags.is_on_for("eu", "production", &refs(&many), &["ann"]));
}

#[test]
fn a_feature_that_is_deleted_or_archived_while_it_is_retired_is_off() {
    let tags = "GET /api/admin/features/tax/tags";
    for (archived, last_seen) in [(false, SEARCH), (true, SEARCH), (false, tags), (true, tags)] {
        let mut flags = Flags::owned(&["us", "tax"]);
        flags.sync().exits(0);
        flags.take_out("tax");
        let hold = flags.unleash.http.hold_next(last_seen);
        let before = flags.count(last_seen);
        let daemon = flags.program.serve(&[]);
        flags
            .stage
            .wait_until("it was seen", || flags.count(last_seen) > before);
        if archived {
            flags.platform().edit("tax").archived = true;
        } else {
            flags.platform().delete("tax");
        }
        hold.release();
        flags
            .stage
            .wait_until("it is forgotten", || daemon.toggle("tax").is_null());
        daemon.wait_healthy();
        daemon.terminate().exits(0);
    }
}

#[test]
fn a_search_that_is_refused_is_said_and_holds_back_no_update() {
    let flags = Flags::owned(&["us", "tax"]);
    let daemon = flags.serve_in_step();
    flags.unleash.http.always(SEARCH, Fault::status(403));
    daemon.wait_failing();
    let words = "answered 403: stand-in says 403 (the token does not allow this: it has to be one that may change features";
    let is_said = || daemon.process.stderr().contains(words);
    flags.stage.wait_until("it is said", is_said);
    flags.change("us", &["eve"]);
    flags.stage.wait_until("eve has it", || {
        flags.is_on_for("us", "production", &["eve"], &["ann"])
    });
    flags.unleash.http.heal();
    daemon.wait_healthy();
    daemon.terminate().exits(0);
}

#[test]
fn a_mark_that_is_refused_is_said_and_holds_back_no_user() {
    let flags = Flags::owned(&["us"]);
    flags.platform().tag_types.clear();
    flags
        .sync()
        .exits(1)
        .says("Tag type 'simple' does not exist (create it in Unleash, or remove `owner`)");
    assert!(flags.is_on_for("us", "production", &["ann"], &["eve"]));
}

#[test]
fn a_retired_feature_that_moves_or_loses_its_mark_is_followed() {
    let mut flags = Flags::owned(&["us", "tax"]);
    let shop = ("shop".to_owned(), vec!["production".to_owned()]);
    flags.platform().projects.extend([shop]);
    flags.sync().exits(0);
    flags.take_out("tax");
    let daemon = flags.program.serve(&[]);
    flags.wait_off("tax");
    let is_on = || flags.platform().environment("tax", "production").enabled;
    let mut platform = flags.platform();
    let moved = platform.edit("tax");
    moved.project = "shop".to_owned();
    moved.environments.remove("development");
    moved.environments.get_mut("production").unwrap().enabled = true;
    drop(platform);
    flags.stage.wait_until("it is off there", || !is_on());
    flags.platform().edit("tax").tags.clear();
    flags
        .stage
        .wait_until("it is forgotten", || daemon.toggle("tax").is_null());
    flags.platform().environment("tax", "production").enabled = true;
    let searches = flags.count(SEARCH);
    flags.stage.wait_until("two resyncs have passed", || {
        flags.count(SEARCH) > searches + 2
    });
    assert!(is_on());
    daemon.wait_healthy();
}

#[test]
fn a_toggle_that_comes_back_while_it_is_turned_off_is_on_in_the_end() {
    let flags = Flags::owned(&["us", "tax"]);
    let daemon = flags.serve_in_step();
    let whole = flags.program.config().to_owned();
    let off = "POST /api/admin/projects/default/features/tax/environments/production/off";
    let hold = flags.unleash.http.hold_next(off);
    flags.reload(&daemon, &without(&whole, "tax"));
    flags
        .stage
        .wait_until("it is being turned off", || flags.count(off) == 1);
    flags.reload(&daemon, &whole);
    hold.release();
    flags.wait_on("tax");
    daemon.wait_healthy();
    daemon.terminate().exits(0);
}

#[test]
fn a_feature_of_a_toggle_is_never_retired_although_it_was_moved() {
    let flags = Flags::owned(&["us"]);
    flags.sync().exits(0);
    flags.platform().edit("us").project = "shop".to_owned();
    flags
        .sync()
        .exits(1)
        .says("names are unique in all of Unleash")
        .sums_up("1 toggle: 1 failed");
    assert!(flags.platform().environment("us", "production").enabled);
}

#[test]
fn a_toggle_that_leaves_while_it_is_updated_is_turned_off_after_that() {
    let flags = Flags::owned(&["us", "tax"]);
    let daemon = flags.serve_in_step();
    let without_tax = without(flags.program.config(), "tax");
    let strategies = "PUT /api/admin/projects/default/features/tax/environments/production/*";
    let hold = flags.unleash.http.hold_next(strategies);
    flags.change("tax", &["eve"]);
    flags
        .stage
        .wait_until("it is being updated", || flags.count(strategies) == 1);
    flags.reload(&daemon, &without_tax);
    let searches = flags.count(SEARCH);
    flags
        .stage
        .wait_until("it is known as retired, and was resynced", || {
            !daemon.toggle("tax").is_null() && flags.count(SEARCH) > searches
        });
    let off = "POST /api/admin/projects/default/features/tax/environments/*";
    assert_eq!(flags.count(off), 4, "none since it was turned on");
    hold.release();
    flags.wait_off("tax");
    daemon.wait_healthy();
}

#[test]
fn a_retirement_that_is_held_follows_a_reload_that_lets_it_through() {
    let mut flags = Flags::owned(&["us", "tax"]);
    let many = users(0..12);
    flags.opa.allow("tax", &refs(&many));
    let rarely = flags.program.config().replace("\"1s\"", "\"1h\"");
    flags.program.set_config(&rarely);
    let daemon = flags.serve_in_step();
    let without_tax = without(&rarely, "tax");
    flags.reload(&daemon, &without_tax);
    daemon.wait_failing();
    flags.reload(&daemon, &format!("max_removal = \"off\"\n{without_tax}"));
    flags.stage.wait_until("it is off", || {
        flags.is_on_for("tax", "production", &[], &refs(&many))
    });
    daemon.wait_healthy();
    flags.reload(&daemon, &without_tax);
    flags.stage.wait_until("it is known as retired", || {
        daemon.toggle("tax")["state"] == "retired"
    });
}

#[test]
fn a_feature_that_another_owner_marks_later_is_changed_no_more() {
    let flags = Flags::owned(&["us", "tax"]);
    let daemon = flags.serve_in_step();
    flags.platform().edit("us").tag("optoggles.shop");
    daemon.wait_failing();
    flags.opa.allow("tax", &["eve"]);
    flags.change("us", &["eve"]);
    flags.stage.wait_until("the other one is changed", || {
        flags.is_on_for("tax", "production", &["eve"], &["ann"])
    });
    let searches = flags.count(SEARCH);
    flags
        .stage
        .wait_until("it was read again", || flags.count(SEARCH) > searches + 1);
    flags.wait_on("us");
    flags.platform().edit("us").tags.clear();
    flags.stage.wait_until("it is ours again", || {
        flags.is_on_for("us", "production", &["eve"], &["ann"])
    });
    daemon.wait_healthy();
}
