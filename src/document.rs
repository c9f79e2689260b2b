//! A JSON document that holds what OPA holds: the users of each rule, by package and name.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::config::Rule;
use crate::encoding;
use crate::error::{Failure, Kind, quote};
use crate::json;
use crate::users::{Users, describe_wrong};

/// What a document says about the rules of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    /// In bytes.
    pub size: usize,
    /// By the rule's name.
    answers: BTreeMap<String, Result<Users, Failure>>,
}

type Members<'t> = json::Members<&'t RawValue>;

/// A value, and its path below `data`.
type Root<'t> = (Vec<String>, &'t RawValue);

/// A rule to be found: its number, and the rest of its path.
type Wanted<'p> = (usize, &'p [&'p str]);

/// One element of `result` in the output of `opa eval --format json`.
#[derive(Deserialize)]
struct Solution<'t> {
    #[serde(borrow)]
    expressions: Vec<Expression<'t>>,
}

#[derive(Deserialize)]
struct Expression<'t> {
    #[serde(borrow)]
    value: &'t RawValue,
    text: String,
}

/// One element of `errors` there.
#[derive(Deserialize)]
struct Complaint {
    message: String,
}

/// Why a member may be there only once.
const AMBIGUOUS: &str = "it is not known which of the two counts";

/// The other members of a response of `GET /v1/data`.
const BESIDE_RESULT: [&str; 5] = [
    "decision_id",
    "explanation",
    "metrics",
    "provenance",
    "warning",
];

impl Document {
    /// Looks up the rules in a text, which messages call `name`: the plain document, a response of
    /// `GET /v1/data`, or the output of `opa eval --format json` for references into `data`.
    pub(crate) fn parse(name: &str, text: &[u8], rules: &[Rule]) -> Result<Document, Failure> {
        let size = text.len();
        let failure = |words: &str| Failure::new(Kind::Answer, format!("{name} {words}"));
        let text = encoding::text(text).map_err(|what| failure(what).lasting())?;
        if text.trim_ascii().is_empty() {
            return Err(failure("is empty: did the command that writes it fail?"));
        }
        let misfit = |error: serde_json::Error| {
            if let Some(words) = json::twice(&error) {
                return failure(&format!("{words}: {AMBIGUOUS}")).lasting();
            }
            if json::is_yaml(text) {
                return failure("is YAML: write it as JSON").lasting();
            }
            let help = match error.is_eof() {
                true => "it may not be completely written yet",
                false => "it must be the JSON object that OPA returns or `opa eval -f json` prints",
            };
            failure(&format!("{}: {help}", json::describe(&error)))
        };
        let whole: &RawValue = serde_json::from_slice(text).map_err(misfit)?;
        let members: Members = serde_json::from_str(whole.get()).map_err(misfit)?;
        if let Some(complaint) = complaint(&members) {
            let words = format!("{name} contains errors of opa eval instead of users: {complaint}");
            return Err(Failure::new(Kind::Answer, words));
        }
        let found = find(&roots(whole, &members), rules).map_err(misfit)?;
        let answer = |(rule, found): (&Rule, Option<&RawValue>)| {
            let users = found.map_or_else(|| Err(Failure::undefined(rule)), |it| users(rule, it));
            (rule.to_string(), users)
        };
        Ok(Document {
            size,
            answers: rules.iter().zip(found).map(answer).collect(),
        })
    }

    pub(crate) fn users(&self, rule: &Rule) -> Result<Users, Failure> {
        let answer = self.answers.get(&rule.to_string()).cloned();
        answer.unwrap_or_else(|| Err(Failure::undefined(rule)))
    }
}

/// The first error of an output without `result`.
fn complaint(members: &Members) -> Option<String> {
    let errors = members
        .get("errors")
        .filter(|_| !members.contains_key("result"))?;
    let complaints: Vec<Complaint> = serde_json::from_str(errors.get()).ok()?;
    Some(quote(complaints.first()?.message.as_bytes()))
}

/// Distinguishes the three shapes.
///
/// A package is an object, so a list of solutions as `result` is output of `opa eval`. An object as `result`
/// is a response of OPA, unless it has siblings that no response has: then it is a package of that name. A
/// package `result` without siblings is taken for a response, in which its rules are undefined, so no user
/// is removed.
fn roots<'t>(whole: &'t RawValue, members: &Members<'t>) -> Vec<Root<'t>> {
    let at_data = |value| vec![(Vec::new(), value)];
    let Some(result) = members.get("result") else {
        return at_data(whole);
    };
    let solutions = serde_json::from_str::<Vec<Solution>>(result.get()).unwrap_or_default();
    if !solutions.is_empty() {
        let expressions = solutions.into_iter().flat_map(|found| found.expressions);
        let root = |Expression { value, text }| Some((reference(&text)?, value));
        return expressions.filter_map(root).collect();
    }
    let is_beside = |name: &String| name == "result" || BESIDE_RESULT.contains(&name.as_str());
    match result.get().starts_with('{') && members.keys().all(is_beside) {
        true => at_data(result),
        false => at_data(whole),
    }
}

/// The parts of a reference such as `data.app["my-team"]` below `data`; none for any other expression.
fn reference(text: &str) -> Option<Vec<String>> {
    let mut rest = text.trim().strip_prefix("data")?;
    let mut parts = Vec::new();
    while !rest.is_empty() && !rest.starts_with(" with ") {
        let part;
        if let Some(dotted) = rest.strip_prefix('.') {
            let is_other = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
            (part, rest) = dotted.split_at(dotted.find(is_other).unwrap_or(dotted.len()));
        } else if let Some(quoted) = rest.strip_prefix("[\"") {
            (part, rest) = quoted.split_once("\"]")?;
        } else {
            (part, rest) = rest.strip_prefix("[`")?.split_once("`]")?;
        }
        parts.push(part.to_owned());
    }
    Some(parts)
}

/// The value of each rule, where it has one. Fails where it may have two.
fn find<'t, 'r>(
    roots: &[Root<'t>],
    rules: &'r [Rule],
) -> serde_json::Result<Vec<Option<&'t RawValue>>> {
    let path = |rule: &'r Rule| rule.package.split('.').chain([&*rule.rule]).collect();
    let paths: Vec<Vec<&str>> = rules.iter().map(path).collect();
    let mut found = vec![None; rules.len()];
    for (root, value) in roots {
        let wanted = paths.iter().enumerate().filter_map(|(rule, path)| {
            let (start, path) = path.split_at_checked(root.len())?;
            (root == start).then_some((rule, path))
        });
        gather(value, wanted.collect(), &mut found)?;
    }
    Ok(found)
}

/// Follows the paths, parsing each object once.
fn gather<'t>(
    value: &'t RawValue,
    wanted: Vec<Wanted>,
    found: &mut [Option<&'t RawValue>],
) -> serde_json::Result<()> {
    let mut below: BTreeMap<&str, Vec<Wanted>> = BTreeMap::new();
    for (rule, path) in wanted {
        match path {
            [] => found[rule] = found[rule].or(Some(value)),
            [first, path @ ..] => below.entry(first).or_default().push((rule, path)),
        }
    }
    // Only an object has members.
    if below.is_empty() || !value.get().starts_with('{') {
        return Ok(());
    }
    let members: Members = serde_json::from_str(value.get())?;
    for (name, wanted) in below {
        if let Some(value) = members.get(name) {
            gather(value, wanted, found)?;
        }
    }
    Ok(())
}

/// The users that a value of the rule lists.
pub(crate) fn users(rule: &Rule, value: &RawValue) -> Result<Users, Failure> {
    match serde_json::from_str::<Users>(value.get()) {
        Ok(users) if !users.has_empty_key() => Ok(users),
        _ => {
            let wrong = describe_wrong(value);
            let words = format!("rule {rule} is not a list of users: {wrong}");
            Err(Failure::new(Kind::WrongType, words))
        }
    }
}

#[cfg(test)]
mod tests;
