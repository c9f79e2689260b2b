//! A source that is a file.

use crate::document::Document;

use super::super::State;
use super::*;

fn file() -> String {
    "type = \"file\"\npath = \"users.json\"\n".to_owned()
}

/// A document that holds this text.
fn holding(text: &str) -> Done {
    let document = Document::parse("file", text.as_bytes(), &[]).unwrap();
    Done::Discover(0, Ok(Origin::File(Arc::new(document))))
}

/// A daemon that is in sync with a file that allows nobody.
fn in_sync() -> Bench {
    let mut bench = Bench::serve(config(vec![file()], &[0]));
    assert_eq!(bench.jobs(), ["discover 0", "read 0"]);
    bench.done(read(0, Ok(present(&[]))));
    bench.done(holding("{}"));
    assert_eq!(bench.jobs(), ["query 0"]);
    bench.done(Done::Query(0, Ok(users(&[]).into())));
    assert_eq!(bench.jobs(), Vec::<String>::new());
    assert!(bench.engine.is_started());
    bench
}

#[test]
fn while_a_file_system_hangs_there_is_one_look_and_what_the_file_held_is_not_relied_on() {
    let mut bench = in_sync();
    bench.millis(1000);
    assert_eq!(bench.jobs(), ["discover 0"]);
    bench.millis(9000);
    assert_eq!(
        bench.jobs(),
        Vec::<String>::new(),
        "another look would hang too"
    );
    bench.done(Done::Discover(0, Err(failure(Kind::Timeout))));
    assert!(bench.is_failing());
    assert_eq!(bench.engine.toggle(0).state, State::Waiting);
    bench.millis(1000);
    assert_eq!(bench.jobs(), ["discover 0"]);
    bench.done(holding("{}"));
    assert_eq!(bench.jobs(), ["query 0"]);
    bench.done(Done::Query(0, Ok(users(&["eve"]).into())));
    assert_eq!(bench.jobs(), ["update 0 eve"]);
    bench.done(applied(0, Ok(())));
    assert!(!bench.is_failing());
}

#[test]
fn what_a_file_held_before_is_not_applied_once_it_cannot_be_read() {
    let mut bench = in_sync();
    bench.millis(1000);
    bench.jobs();
    bench.done(holding("{ }"));
    assert_eq!(bench.jobs(), ["query 0"]);
    bench.millis(1000);
    assert_eq!(bench.jobs(), ["discover 0"]);
    bench.done(Done::Discover(0, Err(failure(Kind::Answer))));
    bench.done(Done::Query(0, Ok(users(&["mallory"]).into())));
    assert_eq!(bench.jobs(), Vec::<String>::new());
    bench.millis(1000);
    bench.jobs();
    bench.done(holding("{}"));
    assert_eq!(bench.jobs(), ["query 0"]);
    bench.done(Done::Query(0, Ok(users(&["eve"]).into())));
    assert_eq!(bench.jobs(), ["update 0 eve"]);
}

#[test]
fn an_update_that_waits_for_its_turn_is_not_sent_once_the_file_cannot_be_read() {
    let mut config = config(vec![file()], &[0, 0]);
    config.concurrency = 1;
    let mut bench = Bench::serve(config);
    for id in [0, 1] {
        bench.jobs();
        bench.done(read(id, Ok(present(&[]))));
    }
    bench.done(holding("{}"));
    let left = bench.answer(|job| {
        let (kind, id) = job.split_once(' ')?;
        match kind {
            "discover" => Some(holding("{}")),
            "query" => Some(Done::Query(id.parse().ok()?, Ok(users(&["ann"]).into()))),
            _ => None,
        }
    });
    assert_eq!(left, ["update 0 ann"]);
    bench.callback(0);
    assert_eq!(bench.jobs(), ["discover 0"]);
    bench.done(Done::Discover(0, Err(failure(Kind::File))));
    bench.done(applied(0, Ok(())));
    assert_eq!(bench.jobs(), Vec::<String>::new(), "not update 1 ann");
}

#[test]
fn each_interval_of_sync_has_its_pass_over_the_newest_file() {
    let mode = Mode::Sync {
        interval: Duration::from_secs(60),
    };
    let mut bench = Bench::new(config(vec![file()], &[0]), mode, true);
    assert_eq!(bench.jobs(), ["discover 0", "read 0"]);
    bench.done(read(0, Ok(present(&[]))));
    for _ in 0..3 {
        bench.done(holding("{}"));
        assert_eq!(bench.jobs(), ["query 0"]);
        bench.done(Done::Query(0, Ok(users(&[]).into())));
        bench.millis(59_999);
        assert_eq!(bench.jobs(), Vec::<String>::new());
        bench.millis(1);
        assert_eq!(bench.jobs(), ["discover 0"]);
    }
}
