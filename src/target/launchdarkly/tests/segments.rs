//! The patches of a segment.

use super::segment::Instruction;
use super::*;

/// Keys of so many users, from a number on.
fn keys(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("{number:05}")).collect()
}

/// The instructions of each patch, by kind and number of keys.
fn kinds(patches: &[Vec<Instruction>]) -> Vec<Vec<(String, usize)>> {
    let of = |instruction: &Instruction| {
        let json = json!(instruction);
        let count = json["values"].as_array().map_or(0, Vec::len);
        (json["kind"].as_str().unwrap().to_owned(), count)
    };
    let patches = patches.iter();
    patches
        .map(|patch| patch.iter().map(of).collect())
        .collect()
}

#[test]
fn a_segment_is_patched_in_pieces_of_1500_with_what_takes_away_first() {
    let mut spec = spec("us");
    spec.segment = Some("people".to_owned());
    let mut slots = Vec::new();
    spec.take_slots(&mut slots);
    let answer = json!({
        "key": "people",
        "included": keys(0..2_000),
        "includedContexts": [{ "contextKind": "org", "values": keys(0..100) }],
        "excluded": keys(5_000..5_700),
        "rules": [{ "_id": "r", "clauses": [] }],
    });
    let answer: SegmentAnswer = serde_json::from_value(answer).unwrap();
    let segment = slots[0].read(answer).unwrap();
    let desired: Users = keys(1_950..5_000).iter().map(String::as_str).collect();
    let patches: Vec<_> = segment.patches("user", &desired).collect();
    let expected = [
        &[
            ("removeRule", 0),
            ("removeIncludedTargets", 100),
            ("removeIncludedUsers", 1_400),
        ][..],
        &[
            ("removeIncludedUsers", 550),
            ("removeExcludedUsers", 700),
            ("addIncludedUsers", 250),
        ],
        &[("addIncludedUsers", 1_500)],
        &[("addIncludedUsers", 1_250)],
    ];
    let owned = |patch: &&[(&str, usize)]| -> Vec<(String, usize)> {
        let patch = patch.iter();
        patch
            .map(|(kind, count)| ((*kind).to_owned(), *count))
            .collect()
    };
    assert_eq!(
        kinds(&patches),
        expected.iter().map(owned).collect::<Vec<_>>()
    );
    let sent = |kind: &str| -> Vec<String> {
        let all = patches.iter().flatten().map(|it| json!(it));
        let all = all.filter(|it| it["kind"] == kind);
        let values = all.flat_map(|it| it["values"].as_array().cloned().unwrap());
        values.map(|key| key.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(sent("removeIncludedUsers"), keys(0..1_950));
    assert_eq!(sent("addIncludedUsers"), keys(2_000..5_000));
    let whole = Segment::of(Arc::new(desired.clone()));
    assert_eq!(whole.patches("user", &desired).count(), 0);
}
