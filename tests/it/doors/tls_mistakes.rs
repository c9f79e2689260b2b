//! TLS mistakes: nothing is sent, and the error says what to do.

use std::io::Write;

use super::{House, opa_source};
use crate::support::output::Output;
use crate::support::port::listen_anywhere;
use crate::support::program::Program;
use crate::support::tls::{Authority, Door, Front, Identity};

const TRUSTING: &str = "ca_file = \"ca.pem\"";
const CERTIFIED: &str =
    "ca_file = \"ca.pem\"\ncert_file = \"client.pem\"\nkey_file = \"client.key\"";

/// A house whose OPA is behind a TLS server.
struct Behind {
    house: House,
    authority: Authority,
    front: Front,
}

impl Behind {
    fn new(identity: &Identity, authority: Authority) -> Behind {
        let house = House::new();
        let front = Front::open(&house.opa.http, &Door::of(identity));
        Behind {
            house,
            authority,
            front,
        }
    }

    fn program(&self, lines: &str) -> Program {
        let source = opa_source(&self.front.url("localhost"), lines);
        let program = self.house.program(&source, &[]);
        program.write("ca.pem", &self.authority.pem);
        program
    }

    /// One pass fails, and nothing is sent.
    #[track_caller]
    fn fails(&self, program: &Program) -> Output {
        let args = ["sync", "--timeout", "100ms"];
        let output = program.run(&args).exits(1).says("failed: ");
        assert_eq!(self.house.opa.http.count("*"), 0, "nothing is sent");
        assert_eq!(
            self.house.store.http.count("PATCH *"),
            0,
            "nor to the target"
        );
        output
    }
}

#[test]
fn a_server_of_an_unknown_authority_is_not_talked_to() {
    let authority = Authority::new();
    let world = Behind::new(&authority.certify("localhost"), authority);
    let output = world.fails(&world.program(""));
    output
        .says("TLS failed: ")
        .says("UnknownIssuer")
        .says("for a private CA, set ca_file to its current certificate");
    let program = world.program(TRUSTING);
    program.write("ca.pem", &Authority::new().pem);
    // It has the name of ours.
    world.fails(&program).says("BadSignature").says("ca_file");
    assert_eq!(world.front.passed(), 0);
}

#[test]
fn a_certificate_whose_time_is_over_is_not_trusted() {
    let authority = Authority::new();
    let world = Behind::new(&authority.certify_until_yesterday("localhost"), authority);
    let output = world.fails(&world.program(TRUSTING));
    output
        .says("expired")
        .says("renew the server's certificate")
        .says_not("ca_file");
}

#[test]
fn a_certificate_of_another_host_is_not_trusted() {
    let authority = Authority::new();
    let world = Behind::new(&authority.certify("opa.example"), authority);
    let output = world.fails(&world.program(TRUSTING));
    output
        .says("localhost")
        .says("opa.example")
        .says("use a host that the server's certificate names")
        .says_not("ca_file");
}

#[test]
fn where_a_client_certificate_is_missing_or_wrong_the_error_says_so() {
    for version in rustls::ALL_VERSIONS {
        let (authority, clients) = (Authority::new(), Authority::new());
        let identity = authority.certify("localhost");
        let house = House::new();
        let door = Door {
            versions: &[version],
            ..Door::of(&identity).for_clients_of(&clients)
        };
        let front = Front::open(&house.opa.http, &door);
        let world = Behind {
            house,
            authority,
            front,
        };
        let output = world.fails(&world.program(TRUSTING));
        output
            .says("TLS failed")
            .says("the server requires another client certificate: check cert_file and key_file");
        let program = world.program(CERTIFIED);
        let stranger = Authority::new().certify("optoggles");
        program.write("client.pem", &stranger.cert);
        program.write("client.key", &stranger.key);
        let output = world.fails(&program);
        output
            .says("TLS failed")
            .says("the server requires another client certificate: check cert_file and key_file");
        assert_eq!(world.front.passed(), 0, "{version:?}");
    }
}

#[test]
fn an_address_with_the_wrong_scheme_is_answered_with_the_right_one() {
    let authority = Authority::new();
    let world = Behind::new(&authority.certify("localhost"), authority);
    let listener = listen_anywhere();
    let plain = listener.local_addr().unwrap();
    // A server such as OPA's answers what is not HTTP.
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        std::io::copy(&mut stream, &mut std::io::sink())
    });
    let source = opa_source(&format!("https://{plain}"), "");
    let program = world.house.program(&source, &[]);
    let args = ["sync", "--timeout", "100ms"];
    let output = program.run(&args).exits(1);
    output.says("TLS failed").says("is it an http:// address?");
    let _ = server.join();
    let url = world.front.url("localhost").replace("https:", "http:");
    let program = world.house.program(&opa_source(&url, ""), &[]);
    let output = world.fails(&program);
    output.says("is it an https:// address?");
}

#[test]
fn health_tells_of_tls_without_details() {
    let authority = Authority::new();
    let world = Behind::new(&authority.certify("localhost"), authority);
    let daemon = world.program("").serve(&[]);
    world.house.wait_for_reason(&daemon, "TLS failed");
    let output = daemon.terminate().exits(0);
    output.complains("UnknownIssuer");
}
