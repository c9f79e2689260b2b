//! A target in the memory of `serve`, which answers OpenFeature's SDKs and flagd.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::support::program::{Daemon, Program};
use crate::support::{Answer, Stage, client};

const TOKEN: &str = "evaluation-token-of-the-tests-4c7d";
const OTHER_TOKEN: &str = "other-evaluation-token-of-the-tests-8e1f";

const US: &str = "/ofrep/v1/evaluate/flags/us";
const ALL: &str = "/ofrep/v1/evaluate/flags";
const DEFINITION: &str = "/flagd/flags.json";

/// The program with two toggles, whose users are in `users.json`.
struct Memory {
    stage: Stage,
    program: Program,
}

impl Memory {
    fn new() -> Memory {
        let stage = Stage::new();
        let tokens = [("TOKEN", TOKEN), ("OTHER_TOKEN", OTHER_TOKEN)];
        tokens.iter().for_each(|(_, token)| stage.add_secret(token));
        let toggle = |key: &str| {
            format!(
                "[[toggles]]\nkey = \"{key}\"\n\
                 users_policy = {{ source = \"files\", package = \"app\", rule = \"{key}\" }}\n"
            )
        };
        let config = format!(
            "bind = \"127.0.0.1:{{port}}\"\n\
             [[sources]]\nid = \"files\"\ntype = \"file\"\npath = \"users.json\"\n\
             [target]\ntype = \"openfeature\"\ntoken = \"${{TOKEN}}\"\n{}{}",
            toggle("us"),
            toggle("tax")
        );
        let program = Program::new(&stage, &config, &tokens);
        Memory { stage, program }
    }

    fn allow(&self, us: &[&str], tax: &[&str]) {
        let document = json!({ "app": { "us": us, "tax": tax } });
        self.program.write("users.json", &document.to_string());
    }

    #[track_caller]
    fn serve(&self) -> Daemon {
        let daemon = self.program.serve(&[]);
        daemon.wait_healthy();
        self.stage.wait_until("all users are known", || {
            get(&daemon, DEFINITION, Some(TOKEN)).status == 200
        });
        daemon
    }
}

#[track_caller]
fn request(daemon: &Daemon, method: &str, path: &str, token: Option<&str>, body: &str) -> Answer {
    let address = (Ipv4Addr::LOCALHOST, daemon.port()).into();
    let authorization = token.map(|token| format!("Bearer {token}"));
    let headers = authorization.as_deref().map(|it| ("authorization", it));
    let headers: Vec<_> = headers.into_iter().collect();
    client::request(address, method, path, &headers, body.as_bytes()).unwrap()
}

fn get(daemon: &Daemon, path: &str, token: Option<&str>) -> Answer {
    request(daemon, "GET", path, token, "")
}

fn evaluate(daemon: &Daemon, path: &str, token: Option<&str>, user: &str) -> Answer {
    let body = json!({ "context": { "targetingKey": user } });
    request(daemon, "POST", path, token, &body.to_string())
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// The value of the toggle `us`.
#[track_caller]
fn value(daemon: &Daemon, user: &str) -> Value {
    let answer = evaluate(daemon, US, Some(TOKEN), user);
    assert_eq!(answer.status, 200, "{}", answer.text());
    json_of(&answer)["value"].clone()
}

#[test]
fn a_change_of_the_policy_changes_the_answers() {
    let memory = Memory::new();
    let daemon = memory.program.serve(&[]);
    // Until there is a file, the default of the SDK decides.
    daemon.wait_failing();
    assert_eq!(evaluate(&daemon, US, Some(TOKEN), "ann").status, 503);
    assert_eq!(get(&daemon, DEFINITION, Some(TOKEN)).status, 503);
    memory.allow(&["ann"], &[]);
    daemon.wait_healthy();
    memory.stage.wait_until("the users are known", || {
        get(&daemon, DEFINITION, Some(TOKEN)).status == 200
    });
    let before = get(&daemon, DEFINITION, Some(TOKEN));
    assert_eq!(value(&daemon, "ann"), json!(true));
    assert_eq!(value(&daemon, "bob"), json!(false));
    memory.allow(&["bob"], &[]);
    memory
        .stage
        .wait_until("ann has lost it", || value(&daemon, "ann") == false);
    assert_eq!(value(&daemon, "bob"), json!(true));
    let after = get(&daemon, DEFINITION, Some(TOKEN));
    assert_ne!(after.header("etag"), before.header("etag"));
    let users =
        |answer: &Answer| json_of(answer)["flags"]["us"]["targeting"]["if"][0]["in"][1].clone();
    assert_eq!(
        [users(&before), users(&after)],
        [json!(["ann"]), json!(["bob"])]
    );
    // What cannot be read takes nothing away.
    memory.program.write("users.json", "{");
    daemon.wait_failing();
    assert_eq!(value(&daemon, "bob"), json!(true));
    daemon.terminate().exits(0);
}

#[test]
fn only_these_routes_show_a_user_and_only_to_who_has_the_token() {
    const USER: &str = "ann-of-the-tests";
    let memory = Memory::new();
    memory.allow(&[USER], &[]);
    let daemon = memory.serve();
    for token in [None, Some(OTHER_TOKEN)] {
        for answer in [
            evaluate(&daemon, US, token, USER),
            evaluate(&daemon, ALL, token, USER),
            get(&daemon, DEFINITION, token),
        ] {
            assert_eq!(answer.status, 401);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert!(!answer.text().contains(USER));
        }
    }
    assert!(get(&daemon, DEFINITION, Some(TOKEN)).text().contains(USER));
    evaluate(&daemon, US, Some(TOKEN), USER);
    for path in [
        "/",
        "/status",
        "/metrics",
        "/health",
        "/health/started",
        "/health/live",
    ] {
        let answer = daemon.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.text().contains(USER), "{path}");
    }
    let log = daemon.terminate().exits(0);
    assert!(!log.stderr.contains(USER), "{}", log.stderr);
}

#[test]
fn a_reload_changes_the_token_and_takes_the_target_out_and_in() {
    let memory = Memory::new();
    memory.allow(&["ann"], &[]);
    let daemon = memory.serve();
    let answers = |now: u16, of_other: u16| {
        let tokens = [TOKEN, OTHER_TOKEN];
        let what = format!("it answers {now} to one token and {of_other} to the other");
        memory.stage.wait_until(&what, || {
            let statuses = tokens.map(|token| evaluate(&daemon, US, Some(token), "ann").status);
            assert_ne!(statuses, [503, 503], "the users are known");
            statuses == [now, of_other]
        });
    };
    let config = memory.program.config().to_owned();
    let other = config.replace("${TOKEN}", "${OTHER_TOKEN}");
    memory.program.reload(&daemon, &other);
    answers(401, 200);
    let (before, rest) = config.split_once("type = \"openfeature\"").unwrap();
    let (_, toggles) = rest.split_once("[[toggles]]").unwrap();
    let file = "type = \"flagd\"\npath = \"flags.json\"\n[[toggles]]";
    memory
        .program
        .reload(&daemon, &format!("{before}{file}{toggles}"));
    answers(404, 404);
    assert_eq!(get(&daemon, DEFINITION, Some(TOKEN)).status, 404);
    memory.program.reload(&daemon, &config);
    memory.stage.wait_until("it answers again", || {
        evaluate(&daemon, US, Some(TOKEN), "ann").status == 200
    });
}

#[test]
fn sync_refuses_and_says_to_use_serve() {
    let memory = Memory::new();
    memory.allow(&["ann"], &[]);
    for args in [
        &["sync"][..],
        &["sync", "--dry-run"],
        &["sync", "--interval", "1s"],
    ] {
        let output = memory.program.run(args).exits(2);
        output
            .complains("sync cannot keep toggles of target openfeature (type openfeature)")
            .complains("use serve");
    }
    let output = memory.program.run(&["check-config", "--online"]).exits(0);
    output.says("ok: `serve` answers at 127.0.0.1:");
}

#[test]
fn evaluations_are_counted_by_toggle_and_result_and_never_by_user() {
    let memory = Memory::new();
    memory.allow(&["ann"], &[]);
    let daemon = memory.serve();
    let counted = || {
        let text = daemon.get("/metrics").text();
        let lines = text.lines();
        let series = lines.filter_map(|line| line.strip_prefix("optoggles_evaluations_total"));
        series.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(counted(), [""; 0]);
    for number in 0..20 {
        let user = if number < 3 {
            "ann".into()
        } else {
            format!("user-{number}")
        };
        evaluate(&daemon, US, Some(TOKEN), &user);
        evaluate(&daemon, &format!("{ALL}/{user}"), Some(TOKEN), &user);
        evaluate(&daemon, US, Some(OTHER_TOKEN), &user);
    }
    evaluate(&daemon, ALL, Some(TOKEN), "ann");
    request(&daemon, "POST", US, Some(TOKEN), "{}");
    request(&daemon, "POST", ALL, Some(TOKEN), "{}");
    let of_none = [
        "{result=\"invalid\",toggle=\"\"} 1",
        "{result=\"not_found\",toggle=\"\"} 20",
        "{result=\"unauthorized\",toggle=\"\"} 20",
    ];
    let of_toggles = [
        "{result=\"invalid\",toggle=\"us\"} 1",
        "{result=\"off\",toggle=\"tax\"} 1",
        "{result=\"off\",toggle=\"us\"} 17",
        "{result=\"on\",toggle=\"us\"} 4",
    ];
    let mut found = counted();
    found.sort();
    let mut expected = [&of_none[..], &of_toggles].concat();
    expected.sort();
    assert_eq!(found, expected);
    let config = memory.program.config();
    let (without, _) = config.split_once("[[toggles]]\nkey = \"tax\"").unwrap();
    memory.program.reload(&daemon, without);
    let is_gone = || counted().len() == expected.len() - 1;
    memory.stage.wait_until("that of tax is gone", is_gone);
}

#[cfg(target_os = "linux")]
#[test]
fn clients_that_do_not_take_a_large_definition_share_it() {
    use std::io::Write;

    use crate::support::usage::Usage;

    let memory = Memory::new();
    let users: Vec<String> = (0..50_000)
        .map(|number| format!("user-{number:020}"))
        .collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    memory.allow(&users, &[]);
    let daemon = memory.serve();
    let before = Usage::of(&daemon.process).peak;
    let request = format!(
        "GET {DEFINITION} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    );
    let clients = (0..30).map(|_| {
        let mut client = daemon.connect();
        client.write_all(request.as_bytes()).unwrap();
        // It takes the first byte of its answer, and no more.
        client.peek(&mut [0]).unwrap();
        client
    });
    let clients: Vec<_> = clients.collect();
    let more = Usage::of(&daemon.process).peak - before;
    // The definition has 1.5 MB.
    assert!(more < 15_000, "{more} kB for {} clients", clients.len());
}

#[test]
fn explain_asks_the_serve_that_holds_the_toggle() {
    let memory = Memory::new();
    memory.allow(&["ann"], &[]);
    let daemon = memory.serve();
    let config = memory.program.config().to_owned();
    let at_port = config.replace("{port}", &daemon.port().to_string());
    memory.program.write("explain.toml", &at_port);
    let explain = |user| {
        memory
            .program
            .run(&["-c", "explain.toml", "explain", "us", user])
    };
    explain("ann").exits(0).says("\n  openfeature   on\n");
    explain("eve").exits(0).says("\n  openfeature   off\n");
    daemon.terminate();
    let output = explain("ann").exits(1);
    let output = output.says("us for ann: should be on, and is not known to be\n");
    output
        .says("\n  openfeature   ?     only the serve that holds it knows: POST http://127.0.0.1:")
        .says("connection refused");
}
