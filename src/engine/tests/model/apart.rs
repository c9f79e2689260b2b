//! No toggle waits for another.

use super::setup::{
    ALONE, Fate, HTTP_TIMEOUT, SOURCE_OF, SOURCES, Setup, TOGGLES, parts_of, source_of,
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
    Toggle(ToggleId),
    /// All that is asked of a source.
    Source(usize),
}

impl Victim {
    fn is_of(self, job: &Job) -> bool {
        match self {
            Victim::Toggle(id) => parts_of(job).iter().any(|(it, _)| *it == id),
            Victim::Source(id) => source_of(job) == Some(id),
        }
    }

    fn spares(self, toggle: ToggleId) -> bool {
        match self {
            Victim::Toggle(id) => id != toggle,
            Victim::Source(id) => id != SOURCE_OF[toggle],
        }
    }
}

/// How the victim's requests end, if they do. A 429 is not among them: it is about the whole target.
fn any_end() -> impl Strategy<Value = Option<(Duration, Failure)>> {
    let hangs = Just(Some((HTTP_TIMEOUT, failure(Kind::Timeout))));
    let spoils = any_failure().prop_filter("about the target", |it| !it.is_status(429));
    let fails = spoils.prop_map(|failure| Some((LATENCY, failure)));
    prop_oneof![1 => Just(None), 2 => hangs, 3 => fails]
}

fn any_victim() -> impl Strategy<Value = Victim> {
    prop_oneof![
        (0..TOGGLES).prop_map(Victim::Toggle),
        (0..SOURCES).prop_map(Victim::Source),
    ]
}

/// How long a change may take to reach the target: the pass before may use up its patience, and if
/// there is but one place for requests, the victim's may hold it for as long as one is taken to be
/// prompt, at the source and at the target. OPA is asked if it is ready, and then who the users are;
/// the target may have to be read, and is told.
const BOUND: Duration = PATIENCE
    .saturating_add(PROMPT.saturating_mul(2))
    .saturating_add(LATENCY.saturating_mul((TOGGLES * 5) as u32));

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn a_toggle_or_source_that_hangs_or_fails_delays_no_other(
        setup in any_setup(),
        victim in any_victim(),
        end in any_end(),
        changes in prop::collection::vec((prop::array::uniform4(1_u8..16), 0_u64..20_000), 1..20),
    ) {
        // What is read in one job, and the only one of a target's slots, is shared by design.
        let setup = Setup { batched: false, together: false, at_once: setup.at_once.map(|limit| limit + 1), ..setup };
        let setup = Setup { concurrency: setup.concurrency.max(setup.at_once.unwrap_or(1)), ..setup };
        let fate = move |job: &Job, _: &mut _| match (&end, victim.is_of(job)) {
            (_, false) => Fate::Answered(LATENCY),
            (None, true) => Fate::Stuck,
            (Some((after, failure)), true) => Fate::Failed(*after, failure.clone()),
        };
        let mut world = World::with_fate(setup, fate);
        world.wait(BOUND * 2);
        // The OPA without an OPAL is asked at its own pace.
        let others = (0..TOGGLES).filter(|id| victim.spares(*id) && SOURCE_OF[*id] != ALONE);
        let others: Vec<ToggleId> = others.collect();
        for (masks, wait) in changes {
            masks.into_iter().enumerate().for_each(|(toggle, mask)| world.allow(toggle, mask));
            world.wait(BOUND);
            for toggle in &others {
                let has = world.remote.has(*toggle);
                prop_assert_eq!(has, Some(world.remote.allows(*toggle)), "toggle {}", toggle);
            }
            world.wait(Duration::from_millis(wait));
        }
    }
}
