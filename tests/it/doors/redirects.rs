//! Redirects are not followed: nothing arrives at another host.

use serde_json::json;

use super::{House, bystander, opa_source, opal_source};
use crate::support::program::Program;
use crate::support::{Answer, Fault, Server};

const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// The advice beside the status.
const ADVICE: &str = "(redirects are not followed: configure the address it leads to)";

/// One pass in which a server redirects us elsewhere, with each of the statuses.
#[track_caller]
fn leads_nowhere(house: &House, program: &Program, server: &Server) {
    let elsewhere = bystander(&house.stage);
    for status in REDIRECTS {
        for host in [elsewhere.url(), format!("//{}", elsewhere.address())] {
            let answer = Answer::json(status, &json!({}));
            let answer = answer.with("location", &format!("{host}/v1/data?token=hidden"));
            server.always("*", Fault::Answer(answer));
            let args = ["-vv", "sync", "--timeout", "100ms"];
            let output = program.run(&args).exits(1);
            let output = output.says(&format!("answered {status}")).says(ADVICE);
            assert!(!output.stderr.contains("hidden"), "{}", output.picture());
            server.heal();
        }
    }
    assert_eq!(elsewhere.count("*"), 0, "nothing arrives elsewhere");
    assert!(house.store.users("us").is_none(), "nothing was applied");
}

#[test]
fn opal_opa_and_the_target_lead_nowhere() {
    let house = House::new();
    let program = house.program(&opal_source(&house.opal.http.url(), ""), &[]);
    leads_nowhere(&house, &program, &house.opal.http);
    let program = house.program(&opa_source(&house.opa.http.url(), ""), &[]);
    leads_nowhere(&house, &program, &house.opa.http);
    leads_nowhere(&house, &program, &house.store.http);
}

#[test]
fn an_oauth_server_leads_nowhere() {
    let house = House::new();
    let oauth = bystander(&house.stage);
    house.stage.add_secret("secret-of-the-client");
    house.opal.set_config(json!({
        "type": "OPA", "url": house.opa.http.url(), "auth_type": "oauth",
        "oauth_client_id": "us", "oauth_client_secret": "secret-of-the-client",
        "oauth_server": oauth.url(),
    }));
    let program = house.program(&opal_source(&house.opal.http.url(), ""), &[]);
    leads_nowhere(&house, &program, &oauth);
}
