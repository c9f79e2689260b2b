//! Reads a table of the file by its table of keys, and collects what is wrong.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::interpolate::{Surroundings, Text};
use super::keys::{Catalog, Group, Key, Need, PeerType, ValueKind, belongs};
use super::load::FIRST_LIMIT;
use super::nearest::{is_respelled, suggest, suggest_value};
use super::report::{Place, Problem, Severity, quote};
use super::values::{is_telling, warn_if_plain};
use super::{Bind, MaxRemoval, tls};
use crate::address::Address;
use crate::secret::Secret;

/// What every check has at hand.
pub(crate) struct Context<'a> {
    pub(super) around: &'a Surroundings<'a>,
    pub(super) catalog: &'a Catalog,
    pub(super) groups: &'a [Group],
    pub(super) problems: Vec<Problem>,
    /// How long files may take to be read.
    pub(super) limit: Duration,
    /// Whether only this machine can reach `bind`, or `bind` is invalid.
    pub(crate) is_local: bool,
    /// What references brought in and is a secret, with the names of the references.
    pub(super) brought_in: Vec<(String, String)>,
}

impl<'a> Context<'a> {
    pub(super) fn new(
        around: &'a Surroundings<'a>,
        catalog: &'a Catalog,
        groups: &'a [Group],
    ) -> Context<'a> {
        Context {
            around,
            catalog,
            groups,
            problems: Vec::new(),
            limit: FIRST_LIMIT,
            is_local: true,
            brought_in: Vec::new(),
        }
    }

    pub(crate) fn error(
        &mut self,
        code: &'static str,
        at: &Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> &mut Problem {
        self.problems
            .push_mut(Problem::error(code, at, message, help))
    }

    pub(crate) fn warn(
        &mut self,
        code: &'static str,
        at: &Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.error(code, at, message, help).severity = Severity::Warning;
    }

    pub(super) fn wrong_type<T>(&mut self, node: &Node, expected: &str, help: &str) -> Option<T> {
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
        None
    }

    pub(super) fn table<'t>(&mut self, node: &Node<'t>, help: &str) -> Option<Section<'t>> {
        match node.value.as_table() {
            Some(entries) => Some(Section::new(entries, node.place.clone())),
            None => self.wrong_type(node, "a table", help),
        }
    }
}

/// A value of the file, and where it is.
pub(super) struct Node<'t> {
    pub(super) value: &'t DeValue<'t>,
    pub(super) place: Place,
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
}

/// A table of the file, with what was read of it so far.
pub(crate) struct Section<'t> {
    pub(crate) place: Place,
    entries: &'t DeTable<'t>,
    known: Vec<&'static Key>,
    /// What `finish` reports as missing.
    pub(super) missing: Vec<&'static Key>,
    read: BTreeMap<&'static str, Read>,
}

/// The value of a key, and where it is.
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
                (None, Need::Default(default)) => DeValue::parse(default).ok().and_then(|value| {
                    let (value, place) = (value.get_ref(), Place::default());
                    key.read(cx, &Node { value, place })
                }),
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

    /// Reads `type`, and the keys that come with it; none, if `peer`, such as `source`, has no such type.
    pub(super) fn read_type(
        &mut self,
        cx: &mut Context,
        peer: &str,
        types: &[&'static PeerType],
    ) -> Option<&'static PeerType> {
        let named = self.text("type");
        let is_named = |peer: &&&PeerType| named.as_ref().is_some_and(|it| it.value == peer.name);
        let Some(found) = types.iter().find(is_named) else {
            if let Some(named) = &named {
                let message = format!("unknown {peer} type {}", named.quoted());
                let names: Vec<&str> = types.iter().map(|it| it.name).collect();
                let help = suggest_value(&named.value, &names);
                cx.error("unknown-type", &named.place, message, help);
            }
            // Which keys there are depends on the type.
            self.known.extend(types.iter().flat_map(|it| it.keys()));
            return None;
        };
        for keys in found.keys {
            self.read(cx, keys);
        }
        self.warn_of_plain_secrets(cx);
        if found
            .keys()
            .any(|key| matches!(key.kind, ValueKind::KeyFile))
        {
            tls::check(self, cx);
        }
        (found.check)(self, cx);
        Some(found)
    }

    /// Warns of secrets that are sent unencrypted.
    fn warn_of_plain_secrets(&self, cx: &mut Context) {
        for key in self.known.iter().filter(|key| self.get(key.name).is_some()) {
            let kind = key.kind;
            let (ValueKind::Token(to) | ValueKind::BearerToken(to) | ValueKind::Headers(to)) = kind
            else {
                continue;
            };
            let to = self.get(to).map(|read| &read.setting);
            let (Some(Setting::Address(to)), Some(secret)) = (to, self.node(key.name)) else {
                continue;
            };
            let Some(headers) = secret.value.as_table() else {
                warn_if_plain(cx, &secret.place, &format!("`{}`", key.name), to);
                continue;
            };
            for (header, _) in Section::new(headers, secret.place).members() {
                if is_telling(&header.name) {
                    let what = format!("the header {}", quote(&header.name));
                    warn_if_plain(cx, &header, &what, to);
                }
            }
        }
    }

    /// The value of a key, as it is in the file.
    pub(super) fn node(&self, name: &str) -> Option<Node<'t>> {
        let (key, value) = self.entries.get_key_value(name)?;
        Some(self.node_of(key.get_ref(), value.get_ref(), value.span()))
    }

    /// All keys, whatever they are, in the order of the file: where each is, and its value.
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

    fn node_of(&self, name: &str, value: &'t DeValue<'t>, span: Range<usize>) -> Node<'t> {
        Node {
            value,
            place: Place {
                span,
                key: join(&self.place.key, name),
                name: name.to_owned(),
            },
        }
    }

    /// The tables of a list such as `[[sources]]`; where there are none, the place to say so.
    pub(super) fn tables(&self, cx: &mut Context, key: &Key) -> Result<Vec<Section<'t>>, Place> {
        let node = self.node(key.name).ok_or_else(Place::default)?;
        let help = key.help();
        let list = node.value.as_array();
        let list = list.or_else(|| cx.wrong_type(&node, "a list of tables", &help));
        if list.is_some_and(|list| list.is_empty()) {
            return Err(node.place);
        }
        let elements = node.elements();
        let tables = elements.iter().filter_map(|node| cx.table(node, &help));
        Ok(tables.collect())
    }

    /// Whether the file sets a key, with a valid value or not.
    pub(crate) fn sets(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Read> {
        self.read.get(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<Text> {
        self.get(name)?.text.clone()
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Read> {
        self.read.remove(name)
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
            cx.error("unknown-key", &key, message, help);
        }
        for missing in &self.missing {
            let key = Place {
                key: join(&self.place.key, missing.name),
                ..self.place.clone()
            };
            let message = format!("`{}` is missing", missing.name);
            cx.error("missing-key", &key, message, missing.help());
        }
        let read = self.read.into_iter();
        Settings(read.map(|(name, read)| (name, read.setting)).collect())
    }

    /// The known key that an unknown one stands for, and what to do about it.
    fn explain(&self, key: &str, cx: &Context) -> (Option<&'static str>, String) {
        if is_respelled(key, "target_spec") {
            return (None, "move its keys up, beside the target's `type`".into());
        }
        if (&*self.place.key, key) == ("target", "id") {
            let help = "remove it, or write `[[targets]]` instead of `[target]`";
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
}

/// A path with one more key, quoted where it would be in TOML.
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

/// The value of a key, checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Setting {
    /// It is there, but depends on a reference to what is not.
    Unset,
    Text(String),
    Texts(Vec<String>),
    Bind(Bind),
    Address(Address),
    Duration(Duration),
    Number(usize),
    Bool(bool),
    MaxRemoval(MaxRemoval),
    Secret(Secret),
    /// A name comes once.
    Headers(Vec<(String, Secret)>),
    Path(PathBuf),
    Json(Value),
}

/// A file by its own path, since links can lead to it. It may not be there yet.
pub(super) fn real(path: &Path) -> PathBuf {
    let folder = path.parent().map(|folder| folder.join("."));
    let folder = folder.and_then(|folder| folder.canonicalize().ok());
    let beside = folder.zip(path.file_name());
    let beside = beside.map(|(folder, name)| folder.join(name));
    let real = path.canonicalize().ok().or(beside);
    real.unwrap_or_else(|| path.to_owned())
}

/// What is set, with defaults: of a configuration without errors, every required key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settings(BTreeMap<&'static str, Setting>);

/// Getters of a key's value; an error where it is not set, which no required key and no default is.
macro_rules! getters {
    ($($name:ident: $variant:ident -> $type:ty;)*) => {
        $(pub(crate) fn $name(&self, key: &str) -> Result<&$type, String> {
            match self.0.get(key) {
                Some(Setting::$variant(value)) => Ok(value),
                _ => Err(format!("`{key}` is not set")),
            }
        })*
    };
}

impl Settings {
    getters! {
        text: Text -> str;
        address: Address -> Address;
        bind: Bind -> Bind;
        duration: Duration -> Duration;
        number: Number -> usize;
        bool: Bool -> bool;
        max_removal: MaxRemoval -> MaxRemoval;
        secret: Secret -> Secret;
        headers: Headers -> [(String, Secret)];
        path: Path -> Path;
        json: Json -> Value;
    }

    /// Whether none of it depends on what is not there.
    pub(super) fn is_whole(&self) -> bool {
        !self.0.values().any(|it| *it == Setting::Unset)
    }

    /// The value of a key that says where something is, in one spelling for all of a place.
    pub(super) fn place(&self, key: &str) -> Option<String> {
        match self.0.get(key)? {
            Setting::Address(address) => Some(address.spelled_alike().to_string()),
            Setting::Path(path) => Some(real(path).display().to_string()),
            _ => None,
        }
    }

    /// The hosts in it, with their ports.
    pub(super) fn hosts(&self) -> impl Iterator<Item = String> {
        self.0.values().filter_map(|setting| match setting {
            Setting::Address(address) => Some(address.authority()),
            _ => None,
        })
    }

    /// What says who asks.
    pub(super) fn credentials(&self) -> Vec<Setting> {
        let credentials = self.0.values().filter_map(|setting| match setting {
            Setting::Secret(_) | Setting::Headers(_) => Some(setting.clone()),
            Setting::Address(address) => address.authorization().cloned().map(Setting::Secret),
            _ => None,
        });
        credentials.collect()
    }

    #[cfg(test)]
    pub(crate) fn set(&mut self, key: &'static str, setting: Setting) {
        self.0.insert(key, setting);
    }

    /// As the target gets it; none if that is not known.
    pub(super) fn into_json(self) -> Option<Map<String, Value>> {
        let is_whole = self.is_whole();
        let json = |setting| match setting {
            Setting::Text(text) => Some(text.into()),
            Setting::Texts(texts) => Some(texts.into()),
            Setting::Json(value) => Some(value),
            _ => None,
        };
        let members = self.0.into_iter();
        let members = members.filter_map(|(key, setting)| Some((key.to_owned(), json(setting)?)));
        is_whole.then(|| members.collect())
    }
}
