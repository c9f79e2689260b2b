//! When a user last came or went, as the audit log tells.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::users::Users;

/// The most bytes of a line that count: two lists of users of the largest answer.
const LONGEST: u64 = 128 * 1024 * 1024;

/// What of a line matters here.
#[derive(Deserialize)]
struct Line<'l> {
    time: String,
    target: String,
    toggle: String,
    environment: Option<String>,
    #[serde(borrow)]
    added: Option<&'l RawValue>,
    #[serde(borrow)]
    removed: Option<&'l RawValue>,
    cause: String,
    revision: Option<String>,
}

/// A user has come or gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct LastChange {
    pub(super) time: String,
    /// Else the user was removed.
    pub(super) added: bool,
    pub(super) cause: String,
    /// Of OPA's bundles.
    pub(super) revision: Option<String>,
}

/// By the environment's name; an empty one at a target without environments.
pub(super) type LastChanges = BTreeMap<String, LastChange>;

/// Reads the log. It blocks for as long as the file system does.
pub(super) fn read(path: &Path, target: &str, toggle: &str, user: &str) -> io::Result<LastChanges> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    // To open a pipe would wait for its other end, and read what is meant for another.
    if !fs::metadata(path).map_err(named)?.is_file() {
        return Err(named(io::Error::other("not a regular file")));
    }
    let log = BufReader::with_capacity(64 * 1024, File::open(path).map_err(named)?);
    last_changes(log, target, toggle, user).map_err(named)
}

/// The last change of a user in each environment of a toggle. What is not a line of the log, such as one that
/// is being written, is passed over.
fn last_changes(
    mut log: impl BufRead,
    target: &str,
    toggle: &str,
    user: &str,
) -> io::Result<LastChanges> {
    let mut last = LastChanges::new();
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if Read::by_ref(&mut log)
            .take(LONGEST)
            .read_until(b'\n', &mut bytes)?
            == 0
        {
            return Ok(last);
        }
        let Ok(line) = serde_json::from_slice::<Line>(&bytes) else {
            continue;
        };
        if line.target != target || line.toggle != toggle {
            continue;
        }
        let names = |list: Option<&RawValue>| {
            let users = list.and_then(|list| serde_json::from_str::<Users>(list.get()).ok());
            users.is_some_and(|users| users.contains(user))
        };
        let added = names(line.added);
        if added || names(line.removed) {
            let change = LastChange {
                time: line.time,
                added,
                cause: line.cause,
                revision: line.revision,
            };
            last.insert(line.environment.unwrap_or_default(), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn line(time: &str, environment: Value, added: Value, removed: Value) -> String {
        let line = json!({
            "time": time, "target": "ld", "toggle": "us", "environment": environment,
            "added": added, "removed": removed, "users": 2, "cause": "callback", "source": "opal",
            "rule": "data.app.us", "revision": "4f2a", "instance": "a",
        });
        format!("{line}\n")
    }

    fn last_of_ann(log: &[String]) -> BTreeMap<String, (String, bool)> {
        let log = log.concat();
        let last = last_changes(log.as_bytes(), "ld", "us", "ann").unwrap();
        let last = last.into_iter();
        last.map(|(environment, it)| (environment, (it.time, it.added)))
            .collect()
    }

    #[test]
    fn the_last_line_that_names_the_user_counts_in_each_environment() {
        let none = || json!([]);
        let other = line("5", json!("test"), json!(["ann"]), none());
        let last = last_of_ann(&[
            line("1", json!("test"), json!(["ann", "bob"]), none()),
            line("2", json!("test"), none(), json!(["ann"])),
            line("3", Value::Null, json!(["ann"]), none()),
            line("4", json!("test"), json!(["anna"]), json!(["an"])),
            other.replace("\"us\"", "\"uk\""),
            other.replace("\"ld\"", "\"rest\""),
            line("6", Value::Null, Value::Null, Value::Null),
        ]);
        let expected = [
            (String::new(), ("3".to_owned(), true)),
            ("test".to_owned(), ("2".to_owned(), false)),
        ];
        assert_eq!(last, BTreeMap::from(expected));
    }

    #[test]
    fn what_is_no_line_of_the_log_is_passed_over() {
        let good = line("1", Value::Null, json!(["ann"]), Value::Null);
        let expected = BTreeMap::from([(String::new(), ("1".to_owned(), true))]);
        let with_odd_list = line("2", Value::Null, json!([7, "ann"]), json!("ann"));
        let rest = [
            "\n".to_owned(),
            "{}\n".to_owned(),
            "\u{0}\u{0}\n".to_owned(),
            with_odd_list,
            good[..good.len() / 2].to_owned(),
        ];
        assert_eq!(last_of_ann(&[&[good], &rest[..]].concat()), expected);
    }
}
