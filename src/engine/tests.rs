//! Events in, jobs out: no test here sleeps or asks for the time twice.

mod batches;
mod connecting;
mod faults;
mod callback_health;
mod limit;
mod loading;
mod files;
mod model;
mod moving;
mod owner;
mod parts;
mod passes;
mod single_pass;
mod slots;
mod steps;
mod regressions;
mod reload;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::{Engine, Event, Mode, Moment, News, State, Trouble};
use crate::address::Address;
use crate::config::tests::configured;
use crate::config::{Config, Setting};
use crate::error::{Failure, Kind};
use crate::job::{
    Access, Applied, Done, Edit, Evidence, Job, Origin, Part, TargetTerms, Terms, ToggleId,
    ToggleTerms, What,
};
use crate::metrics::Metrics;
use crate::plan::{Observed, Present};
use crate::secret::Secret;
use crate::source;
use crate::users::Users;

/// An engine on a bench: time passes when the test says so, and jobs are answered by hand.
struct Bench {
    engine: Engine,
    now: Instant,
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// The keys of an OPAL source, as a configuration has them.
fn opal() -> String {
    "type = \"opal\"\nurl = \"http://opal:7000\"\nadvertised_address = \"us:8080\"\n\
     instance = \"us\"\nwait_until_ready = false\n"
        .to_owned()
}

fn opa() -> String {
    "type = \"opa\"\nurl = \"http://opa:8181\"\npoll_interval = \"1h\"\nwait_until_ready = false\n"
        .to_owned()
}

/// The same source, with other values.
fn waiting(source: &str) -> String {
    source.replace("ready = false", "ready = true")
}

fn polled(interval: &str) -> String {
    opa().replace("1h", interval)
}

/// A configuration with these sources, and toggles that use these sources, by index.
fn config(sources: Vec<String>, toggles: &[usize]) -> Config {
    let mut text = String::new();
    for (id, source) in sources.iter().enumerate() {
        text += &format!("[[sources]]\nid = \"source-{id}\"\n{source}");
    }
    text += "[target]\ntype = \"restapi\"\nendpoint_url = \"http://flags\"\n";
    for (id, source) in toggles.iter().enumerate() {
        text += &format!(
            "[[toggles]]\nkey = \"toggle-{id}\"\nmax_removal = \"off\"\nusers_policy = \
             {{ source = \"source-{source}\", package = \"app\", rule = \"rule_{id}\" }}\n"
        );
    }
    configured(&text)
}

/// These terms of the target, and the sources' own.
fn with_sources(config: &Config, target: TargetTerms) -> Terms {
    with_targets(config, vec![target])
}

fn with_targets(config: &Config, targets: Vec<TargetTerms>) -> Terms {
    let metrics = Metrics::new(SystemTime::UNIX_EPOCH).unwrap();
    let open = |it| source::open(it, config, &Secret::new("token"), &metrics).unwrap();
    Terms {
        sources: config.sources.iter().map(|it| open(it).terms()).collect(),
        targets,
    }
}

/// A single pass of a minute.
fn once(dry_run: bool) -> Mode {
    Mode::Once {
        until: Instant::now() + Duration::from_secs(60),
        dry_run,
        force: false,
    }
}

fn users(keys: &[&str]) -> Users {
    keys.iter().copied().collect()
}

fn opa_at(url: &str) -> Origin {
    Origin::Opa(Access::bearer(address(url), None))
}

fn access() -> Origin {
    opa_at("http://opa:8181")
}

/// An OPA that tells nothing but whether it is ready, if that.
fn ready(says: Option<bool>) -> Evidence {
    Evidence {
        says,
        ..Evidence::default()
    }
}

fn failure(kind: Kind) -> Failure {
    Failure::new(kind, "it failed")
}

fn present(keys: &[&str]) -> Observed {
    Observed::Present(Present::plain(true, Some(Arc::new(users(keys)))))
}

/// One that was created just now: a target that can be read tells that it has nobody.
fn new_toggle(readable: bool) -> Applied {
    Applied::Created(Present::plain(true, readable.then(Arc::default)))
}

/// What came of an update.
fn applied(id: ToggleId, result: Result<(), Failure>) -> Done {
    edited(id, Part::Environment(0), result.map(|()| Applied::Done))
}

fn described(id: ToggleId, result: Result<(), Failure>) -> Done {
    edited(id, Part::Metadata, result.map(|()| Applied::Done))
}

fn created(id: ToggleId, result: Result<Applied, Failure>) -> Done {
    edited(id, Part::Whole, result)
}

fn edited(id: ToggleId, part: Part, result: Result<Applied, Failure>) -> Done {
    Done::Apply(0, vec![(id, part, result)])
}

fn read(id: ToggleId, result: Result<Observed, Failure>) -> Done {
    Done::Read(0, vec![(id, result)])
}

/// A target that takes one request at a time for each toggle, and whose toggles have these batches.
fn target_terms(readable: bool, batches: &[Option<usize>]) -> TargetTerms {
    let toggles = batches.iter().enumerate();
    let toggles = toggles.map(|(id, batch)| (id, ToggleTerms::plain(*batch)));
    TargetTerms {
        readable,
        at_once: None,
        reads_first: false,
        applies_together: false,
        finds_marked: false,
        toggles: toggles.collect(),
    }
}

fn short_edit(Edit { toggle, what, .. }: &Edit) -> String {
    match what {
        What::Create => format!("create {toggle}"),
        What::Describe => format!("describe {toggle}"),
        What::Update(environment, users) => {
            let keys: Vec<&str> = users.iter().collect();
            let keys = keys.join(" ");
            match environment {
                0 => format!("update {toggle} {keys}"),
                other => format!("update {toggle}/{other} {keys}"),
            }
        }
    }
}

/// A job in short: `update 0 a b`, in another environment than the first `update 0/1 a b`.
fn short(job: &Job) -> String {
    match job {
        Job::Discover(id) => format!("discover {id}"),
        Job::Register(id) => format!("register {id}"),
        Job::Watch(id) => format!("watch {id}"),
        Job::Leave(id) => format!("leave {id}"),
        Job::Ready(id, ..) => format!("ready {id}"),
        Job::Count(id, _) => format!("count {id}"),
        Job::Load(id) => format!("load {id}"),
        Job::Query(id, ..) => format!("query {id}"),
        Job::Find(id) => format!("find {id}"),
        Job::Read(_, ids) => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            format!("read {}", ids.join(" "))
        }
        Job::Apply(_, edits) => {
            let edits: Vec<String> = edits.iter().map(short_edit).collect();
            edits.join(", ")
        }
    }
}

/// All that is wrong with a toggle.
fn troubles_of(engine: &Engine, id: ToggleId) -> Vec<Trouble> {
    let environments = engine.toggles[id].environments.iter();
    let environments = environments.filter_map(|it| it.work.task.trouble.clone());
    let others = engine.toggle(id).troubles.into_iter();
    others.chain(environments).collect()
}

impl Bench {
    /// A daemon whose target can be read.
    fn serve(config: Config) -> Bench {
        Bench::new(config, Mode::Serve, true)
    }

    fn new(config: Config, mode: Mode, readable: bool) -> Bench {
        let terms = target_terms(readable, &vec![None; config.toggles.len()]);
        Bench::with_terms(config, mode, terms)
    }

    /// A daemon whose target takes so many requests at once, and tells of several toggles in one.
    fn reading(at_once: usize, batches: &[Option<usize>]) -> Bench {
        let terms = TargetTerms {
            at_once: Some(at_once),
            ..target_terms(true, batches)
        };
        Bench::with_terms(
            config(vec![opa()], &vec![0; batches.len()]),
            Mode::Serve,
            terms,
        )
    }

    fn with_terms(config: Config, mode: Mode, terms: TargetTerms) -> Bench {
        let config = Arc::new(config);
        let mut bench = Bench {
            engine: Engine::new(Arc::clone(&config), mode, with_sources(&config, terms)),
            now: Instant::now(),
        };
        bench.engine.start(bench.moment());
        bench
    }

    /// One OPA and as many toggles: all in sync with nobody.
    fn in_sync(toggles: usize, readable: bool) -> Bench {
        Bench::settled(config(vec![opa()], &vec![0; toggles]), readable)
    }

    /// A daemon that is in sync with rules that allow nobody.
    fn settled(config: Config, readable: bool) -> Bench {
        let mut bench = Bench::new(config, Mode::Serve, readable);
        bench.settle(readable);
        bench
    }

    /// Answers all jobs; the rules allow no users.
    fn settle(&mut self, readable: bool) {
        self.answer(|job| {
            let (kind, id) = job.split_once(' ')?;
            let id = id.trim_end().parse().ok()?;
            Some(match kind {
                "discover" => Done::Discover(id, Ok(access())),
                "register" => Done::Register(id, Ok(())),
                "ready" => Done::Ready(id, Ok(ready(Some(true)))),
                "query" => Done::Query(id, Ok(Users::default().into())),
                "read" => read(id, Ok(present(&[]))),
                "create" => created(id, Ok(new_toggle(readable))),
                "describe" => described(id, Ok(())),
                _ => applied(id, Ok(())),
            })
        });
    }

    fn moment(&self) -> Moment {
        Moment {
            at: self.now,
            chance: 0.0,
        }
    }

    /// Takes all jobs that can be done now. No OPA here counts what is written to it.
    fn jobs(&mut self) -> Vec<String> {
        let mut jobs = Vec::new();
        while let Some(job) = self.engine.next_job(self.moment()) {
            match job {
                Job::Count(id, _) => self.done(Done::Count(id, Ok(None))),
                job => jobs.push(short(&job)),
            }
        }
        jobs
    }

    /// Answers all jobs, and those that follow; returns those that got no answer.
    fn answer(&mut self, mut answer: impl FnMut(&str) -> Option<Done>) -> Vec<String> {
        let mut left = Vec::new();
        loop {
            let jobs = self.jobs();
            if jobs.is_empty() {
                return left;
            }
            for job in jobs {
                match answer(&job) {
                    Some(done) => self.done(done),
                    None => left.push(job),
                }
            }
        }
    }

    /// Discovers an OPAL source, and registers with it.
    fn connect(&mut self) {
        self.jobs();
        self.done(Done::Discover(0, Ok(access())));
        assert_eq!(self.jobs(), ["register 0"]);
        self.done(Done::Register(0, Ok(())));
    }

    fn handle(&mut self, event: Event) {
        let now = self.moment();
        self.engine.handle(event, now);
    }

    fn done(&mut self, done: Done) {
        self.handle(Event::Done(done));
    }

    fn callback(&mut self, source: usize) {
        self.handle(Event::Callback(source));
    }

    /// Lets time pass, ringing every timer on the way.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.engine.next_time(self.now).filter(|next| *next <= end) {
            self.now = next.max(self.now);
            self.handle(Event::Time);
            let next = self.engine.next_time(self.now);
            if next.is_some_and(|next| next <= self.now) {
                break;
            }
        }
        self.now = end;
        self.handle(Event::Time);
    }

    fn millis(&mut self, millis: u64) {
        self.wait(Duration::from_millis(millis));
    }

    fn notices(&mut self) -> Vec<News> {
        let notices = self.engine.take_notices();
        notices.into_iter().map(|notice| notice.news).collect()
    }

    fn is_failing(&self) -> bool {
        let sources = (0..self.engine.sources.len()).map(|id| self.engine.source(id).troubles);
        let toggles = (0..self.engine.toggles.len()).map(|id| troubles_of(&self.engine, id));
        sources.chain(toggles).any(|troubles| !troubles.is_empty())
    }
}
