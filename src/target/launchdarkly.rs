//! LaunchDarkly, as its API description has it.

mod flag;
mod list;
mod marked;
mod segment;
mod spec;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::mark::Mark;
use super::{Target, Type, one_by_one, toggles_of_projects};
use crate::address::Address;
use crate::check::{Answers, Told};
use crate::config::{Config, Key, OWNER, PeerType, TLS, TargetType, ValueKind};
use crate::crew::lock;
use crate::error::{Failure, Kind, quote};
use crate::http::{Answer, Client, Request};
use crate::job::{Applied, Applies, Edit, Marked, Reads, TargetId, TargetTerms, ToggleId, What};
use crate::metrics::Requests;
use crate::plan::{Observed, Present};
use crate::secret::Secret;
use crate::users::Users;
use flag::{Flag, FlagAnswer, Looked, Patch, State, refuse};
use list::Lists;
use segment::{Segment, SegmentAnswer, Slot};
use spec::Spec;

/// More at once met 429s and timeouts so often that LaunchDarkly's own Terraform provider sends one
/// at a time.
const AT_ONCE: usize = 4;

const VERSION: (&str, &str) = ("LD-API-Version", "20240415");

/// Without this content type a PATCH would be a JSON patch.
const SEMANTIC_PATCH: &str = "application/json; domain-model=launchdarkly.semanticpatch";

pub(super) static TYPE: Type = Type {
    config: TargetType {
        peer: PeerType {
            name: "launchdarkly",
            says: "A toggle is a boolean flag of LaunchDarkly: in each environment, it is `true` for the users, and \
                   `false` for all others.",
            keys: &[KEYS, &[OWNER], TLS],
            check: |_, _| {},
        },
        place: "base_url",
        toggle_key: Some(&spec::FLAG),
        spec: spec::SPEC,
        project: Some("proj_key"),
        is_served: false,
        shows_revision: true,
        shares: spec::shares,
    },
    open: |config, id, requests, _| Ok(Box::new(LaunchDarkly::new(config, id, requests)?)),
};

const KEYS: &[Key] = &[
    Key::required(
        "token",
        ValueKind::Token("base_url"),
        "\"${LAUNCHDARKLY_TOKEN}\"",
    )
    .was(&["launchdarkly_token", "access_token", "api_key"])
    .says(
        "An access token with the role Writer, or one that may create flags and segments and update \
             their targeting.",
    ),
    Key::default(
        "base_url",
        ValueKind::Address(&["/api/v2", "/api"]),
        "\"https://app.launchdarkly.com\"",
    )
    .was(&["url", "endpoint_url"])
    .says(
        "Where LaunchDarkly's API is: `https://app.eu.launchdarkly.com` in the EU, \
             `https://app.launchdarkly.us` for federal customers.",
    ),
];

struct LaunchDarkly {
    token: Secret,
    base_url: Address,
    client: Client,
    headers: [(String, Secret); 1],
    specs: BTreeMap<ToggleId, Spec>,
    /// Each segment in each environment.
    slots: Vec<Slot>,
    mark: Mark,
    /// What there is to retire in projects without toggles, by project, until all that the token can see were
    /// searched: a 429 can interrupt that.
    elsewhere: Mutex<Option<BTreeMap<String, Vec<Marked>>>>,
    lists: Lists,
    /// Projects, and `project/environment`, that were there when a flag was missing.
    found: Mutex<BTreeSet<String>>,
    /// Each flag as it was last read or created, with what was changed of it since. What is being
    /// changed, or failed to be, is missing: nothing is changed before it has been read.
    flags: Mutex<HashMap<ToggleId, Flag>>,
}

impl LaunchDarkly {
    fn new(config: &Config, id: TargetId, requests: Requests) -> Result<LaunchDarkly, String> {
        let settings = &config.targets[id].settings;
        let mark = Mark::of(config, id);
        let toggles = config.toggles_at(id);
        let mut slots = Vec::new();
        let specs = toggles.map(|(id, toggle)| {
            let comment = match toggle.rule {
                Some(rule) => format!("optoggles: {}", config.rules[rule]),
                None => "optoggles: retired".to_owned(),
            };
            let mut spec = Spec::of(toggle, &mark, comment)?;
            spec.take_slots(&mut slots);
            Ok((id, spec))
        });
        let specs = specs.collect::<Result<_, String>>()?;
        Ok(LaunchDarkly {
            token: settings.secret("token")?.clone(),
            base_url: settings.address("base_url")?.clone(),
            client: Client::new(config, AT_ONCE, &settings.tls(), requests)?,
            headers: [(VERSION.0.to_owned(), Secret::new(VERSION.1))],
            specs,
            slots,
            mark,
            elsewhere: Mutex::new(Some(BTreeMap::new())),
            lists: Lists::default(),
            found: Mutex::default(),
            flags: Mutex::default(),
        })
    }

    /// A request for something below `/api/v2`.
    fn request(&self, method: Method, path: &[&str], query: &str) -> Request<'_> {
        let segments = ["api", "v2"].into_iter().chain(path.iter().copied());
        let mut url = self.base_url.join(segments);
        if !query.is_empty() {
            url.push_str(&format!("?{query}"));
        }
        Request {
            headers: &self.headers,
            ..Request::new(method, url, Some(&self.token))
        }
    }

    /// Sends a request about something.
    fn send(&self, request: Request<'_>, about: &str) -> Result<Answer, Failure> {
        let answer = self.client.send(request)?;
        match answer.status {
            200..=299 => Ok(answer),
            _ => Err(refusal_of(&answer, about)),
        }
    }

    /// The same where a 404 may be about the project or one of these environments.
    fn ask(
        &self,
        request: Request<'_>,
        spec: &Spec,
        environments: &[String],
    ) -> Result<Answer, Failure> {
        let sent = self.send(request, &spec.about());
        sent.map_err(|failure| match failure.is_status(404) {
            true => self.find(spec, environments).err().unwrap_or(failure),
            false => failure,
        })
    }

    fn read_one(&self, id: ToggleId) -> Result<Observed, Failure> {
        let spec = &self.specs[&id];
        let path = ["flags", &spec.proj_key, &spec.key];
        // A 404 can be about one of the environments: without these, it is about the flag.
        for query in [query_of(&spec.environments), String::new()] {
            match self.send(self.request(Method::GET, &path, &query), &spec.about()) {
                Ok(answer) => {
                    let kept = self.keep(id, answer.json()?, &mut BTreeMap::new());
                    return kept.map(Observed::Present);
                }
                Err(failure) if failure.is_status(404) => {}
                Err(failure) => return Err(failure),
            }
        }
        self.absent(spec)
    }

    /// What is said of a flag that is not there, or no longer ours.
    fn absent(&self, spec: &Spec) -> Result<Observed, Failure> {
        match spec.is_retired {
            true => Ok(Observed::Present(spec.gone())),
            false => self.to_be_created(spec),
        }
    }

    /// A flag that is to be created, after a look at where: until it is there, once for each project and
    /// environment.
    fn to_be_created(&self, spec: &Spec) -> Result<Observed, Failure> {
        let found = |path: &str| {
            let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            found.contains(path)
        };
        let note = |path: String, result: Result<(), Failure>| {
            match result {
                // A token may be allowed to keep flags, and not to look.
                Err(failure) if failure.is_status(403) => Ok(()),
                result => result,
            }
            .inspect(|()| {
                let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
                found.insert(path);
            })
        };
        let project = &spec.proj_key;
        if !found(project) {
            note(project.clone(), self.find_project(spec))?;
        }
        let mut wrong = Vec::new();
        for (number, key) in spec.environments.iter().enumerate() {
            let path = format!("{project}/{key}");
            if found(&path) {
                continue;
            }
            match note(path, self.find_environment(spec, key)) {
                Err(failure) if failure.kind == Kind::Misfit => wrong.push((number, failure)),
                looked => looked?,
            }
        }
        Ok(Observed::Absent(wrong))
    }

    /// Keeps a flag as it was read, and reads its segments, unless they were `looked` at for another flag.
    fn keep(
        &self,
        id: ToggleId,
        answer: FlagAnswer,
        looked: &mut BTreeMap<usize, Looked>,
    ) -> Result<Present, Failure> {
        let spec = &self.specs[&id];
        if spec.is_retired && !answer.is_marked(&self.mark) {
            return Ok(spec.gone());
        }
        let flag = answer.flag(spec)?;
        let mut segments = Vec::new();
        for slot in &spec.slots {
            let segment = looked
                .entry(*slot)
                .or_insert_with(|| self.look_at(&self.slots[*slot]));
            match segment {
                // Of this environment alone.
                Err(failure) if is_refusal(failure) => {}
                Err(failure) => return Err(failure.clone()),
                Ok(_) => {}
            }
            segments.push(Some(segment.clone()));
        }
        if spec.is_retired {
            segments = self.segments_of_retired(spec, &flag)?;
        }
        let present = flag.present(spec, &segments);
        self.flags().insert(id, flag);
        Ok(present)
    }

    /// In each environment of a flag that is to be retired, the segment whose members it serves. One that may
    /// not be read is as if it were none: who has the flag is not known then.
    fn segments_of_retired(
        &self,
        spec: &Spec,
        flag: &Flag,
    ) -> Result<Vec<Option<Looked>>, Failure> {
        let environments = spec.environments.iter().zip(&flag.environments);
        let look = |(environment, state): (&String, &Option<State>)| {
            let Some(key) = state.as_ref().and_then(|state| state.segment.clone()) else {
                return Ok(None);
            };
            let slot = Slot {
                project: spec.proj_key.clone(),
                environment: environment.clone(),
                key,
                kind: spec.context_kind.clone(),
                comment: String::new(),
                state: Mutex::default(),
            };
            match self.look_at(&slot) {
                Err(failure) if is_refusal(&failure) => Ok(None),
                segment => Ok(Some(Ok(segment?))),
            }
        };
        environments.map(look).collect()
    }

    /// A segment as it is known, else as it is.
    fn know(&self, slot: &Slot) -> Looked {
        let mut state = slot.lock();
        match &*state {
            Some(known) => Ok(known.clone()),
            None => self.read_segment(slot, &mut state),
        }
    }

    fn look_at(&self, slot: &Slot) -> Looked {
        self.read_segment(slot, &mut slot.lock())
    }

    fn read_segment(&self, slot: &Slot, state: &mut Option<Segment>) -> Looked {
        *state = None;
        let path = ["segments", &slot.project, &slot.environment, &slot.key];
        let segment = match self.send(self.request(Method::GET, &path, ""), &slot.about()) {
            Ok(answer) => slot.read(answer.json::<SegmentAnswer>()?)?,
            Err(failure) if failure.is_status(404) => Segment::absent(),
            Err(failure) => return Err(failure),
        };
        Ok(state.insert(segment).clone())
    }

    fn flags(&self) -> MutexGuard<'_, HashMap<ToggleId, Flag>> {
        self.flags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn patch(
        &self,
        id: ToggleId,
        environment: Option<&String>,
        instructions: &[flag::Instruction],
        comment: &str,
    ) -> Result<(), Failure> {
        if instructions.is_empty() {
            return Ok(());
        }
        let spec = &self.specs[&id];
        let body = Patch {
            environment_key: environment.map(String::as_str),
            comment,
            instructions,
        };
        let path = ["flags", &spec.proj_key, &spec.key];
        let environments = environment.map(slice::from_ref).unwrap_or_default();
        self.ask(self.semantic_patch(&path, &body)?, spec, environments)
            .map(drop)
    }

    fn semantic_patch(&self, path: &[&str], body: &impl Serialize) -> Result<Request<'_>, Failure> {
        let mut request = self.request(Method::PATCH, path, "").json(body)?;
        if let Some(body) = &mut request.body {
            body.content_type = SEMANTIC_PATCH;
        }
        Ok(request)
    }

    fn apply_one(&self, edit: &Edit) -> Result<Applied, Failure> {
        let id = edit.toggle;
        let mut comment = self.specs[&id].comment.clone();
        if let Some(revision) = &edit.revision {
            comment += &format!(", revision {revision}");
        }
        match &edit.what {
            What::Create => return self.create(id),
            What::Describe => self.describe(id, &comment)?,
            What::Update(environment, users) => self.update(id, *environment, users, &comment)?,
        }
        Ok(Applied::Done)
    }

    fn describe(&self, id: ToggleId, comment: &str) -> Result<(), Failure> {
        let known = self
            .flags()
            .get_mut(&id)
            .and_then(|flag| flag.description.take());
        self.patch(id, None, &known.ok_or_else(unread)?, comment)?;
        if let Some(flag) = self.flags().get_mut(&id) {
            flag.description = Some(Vec::new());
        }
        Ok(())
    }

    fn update(
        &self,
        id: ToggleId,
        number: usize,
        users: &Arc<Users>,
        comment: &str,
    ) -> Result<(), Failure> {
        let known = self.flags().get_mut(&id).and_then(|flag| flag.take(number));
        let (on, state) = known.ok_or_else(unread)?;
        let spec = &self.specs[&id];
        let kind = &spec.context_kind;
        let patch = |instructions: &[_]| {
            self.patch(id, spec.environments.get(number), instructions, comment)
        };
        match spec.slots.get(number).map(|slot| &self.slots[*slot]) {
            None if spec.is_retired => patch(state.retirement())?,
            None => patch(&state.patch(&on, users, kind))?,
            // Until the segment is whole, those who keep it have it as before.
            Some(slot) => {
                patch(&state.revocation(&on, users, kind))?;
                self.fill(slot, users, comment)?;
                patch(&state.patch(&on, &Arc::default(), kind))?;
            }
        }
        if let Some(flag) = self.flags().get_mut(&id) {
            flag.environments[number] = Some(State::of(users, spec));
        }
        Ok(())
    }

    /// Leaves exactly these users in a segment.
    fn fill(&self, slot: &Slot, users: &Arc<Users>, comment: &str) -> Result<(), Failure> {
        let mut known = slot.lock();
        let segment = known.take().ok_or_else(unread)?;
        if !segment.exists() {
            self.create_segment(slot)?;
        }
        let path = ["segments", &slot.project, &slot.environment, &slot.key];
        for instructions in segment.patches(&slot.kind, users) {
            let body = json!({
                "environmentKey": slot.environment,
                "comment": comment,
                "instructions": instructions,
            });
            let sent = self.send(self.semantic_patch(&path, &body)?, &slot.about());
            sent.map_err(of_a_segment)?;
        }
        *known = Some(Segment::of(Arc::clone(users)));
        Ok(())
    }

    fn create_segment(&self, slot: &Slot) -> Result<(), Failure> {
        let body = json!({ "key": slot.key, "name": slot.key, "description": slot.comment });
        let request = self.request(
            Method::POST,
            &["segments", &slot.project, &slot.environment],
            "",
        );
        let created = self.send(request.json(&body)?, &slot.about());
        created.map(drop).map_err(of_a_segment)
    }

    fn create(&self, id: ToggleId) -> Result<Applied, Failure> {
        let spec = &self.specs[&id];
        let request = self.request(Method::POST, &["flags", &spec.proj_key], "");
        match self.ask(request.json(&new_flag(spec))?, spec, &[]) {
            Ok(answer) => {
                // Its segments may be known from other toggles, and need not be read again.
                let known = |slot: &usize| (*slot, self.know(&self.slots[*slot]));
                let mut known = spec.slots.iter().map(known).collect();
                let kept = self.keep(id, answer.json()?, &mut known);
                kept.map(Applied::Created)
            }
            // It was created a moment ago, or another instance of optoggles was faster.
            Err(failure) if failure.is_status(409) => match self.read_one(id)? {
                Observed::Absent(_) => Ok(Applied::Found(Observed::Unknown)),
                there => Ok(Applied::Found(there)),
            },
            Err(failure) => Err(failure),
        }
    }

    /// Looks for the project of a toggle, and for environments.
    fn find(&self, spec: &Spec, environments: &[String]) -> Result<(), Failure> {
        self.find_project(spec)?;
        let mut environments = environments.iter();
        environments.try_for_each(|key| self.find_environment(spec, key))
    }

    fn find_project(&self, spec: &Spec) -> Result<(), Failure> {
        let project = &*spec.proj_key;
        let missing = format!(
            "the project {project} does not exist, or the token cannot see it: correct \
             `proj_key`, or create it in LaunchDarkly"
        );
        self.look(&["projects", project], missing)
    }

    fn find_environment(&self, spec: &Spec, key: &str) -> Result<(), Failure> {
        let path = ["projects", &spec.proj_key, "environments", key];
        self.look(&path, spec.has_no_environment(key))
    }

    fn who_am_i(&self) -> Result<String, Failure> {
        let caller: Caller = self.get(&["caller-identity"])?.json()?;
        let kind = match (caller.service_token, caller.token_kind.as_deref()) {
            (true, _) => "a service token",
            (false, Some("auth")) => "a personal token",
            _ => "a token",
        };
        Ok(match caller.token_name {
            Some(name) => format!("{kind} called {name:?}"),
            None => kind.to_owned(),
        })
    }

    /// Fails where it is not there, with the words of `missing`. The answer is not looked at: that of an
    /// environment holds its SDK keys.
    fn look(&self, path: &[&str], missing: impl Into<String>) -> Result<(), Failure> {
        match self.get(path) {
            Err(failure) if failure.is_status(404) => Err(refuse(missing)),
            looked => looked.map(drop),
        }
    }

    fn get(&self, path: &[&str]) -> Result<Answer, Failure> {
        let answer = self.client.send(self.request(Method::GET, path, ""))?;
        match answer.status {
            200..=299 => Ok(answer),
            status => {
                // Other words than these can hold an environment's SDK keys.
                let said = quote(Refusal::of(&answer).message.as_bytes());
                Err(answer.failure(&said, advice(status)))
            }
        }
    }
}

impl Target for LaunchDarkly {
    fn terms(&self) -> TargetTerms {
        let toggles = self.specs.iter();
        let toggles = toggles.map(|(id, it)| (*id, &*it.proj_key, &*it.environments, &*it.slots));
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
        let mut found: BTreeMap<String, Vec<Marked>> = BTreeMap::new();
        for project in self.specs.values().map(|spec| &spec.proj_key) {
            if !found.contains_key(project) {
                found.insert(project.clone(), self.marked_in(project)?);
            }
        }
        let mut elsewhere = lock(&self.elsewhere);
        if let Some(seen) = &mut *elsewhere {
            for project in self.projects()? {
                if !(found.contains_key(&project) || seen.contains_key(&project)) {
                    let marked = match self.marked_in(&project) {
                        Err(failure) if is_refusal(&failure) => Vec::new(),
                        marked => marked?,
                    };
                    seen.insert(project, marked);
                }
            }
        }
        found.extend(elsewhere.take().unwrap_or_default());
        Ok(found.into_values().flatten().collect())
    }

    fn check(&self) -> Answers {
        let token = self.who_am_i().map(Told::from);
        let mut projects: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut environments_found = BTreeSet::new();
        for spec in self.specs.values().filter(|_| token.is_ok()) {
            let environments = projects.entry(&spec.proj_key).or_default();
            environments.extend(spec.environments.iter().map(String::as_str));
        }
        let exists = |path: &[&str]| {
            let missing = "does not exist, or the token cannot see it";
            self.look(path, missing).map(|()| Told::from("exists"))
        };
        let mut found = vec![("token".to_owned(), token)];
        for (project, environments) in projects {
            let result = exists(&["projects", project]);
            let is_there = result.is_ok();
            found.push((format!("project {project}"), result));
            for key in environments.into_iter().filter(|_| is_there) {
                let result = exists(&["projects", project, "environments", key]);
                if result.is_ok() {
                    environments_found.insert((project, key));
                }
                found.push((format!("environment {project}/{key}"), result));
            }
        }
        let is_there =
            |slot: &&Slot| environments_found.contains(&(&*slot.project, &*slot.environment));
        for slot in self.slots.iter().filter(is_there) {
            let told = self.look_at(slot).map(|segment| segment.tell());
            let place = [&*slot.project, &slot.environment, &slot.key].join("/");
            found.push((format!("segment {place}"), told.map(Told::from)));
        }
        found
    }
}

/// A segment that is not there is not a flag that is not there: it is read, and created, again.
fn of_a_segment(failure: Failure) -> Failure {
    match failure.is_status(404) {
        true => failure.with_kind(Kind::Answer),
        false => failure,
    }
}

/// Whether something is refused that is not about to change, nor about everything.
fn is_refusal(failure: &Failure) -> bool {
    match failure.kind {
        Kind::Status(status) => (400..500).contains(&status) && ![401, 408, 429].contains(&status),
        kind => kind == Kind::Misfit,
    }
}

/// Nothing is changed before it has been read.
fn unread() -> Failure {
    Failure::new(Kind::Answer, "it has to be read before it is changed")
}

/// The body that creates a flag: boolean, and seen by the SDKs in browsers and on phones.
fn new_flag(spec: &Spec) -> impl Serialize {
    let mut body = json!({
        "key": spec.key,
        "name": spec.name,
        "variations": [{ "value": true }, { "value": false }],
        "clientSideAvailability": { "usingEnvironmentId": true, "usingMobileKey": true },
    });
    if let Some(description) = &spec.description {
        body["description"] = json!(description);
    }
    let tags = spec.all_tags();
    if !tags.is_empty() {
        body["tags"] = json!(tags);
    }
    body
}

/// `env=a&env=b`: the keys need no encoding.
fn query_of(environments: &[String]) -> String {
    format!("env={}", environments.join("&env="))
}

/// The answer about the identity of a token.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Caller {
    token_name: Option<String>,
    token_kind: Option<String>,
    #[serde(default)]
    service_token: bool,
}

/// The body of an error.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    code: String,
    message: String,
    access: Access,
}

/// What a token is not allowed to do.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Access {
    action: String,
    resource: String,
}

const APPROVALS: &str = "changes in this environment require approval: let the token bypass approvals, \
                         or do not require them for these flags";

fn refusal_of(answer: &Answer, about: &str) -> Failure {
    let refusal = Refusal::of(answer);
    let message = refusal.message.to_lowercase();
    let advice = match answer.status {
        // Approvals that are required come as 405, and sometimes as 403.
        403 if message.contains("approval") => Some(APPROVALS),
        405 => Some(APPROVALS),
        400 if message.contains("schedule") => Some(
            "it conflicts with a scheduled change: cancel that in LaunchDarkly, or wait for it",
        ),
        status => advice(status),
    };
    answer.failure(&refusal.words(answer), advice).about(about)
}

fn advice(status: u16) -> Option<&'static str> {
    match status {
        401 => {
            Some("the token is wrong or has expired: set `token` of `[target]` to an access token")
        }
        403 => Some(
            "the token does not allow this: give it the role Writer, or one that may create flags \
             and segments and update their targeting",
        ),
        _ => None,
    }
}

impl Refusal {
    fn of(answer: &Answer) -> Refusal {
        let mut refusal: Refusal = serde_json::from_slice(&answer.body).unwrap_or_default();
        let Access { action, resource } = &refusal.access;
        if !(action.is_empty() || resource.is_empty()) {
            refusal.message += &format!(": {action} on {resource}");
        }
        refusal
    }

    /// LaunchDarkly's own words; of an answer that is not in its form, all of it.
    fn words(&self, answer: &Answer) -> String {
        let words = [&*self.code, &*self.message];
        let words: Vec<&str> = words.into_iter().filter(|it| !it.is_empty()).collect();
        match &*words.join(": ") {
            "" => quote(&answer.body),
            words => quote(words.as_bytes()),
        }
    }
}
