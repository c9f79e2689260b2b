//! What of a file can be told from its brackets and quotes alone.

use std::ops::Range;

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

/// Where the tables of a text begin, and its values in brackets.
#[derive(Default)]
pub(super) struct Structure {
    /// The first byte of each table's header.
    pub(super) headers: Vec<usize>,
    /// Those of them that have no dot in their name.
    outer: Vec<usize>,
    /// Each value in brackets, from the first bracket to the last.
    values: Vec<Range<usize>>,
    /// Quotes that are not closed, else the first bracket that is not: what follows a bracket is
    /// not to be trusted.
    pub(super) open: Vec<Open>,
}

/// Something that is opened, and not closed.
pub(super) struct Open {
    /// The bracket or the quotes.
    pub(super) at: Range<usize>,
    /// What is missing at the end.
    pub(super) closing: &'static str,
    /// Whether it could have gone on behind its line.
    pub(super) spills: bool,
}

impl Structure {
    /// Reads the structure of a text, up to what is not closed.
    pub(super) fn of(text: &str) -> Structure {
        let mut structure = Structure::default();
        let mut brackets: Vec<Open> = Vec::new();
        let mut is_first = true;
        let mut in_header = false;
        for token in Source::new(text).lex() {
            let at = token.span().start()..token.span().end();
            match token.kind() {
                TokenKind::Newline => in_header = false,
                TokenKind::Whitespace => continue,
                TokenKind::LeftSquareBracket if is_first && brackets.is_empty() => {
                    structure.headers.push(at.start);
                    let line = text[at.start..].lines().next().unwrap_or_default();
                    if !line.contains('.') {
                        structure.outer.push(at.start);
                    }
                    in_header = true;
                }
                // The parser says what is wrong in a header: it ends with its line.
                _ if in_header => {}
                TokenKind::LeftSquareBracket => brackets.push(Open::bracket(at, "]")),
                TokenKind::LeftCurlyBracket => brackets.push(Open::bracket(at, "}")),
                TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                    let is_other = |open: &mut Open| text.get(at.clone()) != Some(open.closing);
                    if let Some(open) = brackets.pop_if(is_other) {
                        // The wrong one closes it: the parser would go on looking for the right one.
                        brackets = vec![open];
                        break;
                    }
                    if let (Some(open), true) = (brackets.pop(), brackets.is_empty()) {
                        structure.values.push(open.at.start..at.end);
                    }
                }
                kind => structure.open.extend(Open::quotes(text, kind, at)),
            }
            is_first = token.kind() == TokenKind::Newline;
        }
        // Quotes that are not closed hide brackets.
        if structure.open.is_empty() {
            structure.open.extend(brackets.into_iter().next());
        }
        structure
    }

    /// Whether a table's header begins within a line.
    pub(super) fn has_header(&self, line: &Range<usize>) -> bool {
        let next = self.headers.partition_point(|header| *header < line.start);
        self.headers
            .get(next)
            .is_some_and(|header| *header < line.end)
    }

    /// Where the header of the table begins that a byte is in.
    pub(super) fn header_before(&self, offset: usize) -> Option<usize> {
        let next = self.headers.partition_point(|header| *header < offset);
        self.headers.get(next.checked_sub(1)?).copied()
    }

    /// Where the first table after a byte begins that is not within another one.
    pub(super) fn end_of_table(&self, offset: usize) -> Option<usize> {
        let next = self.outer.partition_point(|header| *header < offset);
        self.outer.get(next).copied()
    }

    /// Whether a byte is within a value in brackets, which ends where they are closed.
    pub(super) fn is_within_value(&self, offset: usize) -> bool {
        let next = self.values.partition_point(|value| value.end <= offset);
        self.values
            .get(next)
            .is_some_and(|value| value.start < offset)
    }
}

impl Open {
    fn bracket(at: Range<usize>, closing: &'static str) -> Open {
        Open {
            at,
            closing,
            spills: true,
        }
    }

    /// The quotes of a string, if they are not closed.
    fn quotes(text: &str, kind: TokenKind, at: Range<usize>) -> Option<Open> {
        let (closing, spills) = match kind {
            TokenKind::BasicString => ("\"", false),
            TokenKind::LiteralString => ("'", false),
            TokenKind::MlBasicString => ("\"\"\"", true),
            TokenKind::MlLiteralString => ("'''", true),
            _ => return None,
        };
        let content = text.get(at.start + closing.len()..at.end)?;
        let is_closed = content.ends_with(closing) && !ends_escaped(content, closing);
        (!is_closed).then(|| Open {
            at: at.start..at.start + closing.len(),
            closing,
            spills,
        })
    }
}

/// Whether the quotes at the end of a string are part of it: `"a\"`.
fn ends_escaped(content: &str, closing: &str) -> bool {
    let before = content.strip_suffix(closing).unwrap_or_default();
    let backslashes = before.len() - before.trim_end_matches('\\').len();
    closing.starts_with('"') && backslashes % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_closed_is_found_where_it_is_opened() {
        for (text, expected) in [
            ("a = \"x\nb = 1", Some((4, "\""))),
            ("a = 'x", Some((4, "'"))),
            ("a = \"x\\\"\n", Some((4, "\""))),
            ("a = \"", Some((4, "\""))),
            ("a = \"\"\"x\"\"\nb = 1", Some((4, "\"\"\""))),
            ("a = [1,\n{ b = 1\n]", Some((8, "}"))),
            ("a = [\n[1]\n\nb = {}", Some((4, "]"))),
            ("a = \"x\\\\\" # \"", None),
            ("a = \"\"\"\"x\"\"\"\"", None),
            ("[a\nb = []\n[[c]\n", None),
            ("a = 1 ]", None),
        ] {
            let open = Structure::of(text).open;
            let open = open.first().map(|open| (open.at.start, open.closing));
            assert_eq!(open, expected, "{text}");
        }
    }

    #[test]
    fn headers_and_values_in_brackets_are_told_apart() {
        let structure = Structure::of("a = [\n[1],\n]\n [b]\nc = {}\n[[d]]\n");
        assert_eq!(structure.headers, [14, 25]);
        for (offset, is_within) in [(4, false), (6, true), (10, true), (12, false), (14, false)] {
            assert_eq!(structure.is_within_value(offset), is_within, "{offset}");
        }
    }
}
