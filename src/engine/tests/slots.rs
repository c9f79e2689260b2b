use super::super::task::{HANGING, PROMPT, Slots};
use super::*;

#[test]
fn a_request_that_hangs_gives_its_place_to_another() {
    let start = Instant::now();
    let mut slots = Slots::new(2, false);
    slots.take(0, start, false);
    slots.take(1, start + PROMPT / 2, false);
    assert!(!slots.is_free(start + PROMPT / 2));
    assert_eq!(slots.next_free(start + PROMPT / 2), Some(start + PROMPT));
    assert!(slots.is_free(start + PROMPT));
    slots.release(&1);
    // What hung the last time takes none.
    slots.take(1, start, true);
    assert!(slots.is_free(start + PROMPT / 2));
}

#[test]
fn the_number_of_requests_that_hang_is_bounded() {
    let start = Instant::now();
    let mut slots = Slots::new(2, false);
    (0..2 + HANGING).for_each(|toggle| slots.take(toggle, start, false));
    assert!(!slots.is_free(start + 2 * PROMPT));
    assert_eq!(slots.next_free(start), None);
    slots.release(&7);
    assert!(slots.is_free(start + 2 * PROMPT));
}
