//! Flags as LaunchDarkly holds and shows them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The kind of contexts that people are: whom an instruction without `contextKind` is about.
pub(crate) const USER: &str = "user";

/// When everything was made, in milliseconds since 1970.
const DATE: u64 = 1_700_000_000_000;

/// A flag of a project; a test can make of it what it likes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Flag {
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) variations: Vec<Variation>,
    pub(crate) archived: bool,
    pub(crate) client_side: ClientSide,
    pub(crate) version: u64,
    pub(crate) environments: BTreeMap<String, Config>,
}

/// A value that a flag can serve: known by its index to those who read, by its id to those who write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variation {
    #[serde(rename = "_id", default)]
    pub(crate) id: String,
    pub(crate) value: Value,
}

/// Which SDKs on users' devices see the flag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ClientSide {
    pub(crate) using_environment_id: bool,
    pub(crate) using_mobile_key: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Config {
    pub(crate) on: bool,
    /// `{"variation": …}` or `{"rollout": …}`.
    pub(crate) fallthrough: Value,
    /// None: a flag that is off serves whatever the application's code has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) off_variation: Option<usize>,
    /// Those of kind user.
    pub(crate) targets: Vec<Target>,
    /// Those of other kinds, and entries of kind user without values.
    pub(crate) context_targets: Vec<Target>,
    pub(crate) rules: Vec<Value>,
    pub(crate) prerequisites: Vec<Value>,
    pub(crate) version: u64,
}

/// Who gets a variation because they are named.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Target {
    pub(crate) context_kind: String,
    pub(crate) variation: usize,
    pub(crate) values: Vec<String>,
}

impl Target {
    pub(crate) fn new(kind: &str, variation: usize, values: &[&str]) -> Target {
        Target {
            context_kind: kind.to_owned(),
            variation,
            values: values.iter().map(|&value| value.to_owned()).collect(),
        }
    }
}

impl Config {
    /// Off, as new flags are everywhere.
    pub(crate) fn off(on_variation: usize, off_variation: usize) -> Config {
        Config {
            on: false,
            fallthrough: json!({ "variation": on_variation }),
            off_variation: Some(off_variation),
            targets: Vec::new(),
            context_targets: Vec::new(),
            rules: Vec::new(),
            prerequisites: Vec::new(),
            version: 1,
        }
    }

    /// Targets these keys too; what has one of them in another variation is an error.
    pub(super) fn add_targets(
        &mut self,
        kind: &str,
        variation: usize,
        values: Vec<String>,
    ) -> Result<(), String> {
        let list = self.list_of(kind);
        let of_kind = list.iter().filter(|target| target.context_kind == kind);
        let others = of_kind.filter(|target| target.variation != variation);
        let elsewhere: HashSet<&String> = others.flat_map(|target| &target.values).collect();
        if values.iter().any(|value| elsewhere.contains(value)) {
            return Err("a key would be targeted in two variations".into());
        }
        let here = |target: &Target| target.context_kind == kind && target.variation == variation;
        let place = list.iter().position(here).unwrap_or_else(|| {
            list.push(Target::new(kind, variation, &[]));
            list.len() - 1
        });
        let mut there: HashSet<String> = list[place].values.iter().cloned().collect();
        let new = values
            .into_iter()
            .filter(|value| there.insert(value.clone()));
        list[place].values.extend(new);
        self.mark_order();
        Ok(())
    }

    /// Targets these keys no more. An entry that loses its last key stays.
    pub(super) fn remove_targets(&mut self, kind: &str, variation: usize, values: &[String]) {
        let gone: HashSet<&String> = values.iter().collect();
        for target in self.list_of(kind) {
            if target.context_kind == kind && target.variation == variation {
                target.values.retain(|value| !gone.contains(value));
            }
        }
    }

    /// Where users are targeted, LaunchDarkly has an entry without values among the other kinds too:
    /// it says when their turn is. Without it, their SDKs pass over the users.
    pub(crate) fn mark_order(&mut self) {
        for target in &self.targets {
            let mark = Target::new(USER, target.variation, &[]);
            if !self.context_targets.contains(&mark) {
                self.context_targets.push(mark);
            }
        }
    }

    fn list_of(&mut self, kind: &str) -> &mut Vec<Target> {
        match kind {
            USER => &mut self.targets,
            _ => &mut self.context_targets,
        }
    }

    fn show(&self, environment: &str, flag: &Flag, summary: bool) -> Value {
        let mut shown = json!(self);
        shown["archived"] = json!(flag.archived);
        shown["salt"] = json!(flag.key);
        shown["sel"] = json!("sel");
        shown["lastModified"] = json!(DATE);
        shown["_site"] = json!({ "href": "/default/features", "type": "text/html" });
        shown["_environmentName"] = json!(environment);
        shown["trackEvents"] = json!(false);
        shown["trackEventsFallthrough"] = json!(false);
        if let (true, Some(members)) = (summary, shown.as_object_mut()) {
            let lists = ["targets", "contextTargets", "rules", "prerequisites"];
            members.retain(|name, _| !lists.contains(&name.as_str()));
        }
        shown
    }
}

impl Flag {
    /// The flag in an environment; the test knows that it is there.
    pub(crate) fn environment(&mut self, key: &str) -> &mut Config {
        self.environments.get_mut(key).expect("such an environment")
    }

    /// As it is shown: in these environments only, where some are named; in a summary without targets, rules
    /// and prerequisites.
    pub(super) fn show(&self, project: &str, only: Option<&[String]>, summary: bool) -> Value {
        let boolean =
            self.variations.len() == 2 && self.variations.iter().all(|one| one.value.is_boolean());
        let environments = self.environments.iter();
        let wanted = environments.filter(|(key, _)| only.is_none_or(|only| only.contains(key)));
        let environments: Map<String, Value> = wanted
            .map(|(key, config)| (key.clone(), config.show(key, self, summary)))
            .collect();
        json!({
            "key": self.key,
            "name": self.name,
            "description": self.description,
            "tags": self.tags,
            "kind": if boolean { "boolean" } else { "multivariate" },
            "variations": self.variations,
            "archived": self.archived,
            "temporary": false,
            "clientSideAvailability": self.client_side,
            "customProperties": {},
            "experiments": { "baselineIdx": 0, "items": [] },
            "creationDate": DATE,
            "_version": self.version,
            "_links": { "self": { "href": super::path_of(project, &self.key), "type": "application/json" } },
            "environments": environments,
        })
    }
}
