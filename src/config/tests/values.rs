//! What single values look like.

use super::*;
use crate::config::keys::package_parts;

#[test]
fn an_address_to_listen_at_is_a_host_and_a_port() {
    for (text, host, port) in [
        (":8080", "", 8080),
        ("0.0.0.0:0", "0.0.0.0", 0),
        ("[::1]:80", "::1", 80),
        ("localhost:65535", "localhost", 65535),
    ] {
        let host = host.to_owned();
        assert_eq!(parse_bind(text), Some(Bind { host, port }), "{text}");
    }
    let wrong = "|8080|host|host:|host:+80|host:65536|::1:80|[::1]|[host]:80|*:80|http://host:80";
    for wrong in wrong.split('|') {
        assert_eq!(parse_bind(wrong), None, "{wrong}");
    }
}

#[test]
fn a_package_is_written_as_in_rego() {
    for (package, parts) in [
        ("app", vec!["app"]),
        ("app.rbac_2", vec!["app", "rbac_2"]),
        ("app[\"my-team\"].rbac", vec!["app", "my-team", "rbac"]),
        ("database.x", vec!["database", "x"]),
    ] {
        assert_eq!(package_parts(package), Some(parts), "{package}");
    }
    let wrong = "|.app|app.|app..rbac|app.2|app/rbac|app rbac|data|data.app|my-team|[\"app\"]|\
                 app[\"\"]|app[\"a.b\"]|app[\"a]|app[\"a\"]b|größe";
    for wrong in wrong.split('|') {
        assert_eq!(package_parts(wrong), None, "{wrong}");
    }
}

#[test]
fn what_looks_like_a_variable_elsewhere_is_one_in_capital_letters_alone() {
    for value in [
        "$OPA_TOKEN",
        "$(OPA_TOKEN)",
        "%OPA_TOKEN%",
        "{{ OPA_TOKEN }}",
    ] {
        assert_eq!(meant_variable(value), Some("OPA_TOKEN"), "{value}");
    }
    for value in ["$opa_token", "$", "%%", "OPA_TOKEN", "$A-B", "a$A", "$5A"] {
        assert_eq!(meant_variable(value), None, "{value}");
    }
}
