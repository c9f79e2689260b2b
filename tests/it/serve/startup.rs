//! Starting while nothing else is there yet.

use crate::support::{Fault, Server, World};

fn three(world: &World) -> [&Server; 3] {
    [&world.opal.http, &world.opa.http, &world.store.http]
}

fn comes_up_in(order: [usize; 3]) {
    let world = World::of(&["us", "tax"])
        .spec("us", "name = \"US\"")
        .build();
    world.opa.allow("us", &["ann"]);
    world.opa.allow("tax", &["bob"]);
    three(&world).iter().for_each(|server| server.stop());
    let daemon = world.serve();
    daemon.wait_failing();
    assert_eq!(daemon.get("/health/live").status, 200);
    assert_eq!(daemon.get("/health/started").status, 503);
    assert_ne!(daemon.toggle("us")["state"], "in sync");
    for server in &order[..2] {
        three(&world)[*server].start();
        assert_eq!(daemon.get("/health/live").status, 200);
        assert_eq!(daemon.health(), 500);
    }
    three(&world)[order[2]].start();
    world.wait_for_users("us", &["ann"]);
    world.wait_for_users("tax", &["bob"]);
    daemon.wait_healthy();
    assert_eq!(daemon.get("/health/started").status, 200);
    assert_eq!(world.store.toggle("us").unwrap()["name"], "US");
    world.wait_until("tax is in sync", || {
        daemon.toggle("tax")["state"] == "in sync"
    });
}

#[test]
fn everything_may_come_up_later_and_in_any_order() {
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    std::thread::scope(|scope| {
        for order in orders {
            scope.spawn(move || comes_up_in(order));
        }
    });
}

#[test]
fn opal_is_registered_with_before_the_first_query() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    let registered = &world.opal.http.seen("POST /callbacks")[0];
    let queried = &world.opa.http.seen("GET /v1/data/app/*")[0];
    assert!(registered.answered.unwrap() <= queried.received);
    let key = world.opal.keys().concat();
    let address = key.strip_prefix("optoggles:main:").unwrap();
    let url = format!("http://{address}/opa_update/main");
    assert_eq!(world.opal.url_of(&key), Some(url));
    assert_eq!(registered.request.json()["config"]["method"], "post");
    assert!(world.opal.authorization().len() > "Bearer ".len() + 256 / 8);
    drop(daemon);
}

#[test]
fn health_is_500_from_a_failed_creation_and_503_before_anything_is_known() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    world.store.http.always("POST *", Fault::Hang);
    let daemon = world.serve();
    world.wait_until("the creation hangs", || {
        world.store.http.count("POST *") > 0
    });
    assert_eq!(daemon.health(), 503);
    let health = daemon.get("/health").text();
    assert!(health.contains(r#""starting""#), "{health}");
    world.store.http.heal();
    world.store.http.always("POST *", Fault::status(500));
    world.store.http.stop();
    world.store.http.start();
    daemon.wait_failing();
    assert_eq!(daemon.get("/health/started").status, 503);
    world.store.http.heal();
    daemon.wait_healthy();
}

#[test]
fn an_opa_without_opal_is_asked_again_and_again() {
    let poll = "poll_interval = \"1s\"";
    let world = World::of(&["us"]).plain_opa().source_setting(poll).build();
    world.opa.allow("us", &["ann"]);
    let _daemon = world.serve_in_step();
    world.opa.allow("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    assert_eq!(world.opal.http.count("*"), 0);
}

#[test]
fn where_it_cannot_listen_it_says_so_and_exits_1() {
    let world = World::of(&["us"]).build();
    let daemon = world.serve();
    let address = format!("127.0.0.1:{}", daemon.port());
    let config = world.program.config();
    let config = config.replace("{port}", &daemon.port().to_string());
    world.program.write("taken.toml", &config);
    let output = world.program.run(&["-c", "taken.toml", "serve"]).exits(1);
    output.complains(&format!("\nerror: failed to listen on {address}: "));
}
