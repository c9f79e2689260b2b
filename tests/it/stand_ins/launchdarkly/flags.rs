//! Creating, reading and listing flags.

use super::*;

const FLAGS: &str = "/api/v2/flags/default";

fn create(platform: &mut Platform, body: &Value) -> (u16, Value) {
    let answer = ask(platform, "POST", FLAGS, body);
    (answer.status, json_of(&answer))
}

#[test]
fn a_new_flag_is_boolean_with_true_first_and_off_everywhere() {
    let mut platform = platform();
    let (status, flag) = create(&mut platform, &json!({ "key": "new", "name": "New" }));
    assert_eq!(status, 201);
    assert_eq!(flag["kind"], "boolean");
    assert_eq!(flag["variations"][0]["value"], true);
    assert_eq!(flag["variations"][1]["value"], false);
    assert_ne!(flag["variations"][0]["_id"], flag["variations"][1]["_id"]);
    for environment in ["production", "test"] {
        let config = &flag["environments"][environment];
        assert_eq!(config["on"], false);
        assert_eq!(config["fallthrough"], json!({ "variation": 0 }));
        assert_eq!(config["offVariation"], 1);
        assert_eq!(config["targets"], json!([]));
    }
    let (_, other) = create(&mut platform, &json!({ "key": "b", "name": "B" }));
    assert_ne!(flag["variations"][0]["_id"], other["variations"][0]["_id"]);
}

#[test]
fn a_new_flag_has_what_was_asked_for() {
    let mut platform = platform();
    let body = json!({
        "key": "new",
        "name": "New",
        "description": "For the US.",
        "tags": ["policy"],
        "temporary": false,
        "variations": [{ "value": false, "name": "Off" }, { "value": true }],
        "defaults": { "onVariation": 0, "offVariation": 0 },
        "clientSideAvailability": { "usingEnvironmentId": true, "usingMobileKey": true },
    });
    let (_, flag) = create(&mut platform, &body);
    for member in [
        "name",
        "description",
        "tags",
        "temporary",
        "clientSideAvailability",
    ] {
        assert_eq!(flag[member], body[member]);
    }
    assert_eq!(flag["variations"][0]["name"], "Off");
    assert_eq!(flag["environments"]["test"]["offVariation"], 0);
    assert_eq!(platform.flag("default", "new").unwrap().name, "New");
}

#[test]
fn a_flag_that_does_not_fit_is_not_created() {
    let mut platform = platform();
    let long = "t".repeat(65);
    for wrong in [
        json!({ "key": "us", "name": " " }),
        json!({ "key": "u s", "name": "US" }),
        json!({ "key": "-us", "name": "US" }),
        json!({ "key": "", "name": "US" }),
        json!({ "key": "new" }),
        json!({ "key": "new", "name": "New", "tags": ["a b"] }),
        json!({ "key": "new", "name": "New", "tags": [long] }),
        json!({ "key": "new", "name": "New", "users": [] }),
        json!({ "key": "new", "name": "New", "variations": [{ "value": true }] }),
        json!({ "key": "new", "name": "New", "variations": [{ "value": true }, { "value": true }] }),
        json!({ "key": "new", "name": "New", "variations": [{ "value": 1, "_id": "x" }, { "value": 2 }] }),
        json!({ "key": "new", "name": "New", "defaults": { "onVariation": 0, "offVariation": 2 } }),
        json!({ "key": "new", "name": "New", "clientSideAvailability": { "usingMobileKey": true } }),
    ] {
        assert_eq!(create(&mut platform, &wrong).0, 400, "{wrong}");
    }
    let right = json!({ "key": "us", "name": "US" });
    assert_eq!(create(&mut platform, &right).0, 409);
    let elsewhere = ask(&mut platform, "POST", "/api/v2/flags/other", &right);
    assert_eq!(elsewhere.status, 404);
    let mut request = request("POST", FLAGS, &right);
    request.headers.retain(|(name, _)| name != "content-length");
    assert_eq!(platform.answer(&request, now()).status, 411);
    request.headers.push(("content-length".into(), "1".into()));
    request.headers.retain(|(name, _)| name != "content-type");
    assert_eq!(platform.answer(&request, now()).status, 400);
}

#[test]
fn a_read_gives_the_environments_that_were_asked_for() {
    let mut platform = platform();
    let mut environments = |query: &str| {
        let (status, flag) = get(&mut platform, &format!("{US}{query}"));
        let shown = flag["environments"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        (
            status,
            shown.into_iter().map(|(key, _)| key).collect::<Vec<_>>(),
        )
    };
    let both = vec!["production".to_owned(), "test".to_owned()];
    assert_eq!(environments(""), (200, both.clone()));
    assert_eq!(environments("?env=test&env=production"), (200, both));
    assert_eq!(
        environments("?env=test&env=stage"),
        (200, vec!["test".into()])
    );
    assert_eq!(environments("?summary=0").0, 400);
    platform.strict_environments = true;
    assert_eq!(
        get(&mut platform, &format!("{US}?env=test&env=stage")).0,
        404
    );
    assert_eq!(get(&mut platform, &format!("{FLAGS}?env=stage")).0, 404);
}

#[test]
fn a_deleted_flag_is_gone() {
    let mut platform = platform();
    platform.delete("default", "us");
    assert_eq!(get(&mut platform, US).0, 404);
    assert_eq!(patch(&mut platform, json!([{ "kind": "turnFlagOn" }])), 404);
}

#[test]
fn an_off_variation_that_is_not_set_is_not_shown() {
    let mut platform = platform();
    platform
        .edit("default", "us")
        .environment("test")
        .off_variation = None;
    let (_, flag) = get(&mut platform, US);
    let config = flag["environments"]["test"].as_object().unwrap();
    assert!(!config.contains_key("offVariation"));
}

#[test]
fn the_list_comes_in_pages_with_links() {
    let mut platform = platform();
    for number in 10..34 {
        platform.put("default", &format!("f{number}"), &[json!(1), json!(2)]);
    }
    let (_, page) = get(&mut platform, FLAGS);
    assert_eq!(page["items"].as_array().unwrap().len(), 20);
    assert_eq!(page["totalCount"], 25);
    assert!(page["_links"]["prev"].is_null() && page["_links"]["first"].is_null());
    let (_, page) = get(
        &mut platform,
        &format!("{FLAGS}?limit=10&offset=10&env=test"),
    );
    assert_eq!(page["items"][0]["key"], "f20");
    assert_eq!(
        page["_links"]["last"]["href"],
        format!("{FLAGS}?limit=10&offset=20&env=test")
    );
    let next = page["_links"]["next"]["href"].as_str().unwrap().to_owned();
    let (_, page) = get(&mut platform, &next);
    assert_eq!(page["items"].as_array().unwrap().len(), 5);
    assert!(page["_links"]["next"].is_null() && page["_links"]["last"].is_null());
    assert_eq!(get(&mut platform, &format!("{FLAGS}?limit=many")).0, 400);
}

#[test]
fn the_list_has_targets_only_where_it_is_asked_for_them() {
    let mut platform = platform();
    let (_, page) = get(&mut platform, FLAGS);
    assert!(page["items"][0]["environments"].is_null());
    let (_, page) = get(&mut platform, &format!("{FLAGS}?env=test"));
    let config = &page["items"][0]["environments"]["test"];
    assert!(config["on"].is_boolean() && config["targets"].is_null() && config["rules"].is_null());
    let (_, page) = get(&mut platform, &format!("{FLAGS}?env=test&summary=0"));
    let environments = &page["items"][0]["environments"];
    assert!(environments["test"]["targets"].is_array() && environments["production"].is_null());
}

#[test]
fn the_list_can_be_filtered_and_leaves_archived_flags_out() {
    let mut platform = platform();
    platform
        .put("default", "old", &[json!(1), json!(2)])
        .archived = true;
    platform.put("default", "eu", &[json!(1), json!(2)]).tags =
        ["a", "b"].map(str::to_owned).into();
    let mut keys = |query: &str| {
        let (_, page) = get(&mut platform, &format!("{FLAGS}?filter={query}"));
        let items = page["items"].as_array().cloned().unwrap_or_default();
        let keys = items.iter().filter_map(|item| item["key"].as_str());
        keys.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(keys(""), "eu us");
    assert_eq!(keys("state:live"), "eu us");
    assert_eq!(keys("state:archived"), "old");
    assert_eq!(keys("query:U"), "eu us");
    assert_eq!(keys("query:e,tags:b%2Ba"), "eu");
    assert_eq!(
        keys("tags:b+a"),
        "",
        "a plus is a blank unless it is encoded"
    );
    assert_eq!(keys("nonsense"), "");
}
