//! The program's own computations, with their allocations: `make micro`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement that fails should fail loudly, where it stands"
)]

#[path = "goals/daemon.rs"]
#[allow(dead_code, reason = "nothing is started here")]
mod daemon;
#[path = "goals/peer.rs"]
#[allow(dead_code, reason = "written for the other measurements")]
mod peer;
#[path = "goals/platform.rs"]
#[allow(dead_code, reason = "written for the other measurements")]
mod platform;
#[path = "goals/wire.rs"]
#[allow(dead_code, reason = "written for the other measurements")]
mod wire;
#[path = "goals/world.rs"]
#[allow(dead_code, reason = "written for the other measurements")]
mod world;

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use divan::counter::{BytesCount, ItemsCount};
use divan::{AllocProfiler, Bencher};
use optoggles::internals::{
    Config, Edit, Evaluations, Keys, Metrics, Users, What, catalog, load, open,
};
use serde::Deserialize;

use world::{Target, World};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const USERS: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

fn main() {
    divan::main();
}

/// An answer of OPA's as `source/opa.rs` reads it.
#[derive(Deserialize)]
struct Answer {
    result: Keys,
}

#[divan::bench(args = USERS)]
fn reading_the_answer_of_opa(bencher: Bencher, count: usize) {
    let answer = [b"{\"result\":", &*world::users(count), b"}"].concat();
    bencher
        .counter(BytesCount::new(answer.len()))
        .with_inputs(|| answer.clone())
        .bench_values(|answer| {
            let Answer { result } = serde_json::from_slice(&answer).unwrap();
            result.take_from(answer)
        });
}

#[divan::bench(args = USERS)]
fn finding_no_difference(bencher: Bencher, count: usize) {
    let (wanted, there) = (users(count), users(count));
    bencher
        .counter(ItemsCount::new(count))
        .bench(|| wanted == there);
}

#[divan::bench(args = USERS)]
fn the_difference_of_one_user(bencher: Bencher, count: usize) {
    let (wanted, there) = (users(count + 1), users(count));
    bencher
        .counter(ItemsCount::new(count))
        .bench(|| wanted.change_from(&there));
}

/// One user more or less in an environment, with the exchange.
#[divan::bench(args = USERS)]
fn the_update_of_a_flag_in_launchdarkly(bencher: Bencher, count: usize) {
    let world = World::new(Target::LaunchDarkly, 1, count);
    let metrics = Metrics::new(UNIX_EPOCH).unwrap();
    let (requests, evaluations) = (
        metrics.requests("target"),
        Arc::new(Evaluations::new(&metrics)),
    );
    let target = open(&Arc::new(config(&world)), 0, requests, &evaluations).unwrap();
    target.read(&[0]);
    let edit = |count| Edit {
        toggle: 0,
        revision: None,
        what: What::Update(0, Arc::new(users(count))),
    };
    let mut edits = [edit(count + 1), edit(count)];
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        edits.swap(0, 1);
        target.apply(&edits[1..]).remove(0).2.unwrap()
    });
}

#[divan::bench(args = [10, 100, 1_000])]
fn reading_a_configuration_of_toggles(bencher: Bencher, toggles: usize) {
    let world = World::new(Target::LaunchDarkly, toggles, 1);
    bencher
        .counter(ItemsCount::new(toggles))
        .bench(|| config(&world));
}

fn config(world: &World) -> Config {
    let path = world.folder.path().join("optoggles.toml");
    match load(Some(&path), &|_| None, &catalog()) {
        Ok(loaded) => loaded.config,
        Err(_) => panic!("the configuration is wrong"),
    }
}

fn users(count: usize) -> Users {
    serde_json::from_slice(&world::users(count)).unwrap()
}
