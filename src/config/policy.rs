//! References to Rego: which rule names the users.

use super::keys::Form;

pub(super) const PACKAGE: Form = Form {
    is_met: |text| package_parts(text).is_some(),
    code: "invalid-package",
    what: "Rego package",
    of: "names with dots between them, without `data` (`app[\"my-team\"]` for what is not a name)",
};

pub(super) const RULE: Form = Form {
    is_met: is_identifier,
    code: "invalid-rule",
    what: "Rego rule name",
    of: "letters, digits and `_`, without its package",
};

/// The parts of a package: `foo["bar-baz"]` are `foo` and `bar-baz`. None if it is not a package, or one
/// that a dotted path cannot name.
pub(super) fn package_parts(package: &str) -> Option<Vec<&str>> {
    let (first, mut rest) = split_identifier(package)?;
    if first == "data" {
        // Every package is below `data` already, and Rego has no package of that name.
        return None;
    }
    let mut parts = vec![first];
    while !rest.is_empty() {
        let part;
        if let Some(dotted) = rest.strip_prefix('.') {
            (part, rest) = split_identifier(dotted)?;
        } else {
            (part, rest) = rest.strip_prefix("[\"")?.split_once("\"]")?;
            let is_plain = |c: char| !c.is_control() && !matches!(c, '.' | '"' | '\\');
            if part.is_empty() || !part.chars().all(is_plain) {
                return None;
            }
        }
        parts.push(part);
    }
    Some(parts)
}

fn split_identifier(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let (identifier, rest) = text.split_at(end.unwrap_or(text.len()));
    is_identifier(identifier).then_some((identifier, rest))
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
#[path = "tests/policy.rs"]
mod tests;
