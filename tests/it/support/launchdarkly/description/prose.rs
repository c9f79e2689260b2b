//! What the description says about semantic patches, which it does in Markdown.

use serde_json::Value;

/// The description of a PATCH.
///
/// A kind of instruction has a heading `#### kind`, and below it a list of its parameters:
/// `` - `name`: (Optional) … ``. Above the kinds of one section stands what they require.
pub(super) struct Prose<'a>(pub(super) &'a str);

struct Kind<'a> {
    /// Each with whether it is optional.
    parameters: Vec<(&'a str, bool)>,
    in_environment: bool,
}

impl Prose<'_> {
    pub(super) fn problems(&self, patch: &Value) -> Vec<String> {
        let names = patch
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name);
        let unknown = names.filter(|name| !self.0.contains(&format!("* `{name}` (")));
        let mut problems: Vec<String> = unknown.map(|name| format!("no property {name}")).collect();
        let instructions = patch["instructions"].as_array();
        for instruction in instructions.into_iter().flatten() {
            let name = instruction["kind"].as_str().unwrap_or_default();
            match self.kind(name) {
                Some(kind) => {
                    problems.extend(kind.problems(instruction));
                    if kind.in_environment && !patch["environmentKey"].is_string() {
                        problems.push(format!("{name} requires environmentKey"));
                    }
                }
                None => problems.push(format!("no kind {name}")),
            }
        }
        if instructions.is_none_or(|instructions| instructions.is_empty()) {
            problems.push("no instructions".into());
        }
        problems
    }

    fn kind(&self, name: &str) -> Option<Kind<'_>> {
        let (before, after) = self.0.split_once(&format!("\n#### {name}\n"))?;
        let section = before.rsplit("<details>").next()?;
        let own = after.split("\n#### ").next()?.split("</details>").next()?;
        // Two ways to say it: the parameters of neither are required then.
        let either = own.lines().any(|line| line.trim() == "or");
        let parameters = own.lines().filter_map(|line| {
            let (name, text) = line.trim().strip_prefix("- `")?.split_once("`:")?;
            Some((name, either || text.trim().starts_with("(Optional)")))
        });
        Some(Kind {
            parameters: parameters.collect(),
            in_environment: section.contains("instructions require the `environmentKey`"),
        })
    }
}

impl Kind<'_> {
    fn problems(&self, instruction: &Value) -> Vec<String> {
        let members = instruction.as_object().into_iter().flatten();
        let names = members
            .map(|(name, _)| name.as_str())
            .filter(|name| *name != "kind");
        let known = |name: &str| self.parameters.iter().any(|(known, _)| *known == name);
        let unknown = names.filter(|name| !known(name));
        let missing = self
            .parameters
            .iter()
            .filter(|(name, optional)| !optional && instruction[*name].is_null());
        let unknown = unknown.map(|name| format!("no parameter {name} in {instruction}"));
        let missing = missing.map(|(name, _)| format!("{name} is missing in {instruction}"));
        unknown.chain(missing).collect()
    }
}
