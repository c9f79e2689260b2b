//! `[[sources]]`.

use super::Source;
use super::keys::{EVERY_SOURCE, SOURCES, ValueKind, is_id};
use super::problem::{Place, Problem};
use super::reader::{Context, Node, Text};
use super::section::Section;
use super::settings::Setting;

/// The sources, with what toggles need to name them.
#[derive(Default)]
pub(super) struct Sources {
    /// Those that are right: all of them, unless a problem was reported.
    pub(super) list: Vec<Source>,
    /// Every id, in the order of the file.
    pub(super) ids: Vec<Text>,
    /// Whether some id could not be read, so that toggles may well name what is not in `ids`.
    pub(super) ids_are_in_doubt: bool,
    /// Where the first source reads standard input.
    stdin: Option<Place>,
}

/// Reads `sources` from the file's top.
pub(super) fn read(root: &mut Section, cx: &mut Context) -> Sources {
    let mut sources = Sources::default();
    root.forgive("sources");
    let node = root.node("sources");
    if node.as_ref().is_none_or(Node::is_empty_list) {
        let at = node
            .as_ref()
            .map(|node| node.place.clone())
            .unwrap_or_default();
        let help = "add a table `[[sources]]` with an `id`, a `url` and an `advertised_address`";
        cx.error("no-sources", &at, "there are no sources", help);
    }
    for table in node
        .map(|node| cx.tables(&node, &SOURCES))
        .unwrap_or_default()
    {
        let source = sources.source(table, cx);
        sources.list.extend(source);
    }
    sources.ids_are_in_doubt |= sources.ids.is_empty();
    sources
}

impl Sources {
    fn source(&mut self, mut section: Section, cx: &mut Context) -> Option<Source> {
        section.read(cx, EVERY_SOURCE);
        let id = section.get("id").and_then(|read| read.text.clone());
        self.add_id(id.as_ref(), cx);
        let named = section.get("type").and_then(|read| read.text.clone())?;
        let types = cx.catalog.sources.iter().map(|it| (it.name, *it));
        let Some(kind) = cx.one_of(&named, "source", types) else {
            // Which keys there are depends on the type.
            section.know(cx.groups.iter().find(|group| group.path == ["sources"]));
            section.finish(cx);
            return None;
        };
        for keys in kind.keys {
            section.read(cx, keys);
        }
        (kind.check)(&mut section, cx);
        let inputs = kind.keys.iter().copied().flatten();
        for input in inputs.filter(|key| matches!(key.kind, ValueKind::Input)) {
            self.check_stdin(section.get(input.name), cx);
        }
        let settings = section.finish(cx);
        let id = id?.value;
        Some(Source { id, kind, settings })
    }

    fn add_id(&mut self, id: Option<&Text>, cx: &mut Context) {
        let Some(id) = id else {
            self.ids_are_in_doubt = true;
            return;
        };
        if let Some(first) = self.ids.iter().find(|first| first.value == id.value) {
            let message = format!("there are two sources with the id {}", id.quoted());
            let help = "give it another id, or remove one of the two sources";
            let problem = Problem::error("duplicate-id", &id.place, message, help);
            cx.report(problem.related("the first one is here", &first.place));
        } else {
            self.ids.push(id.clone());
        }
    }

    fn check_stdin(&mut self, input: Option<&super::section::Read>, cx: &mut Context) {
        let Some(input) = input.filter(|it| it.setting == Setting::Path("-".into())) else {
            return;
        };
        if let Some(first) = &self.stdin {
            let message = "two sources read standard input";
            let help = "name a file in one of the two, or let the toggles share one source";
            let problem = Problem::error("duplicate-path", &input.place, message, help);
            cx.report(problem.related("the first one is here", first));
        } else {
            self.stdin = Some(input.place.clone());
        }
    }
}

impl Text {
    /// Whether it can be suggested as an id: what was interpolated is not for everybody's eyes.
    pub(super) fn is_suggestion(&self) -> bool {
        self.inline && is_id(&self.value)
    }
}
