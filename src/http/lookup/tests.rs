use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::*;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(1);

/// Requests that wait for a host at once, each on a thread.
fn ask(lookups: &'static Lookups, hosts: &[&'static str]) -> Vec<Result<Vec<SocketAddr>, Lost>> {
    let ask = |host: &'static str| thread::spawn(move || lookups.of(host, LONG));
    let asking: Vec<_> = hosts.iter().map(|host| ask(host)).collect();
    asking.into_iter().map(|it| it.join().unwrap()).collect()
}

fn hangs() -> ! {
    loop {
        thread::park();
    }
}

fn wait_until(is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LONG);
        thread::yield_now();
    }
}

#[test]
fn requests_for_a_host_share_one_lookup_and_are_found_again_later() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    static LOOKUPS: Lookups = Lookups::new(
        |_| {
            CALLS.fetch_add(1, Ordering::SeqCst);
            // Until all requests wait.
            wait_until(|| {
                let board = LOOKUPS.board();
                board.asked.values().all(|it| Arc::strong_count(it) > 4)
            });
            Ok(vec![([127, 0, 0, 1], 0).into()])
        },
        start,
    );
    for calls in 1..3 {
        let found = ask(&LOOKUPS, &["opa", "opa", "opa"]);
        assert!(found.iter().all(|found| found.as_ref().unwrap().len() == 1));
        assert_eq!(CALLS.load(Ordering::SeqCst), calls);
    }
}

#[test]
fn hosts_whose_lookup_hangs_are_late_and_hold_up_no_other_within_the_bound() {
    static LOOKUPS: Lookups = Lookups::new(
        |host| match host.starts_with("hangs") {
            true => hangs(),
            false => Ok(Vec::new()),
        },
        start,
    );
    // One request gives up after the other, until a thread has taken the host.
    let ask = |host: &str| {
        wait_until(|| {
            let lost = LOOKUPS.of(host, SHORT);
            assert!(matches!(lost, Err(Lost::Late)));
            let board = LOOKUPS.board();
            board.waiting.is_empty() && board.asked.contains_key(host)
        });
    };
    for number in 1..AT_ONCE {
        ask(&format!("hangs-{number}"));
        LOOKUPS.of("opa", LONG).unwrap();
    }
    ask("hangs-too");
    // All others have to wait, and start no thread.
    for host in ["opa", "opal"] {
        assert!(matches!(LOOKUPS.of(host, SHORT), Err(Lost::Late)));
    }
    assert_eq!(LOOKUPS.board().threads, AT_ONCE);
}

#[test]
fn a_thread_that_cannot_be_had_is_a_failure_of_the_request_and_others_are_waited_for() {
    static REFUSES: AtomicUsize = AtomicUsize::new(1);
    static LOOKUPS: Lookups = Lookups::new(
        |_| Ok(Vec::new()),
        |work| match REFUSES.swap(1, Ordering::SeqCst) {
            0 => start(work),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        },
    );
    let lost = LOOKUPS.of("opa", LONG).unwrap_err();
    assert!(matches!(lost, Lost::NoThread(_)), "{lost}");
    assert!(LOOKUPS.board().asked.is_empty());
    REFUSES.store(0, Ordering::SeqCst);
    for found in ask(&LOOKUPS, &["opa", "opal", "flags"]) {
        found.unwrap();
    }
}
