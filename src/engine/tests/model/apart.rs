//! No toggle, target or environment waits for another, and none for metadata.

use std::collections::BTreeSet;

use super::setup::{
    ALONE, Fate, HTTP_TIMEOUT, Peer, Place, RULE_OF, RULES, SOURCE_OF, SOURCES, TARGET_OF, TARGETS,
    TOGGLES, Ways, parts_of, peer_of, places,
};
use super::world::World;
use super::*;
use crate::engine::pass::PATIENCE;
use crate::engine::task::PROMPT;

/// How long a request takes that is answered.
const LATENCY: Duration = Duration::from_millis(5);

/// Whose requests are never answered well.
#[derive(Clone, Copy, Debug)]
enum Victim {
    /// All that is asked of a source, or of a target.
    Peer(Peer),
    Toggle(ToggleId),
    /// Its users in an environment, or its metadata.
    Part(ToggleId, Part),
}

impl Victim {
    fn is_of(self, job: &Job) -> bool {
        match self {
            Victim::Peer(peer) => peer_of(job) == peer,
            Victim::Toggle(id) => parts_of(job).iter().any(|(it, _)| *it == id),
            Victim::Part(id, part) => parts_of(job).contains(&(id, part)),
        }
    }

    /// The OPA without an OPAL is asked at its own pace.
    fn spares(self, (id, number): Place) -> bool {
        let source = SOURCE_OF[RULE_OF[id]];
        source != ALONE
            && match self {
                Victim::Peer(Peer::Source(victim)) => source != victim,
                Victim::Peer(Peer::Target(victim)) => TARGET_OF[id] != victim,
                Victim::Toggle(victim) => id != victim,
                Victim::Part(victim, part) => (victim, part) != (id, Part::Environment(number)),
            }
    }

    /// How long a change may take to reach a target. The pass before may use up its patience; OPA is
    /// asked if it is ready, and then who the users are; the target may have to be read, and is told.
    /// What is asked about another toggle of the target may hold the only place for requests, and what is
    /// asked about the same toggle its turn, for as long as a request is taken to be prompt.
    fn bound(self, (id, _): Place, concurrency: usize) -> Duration {
        let quick = PATIENCE + LATENCY * 5 * TOGGLES as u32;
        match self {
            Victim::Part(victim, _) if victim == id => quick + PROMPT * 2,
            Victim::Toggle(victim) | Victim::Part(victim, _)
                if TARGET_OF[victim] == TARGET_OF[id] && concurrency < MOST =>
            {
                quick + PROMPT * 2
            }
            _ => quick,
        }
    }
}

/// As many requests of the victim as hang at once: its metadata and its environments.
const MOST: usize = 4;

/// How the victim's requests end, if they do. A 429 is not among them: it is about the whole target. Nor is
/// a 404, which says that there is no toggle.
fn any_end() -> impl Strategy<Value = Option<(Duration, Failure)>> {
    let hangs = Just(Some((HTTP_TIMEOUT, failure(Kind::Timeout))));
    let is_its_own = |it: &Failure| !it.is_status(429) && !it.is_status(404);
    let spoils = any_failure().prop_filter("about more than a part", is_its_own);
    let fails = spoils.prop_map(|failure| Some((LATENCY, failure)));
    prop_oneof![1 => Just(None), 2 => hangs, 3 => fails]
}

fn any_victim() -> impl Strategy<Value = Victim> {
    let peer = |peer| Just(Victim::Peer(peer));
    let place = prop::sample::select(places().collect::<Vec<_>>());
    prop_oneof![
        (0..SOURCES).prop_flat_map(move |id| peer(Peer::Source(id))),
        (0..TARGETS).prop_flat_map(move |id| peer(Peer::Target(id))),
        (0..TOGGLES).prop_map(Victim::Toggle),
        place.prop_map(|(id, number)| Victim::Part(id, Part::Environment(number))),
        (0..TOGGLES).prop_map(|id| Victim::Part(id, Part::Metadata)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

    #[test]
    fn whatever_hangs_or_fails_delays_nothing_else(
        mut setup in any_setup(),
        victim in any_victim(),
        end in any_end(),
        changes in prop::collection::vec((prop::array::uniform4(1_u8..16), 0_u64..20_000), 1..20),
    ) {
        // What is read or changed in one job, and the few slots of a target, are shared by design.
        setup.targets = setup.targets.map(|ways| Ways {
            batched: false,
            untold: false,
            together: false,
            at_once: ways.at_once.map(|limit| limit + MOST),
            ..ways
        });
        let most = setup.targets.iter().filter_map(|ways| ways.at_once).max();
        setup.concurrency = setup.concurrency.max(most.unwrap_or(1));
        let concurrency = setup.concurrency;
        let fate = move |job: &Job, _: &mut _| match (&end, victim.is_of(job)) {
            (_, false) => Fate::Answered(LATENCY),
            (None, true) => Fate::Stuck,
            (Some((after, failure)), true) => Fate::Failed(*after, failure.clone()),
        };
        let mut world = World::with_fate(setup, fate);
        let bound = |place: &Place| victim.bound(*place, concurrency);
        let others: Vec<Place> = places().filter(|it| victim.spares(*it)).collect();
        let bounds: BTreeSet<Duration> = others.iter().map(bound).collect();
        world.wait(PROMPT * 6);
        for (masks, wait) in changes {
            (0..RULES).for_each(|rule| world.allow(rule, masks[rule]));
            let start = world.now;
            for end in &bounds {
                world.wait(start + *end - world.now);
                for place in others.iter().filter(|it| bound(it) == *end) {
                    let allows = world.remote.allows(RULE_OF[place.0]);
                    prop_assert_eq!(world.remote.has(*place), Some(allows), "{:?}", place);
                }
            }
            world.wait(Duration::from_millis(wait));
        }
    }
}
