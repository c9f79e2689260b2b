//! What stays as it is: flags of others, mode, owner, links, and files that are not understood.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use rustix::fs::{XattrFlags, getxattr, setxattr};

use super::*;

/// The access control list of a file, and that of a folder for new files.
const LIST: &str = "system.posix_acl_access";
const DEFAULT_LIST: &str = "system.posix_acl_default";

/// A list in the system's own form: a named user has these rights, the owner may read and write, and all
/// others have no rights.
fn list(user: u32, rights: u16) -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let entries = [
        (0x01_u16, 6_u16, NOBODY),
        (0x02, rights, user),
        (0x04, 0, NOBODY),
        (0x10, rights, NOBODY),
        (0x20, 0, NOBODY),
    ];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(rights.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

/// Whether the file system keeps it.
fn set(path: &Path, name: &str, value: &[u8]) -> bool {
    setxattr(path, name, value, XattrFlags::empty()).is_ok()
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 1024];
    let length = getxattr(path, name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

#[test]
fn what_is_not_ours_stays_as_it_was_written() {
    let flags = Flags::new();
    let foreign = "{\"state\" : \"ENABLED\",\n\t\"variants\":{\"a\":1.50,\"b\":1e2},\n\t\"defaultVariant\":\"a\"}";
    let evaluators = "{ \"staff\": {\"in\": [\"@example.com\", {\"var\":\"email\"}]} }";
    flags.write(&format!(
        "{{\"metadata\":{{\"version\":\"7\"}},\"flags\":{{\"zebra\":{foreign}}},\"$evaluators\":{evaluators}}}"
    ));
    flags.allow(&["ann"], &[]);
    flags.sync();
    let text = flags.text();
    for kept in [foreign, evaluators, "{\"version\":\"7\"}"] {
        assert!(text.contains(kept), "{text}");
    }
    assert!(flags.is_on_for("us", &["ann"]));
    let output = flags.sync();
    output.sums_up("2 toggles: 2 unchanged");
    assert_eq!(flags.text(), text);
}

#[test]
fn mode_and_owner_stay_and_a_link_stays_a_link() {
    let flags = Flags::new();
    flags.allow(&["ann"], &[]);
    let real = flags.program.path("real.json");
    fs::write(&real, "{\"flags\":{}}").unwrap();
    symlink("real.json", flags.path()).unwrap();
    fs::set_permissions(&real, Permissions::from_mode(0o640)).unwrap();
    // Only root can give files away; whoever else runs this keeps its own.
    let given = chown(&real, Some(12345), Some(54321)).is_ok();
    flags.sync();
    assert!(flags.path().symlink_metadata().unwrap().is_symlink());
    assert!(flags.is_on_for("us", &["ann"]));
    let metadata = real.metadata().unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o640);
    if given {
        assert_eq!((metadata.uid(), metadata.gid()), (12345, 54321));
    }
}

#[test]
fn its_access_control_list_stays_and_that_of_its_folder_is_not_taken() {
    let flags = Flags::new();
    let path = flags.path();
    flags.write("{}");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    if !set(path.parent().unwrap(), DEFAULT_LIST, &list(12345, 7)) {
        return eprintln!("there are no access control lists here: skipped");
    }
    let mode = || path.metadata().unwrap().mode() & 0o7777;
    flags.allow(&["ann"], &[]);
    flags.sync();
    assert_eq!((attribute(&path, LIST), mode()), (None, 0o600));
    let own = list(54321, 4);
    assert!(set(&path, LIST, &own) && set(&path, "user.note", b"kept"));
    flags.allow(&["bob"], &[]);
    flags.sync();
    assert!(flags.is_on_for("us", &["bob"]));
    assert_eq!((attribute(&path, LIST), mode()), (Some(own), 0o640));
    assert_eq!(attribute(&path, "user.note").as_deref(), Some(&b"kept"[..]));
}

#[test]
fn a_file_that_is_itself_a_mount_point_is_told_to_be_mounted_with_its_folder() {
    let flags = Flags::new();
    flags.allow(&["ann"], &[]);
    flags.program.write("host.json", "{}");
    flags.write("{}");
    let mount = "mount --bind host.json flags.json";
    let why = "file flags.json cannot be written: it is itself a mount point, which cannot be replaced: \
               mount the folder that holds it";
    for args in [&["check-config", "--online"][..], &ONCE] {
        let Some(output) = flags.program.run_among_mounts(mount, args) else {
            return;
        };
        output.exits(1).says(why);
    }
    assert_eq!(flags.text(), "{}");
}

#[test]
fn a_link_to_a_file_that_is_not_there_yet_stays_a_link() {
    let flags = Flags::new();
    flags.allow(&["ann"], &[]);
    fs::create_dir(flags.program.path("real")).unwrap();
    symlink("real/next.json", flags.path()).unwrap();
    symlink("flags.json", flags.program.path("real/next.json")).unwrap();
    flags.sync();
    assert!(flags.path().symlink_metadata().unwrap().is_symlink());
    assert!(flags.program.path("real/flags.json").is_file());
    assert!(flags.is_on_for("us", &["ann"]));
}

#[test]
fn a_link_that_leads_nowhere_fails_in_words_and_stays() {
    for (to, why) in [
        ("gone/flags.json", "no such folder gone: create it"),
        ("flags.json", "Too many levels of symbolic links"),
    ] {
        let flags = Flags::new();
        flags.allow(&["ann"], &[]);
        symlink(to, flags.path()).unwrap();
        let sync = ["sync", "--timeout", "100ms"];
        flags.program.run(&sync).exits(1).says(why);
        assert!(flags.path().symlink_metadata().unwrap().is_symlink());
    }
}

#[test]
fn a_file_that_is_cut_off_or_no_definition_is_left_alone() {
    let flags = Flags::new();
    flags.allow(&["ann"], &[]);
    for (text, why) in [
        ("\n", "is empty: remove it, or write `{}` into it"),
        ("{\"flags\": {", "is cut off (line 1 column 11)"),
        ("{\"flags\": {},}", "is not JSON (line 1 column 14)"),
        ("flags: {}", "is YAML: write it as JSON"),
        ("\u{feff}{}", "begins with a byte order mark"),
        ("{\0}\0", "is UTF-16 text: save it as UTF-8"),
        (
            r#"{"flags": {}, "flags": {}}"#,
            "has the member `flags` twice: remove the one",
        ),
        (
            r#"{"flags": {"x": {"a": 1}, "x": {"a": 2}}}"#,
            "has the member `x` twice: remove the one",
        ),
        (
            "{\"flags\": []}",
            "the flags of file flags.json are not an object",
        ),
    ] {
        flags.write(text);
        let sync = ["sync", "--timeout", "100ms"];
        let output = flags.program.run(&sync).exits(1);
        output.says(why).sums_up("2 toggles: 2 failed");
        assert_eq!(flags.text(), text);
    }
}

#[test]
fn serve_goes_on_when_a_damaged_file_is_mended() {
    let flags = Flags::new();
    flags.allow(&["ann"], &[]);
    flags.write("{\"flags\": {");
    let daemon = flags.program.serve(&[]);
    daemon.wait_failing();
    let reasons = daemon.get("/health").text();
    assert!(
        reasons.contains("toggle us: read: answer not understood"),
        "{reasons}"
    );
    flags.write("{\"flags\": {}}");
    let mended = || flags.is_on_for("us", &["ann"]);
    flags.stage.wait_until("the flag is there", mended);
    daemon.wait_healthy();
}

#[test]
fn a_flag_that_is_not_boolean_fails_alone() {
    let flags = Flags::new();
    flags.allow(&["ann"], &["bob"]);
    let text = json!({ "state": "ENABLED", "variants": { "a": "red" }, "defaultVariant": "a" });
    flags.write(&json!({ "flags": { "us": text } }).to_string());
    let output = flags.program.run(&ONCE).exits(1);
    output
        .reports_start("us failed: the flag us in file flags.json is not boolean: give the toggle")
        .reports("tax +1 1 user created");
    assert_eq!(flags.json()["flags"]["us"], text);
    let output = flags.program.run(&["check-config", "--online"]).exits(1);
    output.says("the flag us in file flags.json is not boolean");
    let text = r#"{"flags": {"us": {"variants": {"on": true, "on": false}}}}"#;
    flags.write(text);
    let output = flags.program.run(&ONCE).exits(1);
    output
        .says("the flag us in file flags.json has the member `on` twice: remove the one")
        .reports("tax +1 1 user created");
}

#[test]
fn where_the_file_cannot_be_written_the_reason_is_told() {
    let flags = Flags::new();
    flags.allow(&["ann"], &[]);
    fs::create_dir(flags.path()).unwrap();
    let online = ["check-config", "--online"];
    let why = "not a regular file: correct `path`";
    flags.program.run(&ONCE).exits(1).says(why);
    flags.program.run(&online).exits(1).says(why);
    let flags = Flags::at("folder/flags.json");
    flags.allow(&["ann"], &[]);
    let why = "folder/flags.json cannot be written: no such folder folder: create it";
    flags.program.run(&ONCE).exits(1).says(why);
    flags.program.run(&online).exits(1).says(why);
}

#[test]
fn check_config_online_counts_the_flags_and_writes_nothing() {
    let flags = Flags::new();
    flags.allow(&["ann"], &[]);
    let online = ["check-config", "--online"];
    let says = "path                     ok: does not exist yet, and can be written";
    flags.program.run(&online).exits(0).says(says);
    assert!(!flags.path().exists());
    flags.sync();
    let says = "path                     ok: has 2 flags, and can be written";
    flags.program.run(&online).exits(0).says(says);
}
