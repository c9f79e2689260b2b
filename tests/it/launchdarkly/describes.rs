//! Name, description and tags follow the `spec`.

use super::*;

const SPEC: &str = "name = \"US only\"\nproj_key = \"default\"\nenvironments = [\"production\", \
                    \"test\"]\ndescription = \"set by policy\"\ntags = [\"policy\", \"b\"]";

#[test]
fn a_flag_is_created_as_the_spec_says_and_what_differs_later_is_changed_in_one_request() {
    let flags = Flags::of(&["us"]).spec(SPEC).build();
    flags.opa.allow("us", &["ann"]);
    let is_described = || {
        let platform = flags.platform();
        let flag = platform.flag("default", "us").unwrap();
        let words = (&*flag.name, &*flag.description);
        assert_eq!(words, ("US only", "set by policy"));
        assert!(flag.tags.iter().eq(["b", "policy"]));
    };
    flags.sync(&[]).exits(0);
    is_described();
    let before = flags.count("PATCH", "*");
    let mut platform = flags.platform();
    let flag = platform.edit("default", "us");
    flag.name = "another".to_owned();
    flag.description = String::new();
    flag.tags = ["c", "policy"].map(str::to_owned).into();
    drop(platform);
    let output = flags.sync(&[]).exits(0);
    output.reports("us = 1 user updated (metadata)");
    is_described();
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
