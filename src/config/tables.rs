//! A configuration from top to bottom: every problem in one run, and the configuration itself if none is
//! an error.

use std::collections::HashMap;
use std::path::Path;

use toml::de::{DeTable, Error};

use super::interpolate::{Surroundings, Text};
use super::keys::{
    Catalog, EVERY_SOURCE, EVERY_TARGET, EVERY_TOGGLE, POLICY, PeerType, SOURCES, SPEC, Spec,
    TARGET, TOGGLES, TOP, TargetType, USERS_POLICY, ValueKind, is_id, package_parts,
};
use super::mask;
use super::nearest::{nearest, suggest_value};
use super::report::{Place, Problem, Report};
use super::section::{Context, Node, Section, Setting};
use super::{Config, MaxRemoval, Rule, RuleId, Source, SourceId, Target, Toggle, values};

/// Checks the text of a configuration. Where it is invalid TOML, that is all there is to say.
pub(super) fn check(
    file: &Path,
    text: String,
    around: &Surroundings,
    catalog: &Catalog,
) -> (Option<Config>, Report) {
    let groups = catalog.groups();
    let (tree, errors) = DeTable::parse_recoverable(&text);
    if !errors.is_empty() {
        let problems = invalid_toml(&text, &errors);
        let cuts = mask::cuts_of_unparsed(&text, &groups);
        return (None, Report::new(file, text, problems, cuts));
    }
    let mut cx = Context {
        around,
        catalog,
        groups: &groups,
        problems: Vec::new(),
    };
    let config = read(Section::new(tree.get_ref(), Place::default()), &mut cx);
    let mut problems = cx.problems;
    problems.sort_by_key(|problem| (problem.span.start, problem.span.end, problem.severity));
    let cuts = mask::cuts(&text, tree.get_ref(), &groups);
    let report = Report::new(file, text, problems, cuts);
    (config.filter(|_| !report.has_errors()), report)
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
    let mut tables = Tables::default();
    let sources = tables.sources(&mut root, cx);
    let target = tables.target(&mut root, cx);
    if let Some(Setting::MaxRemoval(limit)) = root.get("max_removal").map(|read| &read.setting) {
        tables.max_removal = *limit;
    }
    let toggles = tables.toggles(&root, cx);
    let settings = root.finish(cx);
    let interval = *settings.duration("resync_interval").ok()?;
    Some(Config {
        bind: settings.bind("bind").ok()?.clone(),
        resync_interval: Some(interval).filter(|interval| !interval.is_zero()),
        http_timeout: *settings.duration("http_timeout").ok()?,
        concurrency: *settings.number("concurrency").ok()?,
        sources,
        targets: vec![target?],
        rules: tables.rules,
        toggles,
    })
}

/// What was read so far that other tables refer to.
#[derive(Default)]
struct Tables {
    /// Every id of a source, in the order of the file.
    ids: Vec<Text>,
    /// Whether some id could not be read, so that toggles may well name what is not in `ids`.
    ids_are_in_doubt: bool,
    /// Where the first source reads standard input.
    stdin: Option<Place>,
    target: Option<&'static TargetType>,
    /// That of the file.
    max_removal: MaxRemoval,
    toggles: HashMap<String, Place>,
    /// The sources of the toggles.
    used: Vec<usize>,
    rules: Vec<Rule>,
    rule_ids: HashMap<(SourceId, String), RuleId>,
}

impl Tables {
    fn sources(&mut self, root: &mut Section, cx: &mut Context) -> Vec<Source> {
        root.forgive("sources");
        let tables = root.tables(cx, &SOURCES).unwrap_or_else(|at| {
            let help =
                "add a table `[[sources]]` with an `id`, a `url` and an `advertised_address`";
            cx.error("no-sources", &at, "no source is configured", help);
            Vec::new()
        });
        let sources = tables.into_iter();
        let sources = sources.filter_map(|table| self.source(table, cx)).collect();
        self.ids_are_in_doubt |= self.ids.is_empty();
        sources
    }

    fn source(&mut self, mut section: Section, cx: &mut Context) -> Option<Source> {
        section.read(cx, EVERY_SOURCE);
        let id = section.get("id").and_then(|read| read.text.clone());
        self.add_id(id.as_ref(), cx);
        let kind = section.read_type(cx, "source", &cx.catalog.sources);
        let keys = kind.into_iter().flat_map(PeerType::keys);
        for input in keys.filter(|key| matches!(key.kind, ValueKind::Input)) {
            let read = section.get(input.name);
            if let Some(read) = read.filter(|it| it.setting == Setting::Path("-".into())) {
                self.add_stdin(&read.place, cx);
            }
        }
        let settings = section.finish(cx);
        Some(Source {
            id: id?.value,
            kind: kind?.name,
            settings,
        })
    }

    fn add_id(&mut self, id: Option<&Text>, cx: &mut Context) {
        let Some(id) = id else {
            self.ids_are_in_doubt = true;
            return;
        };
        if let Some(first) = self.ids.iter().find(|first| first.value == id.value) {
            let message = format!("duplicate source id {}", id.quoted());
            let help = "give it another id, or remove one of the two sources";
            cx.duplicate("duplicate-id", &id.place, &first.place, message, help);
        } else {
            self.ids.push(id.clone());
        }
    }

    fn add_stdin(&mut self, at: &Place, cx: &mut Context) {
        if let Some(first) = &self.stdin {
            let message = "two sources read standard input";
            let help = "name a file in one of the two, or let the toggles share one source";
            cx.duplicate("duplicate-path", at, first, message, help);
        } else {
            self.stdin = Some(at.clone());
        }
    }

    fn target(&mut self, root: &mut Section, cx: &mut Context) -> Option<Target> {
        root.forgive("target");
        let Some(node) = root.node("target") else {
            let help = "add a table `[target]` with `type = \"restapi\"` and an `endpoint_url`";
            let message = "no `[target]` is configured";
            cx.error("no-target", &Place::default(), message, help);
            return None;
        };
        let mut section = cx.table(&node, &TARGET.help())?;
        section.read(cx, EVERY_TARGET);
        let types: Vec<_> = cx.catalog.targets.iter().map(|it| &it.peer).collect();
        let peer = section.read_type(cx, "target", &types);
        let settings = section.finish(cx);
        let mut targets = cx.catalog.targets.iter().copied();
        self.target = targets.find(|it| peer.is_some_and(|peer| it.peer.name == peer.name));
        let kind = self.target?;
        Some(Target {
            id: kind.peer.name.to_owned(),
            kind,
            settings,
        })
    }

    fn toggles(&mut self, root: &Section, cx: &mut Context) -> Vec<Toggle> {
        let tables = root.tables(cx, &TOGGLES).unwrap_or_else(|at| {
            let help = "add a table `[[toggles]]` with a `key` and its `users_policy`";
            cx.warn("no-toggles", &at, "no toggle is configured", help);
            Vec::new()
        });
        let count = tables.len();
        let toggles = tables.into_iter();
        let toggles = toggles.filter_map(|table| self.toggle(table, cx)).collect();
        // A toggle whose source is not known may well mean one that seems not to be used.
        if count > 0 && self.used.len() == count {
            self.warn_of_unused(cx);
        }
        toggles
    }

    fn toggle(&mut self, mut section: Section, cx: &mut Context) -> Option<Toggle> {
        section.read(cx, EVERY_TOGGLE);
        let key = section.get("key").and_then(|read| read.text.clone());
        let key = key.and_then(|text| self.key(cx, &text));
        let users_policy = section.node("users_policy");
        let users_policy = users_policy.and_then(|node| self.users_policy(cx, &node));
        let node = section.node("spec");
        if let (None, Some(Spec::Keys(keys))) = (&node, self.target.map(|target| &target.spec)) {
            section.require(&SPEC, keys);
        }
        let spec = values::spec(cx, node, self.target);
        let settings = section.finish(cx);
        let max_removal = settings.max_removal("max_removal");
        Some(Toggle {
            key: key?,
            target: 0,
            rule: self.rule_id(users_policy?),
            spec: spec?,
            max_removal: *max_removal.unwrap_or(&self.max_removal),
        })
    }

    fn key(&mut self, cx: &mut Context, text: &Text) -> Option<String> {
        let key = &text.value;
        if key.chars().any(char::is_control) || key.trim() != key {
            let message = format!("{} is not a valid toggle key", text.quoted());
            let help = "write one line without blanks around it: `key = \"my-feature\"`";
            cx.error("invalid-key", &text.place, message, help);
            return None;
        }
        if let Some(form) = self.target.and_then(|target| target.toggle_key)
            && !(form.is_met)(key)
        {
            let message = format!("{} is not a valid {}", text.quoted(), form.what);
            let help = format!("it consists of {}: write `key = \"my-feature\"`", form.of);
            cx.error(form.code, &text.place, message, help);
        }
        if let Some(first) = self.toggles.get(key) {
            let message = format!("duplicate toggle key {}", text.quoted());
            let help = "give it another key, or remove one of the two toggles";
            cx.duplicate("duplicate-key", &text.place, first, message, help);
            return None;
        }
        self.toggles.insert(key.clone(), text.place.clone());
        Some(key.clone())
    }

    fn users_policy(&mut self, cx: &mut Context, node: &Node) -> Option<Rule> {
        let mut section = cx.table(node, &USERS_POLICY.help())?;
        section.read(cx, POLICY);
        let source = section.get("source").and_then(|read| read.text.clone());
        let source = source.and_then(|text| self.named_source(cx, &text));
        self.used.extend(source);
        let settings = section.finish(cx);
        Some(Rule {
            source: source?,
            package: package_parts(settings.text("package").ok()?)?.join("."),
            rule: settings.text("rule").ok()?.to_owned(),
        })
    }

    /// Toggles that follow the same rule share it.
    fn rule_id(&mut self, rule: Rule) -> RuleId {
        let next = self.rules.len();
        let known = (rule.source, rule.to_string());
        let id = *self.rule_ids.entry(known).or_insert(next);
        if id == next {
            self.rules.push(rule);
        }
        id
    }

    fn named_source(&self, cx: &mut Context, text: &Text) -> Option<usize> {
        let index = self.ids.iter().position(|id| id.value == text.value);
        if index.is_none() {
            // What was interpolated is not suggested: not everyone may see it.
            let known = self.ids.iter().filter(|id| id.inline && is_id(&id.value));
            let known: Vec<&str> = known.map(|id| &*id.value).collect();
            let is_near = nearest(&text.value, known.iter().copied()).is_some();
            if is_near || !self.ids_are_in_doubt {
                let message = format!("no source has the id {}", text.quoted());
                let help = suggest_value(&text.value, &known);
                cx.error("unknown-source", &text.place, message, help);
            }
        }
        index
    }

    fn warn_of_unused(&self, cx: &mut Context) {
        for (index, id) in self.ids.iter().enumerate() {
            if !self.used.contains(&index) {
                let quoted = id.quoted();
                let message = format!("no toggle uses the source {quoted}");
                let help = format!("name {quoted} in the `users_policy` of a toggle, or remove it");
                cx.warn("unused-source", &id.place, message, help);
            }
        }
    }
}
