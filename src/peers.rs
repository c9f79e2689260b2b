//! The sources and the target of a configuration, on which the request threads perform their jobs.

use std::sync::Arc;

use crate::config::{Catalog, Config};
use crate::job::{Done, Job, Terms};
use crate::metrics::Metrics;
use crate::secret::Secret;
use crate::source::{self, Source};
use crate::target::{self, Target};

/// The types of sources and targets that a configuration can have.
pub fn catalog() -> Catalog {
    Catalog {
        sources: source::types(),
        targets: target::types(),
    }
}

pub(crate) struct Peers {
    config: Arc<Config>,
    sources: Vec<Box<dyn Source>>,
    target: Box<dyn Target>,
}

impl Peers {
    /// Fails where something in the configuration, such as a certificate, cannot be used.
    pub(crate) fn new(
        config: Arc<Config>,
        callback_token: &Secret,
        metrics: &Metrics,
    ) -> Result<Peers, String> {
        let sources = config.sources.iter();
        let sources = sources.map(|source| source::open(source, &config, callback_token, metrics));
        Ok(Peers {
            sources: sources.collect::<Result<_, _>>()?,
            target: target::open(&config, metrics.requests("target"))?,
            config,
        })
    }

    pub(crate) fn terms(&self) -> Terms {
        Terms {
            sources: self.sources.iter().map(|source| source.terms()).collect(),
            target: self.target.terms(),
        }
    }

    /// Does a job. It blocks, for as long as `http_timeout` for each request.
    pub(crate) fn perform(&self, job: Job) -> Done {
        let toggles = &self.config.toggles;
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
            Job::Query(id, origin) => {
                let rule = &toggles[id].users_policy;
                Done::Query(id, self.sources[rule.source].query(&origin, rule))
            }
            Job::Read(ids) => Done::Read(self.target.read(&ids)),
            Job::Apply(edits) => Done::Apply(self.target.apply(&edits)),
        }
    }
}
