//! What the service manager is sent (sd_notify(3)).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::store::patch_of;
use crate::support::{Fault, World, lock};

/// Listens as the service manager does.
struct Manager {
    name: String,
    messages: Arc<Mutex<Vec<String>>>,
    _folder: TempDir,
}

impl Manager {
    /// At a path.
    fn new(world: &World) -> Manager {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Manager::listen(world, socket, path.to_str().unwrap(), folder)
    }

    /// At an abstract name.
    fn abstract_one(world: &World) -> Manager {
        let folder = TempDir::new().unwrap();
        let name = folder.path().to_str().unwrap().replace('/', "-");
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        Manager::listen(world, socket, &format!("@{name}"), folder)
    }

    fn listen(world: &World, socket: UnixDatagram, name: &str, folder: TempDir) -> Manager {
        let messages = Arc::new(Mutex::new(Vec::new()));
        let (weak, stage) = (Arc::downgrade(&messages), world.stage.clone());
        socket
            .set_read_timeout(Some(Duration::from_secs(1)))
            .unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Some(messages) = weak.upgrade() {
                if let Ok(length) = socket.recv(&mut buffer) {
                    let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    lock(&messages).push(message);
                    stage.ring();
                }
            }
        });
        let weak = Arc::downgrade(&messages);
        let picture = move || Some(format!("== told: {:#?}", *lock(&*weak.upgrade()?)));
        world.stage.add_picture(picture);
        let name = name.to_owned();
        Manager {
            name,
            messages,
            _folder: folder,
        }
    }

    /// What it was told, without the lines about how things are.
    fn states(&self) -> Vec<String> {
        let messages = lock(&self.messages).clone().into_iter();
        let states = messages.filter(|message| !message.starts_with("STATUS="));
        states
            .map(|state| state.lines().next().unwrap_or_default().to_owned())
            .collect()
    }

    /// The last line about how things are.
    fn status(&self) -> String {
        let messages = lock(&self.messages);
        let mut lines = messages
            .iter()
            .rev()
            .filter_map(|it| it.strip_prefix("STATUS="));
        lines.next().unwrap_or_default().to_owned()
    }
}

/// A world whose program has a service manager.
fn managed(manager: fn(&World) -> Manager) -> (World, Manager) {
    let mut world = World::of(&["us", "beta"]).build();
    world.opa.allow("us", &["ann"]);
    world.opa.allow("beta", &["ann"]);
    let manager = manager(&world);
    world.program.set_env("NOTIFY_SOCKET", &manager.name);
    (world, manager)
}

#[test]
fn it_is_ready_as_soon_as_it_listens_although_its_peers_are_down() {
    let (world, manager) = managed(Manager::new);
    world.opal.http.stop();
    world.opa.http.stop();
    let daemon = world.serve();
    world.wait_until("it is ready", || manager.states() == ["READY=1"]);
    world.wait_until("it says what fails", || {
        manager.status() == "0 of 2 toggles in sync, source main failing"
    });
    assert!(!daemon.refuses());
    daemon.terminate().exits(0);
    assert_eq!(manager.states(), ["READY=1", "STOPPING=1"]);
}

#[test]
fn the_status_line_follows_the_toggles() {
    let (world, manager) = managed(Manager::abstract_one);
    let _daemon = world.serve_in_step();
    let says = |line: &str| {
        world.wait_until(line, || manager.status() == line);
    };
    says("2 of 2 toggles in sync");
    world
        .store
        .http
        .always(&patch_of("beta"), Fault::status(500));
    world.change("beta", &["bob"]);
    says("1 of 2 toggles in sync, 1 failing");
    world.store.http.heal();
    world.change("beta", &["bob"]);
    says("2 of 2 toggles in sync");
}

#[test]
fn a_reload_is_announced_and_a_refused_one_stays_in_the_status_line() {
    let (world, manager) = managed(Manager::new);
    let daemon = world.serve_in_step();
    let config = world.program.config().to_owned();
    let reloads = |number: usize| {
        let pairs = ["RELOADING=1", "READY=1"].repeat(number);
        world.wait_until("the reload is over", || manager.states()[1..] == pairs);
    };
    world.program.reload(&daemon, "");
    reloads(1);
    let refused = "2 of 2 toggles in sync; reload rejected, keeping the current configuration";
    world.wait_until("the refusal shows", || manager.status() == refused);
    world.program.reload(&daemon, &config);
    reloads(2);
    world.wait_until("it is forgotten", || {
        manager.status() == "2 of 2 toggles in sync"
    });
    let told = lock(&manager.messages).clone();
    let stamp = |message: &String| {
        let stamp = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=")?;
        stamp.parse::<u64>().ok()
    };
    let stamps: Vec<u64> = told.iter().filter_map(stamp).collect();
    assert!(stamps.len() == 2 && stamps[0] < stamps[1], "{told:?}");
}

#[test]
fn the_end_is_announced_and_nothing_listens_before_what_is_in_flight_has_ended() {
    let (world, manager) = managed(Manager::new);
    let daemon = world.serve_in_step();
    let hold = world.opal.http.hold("* /callbacks/*");
    daemon.process.signal(Signal::TERM);
    world.wait_until("the end is announced", || {
        manager.states() == ["READY=1", "STOPPING=1"]
    });
    // By itself, it ends after ten seconds.
    let soon = Duration::from_secs(5);
    let refuses = || daemon.refuses();
    world
        .stage
        .wait_within(soon, "connections are refused", refuses);
    assert!(daemon.process.is_running());
    hold.release();
    daemon.process.wait_exit(Duration::from_secs(5)).exits(0);
}

#[test]
fn a_sync_that_goes_on_is_a_service_and_a_single_pass_is_not() {
    let (world, manager) = managed(Manager::new);
    world.sync(&[]).exits(0);
    assert!(lock(&manager.messages).is_empty());
    let sync = world.spawn_sync(&["--interval", "1h"]);
    world.wait_until("it is ready and in step", || {
        manager.states() == ["READY=1"] && manager.status() == "2 of 2 toggles in sync"
    });
    sync.signal(Signal::TERM);
    sync.wait_exit(Duration::from_secs(5)).exits(0);
}

#[test]
fn a_socket_that_cannot_be_used_is_a_warning_and_none_is_not() {
    for name in ["/nowhere/notify", "@not-listening", "vsock:2:1234", ""] {
        let mut world = World::of(&["us"]).build();
        world.opa.allow("us", &["ann"]);
        world.program.set_env("NOTIFY_SOCKET", name);
        let output = world.serve_in_step().terminate().exits(0);
        let warnings = [
            "failed to notify the service manager",
            "invalid $NOTIFY_SOCKET",
        ];
        let is_warned = warnings.iter().any(|words| output.stderr.contains(words));
        assert_eq!(is_warned, !name.is_empty(), "{name}: {}", output.picture());
    }
}
