//! The release executable, and its use of the machine according to Linux.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crossbeam_channel::after;

use crate::wire::{self, Connection};

/// Names another executable, to compare it with this build.
const EXECUTABLE: &str = "OPTOGGLES_EXECUTABLE";

/// What the log says before the address.
const LISTENING: &str = "listening address=";

/// Of `/proc/PID/stat`, in seconds.
const TICK: f64 = 0.01;

/// Without CPU time for this long, it has nothing to do.
const QUIET: Duration = Duration::from_millis(50);

/// `serve`; killed on drop.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
    pub(crate) started: Instant,
    callback: Vec<u8>,
    address: Option<SocketAddr>,
}

/// Memory in kB, threads, descriptors.
#[derive(Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) resident: f64,
    pub(crate) peak: f64,
    pub(crate) threads: f64,
    pub(crate) descriptors: f64,
}

pub(crate) fn executable() -> OsString {
    let other = std::env::var_os(EXECUTABLE);
    other.unwrap_or_else(|| env!("CARGO_BIN_EXE_optoggles").into())
}

impl Daemon {
    /// Starts it in a folder that holds its configuration.
    pub(crate) fn spawn(folder: &Path) -> Daemon {
        let log = folder.join("log");
        let file = File::create(&log).expect("the folder can be written to");
        let mut command = Command::new(executable());
        command.arg("serve").current_dir(folder).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let started = Instant::now();
        let child = command.stderr(file).spawn().expect("it can be started");
        Daemon {
            child,
            log,
            started,
            callback: Vec::new(),
            address: None,
        }
    }

    /// Sets the registered authorization, with which it is called back.
    pub(crate) fn registered(&mut self, authorization: &str) {
        let address = loop {
            let log = fs::read_to_string(&self.log).expect("it has a log");
            let line = log.split_once(LISTENING);
            // Until the line is whole.
            if let Some((address, _)) = line.and_then(|(_, rest)| rest.split_once(['\n', ' '])) {
                break address.trim_matches('"').parse().expect("an address");
            }
            let _ = after(Duration::from_millis(1)).recv();
        };
        self.address = Some(address);
        let body = br#"{"update_id":"39c8","reports":[],"policy_hash":null,"user_data":{}}"#;
        self.callback = wire::request("POST", "/opa_update/main", authorization, body);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address.expect("it has registered")
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address())
    }

    /// Calls back, as OPAL does.
    pub(crate) fn call_back(&self) {
        let answer = self.connect().exchange(&self.callback);
        assert_eq!(answer.expect("it answers").0, 202);
    }

    /// Its CPU time so far, including threads that have ended, in seconds.
    pub(crate) fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(self.proc().join("stat")).expect("it runs");
        // The name in parentheses may contain spaces.
        let (_, rest) = stat.rsplit_once(") ").expect("a name");
        let fields: Vec<&str> = rest.split(' ').collect();
        let ticks = |index: usize| fields[index].parse::<f64>().expect("a number");
        (ticks(11) + ticks(12)) * TICK
    }

    /// The same of some work, once nothing is left to be done for it.
    pub(crate) fn cpu_of(&self, work: impl FnOnce()) -> f64 {
        let before = self.settle();
        work();
        self.settle() - before
    }

    /// Waits until it uses no more CPU time; returns what it has used.
    pub(crate) fn settle(&self) -> f64 {
        loop {
            let before = self.cpu();
            let _ = after(QUIET).recv();
            let now = self.cpu();
            if now == before {
                return now;
            }
        }
    }

    /// Peak memory is counted from now on.
    pub(crate) fn reset_peak(&self) {
        fs::write(self.proc().join("clear_refs"), "5").expect("it runs");
    }

    pub(crate) fn usage(&self) -> Usage {
        let status = fs::read_to_string(self.proc().join("status")).expect("it runs");
        let number = |name: &str| {
            let mut lines = status.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)).unwrap_or("");
            let digits = value.trim().trim_end_matches(" kB");
            digits.parse().expect("a number")
        };
        let descriptors = fs::read_dir(self.proc().join("fd")).expect("it runs");
        Usage {
            resident: number("VmRSS:"),
            peak: number("VmHWM:"),
            threads: number("Threads:"),
            descriptors: descriptors.count() as f64,
        }
    }

    fn proc(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.child.id()))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
