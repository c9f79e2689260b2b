//! `optoggles init`: writes a first configuration.

use std::fs::Permissions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Exit, Stop, print};
use crate::cli::Init;
use crate::config::draft::draft;
use crate::peers::catalog;

pub(super) fn run(options: &Init) -> Result<Exit, Stop> {
    let catalog = catalog();
    let source = catalog.sources.iter().find(|it| it.name == options.source);
    let target = catalog
        .targets
        .iter()
        .find(|it| it.peer.name == options.target);
    let Some((source, target)) = source.zip(target) else {
        return Err(Stop::invalid("unknown type of source or target"));
    };
    let text = draft(source, target);
    let Some(path) = &options.output else {
        print(&text)?;
        return Ok(Exit::Done);
    };
    let file = path.display();
    write(path, &text).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Stop::new(
            Exit::Failed,
            format!("`{file}` exists, and is not overwritten: name another file, or remove it"),
        ),
        _ => Stop::failed_to(&format!("write `{file}`"))(error),
    })?;
    print(&format!(
        "wrote {file}: replace each ${{…}} in it, then run `optoggles -c {file} check-config`"
    ))?;
    Ok(Exit::Done)
}

/// All of it or nothing.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
}
