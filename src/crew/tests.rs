use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, after, unbounded};

use super::*;

/// How long a test waits for what should come at once.
const LONG: Duration = Duration::from_secs(60);

/// A crew in a system that allows so many more threads, which have little patience.
pub(crate) fn crew(most: usize, allowed: &Arc<AtomicUsize>) -> Crew {
    let allowed = Arc::clone(allowed);
    let take = |left: usize| left.checked_sub(1);
    let mut crew = Crew::new("test", most).unwrap();
    crew.patience = Duration::from_millis(1);
    crew.start = Box::new(move |name, work| {
        let taken = allowed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        taken.map_err(|_| io::ErrorKind::WouldBlock)?;
        start(name, work)
    });
    crew
}

/// Work that hangs until the sender is dropped.
fn hang(crew: &Crew) -> Sender<()> {
    let (release, hangs) = unbounded::<()>();
    let (tell, begun) = unbounded();
    crew.run(move || {
        tell.send(()).unwrap();
        let _ = hangs.recv();
    });
    begun.recv_timeout(LONG).unwrap();
    release
}

/// Work that tells when it is done.
fn quick(crew: &Crew) -> Receiver<()> {
    let (tell, done) = unbounded();
    crew.run(move || tell.send(()).unwrap());
    done
}

fn wait_until(is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LONG);
        thread::yield_now();
    }
}

#[test]
fn work_gets_threads_up_to_the_number_and_idle_ones_end() {
    let crew = crew(3, &Arc::new(AtomicUsize::new(9)));
    let together = Arc::new(Barrier::new(3));
    for _ in 0..6 {
        let together = Arc::clone(&together);
        crew.run(move || {
            together.wait();
        });
        assert!(lock(&crew.count).threads <= 3);
    }
    wait_until(|| lock(&crew.count).threads == 1);
    quick(&crew).recv_timeout(LONG).unwrap();
    let count = Arc::clone(&crew.count);
    drop(crew);
    wait_until(|| Arc::strong_count(&count) == 1);
}

#[test]
fn work_that_follows_a_result_needs_no_other_thread() {
    let crew = crew(9, &Arc::new(AtomicUsize::new(9)));
    let (tell, told) = unbounded();
    let name = || thread::current().id();
    let names = (0..100).map(|_| {
        let tell = tell.clone();
        crew.run_and_tell(name, move |name| tell.send(name).unwrap());
        told.recv_timeout(LONG).unwrap()
    });
    let names: BTreeSet<String> = names.map(|name| format!("{name:?}")).collect();
    assert_eq!(names.len(), 1);
}

#[test]
fn an_idle_thread_stays_while_all_others_hang() {
    let allowed = Arc::new(AtomicUsize::new(1));
    let crew = crew(9, &allowed);
    let _hanging = hang(&crew);
    quick(&crew).recv_timeout(LONG).unwrap();
    // Many times its patience.
    let _ = after(Duration::from_millis(50)).recv();
    quick(&crew).recv_timeout(LONG).unwrap();
    assert_eq!(allowed.load(Ordering::SeqCst), 0);
}

#[test]
fn work_that_was_refused_a_thread_waits_and_gets_one_with_later_work() {
    let allowed = Arc::new(AtomicUsize::new(0));
    let crew = crew(9, &allowed);
    let hanging = hang(&crew);
    let refused = quick(&crew);
    assert!(refused.is_empty());
    drop(hanging);
    refused.recv_timeout(LONG).unwrap();

    let _hanging = hang(&crew);
    let together = Arc::new(Barrier::new(2));
    let met = [0, 9].map(|more| {
        allowed.store(more, Ordering::SeqCst);
        let (together, (tell, met)) = (Arc::clone(&together), unbounded());
        crew.run(move || {
            together.wait();
            tell.send(()).unwrap();
        });
        met
    });
    for met in met {
        met.recv_timeout(LONG).unwrap();
    }
}
