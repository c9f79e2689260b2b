//! A toggle's `spec`, which becomes JSON.

use serde_json::{Map, Number, Value};
use toml::de::{DeFloat, DeInteger, DeValue};

use super::keys::{SPEC, Spec, TOP, TargetType};
use super::problem::{Place, quote};
use super::reader::{Context, Node};
use super::section::Section;
use super::values::warn_of_inline;

/// Reads a `spec` as the target has it.
pub(super) fn read(
    node: Option<Node>,
    target: Option<&'static TargetType>,
    cx: &mut Context,
) -> Option<Map<String, Value>> {
    let Some(node) = node else {
        return Some(Map::new());
    };
    let mut section = cx.table(&node, &SPEC.help())?;
    match target.map(|target| &target.spec) {
        Some(Spec::Keys(keys)) => {
            section.read(cx, keys);
            Some(section.finish(cx).into_json())
        }
        Some(Spec::Free(reserved)) => {
            warn_of_reserved(cx, &section, reserved);
            object(&section, cx)
        }
        None => object(&section, cx),
    }
}

fn warn_of_reserved(cx: &mut Context, section: &Section, reserved: &[&str]) {
    for (key, _) in section.members() {
        if reserved.contains(&&*key.name) {
            let message = format!("`{}` in a `spec` would override the toggle's own", key.name);
            let help = "remove or rename it, or write the missing `[[toggles]]` above it";
            cx.error("reserved-key", &key, message, help);
        }
    }
}

/// A table of strings, numbers and booleans.
pub(super) fn values(cx: &mut Context, node: &Node, help: &str) -> Option<Map<String, Value>> {
    let table = cx.table(node, help)?;
    for (key, member) in table.members() {
        if matches!(member.value, DeValue::Array(_) | DeValue::Table(_)) {
            let name = quote(&key.name);
            let message = format!(
                "{name} in `{}` must be a string, number or boolean",
                node.place.name
            );
            cx.error(
                "wrong-type",
                &member.place,
                message,
                "write several values under several keys",
            );
        }
    }
    object(&table, cx)
}

/// A table as JSON, its strings interpolated; none if something in it was reported.
///
/// The TOML parser bounds how deep tables go, so this may follow them down.
pub(super) fn object(table: &Section, cx: &mut Context) -> Option<Map<String, Value>> {
    let members = table.members();
    let members = members.iter().map(|(key, node)| {
        warn_of_stray(cx, key, "a `spec`");
        Some((key.name.clone(), json(node, cx)?))
    });
    // Every member is looked at before the first that is wrong ends it.
    members.collect::<Vec<_>>().into_iter().collect()
}

/// Warns of a setting of the file's top that was written below a table which can have any keys. A single
/// word, such as `bind`, may well be that table's own.
pub(super) fn warn_of_stray(cx: &mut Context, key: &Place, within: &str) {
    let strayed = TOP
        .iter()
        .find(|top| top.name.contains('_') && top.is_called(&key.name));
    if let Some(top) = strayed {
        let message = format!(
            "`{}` in {within} is not a setting: it is sent to the target",
            key.name
        );
        let help = format!(
            "write `{}` at the top of the file, before the first `[table]`",
            top.name
        );
        cx.warn("stray-key", key, message, help);
    }
}

/// Whether the name of a header, or of a key in a `spec`, says that its value grants access.
pub(crate) fn is_telling(name: &str) -> bool {
    const PARTS: &[&str] = &[
        "auth",
        "cookie",
        "credential",
        "key",
        "pass",
        "secret",
        "token",
    ];
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part))
}

fn json(node: &Node, cx: &mut Context) -> Option<Value> {
    match node.value {
        DeValue::String(_) => {
            let text = cx.text(node, "write a string")?;
            let name = &*node.place.name;
            // A `key` is the toggle's own, which is another mistake; that of a project is public.
            if !matches!(name, "key" | "proj_key") && is_telling(name) {
                let what = format!("the value of {}", quote(name));
                warn_of_inline(cx, &text, &what, "\"${NAME}\"");
            }
            Some(Value::String(text.value))
        }
        DeValue::Integer(integer) => whole(integer).or_else(|| refuse(node, cx)),
        DeValue::Float(float) => real(float).or_else(|| refuse(node, cx)),
        DeValue::Boolean(boolean) => Some(Value::Bool(*boolean)),
        DeValue::Datetime(date) => Some(Value::String(date.to_string())),
        DeValue::Array(_) => {
            let elements = node.elements();
            let values: Vec<_> = elements.iter().map(|node| json(node, cx)).collect();
            values.into_iter().collect::<Option<_>>().map(Value::Array)
        }
        DeValue::Table(entries) => {
            let table = Section::new(entries, node.place.clone());
            object(&table, cx).map(Value::Object)
        }
    }
}

fn refuse(node: &Node, cx: &mut Context) -> Option<Value> {
    let help = "write it as a string, in quotes";
    cx.error(
        "not-json",
        &node.place,
        "JSON cannot hold this number",
        help,
    );
    None
}

fn whole(integer: &DeInteger) -> Option<Value> {
    let (digits, radix) = (integer.as_str(), integer.radix());
    let signed = i64::from_str_radix(digits, radix).map(Number::from);
    let number = signed.or_else(|_| u64::from_str_radix(digits, radix).map(Number::from));
    number.ok().map(Value::Number)
}

/// None for `nan`, `inf`, and what is too large to be anything else.
fn real(float: &DeFloat) -> Option<Value> {
    let number = float.as_str().parse().ok().and_then(Number::from_f64);
    number.map(Value::Number)
}
