//! Sessions at a shell, as they stand on a page: what is typed stands behind `$`.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::port::Port;
use crate::support::{Stage, client};

/// The port that the pages name; another one is used in its place.
const SHOWN_PORT: &str = "8080";

/// Stands for any lines.
const ANYTHING: &str = "…";

/// One shell, beside a copy of the project's examples.
pub(super) struct Session {
    stage: Stage,
    _home: TempDir,
    folder: PathBuf,
    port: Port,
    daemon: Option<Child>,
}

impl Session {
    pub(super) fn new(examples: &Path) -> Session {
        let home = TempDir::new().unwrap();
        copy(examples, &home.path().join("examples"));
        let port = Port::new();
        let bound = home.path().join("examples/quickstart/openfeature.toml");
        let text = fs::read_to_string(&bound).unwrap();
        let text = text.replace(SHOWN_PORT, &port.address().port().to_string());
        fs::write(&bound, text).unwrap();
        Session {
            stage: Stage::new(),
            folder: home.path().to_owned(),
            _home: home,
            port,
            daemon: None,
        }
    }

    /// Types what stands behind each `$`, and compares what is printed.
    #[track_caller]
    pub(super) fn play(&mut self, page: &str, lines: &[String]) {
        let port = self.port.address().port().to_string();
        let mut lines = lines.iter().peekable();
        while let Some(line) = lines.next() {
            let command = line.strip_prefix("$ ").unwrap_or_else(|| panic!("{line}"));
            let mut expected = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
                expected.push(line.as_str());
            }
            let printed = self.run(&command.replace(SHOWN_PORT, &port));
            let printed = printed.replace(&port, SHOWN_PORT);
            let printed: Vec<String> = printed.lines().map(without_times).collect();
            let expected: Vec<String> = expected.into_iter().map(without_times).collect();
            assert!(
                fits(&expected, &printed),
                "$ {command}\n{page} shows\n{}\nand this is printed:\n{}",
                expected.join("\n"),
                printed.join("\n")
            );
        }
    }

    fn run(&mut self, command: &str) -> String {
        if let Some(folder) = command.strip_prefix("cd ") {
            self.folder.push(folder);
            return String::new();
        }
        if let Some(command) = command.strip_suffix(" &") {
            self.start(command);
            return String::new();
        }
        if let Some(asked) = command.strip_prefix("curl -s http://") {
            return match asked.split_once(" -d ") {
                None => ask("GET", asked, "").unwrap(),
                Some((url, body)) => ask("POST", url, body.trim_matches('\'')).unwrap(),
            };
        }
        if command == "kill %optoggles" {
            let pid = self.daemon.as_ref().unwrap().id().to_string();
            self.run(&format!("kill {pid}"));
            let status = self.daemon.take().unwrap().wait().unwrap();
            assert!(status.success(), "{status}");
            return String::new();
        }
        let output = self.shell(&format!("exec 2>&1; {command}")).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }

    /// Starts the daemon, and waits until all is in step.
    fn start(&mut self, command: &str) {
        let mut shell = self.shell(&format!("exec {command}"));
        self.daemon = Some(shell.stdout(Stdio::null()).spawn().unwrap());
        let url = format!("{}/status", self.port.address());
        let in_step =
            || ask("GET", &url, "").is_ok_and(|status| status.matches("\"in sync\"").count() == 2);
        self.stage.wait_until("the daemon is in step", in_step);
    }

    fn shell(&self, script: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_optoggles"));
        let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script).current_dir(&self.folder);
        command.env_clear().env("PATH", path).stdin(Stdio::null());
        command
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill().and_then(|()| daemon.wait());
        }
    }
}

/// Copies what git has of a folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copied = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &copied);
        } else if !path.ends_with("flags.json") {
            fs::copy(&path, &copied).unwrap();
        }
    }
}

fn ask(method: &str, url: &str, body: &str) -> io::Result<String> {
    let (host, path) = url.split_once('/').unwrap();
    let address: SocketAddr = host.parse().unwrap();
    let answer = client::request(address, method, &format!("/{path}"), &[], body.as_bytes())?;
    Ok(answer.text())
}

/// `(0.01s)`, `"seconds": 0.004` and the like are different each time.
fn without_times(line: &str) -> String {
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    if let Some((before, rest)) = line.rsplit_once('(')
        && rest.trim_start_matches(digits) == "s)"
    {
        return format!("{before}(…s)");
    }
    match line.split_once("\"seconds\": ") {
        Some((before, _)) => format!("{before}\"seconds\": …"),
        None => line.trim_end().to_owned(),
    }
}

/// Whether lines are those that were expected, where one may stand for any.
fn fits(expected: &[String], printed: &[String]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == ANYTHING => {
            (0..=printed.len()).any(|skipped| fits(rest, &printed[skipped..]))
        }
        Some((first, rest)) => printed.first() == Some(first) && fits(rest, &printed[1..]),
    }
}
