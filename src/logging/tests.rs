use std::sync::{Arc, Mutex};

use super::*;

/// Takes everything while it has room, else fails as a full disk does.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<(String, bool)>>);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut disk = self.0.lock().unwrap();
        if disk.1 {
            return Err(ErrorKind::StorageFull.into());
        }
        disk.0 += std::str::from_utf8(bytes).unwrap();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn written_to(disk: &Disk) -> &'static Queue {
    let (queue, entries) = Queue::new();
    let (queue, disk): (&Queue, Disk) = (Box::leak(Box::new(queue)), disk.clone());
    thread::spawn(move || queue.write_all(&entries, disk));
    queue
}

#[test]
fn what_a_full_disk_did_not_take_is_counted_once_it_takes_more() {
    let disk = Disk::default();
    let queue = written_to(&disk);
    for (line, is_full) in [
        ("one\n", false),
        ("two\n", true),
        ("three\n", true),
        ("four\n", false),
    ] {
        disk.0.lock().unwrap().1 = is_full;
        queue.push(line.to_owned());
        queue.flush(Duration::MAX);
    }
    queue.push("five\n".to_owned());
    queue.flush(Duration::MAX);
    let text = disk.0.lock().unwrap().0.clone();
    let (before, after) = text.split_once("four\n").unwrap();
    assert_eq!(before, "one\n");
    assert!(
        after.contains(" WARN  [optoggles::logging] log lines dropped"),
        "{text}"
    );
    assert!(after.ends_with(" count=2\nfive\n"), "{text}");
}

#[test]
fn the_queue_is_bounded_and_one_line_always_fits() {
    let (queue, entries) = Queue::new();
    queue.push("x".repeat(2 * LONGEST_QUEUE));
    queue.push("no room".to_owned());
    assert_eq!(entries.len(), 1);
    assert_eq!(queue.dropped.load(Relaxed), 1);
}
