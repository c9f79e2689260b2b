//! Reads the values of the parsed file as what they have to be, and collects what is wrong.

use toml::de::DeValue;

use super::interpolate::{Fault, Surroundings, interpolate};
use super::keys::{Catalog, Group, Key};
use super::nearest::suggest_value;
use super::problem::{Place, Problem, quote};
use super::section::Section;

/// What every check has at hand.
pub(crate) struct Context<'a> {
    pub(super) around: &'a Surroundings<'a>,
    pub(super) catalog: &'a Catalog,
    pub(super) groups: &'a [Group],
    pub(super) problems: Vec<Problem>,
}

/// A value of the file, and where it stands.
pub(super) struct Node<'t> {
    pub(super) value: &'t DeValue<'t>,
    pub(super) place: Place,
}

/// A string of the file, interpolated.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) value: String,
    /// Whether all of it stands in the file.
    pub(crate) inline: bool,
    pub(crate) place: Place,
    written: String,
}

impl Text {
    /// The string as it stands in the file, for a message: never what was interpolated.
    ///
    /// Not for keys that hold secrets, nor for URLs, which can.
    pub(crate) fn quoted(&self) -> String {
        quote(&self.written)
    }
}

impl<'t> Node<'t> {
    /// The elements of an array; of another value: none.
    pub(super) fn elements(&self) -> Vec<Node<'t>> {
        let array = self.value.as_array().into_iter();
        let elements = array.flat_map(|array| array.iter()).enumerate();
        let elements = elements.map(|(index, element)| Node {
            value: element.get_ref(),
            place: Place {
                span: element.span(),
                key: format!("{}[{index}]", self.place.key),
                name: format!("{}[{index}]", self.place.name),
            },
        });
        elements.collect()
    }

    pub(super) fn is_empty_list(&self) -> bool {
        self.value.as_array().is_some_and(|list| list.is_empty())
    }
}

impl Context<'_> {
    pub(crate) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn error(
        &mut self,
        code: &'static str,
        at: &Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.report(Problem::error(code, at, message, help));
    }

    pub(crate) fn warn(
        &mut self,
        code: &'static str,
        at: &Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.report(Problem::warning(code, at, message, help));
    }

    pub(super) fn report_fault(&mut self, at: &Place, fault: Fault) {
        self.error(fault.code, at, fault.message, fault.help);
    }

    /// A string; `help` is for other values.
    pub(super) fn text(&mut self, node: &Node, help: &str) -> Option<Text> {
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

    pub(super) fn boolean(&mut self, node: &Node, help: &str) -> Option<bool> {
        if !node.value.is_bool() {
            self.wrong_type(node, "true or false", help);
        }
        node.value.as_bool()
    }

    pub(super) fn integer(&mut self, node: &Node, low: i64, high: i64, help: &str) -> Option<i64> {
        let Some(integer) = node.value.as_integer() else {
            self.wrong_type(node, "an integer", help);
            return None;
        };
        let value = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let right = value.filter(|value| (low..=high).contains(value));
        if right.is_none() {
            let message = format!("`{}` must be from {low} to {high}", node.place.name);
            self.error("out-of-range", &node.place, message, help);
        }
        right
    }

    pub(super) fn table<'t>(&mut self, node: &Node<'t>, help: &str) -> Option<Section<'t>> {
        let entries = node.value.as_table();
        if entries.is_none() {
            self.wrong_type(node, "a table", help);
        }
        Some(Section::new(entries?, node.place.clone()))
    }

    /// The elements of a list; `help` is for other values.
    pub(super) fn list<'t>(&mut self, node: &Node<'t>, help: &str) -> Option<Vec<Node<'t>>> {
        if !node.value.is_array() {
            self.wrong_type(node, "a list", help);
            return None;
        }
        Some(node.elements())
    }

    /// The tables of a list such as `[[sources]]`.
    pub(super) fn tables<'t>(&mut self, node: &Node<'t>, key: &Key) -> Vec<Section<'t>> {
        let help = key.help();
        if !node.value.is_array() {
            self.wrong_type(node, "a list of tables", &help);
        }
        let elements = node.elements();
        let tables = elements.iter().filter_map(|node| self.table(node, &help));
        tables.collect()
    }

    /// What stands for a name in `known`: a type of source, or of target.
    pub(super) fn one_of<T>(
        &mut self,
        text: &Text,
        what: &str,
        known: impl Iterator<Item = (&'static str, T)>,
    ) -> Option<T> {
        let mut names = Vec::new();
        for (name, value) in known {
            if name == text.value {
                return Some(value);
            }
            names.push(name);
        }
        let message = format!("unknown type of {what} {}", text.quoted());
        let help = suggest_value(&text.value, &names);
        self.error("unknown-type", &text.place, message, help);
        None
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
        self.error("wrong-type", &node.place, message, help);
    }
}
