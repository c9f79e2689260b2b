//! A stand-in for Unleash 7.4.1, in its words: what it holds, and how it answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use super::TOKEN;
use super::description::misfits;
use super::feature::{Environment, Feature, served};
use crate::support::wire::{Answer, Request};
use crate::support::{Server, Stage, lock};

/// A token for SDKs of the environment `development`.
pub(super) const BACKEND_TOKEN: &str = "backend-token-of-the-tests-50c2";

/// The longest body, in bytes.
const BODY: usize = 102_400;

pub(super) struct Unleash {
    pub(super) http: Server,
    platform: Arc<Mutex<Platform>>,
}

/// Features, and the ways in which Unleash can be difficult.
#[derive(Default)]
pub(super) struct Platform {
    /// Names are unique in all of Unleash.
    features: BTreeMap<String, Feature>,
    /// The environments of each project.
    pub(super) projects: BTreeMap<String, Vec<String>>,
    pub(super) limits: Limits,
    pub(super) tag_types: BTreeSet<String>,
    /// Environments in which changes need a change request.
    pub(super) guarded: BTreeSet<String>,
    /// How many requests that are no reads it still takes; none: any number.
    pub(super) writes_left: Option<usize>,
    /// Before an environment is turned on the next time, all its strategies are removed.
    pub(super) thief: bool,
    /// SDKs are told what they were told before, as Unleash does for a second after a change.
    pub(super) lags: bool,
    /// What SDKs are told of a feature after each change of it, by environment.
    pub(super) history: Vec<(String, Value)>,
    revisions: HashMap<String, u64>,
    /// What SDKs were told, by its tag.
    lists: HashMap<String, Value>,
    ids: usize,
    /// What did not fit Unleash's description of its API.
    pub(super) misfits: Vec<String>,
}

#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// How many values a constraint takes.
    pub(super) values: usize,
    /// How many strategies an environment takes.
    pub(super) strategies: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            values: 250,
            strategies: 30,
        }
    }
}

impl Unleash {
    pub(super) fn start(stage: &Stage) -> Unleash {
        let places = ["development", "production"].map(str::to_owned);
        let platform = Arc::new(Mutex::new(Platform {
            projects: [("default".to_owned(), places.into())].into(),
            tag_types: ["simple".to_owned()].into(),
            ..Platform::default()
        }));
        let handler = {
            let platform = platform.clone();
            Box::new(move |request: &Request| lock(&platform).answer(request))
        };
        let http = Server::start_new(stage, "unleash", handler);
        Unleash { http, platform }
    }

    pub(super) fn platform(&self) -> MutexGuard<'_, Platform> {
        lock(&self.platform)
    }
}

impl Platform {
    /// A new feature of the project `default`.
    pub(super) fn put(&mut self, name: &str) -> &mut Feature {
        let feature = Feature::new("default", &self.projects["default"]);
        self.features.insert(name.to_owned(), feature);
        self.edit(name)
    }

    pub(super) fn delete(&mut self, name: &str) {
        self.bump(None);
        self.features.remove(name);
    }

    /// A feature that exists, to be changed by hand.
    pub(super) fn edit(&mut self, name: &str) -> &mut Feature {
        self.bump(None);
        self.features.get_mut(name).expect("such a feature")
    }

    pub(super) fn environment(&mut self, name: &str, place: &str) -> &mut Environment {
        let environments = &mut self.edit(name).environments;
        environments.get_mut(place).expect("such an environment")
    }

    /// The users listed by each strategy of a feature in an environment.
    pub(super) fn listed(&self, name: &str, place: &str) -> Vec<Vec<String>> {
        let strategies = self.features[name].environments[place].strategies.iter();
        let lists = strategies.map(|it| it["constraints"][0]["values"].clone());
        lists
            .map(|it| serde_json::from_value(it).unwrap())
            .collect()
    }

    /// Which of these users have a feature.
    pub(super) fn served<'u>(
        &self,
        name: &str,
        place: &str,
        users: &[&'u str],
    ) -> BTreeSet<&'u str> {
        served(&self.show_list("default", place), name, users)
    }

    /// Something changed, in an environment or in all of them.
    fn bump(&mut self, place: Option<&str>) {
        for key in self.projects.values().flatten() {
            if !self.lags && place.is_none_or(|place| place == key) {
                *self.revisions.entry(key.clone()).or_default() += 1;
            }
        }
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let before = self.misfits.len();
        self.misfits.extend(misfits(request, None));
        let answer = match self.admit(request) {
            Ok(()) if self.misfits.len() > before => refusal(400, &*self.misfits[before]),
            Ok(()) => self.route(request).unwrap_or_else(|refused| refused),
            Err(refused) => refused,
        };
        if answer.status < 300 {
            self.misfits.extend(misfits(request, Some(&answer)));
        }
        answer
    }

    fn admit(&mut self, request: &Request) -> Result<(), Answer> {
        let is_for_sdks = request.path.starts_with("/api/client/");
        let message = |status, text: &str| Err(Answer::json(status, &json!({ "message": text })));
        match request.header("authorization") {
            Some(TOKEN) => {}
            Some(BACKEND_TOKEN) if is_for_sdks => {}
            Some(BACKEND_TOKEN) => {
                return message(
                    403,
                    "invalid token: expected a different token type for this endpoint",
                );
            }
            _ if is_for_sdks => return message(401, "This endpoint requires an API token."),
            _ => return Err(refusal(401, "You must log in to use Unleash.")),
        }
        if request.body.len() > BODY {
            let page =
                b"<html><title>PayloadTooLargeError: request entity too large</title></html>";
            return Err(Answer {
                body: page.to_vec(),
                ..empty(413)
            });
        }
        if !request.body.is_empty() && request.header("content-type") != Some("application/json") {
            return Err(refusal(415, "the body is not application/json"));
        }
        if let (Some(left), true) = (&mut self.writes_left, request.method != "GET") {
            *left = left
                .checked_sub(1)
                .ok_or_else(|| refusal(503, "no more writes"))?;
        }
        Ok(())
    }

    fn route(&mut self, request: &Request) -> Result<Answer, Answer> {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let body = request.json();
        match (&*request.method, &parts[..]) {
            ("GET", ["api", "client", "features"]) => self.list(request, query),
            ("GET", ["api", "admin", "user"]) => Ok(Answer::json(200, &caller())),
            ("GET", ["api", "admin", "ui-config"]) => Ok(self.ui()),
            ("GET", ["api", "admin", "search", "features"]) => self.search(query),
            ("GET", ["api", "admin", "features", name, "tags"]) => self.tags(name),
            ("POST", ["api", "admin", "features", name, "tags"]) => self.tag(name, &body),
            (method, ["api", "admin", "projects", project, rest @ ..]) => match (method, rest) {
                ("GET", ["overview"]) => self.overview(project),
                ("POST", ["features"]) => self.create(project, &body),
                ("GET", ["features", name]) => self.read(project, name),
                ("PATCH", ["features", name]) => self.patch(project, name, &body),
                (_, ["features", name, "environments", place, rest @ ..]) => {
                    self.change(project, name, place, (method, rest), body)
                }
                _ => Err(refusal(
                    404,
                    "The path you were looking for is not available.",
                )),
            },
            _ => Err(refusal(
                404,
                "The path you were looking for is not available.",
            )),
        }
    }

    fn ui(&self) -> Answer {
        let Limits { values, strategies } = self.limits;
        let limits =
            json!({ "constraintValues": values, "featureEnvironmentStrategies": strategies });
        Answer::json(200, &json!({ "resourceLimits": limits }))
    }

    fn overview(&self, project: &str) -> Result<Answer, Answer> {
        let places = self
            .projects
            .get(project)
            .ok_or_else(|| refusal(404, "No project found"))?;
        let places = places.iter().map(|it| json!({ "environment": it }));
        let places: Vec<Value> = places.collect();
        let mut shown = json!({ "version": 1, "name": project, "environments": places });
        shown["onboardingStatus"] = json!({ "status": "onboarded" });
        Ok(Answer::json(200, &shown))
    }

    fn create(&mut self, project: &str, body: &Value) -> Result<Answer, Answer> {
        let name = body["name"].as_str().unwrap_or_default();
        if let Some(Feature { archived, .. }) = self.features.get(name) {
            let which = if *archived { "An archived" } else { "A" };
            return Err(refusal(
                409,
                format!("{which} flag with that name already exists"),
            ));
        }
        let missing = || {
            refusal(
                404,
                format!("Active project with id {project} does not exist"),
            )
        };
        let places = self.projects.get(project).ok_or_else(missing)?;
        if !body["tags"].is_null() {
            let words = "insert into \"feature_tag\" violates foreign key constraint";
            return Err(refusal(500, words));
        }
        let mut feature = Feature::new(project, places);
        feature.kind = body["type"].as_str().unwrap_or("release").to_owned();
        feature.describe(&body["description"]);
        let shown = feature.show(name);
        self.features.insert(name.to_owned(), feature);
        self.bump(None);
        Ok(Answer::json(201, &shown))
    }

    fn read(&mut self, project: &str, name: &str) -> Result<Answer, Answer> {
        let feature = self.feature(project, name)?;
        if feature.archived {
            return Err(refusal(
                404,
                format!("Could not find feature flag with name {name}"),
            ));
        }
        let mut shown = feature.show(name);
        let places = feature.environments.iter();
        let places = places.map(|(place, it)| it.show(place));
        shown["environments"] = places.collect();
        shown["dependencies"] = feature.dependencies();
        Ok(Answer::json(200, &shown))
    }

    fn patch(&mut self, project: &str, name: &str, body: &Value) -> Result<Answer, Answer> {
        let feature = self.feature(project, name)?;
        for operation in body.as_array().into_iter().flatten() {
            let value = &operation["value"];
            match (operation["op"].as_str(), operation["path"].as_str()) {
                (Some("add" | "replace"), Some("/description")) => feature.describe(value),
                (Some("add" | "replace"), Some("/type")) => {
                    feature.kind = value.as_str().unwrap_or_default().to_owned();
                }
                _ => return Err(refusal(400, "the stand-in changes no other members")),
            }
        }
        let shown = feature.show(name);
        self.bump(None);
        Ok(Answer::json(200, &shown))
    }

    fn tags(&self, name: &str) -> Result<Answer, Answer> {
        let words = || format!("Could not find feature with name {name}");
        let feature = self.features.get(name);
        let tags = feature.ok_or_else(|| refusal(404, words()))?.show_tags();
        Ok(Answer::json(200, &json!({ "version": 1, "tags": tags })))
    }

    /// Archived features take tags too.
    fn tag(&mut self, name: &str, body: &Value) -> Result<Answer, Answer> {
        let feature = self.features.get_mut(name);
        let feature = feature.ok_or_else(|| refusal(404, "No feature flag found"))?;
        let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
        let (kind, value) = (text("type"), text("value"));
        if !self.tag_types.contains(&kind) {
            return Err(refusal(400, format!("Tag type '{kind}' does not exist")));
        }
        feature.tags.insert((kind, value));
        Ok(Answer::json(201, body))
    }

    /// The features with a tag that are not archived.
    fn search(&self, query: &str) -> Result<Answer, Answer> {
        let query = members(query);
        let tag = query
            .get("tag")
            .and_then(|it| it.strip_prefix("INCLUDE_ALL_OF:"))
            .and_then(|it| it.split_once(':'))
            .ok_or_else(|| refusal(400, "The `/query/tag` property must match pattern"))?;
        let project = query.get("project").map(|it| it.strip_prefix("IS:"));
        let is_meant = |(_, it): &(&String, &Feature)| {
            let is_there = project.is_none_or(|project| project == Some(&it.project));
            is_there && !it.archived && it.tags.iter().any(|(kind, value)| tag == (kind, value))
        };
        let number = |member: &str| query.get(member).and_then(|it| it.parse::<usize>().ok());
        let limit = number("limit").filter(|it| (1..=100).contains(it));
        let found: Vec<_> = self.features.iter().filter(is_meant).collect();
        let page = found.iter().skip(number("offset").unwrap_or_default());
        let page = page.take(limit.unwrap_or(50));
        let page = page.map(|(name, it)| it.show_found(name));
        let page: Vec<Value> = page.collect();
        let total = if page.is_empty() { 0 } else { found.len() };
        Ok(Answer::json(
            200,
            &json!({ "features": page, "total": total }),
        ))
    }

    fn feature(&mut self, project: &str, name: &str) -> Result<&mut Feature, Answer> {
        let feature = self
            .features
            .get_mut(name)
            .filter(|it| it.project == project);
        let words = || format!("There's no feature named \"{name}\" in project \"{project}\".");
        feature.ok_or_else(|| refusal(404, words()))
    }

    /// A change of a feature in an environment.
    fn change(
        &mut self,
        project: &str,
        name: &str,
        place: &str,
        what: (&str, &[&str]),
        body: Value,
    ) -> Result<Answer, Answer> {
        if self.guarded.contains(place) {
            let words = "To perform this action, you need the \"SKIP_CHANGE_REQUEST\" permission.";
            return Err(refusal(403, words));
        }
        self.ids += 1;
        let id = format!("{:08x}-6fd2-4f2a-9d3c-0242ac120002", self.ids);
        let limits = self.limits;
        let steals = what.1 == ["on"] && std::mem::take(&mut self.thief);
        let feature = self.feature(project, name)?;
        if feature.archived {
            let words = "Cannot perform this operation on archived features";
            return Err(refusal(400, words));
        }
        let environment = feature.environments.get_mut(place);
        let environment = environment.ok_or_else(|| match what.1 {
            ["on" | "off"] => refusal(
                404,
                format!("Could not find environment {place} for feature: {name}"),
            ),
            _ => refusal(
                400,
                "You have not added the current environment to the project",
            ),
        })?;
        if steals {
            environment.strategies.clear();
        }
        let answer = match what {
            ("POST", ["on"]) => environment.turn_on(&id, name),
            ("POST", ["off"]) => environment.turn_off(),
            ("POST", ["strategies"]) => environment.add(&id, name, &body, limits)?,
            ("PUT", ["strategies", id]) => environment.rewrite(id, name, body, limits)?,
            ("DELETE", ["strategies", id]) => environment.remove(id)?,
            _ => {
                return Err(refusal(
                    404,
                    "The path you were looking for is not available.",
                ));
            }
        };
        let told = json!({ "version": 2, "features": [feature.show_to_sdks(name, place)] });
        // Unleash does this in the same transaction; here, no change may rely on that.
        if let Some(environment) = feature.environments.get_mut(place) {
            environment.settle();
        }
        self.history.push((place.to_owned(), told));
        self.bump(Some(place));
        Ok(answer)
    }

    /// What SDKs are told, unless they know it.
    fn list(&mut self, request: &Request, query: &str) -> Result<Answer, Answer> {
        let query = members(query);
        let place = match request.header("authorization") {
            Some(BACKEND_TOKEN) => "development",
            _ => query["environment"],
        };
        let revision = self.revisions.get(place).copied().unwrap_or_default();
        let tag = format!("\"{}-{place}:{revision}:v1\"", query["project"]);
        if request.header("if-none-match") == Some(&tag) {
            return Ok(empty(304));
        }
        if !self.lists.contains_key(&tag) {
            let mut list = self.show_list(query["project"], place);
            list["meta"] = json!({ "revisionId": revision, "etag": tag, "queryHash": "x" });
            self.lists.insert(tag.clone(), list);
        }
        Ok(Answer::json(200, &self.lists[&tag]).with("etag", &tag))
    }

    fn show_list(&self, project: &str, place: &str) -> Value {
        let features = self.features.iter();
        let features = features.filter(|(_, it)| it.project == project && !it.archived);
        let features = features.map(|(name, it)| it.show_to_sdks(name, place));
        let features: Vec<Value> = features.collect();
        let query = json!({ "project": [project], "environment": place });
        json!({ "version": 2, "features": features, "query": query })
    }
}

fn members(query: &str) -> HashMap<&str, &str> {
    let members = query.split('&');
    members.filter_map(|it| it.split_once('=')).collect()
}

/// What `GET user` answers to an API token: the token too.
fn caller() -> Value {
    let user =
        json!({ "username": "admin", "permissions": ["ADMIN"], "type": "admin", "secret": TOKEN });
    json!({ "user": user, "permissions": [{ "permission": "ADMIN" }], "feedback": [], "splash": {} })
}

pub(super) fn refusal(status: u16, message: impl Into<String>) -> Answer {
    let name = match status {
        400 => "BadDataError",
        401 => "UnauthorizedError",
        403 => "PermissionError",
        404 => "NotFoundError",
        409 => "NameExistsError",
        _ => "UnknownError",
    };
    let message = message.into();
    let details = json!([{ "message": message }]);
    Answer::json(
        status,
        &json!({ "name": name, "message": message, "details": details }),
    )
}

pub(super) fn empty(status: u16) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: Vec::new(),
    }
}
