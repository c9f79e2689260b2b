//! What looks like a reference of another program.

use super::*;

#[test]
fn what_looks_like_a_variable_elsewhere_is_one_in_capital_letters_alone() {
    for value in [
        "$OPA_TOKEN",
        "$(OPA_TOKEN)",
        "%OPA_TOKEN%",
        "{{ OPA_TOKEN }}",
        "{{OPA_TOKEN}}",
    ] {
        assert_eq!(meant_variable(value), Some("OPA_TOKEN"), "{value}");
    }
    for value in ["$opa_token", "$", "%%", "OPA_TOKEN", "$A-B", "a$A", "$5A"] {
        assert_eq!(meant_variable(value), None, "{value}");
    }
}
