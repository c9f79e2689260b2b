//! A right file, in which each test makes some mistakes.

mod any;
mod reference;
mod right;
mod secrets;

use std::io;
use std::path::Path;
use std::sync::LazyLock;

use crate::config::check::check;
use crate::config::interpolate::Surroundings;
use crate::config::problem::{Problem, Related};
use crate::config::report::{Position, Report};
use crate::config::{Catalog, Config};
use crate::peers::catalog;

/// What must never show.
const SECRET: &str = "hunter2";

/// A configuration without a problem, although secrets stand everywhere.
const RIGHT: &str = r#"bind = ":8080"
[[sources]]
id = "opal"
url = "http://ann:hunter2@localhost:7000"
token = "hunter2"
advertised_address = "localhost:8080"
opa_token = "${TOKEN}"
[target]
type = "restapi"
endpoint_url = "https://flags.example.com/api"
extra_headers = { Authorization = "Bearer hunter2" }
[[toggles]]
key = "us"
users_policy = { source = "opal", package = "app.rbac", rule = "us_users" }
[toggles.spec]
name = "US ${TOKEN}"
"#;

/// A certificate, and its key beneath what must never show.
static PAIR: LazyLock<(String, String)> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["us".to_owned()]).unwrap();
    let key = made.signing_key.serialize_pem();
    (made.cert.pem(), format!("{SECRET}\n{key}"))
});

/// The configuration that is right as it stands, without variables and files.
#[track_caller]
pub(crate) fn configured(text: &str) -> Config {
    let around = Surroundings {
        folder: Path::new(""),
        env: &|_| None,
        read: &|_| Err(io::ErrorKind::NotFound.into()),
        open_to_others: false,
    };
    let checked = check(text, &around, &catalog());
    let problems = shown(text, &checked.problems);
    checked.config.unwrap_or_else(|| panic!("{problems}"))
}

fn run(text: &str, open_to_others: bool) -> (Option<Config>, Vec<Problem>) {
    let (config, problems, _) = run_to_report(text, open_to_others);
    (config, problems)
}

fn run_to_report(text: &str, open_to_others: bool) -> (Option<Config>, Vec<Problem>, Report) {
    let around = Surroundings {
        folder: Path::new("/conf"),
        env: &|name| match name {
            "TOKEN" => Some(SECRET.into()),
            "LINES" => Some(format!("{SECRET}\n{SECRET}")),
            "TYPE" => Some("restapi".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        },
        read: &|path| match path.to_str() {
            Some("/conf/cert.pem") => Ok(PAIR.0.clone().into()),
            Some("/conf/key.pem") => Ok(PAIR.1.clone().into()),
            Some("/conf/token") => Ok(SECRET.into()),
            Some("/conf/folder") => Err(io::ErrorKind::IsADirectory.into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        },
        open_to_others,
    };
    let checked = check(text, &around, &catalog());
    let problems = checked.problems.clone();
    let report = Report::new(
        "o.toml".into(),
        text.into(),
        checked.problems,
        &checked.cuts,
    );
    (checked.config, problems, report)
}

/// `RIGHT` with one piece of it replaced.
fn with(from: &str, to: &str) -> String {
    assert_eq!(RIGHT.matches(from).count(), 1, "{from:?} is there once");
    RIGHT.replacen(from, to, 1)
}

/// The problems in short: without the lines of the file.
fn shown(text: &str, problems: &[Problem]) -> String {
    let report = Report::new("o.toml".into(), text.into(), problems.to_vec(), &[]);
    let place = |offset| {
        let Position { line, column } = report.position(offset);
        format!("{line}:{column}")
    };
    let mut lines = Vec::new();
    for problem in problems {
        let place_of_it = place(problem.span.start);
        let (severity, message) = (problem.severity, &problem.message);
        lines.push(format!("{place_of_it}: {severity}: {message}"));
        if let Some(Related { message, span }) = &problem.related {
            lines.push(format!("  note: {message}: {}", place(span.start)));
        }
        lines.push(format!("  help: {}", problem.help));
    }
    lines.join("\n")
}

/// The problems' lines without their help.
fn lines(text: &str, problems: &[Problem]) -> Vec<String> {
    let shown = shown(text, problems);
    let lines = shown.lines().filter(|line| !line.starts_with("  "));
    lines.map(|line| line.replace(": error:", "")).collect()
}
