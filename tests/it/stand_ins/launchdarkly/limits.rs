//! What the stand-in can be asked to be difficult about.

use super::*;
use crate::support::launchdarkly::Limit;

#[test]
fn requests_beyond_the_budget_are_refused_until_the_window_ends() {
    let mut platform = platform();
    platform.limit = Limit::new(2, Duration::from_millis(1500)).with_retry_after();
    let mut ask = |after: u64| {
        let time = now() + Duration::from_millis(after);
        platform.answer(&request("GET", US, &Value::Null), time)
    };
    let first = ask(0);
    assert_eq!(first.status, 200);
    let header = |answer: &Answer, name: &str| {
        let found = answer.headers.iter().find(|(one, _)| one == name);
        found.map(|(_, value)| value.clone())
    };
    let remaining = header(&first, "X-Ratelimit-Global-Remaining");
    assert_eq!(remaining.as_deref(), Some("1"));
    assert_eq!(ask(100).status, 200);
    let refused = ask(200);
    assert_eq!(refused.status, 429);
    assert_eq!(json_of(&refused)["code"], "rate_limited");
    assert_eq!(header(&refused, "Retry-After").as_deref(), Some("2"));
    let reset = header(&refused, "X-Ratelimit-Reset");
    assert_eq!(reset.as_deref(), Some("1001500"));
    assert_eq!(ask(1499).status, 429);
    assert_eq!(ask(1500).status, 200);
}

#[test]
fn without_being_asked_a_refusal_has_no_retry_after() {
    let mut platform = platform();
    platform.limit = Limit::new(0, Duration::from_secs(10));
    let refused = ask(&mut platform, "GET", US, &Value::Null);
    assert_eq!(refused.status, 429);
    assert!(
        refused
            .headers
            .iter()
            .all(|(name, _)| name != "Retry-After")
    );
}

#[test]
fn a_change_where_approvals_are_required_is_refused_and_other_patches_are_not() {
    let mut platform = platform();
    let turn_on = json!([{ "kind": "turnFlagOn" }]);
    for status in [405, 403] {
        platform.require_approval("default", "production", status);
        assert_eq!(patch(&mut platform, turn_on.clone()), status);
    }
    let nothing_new = json!([{ "kind": "turnFlagOff" }]);
    assert_eq!(patch(&mut platform, nothing_new), 200);
    let name = json!([{ "kind": "updateName", "value": "US" }]);
    assert_eq!(patch(&mut platform, name), 200);
    let elsewhere = json!({ "environmentKey": "test", "instructions": turn_on });
    assert_eq!(ask(&mut platform, "PATCH", US, &elsewhere).status, 200);
    let flag = platform.edit("default", "us");
    assert!(!flag.environment("production").on && flag.environment("test").on);
}

#[test]
fn a_new_flag_can_be_unseen_for_a_while() {
    let mut platform = platform();
    platform.unseen_reads = 2;
    let body = json!({ "key": "new", "name": "New" });
    let path = "/api/v2/flags/default";
    assert_eq!(ask(&mut platform, "POST", path, &body).status, 201);
    let mut read = || get(&mut platform, "/api/v2/flags/default/new").0;
    assert_eq!([read(), read(), read()], [404, 404, 200]);
    assert_eq!(ask(&mut platform, "POST", path, &body).status, 409);
}
