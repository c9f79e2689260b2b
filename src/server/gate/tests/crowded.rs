//! Many clients at once.

use std::sync::Barrier;

use super::*;

/// Sends a request and reads its answer as a client does that would use the connection again.
fn keep_alive(client: &mut TcpStream) -> io::Result<String> {
    client.write_all(b"GET /keep HTTP/1.1\r\nHost: me\r\nConnection: keep-alive\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut bytes = [0; 512];
    while !answer.ends_with(b"GET /keep") {
        let read = client.read(&mut bytes)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&bytes[..read]);
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn five_clients_with_keep_alive_at_once_are_all_answered() {
    const CLIENTS: usize = 5;
    let fixture = Fixture::new(Limits::default());
    let together = Barrier::new(CLIENTS);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                for _ in 0..40 {
                    together.wait();
                    let mut client = fixture.connect();
                    assert_eq!(status(&keep_alive(&mut client).unwrap()), "200");
                    // Nobody leaves before all have their answers.
                    together.wait();
                }
            });
        }
    });
}

#[test]
fn five_hundred_idle_connections_do_not_keep_a_request_out() {
    let fixture = Fixture::new(Limits::default());
    let connect = |_| {
        let start = Instant::now();
        let client = fixture.connect();
        // Had it not found room in the system's queue, it had tried again after a second.
        assert!(start.elapsed() < Duration::from_secs(1));
        client
    };
    let idle: Vec<TcpStream> = (0..500).map(connect).collect();
    assert_eq!(status(&fixture.ask(GET)), "200");
    drop(idle);
}

#[test]
fn connections_with_half_a_head_do_not_keep_a_request_out() {
    let fixture = Fixture::new(Limits {
        connections: 4,
        head_time: PATIENCE * 2,
        ..Limits::default()
    });
    let halves: Vec<TcpStream> = std::iter::repeat_with(|| {
        let mut client = fixture.connect();
        client.write_all(b"GET / HTTP/1.1\r\nHost").unwrap();
        client
    })
    .take(8)
    .collect();
    assert_eq!(status(&fixture.ask(GET)), "200");
    drop(halves);
}

#[test]
fn more_clients_than_places_are_all_answered() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    // They have all sent their requests when the gate opens, so none of them is idle.
    let clients: Vec<TcpStream> = std::iter::repeat_with(|| {
        let mut client = connect(address).unwrap();
        client.write_all(GET.as_bytes()).unwrap();
        client
    })
    .take(100)
    .collect();
    let (inner, inner_listener) = Inner::bind().unwrap();
    let limits = Limits {
        connections: 3,
        ..Limits::default()
    };
    let _fixture = Fixture::behind(listener, inner, Some(inner_listener), limits);
    for mut client in clients {
        assert_eq!(status(&read(&mut client).unwrap()), "200");
    }
}

#[test]
fn clients_that_do_not_read_their_answer_block_nobody() {
    let fixture = Fixture::new(Limits {
        connections: 3,
        answer_time: PATIENCE * 2,
        ..Limits::default()
    });
    let deaf: Vec<TcpStream> = std::iter::repeat_with(|| {
        let mut client = fixture.connect();
        client.write_all(b"GET /large HTTP/1.0\r\n\r\n").unwrap();
        let mut first = [0; 1];
        client.read_exact(&mut first).unwrap();
        client
    })
    .take(4)
    .collect();
    assert_eq!(status(&fixture.ask(GET)), "200");
    drop(deaf);
}

#[test]
fn a_client_that_does_not_read_its_answer_is_let_go() {
    let fixture = Fixture::new(Limits {
        answer_time: Duration::from_millis(500),
        ..Limits::default()
    });
    let mut client = fixture.connect();
    client.write_all(b"GET /large HTTP/1.0\r\n\r\n").unwrap();
    let place_is_free = || fixture.gate.door.crowd.is_empty();
    let start = Instant::now();
    while place_is_free() {
        assert!(start.elapsed() < PATIENCE);
        thread::yield_now();
    }
    while !place_is_free() {
        assert!(start.elapsed() < PATIENCE);
        thread::yield_now();
    }
    wait_for_end(&mut client);
}

#[test]
fn whoever_is_being_answered_keeps_its_place() {
    let fixture = Fixture::new(Limits {
        connections: 1,
        ..Limits::default()
    });
    let mut first = fixture.connect();
    first.write_all(b"GET /held HTTP/1.0\r\n\r\n").unwrap();
    let release = fixture.held.recv_timeout(PATIENCE).unwrap();
    let mut second = fixture.connect();
    second.write_all(GET.as_bytes()).unwrap();
    release.send(()).unwrap();
    assert!(read(&mut first).unwrap().ends_with("held"));
    assert_eq!(status(&read(&mut second).unwrap()), "200");
}
