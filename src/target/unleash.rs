//! Unleash, by its admin API.

mod feature;
mod marked;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::mark::Mark;
use super::{Target, Type, one_by_one, toggles_of_projects};
use crate::address::Address;
use crate::check::{Answers, Told};
use crate::config::{self, Config, Form, Key, OWNER, PeerType, TLS, TargetType, Toggle, ValueKind};
use crate::crew::lock;
use crate::error::{Failure, Kind, quote};
use crate::http::{Answer, Client, Object, Request};
use crate::job::{Applied, Applies, Edit, Marked, Reads, TargetId, TargetTerms, ToggleId, What};
use crate::metrics::Requests;
use crate::plan::{Environment, Observed, Present};
use crate::secret::Secret;
use crate::users::Users;
use feature::{FeatureAnswer, ListedFeature, Room, State, Step, body};
use marked::TagsOfMarked;

/// Unleash has 4 connections to its database, unless it is told otherwise (`DATABASE_POOL_MAX`).
const AT_ONCE: usize = 4;

/// The limits of an Unleash that does not tell its own.
const DEFAULT_ROOM: Room = Room {
    values: 250,
    strategies: 30,
};

/// How often an environment is read again and put right, where others may have changed it meanwhile.
const ROUNDS: usize = 3;

pub(super) static TYPE: Type = Type {
    config: TargetType {
        peer: PeerType {
            name: "unleash",
            says: "A toggle is a feature flag of Unleash: in each environment, strategies whose constraint lists \
                   the users. If there are none, the environment is off.",
            keys: &[KEYS, &[OWNER], TLS],
            check: |_, _| {},
        },
        place: "url",
        toggle_key: Some(&FEATURE),
        spec: SPEC,
        project: Some("project"),
        is_served: false,
        shows_revision: false,
        shares: |_| None,
    },
    open: |config, id, requests, _| Ok(Box::new(Unleash::new(config, id, requests)?)),
};

const KEYS: &[Key] = &[
    Key::required(
        "url",
        ValueKind::Address(&["/api/admin", "/api"]),
        "\"https://unleash.example.com\"",
    )
    .was(&["base_url", "endpoint_url", "unleash_url"])
    .says("Where Unleash is, without `/api`."),
    Key::required("token", ValueKind::Token("url"), "\"${UNLEASH_TOKEN}\"")
        .was(&["api_token", "admin_token"])
        .says(
            "An admin token, or the token of a service account or a person that may create features and \
             update their strategies and environments.",
        ),
];

const SPEC: config::Spec = config::Spec::Keys(&[
    Key::default("project", ValueKind::Word(&PROJECT), "\"default\"").says("The project's id."),
    Key::required(
        "environments",
        ValueKind::Set(&ENVIRONMENT),
        "[\"production\", \"development\"]",
    )
    .says("The environments in which the feature is kept. Others are left alone."),
    Key::default("type", ValueKind::Word(&KIND), "\"permission\"").says(
        "The feature's type: `release`, `experiment`, `operational`, `kill-switch` or `permission`. That of a \
         feature that exists is changed.",
    ),
    Key::optional("description", ValueKind::Text, "\"set by policy\"")
        .says("Left alone where it is not set."),
    Key::default("context_field", ValueKind::Word(&FIELD), "\"userId\"")
        .says("The context field whose values the rule lists."),
]);

const FEATURE: Form = name("Unleash feature name");
const PROJECT: Form = name("Unleash project id");
const ENVIRONMENT: Form = name("Unleash environment");
const FIELD: Form = name("Unleash context field");
const KIND: Form = Form {
    is_met: |text| KINDS.contains(&text),
    code: "invalid-key",
    what: "type of an Unleash feature",
    of: "one of the words `release`, `experiment`, `operational`, `kill-switch` and `permission`",
};
const KINDS: [&str; 5] = [
    "experiment",
    "kill-switch",
    "operational",
    "permission",
    "release",
];

/// A name as Unleash has them (`nameType` of unleash-server).
const fn name(what: &'static str) -> Form {
    Form {
        is_met: |text| {
            let is_of_url = |c: char| c.is_ascii_alphanumeric() || "-_.!~*'()".contains(c);
            (1..=100).contains(&text.len())
                && text.chars().all(is_of_url)
                && ![".", ".."].contains(&text)
        },
        code: "invalid-key",
        what,
        of: "at most 100 letters, digits and any of `-_.!~*'()`",
    }
}

/// What a toggle's `spec` says to Unleash.
#[derive(Deserialize)]
struct Spec {
    #[serde(skip)]
    key: String,
    project: String,
    environments: Vec<String>,
    /// Empty for one that is retired, as all that only describes it.
    #[serde(rename = "type", default)]
    kind: String,
    description: Option<String>,
    #[serde(default)]
    context_field: String,
    /// It has left the configuration, and is only turned off.
    #[serde(skip)]
    is_retired: bool,
}

impl Spec {
    /// Reads it from the configuration, which was checked.
    fn of(toggle: &Toggle) -> Result<Spec, String> {
        let spec = serde_json::from_value(Value::Object(toggle.spec.clone()));
        let mut spec: Spec =
            spec.map_err(|error| format!("toggle {}: spec: {error}", toggle.key))?;
        spec.key = toggle.key.clone();
        spec.is_retired = toggle.rule.is_none();
        Ok(spec)
    }

    /// The feature in messages.
    fn about(&self) -> String {
        format!("feature {} of project {}", self.key, self.project)
    }

    /// A feature that is retired, and is off because it is gone.
    fn gone(&self) -> Present {
        let off = |_| Ok(Environment::of(Arc::default()));
        Present {
            described: true,
            environments: self.environments.iter().map(off).collect(),
        }
    }

    fn depends_on(&self, parent: &str) -> Failure {
        refuse(format!(
            "{} depends on the feature {parent}, and is off for users who are to have it wherever that is: \
             remove the dependency in Unleash",
            self.about()
        ))
    }

    fn has_no_environment(&self, environment: &str) -> Failure {
        refuse(format!(
            "the project {} has no environment {environment}: correct `environments`, or add it to the \
             project in Unleash",
            self.project
        ))
    }
}

/// A feature as it was last read, with what was changed of it since.
struct Known {
    /// Apart from the mark.
    is_described: bool,
    is_marked: bool,
    /// In the order of `spec`; none for one that is not there, is being changed, or failed to be.
    environments: Vec<Option<Seen>>,
}

struct Seen {
    state: State,
    /// That of the list in which it was seen; none if it was read or changed since.
    tag: Option<Arc<str>>,
}

struct Unleash {
    url: Address,
    token: Secret,
    client: Client,
    specs: BTreeMap<ToggleId, Spec>,
    mark: Mark,
    known: Mutex<HashMap<ToggleId, Known>>,
    /// The environments of projects, as they were last read.
    projects: Mutex<HashMap<String, BTreeSet<String>>>,
    /// None if it has to be asked for.
    room: Mutex<Option<Room>>,
}

impl Unleash {
    fn new(config: &Config, id: TargetId, requests: Requests) -> Result<Unleash, String> {
        let settings = &config.targets[id].settings;
        let toggles = config.toggles_at(id);
        let specs = toggles.map(|(id, toggle)| Ok((id, Spec::of(toggle)?)));
        Ok(Unleash {
            url: settings.address("url")?.clone(),
            token: settings.secret("token")?.clone(),
            client: Client::new(config, AT_ONCE, &settings.tls(), requests)?,
            specs: specs.collect::<Result<_, String>>()?,
            mark: Mark::of(config, id),
            known: Mutex::default(),
            projects: Mutex::default(),
            room: Mutex::default(),
        })
    }

    /// A request for something below `/api/admin`.
    fn request(&self, method: Method, path: &[&str]) -> Request<'_> {
        let segments = ["api", "admin"].into_iter().chain(path.iter().copied());
        Request::new(method, self.url.join(segments), Some(&self.token))
    }

    fn send(&self, request: Request<'_>, about: &str) -> Result<Answer, Failure> {
        let answer = self.client.send(request)?;
        match answer.status {
            200..=299 | 304 => Ok(answer),
            _ => Err(refusal_of(&answer).about(about)),
        }
    }

    /// A request about a feature, or something of it.
    fn of_feature(&self, method: Method, spec: &Spec, path: &[&str]) -> Request<'_> {
        let feature = ["projects", &spec.project, "features", &spec.key];
        self.request(method, &[&feature, path].concat())
    }

    fn read_one(&self, id: ToggleId) -> Result<Observed, Failure> {
        let spec = &self.specs[&id];
        let read = self.read_feature(spec);
        let read = read.and_then(|answer| Ok((answer, self.read_tags(spec)?)));
        let (answer, tags) = match read {
            Ok(read) => read,
            Err(failure) if failure.is_status(404) => return self.absent(spec),
            Err(failure) => return Err(failure),
        };
        let is_marked = self.is_marked(spec, &tags)?;
        if spec.is_retired && !is_marked {
            return self.absent(spec);
        }
        let seen = |environment: &String| {
            let state = answer.state(environment, spec)?;
            Some(Seen { state, tag: None })
        };
        let known = Known {
            is_described: answer.metadata.follow(spec),
            is_marked,
            environments: spec.environments.iter().map(seen).collect(),
        };
        let present = known.present(spec);
        lock(&self.known).insert(id, known);
        Ok(Observed::Present(present))
    }

    fn read_feature(&self, spec: &Spec) -> Result<FeatureAnswer, Failure> {
        let request = self.of_feature(Method::GET, spec, &[]);
        self.send(request, &spec.about())?.json()
    }

    /// What is said of a feature that is not there, or no longer ours.
    fn absent(&self, spec: &Spec) -> Result<Observed, Failure> {
        match spec.is_retired {
            true => Ok(Observed::Present(spec.gone())),
            false => self.to_be_created(spec),
        }
    }

    /// A feature that is to be created, after a look at where.
    fn to_be_created(&self, spec: &Spec) -> Result<Observed, Failure> {
        let there = self.environments_of(spec)?;
        let environments = spec.environments.iter().enumerate();
        let wrong = environments.filter(|(_, key)| !there.contains(*key));
        let wrong = wrong.map(|(number, key)| (number, spec.has_no_environment(key)));
        Ok(Observed::Absent(wrong.collect()))
    }

    /// The environments of a toggle's project, asked for until all that the toggle needs are there.
    fn environments_of(&self, spec: &Spec) -> Result<BTreeSet<String>, Failure> {
        let has_all = |there: &&BTreeSet<String>| {
            let mut needed = spec.environments.iter();
            needed.all(|environment| there.contains(environment))
        };
        if let Some(there) = lock(&self.projects).get(&spec.project).filter(has_all) {
            return Ok(there.clone());
        }
        let there = self.read_project(&spec.project)?;
        lock(&self.projects).insert(spec.project.clone(), there.clone());
        Ok(there)
    }

    fn read_project(&self, project: &str) -> Result<BTreeSet<String>, Failure> {
        let about = format!("project {project}");
        let request = self.request(Method::GET, &["projects", project, "overview"]);
        let answer = self.send(request, &about).map_err(|failure| match failure.is_status(404) {
            true => refuse(format!(
                "the project {project} does not exist, or the token cannot see it: correct `project`, or \
                 create it in Unleash"
            )),
            false => failure,
        })?;
        let overview: Overview = answer.json()?;
        let environments = overview.environments.into_iter();
        Ok(environments.map(|Object(it)| it.environment).collect())
    }

    /// Reads toggles of one batch from the list that SDKs get in each environment, where that takes fewer
    /// requests. Those that it does not tell about are left unknown.
    ///
    /// `POST /api/admin/features-batch/export` would tell more, but Unleash keeps each export as an event, with
    /// all that was exported.
    fn read_together(&self, ids: &[ToggleId]) -> Reads {
        let first = &self.specs[&ids[0]];
        let all = |ids: &[ToggleId], read: Result<Observed, Failure>| -> Reads {
            ids.iter().map(|id| (*id, read.clone())).collect()
        };
        let unknown = |ids| all(ids, Ok(Observed::Unknown));
        let searches = usize::from(self.mark.owner().is_some());
        if ids.len() <= first.environments.len() + searches {
            return unknown(ids);
        }
        lock(&self.projects).remove(&first.project);
        let mut specs = ids.iter().map(|id| &self.specs[id]);
        let kept = specs.find(|spec| !spec.is_retired);
        let absent = kept.map_or(Ok(Observed::absent()), |spec| self.to_be_created(spec));
        let read = absent.and_then(|absent| {
            let numbers = 0..first.environments.len();
            let missing = numbers.map(|number| self.list(ids, number));
            let missing = missing.collect::<Result<Vec<_>, Failure>>()?;
            let tags = self.tags_of_marked(&first.project)?;
            Ok((absent, missing.concat(), tags))
        });
        match read {
            // The list shows environments, too, that the project does not have.
            Ok((absent, ..)) if absent != Observed::absent() => unknown(ids),
            Ok((_, missing, tags)) => {
                let missing = BTreeSet::from_iter(missing);
                let read = |id: &ToggleId| match missing.contains(id) {
                    // It may be in another project, or archived, by now.
                    true if self.specs[id].is_retired => (*id, Ok(Observed::Unknown)),
                    true => (*id, Ok(Observed::absent())),
                    false => (*id, self.listed(*id, &tags)),
                };
                ids.iter().map(read).collect()
            }
            // Not every token that may change features may read what SDKs are told, and the list of a large
            // project may be too long. Whether it is that, a single feature tells.
            Err(failure) if is_of_list(&failure) => match self.read_one(ids[0]) {
                Err(failure) => all(ids, Err(failure)),
                read => [vec![(ids[0], read)], unknown(&ids[1..])].concat(),
            },
            Err(failure) => all(ids, Err(failure)),
        }
    }

    /// A toggle that was found in all lists. One that they do not tell all about is left unknown, and so is one
    /// without the mark: it may carry another one.
    fn listed(&self, id: ToggleId, tags: &TagsOfMarked) -> Result<Observed, Failure> {
        let spec = &self.specs[&id];
        let tags = match tags.get(&spec.key) {
            None if self.mark.owner().is_some() => return Ok(Observed::Unknown),
            tags => tags.map_or(&[][..], Vec::as_slice),
        };
        let is_marked = self.is_marked(spec, tags)?;
        let mut known = lock(&self.known);
        let Some(known) = known.get_mut(&id) else {
            return Ok(Observed::Unknown);
        };
        known.is_marked = is_marked;
        let present = known.present_if_whole(spec);
        Ok(present.map_or(Observed::Unknown, Observed::Present))
    }

    /// Follows the list of an environment, and returns the toggles that are missing in it.
    fn list(&self, ids: &[ToggleId], number: usize) -> Result<Vec<ToggleId>, Failure> {
        let Spec {
            project,
            environments,
            ..
        } = &self.specs[&ids[0]];
        let environment = &environments[number];
        let url = self.url.join(["api", "client", "features"]);
        // Names of projects and environments need no encoding.
        let url = format!("{url}?environment={environment}&project={project}");
        let tag = self.tag_of(ids, number);
        let header = tag.map(|tag| ("If-None-Match".to_owned(), Secret::new(&*tag)));
        let request = Request {
            headers: header.as_slice(),
            ..Request::new(Method::GET, url, Some(&self.token))
        };
        let answer = self.send(
            request,
            &format!("environment {environment} of project {project}"),
        )?;
        if answer.status == 304 {
            return Ok(Vec::new());
        }
        let List {
            features,
            query,
            meta,
        } = answer.json()?;
        if query.environment != *environment {
            let words = format!(
                "the list is of environment {}, not of {environment}",
                query.environment
            );
            return Err(Failure::new(Kind::Answer, words));
        }
        let tag: Option<Arc<str>> = meta.map(|Object(meta)| meta.etag.into());
        let features = features.iter().map(|Object(it)| (&*it.name, it));
        let features: HashMap<&str, &ListedFeature> = features.collect();
        let mut missing = Vec::new();
        let mut known = lock(&self.known);
        for id in ids {
            let spec = &self.specs[id];
            match features.get(&*spec.key) {
                Some(feature) => {
                    let known = known.entry(*id).or_insert_with(|| Known::new(spec));
                    known.see(number, feature, spec, tag.clone());
                }
                None => missing.push(*id),
            }
        }
        Ok(missing)
    }

    /// The tag of a list in which all of these toggles were seen as they are known.
    fn tag_of(&self, ids: &[ToggleId], number: usize) -> Option<Arc<str>> {
        let known = lock(&self.known);
        let tag = |id| {
            known
                .get(id)?
                .environments
                .get(number)?
                .as_ref()?
                .tag
                .as_ref()
        };
        let first = tag(&ids[0])?;
        let is_same = ids.iter().all(|id| tag(id) == Some(first));
        is_same.then(|| Arc::clone(first))
    }

    fn apply_one(&self, edit: &Edit) -> Result<Applied, Failure> {
        let id = edit.toggle;
        match &edit.what {
            What::Create => return self.create(id),
            What::Describe => self.describe(id)?,
            What::Update(number, users) => self.update(id, *number, users)?,
        }
        Ok(Applied::Done)
    }

    fn create(&self, id: ToggleId) -> Result<Applied, Failure> {
        let spec = &self.specs[&id];
        let mut body = json!({ "name": spec.key, "type": spec.kind });
        if let Some(description) = &spec.description {
            body["description"] = json!(description);
        }
        let request = self.request(Method::POST, &["projects", &spec.project, "features"]);
        match self.send(request.json(&body)?, &spec.about()) {
            Ok(_) => {
                let there = self.environments_of(spec)?;
                let seen = |environment| {
                    let state = State::default();
                    there
                        .contains(environment)
                        .then_some(Seen { state, tag: None })
                };
                let known = Known {
                    is_described: true,
                    is_marked: self.mark.owner().is_none(),
                    environments: spec.environments.iter().map(seen).collect(),
                };
                let present = known.present(spec);
                lock(&self.known).insert(id, known);
                Ok(Applied::Created(present))
            }
            // It was created a moment ago, or another instance of optoggles was faster.
            Err(failure) if failure.is_status(409) => match self.read_one(id)? {
                Observed::Absent(_) => Err(failure.with_kind(Kind::Misfit)),
                there => Ok(Applied::Found(there)),
            },
            Err(failure) => Err(failure),
        }
    }

    fn describe(&self, id: ToggleId) -> Result<(), Failure> {
        let spec = &self.specs[&id];
        let known = |known: &Known| (known.is_described, known.is_marked);
        let (is_described, is_marked) = lock(&self.known).get(&id).map(known).unwrap_or_default();
        // Where Unleash refuses the one, it may take the other.
        let marked = match is_marked {
            true => Ok(()),
            false => self.add_mark(spec),
        };
        let described = match is_described {
            true => Ok(()),
            false => self.patch(spec),
        };
        if let Some(known) = lock(&self.known).get_mut(&id) {
            known.is_described |= described.is_ok();
            known.is_marked |= marked.is_ok();
        }
        marked.and(described)
    }

    /// Patches what `spec` names: a `PUT` would reset what it does not.
    fn patch(&self, spec: &Spec) -> Result<(), Failure> {
        let add = |path: &str, value: &str| json!({ "op": "add", "path": path, "value": value });
        let mut patch = vec![add("/type", &spec.kind)];
        patch.extend(
            spec.description
                .as_deref()
                .map(|text| add("/description", text)),
        );
        let request = self.of_feature(Method::PATCH, spec, &[]).json(&patch)?;
        self.send(request, &spec.about()).map(drop)
    }

    fn update(&self, id: ToggleId, number: usize, users: &Users) -> Result<(), Failure> {
        self.take_steps(id, number, users).map_err(|failure| {
            // They may be others by now.
            *lock(&self.room) = None;
            // It may be about a strategy that others removed.
            match failure.is_status(404) && self.read_feature(&self.specs[&id]).is_ok() {
                true => failure.with_kind(Kind::Answer),
                false => failure,
            }
        })
    }

    fn take_steps(&self, id: ToggleId, number: usize, users: &Users) -> Result<(), Failure> {
        let spec = &self.specs[&id];
        let environment = &spec.environments[number];
        // Nothing is turned on before it has been read: others may have changed what it would let through.
        let is_enough = |state: &State| state.is_whole && (state.is_on || users.is_empty());
        let mut known = self.take(id, number).filter(is_enough);
        for _ in 0..ROUNDS {
            let mut state = match known.take() {
                Some(state) => state,
                None => self.read_environment(spec, environment)?,
            };
            let plan = state.plan(users, self.room(users)?, spec);
            // Others may do the same at the same time. Of two strategies for the same users, one goes; and if the
            // strategies are gone when the environment is turned on, Unleash has added one for everybody.
            let mut is_to_be_read = plan.steps.iter().any(Step::depends_on_others);
            for step in &plan.steps {
                match self.take_step(spec, environment, step) {
                    Err(failure) if failure.is_status(404) && matches!(step, Step::Remove(_)) => {
                        is_to_be_read = true;
                    }
                    taken => taken?,
                }
            }
            if is_to_be_read {
                continue;
            }
            if let Some(parent) = state.parent().filter(|_| !users.is_empty()) {
                return Err(spec.depends_on(parent));
            }
            plan.steps.into_iter().for_each(|step| state.took(step));
            if let Some(known) = lock(&self.known).get_mut(&id) {
                known.environments[number] = Some(Seen { state, tag: None });
            }
            let unfit = plan.unfit.map(|words| refuse(words).about(&spec.about()));
            return unfit.map_or(Ok(()), Err);
        }
        let words = format!("{} is changed by others at the same time", spec.about());
        Err(Failure::new(Kind::Answer, words))
    }

    /// What is known of an environment, which is about to be changed.
    fn take(&self, id: ToggleId, number: usize) -> Option<State> {
        let mut known = lock(&self.known);
        let seen = known.get_mut(&id)?.environments.get_mut(number)?.take();
        seen.map(|seen| seen.state)
    }

    /// Touches what is known of no other environment: that may be changed at the same time.
    fn read_environment(&self, spec: &Spec, environment: &str) -> Result<State, Failure> {
        let state = self.read_feature(spec)?.state(environment, spec);
        let off = spec.is_retired.then(State::default);
        state
            .or(off)
            .ok_or_else(|| spec.has_no_environment(environment))
    }

    fn take_step(&self, spec: &Spec, environment: &str, step: &Step) -> Result<(), Failure> {
        let request = |method: Method, path: &[&str]| {
            self.of_feature(
                method,
                spec,
                &[&["environments", environment], path].concat(),
            )
        };
        let request = match step {
            Step::Add(users) => request(Method::POST, &["strategies"]).json(&body(spec, users))?,
            Step::Rewrite(id, users) => {
                request(Method::PUT, &["strategies", id]).json(&body(spec, users))?
            }
            Step::Remove(id) => request(Method::DELETE, &["strategies", id]),
            Step::TurnOn => request(Method::POST, &["on"]),
            Step::TurnOff => request(Method::POST, &["off"]),
        };
        let about = format!("{} in {environment}", spec.about());
        self.send(request, &about).map(drop)
    }

    /// What Unleash allows, or the defaults if it does not tell: only how users are spread depends on it.
    fn room(&self, users: &Users) -> Result<Room, Failure> {
        let known = *lock(&self.room);
        if users.is_empty() || known.is_some() {
            return Ok(known.unwrap_or(DEFAULT_ROOM));
        }
        match self.read_room() {
            Ok(room) => Ok(*lock(&self.room).insert(room.unwrap_or(DEFAULT_ROOM))),
            Err(failure) if failure.pause.is_none() => Ok(DEFAULT_ROOM),
            Err(failure) => Err(failure),
        }
    }

    fn read_room(&self) -> Result<Option<Room>, Failure> {
        let answer = self.send(self.request(Method::GET, &["ui-config"]), "the limits")?;
        let ui: Ui = answer.json()?;
        Ok(ui.resource_limits.map(|Object(limits)| Room {
            values: limits.constraint_values.unwrap_or(DEFAULT_ROOM.values),
            strategies: limits
                .feature_environment_strategies
                .unwrap_or(DEFAULT_ROOM.strategies),
        }))
    }

    fn who_am_i(&self) -> Result<String, Failure> {
        let request = self.request(Method::GET, &["user"]);
        let Caller { user } = self.send(request, "the token")?.json()?;
        let of = match user.kind.as_deref() {
            Some(kind) => format!("an API token of type {}", quote(kind.as_bytes())),
            None => "the token of a person or service account".to_owned(),
        };
        let name = user.name.as_ref().or(user.username.as_ref());
        Ok(match name {
            Some(name) => format!("{of}, called {:?}", quote(name.as_bytes())),
            None => of,
        })
    }

    fn tell_room(&self) -> Result<Told, Failure> {
        let told = self.read_room()?;
        let Room { values, strategies } = told.unwrap_or(DEFAULT_ROOM);
        let users = values.saturating_mul(strategies);
        let words = format!(
            "{users} users of a toggle in an environment, in {strategies} strategies of {values}"
        );
        Ok(match told {
            Some(_) => Told::from(words),
            None => Told::warning(format!(
                "Unleash does not tell them; the defaults are {words}"
            )),
        })
    }
}

impl Known {
    /// One of which nothing is known.
    fn new(spec: &Spec) -> Known {
        Known {
            is_described: false,
            is_marked: false,
            environments: spec.environments.iter().map(|_| None).collect(),
        }
    }

    /// Follows what a list shows of it. The ids of strategies, which it does not show, are kept where nothing
    /// else differs.
    fn see(&mut self, number: usize, listed: &ListedFeature, spec: &Spec, tag: Option<Arc<str>>) {
        self.is_described = listed.metadata.follow(spec);
        let state = listed.state(spec);
        let known = self.environments[number].take();
        let known = known
            .map(|seen| seen.state)
            .filter(|known| known.looks_like(&state));
        let state = known.unwrap_or(state);
        self.environments[number] = Some(Seen { state, tag });
    }

    /// Where each environment is known.
    fn present_if_whole(&self, spec: &Spec) -> Option<Present> {
        let is_whole = self.environments.iter().all(Option::is_some);
        is_whole.then(|| self.present(spec))
    }

    fn present(&self, spec: &Spec) -> Present {
        let environments = spec.environments.iter().zip(&self.environments);
        let observed = environments.map(|(key, seen)| match seen {
            Some(seen) => Ok(seen.state.observed()),
            None if spec.is_retired => Ok(Environment::of(Arc::default())),
            None => Err(spec.has_no_environment(key)),
        });
        Present {
            described: spec.is_retired || (self.is_described && self.is_marked),
            environments: observed.collect(),
        }
    }
}

impl Target for Unleash {
    fn terms(&self) -> TargetTerms {
        let toggles = self.specs.iter();
        let toggles = toggles.map(|(id, it)| (*id, &*it.project, &*it.environments, &[][..]));
        TargetTerms {
            readable: true,
            at_once: Some(AT_ONCE),
            reads_first: true,
            applies_together: false,
            finds_marked: self.mark.is_sought,
            toggles: toggles_of_projects(toggles),
        }
    }

    fn read(&self, toggles: &[ToggleId]) -> Reads {
        match toggles {
            [id] => vec![(*id, self.read_one(*id))],
            several => self.read_together(several),
        }
    }

    fn apply(&self, edits: &[Edit]) -> Applies {
        one_by_one(edits, |edit| self.apply_one(edit))
    }

    fn find_marked(&self) -> Result<Vec<Marked>, Failure> {
        self.left()
    }

    fn check(&self) -> Answers {
        let mut answers = vec![("token".to_owned(), self.who_am_i().map(Told::from))];
        if answers[0].1.is_err() {
            return answers;
        }
        let mut projects: BTreeMap<&str, BTreeMap<&str, &Spec>> = BTreeMap::new();
        for spec in self.specs.values() {
            let environments = spec.environments.iter().map(|it| (&**it, spec));
            projects
                .entry(&spec.project)
                .or_default()
                .extend(environments);
        }
        for (project, environments) in projects {
            let there = self.read_project(project);
            let exists = there.as_ref().map(|_| Told::from("exists"));
            answers.push((format!("project {project}"), exists.map_err(Failure::clone)));
            for (key, spec) in environments {
                let Ok(there) = &there else { continue };
                let exists = match there.contains(key) {
                    true => Ok(Told::from("exists")),
                    false => Err(spec.has_no_environment(key)),
                };
                answers.push((format!("environment {project}/{key}"), exists));
            }
        }
        answers.push(("limits".to_owned(), self.tell_room()));
        answers
    }
}

/// Whether the list cannot be read, which says little of its features.
fn is_of_list(failure: &Failure) -> bool {
    let kinds = matches!(
        failure.kind,
        Kind::Status(400..) | Kind::Answer | Kind::Timeout | Kind::Lost
    );
    kinds && failure.pause.is_none() && !failure.is_status(429)
}

/// A failure that lasts until the feature or the configuration is changed by hand.
fn refuse(words: impl Into<String>) -> Failure {
    Failure::new(Kind::Misfit, words)
}

/// What SDKs are told of a project in an environment.
#[derive(Deserialize)]
struct List {
    features: Vec<Object<ListedFeature>>,
    query: Object<Query>,
    meta: Option<Object<Meta>>,
}

#[derive(Deserialize)]
struct Query {
    environment: String,
}

#[derive(Deserialize)]
struct Meta {
    etag: String,
}

#[derive(Deserialize)]
struct Overview {
    environments: Vec<Object<EnvironmentOfProject>>,
}

#[derive(Deserialize)]
struct EnvironmentOfProject {
    environment: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ui {
    resource_limits: Option<Object<Limits>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Limits {
    constraint_values: Option<usize>,
    feature_environment_strategies: Option<usize>,
}

/// Whose token it is. The answer holds the token too.
#[derive(Deserialize)]
struct Caller {
    user: Object<User>,
}

#[derive(Deserialize)]
struct User {
    username: Option<String>,
    name: Option<String>,
    /// That of an API token.
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// The body of an error.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    message: String,
    details: Vec<Object<Detail>>,
}

#[derive(Deserialize)]
struct Detail {
    message: String,
}

impl Refusal {
    /// Unleash's own words: the details, where the message only refers to them. It repeats values, which can be users.
    fn words(answer: &Answer) -> String {
        let refusal: Refusal = serde_json::from_slice(&answer.body).unwrap_or_default();
        let details = refusal.details.iter().map(|it| {
            let repeated = it
                .message
                .find(" You provided ")
                .or(it.message.find(" You sent "));
            &it.message[..repeated.unwrap_or(it.message.len())]
        });
        let details: Vec<&str> = details.collect();
        match (&*details.join("; "), &*refusal.message) {
            // A page for people.
            ("", "") if answer.body.starts_with(b"<") => String::new(),
            ("", "") => quote(&answer.body),
            ("", words) | (words, _) => quote(words.as_bytes()),
        }
    }
}

fn refusal_of(answer: &Answer) -> Failure {
    let words = Refusal::words(answer);
    if answer.status == 404 && words.starts_with("The path you were looking for") {
        let advice = "Unleash's API is not there: correct `url`, which is written without `/api`";
        return answer.failure(&words, Some(advice)).with_kind(Kind::Misfit);
    }
    let advice = match answer.status {
        400 if words.starts_with("Tag type ") => Some("create it in Unleash, or remove `owner`"),
        401 => Some(
            "the token is wrong or has expired: set `token` of `[target]` to an admin token, or to the \
             token of a person or service account",
        ),
        403 if words.contains("SKIP_CHANGE_REQUEST") => Some(
            "changes in this environment need a change request: give the token the permission to skip them",
        ),
        403 => Some(
            "the token does not allow this: it has to be one that may change features, and not one for SDKs",
        ),
        409 => Some(
            "names are unique in all of Unleash, and archived features keep theirs: revive or delete that \
             one, or give the toggle another key",
        ),
        413 => Some("Unleash, or a proxy in front of it, takes no bodies of this size"),
        _ => None,
    };
    answer.failure(&words, advice)
}
