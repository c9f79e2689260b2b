//! Events in, jobs out: no test here sleeps or asks for the time twice.

mod batches;
mod connecting;
mod faults;
mod callback_health;
mod limit;
mod files;
mod model;
mod moving;
mod passes;
mod single_pass;
mod steps;
mod regressions;
mod reload;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Map;

use super::{Engine, Event, Mode, Moment, News, State};
use crate::address::Address;
use crate::config::{self, Bind, Config, Rule, SourceKind, Tls, Toggle};
use crate::error::{Failure, Kind};
use crate::job::{
    Access, Applied, Done, Edit, Evidence, Job, Origin, Registration, SourceTerms, TargetTerms,
    Terms, ToggleId, What,
};
use crate::plan::{Observed, Present};
use crate::users::Users;

/// An engine on a bench: time passes when the test says so, and jobs are answered by hand.
struct Bench {
    engine: Engine,
    now: Instant,
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn opal() -> SourceKind {
    SourceKind::Opal(config::Opal {
        url: address("http://opal:7000"),
        token: None,
        advertised_address: address("http://us:8080"),
        instance: "us".into(),
        opa_url: None,
        opa_token: None,
        wait_until_ready: false,
        tls: Tls::default(),
    })
}

fn opa() -> SourceKind {
    SourceKind::Opa(config::Opa {
        url: address("http://opa:8181"),
        token: None,
        poll_interval: Duration::from_secs(3600),
        wait_until_ready: false,
        tls: Tls::default(),
    })
}

/// A configuration with these sources, and toggles that use these sources, by index.
fn config(sources: Vec<SourceKind>, toggles: &[usize]) -> Config {
    let source = |(id, kind)| config::Source {
        id: format!("source-{id}"),
        kind,
    };
    let toggle = |(id, source): (usize, &usize)| Toggle {
        key: format!("toggle-{id}"),
        users_policy: Rule {
            source: *source,
            package: "app".into(),
            rule: format!("rule_{id}"),
        },
        spec: Map::new(),
        max_removal: config::MaxRemoval::Off,
    };
    Config {
        bind: Bind {
            host: String::new(),
            port: 0,
        },
        resync_interval: Some(Duration::from_secs(300)),
        http_timeout: Duration::from_secs(10),
        concurrency: 8,
        sources: sources.into_iter().enumerate().map(source).collect(),
        target: config::Target::RestApi(config::RestApi {
            endpoint_url: address("http://flags"),
            extra_headers: Vec::new(),
            read: false,
        }),
        toggles: toggles.iter().enumerate().map(toggle).collect(),
    }
}

/// These terms of the target, and those of the sources as each kind has them.
fn with_sources(config: &Config, target: TargetTerms) -> Terms {
    let at = |url: &Address| Some(Origin::Opa(Access::bearer(url.clone(), None)));
    let terms = |source: &config::Source| match &source.kind {
        SourceKind::Opal(opal) => SourceTerms {
            origin: opal.opa_url.as_ref().and_then(at),
            registration: Some(Registration {
                key: (opal.url.clone(), source.id.clone(), opal.instance.clone()),
                advertised: opal.advertised_address.clone(),
            }),
            waits_until_ready: opal.wait_until_ready,
            loads: true,
            ..SourceTerms::default()
        },
        SourceKind::Opa(opa) => SourceTerms {
            origin: at(&opa.url),
            poll_interval: Some(opa.poll_interval),
            waits_until_ready: opa.wait_until_ready,
            ..SourceTerms::default()
        },
        SourceKind::File(_) => SourceTerms {
            is_read: true,
            poll_interval: Some(Duration::from_secs(1)),
            ..SourceTerms::default()
        },
    };
    Terms {
        sources: config.sources.iter().map(terms).collect(),
        target,
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

/// What came of an update, or of a description.
fn applied(id: ToggleId, result: Result<(), Failure>) -> Done {
    created(id, result.map(|()| Applied::Done))
}

fn created(id: ToggleId, result: Result<Applied, Failure>) -> Done {
    Done::Apply(vec![(id, result)])
}

fn read(id: ToggleId, result: Result<Observed, Failure>) -> Done {
    Done::Read(vec![(id, result)])
}

fn short_edit(Edit { toggle, what }: &Edit) -> String {
    match what {
        What::Create => format!("create {toggle}"),
        What::Describe => format!("describe {toggle}"),
        What::Update(users) => {
            let keys: Vec<&str> = users.iter().collect();
            format!("update {toggle} {}", keys.join(" "))
        }
    }
}

/// A job in short: `update 0 a b`.
fn short(job: &Job) -> String {
    match job {
        Job::Discover(id) => format!("discover {id}"),
        Job::Register(id) => format!("register {id}"),
        Job::Watch(id) => format!("watch {id}"),
        Job::Leave(id) => format!("leave {id}"),
        Job::Ready(id, ..) => format!("ready {id}"),
        Job::Count(id, _) => format!("count {id}"),
        Job::Load(id) => format!("load {id}"),
        Job::Query(id, _) => format!("query {id}"),
        Job::Read(ids) => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            format!("read {}", ids.join(" "))
        }
        Job::Apply(edits) => {
            let edits: Vec<String> = edits.iter().map(short_edit).collect();
            edits.join(", ")
        }
    }
}

impl Bench {
    /// A daemon whose target can be read.
    fn serve(config: Config) -> Bench {
        Bench::new(config, Mode::Serve, true)
    }

    fn new(config: Config, mode: Mode, readable: bool) -> Bench {
        Bench::started_at(Instant::now(), config, mode, readable)
    }

    fn started_at(now: Instant, config: Config, mode: Mode, readable: bool) -> Bench {
        let terms = TargetTerms {
            readable,
            at_once: None,
            batches: vec![None; config.toggles.len()],
            applies_together: false,
        };
        Bench::with_terms(now, config, mode, terms)
    }

    fn with_terms(now: Instant, config: Config, mode: Mode, terms: TargetTerms) -> Bench {
        let config = Arc::new(config);
        let mut bench = Bench {
            engine: Engine::new(Arc::clone(&config), mode, with_sources(&config, terms)),
            now,
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
        let now = bench.moment();
        while let Some(job) = bench.engine.next_job(now) {
            bench.done(match job {
                Job::Query(id, _) => Done::Query(id, Ok(Users::default())),
                Job::Read(ids) => read(ids[0], Ok(present(&[]))),
                Job::Apply(edits) => match &edits[..] {
                    [
                        Edit {
                            toggle,
                            what: What::Create,
                        },
                    ] => created(*toggle, Ok(new_toggle(readable))),
                    [edit] => applied(edit.toggle, Ok(())),
                    _ => panic!("{edits:?} were not expected"),
                },
                other => panic!("{} was not expected", short(&other)),
            });
        }
        bench
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

    fn done(&mut self, done: Done) {
        let now = self.moment();
        self.engine.handle(Event::Done(done), now);
    }

    fn callback(&mut self, source: usize) {
        let now = self.moment();
        self.engine.handle(Event::Callback(source), now);
    }

    /// Lets time pass, ringing every timer on the way.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.engine.next_time(self.now).filter(|next| *next <= end) {
            self.now = next.max(self.now);
            let now = self.moment();
            self.engine.handle(Event::Time, now);
            if self
                .engine
                .next_time(self.now)
                .is_some_and(|next| next <= self.now)
            {
                break;
            }
        }
        self.now = end;
        let now = self.moment();
        self.engine.handle(Event::Time, now);
    }

    fn millis(&mut self, millis: u64) {
        self.wait(Duration::from_millis(millis));
    }

    /// How long until something is due.
    fn next_in(&self) -> Option<Duration> {
        let next = self.engine.next_time(self.now)?;
        Some(next.saturating_duration_since(self.now))
    }

    fn notices(&mut self) -> Vec<News> {
        let notices = self.engine.take_notices();
        notices.into_iter().map(|notice| notice.news).collect()
    }

    fn is_failing(&self) -> bool {
        let sources = (0..self.engine.sources.len()).map(|id| self.engine.source(id).troubles);
        let toggles = (0..self.engine.toggles.len()).map(|id| self.engine.toggle(id).troubles);
        sources.chain(toggles).any(|troubles| !troubles.is_empty())
    }
}
