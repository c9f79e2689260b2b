//! Name, description and tags follow the `spec`.

use super::*;

const SPEC: &str = "name = \"US only\"\nproj_key = \"default\"\nenvironments = [\"production\", \
                    \"test\"]\ndescription = \"set by policy\"\ntags = [\"policy\", \"b\"]";

#[test]
fn a_new_flag_is_described_as_the_spec_says() {
    let flags = Flags::of(&["us"]).spec(SPEC).build();
    flags.opa.allow("us", &["ann"]);
    flags.sync(&[]).exits(0);
    let platform = flags.platform();
    let flag = platform.flag("default", "us").unwrap();
    assert_eq!(
        (&*flag.name, &*flag.description),
        ("US only", "set by policy")
    );
    assert!(flag.tags.iter().eq(["b", "policy"]));
}

#[test]
fn what_differs_from_the_spec_is_changed_in_one_request() {
    let flags = Flags::of(&["us"]).spec(SPEC).build();
    flags.opa.allow("us", &["ann"]);
    flags.sync(&[]).exits(0);
    let before = flags.count("PATCH", "*");
    let mut platform = flags.platform();
    let flag = platform.edit("default", "us");
    flag.name = "another".to_owned();
    flag.description = String::new();
    flag.tags = ["c", "policy"].map(str::to_owned).into();
    drop(platform);
    flags
        .sync(&[])
        .exits(0)
        .reports("us = 1 user updated (metadata)");
    let platform = flags.platform();
    let flag = platform.flag("default", "us").unwrap();
    assert_eq!(
        (&*flag.name, &*flag.description),
        ("US only", "set by policy")
    );
    assert!(flag.tags.iter().eq(["b", "policy"]));
    drop(platform);
    assert_eq!(flags.count("PATCH", "*"), before + 1);
}

#[test]
fn what_the_spec_does_not_mention_is_left_as_it_is() {
    let flags = Flags::of(&["us"]).build();
    flags.opa.allow("us", &["ann"]);
    flags.sync(&[]).exits(0);
    let mut platform = flags.platform();
    let flag = platform.edit("default", "us");
    flag.description = "written by hand".to_owned();
    flag.tags = ["mine".to_owned()].into();
    drop(platform);
    flags.sync(&[]).exits(0).reports("us = 1 user unchanged");
}
