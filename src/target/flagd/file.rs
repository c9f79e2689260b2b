//! Reading a file whole, and replacing it so that no reader ever sees a part of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::access::carry_over;
use crate::disk;
use crate::duration::Seconds;
use crate::encoding;
use crate::error::{Failure, Kind};

pub(super) struct File {
    path: PathBuf,
}

/// How many links may lead to it: as many as Linux follows.
const LINKS: usize = 40;

/// The permissions of a new file, less the process's umask.
const NEW: u32 = 0o666;

/// Those of a file that replaces another, until it has the other's.
const PRIVATE: u32 = 0o600;

/// Held while a file is read, edited and replaced: after a reload, the generation before it may still write
/// the same file, perhaps under another name. By folder (device and inode) and name.
static TURNS: Mutex<BTreeMap<(u64, u64, OsString), Turn>> = Mutex::new(BTreeMap::new());

type Turn = Arc<Mutex<()>>;

impl File {
    pub(super) fn new(path: &Path) -> File {
        File { path: path.into() }
    }

    pub(super) fn name(&self) -> String {
        format!("file {}", self.path.display())
    }

    /// Its text; none where there is no such file.
    pub(super) fn read(&self) -> Result<Option<String>, Failure> {
        let read = || match fs::metadata(&self.path)?.is_file() {
            true => fs::read(&self.path),
            false => Err(io::Error::other("not a regular file: correct `path`")),
        };
        let bytes = match read() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failure("read", &error)),
        };
        let misfit = |what| {
            let words = format!("{} {what}", self.name());
            Failure::new(Kind::Answer, words).lasting()
        };
        if encoding::text(&bytes).map_err(misfit)?.len() < bytes.len() {
            let what = "begins with a byte order mark, which flagd does not read: save it without";
            return Err(misfit(what));
        }
        let text = String::from_utf8(bytes).map_err(|_| misfit("is not UTF-8 text"))?;
        Ok(Some(text))
    }

    /// What to lock before it is read to be changed.
    pub(super) fn turn(&self) -> Result<Turn, Failure> {
        let find = || {
            let path = self.real_path()?;
            let folder = fs::metadata(folder_of(&path))?;
            let name = path.file_name().unwrap_or_default().to_owned();
            let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = turns.entry((folder.dev(), folder.ino(), name));
            Ok(Arc::clone(turn.or_default()))
        };
        find().map_err(|error| self.failure("written", &error))
    }

    /// Replaces it for the same readers; where that cannot be, the file stays as it is.
    pub(super) fn replace(&self, text: &str) -> Result<(), Failure> {
        let start = Instant::now();
        self.try_replace(text)
            .map_err(|error| self.failure("written", &error))?;
        let (name, bytes) = (self.name(), text.len());
        let took = Seconds(start.elapsed());
        log::debug!("wrote {name} bytes={bytes} took={took}");
        Ok(())
    }

    /// Fails where it cannot be replaced, if that shows without doing it.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let check = || {
            let path = self.real_path()?;
            let traits = disk::traits(&path);
            if traits.is_mount_point {
                return Err(Errno::BUSY.into());
            }
            if traits.is_immutable {
                return Err(Errno::PERM.into());
            }
            let folder = folder_of(&path);
            access(folder, Access::WRITE_OK | Access::EXEC_OK)?;
            // A file without a name takes what the successor will.
            match (open(&path)?, nameless(folder)) {
                (Some(old), Some(nameless)) => carry_over(&old, &nameless),
                _ => Ok(()),
            }
        };
        check().map_err(|error| self.failure("written", &error))
    }

    fn try_replace(&self, text: &str) -> io::Result<()> {
        let path = self.real_path()?;
        let folder = folder_of(&path);
        let old = open(&path)?;
        let mode = if old.is_some() { PRIVATE } else { NEW };
        // Beside the file: only within a file system is a rename one step.
        let mut temporary = tempfile::Builder::new()
            .prefix(".optoggles-")
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(folder)?;
        temporary.write_all(text.as_bytes())?;
        if let Some(old) = &old {
            carry_over(old, temporary.as_file())?;
        }
        flush(temporary.as_file())?;
        temporary.persist(&path).map_err(|error| error.error)?;
        // Without this, a power failure can bring the old text back.
        match fs::File::open(folder) {
            Ok(folder) => flush(&folder),
            // One may write into it that may not read it.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Where the file itself is, or will be: a link to it stays a link.
    fn real_path(&self) -> io::Result<PathBuf> {
        let mut path = self.path.clone();
        for _ in 0..LINKS {
            match fs::read_link(&path) {
                // An absolute one replaces the whole path.
                Ok(to) => path.set_file_name(to),
                // Not a link, or not there yet.
                Err(_) => return Ok(path),
            }
        }
        Err(Errno::LOOP.into())
    }

    fn failure(&self, what: &str, error: &io::Error) -> Failure {
        let path = self.real_path().unwrap_or_else(|_| self.path.clone());
        let folder = folder_of(&path).display();
        let why = match error.kind() {
            ErrorKind::NotFound => format!("no such folder {folder}: create it"),
            ErrorKind::PermissionDenied if what == "read" => {
                "permission denied: let the user that runs optoggles read it".to_owned()
            }
            ErrorKind::PermissionDenied => format!(
                "permission denied: let the user that runs optoggles write to the folder {folder}, \
                 and own the file, which may not be immutable (lsattr)"
            ),
            ErrorKind::ResourceBusy => format!(
                "it is itself a mount point, which cannot be replaced: mount the folder that holds \
                 it to {folder} instead"
            ),
            ErrorKind::ReadOnlyFilesystem => {
                format!("the folder {folder} is read-only: mount it writable")
            }
            _ => error.to_string(),
        };
        let words = format!("{} cannot be {what}: {why}", self.name());
        Failure::new(Kind::File, words)
    }
}

/// Only some file systems of Linux have these.
#[cfg(target_os = "linux")]
fn nameless(folder: &Path) -> Option<fs::File> {
    use rustix::fs::{Mode, OFlags};

    let flags = OFlags::TMPFILE | OFlags::WRONLY;
    let opened = rustix::fs::open(folder, flags, Mode::from_raw_mode(PRIVATE));
    opened.ok().map(fs::File::from)
}

#[cfg(not(target_os = "linux"))]
fn nameless(_: &Path) -> Option<fs::File> {
    None
}

/// None where there is no such file.
fn open(path: &Path) -> io::Result<Option<fs::File>> {
    match fs::File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits until the disk has it; some file systems cannot tell, above all of folders.
fn flush(file: &fs::File) -> io::Result<()> {
    let flushed = file.sync_all();
    let untold = [
        Errno::INVAL,
        Errno::NOTSUP,
        Errno::NOSYS,
        Errno::BADF,
        Errno::ROFS,
    ];
    flushed.or_else(|error| match Errno::from_io_error(&error) {
        Some(errno) if untold.contains(&errno) => Ok(()),
        _ => Err(error),
    })
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_cannot_flush_is_no_failure() {
        // A folder of some file systems answers as a device does.
        let device = fs::File::open("/dev/null").unwrap();
        assert_eq!(
            device.sync_all().unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        assert!(flush(&device).is_ok());
    }
}
