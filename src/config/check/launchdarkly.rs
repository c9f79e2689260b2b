//! `type = "launchdarkly"`: the target, and what it wants of a toggle.

use serde_json::{Map, Value};

use crate::address::Address;
use crate::config::check::target::{TARGET_SPEC, TARGET_TYPE, Type};
use crate::config::check::{addresses, values};
use crate::config::problem::{Place, Problem};
use crate::config::reader::{Context, Node, Text};
use crate::config::table::{Hint, Table};
use crate::config::{LaunchDarkly, Target};

pub(super) const LAUNCHDARKLY: Type = Type {
    read,
    check_key,
    spec_help: Some(
        "write `[toggles.spec]` with `name = \"…\"`, `proj_key = \"default\"` and \
         `environments = [\"production\"]`",
    ),
    read_spec,
    hints: HINTS,
};

const HINTS: &[Hint] = &[
    TARGET_TYPE,
    TARGET_SPEC,
    ("launchdarklyToken", Some("token"), "write `token`"),
    ("access_token", Some("token"), "write `token`"),
    ("api_key", Some("token"), "write `token`"),
    ("url", Some("base_url"), "write `base_url`"),
    ("endpoint_url", Some("base_url"), "write `base_url`"),
];

/// LaunchDarkly's own address, but for those with a federal or a European instance.
const BASE_URL: &str = "https://app.launchdarkly.com";

/// The longest tag that LaunchDarkly takes, in characters.
const LONGEST_TAG: usize = 64;

fn read(table: &mut Table, cx: &mut Context) -> Option<Target> {
    let token = table.required(
        "token",
        "write `token = \"${LAUNCHDARKLY_TOKEN}\"`, and set that variable to an access token",
    );
    let place = token.as_ref().map(|node| node.place.clone());
    let token = token.and_then(|node| values::token(cx, &node));
    let base_url = match table.optional("base_url") {
        None => Address::parse(BASE_URL).ok(),
        Some(node) => {
            let example = "write `base_url = \"https://app.launchdarkly.com\"`";
            addresses::address(cx, &node, example)
        }
    };
    if let (Some(place), Some(_), Some(url)) = (&place, &token, &base_url) {
        values::warn_if_plain(cx, place, "`token`", url);
    }
    Some(Target::LaunchDarkly(LaunchDarkly {
        token: token?,
        base_url: base_url?,
    }))
}

/// LaunchDarkly's keys of flags, projects and environments.
fn is_key(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_of_key)
}

fn is_of_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

fn is_tag(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_TAG && text.chars().all(is_of_key)
}

fn check_key(text: &Text, cx: &mut Context) {
    if !text.value.is_empty() && !is_key(&text.value) {
        refuse(cx, text, "a flag");
    }
}

fn refuse(cx: &mut Context, text: &Text, of: &str) {
    let message = format!("{} is no key of {of} in LaunchDarkly", text.quoted());
    let help = "a key is letters, digits, `.`, `_` and `-`, and begins with a letter or digit, \
                such as `my-key`";
    cx.report(Problem::error("invalid-key", &text.place, message, help));
}

fn read_spec(mut table: Table, cx: &mut Context) -> Option<Map<String, Value>> {
    let name = table.required(
        "name",
        "write the flag's name, such as `name = \"US only\"`",
    );
    let name = name.and_then(|node| some_text(cx, &node, "`name = \"US only\"`"));
    let proj_key = table.required(
        "proj_key",
        "write the key of the project, such as `proj_key = \"default\"`",
    );
    let proj_key = proj_key.and_then(|node| key(cx, &node, "a project"));
    let environments = table.required("environments", ENVIRONMENTS);
    let environments = environments.and_then(|node| environments_of(cx, &node));
    let description = table.optional("description").map(|node| cx.text(&node));
    let tags = table.optional("tags").map(|node| tags(cx, &node));
    table.finish(cx, &[]);
    let mut spec = Map::new();
    spec.insert("name".into(), name?.into());
    spec.insert("proj_key".into(), proj_key?.into());
    spec.insert("environments".into(), environments?.into());
    if let Some(description) = description {
        spec.insert("description".into(), description?.value.into());
    }
    if let Some(tags) = tags {
        spec.insert("tags".into(), tags?.into());
    }
    Some(spec)
}

const ENVIRONMENTS: &str =
    "write the keys of the environments, such as `environments = [\"production\", \"test\"]`";

fn some_text(cx: &mut Context, node: &Node, example: &str) -> Option<String> {
    let text = cx.text(node)?;
    if text.value.trim().is_empty() {
        let message = format!("`{}` is empty", text.place.name);
        let help = format!("write some text, such as {example}");
        cx.report(Problem::error("empty", &text.place, message, help));
        return None;
    }
    Some(text.value)
}

fn key(cx: &mut Context, node: &Node, of: &str) -> Option<String> {
    let text = cx.text(node)?;
    if !is_key(&text.value) {
        refuse(cx, &text, of);
        return None;
    }
    Some(text.value)
}

fn environments_of(cx: &mut Context, node: &Node) -> Option<Vec<String>> {
    let list = cx.list(node, ENVIRONMENTS)?;
    if list.is_empty() {
        let message = "`environments` is empty: the flag would be on nowhere";
        cx.report(Problem::error("empty", &node.place, message, ENVIRONMENTS));
        return None;
    }
    let mut seen: Vec<(String, Place)> = Vec::new();
    let mut is_right = true;
    for element in list {
        let Some(key) = key(cx, &element, "an environment") else {
            is_right = false;
            continue;
        };
        if let Some((_, first)) = seen.iter().find(|(other, _)| *other == key) {
            // As it is written: what was interpolated is not for everybody's eyes.
            let named = element
                .plain()
                .map(|name| format!("the environment `{name}`"));
            let named = named.unwrap_or_else(|| "this environment".into());
            let message = format!("{named} is in the list twice");
            let help = "take one of the two away";
            let problem = Problem::error("duplicate-key", &element.place, message, help);
            cx.report(problem.related("the first one is here", first));
            is_right = false;
        }
        seen.push((key, element.place));
    }
    is_right.then(|| seen.into_iter().map(|(key, _)| key).collect())
}

fn tags(cx: &mut Context, node: &Node) -> Option<Vec<String>> {
    let list = cx.list(
        node,
        "write a list of strings, such as `tags = [\"policy\"]`",
    )?;
    let tags: Vec<Option<String>> = list.iter().map(|element| tag(cx, element)).collect();
    tags.into_iter().collect()
}

fn tag(cx: &mut Context, node: &Node) -> Option<String> {
    let text = cx.text(node)?;
    if !is_tag(&text.value) {
        let message = format!("{} is no tag in LaunchDarkly", text.quoted());
        let help = format!("a tag is 1 to {LONGEST_TAG} letters, digits, `.`, `_` and `-`");
        cx.report(Problem::error("invalid-key", &text.place, message, help));
        return None;
    }
    Some(text.value)
}
