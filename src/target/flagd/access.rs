//! Who may read a file is who may read its successor.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, fchown};

use rustix::buffer::spare_capacity;
use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};
use rustix::io::Errno;

/// Attributes of what is in a file, which the system keeps by itself: signatures, and rights of a program.
const OF_CONTENT: [&str; 3] = ["security.capability", "security.evm", "security.ima"];

/// The most bytes that Linux allows for the value, or the names, of attributes.
const LARGEST: usize = 64 * 1024;

type Attributes = BTreeMap<String, Vec<u8>>;

/// Gives a new file, which nobody else may read yet, the owner, mode and extended attributes of the old one:
/// an access control list and a security label are attributes. Fails where more, or fewer, could read it.
pub(super) fn carry_over(old: &File, new: &File) -> io::Result<()> {
    let access = |file: &File| file.metadata().map(|it| (it.uid(), it.gid(), it.mode()));
    let (before, (uid, gid, _)) = (access(old)?, access(new)?);
    // The owner first: changing it clears bits of the mode.
    if (uid, gid) != (before.0, before.1) {
        fchown(new, Some(before.0), Some(before.1))
            .map_err(|error| cannot("owner and group", error))?;
    }
    let (kept, given) = (attributes(old)?, attributes(new)?);
    // The folder may have a list of its own for new files.
    for name in given.keys().filter(|name| !kept.contains_key(*name)) {
        unless_lost(name, fremovexattr(new, name.as_str()))?;
    }
    for (name, value) in &kept {
        if given.get(name) != Some(value) {
            let set = fsetxattr(new, name.as_str(), value, XattrFlags::empty());
            unless_lost(name, set)?;
        }
    }
    // After the list, whose mask is part of the mode.
    if access(new)?.2 != before.2 {
        new.set_permissions(old.metadata()?.permissions())?;
    }
    if access(new)? != before {
        return Err(cannot(
            "owner and mode",
            "the file system does not keep them",
        ));
    }
    Ok(())
}

fn attributes(file: &File) -> io::Result<Attributes> {
    let mut names = Vec::with_capacity(LARGEST);
    match flistxattr(file, spare_capacity(&mut names)) {
        Ok(_) => {}
        // The file system has none.
        Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(Attributes::new()),
        Err(errno) => return Err(errno.into()),
    }
    let names = names.split(|byte| *byte == 0);
    let names = names.filter_map(|name| String::from_utf8(name.to_vec()).ok());
    let names = names.filter(|name| !name.is_empty() && !OF_CONTENT.contains(&name.as_str()));
    let mut attributes = Attributes::new();
    for name in names {
        let mut value = Vec::with_capacity(LARGEST);
        match fgetxattr(file, name.as_str(), spare_capacity(&mut value)) {
            Ok(_) => drop(attributes.insert(name, value)),
            Err(Errno::NODATA) => {}
            Err(errno) => unless_lost(&name, Err(errno))?,
        }
    }
    Ok(attributes)
}

/// Lets an attribute go that decides nothing about access.
fn unless_lost(name: &str, kept: rustix::io::Result<()>) -> io::Result<()> {
    match (name, kept) {
        (_, Ok(())) => Ok(()),
        ("system.posix_acl_access" | "system.nfs4_acl", Err(errno)) => {
            Err(cannot("access control list", errno))
        }
        (name, Err(errno)) if name.starts_with("security.") || name.starts_with("system.") => {
            Err(cannot(&format!("attribute {name}"), errno))
        }
        (name, Err(errno)) => {
            log::debug!("an attribute is lost attribute={name}: {errno}");
            Ok(())
        }
    }
}

fn cannot(what: &str, why: impl Display) -> io::Error {
    io::Error::other(format!(
        "its {what} cannot be carried over to the file that would replace it: {why}: let optoggles run \
         as the owner of the file, or create the file anew"
    ))
}
