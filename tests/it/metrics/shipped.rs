//! Names of metrics: by the conventions, and as the alert rules and the dashboard that come along have them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::Scrape;
use crate::support::{Fault, World};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("contrib")
        .join(path);
    fs::read_to_string(path).unwrap()
}

/// The names of metrics in an expression.
fn names(expression: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = expression.split(|letter| !is_part(letter));
    let ours = |word: &&str| word.starts_with("optoggles_") || word.starts_with("process_");
    words.filter(ours).map(str::to_owned).collect()
}

/// All values of `expr` and `query` in a dashboard.
fn expressions(json: &Value) -> Vec<String> {
    match json {
        Value::Array(elements) => elements.iter().flat_map(expressions).collect(),
        Value::Object(members) => {
            let own = ["expr", "definition"].map(|name| members.get(name));
            let own = own.into_iter().flatten().filter_map(Value::as_str);
            let below = members.values().flat_map(expressions);
            own.map(str::to_owned).chain(below).collect()
        }
        _ => Vec::new(),
    }
}

/// A scrape in which everything has happened once.
fn eventful() -> Scrape {
    let world = World::of(&["us"]).and_memory().build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    daemon.post("/ofrep/v1/evaluate/flags", &[]);
    world.store.http.next(1, "PATCH *", Fault::status(503));
    world.change("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    daemon.wait_healthy();
    Scrape::of(&daemon)
}

#[test]
fn the_dashboard_asks_for_every_metric_and_for_no_other() {
    let dashboard: Value = serde_json::from_str(&read("grafana/dashboard.json")).unwrap();
    let expressions = expressions(&dashboard);
    let asked: BTreeSet<String> = expressions.iter().flat_map(|it| names(it)).collect();
    let scrape = eventful();
    let there = scrape.names();
    for name in &asked {
        assert!(there.contains(name.as_str()), "there is no {name}");
    }
    for metric in scrape.metrics() {
        let is_asked = asked.iter().any(|name| name.starts_with(metric));
        assert!(is_asked, "no panel shows {metric}");
    }
}

#[test]
fn the_alert_rules_ask_for_metrics_that_there_are() {
    let asked = names(&read("prometheus/alerts.yml"));
    assert!(asked.len() >= 5, "{asked:?}");
    let scrape = eventful();
    let there = scrape.names();
    for name in asked {
        assert!(there.contains(name.as_str()), "there is no {name}");
    }
}

#[test]
fn every_metric_has_a_help_and_a_type_and_a_name_by_the_conventions() {
    let scrape = eventful();
    let names = scrape.metrics();
    assert!(names.len() >= 12, "{names:?}");
    for name in names {
        let help = format!("# HELP {name} ");
        assert!(scrape.text.contains(&help), "{name} has no help");
        let counts = scrape.text.contains(&format!("# TYPE {name} counter"));
        assert_eq!(counts, name.ends_with("_total"), "{name}");
        let ours = name.starts_with("optoggles_") || name == "process_start_time_seconds";
        assert!(ours, "{name}");
    }
}
