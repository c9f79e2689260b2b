//! The engine of one configuration, with those whom it asks; each reload makes a new one.

use std::sync::Arc;
use std::time::Instant;

use super::Assignment;
use crate::config::Config;
use crate::engine::{Engine, Event, Moment};
use crate::job::{Done, SourceId};
use crate::peers::Peers;

pub(super) struct Generation {
    /// 0, 1, 2 … with each reload.
    pub(super) number: u64,
    pub(super) config: Arc<Config>,
    pub(super) peers: Arc<Peers>,
    pub(super) engine: Engine,
}

impl Generation {
    pub(super) fn first(assignment: Assignment) -> Generation {
        let terms = assignment.peers.terms();
        Generation {
            number: 0,
            engine: Engine::new(Arc::clone(&assignment.config), assignment.mode, terms),
            config: assignment.config,
            peers: assignment.peers,
        }
    }

    /// The next one, which has not started; this one ends what it has in flight.
    pub(super) fn succeed(&mut self, assignment: Assignment, now: Instant) -> Generation {
        let (config, terms) = (Arc::clone(&assignment.config), assignment.peers.terms());
        let engine = self.engine.succeed(config, assignment.mode, terms, now);
        self.engine.retire(&assignment.config);
        Generation {
            number: self.number + 1,
            config: assignment.config,
            peers: assignment.peers,
            engine,
        }
    }

    pub(super) fn source(&self, id: &str) -> Option<SourceId> {
        self.config.sources.iter().position(|it| it.id == id)
    }

    /// The keys of the toggles about which a job asked or told the target.
    pub(super) fn keys(&self, done: &Done) -> Vec<String> {
        let toggles = done.toggles_at_target().into_iter();
        toggles
            .map(|id| self.config.toggles[id].key.clone())
            .collect()
    }

    /// An older generation's requests for these toggles have ended.
    pub(super) fn ended(&mut self, keys: &[String], now: Moment) {
        for (id, toggle) in self.config.toggles.iter().enumerate() {
            if keys.contains(&toggle.key) {
                self.engine.handle(Event::Ended(id), now);
            }
        }
    }
}
