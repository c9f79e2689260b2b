//! A configuration from top to bottom: every problem in one run, and the configuration itself if none is
//! an error.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use toml::de::{DeTable, Error};

use super::interpolate::{Surroundings, Text};
use super::keys::{
    Catalog, EVERY_SOURCE, EVERY_TARGET, EVERY_TOGGLE, NAMED_TARGET, Need, ONLY_TARGET, POLICY,
    SOURCES, SPEC, Spec, TARGET, TARGETS, TOGGLES, TOP, TargetType, USERS_POLICY, is_id,
    package_parts,
};
use super::mask;
use super::nearest::{nearest, suggest_value};
use super::report::{Place, Problem, Report, Severity};
use super::section::{Context, Node, Section, Setting, Settings, real};
use super::{
    Config, MaxRemoval, Retires, Rule, RuleId, Source, Target, TargetId, Toggle, name_of, values,
};
use crate::address::is_loopback;
use crate::secret::Secrets;

/// Checks the text of a configuration. Where it is invalid TOML, that is all there is to say.
pub(super) fn check(
    file: &Path,
    text: String,
    around: &Surroundings,
    catalog: &Catalog,
) -> (Option<Config>, Report) {
    let (tree, errors) = DeTable::parse_recoverable(&text);
    if !errors.is_empty() {
        let problems = invalid_toml(&text, &errors);
        let cuts = mask::cuts_of_unparsed(&text, &catalog.groups(&TARGETS));
        return (None, Report::new(file, text, problems, cuts));
    }
    let groups = catalog.groups(match tree.get_ref().contains_key(TARGETS.name) {
        true => &TARGETS,
        false => &TARGET,
    });
    let mut cx = Context::new(around, catalog, &groups);
    let config = read(Section::new(tree.get_ref(), Place::default()), &mut cx);
    let mut problems = cx.problems;
    problems.sort_by_key(|problem| (problem.span.start, problem.span.end, problem.severity));
    let cuts = mask::cuts(&text, tree.get_ref(), &groups);
    let report = Report::new(file, text, problems, cuts);
    let is_usable = !report.has_errors() && !report.has(Severity::Note);
    (config.filter(|_| is_usable), report)
}

/// What the parser says: its messages quote nothing of the file.
fn invalid_toml(text: &str, errors: &[Error]) -> Vec<Problem> {
    const HELP: &str =
        "write `key = value` on a line of its own, strings in quotes: see https://toml.io";
    let problems = errors.iter().map(|error| {
        let span = error.span().unwrap_or_default();
        let at = Place {
            span: text.floor_char_boundary(span.start)..text.ceil_char_boundary(span.end),
            ..Place::default()
        };
        Problem::error("syntax", &at, error.message(), HELP)
    });
    let mut problems: Vec<Problem> = problems.collect();
    problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
    problems.dedup();
    problems
}

/// Reads everything before it gives up on anything, so that all problems are found.
fn read(mut root: Section, cx: &mut Context) -> Option<Config> {
    root.read(cx, TOP);
    if let Some(Setting::Duration(limit)) = root.get("http_timeout").map(|read| &read.setting) {
        cx.limit = *limit;
    }
    if let Some(Setting::Bind(bind)) = root.get("bind").map(|read| &read.setting) {
        cx.is_local = is_loopback(&bind.host);
    }
    // That these are missing is said in other words.
    root.missing.clear();
    let mut tables = Tables::default();
    tables.sources(&root, cx);
    tables.targets(&root, cx);
    tables.max_removal = match root.get("max_removal").map(|read| &read.setting) {
        Some(Setting::MaxRemoval(limit)) => Some(*limit),
        Some(_) => None,
        None => Some(MaxRemoval::Unset),
    };
    let toggles = tables.toggles(&root, cx);
    tables.report_taken(&root, cx);
    let settings = root.finish(cx);
    let interval = *settings.duration("resync_interval").ok()?;
    let mut config = Config {
        bind: settings.bind("bind").ok()?.clone(),
        resync_interval: Some(interval).filter(|interval| !interval.is_zero()),
        http_timeout: *settings.duration("http_timeout").ok()?,
        until: None,
        concurrency: *settings.number("concurrency").ok()?,
        audit_log: settings.path("audit_log").ok().map(Path::to_owned),
        sources: tables.sources.into_iter().flatten().collect(),
        targets: tables.targets.into_iter().flatten().collect(),
        rules: tables.rules,
        toggles,
        max_removal: tables.max_removal?,
        retires: Retires::All,
        secrets: Arc::default(),
    };
    config.secrets = Arc::new(secrets(mem::take(&mut cx.brought_in), &config));
    Some(config)
}

/// What references brought in, but for what is part of a name or a host: messages cannot do without these.
fn secrets(brought_in: Vec<(String, String)>, config: &Config) -> Secrets {
    let names = config.names();
    let is_named = |value: &str| names.iter().any(|name| name.contains(value));
    let mut secrets = Secrets::default();
    // Mostly many toggles bring in the same.
    for (value, name) in brought_in.into_iter().collect::<BTreeMap<_, _>>() {
        if !is_named(&value) {
            let instead = format!("[redacted:{name}]");
            // As a registration's key has it.
            let is_kept = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
            if value.len() >= 8 {
                secrets.add(&value.replace(|c| !is_kept(c), "-"), &instead);
            }
            secrets.add(&value, &instead);
        }
    }
    secrets
}

/// What was read so far that other tables refer to.
#[derive(Default)]
struct Tables {
    /// In the order of the file; none where the type is not known.
    sources: Vec<Option<Source>>,
    source_ids: Ids,
    /// Where the first source reads standard input.
    stdin: Option<Place>,
    targets: Vec<Option<Target>>,
    target_ids: Ids,
    /// Whether each toggle has to name its target.
    names_targets: bool,
    /// That of the file, if it is known.
    max_removal: Option<MaxRemoval>,
    /// By their keys.
    toggles: HashMap<String, Vec<Known>>,
    /// What toggles share, by the place of the target and which it is: on which terms, and the first of them.
    shared: HashMap<(String, String), (Terms, Range<usize>)>,
    rules: Vec<Rule>,
    rule_ids: HashMap<Rule, RuleId>,
}

/// A toggle that was read: its target, its `spec` if that is known, and its place in the file.
type Known = (TargetId, Option<Map<String, Value>>, Place);

/// What toggles that share something agree on.
type Terms = (Option<RuleId>, MaxRemoval, String);

/// The ids of the sources, or of the targets.
#[derive(Default)]
struct Ids {
    /// In the order of the file; none where it could not be read.
    all: Vec<Option<Text>>,
    /// Those that toggles name.
    used: Vec<usize>,
}

impl Tables {
    fn sources(&mut self, root: &Section, cx: &mut Context) {
        let tables = root.tables(cx, &SOURCES).unwrap_or_else(|at| {
            let help =
                "add a table `[[sources]]` with an `id`, a `url` and an `advertised_address`";
            cx.error("no-sources", &at, "no source is configured", help);
            Vec::new()
        });
        for mut section in tables {
            section.read(cx, EVERY_SOURCE);
            let id = section.text("id");
            let kind = section.read_type(cx, "source", &cx.catalog.sources);
            let input = kind.and_then(|kind| section.get(kind.input()?.name));
            if let Some(read) = input.filter(|it| it.setting == Setting::Path("-".into())) {
                self.add_stdin(&read.place, cx);
            }
            let settings = section.finish(cx);
            self.sources.push(kind.map(|kind| Source {
                id: id.as_ref().map_or(String::new(), |id| id.value.clone()),
                kind: kind.name,
                settings,
            }));
            self.source_ids.add(cx, "source", id);
        }
    }

    fn add_stdin(&mut self, at: &Place, cx: &mut Context) {
        if let Some(first) = &self.stdin {
            let message = "two sources read standard input";
            let help = "name a file in one of the two, or let the toggles share one source";
            cx.error("duplicate-path", at, message, help).first = Some(first.span.clone());
        } else {
            self.stdin = Some(at.clone());
        }
    }

    /// The targets, in one form or the other.
    fn targets(&mut self, root: &Section, cx: &mut Context) {
        let (only, list) = (root.node(TARGET.name), root.node(TARGETS.name));
        if let (Some(only), Some(list)) = (&only, &list) {
            let mut places = [&only.place, &list.place];
            places.sort_by_key(|place| place.span.start);
            let [first, second] = places;
            let message = "`[target]` and `[[targets]]` exclude each other";
            let help = "write `[[targets]]` above each target, with an `id`";
            cx.error("duplicate-target", second, message, help).first = Some(first.span.clone());
        }
        let mut tables = Vec::new();
        if let Some(node) = &only {
            tables.extend(cx.table(node, &TARGET.help()));
        }
        if only.is_none() || list.is_some() {
            tables.extend(root.tables(cx, &TARGETS).unwrap_or_else(|at| {
                let help = "add a table `[target]` with `type = \"restapi\"` and an `endpoint_url`";
                cx.error("no-target", &at, "no `[target]` is configured", help);
                Vec::new()
            }));
        }
        self.names_targets = only.is_none() && tables.len() > 1;
        let types: Vec<_> = cx.catalog.targets.iter().map(|it| &it.peer).collect();
        for mut section in tables {
            let is_only = section.place.key == TARGET.name;
            section.read(cx, if is_only { ONLY_TARGET } else { EVERY_TARGET });
            let peer = section.read_type(cx, "target", &types);
            let mut targets = cx.catalog.targets.iter().copied();
            let kind = targets.find(|it| peer.is_some_and(|peer| it.peer.name == peer.name));
            let is_served = |target: &Target| target.kind.is_served;
            if kind.is_some_and(|kind| kind.is_served)
                && self.targets.iter().flatten().any(is_served)
            {
                let message = "another target of the same type";
                let help = "`serve` answers for one: move its toggles there";
                cx.error("duplicate-target", &section.place, message, help);
            }
            // Not a setting: a target that only gets another id is the same.
            let id = match is_only {
                true => kind.and_then(|_| section.text("type")),
                false => section.take("id").and_then(|read| read.text),
            };
            let key = section.place.key.clone();
            let settings = section.finish(cx);
            let place = kind.and_then(|kind| {
                let place = settings.place(kind.place)?;
                Some(format!("{} {place}", kind.peer.name))
            });
            self.targets.push(kind.map(|kind| Target {
                place: place.unwrap_or_default(),
                id: id.as_ref().map_or(String::new(), |id| id.value.clone()),
                key,
                kind,
                settings,
            }));
            self.target_ids.add(cx, "target", id);
        }
    }

    /// Reports an audit log that would be written into another file of the configuration.
    fn report_taken(&self, root: &Section, cx: &mut Context) {
        let Some(read) = root.get("audit_log") else {
            return;
        };
        let paths = |settings: &Settings| settings.path("path").map(real).ok();
        let sources = self.sources.iter().flatten().map(|it| &it.settings);
        let targets = self.targets.iter().flatten().map(|it| &it.settings);
        if let Setting::Path(path) = &read.setting
            && sources
                .chain(targets)
                .filter_map(paths)
                .any(|it| it == real(path))
        {
            let message = "the audit log is the file of a source or target too";
            let help = "give it a file of its own";
            cx.error("duplicate-path", &read.place, message, help);
        }
    }

    fn toggles(&mut self, root: &Section, cx: &mut Context) -> Vec<Toggle> {
        let tables = root.tables(cx, &TOGGLES).unwrap_or_else(|at| {
            let help = "add a table `[[toggles]]` with a `key` and its `users_policy`";
            cx.warn("no-toggles", &at, "no toggle is configured", help);
            Vec::new()
        });
        let count = tables.len();
        let tables = tables.into_iter();
        let toggles = tables.filter_map(|table| self.toggle(table, cx)).collect();
        let words = ["source", "unused-source", "in the `users_policy`"];
        self.source_ids.warn_of_unused(cx, count, words, |_| false);
        let words = ["target", "unused-target", "as the `target`"];
        // That of an owner is looked at for toggles that have left.
        let has_owner = |id: TargetId| self.targets[id].as_ref().is_some_and(Target::has_owner);
        self.target_ids.warn_of_unused(cx, count, words, has_owner);
        toggles
    }

    fn toggle(&mut self, mut section: Section, cx: &mut Context) -> Option<Toggle> {
        section.read(cx, EVERY_TOGGLE);
        let target = self.target_of(&mut section, cx);
        let kind = target.and_then(|id| Some(self.targets[id].as_ref()?.kind));
        let key = section.text("key");
        let key = key.filter(|text| is_toggle_key(cx, text, kind));
        let users_policy = section.node("users_policy");
        let users_policy = users_policy.and_then(|node| self.users_policy(cx, &node));
        let node = section.node("spec");
        if let (None, Some(Spec::Keys(keys))) = (&node, kind.map(|kind| &kind.spec))
            && keys.iter().any(|key| key.need == Need::Required)
        {
            section.missing.push(&SPEC);
        }
        let spec = values::spec(cx, node, kind);
        if let (Some(key), Some(target)) = (&key, target) {
            self.report_twin(cx, key, target, spec.clone());
        }
        let settings = section.finish(cx);
        let max_removal = match settings.max_removal("max_removal") {
            Ok(limit) => Some(*limit),
            Err(_) => self.max_removal.filter(|_| settings.is_whole()),
        };
        let (key, target) = (key?, target?);
        let toggle = Toggle {
            name: self.name_of(&key.value, target)?,
            key: key.value.clone(),
            target,
            rule: Some(self.rule_id(users_policy?)),
            spec: spec?,
            max_removal: max_removal?,
        };
        self.report_rival(cx, &key.place, &toggle);
        Some(toggle)
    }

    /// Reports a toggle that shares something with another one, and wants it to be different.
    fn report_rival(&mut self, cx: &mut Context, at: &Place, toggle: &Toggle) {
        let target = self.targets[toggle.target].as_ref();
        let shared = target.and_then(|target| (target.kind.shares)(&toggle.spec));
        let Some((target, (what, which, terms))) = target.zip(shared) else {
            return;
        };
        let terms = (toggle.rule, toggle.max_removal, terms);
        let place = (target.place.clone(), which);
        let Some((known, first)) = self.shared.get(&place) else {
            self.shared.insert(place, (terms, at.span.clone()));
            return;
        };
        if *known != terms {
            let message = format!("another toggle keeps the same {what} differently");
            let help = "toggles share it if they follow the same rule, with the same `max_removal` and \
                        `context_kind`: name another one";
            let first = first.clone();
            let problem = cx.error("shared-otherwise", at, message, help);
            problem.first = Some(first);
        }
    }

    /// The target that a toggle names, else the only one.
    fn target_of(&mut self, section: &mut Section, cx: &mut Context) -> Option<TargetId> {
        if section.node("target").is_some() {
            let ids = &mut self.target_ids;
            return ids.find(cx, ["target", "unknown-target"], section);
        }
        if self.names_targets {
            section.missing.push(&NAMED_TARGET);
            return None;
        }
        let only = Some(0).filter(|_| self.targets.len() == 1);
        self.target_ids.used.extend(only);
        only
    }

    /// Reports a toggle that another one would overwrite: it has the same key at the same target, or at
    /// another one at the same place.
    fn report_twin(
        &mut self,
        cx: &mut Context,
        key: &Text,
        id: TargetId,
        spec: Option<Map<String, Value>>,
    ) {
        let toggles = self.toggles.entry(key.value.clone()).or_default();
        let target = self.targets[id].as_ref();
        let overwrites = |other: TargetId, its: &Option<Map<String, Value>>| {
            let targets = target.zip(self.targets[other].as_ref());
            targets.is_some_and(|(one, other)| {
                let is_same = match (&spec, its) {
                    (Some(spec), Some(its)) => one.kind.is_same_toggle(spec, its),
                    _ => one.kind.project.is_none(),
                };
                is_same && one.overwrites(other)
            })
        };
        let twin = toggles
            .iter()
            .find(|(other, its, _)| *other == id || overwrites(*other, its));
        if let Some((other, _, first)) = twin {
            let why = match *other == id {
                true => "",
                false => ": both targets are at the same place",
            };
            let message = format!("duplicate toggle key {}{why}", key.quoted());
            let help = "give it another key, or remove one of the two toggles";
            let problem = cx.error("duplicate-key", &key.place, message, help);
            problem.first = Some(first.span.clone());
        }
        toggles.push((id, spec, key.place.clone()));
    }

    fn name_of(&self, key: &str, target: TargetId) -> Option<String> {
        let target = &self.target_ids.all.get(target)?.as_ref()?.value;
        Some(name_of(target, key, self.target_ids.all.len() == 1))
    }

    fn users_policy(&mut self, cx: &mut Context, node: &Node) -> Option<Rule> {
        let mut section = cx.table(node, &USERS_POLICY.help())?;
        section.read(cx, POLICY);
        let source = self
            .source_ids
            .find(cx, ["source", "unknown-source"], &section);
        let kind = source.and_then(|id| Some(self.sources[id].as_ref()?.kind));
        let mut types = cx.catalog.sources.iter();
        if let (Some(kind), Some(input)) = (kind, section.node("input"))
            && types.any(|it| it.name == kind && it.input().is_some())
        {
            // What it reads has one answer for each rule.
            let message = format!("a source of type `{kind}` takes no `input`");
            let help = "remove it, or name a source that asks OPA";
            cx.error("input-without-opa", &input.place, message, help);
        }
        let settings = section.finish(cx);
        // Another `input` may be another rule.
        settings.is_whole().then_some(())?;
        Some(Rule {
            source: source?,
            package: package_parts(settings.text("package").ok()?)?.join("."),
            rule: settings.text("rule").ok()?.to_owned(),
            input: settings.json("input").ok().cloned(),
        })
    }

    /// Toggles that follow the same rule share it.
    fn rule_id(&mut self, rule: Rule) -> RuleId {
        let next = self.rules.len();
        let id = *self.rule_ids.entry(rule.clone()).or_insert(next);
        if id == next {
            self.rules.push(rule);
        }
        id
    }
}

/// Whether a text can be the key of a toggle; reports why not.
fn is_toggle_key(cx: &mut Context, text: &Text, target: Option<&TargetType>) -> bool {
    let key = &text.value;
    if key.chars().any(char::is_control) || key.trim() != key {
        let message = format!("{} is not a valid toggle key", text.quoted());
        let help = "write one line without blanks around it: `key = \"my-feature\"`";
        cx.error("invalid-key", &text.place, message, help);
        return false;
    }
    if let Some(form) = target.and_then(|kind| kind.toggle_key) {
        values::word(cx, text, form, "write `key = \"my-feature\"`");
    }
    true
}

impl Ids {
    /// Adds the id of the next source or target.
    fn add(&mut self, cx: &mut Context, peer: &str, id: Option<Text>) {
        if let Some(id) = &id
            && let Some(first) = self.position(id)
            && let Some(first) = &self.all[first]
        {
            let message = format!("duplicate {peer} id {}", id.quoted());
            let help = format!("give it another id, or remove one of the two {peer}s");
            let first = first.place.span.clone();
            cx.error("duplicate-id", &id.place, message, help).first = Some(first);
        }
        self.all.push(id);
    }

    fn position(&self, id: &Text) -> Option<usize> {
        let is_it = |other: &Option<Text>| other.as_ref().is_some_and(|it| it.value == id.value);
        self.all.iter().position(is_it)
    }

    /// The index of the source or target that a section names; `peer` is its word, and the code where there is
    /// none.
    fn find(
        &mut self,
        cx: &mut Context,
        peer: [&'static str; 2],
        section: &Section,
    ) -> Option<usize> {
        let [peer, code] = peer;
        let id = section.text(peer)?;
        let index = self.position(&id);
        self.used.extend(index);
        if index.is_none() {
            // What was interpolated is not suggested: not everyone may see it.
            let known = self.all.iter().flatten();
            let known = known.filter(|id| id.is_inline() && is_id(&id.value));
            let known: Vec<&str> = known.map(|id| &*id.value).collect();
            let is_near = nearest(&id.value, known.iter().copied()).is_some();
            // One whose id could not be read may well be meant.
            let is_in_doubt = self.all.is_empty() || self.all.iter().any(Option::is_none);
            if is_near || !is_in_doubt {
                let message = format!("no {peer} has the id {}", id.quoted());
                let help = suggest_value(&id.value, &known);
                cx.error(code, &id.place, message, help);
            }
        }
        index
    }

    /// Warns of those that none of so many toggles names and that have no other use: a word for one, the code,
    /// and where one is named.
    fn warn_of_unused(
        &self,
        cx: &mut Context,
        toggles: usize,
        words: [&'static str; 3],
        is_used: impl Fn(usize) -> bool,
    ) {
        // A toggle for which it is not known may well use one that seems not to be used.
        if toggles == 0 || self.used.len() < toggles {
            return;
        }
        let [peer, code, place] = words;
        for id in self.all.iter().flatten() {
            let is_unused = |it: usize| !(self.used.contains(&it) || is_used(it));
            if self.position(id).is_some_and(is_unused) {
                let quoted = id.quoted();
                let message = format!("no toggle uses the {peer} {quoted}");
                let help = format!("name {quoted} {place} of a toggle, or remove it");
                cx.warn(code, &id.place, message, help);
            }
        }
    }
}
