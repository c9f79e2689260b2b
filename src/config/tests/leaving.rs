//! What a reload leaves behind.

use super::*;
use crate::config::left_behind;

/// A toggle of LaunchDarkly's.
fn toggle(key: &str, project: &str, environments: &[&str]) -> String {
    format!(
        "[[toggles]]\nkey = \"{key}\"\nusers_policy = {{ source = \"y\", package = \"app\", rule = \"us\" }}\n\
         [toggles.spec]\nname = \"n\"\nproj_key = \"{project}\"\nenvironments = {environments:?}\n"
    )
}

fn config(token: &str, sources: &[&str], toggles: &[String]) -> Config {
    let sources = sources.iter();
    let sources = sources
        .map(|id| format!("[[sources]]\nid = \"{id}\"\ntype = \"file\"\npath = \"{id}.json\"\n"));
    let sources: String = sources.collect();
    configured(&format!(
        "{sources}[target]\ntype = \"launchdarkly\"\ntoken = \"{token}\"\n{}",
        toggles.concat()
    ))
}

#[test]
fn what_is_only_added_or_reordered_leaves_nothing_behind() {
    let (us, tax) = (toggle("us", "p", &["a"]), toggle("tax", "p", &["a"]));
    let more = toggle("us", "p", &["b", "a"]);
    let old = config("one", &["y"], &[us, tax.clone()]);
    let new = config("two", &["z", "y"], &[tax, more]);
    assert_eq!(left_behind(&old, &new), Vec::<String>::new());
}

#[test]
fn sources_toggles_projects_and_environments_that_go_are_named() {
    let old = [
        toggle("gone", "p", &["a"]),
        toggle("less", "p", &["a", "b", "c"]),
        toggle("moved", "p", &["a"]),
    ];
    let new = [toggle("moved", "q", &["a"]), toggle("less", "p", &["b"])];
    let old = config("one", &["x", "y"], &old);
    let new = config("one", &["y"], &new);
    let left = left_behind(&old, &new);
    let starts = [
        "source x is no longer used",
        "toggle gone is no longer kept: at the target it stays as it is",
        "toggle less is no longer kept in a, c: there it stays as it is",
        "toggle moved is no longer kept in the project p: there it stays as it is",
    ];
    assert_eq!(left.len(), starts.len(), "{left:?}");
    for (words, start) in left.iter().zip(starts) {
        assert!(words.starts_with(start), "{words}");
    }
}
