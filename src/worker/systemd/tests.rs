use super::*;

#[test]
fn a_line_is_sent_at_most_once_a_second_and_the_last_one_always_arrives() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("notify");
    let name = path.to_str().map(str::to_owned);
    let listen = || {
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    };
    let received = |socket: &UnixDatagram| {
        let mut line = [0; 200];
        let length = socket.recv(&mut line).ok()?;
        Some(String::from_utf8_lossy(&line[..length]).into_owned())
    };
    let socket = listen();
    let mut status_line = StatusLine::new(Notifier::new(&|_| name.clone()));
    let start = Instant::now();
    let mut update = |line: &str, quarters: u32| {
        status_line.update(|| line.to_owned(), start + PAUSE / 4 * quarters);
        status_line.due
    };
    let at = |quarters: u32| Some(start + PAUSE / 4 * quarters);
    let line = |line: &str| Some(format!("STATUS={line}"));
    assert_eq!((update("a", 0), received(&socket)), (None, line("a")));
    // A change that comes too soon waits.
    assert_eq!((update("b", 2), received(&socket)), (at(4), None));
    assert_eq!((update("b", 4), received(&socket)), (None, line("b")));
    assert_eq!((update("b", 9), received(&socket)), (None, None));
    // What was not accepted is sent again.
    drop(socket);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(update("c", 12), at(16));
    let socket = listen();
    assert_eq!((update("c", 16), received(&socket)), (None, line("c")));
}
