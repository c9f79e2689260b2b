//! `[[sources]]` of `type = "file"`.

use crate::config::check::sources::{ONLY_OPAL, Sources};
use crate::config::problem::Problem;
use crate::config::reader::Context;
use crate::config::table::{Hint, Table};
use crate::config::{File, SourceKind};

const EXAMPLE: &str = "write the path of a JSON document, such as `path = \"users.json\"`, or \
                       `path = \"-\"` for standard input";

const ONLY_OPA: &str = "take it away: nobody is asked over the network for a file";
pub(super) const HINTS: &[Hint] = &[
    ("advertised_address", None, ONLY_OPAL),
    ("instance", None, ONLY_OPAL),
    ("wait_until_ready", None, ONLY_OPAL),
    ("opa_url", None, ONLY_OPAL),
    ("opa_token", None, ONLY_OPAL),
    (
        "poll_interval",
        None,
        "take it away: a file is looked at every second",
    ),
    ("token", None, ONLY_OPA),
    ("ca_file", None, ONLY_OPA),
    ("cert_file", None, ONLY_OPA),
    ("key_file", None, ONLY_OPA),
    (
        "url",
        Some("path"),
        "with type `file`, write `path`: files are read from this machine",
    ),
];

/// Reads what a file source has beside its id and type. The file itself is not looked at: it may
/// come later.
pub(super) fn read(
    table: &mut Table,
    cx: &mut Context,
    sources: &mut Sources,
) -> Option<SourceKind> {
    let node = table.required("path", EXAMPLE)?;
    let path = cx.text_like(&node, EXAMPLE)?;
    if path.value.is_empty() {
        let message = "`path` is empty";
        cx.report(Problem::error("empty", &path.place, message, EXAMPLE));
        return None;
    }
    if path.value != "-" {
        let path = Some(cx.around.folder.join(path.value));
        return Some(SourceKind::File(File { path }));
    }
    if let Some(first) = &sources.stdin {
        let message = "two sources read standard input";
        let help = "name a file in one of the two, or let the toggles share one source";
        let problem = Problem::error("duplicate-path", &path.place, message, help);
        cx.report(problem.related("the first one is here", first));
    } else {
        sources.stdin = Some(path.place);
    }
    Some(SourceKind::File(File { path: None }))
}
