//! A document in a file, or from standard input.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Source, Type};
use crate::check::{SourceCheck, not_asked};
use crate::config::{Key, PeerType, Rule, ValueKind};
use crate::disk::{self, Disk};
use crate::document::Document;
use crate::duration::Seconds;
use crate::error::{Failure, Kind};
use crate::http::LARGEST_ANSWER;
use crate::job::{Allowed, Origin, SourceTerms};

pub(super) static TYPE: Type = Type {
    config: PeerType {
        name: "file",
        says: "What OPA holds, in a file: plain JSON, an answer of OPA, or what `opa eval --format json` \
               prints. It is looked at every second.",
        keys: &[&[Key::required("path", ValueKind::Input, "\"users.json\"")
            .was(&["url", "file"])
            .says("The file. `-` is the standard input, with `optoggles sync` only.")]],
        check: |_, _| {},
    },
    open: |source, config, _, _| {
        let path = source.settings.path("path")?;
        let path = (path.as_os_str() != "-").then(|| path.to_owned());
        let file = Arc::new(File {
            path,
            rules: config.rules_of(source),
            last: Mutex::default(),
        });
        let disk = match (&file.path, config.until) {
            // What writes into a pipe may take its time.
            (None, until) => {
                let left = until.map(|until| until.saturating_duration_since(Instant::now()));
                let limit = left.unwrap_or_default().max(config.http_timeout);
                Disk::new(file.name(), limit, None).without_end()
            }
            (Some(_), _) => Disk::new(file.name(), config.http_timeout, config.until),
        };
        Ok(Box::new(Reader { file, disk }))
    },
};

/// How often a file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// For how long a file can change without a change of its stamp: file systems keep times in steps
/// of up to 2 s.
const TICK: Duration = Duration::from_secs(2);

/// The source: a file whose file system may hang.
struct Reader {
    file: Arc<File>,
    disk: Disk,
}

struct File {
    /// None: standard input.
    path: Option<PathBuf>,
    rules: Vec<Rule>,
    last: Mutex<Option<Look>>,
}

/// What a file held when it was last read.
struct Look {
    /// None: standard input, which does not change.
    stamp: Option<Stamp>,
    /// When a look first found this stamp.
    since: Instant,
    /// Whether it was read so long after that, that it need not be read again before the stamp changes.
    is_settled: bool,
    content: Result<Arc<Document>, Failure>,
}

/// What changes when a file does: device, inode and length; mtime, and ctime, which cannot be set back, with
/// their nanoseconds.
type Stamp = ([u64; 3], [i64; 4]);

impl File {
    /// The document; read anew only where it may have changed since the last time, and the same
    /// one as long as it holds the same.
    fn read(&self) -> Result<Arc<Document>, Failure> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.path.as_deref().map(stamp).transpose();
        let stamp = stamp.map_err(|error| self.unreadable(&error))?;
        let now = Instant::now();
        let known = last.take().filter(|known| known.stamp == stamp);
        let known = match known {
            Some(known) if known.is_settled => known,
            known => {
                let since = known.as_ref().map_or(now, |known| known.since);
                let content = self.parse()?;
                Look {
                    stamp,
                    since,
                    is_settled: stamp.is_none() || now - since >= TICK,
                    content: match known {
                        Some(known) if known.content == content => known.content,
                        _ => content,
                    },
                }
            }
        };
        last.insert(known).content.clone()
    }

    /// Reads the file; the outer error is one that can end without a change of the file.
    fn parse(&self) -> Result<Result<Arc<Document>, Failure>, Failure> {
        let (name, start) = (self.name(), Instant::now());
        let text = self.text().map_err(|error| self.unreadable(&error))?;
        let document = Document::parse(&name, &text, &self.rules).map(Arc::new);
        let (bytes, took) = (text.len(), Seconds(start.elapsed()));
        log::debug!("read {name} bytes={bytes} took={took}");
        Ok(match &self.path {
            Some(_) => document,
            // Nothing more will come.
            None => document.map_err(Failure::lasting),
        })
    }

    fn text(&self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let file: Box<dyn Read> = match &self.path {
            Some(path) => Box::new(fs::File::open(path)?),
            None => Box::new(io::stdin().lock()),
        };
        file.take(LARGEST_ANSWER + 1).read_to_end(&mut text)?;
        match text.len() as u64 > LARGEST_ANSWER {
            true => Err(io::ErrorKind::FileTooLarge.into()),
            false => Ok(text),
        }
    }

    fn name(&self) -> String {
        match &self.path {
            Some(path) => format!("file {}", path.display()),
            None => "standard input".to_owned(),
        }
    }

    fn unreadable(&self, error: &io::Error) -> Failure {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "no such file: create it, or correct `path`",
            io::ErrorKind::PermissionDenied => {
                "permission denied: let the user that runs optoggles read it"
            }
            io::ErrorKind::FileTooLarge => "larger than 64 MiB: split it into several files",
            _ => &error.to_string(),
        };
        Failure::new(Kind::File, format!("{} cannot be read: {why}", self.name()))
    }
}

impl Source for Reader {
    fn terms(&self) -> SourceTerms {
        SourceTerms {
            is_read: true,
            is_read_once: self.file.path.is_none(),
            poll_interval: Some(LOOK),
            ..SourceTerms::default()
        }
    }

    fn discover(&self) -> Result<Origin, Failure> {
        let file = Arc::clone(&self.file);
        let document = self.disk.run(move || file.read()).flatten();
        document.map(Origin::File)
    }

    fn query(&self, origin: &Origin, rule: &Rule, _: Option<&Allowed>) -> Result<Allowed, Failure> {
        match origin {
            Origin::File(document) => document.users(rule).map(Allowed::from),
            Origin::Opa(_) => Err(Failure::undefined(rule)),
        }
    }

    fn check(&self, _: bool) -> SourceCheck {
        let document = self.file.path.as_ref().map(|_| self.discover());
        let held = match document.clone() {
            Some(document) => document.map(|document| document.to_string().into()),
            None => Ok("standard input (sync reads it)".into()),
        };
        let not_asked = |failure| not_asked("the file", &failure);
        SourceCheck {
            answers: vec![("file".to_owned(), held)],
            origin: document.map(|document| document.map_err(not_asked)),
        }
    }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let found = fs::metadata(path)?;
    // A pipe may have no end.
    if !found.is_file() {
        return Err(io::Error::other("not a regular file: correct `path`"));
    }
    // It will never change.
    if found.nlink() == 0 && disk::is_mount_point(path) {
        let words = "it is itself a mount point, and what was mounted has been replaced or removed: \
                     mount its folder instead";
        return Err(io::Error::other(words));
    }
    Ok((
        [found.dev(), found.ino(), found.len()],
        [
            found.mtime(),
            found.mtime_nsec(),
            found.ctime(),
            found.ctime_nsec(),
        ],
    ))
}

#[cfg(test)]
mod tests;
