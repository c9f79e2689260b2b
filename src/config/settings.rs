//! What a table of the file says, by key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::address::Address;
use crate::config::{Bind, MaxRemoval};
use crate::secret::Secret;

/// The value of a key, checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Setting {
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
    Table(Map<String, Value>),
}

/// What is set, with defaults: of a configuration without errors, every required key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settings(pub(super) BTreeMap<&'static str, Setting>);

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
    }

    #[cfg(test)]
    pub(crate) fn set(&mut self, key: &'static str, setting: Setting) {
        self.0.insert(key, setting);
    }

    /// As the target gets it.
    pub(super) fn into_json(self) -> Map<String, Value> {
        let json = |setting| match setting {
            Setting::Text(text) => Some(text.into()),
            Setting::Texts(texts) => Some(texts.into()),
            Setting::Table(table) => Some(Value::Object(table)),
            _ => None,
        };
        let members = self.0.into_iter();
        members
            .filter_map(|(key, setting)| Some((key.to_owned(), json(setting)?)))
            .collect()
    }
}
