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

#[test]
fn what_an_owner_turns_off_does_not_stay_as_it_is() {
    let owned = |toggles: &[String]| config("one\"\nowner = \"payments", &["y"], toggles);
    let old = owned(&[
        toggle("gone", "p", &["a"]),
        toggle("less", "p", &["a", "b"]),
        toggle("moved", "p", &["a"]),
    ]);
    let new = owned(&[toggle("moved", "q", &["a"]), toggle("less", "p", &["b"])]);
    let left = left_behind(&old, &new);
    assert_eq!(
        left,
        [
            "toggle gone has left the configuration: turning it off for everybody",
            "toggle less is no longer kept in a: there it stays as it is; turn it off there",
            "toggle moved has left the project p: turning it off there for everybody",
        ]
    );
}

/// A configuration with these targets, each an id, a URL and a header, and a toggle `us` at each.
fn targets(targets: &[(&str, &str, &str)]) -> Config {
    let tables = targets.iter().map(|(id, url, header)| {
        format!(
            "[[targets]]\nid = \"{id}\"\ntype = \"restapi\"\nendpoint_url = \"https://{url}\"\n\
             extra_headers = {{ X-A = \"{header}\" }}\n\
             [[toggles]]\nkey = \"us\"\ntarget = \"{id}\"\n\
             users_policy = {{ source = \"x\", package = \"app\", rule = \"us\" }}\n"
        )
    });
    let tables: String = tables.collect();
    let source = "[[sources]]\nid = \"x\"\ntype = \"file\"\npath = \"x.json\"\n";
    configured(&(source.to_owned() + &tables))
}

#[test]
fn of_several_targets_those_that_are_gone_or_elsewhere_are_named() {
    let old = [("a", "one", "1"), ("b", "two", "2")];
    let at_one_address = [("a", "one", "1"), ("b", "one", "2")];
    let gone = Some("target b is no longer used: its toggles stay as they are");
    let changed = Some("target a has changed: the toggles at the old one stay as they are");
    let moved = Some("target b has changed: the toggles at the old one stay as they are");
    for (old, new, left) in [
        (old, &[("c", "three", "3"), old[1], old[0]][..], None),
        // Another id, other credentials, both, and the id of each other.
        (old, &[("c", "one", "1"), old[1]], None),
        (old, &[("a", "one", "3"), ("b", "two", "4")], None),
        (old, &[("c", "one", "3"), ("d", "two", "4")], None),
        (old, &[("b", "one", "1"), ("a", "two", "2")], None),
        (old, &[old[0]], gone),
        (old, &[old[0], ("c", "three", "2")], gone),
        (old, &[old[0], ("b", "three", "2")], moved),
        (at_one_address, &[old[0]], gone),
        (at_one_address, &[("c", "one", "1")], gone),
        (at_one_address, &[("a", "one", "3")], gone),
        // The credentials tell which account it is: `a` is the other one now.
        (at_one_address, &[("a", "one", "2")], changed),
    ] {
        let found = left_behind(&targets(&old), &targets(new));
        assert_eq!(found, Vec::from_iter(left), "{new:?}");
    }
}

#[test]
fn a_toggle_that_leaves_one_of_several_targets_is_named_with_it() {
    let old = targets(&[("a", "one", "1"), ("b", "two", "2")]);
    let mut new = old.clone();
    new.toggles.remove(0);
    let left = left_behind(&old, &new).concat();
    let start = "toggle a/us is no longer kept: at the target";
    assert!(left.starts_with(start), "{left}");
}

#[test]
fn what_is_in_memory_does_not_stay_there() {
    let config = |target: &str, keys: &[&str]| {
        let toggles = keys.iter().map(|key| toggle(key, "p", &["a"]));
        let toggles = toggles.map(|it| it.split("[toggles.spec]").next().unwrap().to_owned());
        configured(&format!(
            "bind = \"localhost:8080\"\n[[sources]]\nid = \"y\"\ntype = \"file\"\npath = \"y.json\"\n\
             [target]\n{target}\n{}",
            toggles.collect::<String>()
        ))
    };
    let (memory, file) = (
        "type = \"openfeature\"",
        "type = \"flagd\"\npath = \"f.json\"",
    );
    let old = config(memory, &["us", "tax"]);
    for (new, left) in [
        (
            config(&format!("{memory}\ntoken = \"a\""), &["tax", "us"]),
            None,
        ),
        (
            config(memory, &["us"]),
            Some("toggle tax is no longer answered for"),
        ),
        (
            config(file, &["us"]),
            Some("target openfeature is no longer answered for"),
        ),
    ] {
        assert_eq!(left_behind(&old, &new), Vec::from_iter(left));
    }
}
