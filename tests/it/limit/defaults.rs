//! The limit where the configuration says nothing, and how it is turned off.

use crate::support::World;

fn names(count: usize) -> Vec<&'static str> {
    let names = (0..count).map(|number| &*format!("user-{number:03}").leak());
    names.collect()
}

/// A toggle that so many users have, by the rule and at the target.
fn world(count: usize, settings: &[&str]) -> World {
    let plan = World::of(&["us"]).readable();
    let plan = settings.iter().fold(plan, |plan, line| plan.setting(line));
    let world = plan.build();
    let names = names(count);
    world.store.put("us", &names);
    world.opa.allow("us", &names);
    world
}

fn there(world: &World) -> usize {
    world.store.users("us").unwrap().len()
}

#[test]
fn where_ten_users_or_more_have_a_toggle_half_of_them_are_the_limit() {
    let unlimited = world(40, &[]);
    unlimited.opa.allow("us", &[]);
    let held = "us held: it would remove 40 of 40 users, more than the default max_removal = \"50%\" allows";
    unlimited.sync(&[]).exits(1).reports_start(held);
    assert_eq!(there(&unlimited), 40);
    for (count, left, held) in [(10, 4, true), (10, 5, false), (9, 0, false)] {
        let world = world(count, &[]);
        let names = names(left);
        world.opa.allow("us", &names);
        world.sync(&[]).exits(i32::from(held));
        let expected = if held { count } else { left };
        assert_eq!(there(&world), expected, "{left} of {count}");
    }
}

#[test]
fn a_reload_with_a_larger_limit_ends_a_hold() {
    let world = world(40, &[]);
    let daemon = world.serve_in_step();
    let left = names(10);
    world.change("us", &left);
    daemon.wait_failing();
    let health = daemon.get("/health").text();
    assert!(health.contains("30 of 40 users"), "{health}");
    assert_eq!(there(&world), 40);
    let config = format!("max_removal = \"75%\"\n{}", world.program.config());
    world.program.reload(&daemon, &config);
    world.wait_for_users("us", &left);
    daemon.wait_healthy();
}

#[test]
fn small_steps_within_moments_do_not_add_up_to_more_than_the_limit() {
    let world = world(100, &[]);
    let daemon = world.serve_in_step();
    let mut left = 100;
    for _ in 0..11 {
        left = left * 71 / 100;
        let names = names(left);
        let queries = world.queries("us");
        world.change("us", &names);
        world.wait_until("the change is made, or held", || {
            let state = daemon.toggle("us")["state"].clone();
            let made = there(&world) == left && state == "in sync";
            world.queries("us") > queries && (made || state == "held")
        });
    }
    assert!(left < 4);
    assert!(there(&world) >= 50, "{} are left", there(&world));
    let health = daemon.get("/health").text();
    assert!(health.contains("of 100 users"), "{health}");
}
