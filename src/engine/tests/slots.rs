use super::super::task::{HANGING, PROMPT, Slots};
use super::*;

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
