//! Sources and targets over TLS, through real TLS servers.

use serde_json::json;

use super::{House, opa_source, opal_source};
use crate::support::launchdarkly::LaunchDarkly;
use crate::support::program::Program;
use crate::support::tls::{Authority, Door, Front};
use crate::support::world::{FLAGS_TOKEN, OPA_TOKEN};

/// The name in the servers' certificates.
const HOST: &str = "localhost";

/// A house whose OPAL and OPA are behind TLS servers of one authority.
struct Secured {
    house: House,
    authority: Authority,
    opal: Front,
    opa: Front,
}

fn secured(clients: Option<&Authority>) -> Secured {
    let house = House::new();
    let authority = Authority::new();
    let identity = authority.certify(HOST);
    let door = || Door {
        clients,
        ..Door::of(&identity)
    };
    let opa = Front::open(&house.opa.http, &door());
    let opal = Front::open(&house.opal.http, &door());
    let config =
        json!({"type": "OPA", "url": opa.url(HOST), "auth_type": "token", "token": OPA_TOKEN});
    house.opal.set_config(config);
    Secured {
        house,
        authority,
        opal,
        opa,
    }
}

impl Secured {
    /// The program that trusts the authority, with more lines in its source.
    fn program(&self, lines: &str) -> Program {
        let lines = format!("ca_file = \"ca.pem\"\n{lines}");
        let source = opal_source(&self.opal.url(HOST), &lines);
        let program = self.house.program(&source, &[]);
        program.write("ca.pem", &self.authority.pem);
        program
    }
}

/// The lines of a source that has a client certificate.
const CERTIFIED: &str = "cert_file = \"client.pem\"\nkey_file = \"client.key\"";

fn certify(program: &Program, authority: &Authority) {
    let client = authority.certify("optoggles");
    program.write("client.pem", &client.cert);
    program.write("client.key", &client.key);
}

#[test]
fn opal_and_opa_are_asked_over_tls_with_a_private_authority() {
    let world = secured(None);
    let program = world.program("");
    // Several authorities can be trusted at once.
    let (other, ours) = (Authority::new().pem, &world.authority.pem);
    program.write("ca.pem", &format!("{other}\n# ours\n{ours}"));
    let daemon = program.serve(&[]);
    daemon.wait_healthy();
    world.house.wait_for_users(&["ann"]);
    world.house.change(&["ann", "bob"]);
    assert!(world.opal.passed() > 0 && world.opa.passed() > 0);
    daemon.terminate().exits(0);
    assert!(world.house.opal.keys().is_empty(), "it unregisters too");
    program.run(&["check-config", "--online"]).exits(0);
}

#[test]
fn a_client_certificate_is_shown_to_opal_and_opa() {
    let clients = Authority::new();
    let world = secured(Some(&clients));
    let program = world.program(CERTIFIED);
    certify(&program, &clients);
    let daemon = program.serve(&[]);
    daemon.wait_healthy();
    world.house.change(&["bob"]);
    drop(daemon);
    world.house.store.put("us", &[]);
    let output = program.run(&["sync"]).exits(0);
    output.sums_up("1 toggle: 1 updated");
}

#[test]
fn opa_lets_us_in_by_our_certificate_alone_where_opal_says_tls() {
    let clients = Authority::new();
    let house = House::new();
    let authority = Authority::new();
    let identity = authority.certify(HOST);
    let opa = crate::support::opa::Opa::start(&house.stage, None);
    opa.allow("us", &["ann"]);
    let front = Front::open(&opa.http, &Door::of(&identity).for_clients_of(&clients));
    let config = json!({"type": "OPA", "url": front.url(HOST), "auth_type": "tls"});
    house.opal.set_config(config);
    let url = house.opal.http.url();
    let lines = format!("ca_file = \"ca.pem\"\n{CERTIFIED}");
    let program = house.program(&opal_source(&url, &lines), &[]);
    program.write("ca.pem", &authority.pem);
    certify(&program, &clients);
    program.run(&["sync"]).exits(0);
    house.wait_for_users(&["ann"]);
    let seen = opa.http.seen("GET /v1/data/app/*");
    assert_eq!(seen[0].request.header("authorization"), None);

    let lines = "ca_file = \"ca.pem\"";
    let program = house.program(&opal_source(&url, lines), &[]);
    program.write("ca.pem", &authority.pem);
    let output = program.run(&["sync"]).exits(1);
    output.says("OPA requires a client certificate: set cert_file and key_file on the source");
}

#[test]
fn an_opa_without_opal_is_asked_over_tls_with_a_client_certificate() {
    let (house, authority, clients) = (House::new(), Authority::new(), Authority::new());
    // An address is a name too.
    let identity = authority.certify("127.0.0.1");
    for version in rustls::ALL_VERSIONS {
        let door = Door {
            versions: &[version],
            ..Door::of(&identity).for_clients_of(&clients)
        };
        let front = Front::open(&house.opa.http, &door);
        let lines = format!("ca_file = \"ca.pem\"\n{CERTIFIED}");
        let source = opa_source(&front.url("127.0.0.1"), &lines);
        let program = house.program(&source, &[]);
        program.write("ca.pem", &authority.pem);
        certify(&program, &clients);
        house.store.put("us", &[]);
        program.run(&["sync"]).exits(0);
        house.wait_for_users(&["ann"]);
    }
}

/// A toggle that every type of target takes.
fn toggle(target: &str) -> String {
    format!(
        "[[toggles]]\nkey = \"us\"\ntarget = \"{target}\"\nusers_policy = {{ source = \"main\", \
         package = \"app.rbac\", rule = \"us\" }}\n[toggles.spec]\nname = \"US\"\n\
         proj_key = \"default\"\nenvironments = [\"test\"]\n"
    )
}

#[test]
fn targets_are_asked_over_tls_with_a_private_authority_and_a_client_certificate() {
    const TOKEN: &str = "token-of-the-tests-of-tls-40bd";
    let (house, authority, clients) = (House::new(), Authority::new(), Authority::new());
    house.stage.add_secret(TOKEN);
    let launchdarkly = LaunchDarkly::start(&house.stage, TOKEN);
    launchdarkly.platform().add_project("default", &["test"]);
    let identity = authority.certify(HOST);
    let door = || Door::of(&identity).for_clients_of(&clients);
    let store = Front::open(&house.store.http, &door());
    let flags = Front::open(&launchdarkly.http, &door());
    let config = format!(
        "[[sources]]\nid = \"main\"\n{}\n\
         [[targets]]\nid = \"shop\"\ntype = \"restapi\"\nendpoint_url = \"{}/api/toggles\"\n\
         extra_headers = {{ Authorization = \"Bearer {FLAGS_TOKEN}\" }}\nca_file = \"ca.pem\"\n{CERTIFIED}\n\
         [[targets]]\nid = \"ld\"\ntype = \"launchdarkly\"\ntoken = \"{TOKEN}\"\nbase_url = \"{}\"\n\
         ca_file = \"ca.pem\"\n{CERTIFIED}\n{}{}",
        opa_source(&house.opa.http.url(), ""),
        store.url(HOST),
        flags.url(HOST),
        toggle("shop"),
        toggle("ld"),
    );
    let program = Program::new(&house.stage, &config, &[("OPA_TOKEN", OPA_TOKEN)]);
    program.write("ca.pem", &authority.pem);
    certify(&program, &clients);
    program.run(&["check-config", "--online"]).exits(0);
    program.run(&["sync"]).exits(0);
    house.wait_for_users(&["ann"]);
    let platform = launchdarkly.platform();
    assert!(platform.is_on_for("default", "us", "test", &["ann"], &["eve"]));
    assert!(store.passed() > 0 && flags.passed() > 0);
}
