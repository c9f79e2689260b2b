//! The text of a file of flags, parsed only where it is changed: all else stays as it was written.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::error::{Failure, Kind};
use crate::json::{self, Members};
use crate::users::Users;

/// What a new file begins with. Editors check and complete by the schema.
const NEW: &str = r#"{"$schema": "https://flagd.dev/schema/v0/flags.json"}"#;

/// The member of the metadata that names the owner.
const MARK: &str = "optoggles";

/// What to do about a member that is there twice. Writing the file would drop one of them.
const ONCE: &str = "remove the one that does not count";

/// The flags, and what else is in the file.
pub(in crate::target) struct Definition<'t> {
    /// For messages.
    name: String,
    others: Members<&'t RawValue>,
    flags: BTreeMap<String, Part<'t, Flag<'t>>>,
}

/// What stays as it was written, or what takes its place.
#[derive(Serialize)]
#[serde(untagged)]
enum Part<'t, T> {
    Kept(&'t RawValue),
    Changed(T),
}

impl<'t> Definition<'t> {
    /// Parses a text, which messages call `name`; none: that of a new file.
    pub(in crate::target) fn parse(
        name: &str,
        text: Option<&'t str>,
    ) -> Result<Definition<'t>, Failure> {
        let failure = |words: &str| Failure::new(Kind::Answer, format!("{name} {words}"));
        let text = text.unwrap_or(NEW);
        // It may be about to be written, so it does not count as a new one.
        if text.trim_ascii().is_empty() {
            return Err(failure("is empty: remove it, or write `{}` into it"));
        }
        let unreadable = |error: serde_json::Error| {
            if let Some(words) = json::twice(&error) {
                return failure(&format!("{words}: {ONCE}")).lasting();
            }
            if json::is_yaml(text.as_bytes()) {
                return failure("is YAML: write it as JSON, which flagd reads too").lasting();
            }
            let help = match error.is_eof() {
                true => "it may not be fully written yet",
                false => "correct it, or move it away to have a new one written",
            };
            failure(&format!("{}: {help}", json::describe(&error)))
        };
        let mut others: Members<&RawValue> = serde_json::from_str(text).map_err(unreadable)?;
        let flags = others.remove("flags").map_or("{}", RawValue::get);
        if !flags.starts_with('{') {
            let words = format!(
                "the flags of {name} are not an object: write `\"flags\": {{\"key\": {{…}}}}`"
            );
            return Err(Failure::new(Kind::Misfit, words));
        }
        let flags: Members<&RawValue> = serde_json::from_str(flags).map_err(unreadable)?;
        let flags = flags.iter();
        let flags = flags.map(|(key, flag)| (key.clone(), Part::Kept(flag)));
        Ok(Definition {
            name: name.to_owned(),
            flags: flags.collect(),
            others,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.flags.len()
    }

    /// A flag, if there is one; an error where it is not boolean.
    pub(super) fn flag(&self, key: &str) -> Result<Option<Flag<'t>>, Failure> {
        let flag = match self.flags.get(key) {
            None => return Ok(None),
            Some(Part::Changed(flag)) => return Ok(Some(flag.clone())),
            Some(Part::Kept(flag)) => Flag::parse(flag),
        };
        flag.map(Some).map_err(|error| {
            let why = match error.as_ref().and_then(json::twice) {
                Some(words) => format!("{words}: {ONCE}"),
                None => "is not boolean: give the toggle another key, or remove the flag".into(),
            };
            Failure::new(
                Kind::Misfit,
                format!("the flag {key} in {} {why}", self.name),
            )
        })
    }

    /// The flags that carry the mark of an owner.
    pub(super) fn keys_of(&self, owner: &str) -> impl Iterator<Item = &str> {
        // Flags of other types too.
        let owner_of = |part: &Part<Flag>| match part {
            Part::Kept(flag) => {
                let members: Members<&RawValue> = serde_json::from_str(flag.get()).ok()?;
                owner_in(&serde_json::from_str(members.get("metadata")?.get()).ok()?)
            }
            Part::Changed(flag) => flag.owner(),
        };
        let flags = self.flags.iter();
        let marked = flags.filter(move |(_, flag)| owner_of(flag).as_deref() == Some(owner));
        marked.map(|(key, _)| &**key)
    }

    pub(in crate::target) fn put(&mut self, key: &str, flag: Flag<'t>) {
        self.flags.insert(key.to_owned(), Part::Changed(flag));
    }

    /// The whole text in the order of its keys, a line for each user, so that a commit shows who comes and
    /// goes.
    pub(super) fn to_text(&self) -> Result<String, Failure> {
        let mut text = serde_json::to_string_pretty(self).map_err(|error| {
            let words = format!(
                "the flags of {} cannot be written as JSON: {error}: the file stays as it is; \
                 please report this bug of optoggles",
                self.name
            );
            Failure::new(Kind::Setup, words)
        })?;
        text.push('\n');
        Ok(text)
    }
}

impl Serialize for Definition<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let others = self.others.iter();
        let mut members: BTreeMap<&str, Part<_>> = others
            .map(|(name, value)| (name.as_str(), Part::Kept(value)))
            .collect();
        members.insert("flags", Part::Changed(&self.flags));
        members.serialize(serializer)
    }
}

/// The owner that the metadata of a flag name.
fn owner_in(metadata: &Map<String, Value>) -> Option<String> {
    Some(metadata.get(MARK)?.as_str()?.to_owned())
}

/// A boolean flag, on for those whose targeting key is listed and off for all others, by its members. What of
/// them is not ours stays as it was written.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub(in crate::target) struct Flag<'t>(BTreeMap<String, Member<'t>>);

#[derive(Clone, Serialize)]
#[serde(untagged)]
enum Member<'t> {
    Kept(&'t RawValue),
    Value(Value),
    Targeting(Targeting),
}

/// `{"if": [{"in": [{"var": "targetingKey"}, [users]]}, "on", "off"]}`
///
/// Each operator is an object with one member of its name, as serde reads and writes an enum. A struct
/// would be read from a list too, member by member.
#[derive(Clone, Deserialize, Serialize)]
enum Targeting {
    #[serde(rename = "if")]
    If(Condition, String, String),
}

#[derive(Clone, Deserialize, Serialize)]
enum Condition {
    #[serde(rename = "in")]
    In(Members<Value>, Arc<Users>),
}

/// The members that are the same in each flag.
fn fixed() -> [(&'static str, Value); 3] {
    [
        ("state", json!("ENABLED")),
        ("variants", json!({ "off": false, "on": true })),
        ("defaultVariant", json!("off")),
    ]
}

/// The evaluation context's member that names the user.
fn targeting_key() -> Members<Value> {
    let mut members = Members::default();
    members.insert("var".to_owned(), json!("targetingKey"));
    members
}

impl Default for Flag<'_> {
    /// A flag that is on for nobody.
    fn default() -> Self {
        let mut flag = Flag(BTreeMap::new());
        flag.turn_on_for(&Arc::default());
        flag
    }
}

impl<'t> Flag<'t> {
    /// Fails where it is not boolean, or perhaps with an error of JSON.
    fn parse(flag: &'t RawValue) -> Result<Flag<'t>, Option<serde_json::Error>> {
        let members: Members<&RawValue> = serde_json::from_str(flag.get())?;
        let variants = members.get("variants").ok_or(None)?;
        let variants: Members<Value> = serde_json::from_str(variants.get())?;
        if !variants.values().all(Value::is_boolean) {
            return Err(None);
        }
        let members = members.iter();
        let kept = members.map(|(name, value)| (name.clone(), Member::Kept(value)));
        Ok(Flag(kept.collect()))
    }

    /// Whom the targeting names, where it is written as ours is.
    pub(super) fn users(&self) -> Option<Arc<Users>> {
        let targeting: Targeting = self.read("targeting")?;
        let Targeting::If(Condition::In(var, users), then, otherwise) = targeting;
        let is_ours = *var == *targeting_key() && then == "on" && otherwise == "off";
        is_ours.then_some(users)
    }

    /// Whether all but the users is as it should be.
    pub(super) fn is_in_order(&self) -> bool {
        let mut fixed = fixed().into_iter();
        fixed.all(|(name, value)| self.read::<Value>(name) == Some(value))
    }

    /// Whether its metadata are those of the `spec`, where that has any, with the mark of the owner, if it has
    /// one.
    pub(super) fn follows(&self, spec: &Map<String, Value>, owner: Option<&str>) -> bool {
        let desired = self.metadata(spec, owner);
        desired.is_none_or(|desired| self.read("metadata") == Some(desired))
    }

    /// The owner whose mark it carries.
    pub(super) fn owner(&self) -> Option<String> {
        owner_in(&self.read("metadata")?)
    }

    /// The metadata that it has to have, if it has to have any.
    fn metadata(&self, spec: &Map<String, Value>, owner: Option<&str>) -> Option<Value> {
        let desired = spec.get("metadata");
        let Some(owner) = owner else {
            return desired.cloned();
        };
        let mut metadata = match desired {
            Some(Value::Object(desired)) => desired.clone(),
            _ => self.read("metadata").unwrap_or_default(),
        };
        metadata.insert(MARK.to_owned(), json!(owner));
        Some(Value::Object(metadata))
    }

    /// Turns it on for exactly these users.
    pub(in crate::target) fn turn_on_for(&mut self, users: &Arc<Users>) {
        let condition = Condition::In(targeting_key(), Arc::clone(users));
        let targeting = Targeting::If(condition, "on".to_owned(), "off".to_owned());
        for (name, value) in fixed() {
            self.set(name, Member::Value(value));
        }
        self.set("targeting", Member::Targeting(targeting));
    }

    /// Gives it the metadata that it has to have.
    pub(in crate::target) fn describe(&mut self, spec: &Map<String, Value>, owner: Option<&str>) {
        if let Some(metadata) = self.metadata(spec, owner) {
            self.set("metadata", Member::Value(metadata));
        }
    }

    fn set(&mut self, name: &str, member: Member<'t>) {
        self.0.insert(name.to_owned(), member);
    }

    /// A member as it was written, where it is of this type.
    fn read<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Option<T> {
        match self.0.get(name)? {
            Member::Kept(value) => serde_json::from_str(value.get()).ok(),
            _ => None,
        }
    }
}
