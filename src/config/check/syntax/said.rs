//! What the parser says, in words that tell a user what to do.

/// How the parser's messages begin where a number is none.
pub(super) const OF_NUMBERS: &[&str] = &[
    "floating-point number overflowed",
    "integer number overflowed",
    "invalid binary",
    "invalid exponent",
    "invalid float",
    "invalid fraction",
    "invalid hexadecimal",
    "invalid integer",
    "invalid mantissa",
    "invalid octal",
    "redundant",
    "unexpected sign",
];

/// How the parser's messages begin, and what we say: what is wrong, and what to write.
pub(super) const SAID: &[(&str, &str, &str)] = &[
    (
        "key with no value",
        "there is no `=` behind the key",
        "write `key = value`",
    ),
    (
        "unclosed",
        "this header is not closed",
        "write `[name]`, and `[[name]]` for one table of several",
    ),
    (
        "invalid unquoted key",
        "a key is letters, digits, `_` and `-`",
        "write another one, or put it in quotes: `\"key\" = …`",
    ),
    (
        "unquoted keys cannot be empty",
        "the key is missing",
        "write `key = value`, and `[name]` for a table",
    ),
    (
        "invalid key-value pair",
        "this is neither a `key = value` nor a `[table]`",
        "write each `key = value` on a line of its own, below the `[table]` that it is in",
    ),
    (
        "extra `=`",
        "there is an `=` too many",
        "write `=` once: `key = value`",
    ),
    (
        "carriage return",
        "a carriage return stands within a line",
        "end lines with a line feed, for example with `dos2unix`",
    ),
    (
        "invalid comment character",
        "a control character stands in a comment",
        "take it out: only characters that show, and tabs, can be in a comment",
    ),
    (
        "missing escaped value",
        "TOML knows no such escape",
        "write `\\\\` for a backslash, or put the value in single quotes: `'…'`",
    ),
    (
        "too few unicode value digits",
        "a Unicode escape lacks digits",
        "write four of them after `\\u`, such as `\\u00e9`, and eight after `\\U`",
    ),
    (
        "invalid value, expected unicode",
        "there is no such Unicode character",
        "write the character itself, or its code such as `\\u00e9`",
    ),
    (
        "invalid basic string",
        "a character cannot stand in a string as it is",
        "write control characters as `\\n`, `\\t` or `\\u0000`",
    ),
    (
        "invalid literal string",
        "a character cannot stand in a string as it is",
        "write the value in double quotes, and control characters as `\\n`, `\\t` or `\\u0000`",
    ),
    (
        "invalid multi-line",
        "a character cannot stand in a string as it is",
        "write control characters as `\\n`, `\\t` or `\\u0000`",
    ),
    (
        "invalid boolean",
        "this is neither `true` nor `false`",
        "write `true` or `false`, in small letters and without quotes",
    ),
    (
        "invalid date",
        "there is no such date",
        "write it like `2030-12-31`, or in quotes",
    ),
    (
        "invalid time",
        "there is no such time",
        "write it like `23:59:59`, or in quotes",
    ),
    (
        "integers with a radix",
        "a number with `0x`, `0o` or `0b` has no sign",
        "take the sign away, or put the value in quotes",
    ),
    (
        "radix must be lowercase",
        "`0x`, `0o` and `0b` are in small letters",
        "write `0x` for `0X`, or put the value in quotes",
    ),
    (
        "missing opening quote",
        "a string has to be in quotes",
        "write `key = \"…\"`",
    ),
    (
        "unexpected leading zero",
        "a number cannot begin with a zero",
        "take the zero away, or put the value in quotes",
    ),
    (
        "`_` may only go",
        "in a number, `_` can stand between digits only",
        "take the `_` away, or put the value in quotes",
    ),
    (
        "extra comma",
        "there is a comma too many",
        "take one `,` away",
    ),
    (
        "missing comma",
        "a comma is missing here",
        "write `,` between the two",
    ),
    (
        "extra assignment",
        "a comma is missing before this",
        "write `,` between the two: `{ a = 1, b = 2 }`",
    ),
    (
        "missing assignment",
        "there is no `=` after this key",
        "write `=` between a key and its value: `{ key = \"value\" }`",
    ),
    (
        "unexpected `=` in array",
        "a list has values alone",
        "write the values without keys, or a table: `{ key = \"value\" }`",
    ),
    (
        "missing key for",
        "a key is missing here",
        "write `{ key = \"value\" }`",
    ),
    (
        "invalid inline table",
        "a key is missing here",
        "write `{ key = \"value\" }`",
    ),
    (
        "missing inline table opening",
        "there is nothing that this `}` closes",
        "take the `}` away, or write the `{` that belongs to it",
    ),
    (
        "missing array opening",
        "there is nothing that this `]` closes",
        "take the `]` away, or write the `[` that belongs to it",
    ),
    (
        "cannot recurse",
        "tables and lists go too deep",
        "take some levels of `[` or `{` away",
    ),
    (
        "cannot extend",
        "this is a table here, and another value above",
        "take one of the two away",
    ),
    (
        "keys cannot be multi-line",
        "a key cannot have several lines",
        "put it in single quotes or double quotes: `\"key\" = …`",
    ),
];
