//! What may be shown of a line that the parser could not make sense of.

use std::ops::Range;

use crate::config::mask::values::{around_host, hidden_in_text};
use crate::config::mask::words::{Show, is_ours, show};

/// What comments begin with elsewhere.
pub(in crate::config) const COMMENTS: &[&str] = &["//", "--", ";", "%"];

const QUOTES: [char; 2] = ['"', '\''];

/// A key on the line, and where that begins which is to be shown as `show` says.
struct Assignment {
    key: Range<usize>,
    value: usize,
    show: Show,
}

/// The parts of a line that must not be shown, as bytes of the line: what does not certainly belong
/// to a key whose value may be seen. The header `table` is above the line.
pub(super) fn hidden(line: &str, table: &str) -> Vec<Range<usize>> {
    let end = line.find('#').unwrap_or(line.len());
    let (code, comment) = (line.get(..end).unwrap_or_default(), end..line.len());
    let mut hidden = Vec::new();
    if is_header(code) || is_merge_marker(line) {
        return Vec::new();
    }
    if let Some(sign) = comment_sign(code) {
        let text = trim(line, sign..line.len());
        return if text.is_empty() {
            Vec::new()
        } else {
            vec![text]
        };
    }
    let assignments = assignments(code);
    let first = assignments.first().map_or(end, |first| first.key.start);
    let head = code.get(..first).unwrap_or_default();
    if !words(head).all(is_ours) {
        hidden.push(0..first);
    }
    for (index, assignment) in assignments.iter().enumerate() {
        if assignment.show == Show::Nothing || table.contains("extra_headers") {
            // What looks like another key may be a part of the secret.
            hidden.push(assignment.value..end);
            break;
        }
        let next = assignments
            .get(index + 1)
            .map_or(end, |next| next.key.start);
        let value = code.get(assignment.value..next).unwrap_or_default();
        if !may_show(value, assignment.show) {
            hidden.push(assignment.value..next);
        }
    }
    hidden.push(comment);
    let trimmed = hidden.into_iter().map(|part| trim(line, part));
    trimmed.filter(|part| !part.is_empty()).collect()
}

/// Whether a line is `[table]` or `[[table]]`, below one of ours.
fn is_header(code: &str) -> bool {
    let name = code.trim().trim_matches(['[', ']']);
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let first = name.split('.').next().unwrap_or_default();
    code.trim_start().starts_with('[') && name.chars().all(is_bare) && is_ours(first)
}

/// Where the sign ends with which a line begins that is a comment elsewhere.
fn comment_sign(code: &str) -> Option<usize> {
    let begin = code.trim_start();
    let sign = COMMENTS.iter().find(|sign| begin.starts_with(**sign))?;
    let text = begin.trim_start_matches(|c| sign.contains(c));
    Some(code.len() - text.len())
}

/// Whether a line is what a merge leaves between two sides: a marker, and a branch's name.
pub(in crate::config) fn is_merge_marker(line: &str) -> bool {
    let line = line.trim_end();
    let markers = ["<<<<<<< ", "||||||| ", ">>>>>>> "];
    line == "=======" || markers.iter().any(|marker| line.starts_with(marker))
}

/// A YAML line has `:` where TOML has `=`, and on some lines both were forgotten.
fn assignments(code: &str) -> Vec<Assignment> {
    let places = code.match_indices(['=', ':']);
    // The `:` of an address is followed by what belongs to it.
    let places = places.filter(|(at, separator)| {
        let after = code.get(at + separator.len()..).unwrap_or_default();
        let is_within = |c: char| !c.is_whitespace() && !"\"'[{".contains(c);
        *separator == "=" || !after.starts_with(is_within)
    });
    let found: Vec<_> = places.filter_map(|(at, _)| assignment(code, at)).collect();
    if !found.is_empty() {
        return found;
    }
    let start = code.len() - code.trim_start().len();
    let rest = code.get(start..).unwrap_or_default();
    let word = rest.find(char::is_whitespace).map(|end| start + end);
    word.and_then(|end| assignment(code, end))
        .into_iter()
        .collect()
}

fn assignment(code: &str, separator: usize) -> Option<Assignment> {
    // Other languages have `:=` and `==` for `=`.
    let before = code
        .get(..separator)?
        .trim_end()
        .trim_end_matches(':')
        .trim_end();
    let after = code.get(separator + 1..).unwrap_or_default();
    let doubled = after.len() - after.trim_start_matches('=').len();
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.\"'".contains(c);
    let start = before.trim_end_matches(is_part).len();
    let key = before.get(start..)?;
    let path = key.replace(QUOTES, "");
    let shows: Vec<Show> = path.split('.').map(show).collect();
    let last = *shows.last()?;
    let is_secret = shows.contains(&Show::Nothing);
    // The word before it may be a part of the key: `api key`.
    let word = code.get(..start)?.trim_end().rsplit(is_between).next()?;
    let is_whole = is_ours(word) || !word.contains(|c: char| c.is_ascii_alphanumeric());
    // With what is no key in it, or a quote amid it, it may have swallowed a value.
    let is_amid = key.trim_matches(QUOTES).contains(QUOTES);
    let has_swallowed = shows.contains(&Show::NoText) || is_amid;
    // What is not known is no key for sure, but may be a part of a value.
    (is_secret || last != Show::NoText).then_some(Assignment {
        key: start..before.len(),
        value: if has_swallowed {
            start
        } else {
            (separator + 1 + doubled).min(code.len())
        },
        show: if is_secret || has_swallowed || !is_whole {
            Show::Nothing
        } else {
            last
        },
    })
}

/// Whether a value may be shown: a single one, or a list of strings. What else is there may come
/// from another key, whose beginning is lost.
fn may_show(value: &str, show: Show) -> bool {
    let around = |c: char| c.is_whitespace() || ",{}".contains(c);
    let value = value.trim_matches(around);
    match show {
        Show::Whole => match value.strip_prefix('[') {
            Some(list) => list.split(',').all(is_string_or_nothing),
            None => is_single(value),
        },
        Show::Address => is_single(value) && around_host(value.trim_matches(QUOTES)).is_empty(),
        Show::Nothing | Show::NoText => words(value).next().is_none(),
    }
}

fn is_string_or_nothing(element: &str) -> bool {
    let element = element.trim_matches(|c: char| c.is_whitespace() || "[]{".contains(c));
    element.is_empty() || element.starts_with(QUOTES) && is_single(element)
}

/// Whether a value is one string without a secret, with its quotes or without, or one word.
fn is_single(value: &str) -> bool {
    let text = value.trim_matches(QUOTES);
    let is_word = !text.contains(|c: char| c.is_whitespace() || "[]{},".contains(c));
    (is_word || value.starts_with(QUOTES)) && hidden_in_text(text).is_empty()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_between).filter(|word| !word.is_empty())
}

fn is_between(c: char) -> bool {
    c.is_whitespace() || "[]{}=,.:-\"'".contains(c)
}

fn trim(line: &str, part: Range<usize>) -> Range<usize> {
    let text = line.get(part.clone()).unwrap_or_default();
    let start = part.start + (text.len() - text.trim_start().len());
    start..start + text.trim().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let mut shown = line.to_owned();
        for part in hidden(line, "").into_iter().rev() {
            shown.replace_range(part, "…");
        }
        shown
    }

    #[test]
    fn a_broken_line_shows_what_belongs_to_the_keys_without_secrets() {
        for (line, expected) in [
            ("[[sources]", "[[sources]"),
            ("[toggles.spec", "[toggles.spec"),
            ("id = \"a", "id = \"a"),
            ("tokne = \"s3", "tokne = …"),
            ("  token = s3 s4", "  token = …"),
            ("id = \"a\" token = s3", "id = \"a\" token = …"),
            ("x = { id = \"a\" y = \"s3\" }", "… id = …"),
            ("x = s3=", "…"),
            ("[target.targetSpec]", "[target.targetSpec]"),
            ("[s3]", "…"),
            ("bind \":8080\"", "bind \":8080\""),
            ("token s3 s4", "token …"),
            ("export TOKEN=s3", "… TOKEN=…"),
            ("s3", "…"),
            ("s3==", "…"),
            ("url = http://opal:7000", "url = http://opal:7000"),
            ("url = http://ann:s3@opal", "url = …"),
            ("extra_headers.X-Y = s3 s4", "…"),
            ("\"s3.bind = \"x:1\"", "…"),
            ("s3.bind: x", "…"),
            ("extra_headers = { X = \"s3\" Y", "extra_headers = …"),
            ("token = id = \"s3\"", "token = …"),
            ("bind = 5 # was s3", "bind = 5 …"),
            ("bind = 5 s3", "bind = …"),
            ("id = \"a\", url[ \"ht\"\"\"//ann:s3@opal\"", "id = …"),
            ("rer s3:\"", "…"),
            ("id = \"a\", token5\"s3=", "id = \"a\", …"),
            ("api key = { inne\"\"\" \"s3\" }", "… key = …"),
            ("id = \"a\" api key = \"s3\"", "id = … key = …"),
            ("- id: a", "- id: a"),
            ("  token: s3", "  token: …"),
            ("read == true", "read == true"),
            ("read := true", "read := true"),
            ("token == s3", "token == …"),
            ("token := s3", "token := …"),
            ("id == s3==", "id == …"),
            ("// s3 = s4 # s5", "// …"),
            ("<<<<<<< HEAD", "<<<<<<< HEAD"),
            ("", ""),
        ] {
            assert_eq!(shown(line), expected);
        }
    }

    #[test]
    fn a_forgotten_comma_can_be_seen() {
        let line = "users_policy = { source = \"a\" package = \"p\", rule = \"r\" }";
        assert_eq!(shown(line), line);
    }
}
