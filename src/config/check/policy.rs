//! References to Rego: which rule names the users.

use crate::config::problem::Problem;
use crate::config::reader::{Context, Node, Text};

/// A package, its parts joined with dots: `foo["bar-baz"]` becomes `foo.bar-baz`.
pub(super) fn package(cx: &mut Context, node: &Node) -> Option<String> {
    let text = cx.text(node)?;
    let parts = package_parts(&text.value);
    if parts.is_none() {
        let message = format!("{} is no package of Rego", text.quoted());
        let help = package_help(&text);
        cx.report(Problem::error(
            "invalid-package",
            &text.place,
            message,
            help,
        ));
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
    let help = rule_help(&text);
    cx.report(Problem::error("invalid-rule", &text.place, message, help));
    None
}

/// What may be meant by a package that is none; nothing of what was interpolated is repeated.
fn package_help(text: &Text) -> String {
    let package = text.value.trim();
    let package = package.strip_prefix("package ").unwrap_or(package);
    let dotted = package.replace('/', ".");
    let dotted = dotted.trim_matches('.');
    let dotted = dotted.strip_prefix("data.").unwrap_or(dotted);
    let parts: Vec<String> = dotted.split('.').map(as_in_rego).collect();
    let meant = parts.concat();
    let meant = meant.strip_prefix('.').unwrap_or(&meant);
    if text.is_plain() && package_parts(meant).is_some() {
        // A literal string, because of the quotes that can be in it.
        let quote = if meant.contains('"') { '\'' } else { '"' };
        format!("write `package = {quote}{meant}{quote}`")
    } else {
        "a package is names with dots between them: `package = \"app.rbac\"`".into()
    }
}

/// A part of a package with what joins it to the one before: only a name may follow a dot.
fn as_in_rego(part: &str) -> String {
    match split_identifier(part) {
        None | Some((_, "")) => format!(".{part}"),
        Some((_, rest)) if rest.starts_with('[') => format!(".{part}"),
        Some(_) => format!("[\"{part}\"]"),
    }
}

/// What may be meant by a rule that is none.
fn rule_help(text: &Text) -> String {
    let last = text.value.rsplit(['.', '/']).next();
    match last.filter(|last| text.is_plain() && is_identifier(last)) {
        Some(rule) => format!("write `rule = \"{rule}\"`: what stands before it is the `package`"),
        None => "a rule's name is letters, digits and `_`, such as `rule = \"us_users\"`".into(),
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
