//! Signals that come before the daemon is ready, or while a file hangs.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};

use crate::log::full_pipe;
use crate::support::world::FLAGS_TOKEN;
use crate::support::{Fault, World};

/// A world whose target's token is in a file that hangs: a pipe without a writer.
fn world_with_a_pipe() -> World {
    let mut world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let config = world
        .program
        .config()
        .replace("${FLAGS_TOKEN}", "${file:token}");
    world.program.set_config(&config);
    make_pipe(&world);
    world
}

fn make_pipe(world: &World) {
    let path = world.program.path("token");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        FileType::Fifo,
        Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
}

/// The pipe's end for a writer, as soon as the program reads it.
fn writer(world: &World) -> File {
    let mut pipe = None;
    world.wait_until("the file is read", || {
        let flags = OFlags::NONBLOCK.bits() as i32;
        let opened = File::options()
            .write(true)
            .custom_flags(flags)
            .open(world.program.path("token"));
        pipe = opened.ok();
        pipe.is_some()
    });
    pipe.unwrap()
}

#[test]
fn sighup_before_the_daemon_listens_is_a_reload_once_it_does() {
    let world = world_with_a_pipe();
    let process = world.program.spawn(&["serve"]);
    let (pid, token) = (process.pid().as_raw_pid(), world.program.path("token"));
    world.wait_until("the pipe is read, which has no writer yet", || {
        let open = fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten();
        let mut files = open
            .flatten()
            .filter_map(|it| fs::read_link(it.path()).ok());
        files.any(|file| file == token)
    });
    process.signal(Signal::HUP);
    world.stays("it waits", || !process.stderr().contains("listening"));
    let mut pipe = writer(&world);
    world.program.remove("token");
    world.program.write("token", FLAGS_TOKEN);
    pipe.write_all(FLAGS_TOKEN.as_bytes()).unwrap();
    drop(pipe);
    world.wait_until("it is reloaded", || {
        process.stderr().contains("reloaded sources=1")
    });
    world.wait_for_users("us", &["ann"]);
}

#[test]
fn sigterm_ends_a_start_that_hangs() {
    for (args, status) in [(&["serve"][..], 0), (&["sync"], 1)] {
        let world = world_with_a_pipe();
        let process = world.program.spawn(args);
        let _pipe = writer(&world);
        process.signal(Signal::TERM);
        process.wait_exit(Duration::from_secs(3)).exits(status);
    }
}

#[test]
fn a_reload_that_hangs_keeps_neither_changes_nor_the_end_waiting() {
    let mut world = World::of(&["us"]).setting("http_timeout = \"2s\"").build();
    let config = world
        .program
        .config()
        .replace("${FLAGS_TOKEN}", "${file:token}");
    world.program.set_config(&config);
    world.program.write("token", FLAGS_TOKEN);
    let token = world.program.path("token");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    world.program.remove("token");
    make_pipe(&world);
    daemon.process.signal(Signal::HUP);
    let _pipe = writer(&world);
    world.change("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    // Given up, it shows, and the next one is not in its way.
    world.wait_until("it is rejected", || {
        daemon.status()["last_reload_successful"] == false
    });
    let words = "it did not end within 2s: is it a pipe that nothing closes?";
    assert!(daemon.process.stderr().contains(words));
    world.program.remove("token");
    world.program.write("token", FLAGS_TOKEN);
    daemon.process.signal(Signal::HUP);
    world.wait_until("it is reloaded", || {
        daemon.status()["last_reload_successful"] == true
    });
    world.program.remove("token");
    make_pipe(&world);
    daemon.process.signal(Signal::HUP);
    let _pipe = writer(&world);
    daemon.process.signal(Signal::TERM);
    daemon.process.wait_exit(Duration::from_secs(4)).exits(0);
}

#[test]
fn sigterm_ends_a_pass_whose_result_is_not_read() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let (_reader, writer) = full_pipe(true);
    let mut child = world.program.spawn_into(&["sync"], writer, Stdio::piped());
    world.wait_for_users("us", &["ann"]);
    world.stays("it waits", || child.try_wait().unwrap().is_none());
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn sigterm_before_the_result_is_printed_ends_a_pass_whose_result_is_not_read() {
    let world = World::of(&["us"]).build();
    world.store.http.always("PATCH *", Fault::Hang);
    world.opa.allow("us", &["ann"]);
    let (_reader, writer) = full_pipe(true);
    let both = writer.try_clone().unwrap();
    let mut child = world.program.spawn_into(&["sync"], writer, both);
    world.wait_until("it hangs", || world.updates("us") > 0);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    world
        .stage
        .wait_within(Duration::from_secs(10), "it ends", || {
            child.try_wait().unwrap().is_some()
        });
}
