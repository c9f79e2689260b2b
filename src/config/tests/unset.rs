//! References to what is not there, where these are no problem.

use super::*;

fn check_without(text: &str) -> Report {
    let around = Surroundings {
        folder: Path::new("/conf"),
        env: &|_| None,
        read: &|_, _| Err(io::ErrorKind::NotFound.into()),
        open_to_others: false,
        unset: Severity::Note,
    };
    let (config, report) = check(Path::new("o.toml"), text.into(), &around, &catalog());
    assert!(config.is_none(), "it lacks something");
    report
}

/// The texts of a file that are not commented out, in quotes, each with its place.
fn texts(file: &str) -> Vec<(usize, &str)> {
    let is_comment = |at: usize| {
        let before = file[..at].rsplit('\n').next().unwrap_or_default();
        before.contains('#')
    };
    let quoted = file.match_indices('"').filter(|(at, _)| !is_comment(*at));
    let places: Vec<usize> = quoted.map(|(at, _)| at).collect();
    let pairs = places.chunks_exact(2);
    pairs
        .map(|pair| (pair[0], &file[pair[0]..=pair[1]]))
        .collect()
}

#[test]
fn whatever_is_not_there_causes_no_other_problem() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let folders = [examples.join("quickstart"), examples];
    let entries = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    for path in paths.filter(|path| path.extension().is_some_and(|it| it == "toml")) {
        let file = std::fs::read_to_string(&path).unwrap();
        let mut all = file.clone();
        for (at, text) in texts(&file).into_iter().rev() {
            let end = at + text.len();
            all.replace_range(at..end, "\"${X}\"");
            for unset in ["${X}", "-${file:x}"] {
                let one = format!("{}\"{unset}\"{}", &file[..at], &file[end..]);
                let report = check_without(&one);
                assert_eq!(report.to_string(), "", "{text} of {}", path.display());
            }
        }
        assert_eq!(check_without(&all).to_string(), "");
    }
}

/// Two targets of a type and their toggles, with some lines in each of the four.
fn two(kind: &str, targets: [&str; 2], policies: [&str; 2], specs: [&str; 2]) -> String {
    let ids = ["a", "b"];
    let of = |at: usize| {
        let (id, target, policy, spec) = (ids[at], targets[at], policies[at], specs[at]);
        format!(
            "[[targets]]\nid = \"{id}\"\ntype = \"{kind}\"\n{target}\n\
             [[toggles]]\nkey = \"us\"\ntarget = \"{id}\"\n[toggles.users_policy]\nsource = \"files\"\n\
             package = \"app\"\nrule = \"us\"\n{policy}\n[toggles.spec]\n{spec}\n"
        )
    };
    let source = "[[sources]]\nid = \"files\"\ntype = \"opa\"\nurl = \"https://opa\"\n";
    format!("{source}{}{}", of(0), of(1))
}

#[test]
fn what_may_differ_is_not_taken_for_a_duplicate_and_what_may_agree_not_for_a_conflict() {
    let token = "token = \"t\"";
    let spec =
        |rest: &str| format!("name = \"US\"\nproj_key = \"p\"\nenvironments = [\"test\"]\n{rest}");
    let plain = spec("");
    let test = [&*plain, &*plain];
    let no_input = ["", ""];
    let of_unset = ["token = \"${A}\"", "token = \"${B}\""];
    let other = plain.replace("test", "${ENVIRONMENT}");
    for text in [
        two("launchdarkly", of_unset, no_input, test),
        two("launchdarkly", [token; 2], no_input, [&*plain, &other]),
    ] {
        assert_eq!(check_without(&text).to_string(), "", "{text}");
    }
    // What agrees for certain is still one.
    let url = ["endpoint_url = \"https://flags\""; 2];
    let twins = two("restapi", url, no_input, ["name = \"${X}\"", ""]);
    let report = check_without(&twins);
    assert_eq!(report.problems.last().unwrap().code, "duplicate-key");

    let shared = spec("segment = \"s\"");
    let agreeing = |policies| {
        let text = two("launchdarkly", [token; 2], policies, [&*shared, &*shared]);
        text.replacen("key = \"us\"", "key = \"eu\"", 1)
    };
    let input = ["input = { in = \"${X}\" }", "input = { in = \"us\" }"];
    let limited = agreeing(no_input).replace("\nkey = ", "\nmax_removal = \"10%\"\nkey = ");
    let one = limited.replacen("10%", "${X}", 1);
    let all = format!("max_removal = \"${{X}}\"\n{}", agreeing(no_input));
    let all = all.replacen("\nkey = ", "\nmax_removal = \"10%\"\nkey = ", 1);
    for text in [agreeing(input), one, all] {
        assert_eq!(check_without(&text).to_string(), "", "{text}");
    }
}
