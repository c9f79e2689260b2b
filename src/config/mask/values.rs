//! What is taken out of a single value, as it stands in the file.

use std::ops::Range;

use crate::config::mask::words::Show;

/// The parts of a value that must not be shown, as bytes of the file.
pub(super) fn hidden(text: &str, span: &Range<usize>, show: Show) -> Vec<Range<usize>> {
    let inside = inside(text, span);
    let value = text.get(inside.clone()).unwrap_or_default();
    let hidden = match show {
        // Who puts a key into the file itself where its path is wanted has put a secret there.
        Show::Whole if value.contains("-----BEGIN") => std::iter::once(0..value.len()).collect(),
        Show::Whole if !value.contains("://") => Vec::new(),
        Show::Whole | Show::Address => around_host(value),
        Show::Nothing | Show::NoText => between_references(value),
    };
    let in_file = |part: Range<usize>| inside.start + part.start..inside.start + part.end;
    hidden.into_iter().map(in_file).collect()
}

/// A value without its quotes.
fn inside(text: &str, span: &Range<usize>) -> Range<usize> {
    let value = text.get(span.clone()).unwrap_or_default();
    for quote in ["\"\"\"", "'''", "\"", "'"] {
        let unquoted = value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote));
        if unquoted.is_some() {
            return span.start + quote.len()..span.end - quote.len();
        }
    }
    span.clone()
}

/// What of an address is more than a scheme, a host, a port and a path: a user name and password,
/// a query, what stands where a port should be (a password, if the `@` was forgotten), and all
/// behind a character that no URL has.
pub(super) fn around_host(url: &str) -> Vec<Range<usize>> {
    let host = url.find("://").map_or(0, |at| at + "://".len());
    let user = url.rfind('@').filter(|at| *at > host).map(|at| host..at);
    let from = user.as_ref().map_or(host, |user| user.end);
    let rest = url.get(from..).unwrap_or_default();
    let no_port = no_port(rest).map(|at| from + at..url.len());
    let query = rest.find(['?', '#']).map(|at| from + at + 1..url.len());
    let is_odd = |c: char| c.is_whitespace() || "\"'<>|\\^`,=".contains(c);
    let odd = rest.find(is_odd).map(|at| from + at + 1..url.len());
    let rest = [no_port, query, odd].into_iter().flatten();
    let rest = rest.min_by_key(|part| part.start);
    let parts = [user, rest].into_iter().flatten();
    parts.filter(|part| !part.is_empty()).collect()
}

/// Whether all of an address may be shown.
pub(in crate::config) fn is_harmless_address(url: &str) -> bool {
    around_host(url).is_empty()
}

/// Where something else than a port stands behind a host.
fn no_port(host: &str) -> Option<usize> {
    let bracket = host.find(']').filter(|_| host.starts_with('['));
    let name = bracket.unwrap_or_default();
    let end = name + host.get(name..)?.find([':', '/'])?;
    let port = host.get(end..)?.strip_prefix(':')?;
    let after = port.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_port = after.starts_with(['/', '?', '#']) || after.is_empty();
    (!is_port).then_some(end + 1)
}

/// All of it but `${NAME}` and `${file:PATH}`.
fn between_references(value: &str) -> Vec<Range<usize>> {
    let mut hidden = Vec::new();
    let mut from = 0;
    while let Some(reference) = next_reference(value, from) {
        hidden.push(from..reference.start);
        from = reference.end;
    }
    hidden.push(from..value.len());
    hidden.retain(|part| !part.is_empty());
    hidden
}

/// The next `${NAME}` or `${file:PATH}`. A default value, as shells have it, would be a secret.
fn next_reference(value: &str, mut from: usize) -> Option<Range<usize>> {
    loop {
        let start = from + value.get(from..)?.find("${")?;
        from = start + "${".len();
        let name = value.get(from..)?;
        let after = match name.strip_prefix("file:") {
            Some(path) => path.trim_start_matches(is_of_path),
            None => name.trim_start_matches(is_of_name),
        };
        if after.starts_with('}') {
            return Some(start..value.len() - after.len() + 1);
        }
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_of_path(c: char) -> bool {
    is_of_name(c) || "-./".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str, show: Show) -> String {
        let mut shown = value.to_owned();
        for part in hidden(value, &(0..value.len()), show).into_iter().rev() {
            shown.replace_range(part, "…");
        }
        shown
    }

    #[test]
    fn of_a_secret_only_its_references_are_shown() {
        for (value, expected) in [
            ("\"s3\"", "\"…\""),
            ("'s3'", "'…'"),
            ("\"\"\"\ns3\"\"\"", "\"\"\"…\"\"\""),
            ("\"\"", "\"\""),
            ("5", "…"),
            ("\"Bearer ${TOKEN}\"", "\"…${TOKEN}\""),
            ("\"${file:/run/token}\"", "\"${file:/run/token}\""),
            ("\"${A}s3${B}\"", "\"${A}…${B}\""),
            ("\"${A s3}${B}\"", "\"…${B}\""),
            ("\"${s3\"", "\"…\""),
            ("\"${A:-s3}\"", "\"…\""),
        ] {
            assert_eq!(shown(value, Show::Nothing), expected);
        }
    }

    #[test]
    fn of_a_url_the_password_and_the_query_are_not_shown() {
        for (value, expected) in [
            ("\"http://opal:7000/x\"", "\"http://opal:7000/x\""),
            ("\"opal:7000\"", "\"opal:7000\""),
            ("\"http://ann:s3@opal\"", "\"http://…@opal\""),
            ("\"ann:s3@opal\"", "\"…@opal\""),
            ("\"http://a:p@ss@opal/?token=s3\"", "\"http://…@opal/?…\""),
            ("\"http://opal/#s3\"", "\"http://opal/#…\""),
            ("\"http://ann:s3opal:7000\"", "\"http://ann:…\""),
            ("\"http://[::1]:7000/a:b\"", "\"http://[::1]:7000/a:b\""),
        ] {
            assert_eq!(shown(value, Show::Address), expected);
        }
        assert_eq!(shown("\"ftp://a:s3@b\"", Show::Whole), "\"ftp://…@b\"");
        assert_eq!(shown("\"-----BEGIN KEY\"", Show::Whole), "\"…\"");
    }
}
