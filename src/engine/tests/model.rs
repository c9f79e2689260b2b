//! Random changes, faults and restarts against a small world with simulated time.
//!
//! `world` (of which `setup` tells what it is made of) lets time pass and carries requests to and fro, `remote` is what stands on the other side,
//! `referee` knows the rules and watches over each event.

mod apart;
mod day;
mod ledger;
mod referee;
mod reload;
mod remote;
mod setup;
mod waits;
mod world;

use proptest::prelude::*;

use super::*;
use crate::job::{RuleId, TargetId};
use setup::{Place, RULES, SOURCES, Setup, TARGETS, TOGGLES, Ways, places};
use world::World;

/// What can happen. Requests in flight are named by any number, modulo how many there are.
#[derive(Clone, Debug)]
enum Action {
    /// The policy allows other users, and OPAL calls back, if it knows us.
    Allow(RuleId, u8),
    /// OPAL calls back although nothing changed.
    Call(usize),
    /// Somebody changes the users, or the metadata, at the target by hand.
    Meddle(Place, u8),
    /// The policy allows other users. Another instance is called back, and writes the target at once.
    Rival(Place, u8),
    /// Somebody deletes the toggle at the target.
    Delete(ToggleId),
    /// An environment goes, or comes back.
    Gone(Place, bool),
    /// The remote does what a request asks; its answer is still on its way.
    Process(usize),
    /// A request is answered.
    Answer(usize),
    /// A request fails; what it asked for may be done all the same, now or later.
    Fail(usize, Failure, Effect),
    /// OPAL and its OPA are restarted, or OPA alone.
    Restart(usize, bool),
    /// A target is restarted and has forgotten everything.
    Reset(TargetId),
    /// The program is restarted.
    Reboot,
    /// Time passes, in milliseconds.
    Wait(u64),
}

/// Whether a request that failed is done.
#[derive(Clone, Copy, Debug)]
enum Effect {
    None,
    AllTheSame,
    /// After so many milliseconds.
    Late(u64),
}

fn any_failure() -> impl Strategy<Value = Failure> {
    let kinds = [
        Kind::Timeout,
        Kind::Lost,
        Kind::Refused,
        Kind::Lookup,
        Kind::System,
        Kind::Tls,
        Kind::Answer,
        Kind::Undefined,
        Kind::WrongType,
        Kind::Misfit,
        Kind::Setup,
    ];
    let statuses = [400, 401, 403, 404, 405, 408, 409, 422, 500, 502, 503, 504];
    let kind = prop_oneof![
        3 => prop::sample::select(kinds.to_vec()),
        2 => prop::sample::select(statuses.to_vec()).prop_map(Kind::Status),
        1 => Just(Kind::Status(429)),
    ];
    let pause = prop_oneof![
        5 => Just(None),
        1 => (0_u64..20_000).prop_map(Some),
        1 => (0_u64..500_000).prop_map(Some),
    ];
    (kind, pause).prop_map(|(kind, pause)| failure(kind).pausing(pause.map(Duration::from_millis)))
}

fn any_action() -> impl Strategy<Value = Action> {
    let place = || prop::sample::select(places().collect::<Vec<_>>());
    let effect = prop_oneof![
        Just(Effect::None),
        Just(Effect::AllTheSame),
        // Before the target is looked at once more.
        (0_u64..25_000).prop_map(Effect::Late),
    ];
    prop_oneof![
        4 => (0..RULES, 1_u8..4).prop_map(|(rule, mask)| Action::Allow(rule, mask)),
        1 => (0..SOURCES).prop_map(Action::Call),
        1 => (place(), 0_u8..20).prop_map(|(place, mask)| Action::Meddle(place, mask)),
        2 => (place(), 1_u8..4).prop_map(|(place, mask)| Action::Rival(place, mask)),
        1 => (0..TOGGLES).prop_map(Action::Delete),
        2 => (place(), any::<bool>()).prop_map(|(place, is_gone)| Action::Gone(place, is_gone)),
        3 => any::<usize>().prop_map(Action::Process),
        12 => any::<usize>().prop_map(Action::Answer),
        5 => (any::<usize>(), any_failure(), effect)
            .prop_map(|(job, failure, effect)| Action::Fail(job, failure, effect)),
        1 => (0..SOURCES, any::<bool>()).prop_map(|(id, opal)| Action::Restart(id, opal)),
        1 => (0..TARGETS).prop_map(Action::Reset),
        1 => Just(Action::Reboot),
        5 => (1_u64..3000).prop_map(Action::Wait),
        2 => (1_u64..40_000).prop_map(Action::Wait),
    ]
}

fn any_ways() -> impl Strategy<Value = Ways> {
    let at_once = prop::option::of(1_usize..5);
    (any::<[bool; 5]>(), at_once).prop_map(|(flags, at_once)| {
        let [readable, differences, batched, untold, together] = flags;
        Ways {
            readable,
            differences: differences && readable,
            batched: batched && readable,
            untold,
            together,
            at_once,
        }
    })
}

fn any_setup() -> impl Strategy<Value = Setup> {
    let ways = [any_ways(), any_ways()];
    let resync = prop::sample::select(vec![None, Some(20), Some(300)]);
    (ways, resync, 1_usize..9, any::<u64>()).prop_map(|(targets, resync, concurrency, seed)| {
        Setup {
            targets,
            concurrency,
            resync: resync.map(Duration::from_secs),
            seed,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 2))]

    #[test]
    fn once_faults_end_the_targets_equal_the_policy(
        setup in any_setup(),
        actions in prop::collection::vec(any_action(), 0..100),
    ) {
        let mut world = World::new(setup);
        actions.into_iter().for_each(|action| world.act(action));
        world.settle();
        world.assert_in_sync();
    }
}
