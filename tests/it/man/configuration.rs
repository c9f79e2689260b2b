//! Section 5, held against the program that reads the configuration.

use std::collections::BTreeSet;
use std::fs;

use optoggles::config::Config;
use optoggles::config::load;
use tempfile::TempDir;

use super::section;
use crate::support::Stage;
use crate::support::program::Program;

/// Keys with what is written for them.
type Keys = &'static [(&'static str, &'static str)];

const PAGE: &str = "optoggles.toml.5";
const SOURCE: &str = "[[sources]]\nid = \"a\"\nurl = \"http://opal:7000\"\n\
                      advertised_address = \"optoggles:8080\"\n";
const TARGET: &str = "[target]\ntype = \"flagd\"\npath = \"flags.json\"\n";
const TOGGLE: &str =
    "[[toggles]]\nkey = \"k\"\nusers_policy = { source = \"a\", package = \"p\", rule = \"r\" }\n";
const LAUNCHDARKLY: &str = "[target]\ntype = \"launchdarkly\"\ntoken = \"${TOKEN}\"\n";
const SPEC: &str = "[toggles.spec]\nname = \"k\"\nproj_key = \"p\"\nenvironments = [\"e\"]\n";

/// A table of the configuration that has what it must have and nothing else, in a file that is right.
struct Table {
    /// Of the subsection about it.
    title: &'static str,
    before: Vec<&'static str>,
    header: &'static str,
    required: Keys,
    after: Vec<&'static str>,
}

impl Table {
    /// The file, with these keys in the table.
    fn with<'a>(&self, keys: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
        let keys = keys.into_iter();
        let keys: String = keys
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect();
        format!(
            "{}{}\n{keys}{}",
            self.before.concat(),
            self.header,
            self.after.concat()
        )
    }

    fn and(&self, key: &str, value: &str) -> String {
        self.with(self.required.iter().copied().chain([(key, value)]))
    }

    fn without(&self, name: &str) -> String {
        let others = self.required.iter().filter(|(key, _)| *key != name);
        self.with(others.copied())
    }
}

fn tables() -> Vec<Table> {
    let table = |title, before: &[&'static str], header, required, after: &[&'static str]| Table {
        title,
        before: before.to_vec(),
        header,
        required,
        after: after.to_vec(),
    };
    let place = [TARGET, TOGGLE];
    vec![
        table("Top of the file", &[], "", TOP, &[TOGGLE]),
        table("[[sources]] of type opal", &[], "[[sources]]", OPAL, &place),
        table("[[sources]] of type opa", &[], "[[sources]]", OPA, &place),
        table("[[sources]] of type file", &[], "[[sources]]", FILE, &place),
        table(
            "[target] of type launchdarkly",
            &[SOURCE],
            "[target]",
            DARK,
            &[TOGGLE, SPEC],
        ),
        table(
            "[target] of type restapi",
            &[SOURCE],
            "[target]",
            REST,
            &[TOGGLE],
        ),
        table(
            "[target] of type flagd",
            &[SOURCE],
            "[target]",
            FLAGD,
            &[TOGGLE],
        ),
        table(
            "[[toggles]] with every target",
            &[SOURCE, TARGET],
            "[[toggles]]",
            TOGGLES,
            &[],
        ),
        table(
            "users_policy",
            &[SOURCE, TARGET, "[[toggles]]\nkey = \"k\"\n"],
            "[toggles.users_policy]",
            POLICY,
            &[],
        ),
        table(
            "[toggles.spec] with launchdarkly",
            &[SOURCE, LAUNCHDARKLY, TOGGLE],
            "[toggles.spec]",
            DARK_SPEC,
            &[],
        ),
        table(
            "[toggles.spec] with flagd",
            &[SOURCE, TARGET, TOGGLE],
            "[toggles.spec]",
            &[],
            &[],
        ),
    ]
}

const TOP: Keys = &[
    (
        "sources",
        r#"[{ id = "a", url = "http://opal:7000", advertised_address = "optoggles:8080" }]"#,
    ),
    ("target", r#"{ type = "flagd", path = "flags.json" }"#),
];
const OPAL: Keys = &[
    ("id", "\"a\""),
    ("url", "\"http://opal:7000\""),
    ("advertised_address", "\"optoggles:8080\""),
];
const OPA: Keys = &[
    ("id", "\"a\""),
    ("type", "\"opa\""),
    ("url", "\"http://opa:8181\""),
];
const FILE: Keys = &[
    ("id", "\"a\""),
    ("type", "\"file\""),
    ("path", "\"users.json\""),
];
const DARK: Keys = &[("type", "\"launchdarkly\""), ("token", "\"${TOKEN}\"")];
const REST: Keys = &[
    ("type", "\"restapi\""),
    ("endpoint_url", "\"https://flags.example.com\""),
];
const FLAGD: Keys = &[("type", "\"flagd\""), ("path", "\"flags.json\"")];
const TOGGLES: Keys = &[
    ("key", "\"k\""),
    (
        "users_policy",
        "{ source = \"a\", package = \"p\", rule = \"r\" }",
    ),
];
const POLICY: Keys = &[("source", "\"a\""), ("package", "\"p\""), ("rule", "\"r\"")];
const DARK_SPEC: Keys = &[
    ("name", "\"k\""),
    ("proj_key", "\"p\""),
    ("environments", "[\"e\"]"),
];

/// What the page says of a key.
struct Entry {
    key: String,
    /// `required`, `optional` or `default`.
    kind: String,
    /// As it is written in the file, where it is a value.
    default: Option<String>,
}

fn entries(table: &Table) -> Vec<Entry> {
    let lines = section(PAGE, &format!(".Ss {}", table.title));
    let items = lines.iter().enumerate().filter_map(|(at, line)| {
        let key = line.strip_prefix(".It Cm ")?.to_owned();
        let (_, kind) = lines[at + 1].split_once("; ").unwrap_or_default();
        let kind: String = kind.chars().take_while(char::is_ascii_alphabetic).collect();
        let value = lines[at + 2]
            .strip_prefix(".Li ")
            .filter(|_| kind == "default");
        let default = value.map(|value| value.trim_end_matches(" .").replace("\\(dq", "\""));
        Some(Entry { key, kind, default })
    });
    items.collect()
}

fn read(folder: &TempDir, config: &str) -> Option<Config> {
    let file = folder.path().join("optoggles.toml");
    fs::write(&file, config).unwrap();
    let loaded = load::load(Some(&file), &|_| Some("any".into()), &optoggles::catalog()).ok()?;
    Some(loaded.config)
}

/// What the program has to say to a configuration that is wrong.
#[track_caller]
fn helps(config: &str) -> Vec<String> {
    let program = Program::new(&Stage::new(), config, &[("TOKEN", "any")]);
    let output = program.run(&["check-config", "--format", "json"]).exits(2);
    let problems = output.json().as_array().unwrap().clone();
    let helps = problems
        .iter()
        .filter_map(|problem| problem["help"].as_str());
    helps.map(str::to_owned).collect()
}

#[test]
fn every_key_that_the_program_knows_is_in_section_5_and_no_other() {
    for table in tables() {
        let helps = helps(&table.and("zzzzzzzzzz", "1"));
        let list = helps
            .iter()
            .find_map(|help| help.split_once("known here: "));
        let (_, list) = list.unwrap_or_else(|| panic!("{}: {helps:?}", table.title));
        let known: BTreeSet<&str> = list.split('`').skip(1).step_by(2).collect();
        let entries = entries(&table);
        let documented: BTreeSet<&str> = entries.iter().map(|entry| &*entry.key).collect();
        assert_eq!(documented, known, "{}", table.title);
    }
}

#[test]
fn what_section_5_calls_required_is_and_all_else_can_be_left_out() {
    let folder = TempDir::new().unwrap();
    for table in tables() {
        let title = table.title;
        let required = entries(&table).into_iter();
        let required = required.filter(|entry| entry.kind == "required");
        let required: BTreeSet<String> = required.map(|entry| entry.key).collect();
        let keys = table.required.iter().map(|(key, _)| (*key).to_owned());
        assert_eq!(required, keys.collect(), "{title}");
        assert!(read(&folder, &table.without("")).is_some(), "{title}");
        for key in &required {
            assert!(
                read(&folder, &table.without(key)).is_none(),
                "{title}: {key}"
            );
        }
    }
}

#[test]
fn the_defaults_in_section_5_change_nothing_where_they_are_written_down() {
    let folder = TempDir::new().unwrap();
    let mut checked = Vec::new();
    for table in tables() {
        for entry in entries(&table) {
            let Some(default) = entry.default else {
                continue;
            };
            let with = read(&folder, &table.and(&entry.key, &default));
            let without = read(&folder, &table.without(""));
            assert!(
                with.is_some() && with == without,
                "{} = {default}",
                entry.key
            );
            checked.push(entry.key);
        }
    }
    let expected = "bind resync_interval http_timeout concurrency type wait_until_ready poll_interval \
                    wait_until_ready base_url read";
    assert_eq!(checked.join(" "), expected);
}

#[test]
fn who_keeps_a_word_of_the_yaml_is_told_the_one_of_the_table() {
    let lines = section(PAGE, ".Sh MOVING FROM OPTOGGLES' YAML");
    let rows = lines.iter().filter_map(|line| line.strip_prefix(".It Li "));
    let mut renamed = 0;
    for row in rows {
        let (old, new) = row.split_once(" Ta ").unwrap();
        let old = old.rsplit('.').next().unwrap();
        let key = new.rsplit(' ').next().unwrap();
        let header = new.split(' ').find(|word| word.starts_with('['));
        let Some(header) = header.filter(|_| old != key && key != "[toggles.spec]") else {
            continue;
        };
        let tables = tables().into_iter().filter(|table| table.header == header);
        let answers: Vec<String> = tables.flat_map(|it| helps(&it.and(old, "\"x\""))).collect();
        let named = format!("`{key}");
        assert!(
            answers.iter().any(|help| help.contains(&named)),
            "{old}: {answers:?}"
        );
        renamed += 1;
    }
    assert!(renamed >= 6, "the table has lost its rows");
}
