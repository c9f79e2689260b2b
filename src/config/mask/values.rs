//! What is taken out of a single value, as it stands in the file.

use std::ops::Range;

use crate::config::mask::words::Show;

/// The parts of a value that must not be shown, as bytes of the file.
pub(super) fn hidden(text: &str, span: &Range<usize>, show: Show) -> Vec<Range<usize>> {
    let inside = inside(text, span);
    let value = text.get(inside.clone()).unwrap_or_default();
    let hidden = match show {
        Show::Whole => hidden_in_text(value),
        Show::Address => around_host(value),
        Show::Nothing | Show::NoText => between_references(value),
    };
    let in_file = |part: Range<usize>| inside.start + part.start..inside.start + part.end;
    hidden.into_iter().map(in_file).collect()
}

/// What must not be shown of a text that is no secret.
pub(super) fn hidden_in_text(text: &str) -> Vec<Range<usize>> {
    if text.contains("://") {
        return around_host(text);
    }
    let plain = plain_part(text).len();
    Vec::from_iter((plain < text.len()).then_some(plain..text.len()))
}

/// What a text begins with that is no secret, unless its key says so. A string that has lost its
/// quote goes on to the next one, and can take secrets with it. Who puts a key into the file itself
/// where its path is wanted has put a secret there.
pub(in crate::config) fn plain_part(text: &str) -> &str {
    // Before an `@` can stand a password.
    let password = text.contains('@').then_some(0);
    let odd = text.find(['"', '\'', '=', '\n']);
    let key = text.find("-----BEGIN");
    let end = [password, odd, key].into_iter().flatten().min();
    end.and_then(|end| text.get(..end)).unwrap_or(text)
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
/// a query, and all behind a character that stands at no such place. (Where a port should be stands
/// a password, if the `@` was forgotten.)
pub(super) fn around_host(url: &str) -> Vec<Range<usize>> {
    if !url.contains([':', '.', '/', '$']) {
        // A single word is no address, and may be anything.
        return std::iter::once(0..url.len()).collect();
    }
    let host = url.find("://").map_or(0, |at| at + "://".len());
    let user = url.rfind('@').filter(|at| *at > host).map(|at| host..at);
    let from = user.as_ref().map_or(host, |user| user.end);
    let rest = url.get(from..).unwrap_or_default();
    let odd = after_path(rest.strip_prefix('@').unwrap_or(rest));
    let separator = odd.chars().next().filter(char::is_ascii);
    let hidden = url.len() - odd.len() + separator.map_or(0, char::len_utf8);
    let parts = [user, Some(hidden..url.len())].into_iter().flatten();
    parts.filter(|part| !part.is_empty()).collect()
}

/// What follows on a host, a port and a path.
fn after_path(address: &str) -> &str {
    let is_of_host = |c: char| is_of_path(c) && c != '/';
    let is_of_ipv6 = |c: char| c.is_ascii_hexdigit() || ":.".contains(c);
    let ipv6 = address
        .strip_prefix('[')
        .and_then(|rest| rest.trim_start_matches(is_of_ipv6).strip_prefix(']'));
    let host = ipv6.unwrap_or_else(|| after(address, is_of_host));
    let port = host.strip_prefix(':');
    let port = port.map(|port| after(port, |c| c.is_ascii_digit()));
    let port = port.filter(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']));
    let path = port.unwrap_or(host);
    if path.starts_with('/') {
        after(path, |c| is_of_path(c) || "~%+".contains(c))
    } else {
        path
    }
}

/// What follows on such characters and references.
fn after(text: &str, is_part: impl Fn(char) -> bool) -> &str {
    let mut rest = text.trim_start_matches(&is_part);
    while let Some(reference) = next_reference(rest, 0).filter(|found| found.start == 0) {
        let behind = rest.get(reference.end..).unwrap_or_default();
        rest = behind.trim_start_matches(&is_part);
    }
    rest
}

/// Whether all of an address may be shown.
pub(in crate::config) fn is_harmless_address(url: &str) -> bool {
    around_host(url).is_empty()
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
            ("\"http://[::1]:7000/a\"", "\"http://[::1]:7000/a\""),
            ("\"http://${H}:${P}/${A}/b\"", "\"http://${H}:${P}/${A}/b\""),
            ("\"htt[//ann:s3pal:7000\"", "\"htt[…\""),
            ("\"htt//ann:s3pal:7000\"", "\"htt//ann:…\""),
            ("\"http://opal s3\"", "\"http://opal …\""),
            ("\"s3\"", "\"…\""),
        ] {
            assert_eq!(shown(value, Show::Address), expected);
        }
        assert_eq!(shown("\"ftp://a:s3@b\"", Show::Whole), "\"ftp://…@b\"");
        assert_eq!(shown("\"-----BEGIN KEY\"", Show::Whole), "\"…\"");
    }

    #[test]
    fn of_a_text_that_goes_on_to_the_next_quote_only_the_beginning_is_shown() {
        for (value, expected) in [
            ("\"us-east 1\"", "\"us-east 1\""),
            ("\"a', token 's3\"", "\"a…\""),
            ("'a, token = \"s3'", "'a, token …'"),
            ("\"a:s3@b\"", "\"…\""),
        ] {
            assert_eq!(shown(value, Show::Whole), expected);
        }
    }
}
