//! `serve` as a real process, and questions to it.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::output::Output;
use super::process::Process;
use super::wire::Answer;
use super::{Stage, client};

/// What the log says before the address at which the program listens.
pub(super) const LISTENING: &str = "listening address=";

pub(crate) struct Daemon {
    pub(crate) process: Process,
    stage: Stage,
    address: SocketAddr,
}

impl Daemon {
    pub(super) fn new(stage: Stage, process: Process) -> Daemon {
        let stderr = process.stderr();
        let (_, rest) = stderr.split_once(LISTENING).unwrap();
        let address = rest.split_whitespace().next().unwrap();
        Daemon {
            address: address.trim_matches('"').parse().unwrap(),
            process,
            stage,
        }
    }

    /// One whose log is not seen, at a port of this machine.
    pub(super) fn at(stage: Stage, process: Process, port: u16) -> Daemon {
        Daemon {
            process,
            stage,
            address: (Ipv4Addr::LOCALHOST, port).into(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

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

    /// Whether connections are refused.
    pub(crate) fn refuses(&self) -> bool {
        TcpStream::connect(self.address).is_err()
    }

    #[track_caller]
    pub(crate) fn health(&self) -> u16 {
        self.get("/health").status
    }

    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        serde_json::from_slice(&self.get("/status").body).unwrap()
    }

    #[track_caller]
    pub(crate) fn toggle(&self, key: &str) -> Value {
        let status = self.status();
        let toggles = status["toggles"].as_array().unwrap();
        let found = toggles.iter().find(|toggle| toggle["key"] == key);
        found.cloned().unwrap_or(Value::Null)
    }

    /// The first of its targets, as `/status` has it.
    #[track_caller]
    pub(crate) fn target(&self) -> Value {
        self.status()["targets"][0].clone()
    }

    #[track_caller]
    pub(crate) fn wait_healthy(&self) {
        let healthy = || self.health() == 200;
        self.stage.wait_until("/health is 200", healthy);
    }

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
