//! What a process takes from the machine, as Linux tells it.

use std::fs;
use std::path::PathBuf;

use super::process::Process;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) resident: u64,
    /// The most resident memory that it has had, in kB.
    pub(crate) peak: u64,
    pub(crate) descriptors: usize,
    /// Threads that make requests, and those that serve clients, come and go with the work, and end after 10 s
    /// without any.
    pub(crate) request_threads: usize,
    pub(crate) connection_threads: usize,
    /// All others.
    pub(crate) threads: usize,
}

impl Usage {
    pub(crate) fn of(process: &Process) -> Usage {
        let folder = PathBuf::from(format!("/proc/{}", process.pid().as_raw_nonzero()));
        let status = fs::read_to_string(folder.join("status")).unwrap();
        // A thread that ends while one looks has no name any more.
        let threads = entries(folder.join("task"));
        let names = threads.filter_map(|thread| fs::read_to_string(thread.join("comm")).ok());
        let names: Vec<String> = names.collect();
        let named = |name: &str| names.iter().filter(|it| it.trim_end() == name).count();
        let (request_threads, connection_threads) = (named("request"), named("connection"));
        Usage {
            resident: kilobytes(&status, "VmRSS:"),
            peak: kilobytes(&status, "VmHWM:"),
            descriptors: entries(folder.join("fd")).count(),
            request_threads,
            connection_threads,
            threads: names.len() - request_threads - connection_threads,
        }
    }
}

fn entries(folder: PathBuf) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.filter_map(|entry| Some(entry.ok()?.path()))
}

fn kilobytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number.unwrap_or_default().parse().unwrap()
}
