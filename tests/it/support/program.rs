//! Runs the real executable, hermetically: its own directory, a cleared environment.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::output::Output;
use super::process::Process;
use super::wire::Answer;
use super::{Stage, client, lock};

/// No run takes longer.
const RUN_LIMIT: Duration = Duration::from_secs(30);

/// Names another executable than that of this build: a release, for what takes long.
const EXECUTABLE: &str = "OPTOGGLES_EXECUTABLE";

/// What the log says before the address at which the program listens.
const LISTENING: &str = "listening address=";

/// Ports that were given out: none is given out twice.
static PORTS: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// The program with a configuration, ready to run.
pub(crate) struct Program {
    stage: Stage,
    dir: TempDir,
    config: String,
    env: Vec<(String, String)>,
    descriptors: Option<u64>,
}

impl Program {
    /// A configuration in which `{port}` stands for the port to listen at, and an environment.
    pub(crate) fn new(stage: &Stage, config: &str, env: &[(&str, &str)]) -> Program {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        Program {
            stage: stage.clone(),
            dir: TempDir::new().unwrap(),
            config: config.to_owned(),
            env: env.iter().map(owned).collect(),
            descriptors: None,
        }
    }

    /// The configuration, in which `{port}` stands for the port to listen at.
    pub(crate) fn config(&self) -> &str {
        &self.config
    }

    /// Writes another configuration for a daemon that runs, and tells it.
    pub(crate) fn reload(&self, daemon: &Daemon, config: &str) {
        let config = config.replace("{port}", &daemon.address.port().to_string());
        self.write("optoggles.toml", &config);
        daemon.process.signal(Signal::HUP);
    }

    /// From here on it is started with so many descriptors as its soft and hard limit.
    pub(crate) fn limit_descriptors(&mut self, limit: u64) {
        self.descriptors = Some(limit);
    }

    /// Puts a copy of a file into the directory in which it runs, for everybody to read.
    pub(crate) fn add_file(&self, path: &Path) {
        let copy = self.dir.path().join(path.file_name().unwrap());
        fs::copy(path, &copy).unwrap();
        fs::set_permissions(&copy, Permissions::from_mode(0o644)).unwrap();
    }

    /// Writes a file into that directory.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    /// Where a file of that directory is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Takes a file out of that directory.
    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.dir.path().join(name)).unwrap();
    }

    /// Runs it to its end with this as its standard input.
    #[track_caller]
    pub(crate) fn run_with(&self, input: &str, args: &[&str]) -> Output {
        let process = self.spawn_at(free_port(), args, Some(input));
        process.wait_exit(RUN_LIMIT)
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.spawn(args).wait_exit(RUN_LIMIT)
    }

    /// Runs it to its end with warnings only in its log, and a log on a disk that is full.
    #[track_caller]
    pub(crate) fn run_with_a_full_log(&self, args: &[&str]) -> Output {
        let mut command = self.script("exec \"$0\" \"$@\" 2>/dev/full", free_port());
        command.args(args).env("OPTOGGLES_LOG", "warn");
        Process::spawn(&self.stage, command, None).wait_exit(RUN_LIMIT)
    }

    /// Starts it without waiting for anything.
    pub(crate) fn spawn(&self, args: &[&str]) -> Process {
        self.spawn_at(free_port(), args, None)
    }

    /// Starts `serve` and waits until it listens.
    #[track_caller]
    pub(crate) fn serve(&self, args: &[&str]) -> Daemon {
        loop {
            let port = free_port();
            let process = self.spawn_at(port, &[args, &["serve"]].concat(), None);
            let listens = || process.stderr().contains(LISTENING);
            self.stage.wait_until("the program listens or ends", || {
                listens() || !process.is_running()
            });
            if listens() {
                let stage = self.stage.clone();
                return Daemon::new(stage, process);
            }
            // Only now has all been read that it wrote.
            let output = process.wait_exit(RUN_LIMIT);
            if !output.stderr.to_lowercase().contains("in use") {
                self.stage.fail("serve ended instead of listening");
            }
        }
    }

    fn spawn_at(&self, port: u16, args: &[&str], input: Option<&str>) -> Process {
        let mut command = match self.descriptors {
            None => self.command(executable(), port),
            Some(limit) => self.script(&format!("ulimit -n {limit} && exec \"$0\" \"$@\""), port),
        };
        command.args(args);
        Process::spawn(&self.stage, command, input)
    }

    /// A shell's command that is given the program and its arguments.
    fn script(&self, script: &str, port: u16) -> Command {
        let mut command = self.command("/bin/sh", port);
        command.arg("-c").arg(script).arg(executable());
        command
    }

    /// A command in its directory and environment, with a configuration of this port.
    fn command(&self, program: impl AsRef<OsStr>, port: u16) -> Command {
        let config = self.config.replace("{port}", &port.to_string());
        fs::write(self.dir.path().join("optoggles.toml"), config).unwrap();
        let mut command = Command::new(program);
        command.current_dir(self.dir.path()).env_clear();
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        // Measured coverage is written where this says.
        command.envs(std::env::vars_os().filter(|(name, _)| name == "LLVM_PROFILE_FILE"));
        command
    }
}

fn executable() -> OsString {
    let other = std::env::var_os(EXECUTABLE);
    other.unwrap_or_else(|| env!("CARGO_BIN_EXE_optoggles").into())
}

/// `serve`, listening.
pub(crate) struct Daemon {
    pub(crate) process: Process,
    stage: Stage,
    address: SocketAddr,
}

impl Daemon {
    fn new(stage: Stage, process: Process) -> Daemon {
        let stderr = process.stderr();
        let (_, rest) = stderr.split_once(LISTENING).unwrap();
        let address = rest.split_whitespace().next().unwrap();
        Daemon {
            address: address.trim_matches('"').parse().unwrap(),
            process,
            stage,
        }
    }

    /// `GET` of a route.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[])
    }

    /// `POST` with a body such as OPAL sends.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.request("POST", path, headers)
    }

    /// Any request; a body goes along with `POST` only.
    #[track_caller]
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let body: &[u8] = if method == "POST" {
            br#"{"reports":[]}"#
        } else {
            b""
        };
        let answer = client::request(self.address, method, path, headers, body);
        match answer {
            Ok(answer) => {
                self.process.add_answer(&answer.text());
                answer
            }
            Err(error) => self.stage.fail(&format!("{method} {path}: {error}")),
        }
    }

    /// Sends these bytes, and gives what comes back until the connection ends.
    #[track_caller]
    pub(crate) fn raw(&self, bytes: &str) -> String {
        let answer = client::raw(self.address, bytes.as_bytes());
        let answer = answer.unwrap_or_else(|error| self.stage.fail(&error.to_string()));
        let answer = String::from_utf8_lossy(&answer).into_owned();
        self.process.add_answer(&answer);
        answer
    }

    /// A connection of one's own, for what no well-behaved client does.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = client::connect(self.address);
        stream.unwrap_or_else(|error| self.stage.fail(&format!("failed to connect: {error}")))
    }

    /// Whether nobody listens there any more.
    pub(crate) fn refuses(&self) -> bool {
        TcpStream::connect(self.address).is_err()
    }

    /// The status of `GET /health`.
    #[track_caller]
    pub(crate) fn health(&self) -> u16 {
        self.get("/health").status
    }

    /// `GET /status` as JSON.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        serde_json::from_slice(&self.get("/status").body).unwrap()
    }

    /// What `/status` says of a toggle.
    #[track_caller]
    pub(crate) fn toggle(&self, key: &str) -> Value {
        let status = self.status();
        let toggles = status["toggles"].as_array().unwrap();
        let found = toggles.iter().find(|toggle| toggle["key"] == key);
        found.cloned().unwrap_or(Value::Null)
    }

    /// Waits until `/health` says 200.
    #[track_caller]
    pub(crate) fn wait_healthy(&self) {
        let healthy = || self.health() == 200;
        self.stage.wait_until("/health is 200", healthy);
    }

    /// Waits until `/health` says 500.
    #[track_caller]
    pub(crate) fn wait_failing(&self) {
        let failing = || self.health() == 500;
        self.stage.wait_until("/health is 500", failing);
    }

    /// Asks it to end, and waits until it has.
    #[track_caller]
    pub(crate) fn terminate(&self) -> Output {
        self.process.signal(Signal::TERM);
        self.process.wait_exit(Duration::from_millis(10_500))
    }
}

/// A port that nobody listens at; whoever takes it in the meantime makes the program say so.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        if lock(&PORTS).insert(port) {
            return port;
        }
    }
}
