//! `[[toggles]]`.

use std::collections::HashMap;

use super::keys::{EVERY_TOGGLE, POLICY, SPEC, Spec, TOGGLES, TargetType, USERS_POLICY};
use super::nearest::{nearest, suggest_value};
use super::problem::{Place, Problem};
use super::reader::{Context, Node, Text};
use super::section::Section;
use super::sources::Sources;
use super::{MaxRemoval, Rule, RuleId, SourceId, Toggle, policy, spec};

/// Reads `toggles` from the file's top.
pub(super) fn read(
    root: &mut Section,
    cx: &mut Context,
    sources: &Sources,
    target: Option<&'static TargetType>,
    max_removal: MaxRemoval,
) -> (Vec<Toggle>, Vec<Rule>) {
    let node = root.node("toggles");
    let Some(node) = node.filter(|node| !node.is_empty_list()) else {
        let at = root.node("toggles").map(|node| node.place);
        let help = "add a table `[[toggles]]` with a `key` and its `users_policy`";
        cx.warn(
            "no-toggles",
            &at.unwrap_or_default(),
            "there are no toggles",
            help,
        );
        return (Vec::new(), Vec::new());
    };
    let mut seen = Seen {
        sources,
        target,
        max_removal,
        keys: HashMap::new(),
        rules: Vec::new(),
        known_rules: HashMap::new(),
        used: Vec::new(),
    };
    let tables = cx.tables(&node, &TOGGLES);
    let count = tables.len();
    let toggles = tables.into_iter();
    let toggles: Vec<Toggle> = toggles.filter_map(|table| seen.toggle(table, cx)).collect();
    // A toggle whose source is not known may well mean one that seems not to be used.
    if count > 0 && seen.used.len() == count {
        seen.warn_of_unused(cx);
    }
    (toggles, seen.rules)
}

/// What the toggles may refer to, and what those so far have taken.
struct Seen<'a> {
    sources: &'a Sources,
    target: Option<&'static TargetType>,
    /// That of the file.
    max_removal: MaxRemoval,
    /// The keys so far.
    keys: HashMap<String, Place>,
    rules: Vec<Rule>,
    known_rules: HashMap<(SourceId, String), RuleId>,
    /// The sources of the toggles so far.
    used: Vec<usize>,
}

impl Seen<'_> {
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
        let spec = spec::read(node, self.target, cx);
        let settings = section.finish(cx);
        Some(Toggle {
            key: key?,
            target: 0,
            rule: self.rule_id(users_policy?),
            spec: spec?,
            max_removal: *settings
                .max_removal("max_removal")
                .unwrap_or(&self.max_removal),
        })
    }

    fn key(&mut self, cx: &mut Context, text: &Text) -> Option<String> {
        let key = &text.value;
        if key.chars().any(char::is_control) || key.trim() != key {
            let message = format!("{} is not a valid key of a toggle", text.quoted());
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
        if let Some(first) = self.keys.get(key) {
            let message = format!("there are two toggles with the key {}", text.quoted());
            let help = "give it another key, or remove one of the two toggles";
            let problem = Problem::error("duplicate-key", &text.place, message, help);
            cx.report(problem.related("the first one is here", first));
            return None;
        }
        self.keys.insert(key.clone(), text.place.clone());
        Some(key.clone())
    }

    fn users_policy(&mut self, cx: &mut Context, node: &Node) -> Option<Rule> {
        let mut section = cx.table(node, &USERS_POLICY.help())?;
        section.read(cx, POLICY);
        let source = section.get("source").and_then(|read| read.text.clone());
        let source = source.and_then(|text| self.source(cx, &text));
        self.used.extend(source);
        let settings = section.finish(cx);
        Some(Rule {
            source: source?,
            package: policy::package_parts(settings.text("package").ok()?)?.join("."),
            rule: settings.text("rule").ok()?.to_owned(),
        })
    }

    /// Toggles that follow the same rule share it.
    fn rule_id(&mut self, rule: Rule) -> RuleId {
        let next = self.rules.len();
        let id = *self
            .known_rules
            .entry((rule.source, rule.to_string()))
            .or_insert(next);
        if id == next {
            self.rules.push(rule);
        }
        id
    }

    fn source(&self, cx: &mut Context, text: &Text) -> Option<usize> {
        let ids = &self.sources.ids;
        let index = ids.iter().position(|id| id.value == text.value);
        if index.is_none() {
            let known = ids.iter().filter(|id| id.is_suggestion());
            let known: Vec<&str> = known.map(|id| &*id.value).collect();
            let is_near = nearest(&text.value, known.iter().copied()).is_some();
            if is_near || !self.sources.ids_are_in_doubt {
                let message = format!("there is no source with the id {}", text.quoted());
                let help = suggest_value(&text.value, &known);
                cx.error("unknown-source", &text.place, message, help);
            }
        }
        index
    }

    fn warn_of_unused(&self, cx: &mut Context) {
        for (index, id) in self.sources.ids.iter().enumerate() {
            if !self.used.contains(&index) {
                let quoted = id.quoted();
                let message = format!("no toggle uses the source {quoted}");
                let help = format!("name {quoted} in the `users_policy` of a toggle, or remove it");
                cx.warn("unused-source", &id.place, message, help);
            }
        }
    }
}
