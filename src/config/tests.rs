//! A valid file, in which each test makes some mistakes.

mod any;
mod leaving;
mod reference;
mod unset;
mod valid;

use std::io;
use std::path::Path;
use std::sync::LazyLock;

use crate::config::interpolate::Surroundings;
use crate::config::report::{Report, Severity};
use crate::config::tables::check;
use crate::config::{Catalog, Config};
use crate::peers::catalog;

/// What must never show.
const SECRET: &str = "hunter2";

/// A configuration without a problem, although secrets stand everywhere.
const VALID: &str = r#"bind = ":8080"
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

/// What a valid file says that needs neither variables nor other files.
#[track_caller]
pub(crate) fn configured(text: &str) -> Config {
    let around = Surroundings {
        folder: Path::new(""),
        env: &|_| None,
        read: &|_, _| Err(io::ErrorKind::NotFound.into()),
        open_to_others: false,
        unset: Severity::Error,
    };
    let (config, report) = check(Path::new("o.toml"), text.into(), &around, &catalog());
    config.unwrap_or_else(|| panic!("{report}"))
}

fn run(text: &str, open_to_others: bool) -> (Option<Config>, Report) {
    let around = Surroundings {
        folder: Path::new("/conf"),
        env: &|name| match name {
            "TOKEN" => Some(SECRET.into()),
            "LINES" => Some(format!("{SECRET}\n{SECRET}")),
            "TYPE" => Some("restapi".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        },
        read: &|path, _| match path.to_str() {
            Some("/conf/cert.pem") => Ok(PAIR.0.clone().into()),
            Some("/conf/key.pem") => Ok(PAIR.1.clone().into()),
            Some("/conf/token") => Ok(SECRET.into()),
            Some("/conf/folder") => Err(io::ErrorKind::IsADirectory.into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        },
        open_to_others,
        unset: Severity::Error,
    };
    check(Path::new("o.toml"), text.into(), &around, &catalog())
}

/// `VALID` with one piece of it replaced.
fn with(from: &str, to: &str) -> String {
    assert_eq!(VALID.matches(from).count(), 1, "{from:?} is there once");
    VALID.replacen(from, to, 1)
}
