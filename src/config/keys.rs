//! The table of keys: what a key is called, how its value is read, and what is said of it.
//!
//! From it come the reading, the mask, the help for unknown keys, the defaults, the reference in the man page
//! and the JSON Schema. Each type of source and target has a table of its own.

use std::fmt;

use serde_json::{Map, Value};

use super::interpolate::is_identifier;
use super::mask::Show;
use super::nearest::is_respelled;
use super::section::{Context, Section};

/// A key of the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: ValueKind,
    pub(crate) need: Need,
    /// A value, as it is written in the file.
    pub(crate) example: &'static str,
    /// What OPToggles' YAML calls it, where that is another word, and what else people write.
    pub(crate) was: &'static [&'static str],
    /// For the man page, editors and a first configuration, which has the first sentence; what is in backticks
    /// is code.
    pub(crate) says: &'static str,
}

/// The keys of what messages call sources, rules, targets and toggles.
const NAMES: &[&str] = &[
    "id", "instance", "key", "owner", "package", "rule", "source", "target", "type",
];

/// Whether a key has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Optional,
    /// As it would be written in the file.
    Default(&'static str),
}

/// How a value is read and checked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ValueKind {
    Text,
    /// A text that is not blank.
    Filled,
    Word(&'static Form),
    Words(&'static Form),
    /// A list of words, none of them twice and at least one.
    Set(&'static Form),
    Bind,
    /// A URL, to which one of these paths is added; the longest comes first.
    Address(&'static [&'static str]),
    /// `host:port`, or a URL.
    AdvertisedAddress,
    Duration,
    /// A duration that `"0s"` turns off.
    Interval,
    Number(i64, i64),
    Bool,
    MaxRemoval,
    /// A secret that a header can carry, to the address under this key.
    Token(&'static str),
    /// The same behind `Bearer`.
    BearerToken(&'static str),
    /// A table of such secrets.
    Headers(&'static str),
    CaFile,
    CertFile,
    KeyFile,
    Path,
    /// A path, or `-` for the standard input.
    Input,
    /// A table of strings, numbers and booleans.
    Values,
    /// Anything that JSON can hold.
    Json,
    /// A table with keys of its own.
    Table,
    Tables,
    /// A table whose keys depend on the target.
    Spec,
}

/// What a word looks like.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) is_met: fn(&str) -> bool,
    /// The code of the problem where it is not.
    pub(crate) code: &'static str,
    /// Such as `source id`.
    pub(crate) what: &'static str,
    /// What it consists of.
    pub(crate) of: &'static str,
}

impl Key {
    pub(crate) const fn required(
        name: &'static str,
        kind: ValueKind,
        example: &'static str,
    ) -> Key {
        Key {
            name,
            kind,
            need: Need::Required,
            example,
            was: &[],
            says: "",
        }
    }

    pub(crate) const fn optional(
        name: &'static str,
        kind: ValueKind,
        example: &'static str,
    ) -> Key {
        Key {
            need: Need::Optional,
            ..Key::required(name, kind, example)
        }
    }

    pub(crate) const fn default(name: &'static str, kind: ValueKind, default: &'static str) -> Key {
        Key {
            need: Need::Default(default),
            ..Key::required(name, kind, default)
        }
    }

    pub(crate) const fn was(self, was: &'static [&'static str]) -> Key {
        Key { was, ..self }
    }

    pub(crate) const fn says(self, says: &'static str) -> Key {
        Key { says, ..self }
    }

    /// Whether a word is its name in some spelling, or what it was called.
    pub(super) fn is_called(&self, word: &str) -> bool {
        is_respelled(self.name, word) || self.was.iter().any(|was| is_respelled(was, word))
    }

    /// Whether what references bring into it is a secret, wherever it turns up. Messages need names, and a
    /// number, a duration or a path is not secret. For addresses, see `Text::values_beside_host`.
    pub(super) fn holds_secrets(&self) -> bool {
        match self.kind {
            ValueKind::Text
            | ValueKind::Filled
            | ValueKind::Word(_)
            | ValueKind::Words(_)
            | ValueKind::Set(_) => !NAMES.contains(&self.name),
            ValueKind::Token(_)
            | ValueKind::BearerToken(_)
            | ValueKind::Headers(_)
            | ValueKind::Values
            | ValueKind::Json => true,
            _ => false,
        }
    }

    /// The help where the key is missing, or has another value.
    pub(super) fn help(&self) -> String {
        match (self.kind, self.need) {
            (ValueKind::Tables, _) => {
                format!("write `[[{}]]` above each, with two brackets", self.name)
            }
            (ValueKind::Table, _) if self.name == "target" => {
                "write `[target]` above its keys, with one bracket; several are `[[targets]]`"
                    .into()
            }
            (ValueKind::Spec, _) => {
                "write `[toggles.spec]` above its keys, with one bracket".into()
            }
            (ValueKind::Duration | ValueKind::Interval, _) => {
                let (name, example) = (self.name, self.example);
                format!("write a number and its unit in quotes, such as `{name} = {example}`")
            }
            (ValueKind::Bool, _) => {
                format!("write `{0} = true` or `{0} = false`", self.name)
            }
            (_, Need::Optional) => {
                format!("write `{} = {}`, or leave it out", self.name, self.example)
            }
            _ => format!("write `{} = {}`", self.name, self.example),
        }
    }
}

impl ValueKind {
    /// What may be shown of the values.
    pub(super) fn show(self) -> Show {
        match self {
            ValueKind::Text
            | ValueKind::Filled
            | ValueKind::Word(_)
            | ValueKind::Words(_)
            | ValueKind::Set(_)
            | ValueKind::Bind
            | ValueKind::Duration
            | ValueKind::Interval
            | ValueKind::Number(..)
            | ValueKind::Bool
            | ValueKind::MaxRemoval
            | ValueKind::CaFile
            | ValueKind::CertFile
            | ValueKind::KeyFile
            | ValueKind::Path
            | ValueKind::Input => Show::Whole,
            ValueKind::Address(_) | ValueKind::AdvertisedAddress => Show::Address,
            _ => Show::Nothing,
        }
    }
}

/// A type of source or target: what the configuration has to know of it.
pub(crate) struct PeerType {
    pub(crate) name: &'static str,
    /// For the man page, and for a first configuration.
    pub(crate) says: &'static str,
    pub(crate) keys: &'static [&'static [Key]],
    /// Checks what single keys do not tell.
    pub(crate) check: fn(&mut Section, &mut Context),
}

impl PeerType {
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.keys.iter().copied().flatten()
    }

    /// The key of what is read instead of OPA.
    pub(super) fn input(&self) -> Option<&'static Key> {
        self.keys().find(|key| matches!(key.kind, ValueKind::Input))
    }
}

/// Something that toggles can share: what it is, which one, and what they have to agree on.
pub(crate) type Shared = (&'static str, String, String);

/// What the configuration has to know of a type of target beside that.
pub(crate) struct TargetType {
    pub(crate) peer: PeerType,
    /// The key that tells one target from another.
    pub(crate) place: &'static str,
    /// What the key of a toggle has to be.
    pub(crate) toggle_key: Option<&'static Form>,
    pub(crate) spec: Spec,
    /// The key of `spec` that names a toggle's project; then `environments` lists those that it is kept in.
    pub(crate) project: Option<&'static str>,
    /// Whether `serve` itself holds its toggles, and answers for them.
    pub(crate) is_served: bool,
    /// Whether it shows by which revision OPA decided.
    pub(crate) shows_revision: bool,
    /// What a toggle with this `spec` can share with others.
    pub(crate) shares: fn(&Map<String, Value>) -> Option<Shared>,
}

impl TargetType {
    /// The project of a toggle with this `spec`, and its environments there.
    fn places<'s>(&self, spec: &'s Map<String, Value>) -> Option<(&'s str, Vec<&'s str>)> {
        let project = self.project_of(spec)?;
        let environments = spec.get("environments")?.as_array()?.iter();
        Some((project, environments.filter_map(Value::as_str).collect()))
    }

    /// The project of a toggle with this `spec`.
    pub(crate) fn project_of<'s>(&self, spec: &'s Map<String, Value>) -> Option<&'s str> {
        spec.get(self.project?)?.as_str()
    }

    /// Whether toggles of the same key with these `spec`s have any environment in common.
    pub(crate) fn is_same_toggle(
        &self,
        one: &Map<String, Value>,
        other: &Map<String, Value>,
    ) -> bool {
        let places = self.places(one).zip(self.places(other));
        places.is_none_or(|((project, environments), (other_project, others))| {
            project == other_project && environments.iter().any(|it| others.contains(it))
        })
    }

    /// Where a toggle is no longer kept once its `spec` is the new one: its environments, or `the project x`.
    pub(super) fn left_behind(
        &self,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
    ) -> Option<String> {
        let ((project, mut gone), (new_project, environments)) =
            self.places(old).zip(self.places(new))?;
        if project != new_project {
            return Some(format!("the project {project}"));
        }
        gone.retain(|environment| !environments.contains(environment));
        Some(gone.join(", ")).filter(|gone| !gone.is_empty())
    }
}

impl PartialEq for TargetType {
    fn eq(&self, other: &TargetType) -> bool {
        self.peer.name == other.peer.name
    }
}

impl fmt::Debug for TargetType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.peer.name)
    }
}

/// What a toggle's `spec` is to a target.
pub(crate) enum Spec {
    Keys(&'static [Key]),
    /// Any table, without the keys that would override the toggle's own.
    Free(&'static [&'static str]),
}

/// The types of sources and targets.
#[derive(Clone)]
pub struct Catalog {
    pub(crate) sources: Vec<&'static PeerType>,
    pub(crate) targets: Vec<&'static TargetType>,
}

/// A table of the file that has keys of its own.
pub(crate) struct Group {
    /// Where it is, as a sentence goes on: "in `[target]`".
    pub(crate) place: &'static str,
    /// The keys that lead there.
    pub(crate) path: &'static [&'static str],
    /// The types of what it describes, each with its keys; a table without types has one without a name.
    pub(crate) types: Vec<(&'static str, Vec<&'static Key>)>,
}

impl Group {
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static Key> {
        self.types.iter().flat_map(|(_, keys)| keys.iter().copied())
    }

    /// Where a key belongs, if it belongs here.
    fn home(&self, key: &str) -> Option<(&'static str, String)> {
        let name = self.keys().find(|it| it.is_called(key))?.name;
        let has_it = |(_, keys): &&(_, Vec<&Key>)| keys.iter().any(|it| it.name == name);
        let types = self.types.iter().filter(has_it);
        let types: Vec<String> = types.map(|(name, _)| format!("`{name}`")).collect();
        let place = match &*types {
            all if all.len() == self.types.len() => self.place.to_owned(),
            [others @ .., last] if !others.is_empty() => {
                format!("{} (type {} or {last})", self.place, others.join(", "))
            }
            only => format!("{} (type {})", self.place, only.concat()),
        };
        Some((name, place))
    }
}

impl Catalog {
    /// All tables that have keys of their own, the outermost first, with the targets in one of two forms.
    pub(crate) fn groups(&self, form: &Key) -> Vec<Group> {
        let group = |place, path, types| Group { place, path, types };
        let plain = |keys: &'static [Key]| vec![("", keys.iter().collect())];
        let typed = |common: &'static [Key], peer: &PeerType| {
            (peer.name, common.iter().chain(peer.keys()).collect())
        };
        let sources = self.sources.iter().map(|it| typed(EVERY_SOURCE, it));
        let (place, path, common): (_, &[_], _) = match form.name == TARGET.name {
            true => ("in `[target]`", &[TARGET.name], ONLY_TARGET),
            false => ("in `[[targets]]`", &[TARGETS.name], EVERY_TARGET),
        };
        let targets = self.targets.iter().map(|it| typed(common, &it.peer));
        let specs = self.targets.iter().filter_map(|it| match it.spec {
            Spec::Keys(keys) => Some((it.peer.name, keys.iter().collect())),
            Spec::Free(_) => None,
        });
        let top = "at the top of the file, before the first `[table]`";
        let policy = &["toggles", "users_policy"];
        vec![
            group(top, &[], plain(TOP)),
            group("in `[[sources]]`", &["sources"], sources.collect()),
            group(place, path, targets.collect()),
            group("in `[[toggles]]`", &["toggles"], plain(EVERY_TOGGLE)),
            group("in `users_policy`", policy, plain(POLICY)),
            group("in `[toggles.spec]`", &["toggles", "spec"], specs.collect()),
        ]
    }
}

/// Where a key belongs that is not known where it is.
pub(super) fn belongs(groups: &[Group], key: &str) -> Option<String> {
    let homes: Vec<_> = groups.iter().filter_map(|group| group.home(key)).collect();
    let name = homes.first()?.0;
    let homes = homes.into_iter().filter(|(it, _)| *it == name);
    let places: Vec<String> = homes.map(|(_, place)| place).collect();
    let places = places.join(", or ");
    Some(match name == key {
        true => format!("`{name}` belongs {places}"),
        false => format!("write `{name}` {places}"),
    })
}

/// What may be shown of the value at a path: the least that any key allows which may be there.
pub(super) fn show(groups: &[Group], path: &[String]) -> Show {
    let Some((name, table)) = path.split_last() else {
        return Show::Nothing;
    };
    let is_it = |group: &&Group| {
        let mut keys = group.path.iter().zip(table);
        group.path.len() == table.len() && keys.all(|(key, word)| is_respelled(key, word))
    };
    let keys = groups.iter().filter(is_it).flat_map(Group::keys);
    let keys = keys.filter(|key| is_respelled(key.name, name));
    let shows = keys.map(|key| key.kind.show());
    shows.max().unwrap_or(Show::Nothing)
}

pub(crate) const TOP: &[Key] = &[
    Key::default("bind", ValueKind::Bind, "\"0.0.0.0:8080\"").says(
        "Where `optoggles serve` listens. `:8080` is every interface, IPv6 too.",
    ),
    Key::default("resync_interval", ValueKind::Interval, "\"5m\"").says(
        "The time from the end of one resync to the start of the next. A resync compares everything \
         again, although OPAL has not called. `0s` turns it off.",
    ),
    Key::default("http_timeout", ValueKind::Duration, "\"10s\"")
        .says("The time limit of each request, from its start to the end of the answer."),
    Key::default("concurrency", ValueKind::Number(1, 256), "8").says(
        "Requests in flight at once, to each source and each target. LaunchDarkly and Unleash get 4 at most.",
    ),
    MAX_REMOVAL.says(
        "The most users that may be removed from a toggle at once: a share, a number of users, or \
         `off`. By default half of the users, where a toggle has 10 or more.",
    ),
    Key::optional("audit_log", ValueKind::Path, "\"/var/log/optoggles/audit.jsonl\"").says(
        "A file to which a line of JSON is appended for each change of users at a target, with their \
         keys. Each instance needs its own.",
    ),
    SOURCES,
    TARGET,
    TARGETS,
    TOGGLES,
];

pub(super) const SOURCES: Key =
    Key::required("sources", ValueKind::Tables, "[]").says("Where users come from.");
pub(super) const TARGET: Key = Key::required("target", ValueKind::Table, "{}")
    .says("The platform that holds the toggles, if there is only one. Its `id` is its `type`.");
pub(super) const TARGETS: Key = Key::required("targets", ValueKind::Tables, "[]").says(
    "The platforms that hold the toggles, each with an `id`. It takes the place of `target`.",
);
pub(super) const TOGGLES: Key =
    Key::optional("toggles", ValueKind::Tables, "[]").says("The feature flags.");

const MAX_REMOVAL: Key = Key::optional("max_removal", ValueKind::MaxRemoval, "\"30%\"");

/// What every source has.
pub(crate) const EVERY_SOURCE: &[Key] = &[
    Key::required("id", ValueKind::Word(&ID), "\"my-source\"").says(
        "Toggles name their source by it. Letters, digits, `.`, `_` and `-`; the first is a letter or \
         digit.",
    ),
    Key::default("type", ValueKind::Text, "\"opal\"").says("The type of the source."),
];

const ID: Form = id("source id");

const fn id(what: &'static str) -> Form {
    Form {
        is_met: is_id,
        code: "invalid-id",
        what,
        of: "letters, digits, `.`, `_` and `-`, beginning with a letter or digit",
    }
}

pub(crate) fn is_id(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_plain)
}

/// What each of several targets has.
pub(crate) const EVERY_TARGET: &[Key] = &[
    Key::required("id", ValueKind::Word(&TARGET_ID), "\"my-target\"").says(
        "In `[[targets]]` only. Toggles name their target by it. Letters, digits, `.`, `_` and `-`; the \
         first is a letter or digit.",
    ),
    TYPE_OF_TARGET,
];

/// What a target has that is the only one.
pub(crate) const ONLY_TARGET: &[Key] = &[TYPE_OF_TARGET];

const TARGET_ID: Form = id("target id");

const TYPE_OF_TARGET: Key = Key::required("type", ValueKind::Text, "\"restapi\"")
    .was(&["target_type"])
    .says("The type of the target.");

pub(crate) const EVERY_TOGGLE: &[Key] = &[
    Key::required("key", ValueKind::Filled, "\"my-feature\"").says(
        "The toggle's key at the target. It is unique there, and also among targets at the same \
             place: for `launchdarkly` and `unleash`, in the same project and environment.",
    ),
    Key {
        need: Need::Optional,
        ..NAMED_TARGET
    },
    USERS_POLICY,
    SPEC,
    MAX_REMOVAL.says("Overrides `max_removal` at the top of the file."),
];

/// A toggle's target where there are several.
pub(super) const NAMED_TARGET: Key = Key::required("target", ValueKind::Text, "\"my-target\"")
    .says("The `id` of a target. Required if there are several.");

pub(super) const USERS_POLICY: Key = Key::required(
    "users_policy",
    ValueKind::Table,
    "{ source = \"…\", package = \"app.rbac\", rule = \"us_users\" }",
)
.says("The rule that says who may use the feature.");
pub(super) const SPEC: Key = Key::optional("spec", ValueKind::Spec, "{}")
    .says("What the target needs to create the toggle. LaunchDarkly and Unleash require it.");

pub(crate) const POLICY: &[Key] = &[
    Key::required("source", ValueKind::Text, "\"my-source\"").says("The `id` of a source."),
    Key::required("package", ValueKind::Word(&PACKAGE), "\"app.rbac\"")
        .says("The rule's package, such as `app.rbac`."),
    Key::required("rule", ValueKind::Word(&RULE), "\"us_users\"").says(
        "The rule's name, such as `us_users`. Its value has to be a set or a list of strings, none of \
         them empty.",
    ),
    Key::optional("input", ValueKind::Json, "{ environment = \"production\" }").says(
        "Sent to OPA as the rule's `input`: any value that JSON can hold. Not with a source of type \
         `file`.",
    ),
];

const PACKAGE: Form = Form {
    is_met: |text| package_parts(text).is_some(),
    code: "invalid-package",
    what: "Rego package",
    of: "names separated by dots, without `data` (`app[\"my-team\"]` for what is not a name)",
};

const RULE: Form = Form {
    is_met: is_identifier,
    code: "invalid-rule",
    what: "Rego rule name",
    of: "letters, digits and `_`, without its package",
};

/// The parts of a package: `foo["bar-baz"]` are `foo` and `bar-baz`. None if it is not a package, or one
/// that a dotted path cannot name.
pub(super) fn package_parts(package: &str) -> Option<Vec<&str>> {
    let (first, mut rest) = split_identifier(package)?;
    if first == "data" {
        // Every package is below `data` already, and Rego has no package of that name.
        return None;
    }
    let mut parts = vec![first];
    while !rest.is_empty() {
        let part;
        if let Some(dotted) = rest.strip_prefix('.') {
            (part, rest) = split_identifier(dotted)?;
        } else {
            (part, rest) = rest.strip_prefix("[\"")?.split_once("\"]")?;
            let is_plain = |c: char| !c.is_control() && !matches!(c, '.' | '"' | '\\');
            if part.is_empty() || !part.chars().all(is_plain) {
                return None;
            }
        }
        parts.push(part);
    }
    Some(parts)
}

fn split_identifier(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let (identifier, rest) = text.split_at(end.unwrap_or(text.len()));
    is_identifier(identifier).then_some((identifier, rest))
}

/// The key of targets that can list what they hold.
pub(crate) const OWNER: Key = Key::optional("owner", ValueKind::Word(&OWNER_NAME), "\"payments\"").says(
    "Mark the toggles, and turn off those for everybody that carry the mark and are no longer in this \
     configuration. It has to be another one in each configuration that keeps toggles at the same place. A \
     toggle with the mark of another owner is left alone.",
);

const OWNER_NAME: Form = Form {
    // With its prefix, it is at most as long as a tag of Unleash.
    is_met: |text| is_id(text) && text.len() <= 40,
    code: "invalid-owner",
    what: "owner",
    of: "at most 40 letters, digits, `.`, `_` and `-`, and begins with a letter or digit",
};

/// The certificates of whatever is asked over HTTPS.
pub(crate) const TLS: &[Key] = &[
    Key::optional("ca_file", ValueKind::CaFile, "\"ca.pem\"")
        .says("Trust the certificates of this PEM file instead of the public ones."),
    Key::optional("cert_file", ValueKind::CertFile, "\"client.pem\"")
        .says("A client certificate in PEM, with its chain; requires `key_file`."),
    Key::optional("key_file", ValueKind::KeyFile, "\"client.key\"")
        .says("The private key of `cert_file` in PEM, not encrypted."),
];
