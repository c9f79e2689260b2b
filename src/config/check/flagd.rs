//! `type = "flagd"`: the target, and what it wants of a toggle.

use serde_json::{Map, Value};

use crate::config::check::spec;
use crate::config::check::target::{TARGET_SPEC, TARGET_TYPE, Type};
use crate::config::problem::Problem;
use crate::config::reader::Context;
use crate::config::table::{Hint, Table};
use crate::config::{Flagd, Target};

pub(super) const FLAGD: Type = Type {
    read,
    check_key: |_, _| {},
    spec_help: None,
    read_spec,
    hints: HINTS,
};

const EXAMPLE: &str = "write the path of the file of flags, such as `path = \"flags.json\"`";

const ONLY_FILES: &str = "take it away: flags in a file need no server";
const HINTS: &[Hint] = &[
    TARGET_TYPE,
    TARGET_SPEC,
    ("url", Some("path"), EXAMPLE),
    ("file", Some("path"), EXAMPLE),
    ("endpoint_url", Some("path"), EXAMPLE),
    ("token", None, ONLY_FILES),
    ("extra_headers", None, ONLY_FILES),
    ("read", None, "take it away: the file is read in any case"),
];

const ONLY_METADATA: &str = "take it away, or move it into `[toggles.spec.metadata]`: a flag in a \
                             file has nothing else of its own";
const SPEC_HINTS: &[Hint] = &[
    ("name", None, ONLY_METADATA),
    ("description", None, ONLY_METADATA),
    ("proj_key", None, ONLY_METADATA),
    ("environments", None, ONLY_METADATA),
    ("tags", None, ONLY_METADATA),
];

/// The file itself is not looked at: it may come later.
fn read(table: &mut Table, cx: &mut Context) -> Option<Target> {
    let node = table.required("path", EXAMPLE)?;
    let path = cx.text_like(&node, EXAMPLE)?;
    let problem = match path.value.as_str() {
        "" => Problem::error("empty", &path.place, "`path` is empty", EXAMPLE),
        "-" => {
            let message = "flags cannot go to standard output: what is there has to be read, too";
            Problem::error("not-a-path", &path.place, message, EXAMPLE)
        }
        _ => {
            let path = cx.around.folder.join(path.value);
            return Some(Target::Flagd(Flagd { path }));
        }
    };
    cx.report(problem);
    None
}

fn read_spec(mut table: Table, cx: &mut Context) -> Option<Map<String, Value>> {
    const METADATA: &str = "write a table, such as `metadata = { team = \"growth\" }`";
    let node = table.optional("metadata");
    table.finish(cx, SPEC_HINTS);
    let Some(node) = node else {
        return Some(Map::new());
    };
    let metadata = cx.table(&node, METADATA)?;
    let mut is_right = true;
    for (key, member) in metadata.members() {
        // flagd's schema has no others.
        if member.is_nested() {
            let message = format!(
                "`{}` in `metadata` is no string, number or boolean",
                key.name
            );
            let help = "write one value, or several under names of their own";
            cx.report(Problem::error("wrong-type", &member.place, message, help));
            is_right = false;
        }
    }
    let metadata = spec::object(&metadata, cx).filter(|_| is_right)?;
    Some(Map::from_iter([(
        "metadata".into(),
        Value::Object(metadata),
    )]))
}
