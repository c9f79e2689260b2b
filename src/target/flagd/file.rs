//! Reading a file whole, and replacing it so that no reader ever sees a part of it.

use std::fs::{self, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{Access, access};
use tempfile::NamedTempFile;

use crate::duration::Seconds;
use crate::error::{Failure, Kind};

pub(super) struct File {
    path: PathBuf,
}

/// How many links may lead to it: as many as Linux follows.
const LINKS: usize = 40;

/// The permissions of a new file, less the process's umask.
const NEW: u32 = 0o666;

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
            true => fs::read_to_string(&self.path),
            false => Err(io::ErrorKind::InvalidInput.into()),
        };
        match read() {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failure("read", &error)),
        }
    }

    /// Replaces it with its mode and owner; where that cannot be, the file stays as it is.
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
    pub(super) fn check_folder(&self) -> Result<(), Failure> {
        let rights = Access::WRITE_OK | Access::EXEC_OK;
        let checked = self
            .real_path()
            .and_then(|path| Ok(access(folder_of(&path), rights)?));
        checked.map_err(|error| self.failure("written", &error))
    }

    fn try_replace(&self, text: &str) -> io::Result<()> {
        let path = self.real_path()?;
        let folder = folder_of(&path);
        // Beside the file: only within a file system is a rename one step.
        let mut temporary = tempfile::Builder::new()
            .prefix(".optoggles-")
            .permissions(Permissions::from_mode(NEW))
            .tempfile_in(folder)?;
        if let Ok(observed) = fs::metadata(&path) {
            keep_owner_and_mode(&temporary, &observed)?;
        }
        temporary.write_all(text.as_bytes())?;
        temporary.as_file().sync_all()?;
        temporary.persist(&path).map_err(|error| error.error)?;
        // Without this, a power failure can bring the old text back.
        fs::File::open(folder)?.sync_all()
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
        Err(rustix::io::Errno::LOOP.into())
    }

    fn failure(&self, what: &str, error: &io::Error) -> Failure {
        let path = self.real_path().unwrap_or_else(|_| self.path.clone());
        let folder = folder_of(&path).display();
        let why = match error.kind() {
            io::ErrorKind::NotFound => format!("no such folder {folder}: create it"),
            io::ErrorKind::PermissionDenied if what == "read" => {
                "permission denied: let the user that runs optoggles read it".to_owned()
            }
            io::ErrorKind::PermissionDenied => format!(
                "permission denied: let the user that runs optoggles write to the folder {folder}, \
                 and own the file"
            ),
            io::ErrorKind::InvalidInput => "not a regular file: correct `path`".to_owned(),
            io::ErrorKind::InvalidData => "not UTF-8 text: correct `path`".to_owned(),
            _ => error.to_string(),
        };
        let words = format!("{} cannot be {what}: {why}", self.name());
        Failure::new(Kind::File, words)
    }
}

/// The owner comes first: changing it clears bits of the mode.
fn keep_owner_and_mode(temporary: &NamedTempFile, observed: &Metadata) -> io::Result<()> {
    let new = temporary.as_file().metadata()?;
    if (new.uid(), new.gid()) != (observed.uid(), observed.gid()) {
        let (owner, group) = (Some(observed.uid()), Some(observed.gid()));
        fchown(temporary.as_file(), owner, group)?;
    }
    temporary.as_file().set_permissions(observed.permissions())
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}
