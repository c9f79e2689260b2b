//! The deployment files in `contrib`, without Docker and Kubernetes.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use saphyr::{LoadableYamlNode, YamlOwned as Yaml};
use tempfile::TempDir;

use crate::support::program::Program;
use crate::support::{Stage, World};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

/// Every document of a YAML file.
fn documents(name: &str) -> Vec<Yaml> {
    Yaml::load_from_str(&text(name)).unwrap()
}

/// The object of a kind in the file for Kubernetes.
fn object(kind: &str) -> Yaml {
    let objects = documents("contrib/kubernetes.yaml").into_iter();
    let mut of_kind = objects.filter(|object| object["kind"].as_str() == Some(kind));
    of_kind.next().unwrap()
}

/// Fails unless a configuration passes the strict check with these variables alone.
#[track_caller]
fn check(configuration: &str, variables: &[&str]) {
    let env: Vec<_> = variables.iter().map(|&name| (name, "any")).collect();
    let program = Program::new(&Stage::new(), configuration, &env);
    program.run(&["check-config", "--strict"]).exits(0);
}

/// The first text of this key in a configuration.
fn value<'a>(configuration: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = configuration.lines();
    let rest = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
    rest.split('"').next()
}

/// The default of `bind`.
const PORT: i64 = 8080;

#[test]
fn the_configuration_for_kubernetes_is_right_and_opal_reaches_the_service() {
    let pod = &object("Deployment")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let variables = container["env"].as_vec().unwrap().iter();
    let variables: Vec<&str> = variables.map(|it| it["name"].as_str().unwrap()).collect();
    let map = object("ConfigMap");
    let config = map["data"]["optoggles.toml"].as_str().unwrap();
    check(config, &variables);
    let service = object("Service");
    let name = service["metadata"]["name"].as_str().unwrap();
    let port = service["spec"]["ports"][0]["port"].as_integer().unwrap();
    let advertised = value(config, "advertised_address");
    assert_eq!(advertised, Some(&*format!("{name}:{port}")));
    let port = container["ports"][0]["containerPort"].as_integer();
    assert_eq!((port, value(config, "bind")), (Some(PORT), None));
    assert_eq!(
        container["ports"][0]["name"],
        service["spec"]["ports"][0]["targetPort"]
    );
    let mount = &container["volumeMounts"][0];
    assert_eq!(mount["mountPath"].as_str(), Some("/etc/optoggles"));
    assert_eq!(mount["name"], pod["volumes"][0]["name"]);
    assert_eq!(
        pod["volumes"][0]["configMap"]["name"],
        map["metadata"]["name"]
    );
}

#[test]
fn a_pod_is_neither_restarted_nor_cut_off_because_others_are_down() {
    let world = World::of(&["us"]).build();
    for server in [&world.opal.http, &world.opa.http, &world.store.http] {
        server.stop();
    }
    let daemon = world.serve();
    daemon.wait_failing();
    let deployment = object("Deployment");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    for probe in ["livenessProbe", "readinessProbe"] {
        let path = container[probe]["httpGet"]["path"].as_str().unwrap();
        assert_eq!(daemon.get(path).status, 200, "{probe} {path}");
        assert_eq!(
            container[probe]["httpGet"]["port"],
            container["ports"][0]["name"]
        );
    }
    assert!(!container.contains_mapping_key("startupProbe"));
}

#[test]
fn the_configuration_for_compose_is_right_and_names_its_services() {
    let compose = &documents("contrib/docker/compose.yaml")[0];
    let content = compose["configs"]["optoggles"]["content"].as_str().unwrap();
    let config = content.replace("$$", "$");
    check(&config, &[]);
    let services = &compose["services"];
    assert!(services.contains_mapping_key("optoggles"));
    let advertised = value(&config, "advertised_address");
    assert_eq!(advertised, Some(&*format!("optoggles:{PORT}")));
    assert_eq!(value(&config, "bind"), None);
    assert_eq!(value(&config, "url"), Some("http://opal-client:7000"));
    // The policy that it points to has to be one for OPAL's OPA, which reads the old Rego by default.
    let policy = text("examples/quickstart/policy/rbac.rego");
    assert!(policy.contains("\nimport rego.v1\n"));
    let client = &services["opal-client"]["environment"];
    for variable in [
        "OPAL_SHOULD_REPORT_ON_DATA_UPDATES",
        "OPAL_OPA_HEALTH_CHECK_POLICY_ENABLED",
    ] {
        assert_eq!(client[variable].as_str(), Some("True"), "{variable}");
    }
}

#[test]
fn the_image_is_healthy_exactly_while_the_program_serves() {
    let file = text("Dockerfile").replace("\\\n", "");
    let line = file.lines().find(|line| line.starts_with("HEALTHCHECK"));
    let (_, command) = line.and_then(|line| line.split_once(" CMD ")).unwrap();
    let command: Vec<String> = serde_json::from_str(command).unwrap();
    let is_healthy = |port: u16| {
        let own = |word: &String| word.replace("127.0.0.1/8080", &format!("127.0.0.1/{port}"));
        let words: Vec<String> = command.iter().map(own).collect();
        assert_ne!(words, command, "the port is in it");
        let output = Command::new(&words[0]).args(&words[1..]).output().unwrap();
        output.status.success()
    };
    let world = World::of(&["us"]).build();
    let daemon = world.serve();
    assert!(is_healthy(daemon.port()));
    // A server that knows no such route.
    assert!(!is_healthy(world.store.http.address().port()));
}

#[test]
fn nothing_that_is_deployed_dumps_its_memory() {
    assert!(text("contrib/systemd/optoggles.service").contains("\nLimitCORE=0\n"));
    assert!(text("contrib/docker/compose.yaml").contains("    ulimits: {core: 0}\n"));
}

#[test]
fn the_service_is_confined() {
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=true", "--no-pager", "--threshold=20"]);
    match command
        .arg(path("contrib/systemd/optoggles.service"))
        .output()
    {
        Ok(output) => assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => panic!("systemd-analyze cannot be run: {error}"),
    }
}

#[test]
fn the_image_is_built_from_all_that_cargo_needs() {
    let folder = TempDir::new().unwrap();
    let file = text("Dockerfile");
    let copies = file.lines().filter_map(|line| line.strip_prefix("COPY "));
    let from_here = copies.filter(|names| !names.starts_with("--from"));
    let names: Vec<&str> = from_here
        .flat_map(|names| names.rsplit_once(' ').unwrap().0.split(' '))
        .collect();
    assert!(names.contains(&"Cargo.toml"), "{names:?}");
    let let_in = text(".dockerignore");
    for name in names {
        assert!(let_in.lines().any(|line| line == format!("!{name}")));
        let copied = Command::new("cp")
            .arg("-r")
            .args([&path(name), folder.path()])
            .status();
        assert!(copied.unwrap().success(), "{name}");
    }
    // Reads the manifest as a build does, and downloads nothing.
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["fetch", "--locked", "--offline", "--target", "host-tuple"]);
    let output = cargo.current_dir(folder.path()).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
}

/// What a pull request is compared with.
const COMPARE: &str = "optoggles sync --dry-run --format markdown";

#[test]
fn what_github_runs_is_a_command_line_and_its_configuration_is_right() {
    let name = "contrib/github-actions/toggles.yml";
    let steps = &documents(name)[0]["jobs"]["who-gains-and-who-loses"]["steps"];
    let runs = steps.as_vec().unwrap().iter();
    let runs = runs.filter(|step| step.contains_mapping_key("run"));
    let mut runs = runs.filter_map(|step| step["run"].as_str());
    assert!(runs.any(|run| run.contains(COMPARE)));
    let parsed = optoggles::command_line().try_get_matches_from(COMPARE.split(' '));
    assert!(parsed.is_ok(), "{parsed:?}");
    let text = text(name);
    let source = text.lines().filter_map(|line| line.strip_prefix("#     "));
    let source: Vec<&str> = source.collect();
    assert_eq!(source[0], "[[sources]]");
    let rest = "[target]\ntype = \"flagd\"\npath = \"flags.json\"\n[[toggles]]\nkey = \"us\"\n\
                users_policy = { source = \"policy\", package = \"app.rbac\", rule = \"us\" }\n";
    check(&format!("{}\n{rest}", source.join("\n")), &[]);
}
