//! Reads the values of the parsed file as what they have to be, and collects what is wrong.

use std::ops::RangeInclusive;

use toml::de::DeValue;

use crate::config::interpolate::{Fault, Surroundings, interpolate, read_text};
use crate::config::nearest::suggest;
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

    pub(super) fn is_empty_list(&self) -> bool {
        self.value.as_array().is_some_and(|list| list.is_empty())
    }
}

impl Context<'_> {
    pub(super) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn report_fault(&mut self, at: &Place, fault: Fault) {
        let mut problem = Problem::error(fault.code, at, fault.message);
        problem.help = fault.help;
        self.report(problem);
    }

    pub(super) fn text(&mut self, node: &Node) -> Option<Text> {
        self.text_like(node, "write it in quotes")
    }

    /// A string of some kind; `help` is for who writes a number or the like instead.
    pub(super) fn text_like(&mut self, node: &Node, help: &str) -> Option<Text> {
        let Some(written) = node.value.as_str() else {
            let is_plain = !(node.value.is_array() || node.value.is_table());
            self.wrong_type(node, "a string", is_plain.then_some(help));
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
        let path = self.text(node)?;
        let name = &node.place.name;
        if path.value.starts_with("-----BEGIN") {
            let message = format!("`{name}` must be the path of a file, not what is in it");
            self.report(Problem::error("not-a-path", &node.place, message));
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
            let help = node.value.is_str().then_some("write it without quotes");
            self.wrong_type(node, "true or false", help);
        }
        value
    }

    pub(super) fn integer(&mut self, node: &Node, range: RangeInclusive<i64>) -> Option<i64> {
        let Some(integer) = node.value.as_integer() else {
            let help = node.value.is_str().then_some("write it without quotes");
            self.wrong_type(node, "an integer", help);
            return None;
        };
        let value = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let value = value.filter(|value| range.contains(value));
        if value.is_none() {
            let (low, high) = range.into_inner();
            let message = format!("`{}` must be from {low} to {high}", node.place.name);
            self.report(Problem::error("out-of-range", &node.place, message));
        }
        value
    }

    pub(super) fn table<'t>(&mut self, node: &Node<'t>, example: &str) -> Option<Table<'t>> {
        let entries = node.value.as_table();
        if entries.is_none() {
            self.wrong_type(node, "a table", Some(example));
        }
        Some(Table::new(entries?, node.place.clone()))
    }

    /// The tables of a list such as `[[sources]]`.
    pub(super) fn tables<'t>(&mut self, node: &Node<'t>) -> Vec<Table<'t>> {
        let example = format!(
            "write `[[{}]]` above each, with two brackets",
            node.place.name
        );
        if !node.value.is_array() {
            self.wrong_type(node, "a list of tables", Some(&example));
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
            let mut problem = Problem::error("unknown-type", &text.place, message);
            problem.help = suggest(&text.value, &names).1;
            self.report(problem);
        }
        found.map(|(_, value)| value)
    }

    fn wrong_type(&mut self, node: &Node, expected: &str, help: Option<&str>) {
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
        let mut problem = Problem::error("wrong-type", &node.place, message);
        problem.help = help.map(str::to_owned);
        self.report(problem);
    }
}
