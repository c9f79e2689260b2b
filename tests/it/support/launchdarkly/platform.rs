//! What LaunchDarkly holds, and how it answers: without sockets and without a clock.

use std::collections::BTreeMap;
use std::time::SystemTime;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::super::wire::{Answer, Request};
use super::flag::{Flag, View};
use super::limit::Limit;
use super::query::Query;
use super::{API_VERSION, refusal};

/// Projects with their flags, and the ways in which LaunchDarkly can be difficult.
pub(crate) struct Platform {
    token: String,
    pub(super) projects: BTreeMap<String, Project>,
    /// How many requests it answers.
    pub(crate) limit: Limit,
    /// So many reads of a flag answer 404 after it was created.
    pub(crate) unseen_reads: usize,
    /// A read that names an environment that does not exist answers 404; else it is left out.
    pub(crate) strict_environments: bool,
    pub(super) ids: u64,
}

#[derive(Default)]
pub(super) struct Project {
    pub(super) key: String,
    pub(super) environments: BTreeMap<String, Environment>,
    pub(super) flags: BTreeMap<String, Flag>,
    /// How many more reads do not see a flag.
    unseen: BTreeMap<String, usize>,
}

#[derive(Default)]
pub(super) struct Environment {
    /// Changes need an approval: the answer to a patch.
    pub(super) approval: Option<Answer>,
}

impl Platform {
    /// Requires this token, and has no projects.
    pub(crate) fn new(token: &str) -> Platform {
        Platform {
            token: token.to_owned(),
            projects: BTreeMap::new(),
            limit: Limit::default(),
            unseen_reads: 0,
            strict_environments: false,
            ids: 0,
        }
    }

    pub(crate) fn add_project(&mut self, key: &str, environments: &[&str]) {
        let environments = environments
            .iter()
            .map(|&key| (key.to_owned(), Environment::default()));
        let project = Project {
            key: key.to_owned(),
            environments: environments.collect(),
            ..Project::default()
        };
        self.projects.insert(key.to_owned(), project);
    }

    /// From now on, changes in an environment require an approval: patches get 405, or 403.
    pub(crate) fn require_approval(&mut self, project: &str, environment: &str, status: u16) {
        let project = self.projects.get_mut(project).expect("such a project");
        let environment = project.environments.get_mut(environment);
        environment.expect("such an environment").approval =
            Some(refusal(status, "approval is required to make this request"));
    }

    pub(crate) fn flag(&self, project: &str, key: &str) -> Option<&Flag> {
        self.projects.get(project)?.flags.get(key)
    }

    /// A flag that exists, to be changed by hand.
    pub(crate) fn edit(&mut self, project: &str, key: &str) -> &mut Flag {
        let project = self.projects.get_mut(project).expect("such a project");
        project.flags.get_mut(key).expect("such a flag")
    }

    pub(crate) fn delete(&mut self, project: &str, key: &str) {
        let project = self.projects.get_mut(project).expect("such a project");
        project.flags.remove(key);
    }

    pub(crate) fn answer(&mut self, request: &Request, now: SystemTime) -> Answer {
        let admitted = self.limit.count(now).and_then(|()| self.admit(request));
        let answer = admitted.and_then(|()| self.route(request));
        self.limit.tell(answer.unwrap_or_else(|refused| refused))
    }

    fn admit(&self, request: &Request) -> Result<(), Answer> {
        if request.header("authorization") != Some(self.token.as_str()) {
            return Err(refusal(401, "Invalid access token"));
        }
        if request.header("ld-api-version") != Some(API_VERSION) {
            return Err(refusal(400, "the stand-in knows one version of the API"));
        }
        if request.method != "GET" && request.header("content-length").is_none() {
            return Err(refusal(411, "length required"));
        }
        Ok(())
    }

    fn route(&mut self, request: &Request) -> Result<Answer, Answer> {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let query = Query::parse(query);
        let decode = |part| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let parts: Vec<String> = path
            .trim_start_matches('/')
            .split('/')
            .map(decode)
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let ["api", "v2", parts @ ..] = &parts[..] else {
            return Err(refusal(404, "Invalid resource identifier"));
        };
        match (request.method.as_str(), parts) {
            ("GET", ["caller-identity"]) => Ok(Answer::json(200, &caller())),
            ("GET", ["projects", project]) => self.project(project)?.read(&query),
            ("GET", ["projects", project, "environments", key]) => {
                self.project(project)?.read_environment(key)
            }
            ("GET", ["flags", project]) => self.list(project, &query),
            ("POST", ["flags", project]) => self.create(project, request),
            ("GET", ["flags", project, key]) => self.read(project, key, &query),
            ("PATCH", ["flags", project, key]) => {
                query.allow(&[])?;
                self.project(project)?.patch(key, request)
            }
            _ => Err(refusal(404, "Invalid resource identifier")),
        }
    }

    pub(super) fn project(&mut self, key: &str) -> Result<&mut Project, Answer> {
        let project = self.projects.get_mut(key);
        project.ok_or_else(|| refusal(404, "Unknown project key"))
    }

    fn list(&mut self, project: &str, query: &Query) -> Result<Answer, Answer> {
        let strict = self.strict_environments;
        let project = self.project(project)?;
        project.check_environments(query, strict)?;
        project.list(query)
    }

    fn read(&mut self, project: &str, key: &str, query: &Query) -> Result<Answer, Answer> {
        query.allow(&["env"])?;
        let strict = self.strict_environments;
        let project = self.project(project)?;
        project.check_environments(query, strict)?;
        let unseen = project.unseen.get_mut(key).filter(|left| **left > 0);
        let unseen = unseen.map(|left| *left -= 1).is_some();
        match project.flags.get(key).filter(|_| !unseen) {
            Some(flag) => {
                let only = query.all("env");
                let (only, summary) = (only.as_deref(), false);
                let shown = flag.show(&project.key, &View { only, summary });
                Ok(Answer::json(200, &shown))
            }
            None => Err(refusal(404, "Unknown feature flag key")),
        }
    }
}

impl Project {
    /// A flag was created: for a while some do not know.
    pub(super) fn add(&mut self, flag: Flag, unseen: usize) {
        self.unseen.insert(flag.key.clone(), unseen);
        self.flags.insert(flag.key.clone(), flag);
    }

    fn read(&self, query: &Query) -> Result<Answer, Answer> {
        query.allow(&["expand"])?;
        let mut shown = json!({
            "_id": "57be1db38b75bf0772d11383",
            "_links": { "self": { "href": format!("/api/v2/projects/{}", self.key), "type": "application/json" } },
            "key": self.key,
            "name": self.key,
            "tags": [],
            "includeInSnippetByDefault": false,
        });
        if query.one("expand") == Some("environments") {
            let items: Vec<Value> = self
                .environments
                .keys()
                .map(|key| environment(key))
                .collect();
            shown["environments"] = json!({ "totalCount": items.len(), "items": items });
        }
        Ok(Answer::json(200, &shown))
    }

    fn read_environment(&self, key: &str) -> Result<Answer, Answer> {
        match self.environments.contains_key(key) {
            true => Ok(Answer::json(200, &environment(key))),
            false => Err(refusal(404, "Unknown environment key")),
        }
    }

    fn check_environments(&self, query: &Query, strict: bool) -> Result<(), Answer> {
        let keys = query.all("env").unwrap_or_default();
        let unknown = |key: &String| !self.environments.contains_key(key);
        match strict && keys.iter().any(unknown) {
            true => Err(refusal(404, "Unknown environment key")),
            false => Ok(()),
        }
    }
}

fn caller() -> Value {
    json!({
        "accountId": "57be1db38b75bf0772d11380",
        "authKind": "token",
        "memberId": "569f183514f4432160000007",
        "serviceToken": false,
        "tokenId": "61095542756dba551110ae21",
        "tokenKind": "auth",
        "tokenName": "optoggles",
    })
}

fn environment(key: &str) -> Value {
    json!({
        "_id": "57be1db38b75bf0772d11384",
        "_links": {},
        "key": key,
        "name": key,
        "apiKey": "sdk-of-environment",
        "mobileKey": "mob-of-environment",
        "color": "F5A623",
        "defaultTtl": 0,
        "secureMode": false,
        "defaultTrackEvents": false,
        "requireComments": false,
        "confirmChanges": false,
        "tags": [],
        "critical": false,
    })
}
