//! A stand-in for Unleash 7.4.1, in its words: what it holds, how it answers, and whom its engine lets through.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use unleash_yggdrasil::{Context, EngineState, UpdateMessage};

use super::TOKEN;
use super::description::misfits;
use crate::support::wire::{Answer, Request};
use crate::support::{Server, Stage, lock};

/// A token for SDKs of the environment `development`.
pub(super) const BACKEND_TOKEN: &str = "backend-token-of-the-tests-50c2";

/// From here on a body is refused, in bytes.
const BODY: usize = 102_400;

/// The constraint of each segment.
const SEGMENT: &str = r#"{"contextName": "userId", "operator": "IN", "values": ["zoe"]}"#;

pub(super) struct Unleash {
    pub(super) http: Server,
    platform: Arc<Mutex<Platform>>,
}

/// Features, and the ways in which Unleash can be difficult.
pub(super) struct Platform {
    /// Names are unique in all of Unleash.
    features: BTreeMap<String, Feature>,
    /// The environments of each project.
    pub(super) projects: BTreeMap<String, Vec<String>>,
    /// How many values a constraint takes.
    pub(super) values: usize,
    /// How many strategies an environment takes.
    pub(super) strategies: usize,
    /// Environments in which changes need a change request.
    pub(super) guarded: BTreeSet<String>,
    /// How many requests that are no reads it still takes; none: any number.
    pub(super) writes_left: Option<usize>,
    /// Before an environment is turned on the next time, all its strategies are removed.
    pub(super) thief: bool,
    /// SDKs are told what they were told before, as Unleash does for about a second after a change.
    pub(super) lags: bool,
    /// What SDKs are told of the first feature after each write, by environment.
    pub(super) history: Vec<(String, Value)>,
    revisions: HashMap<String, u64>,
    /// By their tags.
    lists: HashMap<String, Value>,
    ids: usize,
    /// What did not fit Unleash's description of its API.
    pub(super) misfits: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Feature {
    project: String,
    pub(super) kind: String,
    pub(super) description: Option<String>,
    pub(super) stale: bool,
    pub(super) impression_data: bool,
    pub(super) archived: bool,
    /// The feature that has to be on too.
    pub(super) parent: Option<String>,
    environments: BTreeMap<String, Environment>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    pub(super) enabled: bool,
    pub(super) strategies: Vec<Value>,
}

impl Unleash {
    pub(super) fn start(stage: &Stage) -> Unleash {
        let platform = Arc::new(Mutex::new(Platform::new()));
        let handler = {
            let platform = platform.clone();
            Box::new(move |request: &Request| lock(&platform).answer(request))
        };
        Unleash {
            http: Server::start_new(stage, "unleash", handler),
            platform,
        }
    }

    pub(super) fn platform(&self) -> MutexGuard<'_, Platform> {
        lock(&self.platform)
    }
}

impl Platform {
    fn new() -> Platform {
        let places = ["development", "production"].map(str::to_owned);
        Platform {
            features: BTreeMap::new(),
            projects: [("default".to_owned(), places.into())].into(),
            values: 250,
            strategies: 30,
            guarded: BTreeSet::new(),
            writes_left: None,
            thief: false,
            lags: false,
            history: Vec::new(),
            revisions: HashMap::new(),
            lists: HashMap::new(),
            ids: 0,
            misfits: Vec::new(),
        }
    }

    /// A new feature of the project `default`.
    pub(super) fn put(&mut self, name: &str) -> &mut Feature {
        let places = self.projects["default"].iter();
        let feature = Feature {
            project: "default".to_owned(),
            kind: "permission".to_owned(),
            environments: places
                .map(|it| (it.clone(), Environment::default()))
                .collect(),
            ..Feature::default()
        };
        self.features.insert(name.to_owned(), feature);
        self.edit(name)
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
    pub(super) fn listed(&mut self, name: &str, place: &str) -> Vec<Vec<String>> {
        let strategies = self.environment(name, place).strategies.iter();
        let values = strategies.map(|it| it["constraints"][0]["values"].clone());
        values
            .map(|it| serde_json::from_value(it).unwrap_or_default())
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
        let places = self
            .projects
            .values()
            .flatten()
            .filter(|it| place.is_none_or(|place| place == **it));
        for place in places.cloned().collect::<Vec<_>>() {
            *self.revisions.entry(place).or_default() += 1;
        }
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let misfits = misfits(request, None);
        let answer = match self.admit(request) {
            Ok(()) if !misfits.is_empty() => refusal(400, "BadDataError", &misfits.join("; ")),
            Ok(()) => self.route(request).unwrap_or_else(|refused| refused),
            Err(refused) => refused,
        };
        self.misfits.extend(misfits);
        self.misfits.extend(misfits_of_answer(request, &answer));
        answer
    }

    fn admit(&mut self, request: &Request) -> Result<(), Answer> {
        let is_for_sdks = request.path.starts_with("/api/client/");
        match request.header("authorization") {
            Some(TOKEN) => {}
            Some(BACKEND_TOKEN) if is_for_sdks => {}
            Some(BACKEND_TOKEN) => {
                let message = "invalid token: expected a different token type for this endpoint";
                return Err(Answer::json(403, &json!({ "message": message })));
            }
            _ if is_for_sdks => {
                let message = "This endpoint requires an API token. Please add an authorization header to your \
                               request with a valid token";
                return Err(Answer::json(401, &json!({ "message": message })));
            }
            _ => {
                return Err(refusal(
                    401,
                    "UnauthorizedError",
                    "You must log in to use Unleash.",
                ));
            }
        }
        if request.body.len() > BODY {
            return Err(Answer {
                status: 413,
                headers: vec![("content-type".to_owned(), "text/html".to_owned())],
                body: b"<html><title>PayloadTooLargeError: request entity too large</title></html>"
                    .to_vec(),
            });
        }
        if !request.body.is_empty() && request.header("content-type") != Some("application/json") {
            return Err(refusal(
                415,
                "ContentTypeError",
                "We do not accept this content type",
            ));
        }
        if let (Some(left), true) = (&mut self.writes_left, request.method != "GET") {
            let less = left.checked_sub(1);
            *left = less.ok_or_else(|| refusal(503, "UnknownError", "no more writes"))?;
        }
        Ok(())
    }

    fn route(&mut self, request: &Request) -> Result<Answer, Answer> {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (request.method.as_str(), &parts[..]) {
            ("GET", ["api", "client", "features"]) => self.list(request, query),
            ("GET", ["api", "admin", "user"]) => Ok(Answer::json(200, &caller())),
            ("GET", ["api", "admin", "ui-config"]) => Ok(Answer::json(200, &self.ui())),
            (_, ["api", "admin", "projects", project, rest @ ..]) => {
                match (request.method.as_str(), rest) {
                    ("GET", ["overview"]) => self.overview(project),
                    ("POST", ["features"]) => self.create(project, &request.json()),
                    ("GET", ["features", name]) => self.read(project, name),
                    ("PATCH", ["features", name]) => self.patch(project, name, &request.json()),
                    (_, ["features", name, "environments", place, rest @ ..]) => {
                        self.change(project, name, place, request, rest)
                    }
                    _ => Err(not_found("The path you were looking for is not available.")),
                }
            }
            _ => Err(not_found("The path you were looking for is not available.")),
        }
    }

    fn ui(&self) -> Value {
        let mut limits: Value = serde_json::from_str(LIMITS).expect("JSON");
        limits["constraintValues"] = json!(self.values);
        limits["featureEnvironmentStrategies"] = json!(self.strategies);
        let latest = json!({ "current": {}, "latest": {}, "isLatest": true });
        json!({ "version": "7.4.1", "unleashUrl": "", "baseUriPath": "", "versionInfo": latest, "resourceLimits": limits })
    }

    fn overview(&self, project: &str) -> Result<Answer, Answer> {
        let places = self
            .projects
            .get(project)
            .ok_or_else(|| not_found("No project found"))?;
        let places: Vec<Value> = places
            .iter()
            .map(|it| json!({ "environment": it }))
            .collect();
        let status = json!({ "status": "onboarded" });
        let shown = json!({ "version": 1, "name": project, "onboardingStatus": status, "environments": places });
        Ok(Answer::json(200, &shown))
    }

    fn create(&mut self, project: &str, body: &Value) -> Result<Answer, Answer> {
        let name = body["name"].as_str().unwrap_or_default();
        match self.features.get(name) {
            Some(feature) => {
                let which = if feature.archived { "An archived" } else { "A" };
                let message = format!("{which} flag with that name already exists");
                return Err(refusal(409, "NameExistsError", &message));
            }
            None if !self.projects.contains_key(project) => {
                return Err(not_found(&format!(
                    "Active project with id {project} does not exist"
                )));
            }
            None => {}
        }
        let places = self.projects[project].clone();
        let feature = self.put(name);
        feature.project = project.to_owned();
        feature.environments = places
            .into_iter()
            .map(|it| (it, Environment::default()))
            .collect();
        feature.kind = body["type"].as_str().unwrap_or("release").to_owned();
        feature.describe(&body["description"]);
        Ok(Answer::json(201, &feature.show(name)))
    }

    fn read(&mut self, project: &str, name: &str) -> Result<Answer, Answer> {
        let feature = self.feature(project, name)?;
        if feature.archived {
            return Err(not_found(&format!(
                "Could not find feature flag with name {name}"
            )));
        }
        let mut shown = feature.show(name);
        let places = feature.environments.iter();
        let places = places.map(|(place, it)| json!({ "name": place, "enabled": it.enabled, "strategies": it.strategies }));
        shown["environments"] = places.collect();
        shown["dependencies"] = feature.dependencies();
        Ok(Answer::json(200, &shown))
    }

    fn patch(&mut self, project: &str, name: &str, body: &Value) -> Result<Answer, Answer> {
        let feature = self.feature(project, name)?;
        for operation in body.as_array().into_iter().flatten() {
            match (operation["op"].as_str(), operation["path"].as_str()) {
                (Some("add" | "replace"), Some("/description")) => {
                    feature.describe(&operation["value"])
                }
                (Some("add" | "replace"), Some("/type")) => {
                    feature.kind = operation["value"].as_str().unwrap_or_default().to_owned();
                }
                _ => {
                    return Err(refusal(
                        400,
                        "BadDataError",
                        "the stand-in changes no other members",
                    ));
                }
            }
        }
        let shown = feature.show(name);
        self.bump(None);
        Ok(Answer::json(200, &shown))
    }

    fn feature(&mut self, project: &str, name: &str) -> Result<&mut Feature, Answer> {
        let found = self
            .features
            .get_mut(name)
            .filter(|it| it.project == project);
        found.ok_or_else(|| {
            not_found(&format!(
                "There's no feature named \"{name}\" in project \"{project}\"."
            ))
        })
    }

    /// A change of a feature in an environment.
    fn change(
        &mut self,
        project: &str,
        name: &str,
        place: &str,
        request: &Request,
        what: &[&str],
    ) -> Result<Answer, Answer> {
        if self.guarded.contains(place) {
            let message = "You don't have the required permissions to perform this operation. To perform this action, \
                           you need the \"SKIP_CHANGE_REQUEST\" permission.";
            return Err(refusal(403, "PermissionError", message));
        }
        self.ids += 1;
        let id = format!("{:08x}-6fd2-4f2a-9d3c-0242ac120002", self.ids);
        let (values, strategies) = (self.values, self.strategies);
        let thief = matches!(what, ["on"]) && std::mem::take(&mut self.thief);
        let feature = self.feature(project, name)?;
        let is_archived = feature.archived;
        let environment = feature.environments.get_mut(place);
        let answer = match (request.method.as_str(), what, environment) {
            ("POST", ["on" | "off"], None) => Err(not_found(&format!(
                "Could not find environment {place} for feature: {name}"
            ))),
            (_, _, None) => Err(bad(
                "You have not added the current environment to the project",
            )),
            ("POST", ["on" | "off"], _) if is_archived => {
                let message = "Cannot perform this operation on archived features";
                Err(refusal(400, "ArchivedFeatureError", message))
            }
            ("POST", ["on"], Some(it)) => {
                if thief {
                    it.strategies.clear();
                }
                Ok(it.turn_on(&id, name))
            }
            ("POST", ["off"], Some(it)) => {
                it.enabled = false;
                Ok(empty(200))
            }
            ("POST", ["strategies"], Some(it)) => {
                it.add(&id, name, &request.json(), values, strategies)
            }
            ("PUT", ["strategies", id], Some(it)) => it.rewrite(id, name, request.json(), values),
            ("DELETE", ["strategies", id], Some(it)) => it.remove(id),
            _ => Err(not_found("The path you were looking for is not available.")),
        }?;
        if !self.lags {
            self.bump(Some(place));
        }
        self.history
            .push((place.to_owned(), self.show_list(project, place)));
        Ok(answer)
    }

    /// What SDKs are told, unless they know it.
    fn list(&mut self, request: &Request, query: &str) -> Result<Answer, Answer> {
        let query: HashMap<&str, &str> = query
            .split('&')
            .filter_map(|it| it.split_once('='))
            .collect();
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
        let features = self
            .features
            .iter()
            .filter(|(_, it)| it.project == project && !it.archived);
        let features: Vec<Value> = features
            .map(|(name, it)| it.show_to_sdks(name, place))
            .collect();
        let query =
            json!({ "project": [project], "environment": place, "inlineSegmentConstraints": true });
        json!({ "version": 2, "features": features, "query": query })
    }
}

impl Feature {
    fn describe(&mut self, text: &Value) {
        self.description = text.as_str().filter(|it| !it.is_empty()).map(str::to_owned);
    }

    fn show(&self, name: &str) -> Value {
        json!({ "name": name, "description": self.description, "type": self.kind, "project": self.project,
                "stale": self.stale, "impressionData": self.impression_data, "archived": self.archived })
    }

    fn dependencies(&self) -> Value {
        let parents = self.parent.iter();
        parents
            .map(|it| json!({ "feature": it, "enabled": true, "variants": [] }))
            .collect()
    }

    /// Without ids and disabled strategies; the constraints of segments are among the others. Environments that do
    /// not exist are shown too.
    fn show_to_sdks(&self, name: &str, place: &str) -> Value {
        let environment = self.environments.get(place).cloned().unwrap_or_default();
        let strategies = environment
            .strategies
            .into_iter()
            .filter(|it| it["disabled"] != true);
        let strategies = strategies.map(|it| {
            let segments = it["segments"].as_array().into_iter().flatten();
            let inlined = segments.map(|_| serde_json::from_str(SEGMENT).expect("JSON"));
            let own = it["constraints"].as_array().into_iter().flatten().cloned();
            let constraints: Vec<Value> = own.chain(inlined).collect();
            json!({ "name": it["name"], "constraints": constraints, "parameters": it["parameters"], "variants": it["variants"] })
        });
        let mut shown = self.show(name);
        shown["strategies"] = strategies.collect();
        shown["enabled"] = json!(environment.enabled);
        shown["variants"] = json!([]);
        if self.parent.is_some() {
            shown["dependencies"] = self.dependencies();
        }
        shown.as_object_mut().expect("an object").remove("archived");
        shown
    }
}

impl Environment {
    /// Where nothing lets a user through, Unleash adds a strategy that lets everyone through.
    fn turn_on(&mut self, id: &str, name: &str) -> Answer {
        if self.strategies.iter().all(|it| it["disabled"] == true) {
            let everyone = json!({ "name": "flexibleRollout" });
            self.strategies.push(strategy(id, name, &everyone));
        }
        self.enabled = true;
        empty(200)
    }

    fn add(
        &mut self,
        id: &str,
        name: &str,
        body: &Value,
        values: usize,
        strategies: usize,
    ) -> Result<Answer, Answer> {
        if self.strategies.len() >= strategies {
            return Err(exceeds("strategy", strategies));
        }
        check(body, values)?;
        let new = strategy(id, name, body);
        self.strategies.push(new.clone());
        Ok(Answer::json(200, &new))
    }

    /// What the body leaves out is gone, apart from these.
    fn rewrite(
        &mut self,
        id: &str,
        name: &str,
        mut body: Value,
        values: usize,
    ) -> Result<Answer, Answer> {
        let found = self.strategies.iter_mut().find(|it| it["id"] == id);
        let found = found.ok_or_else(|| no_strategy(id))?;
        check(&body, values)?;
        for kept in ["title", "disabled", "segments"] {
            let kept_if_missing = body[kept].take();
            body[kept] = if kept_if_missing.is_null() {
                found[kept].take()
            } else {
                kept_if_missing
            };
        }
        *found = strategy(id, name, &body);
        let answer = Answer::json(200, found);
        self.settle();
        Ok(answer)
    }

    fn remove(&mut self, id: &str) -> Result<Answer, Answer> {
        let index = self.strategies.iter().position(|it| it["id"] == id);
        self.strategies
            .remove(index.ok_or_else(|| no_strategy(id))?);
        self.settle();
        Ok(empty(200))
    }

    /// Without a strategy that is not disabled, it is turned off.
    pub(super) fn settle(&mut self) {
        self.enabled &= self.strategies.iter().any(|it| it["disabled"] != true);
    }
}

/// A strategy as Unleash keeps it.
pub(super) fn strategy(id: &str, name: &str, body: &Value) -> Value {
    let list = |member: &str| json!(body[member].as_array().cloned().unwrap_or_default());
    let mut parameters = json!({ "rollout": "100", "stickiness": "default", "groupId": name });
    for (key, value) in body["parameters"].as_object().into_iter().flatten() {
        parameters[key] = value.clone();
    }
    json!({ "id": id, "name": body["name"], "title": body["title"], "disabled": body["disabled"] == true,
            "constraints": list("constraints"), "parameters": parameters, "variants": list("variants"),
            "segments": list("segments"), "sortOrder": 0 })
}

/// Whether Unleash takes a strategy.
fn check(body: &Value, values: usize) -> Result<(), Answer> {
    if body["name"] != "flexibleRollout" {
        return Err(bad(&format!(
            "Could not find strategy type with name {}",
            body["name"]
        )));
    }
    for constraint in body["constraints"].as_array().into_iter().flatten() {
        let list = constraint["values"].as_array().cloned().unwrap_or_default();
        if list.is_empty() {
            return Err(bad(
                "\"value\" must contain at least 1 items. You provided [].",
            ));
        }
        if list.len() > values {
            return Err(exceeds("constraint values for userId", values));
        }
        for value in list.iter().filter_map(Value::as_str) {
            if value.contains('\0') {
                return Err(refusal(
                    500,
                    "UnknownError",
                    "unsupported Unicode escape sequence",
                ));
            }
            if value.is_empty() || value.encode_utf16().count() > 100 {
                return Err(bad(
                    "\"values[0]\" length must be less than or equal to 100 characters long",
                ));
            }
        }
    }
    Ok(())
}

/// Which of these users its engine lets through, by what SDKs are told.
pub(super) fn served<'u>(list: &Value, name: &str, users: &[&'u str]) -> BTreeSet<&'u str> {
    let message: UpdateMessage = serde_json::from_value(list.clone()).expect("what SDKs are told");
    let engine = EngineState::default();
    let warnings = engine.take_state(message).map(|it| it.len());
    assert_eq!(
        warnings, None,
        "the engine does not understand all strategies"
    );
    let is_served = |user: &&str| {
        let properties = [("tenant".to_owned(), (*user).to_owned())].into();
        let context = Context {
            user_id: Some((*user).to_owned()),
            properties: Some(properties),
            ..Context::default()
        };
        engine.is_enabled(name, &context, &None)
    };
    users.iter().copied().filter(is_served).collect()
}

fn misfits_of_answer(request: &Request, answer: &Answer) -> Vec<String> {
    match answer.status {
        200..=299 => misfits(request, Some(answer)),
        _ => Vec::new(),
    }
}

/// What `GET user` answers to an API token: the token too.
fn caller() -> Value {
    json!({
        "user": { "username": "admin", "permissions": ["ADMIN"], "environment": "*", "type": "admin", "secret": TOKEN,
                  "projects": ["*"], "internalAdminTokenUserId": -42 },
        "permissions": [{ "permission": "ADMIN" }], "feedback": [], "splash": {},
    })
}

fn refusal(status: u16, name: &str, message: &str) -> Answer {
    Answer::json(
        status,
        &json!({ "name": name, "message": message, "details": [{ "message": message }] }),
    )
}

fn not_found(message: &str) -> Answer {
    refusal(404, "NotFoundError", message)
}

fn bad(message: &str) -> Answer {
    refusal(400, "BadDataError", message)
}

fn exceeds(what: &str, limit: usize) -> Answer {
    let message = format!(
        "Failed to create {what}. You can't create more than the established limit of {limit}."
    );
    refusal(400, "ExceedsLimitError", &message)
}

fn no_strategy(id: &str) -> Answer {
    not_found(&format!("Could not find strategy with id={id}"))
}

/// As `GET ui-config` has them where no other is set.
const LIMITS: &str = r#"{"segmentValues": 1000, "strategySegments": 5, "signalEndpoints": 5, "actionSetActions": 10,
    "actionSetsPerProject": 5, "actionSetFilters": 5, "actionSetFilterValues": 25, "signalTokensPerEndpoint": 5,
    "featureEnvironmentStrategies": 30, "constraintValues": 250, "constraints": 30, "environments": 50,
    "projects": 500, "apiTokens": 2000, "segments": 300, "featureFlags": 5000, "releaseTemplates": 5}"#;

fn empty(status: u16) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: Vec::new(),
    }
}
