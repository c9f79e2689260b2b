//! A boolean flag of a flagd file: on for those whose targeting key is listed, off for all others.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::users::Users;

/// A flag by its members. What of them is not ours stays as it was written.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub(super) struct Flag<'t>(BTreeMap<String, Member<'t>>);

#[derive(Clone, Serialize)]
#[serde(untagged)]
enum Member<'t> {
    Kept(&'t RawValue),
    Value(Value),
    Targeting(Targeting<Arc<Users>>),
}

/// `{"if": [{"in": [{"var": "targetingKey"}, [users]]}, "on", "off"]}`
///
/// Each operator is an object with one member of its name, as serde reads and writes an enum. A struct
/// would be read from a list too, member by member.
#[derive(Clone, Deserialize, Serialize)]
enum Targeting<U> {
    #[serde(rename = "if")]
    If(Condition<U>, String, String),
}

#[derive(Clone, Deserialize, Serialize)]
enum Condition<U> {
    #[serde(rename = "in")]
    In(Var, U),
}

#[derive(Clone, Deserialize, Serialize)]
enum Var {
    #[serde(rename = "var")]
    Var(String),
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
const TARGETING_KEY: &str = "targetingKey";

impl Default for Flag<'_> {
    /// A flag that is on for nobody.
    fn default() -> Self {
        let mut flag = Flag(BTreeMap::new());
        flag.turn_on_for(&Arc::default());
        flag
    }
}

impl<'t> Flag<'t> {
    /// Parses a flag; none where it is not boolean.
    pub(super) fn parse(flag: &'t RawValue) -> Option<Flag<'t>> {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(flag.get()).ok()?;
        let flag = Flag(
            members
                .into_iter()
                .map(|(name, value)| (name, Member::Kept(value)))
                .collect(),
        );
        let variants: BTreeMap<String, Value> = flag.read("variants")?;
        variants.values().all(Value::is_boolean).then_some(flag)
    }

    /// Whom the targeting names, where it is written as ours is.
    pub(super) fn users(&self) -> Option<Users> {
        let targeting: Targeting<Users> = self.read("targeting")?;
        let Targeting::If(Condition::In(Var::Var(var), users), then, otherwise) = targeting;
        let is_ours = var == TARGETING_KEY && then == "on" && otherwise == "off";
        is_ours.then_some(users)
    }

    /// Whether all but the users is as it should be.
    pub(super) fn is_in_order(&self) -> bool {
        let mut fixed = fixed().into_iter();
        fixed.all(|(name, value)| self.read::<Value>(name) == Some(value))
    }

    /// Whether its metadata are those of the `spec`, where that has any.
    pub(super) fn follows(&self, spec: &Map<String, Value>) -> bool {
        let desired = spec.get("metadata");
        desired.is_none_or(|desired| self.read::<Value>("metadata").as_ref() == Some(desired))
    }

    /// Turns it on for exactly these users.
    pub(super) fn turn_on_for(&mut self, users: &Arc<Users>) {
        let var = Var::Var(TARGETING_KEY.to_owned());
        let condition = Condition::In(var, Arc::clone(users));
        let targeting = Targeting::If(condition, "on".to_owned(), "off".to_owned());
        for (name, value) in fixed() {
            self.set(name, Member::Value(value));
        }
        self.set("targeting", Member::Targeting(targeting));
    }

    /// Gives it the metadata of the `spec`, where that has any.
    pub(super) fn describe(&mut self, spec: &Map<String, Value>) {
        if let Some(metadata) = spec.get("metadata") {
            self.set("metadata", Member::Value(metadata.clone()));
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
