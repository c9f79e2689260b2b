//! Packages of Rego.

use super::*;

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
    for wrong in [
        "",
        ".app",
        "app.",
        "app..rbac",
        "app.2",
        "app/rbac",
        "app rbac",
        "data",
        "data.app",
        "my-team",
        "[\"app\"]",
        "app[\"\"]",
        "app[\"a.b\"]",
        "app[\"a]",
        "app[\"a\"]b",
        "größe",
    ] {
        assert_eq!(package_parts(wrong), None, "{wrong}");
    }
}
