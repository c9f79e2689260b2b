//! Reads a table of the file by its table of keys.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::keys::{Group, Key, Need, ValueKind, belongs};
use super::nearest::{is_respelled, suggest};
use super::problem::{Place, Problem, quote};
use super::reader::{Context, Node, Text};
use super::settings::{Setting, Settings};

/// A table of the file, as far as it was read.
pub(crate) struct Section<'t> {
    pub(crate) place: Place,
    entries: &'t DeTable<'t>,
    known: Vec<&'static Key>,
    missing: Vec<&'static Key>,
    read: BTreeMap<&'static str, Read>,
}

/// The value of a key, and where it stands.
pub(crate) struct Read {
    pub(crate) setting: Setting,
    pub(crate) text: Option<Text>,
    pub(crate) place: Place,
}

impl<'t> Section<'t> {
    pub(super) fn new(entries: &'t DeTable<'t>, place: Place) -> Section<'t> {
        Section {
            place,
            entries,
            known: Vec::new(),
            missing: Vec::new(),
            read: BTreeMap::new(),
        }
    }

    /// Reads these keys; what is wrong with their values is reported.
    pub(super) fn read(&mut self, cx: &mut Context, keys: &'static [Key]) {
        for key in keys {
            let node = self.node(key.name);
            let read = match (&node, key.need) {
                (Some(node), _) => key.read(cx, node),
                (None, Need::Default(default)) => read_default(cx, key, default),
                (None, Need::Required) => {
                    self.missing.push(key);
                    None
                }
                (None, Need::Optional) => None,
            };
            self.read.extend(read.map(|read| (key.name, read)));
            self.known.push(key);
        }
    }

    /// Takes keys as known that cannot be read, because it is not known what kind of table this is.
    pub(super) fn know(&mut self, group: Option<&Group>) {
        self.known.extend(group.into_iter().flat_map(Group::keys));
    }

    /// The value of a key, as it stands in the file.
    pub(super) fn node(&self, name: &str) -> Option<Node<'t>> {
        let (key, value) = self.entries.get_key_value(name)?;
        Some(self.node_of(key.get_ref(), value.get_ref(), value.span()))
    }

    /// All keys, whatever they are, in the order of the file: where each stands, and its value.
    pub(super) fn members(&self) -> Vec<(Place, Node<'t>)> {
        let members = self.entries.iter().map(|(key, value)| {
            let node = self.node_of(key.get_ref(), value.get_ref(), value.span());
            let key = Place {
                span: key.span(),
                ..node.place.clone()
            };
            (key, node)
        });
        let mut members: Vec<_> = members.collect();
        members.sort_by_key(|(key, _)| key.span.start);
        members
    }

    /// Where the keys stand of a table that can have any.
    pub(crate) fn keys_in(&self, name: &str) -> Vec<Place> {
        let node = self.node(name);
        let table = node.and_then(|node| Some(Section::new(node.value.as_table()?, node.place)));
        let members = table.map(|table| table.members()).unwrap_or_default();
        members.into_iter().map(|(key, _)| key).collect()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Read> {
        self.read.get(name)
    }

    /// Gives a key its default that the file does not set.
    pub(crate) fn set_default(&mut self, name: &'static str, setting: Setting) {
        if self.node(name).is_some() {
            return;
        }
        let read = Read {
            setting,
            text: None,
            place: self.place.clone(),
        };
        self.read.insert(name, read);
    }

    /// Reports the keys that are not known and those that are missing.
    pub(super) fn finish(mut self, cx: &mut Context) -> Settings {
        for (key, _) in self.members() {
            if self.known.iter().any(|known| known.name == key.name) {
                continue;
            }
            let (meant, help) = self.explain(&key.name, cx);
            // The key is there under a wrong name: that it is missing is not a second mistake.
            self.missing.retain(|missing| Some(missing.name) != meant);
            let message = format!("unknown key {}", quote(&key.name));
            cx.report(Problem::error("unknown-key", &key, message, help));
        }
        for missing in &self.missing {
            let key = Place {
                key: join(&self.place.key, missing.name),
                ..self.place.clone()
            };
            let message = format!("`{}` is missing", missing.name);
            cx.report(Problem::error("missing-key", &key, message, missing.help()));
        }
        let read = self.read.into_iter();
        Settings(read.map(|(name, read)| (name, read.setting)).collect())
    }

    /// Takes a key out of what `finish` reports as missing.
    pub(super) fn forgive(&mut self, name: &str) {
        self.missing.retain(|key| key.name != name);
    }

    /// Counts a table as missing where one of its keys is required.
    pub(super) fn require(&mut self, key: &'static Key, keys: &[Key]) {
        if keys.iter().any(|key| key.need == Need::Required) {
            self.missing.push(key);
        }
    }

    /// The known key that an unknown one stands for, and what to do about it.
    fn explain(&self, key: &str, cx: &Context) -> (Option<&'static str>, String) {
        if is_respelled(key, "target_spec") {
            let help = "write what stands in it as keys of `[target]` itself";
            return (None, help.into());
        }
        let mut known = self.known.iter();
        if let Some(known) = known.clone().find(|known| is_respelled(known.name, key)) {
            return (Some(known.name), format!("write `{}`", known.name));
        }
        if let Some(known) = known.find(|known| known.is_called(key)) {
            return (Some(known.name), known.help());
        }
        let names: Vec<&'static str> = self.known.iter().map(|known| known.name).collect();
        match (suggest(key, &names), belongs(cx.groups, key)) {
            ((None, _), Some(help)) => (None, help),
            (suggestion, _) => suggestion,
        }
    }

    fn node_of(
        &self,
        name: &str,
        value: &'t DeValue<'t>,
        span: std::ops::Range<usize>,
    ) -> Node<'t> {
        Node {
            value,
            place: Place {
                span,
                key: join(&self.place.key, name),
                name: name.to_owned(),
            },
        }
    }
}

fn read_default(cx: &mut Context, key: &'static Key, default: &str) -> Option<Read> {
    let value = DeValue::parse(default).ok()?;
    let node = Node {
        value: value.get_ref(),
        place: Place::default(),
    };
    key.read(cx, &node)
}

impl Key {
    fn read(&'static self, cx: &mut Context, node: &Node) -> Option<Read> {
        let text = match self.kind {
            ValueKind::Number(..)
            | ValueKind::Bool
            | ValueKind::MaxRemoval
            | ValueKind::Words(_)
            | ValueKind::Set(_)
            | ValueKind::Headers
            | ValueKind::Values => None,
            ValueKind::Table | ValueKind::Tables | ValueKind::Spec => return None,
            _ => Some(cx.text(node, &self.help())?),
        };
        let setting = match &text {
            Some(text) => self.read_text(cx, text)?,
            None => self.read_other(cx, node)?,
        };
        Some(Read {
            setting,
            text,
            place: node.place.clone(),
        })
    }
}

/// A path with one more key, quoted where TOML would want it quoted.
fn join(path: &str, key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let key = if !key.is_empty() && key.chars().all(is_bare) {
        key.to_owned()
    } else {
        format!("{key:?}")
    };
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}
