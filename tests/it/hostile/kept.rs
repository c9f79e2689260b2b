//! Clients that ask for evaluations, on connections that are kept.

use std::net::Shutdown;
use std::sync::atomic::AtomicBool;
use std::thread;

use super::*;

/// As many as are kept at most.
const KEPT: usize = 32;

const EVALUATION: &str = "POST /ofrep/v1/evaluate/flags/us HTTP/1.1\r\nHost: localhost\r\nContent-Length: 34\r\n\r\n\
                          {\"context\":{\"targetingKey\":\"ann\"}}";

/// Asks once. The answer ends with its only closing brace.
fn evaluate(client: &mut TcpStream) -> io::Result<String> {
    client.write_all(EVALUATION.as_bytes())?;
    let (mut answer, mut byte) = (String::new(), [0]);
    while !answer.ends_with('}') {
        client.read_exact(&mut byte)?;
        answer.push(char::from(byte[0]));
    }
    Ok(answer)
}

impl Serving {
    /// A client that has been answered and stays.
    #[track_caller]
    pub(super) fn kept(&self) -> TcpStream {
        let mut client = self.daemon.connect();
        let answer = evaluate(&mut client).unwrap();
        assert_eq!(status_of(&answer), 200, "{answer}");
        client
    }
}

#[test]
fn kept_connections_and_idle_clients_keep_out_no_callback_and_no_health_check() {
    withstands(|serving| {
        let kept: Vec<TcpStream> = (0..KEPT).map(|_| serving.kept()).collect();
        let idle: Vec<TcpStream> = (0..40).map(|_| serving.daemon.connect()).collect();
        (kept, idle)
    });
}

#[test]
fn clients_that_evaluate_all_the_time_keep_out_no_callback_and_no_health_check() {
    withstands(|serving| {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..KEPT {
                scope.spawn(|| {
                    let mut client = serving.kept();
                    while !done.load(Ordering::Relaxed) {
                        // Its place may have been needed.
                        if evaluate(&mut client).is_err() {
                            client = serving.kept();
                        }
                    }
                });
            }
            serving.serves();
            done.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn half_a_body_from_a_hundred_clients() {
    withstands(|serving| {
        let half = &EVALUATION[..EVALUATION.len() - 1];
        (0..100).map(|_| serving.send(half)).collect::<Vec<_>>()
    });
}

#[test]
fn clients_that_ask_and_ask_and_read_no_answer() {
    withstands(|serving| {
        let requests = EVALUATION.repeat(100);
        let clients = (0..40).map(|_| {
            let mut client = serving.daemon.connect();
            // So few answers fit that they are soon not taken.
            rustix::net::sockopt::set_socket_recv_buffer_size(&client, 4096).unwrap();
            client.set_nonblocking(true).unwrap();
            let most = (64 << 20) / requests.len();
            let taken = (0..most).take_while(|_| client.write_all(requests.as_bytes()).is_ok());
            assert!(taken.count() < most, "all of it was taken");
            client
        });
        clients.collect::<Vec<_>>()
    });
}

#[test]
fn two_thousand_clients_one_after_the_other() {
    withstands(|serving| {
        for number in 0..2000 {
            let client = serving.kept();
            match number % 2 {
                0 => client.shutdown(Shutdown::Both).unwrap(),
                // It is reset.
                _ => {
                    rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap()
                }
            }
        }
    });
}
