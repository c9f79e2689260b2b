//! Takes a table of the file apart, key by key: what is left over is not known.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::elsewhere;
use crate::config::nearest::{is_respelled, suggest};
use crate::config::problem::{Place, Problem, quote};
use crate::config::reader::{Context, Node};

/// A table of the file; which of its keys are known is what was asked for until `finish`.
pub(super) struct Table<'t> {
    pub(super) place: Place,
    entries: &'t DeTable<'t>,
    known: Vec<&'static str>,
    missing: Vec<(&'static str, &'static str)>,
}

/// A key that is not known here although somebody may well write it: the key, the known key that
/// it stands for (or none), and the help.
pub(super) type Hint = (&'static str, Option<&'static str>, &'static str);

impl<'t> Table<'t> {
    /// The file's outermost table.
    pub(super) fn root(entries: &'t DeTable<'t>) -> Table<'t> {
        Table::new(entries, Place::default())
    }

    /// Takes a key that may be left out.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<Node<'t>> {
        self.known.push(name);
        let (key, value) = self.entries.get_key_value(name)?;
        Some(self.node(key, value))
    }

    /// Takes a key that has to be there; if it is not, `finish` says so with `help`.
    pub(super) fn required(&mut self, name: &'static str, help: &'static str) -> Option<Node<'t>> {
        let node = self.optional(name);
        if node.is_none() {
            self.missing.push((name, help));
        }
        node
    }

    /// All keys, whatever they are, in the order of the file: where each stands, and its value.
    pub(super) fn members(&self) -> Vec<(Place, Node<'t>)> {
        let mut members: Vec<_> = self
            .entries
            .iter()
            .map(|(key, value)| {
                let node = self.node(key, value);
                let key = Place {
                    span: key.span(),
                    ..node.place.clone()
                };
                (key, node)
            })
            .collect();
        members.sort_by_key(|(key, _)| key.span.start);
        members
    }

    /// Reports the keys that nobody asked for and those that are missing.
    pub(super) fn finish(self, cx: &mut Context, hints: &[Hint]) {
        self.close(cx, hints, |_| true);
    }

    /// The same where most keys could not be asked for: of those, only the hints' are reported, and
    /// those that are spelled otherwise wherever they are known.
    pub(super) fn finish_early(self, cx: &mut Context, hints: &[Hint]) {
        self.close(cx, hints, |key| {
            let is_respelled = elsewhere::new_name(key).is_some_and(|name| name != key);
            is_respelled || hints.iter().any(|hint| is_hint_for(hint, key))
        });
    }

    fn close(mut self, cx: &mut Context, hints: &[Hint], matters: impl Fn(&str) -> bool) {
        for (key, _) in self.members() {
            if self.known.contains(&&*key.name) || !matters(&key.name) {
                continue;
            }
            let (meant, help) = self.explain(&key.name, hints);
            // The key is there under a wrong name: that it is missing is no second mistake.
            self.missing.retain(|(name, _)| Some(*name) != meant);
            let message = format!("unknown key {}", quote(&key.name));
            cx.report(Problem::error("unknown-key", &key, message, help));
        }
        for (name, help) in &self.missing {
            let key = Place {
                key: join(&self.place.key, name),
                ..self.place.clone()
            };
            let message = format!("`{name}` is missing");
            cx.report(Problem::error("missing-key", &key, message, *help));
        }
    }

    fn explain(&self, key: &str, hints: &[Hint]) -> (Option<&'static str>, String) {
        if let Some((_, meant, help)) = hints.iter().find(|hint| is_hint_for(hint, key)) {
            return (*meant, (*help).into());
        }
        let is_known_here = self.known.iter().any(|known| is_respelled(key, known));
        match elsewhere::help(key).filter(|_| !is_known_here) {
            Some(help) => (None, help),
            None => suggest(key, &self.known),
        }
    }

    pub(super) fn new(entries: &'t DeTable<'t>, place: Place) -> Table<'t> {
        Table {
            place,
            entries,
            known: Vec::new(),
            missing: Vec::new(),
        }
    }

    fn node(&self, key: &Spanned<impl AsRef<str>>, value: &'t Spanned<DeValue<'t>>) -> Node<'t> {
        let name = key.get_ref().as_ref();
        Node {
            value: value.get_ref(),
            place: Place {
                span: value.span(),
                key: join(&self.place.key, name),
                name: name.to_owned(),
            },
        }
    }
}

/// A hint is for its key in every spelling: YAML has `opaUrl` where TOML has `opa_url`.
fn is_hint_for((wrong, ..): &Hint, key: &str) -> bool {
    is_respelled(wrong, key)
}

/// A path with one more key, quoted where TOML would want it quoted.
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
