//! What a new configuration no longer mentions: at the target it stays as it is, and whoever changes
//! the file has to know.

use serde_json::Value;

use super::{Config, Target, Toggle};

/// What of an old configuration the new one leaves behind, in sentences for the log.
pub fn left_behind(old: &Config, new: &Config) -> Vec<String> {
    let mut left = Vec::new();
    if old.target.place() != new.target.place() {
        left.push(
            "the target is another one: the toggles at the old one stay as they are".to_owned(),
        );
    }
    for source in &old.sources {
        if !new.sources.iter().any(|it| it.id == source.id) {
            left.push(format!("source {} is no longer used", source.id));
        }
    }
    for toggle in &old.toggles {
        let key = &toggle.key;
        match new.toggles.iter().find(|it| it.key == *key) {
            None => left.push(format!(
                "toggle {key} is no longer kept: at the target it stays as it is; turn it off or \
                 delete it there"
            )),
            Some(now) => left.extend(environments_left(toggle, now)),
        }
    }
    left
}

/// The environments of LaunchDarkly, or the project, in which a flag is no longer kept.
fn environments_left(old: &Toggle, new: &Toggle) -> Option<String> {
    let key = &old.key;
    let project = |toggle: &Toggle| toggle.spec.get("proj_key").cloned();
    if let Some(Value::String(before)) = project(old)
        && project(new).is_some_and(|now| now != before)
    {
        return Some(format!(
            "toggle {key} is no longer kept in the project {before}: there it stays as it is; turn \
             it off there"
        ));
    }
    let now = environments(new);
    let gone: Vec<&str> = environments(old)
        .into_iter()
        .filter(|it| !now.contains(it))
        .collect();
    (!gone.is_empty() && !now.is_empty()).then(|| {
        let gone = gone.join(", ");
        format!(
            "toggle {key} is no longer kept in {gone}: there it stays as it is; turn it off there"
        )
    })
}

fn environments(toggle: &Toggle) -> Vec<&str> {
    let listed = toggle.spec.get("environments").and_then(Value::as_array);
    let listed = listed.into_iter().flatten();
    listed.filter_map(Value::as_str).collect()
}

impl Target {
    /// Where it is; with which credentials it is asked does not matter.
    pub fn place(&self) -> String {
        let name = self.type_name();
        match self {
            Target::Flagd(flagd) => format!("{name} {}", flagd.path.display()),
            Target::LaunchDarkly(launchdarkly) => {
                format!("{name} {}", launchdarkly.base_url.spelled_alike())
            }
            Target::RestApi(restapi) => format!("{name} {}", restapi.endpoint_url.spelled_alike()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::address::Address;
    use crate::config::{Bind, LaunchDarkly, Rule, Source, SourceKind};
    use crate::secret::Secret;

    fn toggle(key: &str, spec: Value) -> Toggle {
        Toggle {
            key: key.into(),
            users_policy: Rule {
                source: 0,
                package: "app".into(),
                rule: "us".into(),
            },
            spec: spec.as_object().cloned().unwrap_or_default(),
            max_removal: crate::config::MaxRemoval::Off,
        }
    }

    fn config(token: &str, sources: &[&str], toggles: Vec<Toggle>) -> Config {
        let source = |id: &&str| Source {
            id: (*id).into(),
            kind: SourceKind::File(crate::config::File { path: None }),
        };
        Config {
            bind: Bind {
                host: String::new(),
                port: 0,
            },
            resync_interval: None,
            http_timeout: std::time::Duration::from_secs(1),
            concurrency: 1,
            sources: sources.iter().map(source).collect(),
            target: Target::LaunchDarkly(LaunchDarkly {
                token: Secret::new(token),
                base_url: Address::parse("https://flags.example.com").unwrap(),
            }),
            toggles,
        }
    }

    #[test]
    fn what_is_only_added_or_reordered_leaves_nothing_behind() {
        let (us, tax) = (
            toggle("us", json!({"environments": ["a"]})),
            toggle("tax", Value::Object(Map::new())),
        );
        let more = toggle("us", json!({"environments": ["b", "a"]}));
        let old = config("one", &["x"], vec![us, tax.clone()]);
        let new = config("two", &["y", "x"], vec![tax, more]);
        assert_eq!(left_behind(&old, &new), Vec::<String>::new());
    }

    #[test]
    fn sources_toggles_projects_and_environments_that_go_are_named() {
        let spec = |project: &str, environments: &[&str]| json!({ "proj_key": project, "environments": environments });
        let old = config(
            "one",
            &["x", "y"],
            vec![
                toggle("gone", spec("p", &["a"])),
                toggle("less", spec("p", &["a", "b", "c"])),
                toggle("moved", spec("p", &["a"])),
            ],
        );
        let new = config(
            "one",
            &["y"],
            vec![
                toggle("moved", spec("q", &["a"])),
                toggle("less", spec("p", &["b"])),
            ],
        );
        let left = left_behind(&old, &new);
        let starts = [
            "source x is no longer used",
            "toggle gone is no longer kept: at the target it stays as it is",
            "toggle less is no longer kept in a, c: there it stays as it is",
            "toggle moved is no longer kept in the project p: there it stays as it is",
        ];
        assert_eq!(left.len(), starts.len(), "{left:?}");
        for (words, start) in left.iter().zip(starts) {
            assert!(words.starts_with(start), "{words}");
        }
    }
}
