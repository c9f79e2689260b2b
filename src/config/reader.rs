//! Reads the values of the parsed file as what they have to be, and collects what is wrong.

use std::ops::RangeInclusive;

use toml::de::DeValue;

use crate::config::interpolate::{Fault, Surroundings, interpolate, read_text};
use crate::config::mask::is_plain;
use crate::config::nearest::suggest_value;
use crate::config::problem::{Place, Problem, quote};
use crate::config::table::Table;

/// What every check has at hand.
pub(super) struct Context<'a> {
    pub(super) around: &'a Surroundings<'a>,
    pub(super) problems: Vec<Problem>,
}

/// A value of the file, and where it stands.
pub(super) struct Node<'t> {
    pub(super) value: &'t DeValue<'t>,
    pub(super) place: Place,
}

/// A string of the file, interpolated.
pub(super) struct Text {
    pub(super) value: String,
    /// Whether all of it stands in the file.
    pub(super) inline: bool,
    pub(super) place: Place,
    written: String,
}

impl Text {
    /// The string as it stands in the file, for a message: never what was interpolated.
    ///
    /// Not for keys that hold secrets, nor for URLs, which can.
    pub(super) fn quoted(&self) -> String {
        quote(&self.written)
    }

    /// Whether a message may repeat it: all of it stands in the file, and none of it may be a secret.
    pub(super) fn is_plain(&self) -> bool {
        self.inline && is_plain(&self.written)
    }
}

impl<'t> Node<'t> {
    /// The elements of an array; of another value: none.
    pub(super) fn elements(&self) -> Vec<Node<'t>> {
        let elements = self
            .value
            .as_array()
            .into_iter()
            .flat_map(|array| array.iter());
        elements
            .enumerate()
            .map(|(index, element)| Node {
                value: element.get_ref(),
                place: Place {
                    span: element.span(),
                    key: format!("{}[{index}]", self.place.key),
                    name: format!("{}[{index}]", self.place.name),
                },
            })
            .collect()
    }

    /// A value as it would stand between quotes, or within a list of one; none where it is more.
    pub(super) fn plain(&self) -> Option<String> {
        let text = match self.value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().to_owned(),
            DeValue::Float(float) => float.as_str().to_owned(),
            DeValue::Boolean(boolean) => boolean.to_string(),
            DeValue::Datetime(date) => date.to_string(),
            DeValue::Array(array) if array.len() == 1 => self.elements().first()?.plain()?,
            _ => return None,
        };
        let is_short = text.chars().count() <= 60;
        (is_short && is_plain(&text) && !text.contains('`')).then_some(text)
    }

    /// Whether it holds other values.
    pub(super) fn is_nested(&self) -> bool {
        matches!(self.value, DeValue::Array(_) | DeValue::Table(_))
    }

    pub(super) fn is_empty_list(&self) -> bool {
        self.value.as_array().is_some_and(|list| list.is_empty())
    }
}

impl Context<'_> {
    pub(super) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn report_fault(&mut self, at: &Place, fault: Fault) {
        self.report(Problem::error(fault.code, at, fault.message, fault.help));
    }

    /// A string that is no secret: who forgets its quotes is shown it with them.
    pub(super) fn text(&mut self, node: &Node) -> Option<Text> {
        let value = node.plain().unwrap_or_else(|| "…".into());
        let help = format!("write `{} = \"{value}\"`", node.place.name);
        self.text_like(node, &help)
    }

    /// A string of some kind; `help` is for who writes a number or the like instead.
    pub(super) fn text_like(&mut self, node: &Node, help: &str) -> Option<Text> {
        let Some(written) = node.value.as_str() else {
            self.wrong_type(node, "a string", help);
            return None;
        };
        match interpolate(written, self.around) {
            Ok(filled) => Some(Text {
                value: filled.value,
                inline: !filled.from_outside,
                place: node.place.clone(),
                written: written.to_owned(),
            }),
            Err(faults) => {
                for fault in faults {
                    self.report_fault(&node.place, fault);
                }
                None
            }
        }
    }

    /// The content of the file that a path names.
    pub(super) fn file(&mut self, node: &Node) -> Option<String> {
        let name = &node.place.name;
        let path = self.text_like(node, &format!("write a path: `{name} = \"{name}.pem\"`"))?;
        if path.value.starts_with("-----BEGIN") {
            let message = format!("`{name}` must be the path of a file, not what is in it");
            let help = format!("move it to a file, and write its path: `{name} = \"{name}.pem\"`");
            self.report(Problem::error("not-a-path", &node.place, message, help));
            return None;
        }
        let content = read_text(&path.value, &path.quoted(), self.around);
        content
            .map_err(|fault| self.report_fault(&node.place, fault))
            .ok()
    }

    pub(super) fn boolean(&mut self, node: &Node) -> Option<bool> {
        let value = node.value.as_bool();
        if value.is_none() {
            let name = &node.place.name;
            let help = match node.plain().unwrap_or_default().to_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => format!("write `{name} = true`"),
                "false" | "no" | "off" | "0" => format!("write `{name} = false`"),
                _ => format!("write `{name} = true` or `{name} = false`"),
            };
            self.wrong_type(node, "true or false", &help);
        }
        value
    }

    /// An integer; `default` is for who writes something that is no number at all.
    pub(super) fn integer(
        &mut self,
        node: &Node,
        range: RangeInclusive<i64>,
        default: i64,
    ) -> Option<i64> {
        let name = &node.place.name;
        let (low, high) = (*range.start(), *range.end());
        let Some(integer) = node.value.as_integer() else {
            let number = node.plain().and_then(|text| text.trim().parse().ok());
            let meant = number.map_or(default, |number: f64| number as i64);
            let help = format!("write `{name} = {}`", meant.clamp(low, high));
            self.wrong_type(node, "an integer", &help);
            return None;
        };
        let value = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let right = value.filter(|value| range.contains(value));
        if right.is_none() {
            let message = format!("`{name}` must be from {low} to {high}");
            let is_low =
                integer.as_str().starts_with('-') || value.is_some_and(|value| value < low);
            let nearest = if is_low { low } else { high };
            let help = format!("write `{name} = {nearest}`");
            self.report(Problem::error("out-of-range", &node.place, message, help));
        }
        right
    }

    pub(super) fn table<'t>(&mut self, node: &Node<'t>, example: &str) -> Option<Table<'t>> {
        let entries = node.value.as_table();
        if entries.is_none() {
            self.wrong_type(node, "a table", example);
        }
        Some(Table::new(entries?, node.place.clone()))
    }

    /// The elements of a list; `help` is for who writes something else.
    pub(super) fn list<'t>(&mut self, node: &Node<'t>, help: &str) -> Option<Vec<Node<'t>>> {
        if !node.value.is_array() {
            self.wrong_type(node, "a list", help);
            return None;
        }
        Some(node.elements())
    }

    /// The tables of a list such as `[[sources]]`.
    pub(super) fn tables<'t>(&mut self, node: &Node<'t>) -> Vec<Table<'t>> {
        let example = format!(
            "write `[[{}]]` above each, with two brackets",
            node.place.name
        );
        if !node.value.is_array() {
            self.wrong_type(node, "a list of tables", &example);
        }
        let elements = node.elements();
        let tables = elements
            .iter()
            .filter_map(|element| self.table(element, &example));
        tables.collect()
    }

    /// What stands for a name in `known`: a type of source, or of target.
    pub(super) fn one_of<'k, T>(
        &mut self,
        node: &Node,
        what: &str,
        known: &'k [(&'static str, T)],
    ) -> Option<&'k T> {
        let text = self.text(node)?;
        let found = known.iter().find(|(name, _)| *name == text.value);
        if found.is_none() {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            let message = format!("unknown {what} {}", text.quoted());
            let help = suggest_value(&text.value, &names).1;
            self.report(Problem::error("unknown-type", &text.place, message, help));
        }
        found.map(|(_, value)| value)
    }

    pub(super) fn wrong_type(&mut self, node: &Node, expected: &str, help: &str) {
        let found = match node.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let message = format!("`{}` must be {expected}, not {found}", node.place.name);
        self.report(Problem::error("wrong-type", &node.place, message, help));
    }
}
