use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
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

fn crew() -> io::Result<Crew> {
    Crew::new("lookup", AT_ONCE)
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
        crew,
    );
    for calls in 1..3 {
        let found = ask(&LOOKUPS, &["opa", "opa", "opa"]);
        assert!(found.iter().all(|found| found.as_ref().unwrap().len() == 1));
        assert_eq!(CALLS.load(Ordering::SeqCst), calls);
    }
}

#[test]
fn hosts_whose_lookup_hangs_are_late_and_hold_up_no_other_within_the_bound() {
    static HANGING: AtomicUsize = AtomicUsize::new(0);
    static TOGETHER: Barrier = Barrier::new(AT_ONCE + 1);
    static FOUND: Mutex<Vec<String>> = Mutex::new(Vec::new());
    static LOOKUPS: Lookups = Lookups::new(
        |host| {
            if host.starts_with("hangs") {
                HANGING.fetch_add(1, Ordering::SeqCst);
                TOGETHER.wait();
            }
            FOUND.lock().unwrap().push(host.to_owned());
            Ok(Vec::new())
        },
        crew,
    );
    let is_late = |host: &str| matches!(LOOKUPS.of(host, SHORT), Err(Lost::Late));
    for number in 1..=AT_ONCE {
        LOOKUPS.of("opa", LONG).unwrap();
        // One request gives up after the other, until a thread has taken the host.
        wait_until(|| {
            assert!(is_late(&format!("hangs-{number}")));
            HANGING.load(Ordering::SeqCst) == number
        });
    }
    // All others have to wait; no request does so when their turn comes.
    assert!(is_late("opal") && is_late("flags"));
    FOUND.lock().unwrap().clear();
    TOGETHER.wait();
    LOOKUPS.of("opa", LONG).unwrap();
    wait_until(|| LOOKUPS.board().asked.is_empty());
    let found = FOUND.lock().unwrap();
    assert!(!found.iter().any(|host| host == "opal" || host == "flags"));
    assert_eq!(found.len(), AT_ONCE + 1);
}

#[test]
fn an_ip_address_needs_no_time() {
    for address in ["127.0.0.1:80", "[::1]:80"].map(|it| it.parse::<SocketAddr>().unwrap()) {
        let found = look_up(&address.ip().to_string(), address.port(), Duration::ZERO);
        assert_eq!(found.unwrap(), [address]);
    }
}

#[test]
fn a_thread_that_cannot_be_had_is_a_failure_of_the_request() {
    static REFUSES: AtomicUsize = AtomicUsize::new(1);
    static LOOKUPS: Lookups = Lookups::new(
        |_| Ok(Vec::new()),
        || match REFUSES.swap(0, Ordering::SeqCst) {
            0 => crew(),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        },
    );
    let lost = LOOKUPS.of("opa", LONG).unwrap_err();
    assert!(matches!(lost, Lost::NoThread(_)), "{lost}");
    for found in ask(&LOOKUPS, &["opa", "opal", "flags"]) {
        found.unwrap();
    }
}
