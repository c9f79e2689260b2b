//! `[[toggles]]`.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::config::check::sources::{Id, Sources};
use crate::config::check::{policy, spec, target, values};
use crate::config::nearest::suggest_value;
use crate::config::problem::{Place, Problem};
use crate::config::reader::{Context, Node};
use crate::config::table::Table;
use crate::config::{Rule, Toggle};

const USERS_POLICY: &str =
    "write `users_policy = { source = \"…\", package = \"app.rbac\", rule = \"…\" }`";

/// Reads `toggles` from the file's top.
pub(super) fn read(
    root: &mut Table,
    cx: &mut Context,
    sources: &Sources,
    target: Option<&target::Type>,
) -> Vec<Toggle> {
    let node = root.optional("toggles");
    if node.as_ref().is_none_or(Node::is_empty_list) {
        let at = node.map(|node| node.place).unwrap_or_default();
        let help = "add a table `[[toggles]]` with a `key` and its `users_policy`";
        cx.report(Problem::warning(
            "no-toggles",
            &at,
            "there are no toggles",
            help,
        ));
        return Vec::new();
    }
    let mut seen = Seen {
        sources,
        target,
        keys: HashMap::new(),
        used: Vec::new(),
    };
    let tables = node.map(|node| cx.tables(&node)).unwrap_or_default();
    let count = tables.len();
    let toggles = tables
        .into_iter()
        .filter_map(|table| seen.toggle(table, cx))
        .collect();
    // A toggle whose source is not known may well mean one that seems not to be used.
    if count > 0 && seen.used.len() == count {
        warn_of_unused(cx, sources, &seen.used);
    }
    toggles
}

fn warn_of_unused(cx: &mut Context, sources: &Sources, used: &[usize]) {
    for (index, id) in sources.ids.iter().enumerate() {
        if id.is_good && !used.contains(&index) {
            let quoted = id.text.quoted();
            let message = format!("no toggle uses the source {quoted}");
            let help = format!("name {quoted} in the `users_policy` of a toggle, or take it away");
            cx.report(Problem::warning(
                "unused-source",
                &id.text.place,
                message,
                help,
            ));
        }
    }
}

/// What the toggles may refer to, and what those so far have taken.
struct Seen<'a> {
    sources: &'a Sources,
    target: Option<&'a target::Type>,
    /// The keys so far.
    keys: HashMap<String, Place>,
    /// The sources of the toggles so far.
    used: Vec<usize>,
}

impl Seen<'_> {
    fn toggle(&mut self, mut table: Table, cx: &mut Context) -> Option<Toggle> {
        let key = table
            .required(
                "key",
                "write `key = \"my-feature\"`: the toggle's key at the target",
            )
            .and_then(|node| self.key(cx, &node));
        let users_policy = table
            .required("users_policy", USERS_POLICY)
            .and_then(|node| self.users_policy(cx, &node));
        let spec = self.spec(&mut table, cx);
        let max_removal = table.optional("max_removal");
        let max_removal = max_removal.and_then(|node| values::max_removal(cx, &node));
        table.finish(cx, &[]);
        Some(Toggle {
            key: key?,
            users_policy: users_policy?,
            spec: spec?,
            max_removal: max_removal.unwrap_or_default(),
        })
    }

    fn spec(&self, table: &mut Table, cx: &mut Context) -> Option<Map<String, Value>> {
        let node = match self.target.and_then(|target| target.spec_help) {
            Some(help) => Some(table.required("spec", help)?),
            None => table.optional("spec"),
        };
        let Some(node) = node else {
            return Some(Map::new());
        };
        let help = "write `[toggles.spec]` above its keys, with one bracket";
        let spec = cx.table(&node, help)?;
        match self.target {
            Some(target) => (target.read_spec)(spec, cx),
            None => spec::object(&spec, cx),
        }
    }

    fn key(&mut self, cx: &mut Context, node: &Node) -> Option<String> {
        let text = cx.text(node)?;
        let has_blanks = text.value.trim() != text.value;
        if let Some(target) = self.target.filter(|_| !has_blanks) {
            (target.check_key)(&text, cx);
        }
        let problem = if text.value.is_empty() {
            let help = "write the toggle's key at the target: `key = \"my-feature\"`";
            Problem::error("empty", &text.place, "the toggle's `key` is empty", help)
        } else if text.value.chars().any(char::is_control) {
            let message = format!("the key {} holds a control character", text.quoted());
            let help = "a key is one line of characters that show: `key = \"my-feature\"`";
            Problem::error("invalid-key", &text.place, message, help)
        } else if has_blanks {
            let message = format!("the key {} begins or ends with a blank", text.quoted());
            let meant = text.value.trim();
            let is_plain = text.is_plain() && !meant.is_empty() && !meant.contains('\\');
            let help = match meant {
                meant if is_plain => format!("write `key = \"{meant}\"`"),
                _ => "take the blank away".into(),
            };
            Problem::error("invalid-key", &text.place, message, help)
        } else if let Some(first) = self.keys.get(&text.value) {
            let message = format!("there are two toggles with the key {}", text.quoted());
            let help = "give it another key, or take one of the two toggles away";
            Problem::error("duplicate-key", &text.place, message, help)
                .related("the first one is here", first)
        } else {
            self.keys.insert(text.value.clone(), text.place);
            return Some(text.value);
        };
        cx.report(problem);
        None
    }

    fn users_policy(&mut self, cx: &mut Context, node: &Node) -> Option<Rule> {
        let mut table = cx.table(node, USERS_POLICY)?;
        let source = table
            .required(
                "source",
                "write the `id` of one of the sources: `source = \"…\"`",
            )
            .and_then(|node| self.source(cx, &node));
        self.used.extend(source);
        let package = table.required(
            "package",
            "write the rule's package, such as `package = \"app.rbac\"`",
        );
        let package = package.and_then(|node| policy::package(cx, &node));
        let rule = table.required(
            "rule",
            "write the rule's name, which is no part of `package`: `rule = \"…\"`",
        );
        let rule = rule.and_then(|node| policy::rule(cx, &node));
        table.finish(cx, &[]);
        Some(Rule {
            source: source?,
            package: package?,
            rule: rule?,
        })
    }

    fn source(&self, cx: &mut Context, node: &Node) -> Option<usize> {
        let text = cx.text(node)?;
        let ids = &self.sources.ids;
        let index = ids.iter().position(|id| id.text.value == text.value);
        if index.is_none() {
            let known: Vec<&str> = ids.iter().filter_map(Id::suggestion).collect();
            let (near, help) = suggest_value(&text.value, &known);
            if near.is_some() || !self.sources.ids_are_in_doubt {
                let message = format!("there is no source with the id {}", text.quoted());
                cx.report(Problem::error("unknown-source", &text.place, message, help));
            }
        }
        index
    }
}
