//! Time, and the requests in flight.

use std::collections::BTreeMap;

use super::super::super::Timer;
use super::referee::Referee;
use super::remote::{Known, Remote, refuse};
use super::setup::{
    Dice, Fate, HTTP_TIMEOUT, Peer, Place, RULE_OF, SOURCE_OF, SOURCES, Setup, TARGET_OF, TARGETS,
    TOGGLES, engine, peer_of, places,
};
use super::*;
use crate::job::{RuleId, TargetId};

type Decide = dyn FnMut(&Job, &mut Dice) -> Fate;

pub(super) struct Flight {
    pub(super) job: Job,
    /// When it was made.
    pub(super) since: Instant,
    /// What was known when it was made.
    known: Known,
    /// When and how it ends by itself: none as the remote wants it.
    end: Option<(Instant, Option<Failure>)>,
    /// What the remote answered, and when, where it has.
    answer: Option<Answer>,
}

pub(super) struct Answer {
    done: Done,
    moment: Instant,
    /// Of which moment of the policy what the targets had then was.
    as_of: BTreeMap<Place, Instant>,
    meddled: BTreeMap<Place, usize>,
}

pub(super) struct World {
    pub(super) setup: Setup,
    pub(super) engine: Engine,
    pub(super) now: Instant,
    pub(super) remote: Remote,
    pub(super) referee: Referee,
    pub(super) in_flight: Vec<Flight>,
    /// How often the engine was woken because time had passed.
    pub(super) turns: u64,
    /// What was asked, and when.
    pub(super) log: Vec<(Instant, String)>,
    /// Updates that failed, and when they are done all the same.
    late: Vec<(Instant, Job, Known)>,
    fate: Box<Decide>,
    dice: Dice,
}

impl World {
    /// Requests that nobody takes care of time out.
    pub(super) fn new(setup: Setup) -> World {
        let timeout = failure(Kind::Timeout);
        World::with_fate(setup, move |_, _| {
            Fate::Failed(HTTP_TIMEOUT, timeout.clone())
        })
    }

    pub(super) fn with_fate(
        setup: Setup,
        fate: impl FnMut(&Job, &mut Dice) -> Fate + 'static,
    ) -> World {
        let now = Instant::now();
        let remote = Remote::new(&setup, now);
        let mut world = World {
            engine: engine(&setup),
            now,
            referee: Referee::new(&setup, &remote),
            remote,
            in_flight: Vec::new(),
            turns: 0,
            log: Vec::new(),
            late: Vec::new(),
            fate: Box::new(fate),
            dice: Dice::new(setup.seed),
            setup,
        };
        world.start();
        world
    }

    fn start(&mut self) {
        let moment = self.moment();
        self.engine.start(moment);
        self.take_jobs();
    }

    pub(super) fn moment(&mut self) -> Moment {
        Moment {
            at: self.now,
            chance: self.dice.roll(),
        }
    }

    pub(super) fn act(&mut self, action: Action) {
        let by_hand = self.setup.resync.is_some();
        match action {
            Action::Allow(rule, mask) => self.allow(rule, mask),
            Action::Call(source) => self.call(source),
            Action::Meddle(..) | Action::Rival(..) | Action::Delete(_) | Action::Gone(..)
                if !by_hand => {}
            Action::Reset(_) if !by_hand => {}
            Action::Meddle(place, mask) => self.remote.meddle(place, mask),
            Action::Rival(place, mask) => self.rival(place, mask),
            Action::Delete(toggle) => self.remote.delete(toggle),
            Action::Gone(place, is_gone) => self.remote.set_gone(place, is_gone),
            Action::Reset(target) => self.reset(target),
            Action::Process(_) | Action::Answer(_) | Action::Fail(..)
                if self.in_flight.is_empty() => {}
            Action::Process(job) => self.process(job % self.in_flight.len()),
            Action::Answer(job) => self.end(job % self.in_flight.len(), None),
            Action::Fail(job, failure, effect) => {
                self.fail(job % self.in_flight.len(), failure, effect);
            }
            Action::Restart(source, with_opal) => {
                self.remote.restart(source, with_opal, self.now);
                self.lose(Peer::Source(source));
            }
            Action::Reboot => self.reboot(),
            Action::Wait(millis) => self.wait(Duration::from_millis(millis)),
        }
        self.take_jobs();
    }

    /// The policy never changes at the moment at which OPA is asked.
    pub(super) fn allow(&mut self, rule: RuleId, mask: u8) {
        self.wait(Duration::from_micros(1));
        self.remote.allow(rule, mask, self.now);
        self.wait(Duration::from_micros(1));
        self.call(SOURCE_OF[rule]);
    }

    /// OPAL does not call us back.
    fn rival(&mut self, place: Place, mask: u8) {
        self.wait(Duration::from_micros(1));
        self.remote.allow(RULE_OF[place.0], mask, self.now);
        self.remote.rival(place, self.now);
        self.wait(Duration::from_micros(1));
    }

    /// OPAL calls back, if it knows this run of the program.
    fn call(&mut self, source: usize) {
        if self.remote.is_registered(source) {
            self.tell(Event::Callback(source));
        }
        self.take_jobs();
    }

    fn reset(&mut self, target: TargetId) {
        let toggles = (0..TOGGLES).filter(|id| TARGET_OF[*id] == target);
        toggles.for_each(|toggle| self.remote.delete(toggle));
        self.lose(Peer::Target(target));
    }

    /// Whoever has a request out there loses the connection, and nothing comes of it later.
    fn lose(&mut self, peer: Peer) {
        let of = |job: &Job| peer_of(job) == peer;
        self.late.retain(|(_, job, _)| !of(job));
        while let Some(index) = self.in_flight.iter().position(|flight| of(&flight.job)) {
            self.end(index, Some(failure(Kind::Lost)));
        }
    }

    /// What the old program asked for is done by now or never: the new one cannot know of it.
    pub(super) fn reboot(&mut self) {
        self.late
            .drain(..)
            .for_each(|(_, job, known)| self.remote.apply(&job, &known));
        for flight in std::mem::take(&mut self.in_flight) {
            if self.dice.roll() < 0.5 {
                self.remote.apply(&flight.job, &flight.known);
            }
        }
        self.remote.generation += 1;
        self.remote.known = Known::default();
        self.referee = Referee::new(&self.setup, &self.remote);
        self.engine = engine(&self.setup);
        self.start();
    }

    fn process(&mut self, index: usize) {
        let flight = &mut self.in_flight[index];
        if flight.answer.is_none() {
            flight.answer = Some(Answer {
                done: self.remote.process(&flight.job, &flight.known, self.now),
                moment: self.now,
                as_of: self.remote.as_of(),
                meddled: self.remote.meddled(),
            });
        }
    }

    fn fail(&mut self, index: usize, failure: Failure, effect: Effect) {
        let Flight { job, known, .. } = &self.in_flight[index];
        let (job, known) = (job.clone(), known.clone());
        match effect {
            Effect::None => {}
            Effect::AllTheSame => self.process(index),
            // Whoever gave a clear answer does nothing afterwards.
            Effect::Late(_) if !failure.is_unsure() => {}
            Effect::Late(millis) => {
                self.late
                    .push((self.now + Duration::from_millis(millis), job, known));
            }
        }
        self.end(index, Some(failure));
    }

    /// Tells the engine of the end of a request: its answer, or the failure.
    fn end(&mut self, index: usize, failure: Option<Failure>) {
        // Who is not there does not answer.
        let flight = &self.in_flight[index];
        let is_refused = flight.answer.is_none() && self.remote.is_down(&flight.job, self.now);
        let failure = failure.or_else(|| is_refused.then(|| self::failure(Kind::Refused)));
        if failure.is_none() {
            self.process(index);
        }
        let flight = self.in_flight.remove(index);
        let answer = match (failure, flight.answer) {
            (None, Some(answer)) => answer,
            (failure, _) => {
                let failure = failure.unwrap_or_else(|| unreachable!());
                Answer {
                    done: refuse(&flight.job, failure),
                    moment: self.now,
                    as_of: BTreeMap::new(),
                    meddled: BTreeMap::new(),
                }
            }
        };
        self.remote.tell(&flight.job, &answer.done, &answer.meddled);
        self.referee.look(&answer.done, &answer.as_of);
        self.referee.hear(
            &flight.job,
            &answer.done,
            answer.moment,
            &self.engine,
            self.now,
        );
        self.tell(Event::Done(answer.done));
        self.take_jobs();
    }

    fn tell(&mut self, event: Event) {
        let moment = self.moment();
        for target in 0..TARGETS {
            let resync = self.engine.timers.get(Timer::Resync(target));
            if resync.is_some_and(|at| at <= self.now) {
                self.referee.resync(target, self.now);
            }
        }
        self.engine.handle(event, moment);
        self.referee.judge(&mut self.engine, &self.remote, moment);
    }

    fn take_jobs(&mut self) {
        let now = self.moment();
        while let Some(job) = self.engine.next_job(now) {
            self.referee
                .see_off(&job, &self.in_flight, &self.remote, self.now);
            self.log.push((self.now, short(&job)));
            let end = if self.remote.is_down(&job, self.now) {
                Some((self.now, Some(failure(Kind::Refused))))
            } else {
                match (self.fate)(&job, &mut self.dice) {
                    Fate::Answered(after) => Some((self.now + after, None)),
                    Fate::Failed(after, failure) => Some((self.now + after, Some(failure))),
                    Fate::Stuck => None,
                }
            };
            self.in_flight.push(Flight {
                job,
                since: self.now,
                known: self.remote.known.clone(),
                end,
                answer: None,
            });
        }
        let next = self.engine.next_time(self.now);
        assert!(
            next.is_none_or(|next| next > self.now),
            "a timer is overdue"
        );
    }

    pub(super) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let own = self.engine.next_time(self.now);
            let ends = self
                .in_flight
                .iter()
                .filter_map(|flight| flight.end.as_ref());
            let late = self.late.iter().map(|(at, ..)| *at);
            let next = ends.map(|(at, _)| *at).chain(late).chain(own).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            let now = self.now;
            for (_, job, known) in self.late.extract_if(.., |(at, ..)| *at <= now) {
                self.remote.apply_late(&job, &known);
            }
            self.end_flights();
            if own.is_some_and(|own| own <= now) {
                self.turns += 1;
                self.tell(Event::Time);
                self.take_jobs();
            }
        }
        self.now = end;
    }

    fn end_flights(&mut self) {
        let now = self.now;
        let over = |flight: &Flight| flight.end.as_ref().is_some_and(|(at, _)| *at <= now);
        while let Some(index) = self.in_flight.iter().position(over) {
            let failure = self.in_flight[index]
                .end
                .take()
                .and_then(|(_, failure)| failure);
            self.end(index, failure);
        }
    }

    /// From now on, this becomes of requests.
    pub(super) fn decide(&mut self, fate: impl FnMut(&Job, &mut Dice) -> Fate + 'static) {
        self.fate = Box::new(fate);
    }

    /// The faults have ended: whatever was asked for as a pause, and one resync, passes.
    pub(super) fn settle(&mut self) {
        self.decide(|_, _| Fate::Answered(Duration::from_millis(1)));
        for flight in &mut self.in_flight {
            flight.end = Some((self.now, None));
        }
        places().for_each(|place| self.remote.set_gone(place, false));
        self.wait(Duration::from_secs(400));
    }

    pub(super) fn assert_in_sync(&self) {
        for (id, number) in places() {
            let (has, allows) = (
                self.remote.has((id, number)),
                self.remote.allows(RULE_OF[id]),
            );
            assert_eq!(has, Some(allows), "toggle {id}/{number}");
            assert!(self.remote.is_described(id), "toggle {id} is not described");
        }
        let sources = (0..SOURCES).flat_map(|id| self.engine.source(id).troubles);
        let toggles = (0..TOGGLES).flat_map(|id| troubles_of(&self.engine, id));
        let troubles: Vec<_> = sources.chain(toggles).collect();
        assert!(troubles.is_empty(), "{troubles:?}");
        assert!(self.engine.is_started());
    }
}
