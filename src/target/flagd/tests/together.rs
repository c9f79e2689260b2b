//! Edits from many threads at the same time.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::after;

use super::*;

/// A file that is not there yet, in a folder of its own, and so many toggles.
fn flagd(folder: &tempfile::TempDir, toggles: usize) -> Flagd {
    let path = folder.path().join("flags.json");
    let config = Config {
        bind: config::Bind {
            host: String::new(),
            port: 0,
        },
        resync_interval: None,
        http_timeout: std::time::Duration::from_secs(1),
        concurrency: 8,
        sources: Vec::new(),
        target: config::Target::Flagd(config::Flagd { path: path.clone() }),
        toggles: (0..toggles)
            .map(|number| toggle(&format!("toggle-{number}")))
            .collect(),
    };
    Flagd::new(&config::Flagd { path }, &Arc::new(config))
}

fn ann() -> Arc<Users> {
    Arc::new(["ann"].into_iter().collect())
}

#[test]
fn edits_at_the_same_time_are_all_made() {
    const TOGGLES: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let flagd = flagd(&folder, TOGGLES);
    let users = ann();
    thread::scope(|scope| {
        for id in 0..TOGGLES {
            scope.spawn({
                let (flagd, users) = (&flagd, &users);
                move || {
                    assert!(matches!(flagd.create(id), Ok(Created::New(_))));
                    flagd.update(id, users, &Observed::Absent).unwrap();
                }
            });
        }
    });
    let ids: Vec<ToggleId> = (0..TOGGLES).collect();
    for (id, observed) in flagd.read(&ids) {
        assert_eq!(observed.unwrap().steps(Some(&users), true), [], "{id}");
    }
}

#[test]
fn edits_that_come_during_a_write_are_one_write() {
    const TOGGLES: usize = 20;
    let folder = tempfile::tempdir().unwrap();
    let flagd = flagd(&folder, TOGGLES);
    let path = folder.path().join("flags.json");
    // Somebody writes: this test.
    let turn = Turn::take_unless(|| false).unwrap();
    let written = thread::scope(|scope| {
        for id in 0..TOGGLES {
            let flagd = &flagd;
            scope.spawn(move || flagd.create(id).unwrap());
        }
        while flagd.waiting().len() < TOGGLES {
            thread::yield_now();
        }
        assert!(!path.exists());
        flagd.write_waiting();
        let written = path.metadata().unwrap().ino();
        drop(turn);
        written
    });
    assert_eq!(
        path.metadata().unwrap().ino(),
        written,
        "nobody wrote again"
    );
    let ids: Vec<ToggleId> = (0..TOGGLES).collect();
    let is_there = |(_, observed)| matches!(observed, Ok(Observed::Present(_)));
    assert!(flagd.read(&ids).into_iter().all(is_there));
}

#[test]
fn edits_of_one_toggle_are_made_in_the_order_in_which_they_came() {
    let folder = tempfile::tempdir().unwrap();
    let flagd = flagd(&folder, 1);
    let turn = Turn::take_unless(|| false).unwrap();
    thread::scope(|scope| {
        for (came, users) in [Arc::default(), ann()].into_iter().enumerate() {
            let flagd = &flagd;
            scope.spawn(move || flagd.update(0, &users, &Observed::Absent).unwrap());
            while flagd.waiting().len() == came {
                thread::yield_now();
            }
        }
        drop(turn);
    });
    let (_, observed) = flagd.read(&[0]).remove(0);
    assert_eq!(observed.unwrap().steps(Some(&ann()), true), []);
}

#[test]
fn where_a_write_fails_all_whose_edits_were_in_it_are_told() {
    const TOGGLES: usize = 5;
    let folder = tempfile::tempdir().unwrap();
    let flagd = flagd(&folder, TOGGLES);
    let cut_off = "{\"flags\": {";
    fs::write(folder.path().join("flags.json"), cut_off).unwrap();
    let turn = Turn::take_unless(|| false).unwrap();
    thread::scope(|scope| {
        let create = |id| {
            let flagd = &flagd;
            scope.spawn(move || flagd.create(id).unwrap_err().kind)
        };
        let threads: Vec<_> = (0..TOGGLES).map(create).collect();
        while flagd.waiting().len() < TOGGLES {
            thread::yield_now();
        }
        drop(turn);
        for thread in threads {
            assert_eq!(thread.join().unwrap(), Kind::Answer);
        }
    });
}

#[test]
fn a_write_that_panics_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let flagd = flagd(&folder, 1);
    let turn = Turn::take_unless(|| false).unwrap();
    thread::scope(|scope| {
        // There is no second toggle.
        let panics = scope.spawn(|| flagd.create(1));
        let others = scope.spawn(|| flagd.create(0));
        while flagd.waiting().len() < 2 {
            thread::yield_now();
        }
        drop(turn);
        let ended = [panics.join().is_err(), others.join().is_err()];
        assert_eq!(ended.iter().filter(|panicked| **panicked).count(), 1);
    });
    flagd.create(0).unwrap();
}

#[test]
fn two_that_write_the_same_file_in_one_process_undo_nothing_of_each_other() {
    const TOGGLES: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    // As at a reload: the old one is still at it when the new one begins.
    let generations = [flagd(&folder, TOGGLES), flagd(&folder, TOGGLES)];
    let users = ann();
    thread::scope(|scope| {
        for id in 0..TOGGLES {
            let (flagd, users) = (&generations[id % 2], &users);
            scope.spawn(move || flagd.update(id, users, &Observed::Absent).unwrap());
        }
    });
    let ids: Vec<ToggleId> = (0..TOGGLES).collect();
    for (id, observed) in generations[0].read(&ids) {
        assert_eq!(observed.unwrap().steps(Some(&users), true), [], "{id}");
    }
}

#[test]
fn whoever_writes_is_answered_however_many_edits_keep_coming() {
    const THREADS: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    // A write takes so long that others come meanwhile.
    let long = json!({ "metadata": { "note": "long".repeat(200_000) } });
    fs::write(folder.path().join("flags.json"), long.to_string()).unwrap();
    let flagd = flagd(&folder, THREADS);
    let (sum, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let deadline = Instant::now() + Duration::from_secs(20);
    let sets = [ann(), Arc::default()];
    let go_on = |id: ToggleId| {
        let mut made = 0;
        while !over.load(Relaxed) {
            flagd
                .update(id, &sets[made % 2], &Observed::Absent)
                .unwrap();
            made += 1;
            let all = sum.fetch_add(1, Relaxed) + 1;
            if all >= 10 * THREADS || Instant::now() > deadline {
                over.store(true, Relaxed);
            }
        }
        made
    };
    let made: Vec<usize> = thread::scope(|scope| {
        let start = |id| {
            // Not all at once, so that some come during each write.
            after(Duration::from_millis(3)).recv().unwrap();
            scope.spawn(move || go_on(id))
        };
        let threads: Vec<_> = (0..THREADS).map(start).collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    });
    // An edit waits for one write at most, and is in the next one.
    assert!(made.iter().all(|made| *made >= 3), "{made:?}");
}
