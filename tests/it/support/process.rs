//! A process of the program, watched from its start to its end.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::output::Output;
use super::{Stage, lock};

/// A running process; it is killed when this is dropped, and what it printed is searched for secrets.
pub(crate) struct Process {
    stage: Stage,
    child: Mutex<Child>,
    seen: Arc<Seen>,
    readers: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Seen {
    command: String,
    stdout: Mutex<String>,
    stderr: Mutex<String>,
    answers: Mutex<String>,
    status: Mutex<Option<ExitStatus>>,
}

impl Process {
    /// Starts it; where there is `input`, that is its standard input.
    pub(crate) fn spawn(stage: &Stage, command: Command, input: Option<&str>) -> Process {
        Process::spawn_logging(stage, command, input, Stdio::piped())
    }

    /// The same with another standard error; only of a pipe is anything seen.
    pub(crate) fn spawn_logging(
        stage: &Stage,
        mut command: Command,
        input: Option<&str>,
        stderr: Stdio,
    ) -> Process {
        let seen = Arc::new(Seen {
            command: format!("{command:?} in {:?}", command.get_current_dir()),
            ..Seen::default()
        });
        command.stdin(input.map_or_else(Stdio::null, |_| Stdio::piped()));
        command.stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().unwrap();
        if let (Some(input), Some(mut pipe)) = (input, child.stdin.take()) {
            let input = input.to_owned();
            // A program that does not read it closes the pipe.
            std::thread::spawn(move || drop(pipe.write_all(input.as_bytes())));
        }
        let stdout = child.stdout.take().unwrap();
        let mut readers = vec![collect(stage, &seen, stdout, |seen| &seen.stdout)];
        let stderr = child.stderr.take();
        readers.extend(stderr.map(|stderr| collect(stage, &seen, stderr, |seen| &seen.stderr)));
        let weak = Arc::downgrade(&seen);
        stage.add_picture(move || weak.upgrade().map(|seen| seen.picture()));
        Process {
            stage: stage.clone(),
            child: Mutex::new(child),
            seen,
            readers: Mutex::new(readers),
        }
    }

    /// What it has written to stderr so far.
    pub(crate) fn stderr(&self) -> String {
        lock(&self.seen.stderr).clone()
    }

    /// Remembers what it answered over HTTP: that must not hold secrets either.
    pub(crate) fn add_answer(&self, answer: &str) {
        let mut answers = lock(&self.seen.answers);
        answers.push_str(answer);
        answers.push('\n');
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&lock(&self.child))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub(crate) fn is_running(&self) -> bool {
        let status = lock(&self.child).try_wait().unwrap();
        *lock(&self.seen.status) = status;
        status.is_none()
    }

    /// Waits for its end; fails the test if it does not come.
    #[track_caller]
    pub(crate) fn wait_exit(&self, limit: Duration) -> Output {
        let ended = || !self.is_running();
        self.stage.wait_within(limit, "the program ends", ended);
        for reader in lock(&self.readers).drain(..) {
            let _ = reader.join();
        }
        Output {
            command: self.seen.command.clone(),
            status: *lock(&self.seen.status),
            stdout: lock(&self.seen.stdout).clone(),
            stderr: lock(&self.seen.stderr).clone(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(|e| e.into_inner());
        let _ = child.kill();
        let _ = child.wait();
        for reader in lock(&self.readers).drain(..) {
            let _ = reader.join();
        }
        self.stage.show_if_failing();
        let texts = [&self.seen.stdout, &self.seen.stderr, &self.seen.answers];
        let leaks: Vec<String> = texts.map(|text| self.stage.leaks(&lock(text))).concat();
        if !leaks.is_empty() && !std::thread::panicking() {
            self.stage
                .fail(&format!("secrets were printed: {leaks:#?}"));
        }
    }
}

impl Seen {
    fn picture(&self) -> String {
        let status = match *lock(&self.status) {
            Some(status) => status.to_string(),
            None => "not known to have ended".to_owned(),
        };
        let (stdout, stderr) = (lock(&self.stdout), lock(&self.stderr));
        let command = &self.command;
        format!("== {command}: {status}\n-- stdout\n{stdout}-- stderr\n{stderr}")
    }
}

fn collect(
    stage: &Stage,
    seen: &Arc<Seen>,
    pipe: impl Read + Send + 'static,
    text: fn(&Seen) -> &Mutex<String>,
) -> JoinHandle<()> {
    let (stage, seen) = (stage.clone(), seen.clone());
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            lock(text(&seen)).push_str(&String::from_utf8_lossy(&line));
            line.clear();
            stage.ring();
        }
        stage.ring();
    })
}
