//! A log that is not read, or cannot be written.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::support::{World, lock};

/// A pipe that is full of blank lines.
pub(crate) fn full_pipe(blocks: bool) -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    for size in [1024, 1] {
        while writer.write(&b"\n".repeat(size)).is_ok() {}
    }
    if blocks {
        fcntl_setfl(&writer, flags).unwrap();
    }
    (reader, writer)
}

/// Does what it should, and ends in order.
#[track_caller]
fn works(world: &World, log: impl Into<std::process::Stdio>, then: impl FnOnce()) {
    world.opa.allow("us", &["ann"]);
    let daemon = world.program.serve_with_log(&["-v"], log);
    daemon.wait_healthy();
    world.change("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    // More than a pipe and the queue take.
    let path = format!("/opa_update/{}", "x".repeat(7 * 1024));
    for _ in 0..400 {
        daemon.post(&path, &[("Authorization", "Bearer wrong")]);
    }
    world.change("us", &["eve"]);
    world.wait_for_users("us", &["eve"]);
    assert_eq!(daemon.health(), 200);
    then();
    daemon.terminate().exits(0);
    assert!(world.opal.keys().is_empty(), "it has not unregistered");
}

#[test]
fn a_log_that_is_not_read_stops_nothing() {
    for blocks in [true, false] {
        let (_reader, writer) = full_pipe(blocks);
        works(&World::of(&["us"]).build(), writer, || {});
    }
}

#[test]
fn a_log_on_a_full_disk_stops_nothing() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    works(&World::of(&["us"]).build(), full, || {});
}

#[test]
fn a_log_that_is_read_again_says_how_much_is_missing() {
    let (mut reader, writer) = full_pipe(true);
    let dropped = "log lines dropped: stderr did not take them count=";
    let world = World::of(&["us"]).build();
    let log = Mutex::new(String::new());
    thread::scope(|scope| {
        works(&world, writer, || {
            scope.spawn(|| {
                let mut block = [0; 4096];
                while let Ok(length @ 1..) = reader.read(&mut block) {
                    lock(&log).push_str(&String::from_utf8_lossy(&block[..length]));
                }
            });
            world.wait_until("it says so", || lock(&log).contains(dropped));
        });
    });
    let log = lock(&log);
    assert!(
        log.contains("listening address="),
        "the first lines are kept"
    );
    assert!(log.trim_end().ends_with("stopped"), "and so are the last");
}

#[test]
fn what_a_command_prints_waits_for_the_reader_of_a_stream_that_does_not_block() {
    let world = World::of(&["us"]).build();
    let usual = world.program.run(&["completions", "bash"]).exits(0).stdout;
    let (mut reader, writer) = full_pipe(false);
    let mut child = world
        .program
        .spawn_into(&["completions", "bash"], writer, Stdio::piped());
    world
        .stage
        .holds_for(Duration::from_millis(300), "it waits", || {
            child.try_wait().unwrap().is_none()
        });
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(text.trim_start(), usual);
}
