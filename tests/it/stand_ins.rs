//! What other tests rely on and would not miss: the search for secrets, and the soak's faults.

use crate::support::opa::Opa;
use crate::support::{Fault, Stage, client};

#[test]
fn some_requests_meet_a_fault_and_the_last_ones_are_remembered() {
    let stage = Stage::new();
    let opa = Opa::start(&stage, None);
    opa.allow("us", &["bob", "ann"]);
    assert_eq!(opa.users("us"), ["ann", "bob"]);
    opa.http.sometimes(3, "*", Fault::status(503));
    opa.http.remember(4);
    let path = "/v1/data/app/rbac/us";
    let query = || client::request(opa.http.address(), "GET", path, &[], b"").unwrap();
    let statuses: Vec<u16> = (0..7).map(|_| query().status).collect();
    assert_eq!(statuses, [200, 200, 503, 200, 200, 503, 200]);
    assert_eq!((opa.http.total(), opa.http.count("*")), (7, 4));
}

#[test]
fn a_leak_is_found() {
    let stage = Stage::new();
    stage.add_secret("hunter2");
    let text = "good\nAuthorization: Bearer [redacted]\nBearer ${T}\nBearer x\nit is hunter2!\n";
    assert_eq!(stage.leaks(text), ["Bearer x", "it is hunter2!"]);
}
