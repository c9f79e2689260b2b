//! `[target]`.

use http::HeaderName;
use serde_json::{Map, Value};

use crate::config::check::flagd::FLAGD;
use crate::config::check::launchdarkly::LAUNCHDARKLY;
use crate::config::check::{addresses, spec, values};
use crate::config::elsewhere::{self, is_telling};
use crate::config::problem::{Place, Problem, quote};
use crate::config::reader::{Context, Node, Text};
use crate::config::table::{Hint, Table};
use crate::config::{RestApi, Target};
use crate::secret::Secret;

/// How a type of target is read, and what it wants of a toggle.
pub(super) struct Type {
    pub(super) read: fn(&mut Table, &mut Context) -> Option<Target>,
    /// Reports a toggle's key that the target would refuse.
    pub(super) check_key: fn(&Text, &mut Context),
    /// The help where a toggle has no `spec`; none: it needs none.
    pub(super) spec_help: Option<&'static str>,
    pub(super) read_spec: fn(Table, &mut Context) -> Option<Map<String, Value>>,
    pub(super) hints: &'static [Hint],
}

const RESTAPI: Type = Type {
    read: restapi,
    check_key: |_, _| {},
    spec_help: None,
    read_spec: restapi_spec,
    hints: RESTAPI_HINTS,
};

/// The types of targets, by name.
const TYPES: &[(&str, Type)] = &[
    ("flagd", FLAGD),
    ("launchdarkly", LAUNCHDARKLY),
    ("restapi", RESTAPI),
];

const RESTAPI_HINTS: &[Hint] = &[
    TARGET_TYPE,
    TARGET_SPEC,
    (
        "token",
        None,
        "write it as a header: `extra_headers = { Authorization = \"Bearer ${NAME}\" }`",
    ),
    ("url", Some("endpoint_url"), "write `endpoint_url`"),
];

/// OPToggles' words for what is called otherwise here.
pub(super) const TARGET_TYPE: Hint = ("targetType", Some("type"), "write `type`");
pub(super) const TARGET_SPEC: Hint = ("targetSpec", None, elsewhere::TARGET_SPEC);

/// Headers that the HTTP client writes itself: a second one would contradict it.
const FRAMING: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Reads `target` from the file's top: what its type is, and the target itself if it is right.
pub(super) fn read(root: &mut Table, cx: &mut Context) -> (Option<&'static Type>, Option<Target>) {
    let Some(node) = root.optional("target") else {
        let help = "add a table `[target]` with `type = \"restapi\"` and an `endpoint_url`";
        let message = "there is no `[target]`";
        cx.report(Problem::error(
            "no-target",
            &Place::default(),
            message,
            help,
        ));
        return (None, None);
    };
    let Some(mut table) = cx.table(&node, "write `[target]` above its keys, with one bracket")
    else {
        return (None, None);
    };
    let Some(name) = table.required("type", "write `type = \"restapi\"`") else {
        // Which keys there are depends on the type: only those that no type has can be told.
        table.finish_early(cx, &[TARGET_TYPE, TARGET_SPEC]);
        return (None, None);
    };
    let Some(kind) = cx.one_of(&name, "type of target", TYPES) else {
        return (None, None);
    };
    let target = (kind.read)(&mut table, cx);
    table.finish(cx, kind.hints);
    (Some(kind), target)
}

fn restapi(table: &mut Table, cx: &mut Context) -> Option<Target> {
    const EXAMPLE: &str = "write the address of the collection of toggles, such as \
                           `endpoint_url = \"https://flags.example.com/api/toggles\"`";
    let endpoint_url = table
        .required("endpoint_url", EXAMPLE)
        .and_then(|node| addresses::address(cx, &node, EXAMPLE));
    let extra_headers = table.optional("extra_headers");
    let extra_headers = extra_headers
        .map(|node| headers(cx, &node))
        .unwrap_or_default();
    let read = table.optional("read").and_then(|node| cx.boolean(&node));
    if let Some(endpoint) = &endpoint_url {
        for (name, _, place) in extra_headers.iter().filter(|(name, ..)| is_telling(name)) {
            values::warn_if_plain(cx, place, &format!("the header {}", quote(name)), endpoint);
        }
    }
    Some(Target::RestApi(RestApi {
        endpoint_url: endpoint_url?,
        extra_headers: extra_headers
            .into_iter()
            .map(|(name, value, _)| (name, value))
            .collect(),
        read: read.unwrap_or(false),
    }))
}

fn headers(cx: &mut Context, node: &Node) -> Vec<(String, Secret, Place)> {
    let example = "write `extra_headers = { Authorization = \"Bearer ${NAME}\" }`";
    let Some(table) = cx.table(node, example) else {
        return Vec::new();
    };
    let mut headers = Vec::new();
    let mut seen: Vec<Place> = Vec::new();
    for (key, value) in table.members() {
        spec::warn_of_stray(cx, &key, "`extra_headers`");
        let good = check_header_name(cx, &key, &seen);
        let value = header(cx, &value);
        if let (true, Some(value)) = (good, value) {
            headers.push((key.name.clone(), value, key.clone()));
        }
        seen.push(key);
    }
    headers
}

fn header(cx: &mut Context, node: &Node) -> Option<Secret> {
    let help = "write the value in quotes, or keep it out of the file: `\"${NAME}\"`";
    let text = cx.text_like(node, help)?;
    values::header(cx, &text, is_telling(&node.place.name))
}

fn check_header_name(cx: &mut Context, key: &Place, seen: &[Place]) -> bool {
    let name = &key.name;
    let quoted = quote(name);
    let first = seen
        .iter()
        .find(|seen| seen.name.eq_ignore_ascii_case(name));
    let problem = if HeaderName::from_bytes(name.as_bytes()).is_err() {
        Problem::error(
            "invalid-header",
            key,
            format!("{quoted} is no name of a header"),
            "a header's name is letters, digits and `-`, such as `X-Api-Key`",
        )
    } else if FRAMING
        .iter()
        .any(|framing| framing.eq_ignore_ascii_case(name))
    {
        let message = format!("the header {quoted} cannot be set: each request has its own");
        let help = "take it away: the right one is sent without it";
        Problem::error("reserved-header", key, message, help)
    } else if let Some(first) = first {
        let message = format!("the header {quoted} is set twice: case does not count");
        let help = "take one of the two away";
        Problem::error("duplicate-header", key, message, help)
            .related("the first one is here", first)
    } else {
        return true;
    };
    cx.report(problem);
    false
}

fn restapi_spec(spec: Table, cx: &mut Context) -> Option<Map<String, Value>> {
    let members = spec.members();
    let has_policy = members.iter().any(|(key, _)| key.name == "users_policy");
    for (key, _) in members {
        if matches!(&*key.name, "key" | "users") {
            let message = format!("`{}` in a `spec` would override the toggle's own", key.name);
            let help = match &*key.name {
                "key" if has_policy => "is `[[toggles]]` missing above it? else take it away",
                "key" => "take it away, or give it another name: the key is sent by itself",
                _ => "take it away, or give it another name: the users are those of `users_policy`",
            };
            cx.report(Problem::error("reserved-key", &key, message, help));
        }
    }
    spec::object(&spec, cx)
}
