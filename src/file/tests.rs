use std::io::Write;
use std::path::PathBuf;
use std::thread;

use super::*;

const LARGEST: usize = 1024 * 1024;
const SOON: Duration = Duration::from_millis(50);

/// The error of what cannot be read.
fn refused(path: &Path, limit: Duration) -> String {
    read(path, Instant::now(), limit, LARGEST)
        .unwrap_err()
        .to_string()
}

fn pipe(folder: &Path) -> PathBuf {
    let path = folder.join("pipe");
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    path
}

#[test]
fn a_pipe_is_read_to_its_end_and_not_waited_for_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = pipe(folder.path());
    let endless = "it did not end within 50ms: is it a pipe that nothing closes?";
    assert_eq!(refused(&path, SOON), endless);
    let keep_open = |path: &Path| File::options().read(true).write(true).open(path).unwrap();
    let mut writer = keep_open(&path);
    writer.write_all(b"half").unwrap();
    assert_eq!(refused(&path, SOON), endless);
    drop(writer);
    let (from, minute) = (path.clone(), Duration::from_secs(60));
    let reader = thread::spawn(move || read(&from, Instant::now(), minute, LARGEST));
    let mut writer = File::options().write(true).open(&path).unwrap();
    writer.write_all(b"who").unwrap();
    writer.write_all(b"le").unwrap();
    drop(writer);
    assert_eq!(reader.join().unwrap().unwrap().0, b"whole");
}

#[test]
fn of_what_has_no_end_no_more_is_read_than_a_file_may_have() {
    let minute = Duration::from_secs(60);
    let large = "it is larger than 1 MiB";
    assert_eq!(refused(Path::new("/dev/zero"), minute), large);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let file = File::create(&path).unwrap();
    file.set_len(LARGEST as u64 + 1).unwrap();
    assert_eq!(refused(&path, minute), large);
    file.set_len(LARGEST as u64).unwrap();
    assert_eq!(
        read(&path, Instant::now(), minute, LARGEST)
            .unwrap()
            .0
            .len(),
        LARGEST
    );
}
