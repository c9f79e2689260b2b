//! Descriptors run out and come back.

use std::thread;

use rustix::process::{Resource, Rlimit, prlimit};

use super::*;

impl Serving {
    /// Leaves the daemon so many descriptors; `None`: as many as it had at first.
    fn leave(&self, spare: Option<usize>) {
        let pid = Some(self.daemon.process.pid());
        // The hard limit stays, so that the soft one can be raised again without privileges.
        let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
        let current = match spare {
            Some(spare) => Some((self.usage().descriptors + spare) as u64),
            None => maximum,
        };
        prlimit(pid, Resource::Nofile, Rlimit { current, maximum }).unwrap();
    }
}

#[test]
fn without_a_descriptor_for_a_client_they_wait_until_there_are_some() {
    let serving = Serving::start(None);
    serving.leave(Some(0));
    let mut waiting: Vec<TcpStream> = (0..50).map(|_| serving.send(LIVE)).collect();
    let said = "cannot accept connections";
    serving.world.wait_until("it says so", || {
        serving.daemon.process.stderr().contains(said)
    });
    serving.leave(None);
    for client in &mut waiting {
        assert_eq!(status_of(&read(client).unwrap()), 200);
    }
    serving.is_as_before();
}

#[test]
fn a_few_descriptors_are_enough_to_answer_one_client_after_the_other() {
    let serving = Serving::start(None);
    for spare in [1, 2, 3, 5, 8] {
        serving.leave(Some(spare));
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| assert_eq!(status_of(&serving.ask(LIVE)), 200));
            }
        });
        serving.leave(None);
        serving.serves();
    }
    serving.is_as_before();
}

#[test]
fn a_daemon_with_few_descriptors_serves_a_crowd() {
    // A soft limit is raised before it is too low.
    for limit in ["-Sn 12", "-n 40", "-n 64", "-n 128"] {
        let serving = Serving::start(Some(limit));
        let idle: Vec<TcpStream> = (0..200).map(|_| serving.daemon.connect()).collect();
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        let callback = serving.callback("Content-Length: 5\r\n") + "hello";
                        assert_eq!(status_of(&serving.ask(callback)), 202);
                    }
                });
            }
        });
        serving.serves();
        drop(idle);
        serving.is_as_before();
    }
}

#[test]
fn without_a_descriptor_for_a_client_kept_connections_give_theirs() {
    let serving = Serving::start(None);
    let kept: Vec<TcpStream> = (0..8).map(|_| serving.kept()).collect();
    serving.leave(Some(0));
    let start = Instant::now();
    assert_eq!(status_of(&serving.ask(LIVE)), 200);
    let took = start.elapsed();
    assert!(took < PROMPT, "/health/live took {took:?}");
    drop(kept);
    serving.leave(None);
    serving.is_as_before();
}
