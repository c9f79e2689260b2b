//! A toggle's `spec`, which becomes JSON.

use serde_json::{Map, Number, Value};
use toml::de::{DeFloat, DeInteger, DeValue};

use crate::config::check::values::warn_of_spec;
use crate::config::elsewhere;
use crate::config::problem::{Place, Problem};
use crate::config::reader::{Context, Node};
use crate::config::table::Table;

/// A table as JSON, its strings interpolated; none if something in it was reported.
///
/// The TOML parser bounds how deep tables go, so this may follow them down.
pub(super) fn object(table: &Table, cx: &mut Context) -> Option<Map<String, Value>> {
    let members: Vec<_> = table
        .members()
        .iter()
        .map(|(key, node)| {
            warn_of_stray(cx, key, "a `spec`");
            Some((key.name.clone(), json(node, cx)?))
        })
        .collect();
    // Every member is looked at before the first that is wrong ends it.
    members.into_iter().collect()
}

/// Warns of a setting that was written below a table that can have any keys: who adds a line at the
/// end of the file does not look which table that is in.
pub(super) fn warn_of_stray(cx: &mut Context, key: &Place, within: &str) {
    if let Some(help) = elsewhere::help_for_stray(&key.name) {
        let message = format!(
            "`{}` in {within} is no setting: it is sent to the target as it is",
            key.name
        );
        cx.report(Problem::warning("stray-key", key, message, help));
    }
}

fn json(node: &Node, cx: &mut Context) -> Option<Value> {
    match node.value {
        DeValue::String(_) => {
            let text = cx.text(node)?;
            let name = &*node.place.name;
            // A `key` is the toggle's own, which is another mistake.
            if !matches!(name, "key" | "proj_key") && elsewhere::is_telling(name) {
                warn_of_spec(cx, &text);
            }
            Some(Value::String(text.value))
        }
        DeValue::Integer(integer) => {
            whole(integer).or_else(|| refuse(node, cx, "JSON cannot hold an integer of this size"))
        }
        DeValue::Float(float) => {
            real(float).or_else(|| refuse(node, cx, "JSON cannot hold this number"))
        }
        DeValue::Boolean(boolean) => Some(Value::Bool(*boolean)),
        DeValue::Datetime(date) => Some(Value::String(date.to_string())),
        DeValue::Array(_) => {
            let elements = node.elements();
            let values: Vec<_> = elements.iter().map(|node| json(node, cx)).collect();
            values.into_iter().collect::<Option<_>>().map(Value::Array)
        }
        DeValue::Table(entries) => {
            object(&Table::new(entries, node.place.clone()), cx).map(Value::Object)
        }
    }
}

fn refuse(node: &Node, cx: &mut Context, message: &str) -> Option<Value> {
    let help = "write it as a string, in quotes";
    cx.report(Problem::error("not-json", &node.place, message, help));
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
