//! What LaunchDarkly holds, and how it answers: without sockets and without a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::wire::{Answer, Request};
use super::flag::{ClientSide, Config, Flag, Variation};
use super::limit::Limit;
use super::query::Query;
use super::segment::Segment;
use super::{API_VERSION, refusal, refusal_with};

/// Projects with their flags, and the ways in which LaunchDarkly can be difficult.
pub(crate) struct Platform {
    token: String,
    pub(super) projects: BTreeMap<String, Project>,
    /// How many requests it answers.
    pub(crate) limit: Limit,
    /// A read that names an environment that does not exist answers 404; else it is left out.
    pub(crate) strict_environments: bool,
    /// How many requests that are no reads it still takes; none: any number.
    pub(crate) writes_left: Option<usize>,
    ids: u64,
}

#[derive(Default)]
pub(super) struct Project {
    pub(super) key: String,
    /// Each with the answer to a patch, where changes need an approval.
    pub(super) environments: BTreeMap<String, Option<Answer>>,
    pub(super) flags: BTreeMap<String, Flag>,
    /// By environment and key.
    pub(super) segments: BTreeMap<(String, String), Segment>,
}

/// The members of a new flag that the stand-in takes: those that optoggles has a use for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewFlag {
    key: String,
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    tags: BTreeSet<String>,
    variations: Vec<Variation>,
    client_side_availability: Option<ClientSide>,
}

impl Platform {
    /// Requires this token, and has no projects.
    pub(crate) fn new(token: &str) -> Platform {
        Platform {
            token: token.to_owned(),
            projects: BTreeMap::new(),
            limit: Limit::default(),
            strict_environments: false,
            writes_left: None,
            ids: 0,
        }
    }

    pub(crate) fn add_project(&mut self, key: &str, environments: &[&str]) {
        assert!(is_key(key) && key.len() <= 100, "a project's key");
        let environments = environments.iter().map(|&key| (key.to_owned(), None));
        let project = Project {
            key: key.to_owned(),
            environments: environments.collect(),
            ..Project::default()
        };
        self.projects.insert(key.to_owned(), project);
    }

    /// From now on, changes in an environment require an approval.
    pub(crate) fn require_approval(&mut self, project: &str, environment: &str) {
        let project = self.projects.get_mut(project).expect("such a project");
        let environment = project.environments.get_mut(environment);
        let refused = refusal(405, "approval is required to make this request");
        *environment.expect("such an environment") = Some(refused);
    }

    pub(crate) fn flag(&self, project: &str, key: &str) -> Option<&Flag> {
        self.projects.get(project)?.flags.get(key)
    }

    /// A flag that exists, to be changed by hand.
    pub(crate) fn edit(&mut self, project: &str, key: &str) -> &mut Flag {
        let project = self.projects.get_mut(project).expect("such a project");
        project.flags.get_mut(key).expect("such a flag")
    }

    /// A segment, to be changed by hand; it is there from now on.
    pub(crate) fn segment(&mut self, project: &str, place: &str, key: &str) -> &mut Segment {
        let project = self.projects.get_mut(project).expect("such a project");
        let new = || Segment {
            key: key.to_owned(),
            name: key.to_owned(),
            ..Segment::default()
        };
        let place = (place.to_owned(), key.to_owned());
        project.segments.entry(place).or_insert_with(new)
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

    fn admit(&mut self, request: &Request) -> Result<(), Answer> {
        if request.header("authorization") != Some(self.token.as_str()) {
            return Err(refusal(401, "Invalid access token"));
        }
        if request.header("ld-api-version") != Some(API_VERSION) {
            return Err(refusal(400, "the stand-in knows one version of the API"));
        }
        if request.method != "GET" && request.header("content-length").is_none() {
            return Err(refusal(411, "length required"));
        }
        if let (Some(left), true) = (&mut self.writes_left, request.method != "GET") {
            *left = left
                .checked_sub(1)
                .ok_or_else(|| refusal(403, "no more writes"))?;
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
            ("GET", ["projects"]) => self.list_projects(&query),
            ("GET", ["projects", project]) => Ok(Answer::json(200, &self.project(project)?.show())),
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
            ("POST", ["segments", project, place]) => {
                self.project(project)?.create_segment(place, request)
            }
            ("GET", ["segments", project, place, key]) => {
                self.project(project)?.read_segment(place, key)
            }
            ("PATCH", ["segments", project, place, key]) => {
                self.project(project)?.patch_segment(place, key, request)
            }
            _ => Err(refusal(404, "Invalid resource identifier")),
        }
    }

    fn project(&mut self, key: &str) -> Result<&mut Project, Answer> {
        let project = self.projects.get_mut(key);
        project.ok_or_else(|| refusal(404, "Unknown project key"))
    }

    /// A flag with these values, off everywhere.
    pub(crate) fn put(&mut self, project: &str, key: &str, values: &[Value]) -> &mut Flag {
        let variations: Vec<Value> = values
            .iter()
            .map(|value| json!({ "value": value }))
            .collect();
        let body = json!({ "key": key, "name": key, "variations": variations });
        let new = serde_json::from_value(body).expect("a new flag");
        let flag = self.make(project, new).expect("a project, and values");
        self.project(project).expect("a project").add(flag);
        self.edit(project, key)
    }

    fn create(&mut self, project: &str, request: &Request) -> Result<Answer, Answer> {
        if request.header("content-type") != Some("application/json") {
            return Err(refusal(400, "the body is not application/json"));
        }
        let new = serde_json::from_slice(&request.body);
        let new = new.map_err(|error| refusal(400, error.to_string()))?;
        let flag = self.make(project, new)?;
        let project = self.project(project)?;
        let shown = flag.show(&project.key, None, false);
        project.add(flag);
        Ok(Answer::json(201, &shown))
    }

    fn make(&mut self, project: &str, new: NewFlag) -> Result<Flag, Answer> {
        let project = self.project(project)?;
        new.check(project)?;
        let off = new.variations.len() - 1;
        let environments = project.environments.keys();
        let mut flag = Flag {
            environments: environments
                .map(|key| (key.clone(), Config::off(0, off)))
                .collect(),
            key: new.key,
            name: new.name,
            description: new.description,
            tags: new.tags,
            variations: new.variations,
            archived: false,
            client_side: new.client_side_availability.unwrap_or(ClientSide {
                using_environment_id: false,
                using_mobile_key: true,
            }),
            version: 1,
        };
        for variation in &mut flag.variations {
            self.ids += 1;
            variation.id = format!("{:08x}-6fd2-4f2a-9d3c-0242ac120002", self.ids);
        }
        Ok(flag)
    }

    /// A page of the projects. The stand-in shows fewer at once than it is asked for.
    fn list_projects(&self, query: &Query) -> Result<Answer, Answer> {
        query.allow(&["limit", "offset"])?;
        let page = Page::of(query, PROJECTS)?;
        let projects = self.projects.values().map(Project::show);
        Ok(page.show("/api/v2/projects", projects.collect()))
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
        match project.flags.get(key) {
            Some(flag) => {
                let shown = flag.show(&project.key, query.all("env").as_deref(), false);
                Ok(Answer::json(200, &shown))
            }
            None => Err(refusal(404, "Unknown feature flag key")),
        }
    }
}

impl Project {
    fn add(&mut self, flag: Flag) {
        self.flags.insert(flag.key.clone(), flag);
    }

    fn show(&self) -> Value {
        json!({
            "_id": "57be1db38b75bf0772d11383",
            "_links": { "self": { "href": format!("/api/v2/projects/{}", self.key), "type": "application/json" } },
            "key": self.key,
            "name": self.key,
            "tags": [],
            "includeInSnippetByDefault": false,
        })
    }

    /// A page of the flags.
    fn list(&self, query: &Query) -> Result<Answer, Answer> {
        query.allow(&["env", "limit", "offset", "summary", "filter"])?;
        let filters = Filters::of(query.one("filter").unwrap_or_default())?;
        let page = Page::of(query, FLAGS)?;
        let summary = !matches!(query.one("summary"), Some("0" | "false"));
        let only = query.all("env").unwrap_or_default();
        // Not in the description: the migration guide to this version of the API.
        if only.len() > 3 {
            return Err(refusal(400, "at most 3 environments can be asked for"));
        }
        if query.number("limit", 0)? > FLAGS {
            return Err(refusal(400, "limit is at most 100"));
        }
        let flags = self.flags.values().filter(|flag| filters.pass(flag));
        let flags = flags.map(|flag| flag.show(&self.key, Some(&only), summary));
        Ok(page.show(&format!("/api/v2/flags/{}", self.key), flags.collect()))
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

/// The most flags, and projects, of a page.
const FLAGS: usize = 100;
const PROJECTS: usize = 20;

/// A part of a list. Links to pages that do not exist are left out.
struct Page {
    limit: usize,
    offset: usize,
}

impl Page {
    fn of(query: &Query, most: usize) -> Result<Page, Answer> {
        Ok(Page {
            limit: query.number("limit", 20)?.min(most),
            offset: query.number("offset", 0)?,
        })
    }

    fn show(&self, path: &str, all: Vec<Value>) -> Answer {
        let Page { limit, offset } = *self;
        let link = |offset: usize| {
            let href = format!("{path}?limit={limit}&offset={offset}");
            json!({ "href": href, "type": "application/json" })
        };
        let (total, end) = (all.len(), offset + limit);
        let mut links = json!({ "self": link(offset) });
        if limit > 0 && end < total {
            links["next"] = link(end);
        }
        let items: Vec<Value> = all.into_iter().skip(offset).take(limit).collect();
        Answer::json(
            200,
            &json!({ "items": items, "totalCount": total, "_links": links }),
        )
    }
}

/// Which flags a list shows: archived ones only to those who ask for them.
#[derive(Default)]
struct Filters {
    archived: bool,
    tags: Vec<String>,
}

impl Filters {
    /// `state:live`, `tags:a+b`, or several with commas.
    fn of(text: &str) -> Result<Filters, Answer> {
        let mut filters = Filters::default();
        for filter in text.split(',').filter(|filter| !filter.is_empty()) {
            match filter.split_once(':') {
                Some(("state", "live")) => filters.archived = false,
                Some(("state", "archived")) => filters.archived = true,
                Some(("tags", tags)) if tags.split('+').all(is_tag) => {
                    filters.tags = tags.split('+').map(str::to_owned).collect();
                }
                _ => {
                    let words = format!("the stand-in has no filter {filter:?}");
                    return Err(refusal(400, words));
                }
            }
        }
        Ok(filters)
    }

    fn pass(&self, flag: &Flag) -> bool {
        flag.archived == self.archived && self.tags.iter().all(|tag| flag.tags.contains(tag))
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

impl NewFlag {
    fn check(&self, project: &Project) -> Result<(), Answer> {
        let values: Vec<&Value> = self.variations.iter().map(|one| &one.value).collect();
        let twice = (1..values.len()).any(|index| values[..index].contains(&values[index]));
        let wrong = if !is_key(&self.key) {
            "Invalid key"
        } else if self.name.trim().is_empty() {
            "Invalid name"
        } else if !self.tags.iter().all(|tag| is_tag(tag)) {
            "Invalid tag"
        } else if values.len() < 2 || twice {
            "there must be two variations or more, each with a value of its own"
        } else if self.variations.iter().any(|one| !one.id.is_empty()) {
            "new variations have no ids"
        } else if project.flags.contains_key(&self.key) {
            let message = "A feature with that key already exists";
            return Err(refusal_with(409, "conflict", message));
        } else {
            return Ok(());
        };
        Err(refusal(400, wrong))
    }
}

/// LaunchDarkly's alphabet for keys.
pub(super) fn is_key(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.chars().all(is_of_keys)
}

/// LaunchDarkly's alphabet for tags, which are short.
pub(super) fn is_tag(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(is_of_keys)
}

fn is_of_keys(character: char) -> bool {
    character.is_ascii_alphanumeric() || "._-".contains(character)
}
