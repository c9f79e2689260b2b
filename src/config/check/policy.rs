//! References to Rego: which rule names the users.

use crate::config::problem::Problem;
use crate::config::reader::{Context, Node};

/// A package, its parts joined with dots: `foo["bar-baz"]` becomes `foo.bar-baz`.
pub(super) fn package(cx: &mut Context, node: &Node) -> Option<String> {
    let text = cx.text(node)?;
    let parts = package_parts(&text.value);
    if parts.is_none() {
        let message = format!("{} is no package of Rego", text.quoted());
        let mut problem = Problem::error("invalid-package", &text.place, message);
        problem.help = Some(package_help(&text.value).into());
        cx.report(problem);
    }
    Some(parts?.join("."))
}

/// A rule's name.
pub(super) fn rule(cx: &mut Context, node: &Node) -> Option<String> {
    let text = cx.text(node)?;
    if is_identifier(&text.value) {
        return Some(text.value);
    }
    let message = format!("{} is no name of a rule of Rego", text.quoted());
    let help = if text.value.contains(['.', '/']) {
        "write the last part alone: what stands before it is the `package`"
    } else {
        "a rule's name is letters, digits and `_`, and does not begin with a digit"
    };
    cx.report(Problem::error("invalid-rule", &text.place, message).help(help));
    None
}

fn package_help(package: &str) -> &'static str {
    if package.starts_with("data.") || package.starts_with("data/") || package == "data" {
        "leave out `data`: the package alone is enough"
    } else if package.starts_with("package ") {
        "leave out the word `package`"
    } else if package.contains('/') {
        "write dots instead of slashes"
    } else if package.contains('-') {
        "write a part with a `-` as in Rego: `foo[\"bar-baz\"]`"
    } else {
        "a package is names with dots between them, such as \"app.rbac\""
    }
}

/// The parts of a package; none if it is no package, or one that a dotted path cannot name.
fn package_parts(package: &str) -> Option<Vec<&str>> {
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
mod tests {
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
}
