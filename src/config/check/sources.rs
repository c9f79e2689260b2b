//! `[[sources]]`.

use std::time::Duration;

use crate::address::Address;
use crate::config::check::{addresses, file, tls, values};
use crate::config::problem::{Place, Problem};
use crate::config::reader::{Context, Node, Text};
use crate::config::table::{Hint, Table};
use crate::config::{Opa, Opal, Source, SourceKind};
use crate::secret::Secret;

/// The sources, with what toggles need to name them.
#[derive(Default)]
pub(super) struct Sources {
    /// Those that are right: all of them, unless a problem was reported.
    pub(super) list: Vec<Source>,
    /// Every id, in the order of the file.
    pub(super) ids: Vec<Id>,
    /// Whether some id could not be read, so that toggles may well name what is not in `ids`.
    pub(super) ids_are_in_doubt: bool,
    /// Where the first source reads standard input.
    pub(super) stdin: Option<Place>,
}

/// The id of a source.
pub(super) struct Id {
    pub(super) text: Text,
    pub(super) is_good: bool,
}

impl Id {
    /// The id, where it can be suggested: what was interpolated is not for everybody's eyes.
    pub(super) fn suggestion(&self) -> Option<&str> {
        (self.is_good && self.text.inline).then_some(&*self.text.value)
    }
}

/// How a type of source is read.
struct Type {
    read: fn(&mut Table, &mut Context, &mut Sources) -> Option<SourceKind>,
    hints: &'static [Hint],
}

const OPAL: Type = Type {
    read: opal,
    hints: OPAL_HINTS,
};
const OPA: Type = Type {
    read: opa,
    hints: OPA_HINTS,
};

const FILE: Type = Type {
    read: file::read,
    hints: file::HINTS,
};

/// The types of sources, by name.
const TYPES: &[(&str, Type)] = &[("opal", OPAL), ("opa", OPA), ("file", FILE)];

const OPAL_HINTS: &[Hint] = &[(
    "poll_interval",
    None,
    "take it away: OPAL calls, and `resync_interval` is for the rest; sources of \
     `type = \"opa\"` are polled",
)];

pub(super) const ONLY_OPAL: &str = "take it away: only sources of `type = \"opal\"` have it";
const OPA_HINTS: &[Hint] = &[
    ("advertised_address", None, ONLY_OPAL),
    ("instance", None, ONLY_OPAL),
    ("opa_url", Some("url"), "with type `opa`, write `url`"),
    ("opa_token", Some("token"), "with type `opa`, write `token`"),
];

/// Reads `sources` from the file's top.
pub(super) fn read(root: &mut Table, cx: &mut Context) -> Sources {
    let mut sources = Sources::default();
    let node = root.optional("sources");
    let tables = node.as_ref().map(|node| cx.tables(node));
    if node.as_ref().is_none_or(Node::is_empty_list) {
        let at = node.map(|node| node.place).unwrap_or_default();
        let help = "add a table `[[sources]]` with an `id`, a `url` and an `advertised_address`";
        cx.report(Problem::error(
            "no-sources",
            &at,
            "there are no sources",
            help,
        ));
    }
    for table in tables.into_iter().flatten() {
        let source = source(table, cx, &mut sources);
        sources.list.extend(source);
    }
    sources.ids_are_in_doubt |= sources.ids.is_empty();
    sources
}

fn source(mut table: Table, cx: &mut Context, sources: &mut Sources) -> Option<Source> {
    let id = table
        .required(
            "id",
            "write `id = \"my-source\"`: toggles name their source by it",
        )
        .and_then(|node| id(cx, &node, sources));
    sources.ids_are_in_doubt |= id.as_deref().is_none_or(|id| !is_id(id));
    let kind = match table.optional("type") {
        None => Some(&OPAL),
        Some(node) => cx.one_of(&node, "type of source", TYPES),
    };
    let Some(kind) = kind else {
        // Which keys there are depends on the type.
        table.finish_early(cx, &[]);
        return None;
    };
    let read = (kind.read)(&mut table, cx, sources);
    table.finish(cx, kind.hints);
    Some(Source {
        id: id?,
        kind: read?,
    })
}

fn is_id(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_plain)
}

/// What may be meant by an id that is none; nothing of what was interpolated is repeated.
fn id_help(text: &Text) -> String {
    let words = text
        .value
        .split(|c: char| !is_id(c.encode_utf8(&mut [0; 4])));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let meant = words.join("-");
    if text.is_plain() && is_id(&meant) {
        format!("an id is letters, digits, `.`, `_` and `-`: write `id = \"{meant}\"`")
    } else {
        "an id is letters, digits, `.`, `_` and `-`: write `id = \"my-source\"`".into()
    }
}

fn id(cx: &mut Context, node: &Node, sources: &mut Sources) -> Option<String> {
    let text = cx.text(node)?;
    let id = text.value.clone();
    let is_good = is_id(&id);
    if !is_good {
        let message = format!("{} is no id of a source", text.quoted());
        let help = id_help(&text);
        cx.report(Problem::error("invalid-id", &text.place, message, help));
    }
    if let Some(first) = sources.ids.iter().find(|first| first.text.value == id) {
        let message = format!("there are two sources with the id {}", text.quoted());
        let help = "give it another id, or take one of the two sources away";
        let problem = Problem::error("duplicate-id", &text.place, message, help);
        cx.report(problem.related("the first one is here", &first.text.place));
    } else {
        sources.ids.push(Id { text, is_good });
    }
    Some(id)
}

fn opal(table: &mut Table, cx: &mut Context, _: &mut Sources) -> Option<SourceKind> {
    let url = table
        .required("url", OPAL_EXAMPLE)
        .and_then(|node| addresses::address(cx, &node, OPAL_EXAMPLE));
    let token = token_of(table, cx, "token", url.as_ref());
    let advertised = table
        .required(
            "advertised_address",
            "write where OPAL reaches us, such as `advertised_address = \"optoggles:8080\"`",
        )
        .and_then(|node| addresses::advertised_address(cx, &node));
    if let (Some(url), Some((advertised, text))) = (&url, &advertised) {
        warn_if_unreachable(cx, url, advertised, text);
    }
    let instance = table.optional("instance").map(|node| instance(cx, &node));
    let opa_url = table
        .optional("opa_url")
        .and_then(|node| addresses::opa_address(cx, &node, OPA_URL_EXAMPLE));
    let opa_token = token_of(table, cx, "opa_token", opa_url.as_ref());
    let wait = table.optional("wait_until_ready");
    let wait_until_ready = wait.and_then(|node| cx.boolean(&node)).unwrap_or(true);
    let tls = tls::read(table, cx);
    let (advertised_address, text) = advertised?;
    Some(SourceKind::Opal(Opal {
        url: url?,
        token,
        advertised_address,
        instance: instance.unwrap_or(Some(text.value))?,
        opa_url,
        opa_token,
        wait_until_ready,
        tls,
    }))
}

fn opa(table: &mut Table, cx: &mut Context, _: &mut Sources) -> Option<SourceKind> {
    const POLL_INTERVAL: Duration = Duration::from_secs(10);
    let url = table
        .required("url", OPA_EXAMPLE)
        .and_then(|node| addresses::opa_address(cx, &node, OPA_EXAMPLE));
    let token = token_of(table, cx, "token", url.as_ref());
    let poll = table.optional("poll_interval");
    let poll_interval = poll.and_then(|node| values::duration(cx, &node));
    let wait = table.optional("wait_until_ready");
    let wait_until_ready = wait.and_then(|node| cx.boolean(&node)).unwrap_or(true);
    let tls = tls::read(table, cx);
    Some(SourceKind::Opa(Opa {
        url: url?,
        token,
        poll_interval: poll_interval.unwrap_or(POLL_INTERVAL),
        wait_until_ready,
        tls,
    }))
}

const OPAL_EXAMPLE: &str =
    "write the OPAL client's address, such as `url = \"http://opal-client:7000\"`";
const OPA_EXAMPLE: &str = "write OPA's address, such as `url = \"http://opa:8181\"`";
const OPA_URL_EXAMPLE: &str = "write OPA's address, such as `opa_url = \"http://opa:8181\"`";

/// A token, with a warning if it travels to `address` unencrypted.
fn token_of(
    table: &mut Table,
    cx: &mut Context,
    key: &'static str,
    address: Option<&Address>,
) -> Option<Secret> {
    let node = table.optional(key)?;
    let token = values::bearer_token(cx, &node)?;
    if let Some(address) = address {
        values::warn_if_plain(cx, &node.place, &format!("`{key}`"), address);
    }
    Some(token)
}

fn instance(cx: &mut Context, node: &Node) -> Option<String> {
    let text = cx.text(node)?;
    if text.value.is_empty() {
        let help = "write `instance = \"a\"`, or leave it out unless replicas share one address";
        cx.report(Problem::error(
            "empty",
            &text.place,
            "`instance` is empty",
            help,
        ));
        return None;
    }
    Some(text.value)
}

fn warn_if_unreachable(cx: &mut Context, url: &Address, advertised: &Address, text: &Text) {
    let is_any = matches!(advertised.host(), "0.0.0.0" | "[::]");
    if (advertised.is_loopback() && !url.is_loopback()) || is_any {
        let message = "OPAL on another host cannot reach this `advertised_address`";
        let help = "write the name or address that this machine has for OPAL's host, such as \
                    `advertised_address = \"optoggles:8080\"`";
        cx.report(Problem::warning(
            "unreachable-address",
            &text.place,
            message,
            help,
        ));
    }
}
