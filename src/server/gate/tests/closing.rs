//! The end of the gate, and of the server behind it.

use super::*;

#[test]
fn a_closed_gate_refuses_connections_at_once() {
    let fixture = Fixture::new(Limits::default());
    let mut idle = fixture.connect();
    assert_eq!(status(&fixture.ask(GET)), "200");
    let start = Instant::now();
    fixture.gate.close();
    assert!(
        start.elapsed() < Duration::from_millis(400),
        "idle connections delay it"
    );
    let refused = connect(fixture.address).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    wait_for_end(&mut idle);
}

#[test]
fn a_dropped_gate_closes_too() {
    let fixture = Fixture::new(Limits::default());
    drop(fixture.gate);
    let start = Instant::now();
    while connect(fixture.address).is_ok() {
        assert!(start.elapsed() < PATIENCE);
    }
}

#[test]
fn whoever_is_being_answered_when_the_gate_closes_gets_the_answer() {
    let Fixture {
        address,
        gate,
        held,
        ..
    } = Fixture::new(Limits {
        closing_time: PATIENCE,
        ..Limits::default()
    });
    let mut client = connect(address).unwrap();
    client.write_all(b"GET /held HTTP/1.0\r\n\r\n").unwrap();
    let release = held.recv_timeout(PATIENCE).unwrap();
    let closing = thread::spawn(move || gate.close());
    while connect(address).is_ok() {}
    release.send(()).unwrap();
    assert!(read(&mut client).unwrap().ends_with("held"));
    drop(client);
    closing.join().unwrap();
}

#[test]
fn an_answer_that_does_not_come_delays_closing_for_a_moment_only() {
    let fixture = Fixture::new(Limits {
        closing_time: Duration::from_millis(50),
        ..Limits::default()
    });
    let mut client = fixture.connect();
    client.write_all(b"GET /held HTTP/1.0\r\n\r\n").unwrap();
    let release = fixture.held.recv_timeout(PATIENCE).unwrap();
    let start = Instant::now();
    fixture.gate.close();
    assert!(start.elapsed() < Duration::from_secs(1));
    wait_for_end(&mut client);
    release.send(()).unwrap();
}

#[test]
fn when_the_server_is_gone_it_is_said_once_and_clients_are_told() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (inner, gone) = Inner::bind().unwrap();
    drop(gone);
    let fixture = Fixture::behind(listener, inner, None, Limits::default());
    assert_eq!(status(&fixture.ask(GET)), "503");
    let reason = fixture.broken.recv_timeout(PATIENCE).unwrap();
    assert!(
        reason.starts_with("the HTTP server does not listen any more: "),
        "{reason}"
    );
    assert_eq!(status(&fixture.ask(GET)), "503");
    assert!(fixture.broken.try_recv().is_err());
}

#[test]
fn a_server_that_gives_no_answer_in_time_is_unavailable_but_not_gone() {
    let fixture = Fixture::new(Limits {
        answer_time: Duration::from_secs(1),
        ..Limits::default()
    });
    assert_eq!(status(&fixture.ask("GET /held HTTP/1.0\r\n\r\n")), "503");
    let release = fixture.held.recv_timeout(PATIENCE).unwrap();
    release.send(()).unwrap();
    assert!(fixture.broken.try_recv().is_err());
    assert_eq!(status(&fixture.ask(GET)), "200");
}

#[test]
fn who_does_not_get_its_turn_in_time_is_told_so_and_holds_up_nobody() {
    let fixture = Fixture::new(Limits {
        turn_time: Duration::from_millis(200),
        answer_time: PATIENCE * 2,
        ..Limits::default()
    });
    let mut first = fixture.connect();
    first.write_all(b"GET /held HTTP/1.0\r\n\r\n").unwrap();
    let release = fixture.held.recv_timeout(PATIENCE).unwrap();
    assert_eq!(status(&fixture.ask(GET)), "503");
    release.send(()).unwrap();
    assert!(read(&mut first).unwrap().ends_with("held"));
    assert_eq!(status(&fixture.ask(GET)), "200");
}

#[test]
fn a_connection_that_the_server_has_closed_is_replaced() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (inner, behind) = Inner::bind().unwrap();
    let answer_one_each = move || {
        for mut stream in behind.incoming().take(2).map(Result::unwrap) {
            let _ = stream.read(&mut [0; 1024]).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            stream.write_all(answer).unwrap();
        }
    };
    let server = thread::spawn(answer_one_each);
    let fixture = Fixture::behind(listener, inner, None, Limits::default());
    for _ in 0..2 {
        assert!(fixture.ask(GET).ends_with("\r\n\r\nok"));
    }
    server.join().unwrap();
    assert!(fixture.broken.try_recv().is_err());
}
