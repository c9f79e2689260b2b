//! What is printed of a secret, and what matches it.

use super::*;

#[test]
fn a_secret_prints_as_redacted() {
    let secret = Secret::new("hunter2");
    assert_eq!(format!("{secret:?}"), "[redacted]");
}

#[test]
fn a_secret_matches_itself_alone() {
    let secret = Secret::new("hunter2");
    assert!(secret.matches("hunter2"));
    for wrong in ["", "hunter", "hunter22", "Hunter2", "hunter3"] {
        assert!(!secret.matches(wrong), "{wrong:?}");
    }
}
