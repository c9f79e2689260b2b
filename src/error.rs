//! Failures of requests: their kinds, and their words.

use std::fmt;
use std::time::Duration;

use crate::config::Rule;

/// Follows "OPA answers, but".
pub(crate) const UNTOLD: &str = "it does not report whether it has loaded everything (GET \
                          /v1/data/system/opal/ready and /metrics say nothing): after a restart of OPA, \
                          rules are applied before their data is loaded; give the token access to \
                          /metrics, or run OPAL with OPAL_OPA_HEALTH_CHECK_POLICY_ENABLED=True";

/// A request that failed. `Display` names the request, the cause and the remote's own words, for logs and
/// reports; [`Failure::reason`] is for `/health`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: Kind,
    /// The wait that the remote asks for (`Retry-After`, `X-Ratelimit-Reset`).
    pub pause: Option<Duration>,
    is_lasting: bool,
    message: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Lookup,
    /// The system that we run on has no thread, descriptor, port or memory left, or forbids the connection.
    System,
    Refused,
    /// The proxy is unreachable, or does not lead to the host.
    Proxy,
    Timeout,
    /// The connection ended before the response did.
    Lost,
    Tls,
    /// An unexpected status.
    Status(u16),
    /// A response that cannot be understood.
    Answer,
    Undefined,
    WrongType,
    NotReady,
    /// `max_removal` forbids a change that would remove `removed` of `of` users; without `of`, the
    /// set is empty and it is not known who has the toggle.
    Held {
        removed: usize,
        of: Option<usize>,
    },
    /// A change has not arrived at the target in time, for whatever reason.
    Late,
    /// The target and the configuration contradict each other until one of them is changed.
    Misfit,
    /// A file that does not exist, or cannot be read.
    File,
    /// Something is missing in this program or its configuration.
    Setup,
}

impl Kind {
    /// The kind as the metrics have it.
    pub fn word(&self) -> &'static str {
        self.words().0
    }

    /// The kind as the metrics have it, and as the reason of a failure or its beginning.
    fn words(&self) -> (&'static str, &'static str) {
        match self {
            Kind::Lookup => ("lookup", "host lookup failed"),
            Kind::System => ("system", "the system refused a connection or thread"),
            Kind::Refused => ("refused", "connection refused"),
            Kind::Proxy => ("proxy", "the proxy failed"),
            Kind::Timeout => ("timeout", "no answer in time"),
            Kind::Lost => ("lost", "connection lost"),
            Kind::Tls => ("tls", "TLS failed"),
            Kind::Status(_) => ("status", "answered"),
            Kind::Answer => ("answer", "answer not understood"),
            Kind::Undefined => ("undefined", "the rule is undefined"),
            Kind::WrongType => ("wrong_type", "the rule is not a list of users"),
            Kind::NotReady => ("not_ready", "OPA is not ready"),
            Kind::Held { .. } => ("held", "held"),
            Kind::Late => ("late", "the change has not arrived in time"),
            Kind::Misfit => (
                "misfit",
                "the target and the configuration do not fit: see the log",
            ),
            Kind::File => ("file", "the file cannot be read"),
            Kind::Setup => ("setup", "not set up"),
        }
    }
}

impl Failure {
    /// The message is lowercase, without a full stop, and names the request and the cause.
    pub fn new(kind: Kind, message: impl Into<String>) -> Failure {
        Failure {
            kind,
            pause: None,
            is_lasting: false,
            message: message.into().into(),
        }
    }

    /// OPAL, or else OPA's bundles, should have loaded everything.
    pub fn not_ready(by_opal: bool) -> Failure {
        let words = match by_opal {
            true => {
                "OPA has not loaded its policy and data yet (system/opal/ready is not true, or \
                 nothing was written to its data since it started): nothing is applied; if OPAL \
                 loads no data at all, set wait_until_ready = false on the source"
            }
            false => {
                "OPA has not activated all of its bundles yet (GET /health?bundles answers 500): \
                 nothing is applied; if it never will, set wait_until_ready = false on the source"
            }
        };
        Failure::new(Kind::NotReady, words)
    }

    /// A change of a toggle that `max_removal` forbids; `forced` is its name, if `sync` can force it.
    pub fn held(
        removed: usize,
        of: Option<usize>,
        limit: impl fmt::Display,
        forced: Option<&str>,
    ) -> Failure {
        let against = match of {
            Some(_) => format!("more than {limit} allows"),
            None => format!("and {limit} does not allow that"),
        };
        let remedy = match forced {
            Some(key) => {
                let key = in_a_shell(key);
                format!("raise it, or let it through with sync --force --toggle {key}")
            }
            None => "raise it and reload".to_owned(),
        };
        let words = format!("{}, {against}: {remedy}", would_remove(removed, of));
        Failure::new(Kind::Held { removed, of }, words)
    }

    pub fn is_held(&self) -> bool {
        matches!(self.kind, Kind::Held { .. })
    }

    pub fn undefined(rule: &Rule) -> Failure {
        let words = format!(
            "rule {rule} is undefined: is its policy loaded, and its name spelled correctly?"
        );
        Failure::new(Kind::Undefined, words)
    }

    pub fn pausing(self, pause: Option<Duration>) -> Failure {
        Failure { pause, ..self }
    }

    /// Puts the object before the message.
    pub fn about(self, what: &str) -> Failure {
        Failure {
            message: format!("{what}: {}", self.message).into(),
            ..self
        }
    }

    pub fn with_kind(self, kind: Kind) -> Failure {
        Failure { kind, ..self }
    }

    /// Marks a failure that will not pass by itself, whatever its kind.
    pub fn lasting(self) -> Failure {
        Failure {
            is_lasting: true,
            ..self
        }
    }

    /// The failure without the remote's words.
    pub fn reason(&self) -> String {
        let (_, words) = self.kind.words();
        match self.kind {
            Kind::Status(status) => format!("{words} {status}"),
            Kind::Held { removed, of } => format!("{words}: {}", would_remove(removed, of)),
            _ => words.to_owned(),
        }
    }

    /// Whether it will not pass by itself: `sync` gives up at once.
    pub fn is_lasting(&self) -> bool {
        match self.kind {
            Kind::Status(status) => matches!(status, 400 | 401 | 403 | 404 | 405 | 422),
            Kind::Undefined | Kind::WrongType | Kind::File | Kind::Misfit | Kind::Setup => true,
            _ => self.is_lasting,
        }
    }

    /// Whether the remote may have done the request, or may still do it: a gateway that gives up does not
    /// know, and a server that fails (500) may have done it before.
    pub fn is_unsure(&self) -> bool {
        matches!(
            self.kind,
            Kind::Timeout | Kind::Lost | Kind::Answer | Kind::Status(408 | 500..)
        )
    }

    /// Whether the host itself may be gone, or have been replaced by another.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self.kind,
            Kind::Lookup | Kind::Refused | Kind::Proxy | Kind::Timeout | Kind::Lost | Kind::Tls
        )
    }

    /// Whether another program may answer at the address now.
    pub fn is_of_a_stranger(&self) -> bool {
        matches!(
            self.kind,
            Kind::Answer | Kind::Status(300..=399 | 401 | 403 | 404)
        )
    }

    pub fn is_status(&self, status: u16) -> bool {
        self.kind == Kind::Status(status)
    }
}

fn would_remove(removed: usize, of: Option<usize>) -> String {
    match of {
        Some(of) => format!("it would remove {removed} of {of} users"),
        None => "it would leave no users, and it is not known who has the toggle".into(),
    }
}

/// Quotes a word for a shell.
fn in_a_shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    match word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The remote's words for a message: on one line, control characters escaped, at most 200 characters.
pub(crate) fn quote(words: &[u8]) -> String {
    const LIMIT: usize = 200;
    let words = String::from_utf8_lossy(&words[..words.len().min(8 * LIMIT)]);
    let words = words.trim();
    let mut quoted = String::new();
    for character in words.chars().take(LIMIT) {
        match character {
            '"' | '\'' | '\\' => quoted.push(character),
            other => quoted.extend(other.escape_debug()),
        }
    }
    if words.chars().nth(LIMIT).is_some() {
        quoted.push('…');
    }
    quoted
}

/// The text with bidirectional control characters escaped, as JSON does it: with them, a name can look like
/// another one, or like words of ours.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                shown += &format!("\\u{:04x}", u32::from(character));
            }
            _ => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests;
