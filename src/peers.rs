//! The sources and targets of a configuration, on which the request threads perform their jobs.

use std::sync::Arc;

use crate::config::{Catalog, Config};
use crate::job::{Done, Job, Terms};
use crate::metrics::Metrics;
use crate::secret::Secret;
use crate::source::{self, Source};
use crate::target::{self, Evaluations, Target};

/// The types of sources and targets that a configuration can have.
pub fn catalog() -> Catalog {
    Catalog {
        sources: source::types(),
        targets: target::types(),
    }
}

pub(crate) struct Peers {
    config: Arc<Config>,
    callback_token: Secret,
    metrics: Arc<Metrics>,
    evaluations: Arc<Evaluations>,
    pub(crate) sources: Vec<Box<dyn Source>>,
    pub(crate) targets: Vec<Box<dyn Target>>,
}

impl Peers {
    /// Fails where something in the configuration, such as a certificate, cannot be used.
    pub(crate) fn new(
        config: Arc<Config>,
        callback_token: &Secret,
        metrics: &Arc<Metrics>,
        evaluations: &Arc<Evaluations>,
    ) -> Result<Peers, String> {
        let sources = config.sources.iter();
        let sources = sources.map(|source| source::open(source, &config, callback_token, metrics));
        let targets = config.targets.iter().enumerate();
        let targets = targets.map(|(id, target)| {
            let requests = metrics.requests(format!("target {}", target.id));
            target::open(&config, id, requests, evaluations)
        });
        Ok(Peers {
            sources: sources.collect::<Result<_, _>>()?,
            targets: targets.collect::<Result<_, _>>()?,
            config,
            callback_token: callback_token.clone(),
            metrics: Arc::clone(metrics),
            evaluations: Arc::clone(evaluations),
        })
    }

    /// Those of another configuration, with the same surroundings.
    pub(crate) fn for_other(&self, config: Arc<Config>) -> Result<Peers, String> {
        Peers::new(
            config,
            &self.callback_token,
            &self.metrics,
            &self.evaluations,
        )
    }

    /// The configuration is in use from now on.
    pub(crate) fn begin(&self) {
        self.evaluations.show(&self.config);
    }

    pub(crate) fn terms(&self) -> Terms {
        Terms {
            sources: self.sources.iter().map(|source| source.terms()).collect(),
            targets: self.targets.iter().map(|target| target.terms()).collect(),
        }
    }

    /// Does a job. It blocks, for as long as `http_timeout` for each request.
    pub(crate) fn perform(&self, job: Job) -> Done {
        match job {
            Job::Discover(id) => Done::Discover(id, self.sources[id].discover()),
            Job::Register(id) => Done::Register(id, self.sources[id].register()),
            Job::Watch(id) => Done::Watch(id, self.sources[id].watch()),
            Job::Leave(id) => Done::Leave(id, self.sources[id].leave()),
            Job::Ready(id, origin, known) => {
                Done::Ready(id, self.sources[id].ready(&origin, &known))
            }
            Job::Count(id, origin) => Done::Count(id, self.sources[id].count(&origin)),
            Job::Load(id) => Done::Load(id, self.sources[id].load()),
            Job::Query(id, origin, known) => {
                let rule = &self.config.rules[id];
                let source = &self.sources[rule.source];
                Done::Query(id, source.query(&origin, rule, known.as_ref()))
            }
            Job::Find(id) => Done::Find(id, self.targets[id].find_marked()),
            Job::Read(id, toggles) => Done::Read(id, self.targets[id].read(&toggles)),
            Job::Apply(id, edits) => Done::Apply(id, self.targets[id].apply(&edits)),
        }
    }
}
