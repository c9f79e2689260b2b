//! What comes after a request's head.

use super::*;

fn post(headers: &str) -> String {
    format!("POST /opa_update/a HTTP/1.1\r\nHost: me\r\n{headers}\r\n\r\n")
}

#[test]
fn a_body_of_megabytes_is_taken_and_its_sender_reads_the_answer() {
    let fixture = Fixture::new(Limits::default());
    let body = vec![b'x'; 8 * 1024 * 1024];
    for headers in [
        format!("Content-Length: {}", body.len()),
        "Transfer-Encoding: chunked".into(),
    ] {
        let mut client = fixture.connect();
        client.write_all(post(&headers).as_bytes()).unwrap();
        // Whoever looks for the answer last must still find it.
        client.write_all(&body).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = read(&mut client).unwrap();
        assert_eq!(status(&answer), "202", "{headers}");
        assert!(answer.ends_with("\r\n\r\n{}"), "{answer}");
    }
}

#[test]
fn a_body_that_was_sent_whole_ends_the_connection_at_once() {
    let fixture = Fixture::new(Limits {
        body_time: PATIENCE * 2,
        ..Limits::default()
    });
    for request in [
        post("Content-Length: 5") + "hello",
        post("Content-Length: 5") + "hello and more",
        post("Content-Length: 0"),
        post("X: no body"),
    ] {
        assert_eq!(status(&fixture.ask(request)), "202");
    }
}

#[test]
fn an_announced_body_that_never_comes_costs_nothing() {
    let fixture = Fixture::new(Limits {
        body_time: Duration::from_millis(100),
        ..Limits::default()
    });
    for length in ["5000", "99999999999", "9223372036854775808"] {
        for method in ["GET", "POST"] {
            let request =
                format!("{method} / HTTP/1.1\r\nHost: me\r\nContent-Length: {length}\r\n\r\n0123");
            let wanted = if method == "GET" { "200" } else { "202" };
            assert_eq!(status(&fixture.ask(request)), wanted);
        }
    }
    assert_eq!(status(&fixture.ask(GET)), "200");
}

#[test]
fn clients_that_owe_their_body_keep_nobody_waiting() {
    let fixture = Fixture::new(Limits {
        connections: 4,
        body_time: PATIENCE * 2,
        ..Limits::default()
    });
    let request = post("Content-Length: 5000") + "0123456789";
    let owing: Vec<TcpStream> = std::iter::repeat_with(|| {
        let mut client = fixture.connect();
        client.write_all(request.as_bytes()).unwrap();
        let mut first = [0; 1];
        client.read_exact(&mut first).unwrap();
        client
    })
    .take(8)
    .collect();
    assert_eq!(status(&fixture.ask(GET)), "200");
    drop(owing);
}

#[test]
fn a_client_that_asks_before_it_sends_its_body_need_not_send_it() {
    let fixture = Fixture::new(Limits {
        body_time: PATIENCE * 2,
        ..Limits::default()
    });
    let request = post("Content-Length: 5000\r\nExpect: 100-continue");
    assert_eq!(status(&fixture.ask(request)), "202");
}

#[test]
fn who_is_refused_may_finish_sending_and_reads_the_answer() {
    let fixture = Fixture::new(Limits {
        linger_time: PATIENCE * 2,
        ..Limits::default()
    });
    let mut client = fixture.connect();
    client.write_all(b"POST / HTTP/2.0\r\n").unwrap();
    let mut first = [0; 1];
    client.read_exact(&mut first).unwrap();
    for _ in 0..100 {
        client.write_all(&[b'x'; 1024]).unwrap();
    }
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(read(&mut client).unwrap().starts_with("TTP/1.1 505 "));
}
