//! The release executable, and its use of the machine according to Linux.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::wire::{self, Connection};

/// Names another executable, to compare it with this build.
const EXECUTABLE: &str = "OPTOGGLES_EXECUTABLE";

/// What the log says before the address.
const LISTENING: &str = "listening address=";

/// Of `/proc/PID/stat`, in seconds.
const TICK: f64 = 0.01;

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
        let log = fs::read_to_string(&self.log).expect("it has a log");
        let (_, rest) = log.split_once(LISTENING).expect("it listens first");
        let address = rest.split_whitespace().next().unwrap_or_default();
        self.address = Some(address.trim_matches('"').parse().expect("an address"));
        let body = br#"{"update_id":"39c8","reports":[],"policy_hash":null,"user_data":{}}"#;
        self.callback = wire::request("POST", "/opa_update/main", authorization, body);
    }

    /// Calls back, as OPAL does.
    pub(crate) fn call_back(&self) {
        let address = self.address.expect("it has registered");
        let answer = Connection::open(address).exchange(&self.callback);
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
