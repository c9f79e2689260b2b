//! SIGHUP while the file is being written. Whether the reload falls into the write is a matter of time:
//! the test can miss a defect, but sees none that is not there.

use super::*;

/// Whether a text is on its way into the place of the file.
fn is_being_written(flags: &Flags) -> bool {
    let folder = flags.path().parent().unwrap().read_dir().unwrap();
    let mut names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.any(|name| name.starts_with(".optoggles-"))
}

#[test]
fn a_write_that_a_reload_comes_upon_and_the_next_one_undo_nothing_of_each_other() {
    let flags = Flags::with("resync_interval = \"0s\"", "");
    // So much that a write takes longer than a reload.
    let note = "long".repeat(4_000_000);
    flags.write(&json!({ "metadata": { "note": note }, "flags": {} }).to_string());
    flags.allow(&["ann"], &["ann", "bob"]);
    let daemon = flags.program.serve(&[]);
    let wait_for = |us: &[&str], tax: &[&str]| {
        let have = || flags.is_on_for("us", us) && flags.is_on_for("tax", tax);
        flags.stage.wait_until("both flags are right", have);
    };
    wait_for(&["ann"], &["ann", "bob"]);
    daemon.wait_healthy();
    for (us, before, tax) in [
        (&["eve"], &["ann", "bob"][..], &["ann"]),
        (&["ann"], &["ann"], &["eve"]),
    ] {
        flags.allow(us, before);
        let begins = || is_being_written(&flags);
        flags.stage.wait_until("the write begins", begins);
        flags.allow(us, tax);
        flags.program.reload(&daemon, flags.program.config());
        wait_for(us, tax);
        daemon.wait_healthy();
    }
    daemon.terminate().exits(0);
}
