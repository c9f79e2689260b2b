//! Edits that are written together, or at the same time.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;

use super::*;
use crate::config::tests::configured;
use crate::job::Part;

/// A file that is not there yet, in a folder of its own, and so many toggles.
fn flagd(folder: &tempfile::TempDir, toggles: usize) -> Flagd {
    let path = folder.path().join("flags.json");
    let mut config = configured(&format!(
        "[[sources]]\nid = \"a\"\ntype = \"file\"\npath = \"users.json\"\n\
         [target]\ntype = \"flagd\"\npath = {path:?}\n"
    ));
    let toggles = (0..toggles).map(|number| toggle(&format!("toggle-{number}")));
    config.toggles = toggles.collect();
    Flagd::new(&Arc::new(config), 0).unwrap()
}

fn ann() -> Arc<Users> {
    Arc::new(["ann"].into_iter().collect())
}

fn edit(toggle: ToggleId, what: What) -> Edit {
    Edit {
        toggle,
        what,
        revision: None,
    }
}

fn assert_in_sync(flagd: &Flagd, toggles: usize) {
    let ids: Vec<ToggleId> = (0..toggles).collect();
    for (id, observed) in flagd.read(&ids) {
        assert!(is_done(&observed.unwrap(), &ann()), "{id}");
    }
}

#[test]
fn edits_of_one_job_are_one_write_and_each_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let flagd = flagd(&folder, 3);
    flagd.apply(&[edit(0, What::Create)]);
    let edits = [
        edit(0, What::Create),
        edit(1, What::Update(0, ann())),
        edit(2, What::Create),
    ];
    let nobody = || Present::plain(true, Some(Arc::default()));
    let expected = [
        (
            0,
            Part::Whole,
            Ok(Applied::Found(Observed::Present(nobody()))),
        ),
        (1, Part::Environment(0), Ok(Applied::Done)),
        (2, Part::Whole, Ok(Applied::Created(nobody()))),
    ];
    assert_eq!(flagd.apply(&edits), expected);
    let inode = || folder.path().join("flags.json").metadata().unwrap().ino();
    let before = inode();
    flagd.apply(&edits[..2]);
    assert_eq!(inode(), before, "nothing had changed");
}

#[test]
fn where_a_write_fails_all_whose_edits_were_in_it_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let flagd = flagd(&folder, 2);
    fs::write(folder.path().join("flags.json"), "{\"flags\": {").unwrap();
    for (_, _, result) in flagd.apply(&[edit(0, What::Create), edit(1, What::Create)]) {
        assert_eq!(result.unwrap_err().kind, Kind::Answer);
    }
}

#[test]
fn two_that_write_the_same_file_in_one_process_undo_nothing_of_each_other() {
    const TOGGLES: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    // As at a reload: the old one is still at it when the new one begins.
    let generations = [flagd(&folder, TOGGLES), flagd(&folder, TOGGLES)];
    thread::scope(|scope| {
        for id in 0..TOGGLES {
            let flagd = &generations[id % 2];
            scope.spawn(move || flagd.apply(&[edit(id, What::Update(0, ann()))]));
        }
    });
    assert_in_sync(&generations[0], TOGGLES);
}

#[test]
fn a_file_system_that_hangs_is_a_failure_of_each_toggle_and_of_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let other = flagd(&folder, 1);
    let flagd = Flagd {
        disk: Disk::new("file f".to_owned(), Duration::from_millis(20), None),
        flags: Arc::clone(&other.flags),
    };
    let (_end, hangs) = bounded::<()>(0);
    assert!(flagd.disk.run(move || hangs.recv()).is_err());
    let reads = flagd.read(&[0]).into_iter().map(|(_, result)| result.err());
    let edits = flagd.apply(&[edit(0, What::Create)]).into_iter();
    let edits = edits.map(|(_, _, result)| result.err());
    let checks = flagd.check().into_iter().map(|(_, result)| result.err());
    for failure in reads.chain(edits).chain(checks) {
        assert_eq!(failure.unwrap().kind, Kind::Timeout);
    }
    let turn = other.flags.file.turn().unwrap();
    let _hangs = turn.lock().unwrap();
    let next = File::new(&folder.path().join("next.json"));
    assert!(next.turn().unwrap().try_lock().is_ok());
    // Under another name, it is the same file.
    std::os::unix::fs::symlink("flags.json", folder.path().join("link.json")).unwrap();
    let link = File::new(&folder.path().join("link.json"));
    assert!(link.turn().unwrap().try_lock().is_err());
}
