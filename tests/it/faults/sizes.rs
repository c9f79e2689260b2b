//! Answers as large as can be, and larger.

use crate::support::opa::query_of;
use crate::support::{Answer, Fault, World};

/// The most that is read of an answer.
const LIMIT: usize = 64 << 20;

fn answer_of(size: usize) -> Fault {
    let mut body = br#"{"result":["ann"]}"#.to_vec();
    body.resize(size, b' ');
    Fault::Answer(Answer {
        status: 200,
        headers: Vec::new(),
        body,
    })
}

#[test]
fn an_answer_of_64_mib_is_read_and_one_byte_more_is_an_error_that_names_the_limit() {
    let world = World::of(&["whole", "over"]).build();
    for (key, size) in [("whole", LIMIT), ("over", LIMIT + 1)] {
        world.store.put(key, &["old"]);
        world.opa.http.always(&query_of(key), answer_of(size));
    }
    let output = world.sync(&["--timeout", "100ms"]).exits(1);
    output
        .sums_up("2 toggles: 1 updated, 1 failed")
        .says("the answer is larger than 64 MiB");
    assert!(world.store.has("whole", &["ann"]));
    assert!(world.store.has("over", &["old"]));
}
