//! Runs the real executable, hermetically: its own directory, a cleared environment.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

pub(crate) use super::daemon::Daemon;
use super::daemon::LISTENING;
use super::output::Output;
use super::port::Port;
use super::process::Process;
use super::{Stage, lock};

/// No run takes longer.
const RUN_LIMIT: Duration = Duration::from_secs(60);

/// Names another executable than that of this build: a release, for what takes long.
const EXECUTABLE: &str = "OPTOGGLES_EXECUTABLE";

pub(crate) struct Program {
    stage: Stage,
    dir: TempDir,
    config: String,
    env: Vec<(String, String)>,
    descriptors: Option<&'static str>,
    /// Those of all that it started.
    ports: Mutex<Vec<Port>>,
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
            ports: Mutex::default(),
        }
    }

    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// The configuration, in which `{port}` stands for the port to listen at.
    pub(crate) fn config(&self) -> &str {
        &self.config
    }

    pub(crate) fn set_config(&mut self, config: &str) {
        self.config = config.to_owned();
    }

    /// Writes another configuration for a daemon that runs, and tells it.
    pub(crate) fn reload(&self, daemon: &Daemon, config: &str) {
        let config = config.replace("{port}", &daemon.port().to_string());
        self.write("optoggles.toml", &config);
        daemon.process.signal(Signal::HUP);
    }

    /// From here on it is started with a limit of descriptors, as `ulimit` takes it: `-n 40` or, the soft one alone,
    /// `-Sn 12`.
    pub(crate) fn limit_descriptors(&mut self, limit: &'static str) {
        self.descriptors = Some(limit);
    }

    /// Puts a copy of a file into the directory in which it runs, for everybody to read.
    pub(crate) fn add_file(&self, path: &Path) {
        let copy = self.dir.path().join(path.file_name().unwrap());
        fs::copy(path, &copy).unwrap();
        fs::set_permissions(&copy, Permissions::from_mode(0o644)).unwrap();
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.dir.path().join(name)).unwrap();
    }

    #[track_caller]
    pub(crate) fn run_with(&self, input: &str, args: &[&str]) -> Output {
        let process = self.spawn_at(self.free_port(), args, Some(input));
        process.wait_exit(RUN_LIMIT)
    }

    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.spawn(args).wait_exit(RUN_LIMIT)
    }

    /// Runs it to its end where a script has mounted something first, which only it sees; none where this
    /// user may not mount.
    #[track_caller]
    pub(crate) fn run_among_mounts(&self, script: &str, args: &[&str]) -> Option<Output> {
        let mut probe = Command::new("unshare");
        if !probe
            .args(["-m", "true"])
            .output()
            .is_ok_and(|it| it.status.success())
        {
            eprintln!("unshare -m is not allowed: skipped");
            return None;
        }
        let script = format!("{script} && exec \"$0\" \"$@\"");
        let unshare = format!("exec unshare -m /bin/sh -ec '{script}' \"$0\" \"$@\"");
        let mut command = self.script(&unshare, self.free_port());
        command.args(args);
        let process = Process::spawn(&self.stage, command, None);
        Some(process.wait_exit(RUN_LIMIT))
    }

    pub(crate) fn spawn(&self, args: &[&str]) -> Process {
        self.spawn_at(self.free_port(), args, None)
    }

    #[track_caller]
    pub(crate) fn serve(&self, args: &[&str]) -> Daemon {
        let process = self.spawn(&[args, &["serve"]].concat());
        let listens = || process.stderr().contains(LISTENING);
        self.stage.wait_until("the program listens or ends", || {
            listens() || !process.is_running()
        });
        if !listens() {
            self.stage.fail("serve ended instead of listening");
        }
        Daemon::new(self.stage.clone(), process)
    }

    /// `serve` with its log going elsewhere.
    #[track_caller]
    pub(crate) fn serve_with_log(&self, args: &[&str], log: impl Into<Stdio>) -> Daemon {
        let port = self.free_port();
        let mut command = self.command(executable(), port);
        command.args(args).arg("serve");
        let process = Process::spawn_logging(&self.stage, command, None, log.into());
        let daemon = Daemon::at(self.stage.clone(), process, port);
        self.stage.wait_until("it listens", || !daemon.refuses());
        daemon
    }

    /// Starts it with its output going elsewhere.
    pub(crate) fn spawn_into(
        &self,
        args: &[&str],
        stdout: impl Into<Stdio>,
        stderr: impl Into<Stdio>,
    ) -> Child {
        let mut command = self.command(executable(), self.free_port());
        let command = command
            .args(args)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr);
        command.spawn().unwrap()
    }

    fn spawn_at(&self, port: u16, args: &[&str], input: Option<&str>) -> Process {
        let mut command = match self.descriptors {
            None => self.command(executable(), port),
            Some(limit) => self.script(&format!("ulimit {limit} && exec \"$0\" \"$@\""), port),
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

    /// A port that is reserved until this is dropped.
    fn free_port(&self) -> u16 {
        let port = Port::new();
        let number = port.address().port();
        lock(&self.ports).push(port);
        number
    }
}

fn executable() -> OsString {
    let other = std::env::var_os(EXECUTABLE);
    other.unwrap_or_else(|| env!("CARGO_BIN_EXE_optoggles").into())
}
