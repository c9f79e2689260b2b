//! The adapter of `examples`, between the target `restapi` and a file, and the page about it.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::Stage;
use crate::support::output::Output;
use crate::support::port::Port;
use crate::support::process::Process;
use crate::support::program::Program;
use crate::support::stage::LIMIT;

const TOKEN: &str = "token-of-the-adapter-51c9";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

/// The adapter, and the program with its configuration.
struct Adapter {
    process: Process,
    program: Program,
    _port: Port,
}

impl Adapter {
    /// None on machines without Python; where changes land, it is installed.
    fn start() -> Option<Adapter> {
        let python = Command::new("python3").arg("--version").output();
        if python.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            eprintln!("there is no python3: skipped");
            return None;
        }
        let (stage, port) = (Stage::new(), Port::new());
        stage.add_secret(TOKEN);
        let address = port.address();
        let config = text("examples/adapter/optoggles.toml");
        let config = config.replace("127.0.0.1:9090", &address.to_string());
        let config = config.replace("../quickstart/users.json", "users.json");
        let program = Program::new(&stage, &config, &[("FLAGS_TOKEN", TOKEN)]);
        program.add_file(&path("examples/quickstart/users.json"));
        let mut command = Command::new("python3");
        command.arg(path("examples/adapter/adapter.py"));
        command.arg(address.port().to_string());
        command
            .arg(program.path("toggles.json"))
            .env("FLAGS_TOKEN", TOKEN);
        let process = Process::spawn(&stage, command, None);
        stage.wait_until("the adapter listens", || {
            TcpStream::connect(address).is_ok()
        });
        Some(Adapter {
            process,
            program,
            _port: port,
        })
    }

    #[track_caller]
    fn sync(&self) -> Output {
        self.program.run(&["-q", "sync"])
    }

    /// What is in its file.
    fn kept(&self) -> String {
        fs::read_to_string(self.program.path("toggles.json")).unwrap()
    }

    /// The users whom its file names for a toggle.
    fn users(&self, key: &str) -> Value {
        let toggles: Value = serde_json::from_str(&self.kept()).unwrap();
        toggles[key]["users"].clone()
    }
}

/// Fails unless the page shows what was printed, whatever time it took.
#[track_caller]
fn is_shown(output: &Output) {
    let (printed, _) = output.stdout.rsplit_once('(').unwrap();
    assert!(
        text("docs/adapter.md").contains(printed),
        "{}",
        output.picture()
    );
}

#[test]
fn the_adapter_creates_toggles_changes_them_and_has_them_put_right() {
    let Some(adapter) = Adapter::start() else {
        return;
    };
    is_shown(&adapter.sync().exits(0));
    assert_eq!(adapter.users("us-feature"), json!(["alice", "bob"]));
    adapter.sync().exits(0).sums_up("2 toggles: 2 unchanged");
    let by_hand = adapter.kept();
    let by_hand = by_hand.lines().filter(|line| !line.contains("\"alice\""));
    let by_hand: Vec<&str> = by_hand.collect();
    adapter.program.write("toggles.json", &by_hand.join("\n"));
    assert_eq!(adapter.users("us-feature"), json!(["bob"]));
    is_shown(&adapter.sync().exits(0));
    assert_eq!(adapter.users("us-feature"), json!(["alice", "bob"]));
    let users = json!({ "app": { "rbac": { "us_users": [], "billing_users": ["zoe"] } } });
    adapter.program.write("users.json", &users.to_string());
    let changed = adapter.sync().exits(0);
    changed.sums_up("2 toggles: 2 updated");
    assert_eq!(adapter.users("us-feature"), json!([]));
    assert_eq!(adapter.users("billing-page"), json!(["zoe"]));
    adapter.process.signal(Signal::TERM);
    adapter.process.wait_exit(LIMIT).exits(0);
}

#[test]
fn the_adapter_takes_over_a_toggle_that_is_there_and_has_deleted_ones_created_again() {
    let Some(mut adapter) = Adapter::start() else {
        return;
    };
    let there =
        json!({ "us-feature": { "key": "us-feature", "name": "Old", "users": ["mallory"] } });
    adapter.program.write("toggles.json", &there.to_string());
    let config = adapter.program.config().replace("read = true", "");
    adapter.program.set_config(&config);
    adapter.sync().exits(0);
    assert_eq!(adapter.users("us-feature"), json!(["alice", "bob"]));
    assert!(adapter.kept().contains("US Only Feature"));
    adapter.program.write("toggles.json", "{}");
    adapter.sync().exits(0);
    assert_eq!(adapter.users("billing-page"), json!(["alice", "carol"]));
}

#[test]
fn the_adapter_refuses_a_wrong_token_and_changes_nothing() {
    let Some(mut adapter) = Adapter::start() else {
        return;
    };
    adapter.program.set_env("FLAGS_TOKEN", "another-token-91ab");
    let refused = adapter.sync().exits(1);
    refused.says("answered 401: {\"message\": \"wrong token\"}");
    assert!(!adapter.program.path("toggles.json").exists());
}

#[test]
fn the_page_about_adapters_shows_the_lines_of_the_adapter() {
    let page = text("docs/adapter.md");
    let (_, code) = page.split_once("```python\n").unwrap();
    let (code, _) = code.split_once("```").unwrap();
    assert!(text("examples/adapter/adapter.py").contains(code), "{code}");
}
