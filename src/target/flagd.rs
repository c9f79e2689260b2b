//! A file of flag definitions, as flagd and OpenFeature's providers for it read them.

mod access;
pub(super) mod definition;
mod file;

use std::sync::{Arc, PoisonError};

use super::{Target, Type, one_by_one, plain_toggles};
use crate::check::{Answers, Told};
use crate::config::report::count;
use crate::config::{Config, Key, PeerType, Spec, TargetType, Toggle, ValueKind};
use crate::disk::Disk;
use crate::error::Failure;
use crate::job::{Applied, Applies, Edit, Reads, TargetId, TargetTerms, ToggleId, What};
use crate::plan::{Environment, Observed, Present};
use definition::{Definition, Flag};
use file::File;

pub(super) static TYPE: Type = Type {
    config: TargetType {
        peer: PeerType {
        name: "flagd",
        says: "A definition file of flagd, which OpenFeature's providers for flagd read too.",
        keys: &[&[Key::required("path", ValueKind::Path, "\"flags.json\"")
            .was(&["url", "file", "endpoint_url"])
            .says(
                "The definition file. It is replaced as a whole, so that its folder has to be writable, and in a \
                 container has to be mounted instead of the file. A file system that does not answer \
                 within `http_timeout` is a failure.",
            )]],
        check: |_, _| {},
        },
        place: "path",
        toggle_key: None,
        spec: SPEC,
        project: None,
        is_served: false,
        shows_revision: false,
        shares: |_| None,
    },
    open: |config, id, _, _| Ok(Box::new(Flagd::new(config, id)?)),
};

pub(super) const SPEC: Spec =
    Spec::Keys(&[
        Key::optional("metadata", ValueKind::Values, "{ team = \"growth\" }").says(
            "The flag's metadata: strings, numbers and booleans. Left alone where it is not set.",
        ),
    ]);

struct Flagd {
    disk: Disk,
    flags: Arc<Flags>,
}

struct Flags {
    all: Arc<Config>,
    id: TargetId,
    file: File,
}

impl Flagd {
    fn new(config: &Arc<Config>, id: TargetId) -> Result<Flagd, String> {
        let file = File::new(config.targets[id].settings.path("path")?);
        Ok(Flagd {
            disk: Disk::new(file.name(), config.http_timeout, config.until),
            flags: Arc::new(Flags {
                all: Arc::clone(config),
                id,
                file,
            }),
        })
    }
}

impl Flags {
    /// Makes edits in one write, because each costs a whole file and a wait for the disk. The file is left
    /// alone where none changes anything.
    fn write(&self, edits: &[Edit]) -> Result<Applies, Failure> {
        let turn = self.file.turn()?;
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let text = self.file.read()?;
        let mut definition = self.parse(text.as_deref())?;
        let made = one_by_one(edits, |edit| self.make(edit, &mut definition));
        let edited = definition.to_text()?;
        if text.as_deref() != Some(&*edited) {
            self.file.replace(&edited)?;
        }
        Ok(made)
    }

    /// Makes one edit. A flag that was removed meanwhile is put back.
    fn make(&self, edit: &Edit, definition: &mut Definition) -> Result<Applied, Failure> {
        let toggle = &self.all.toggles[edit.toggle];
        let found = definition.flag(&toggle.key)?;
        let is_new = found.is_none();
        let mut flag = match (found, &edit.what) {
            (Some(flag), What::Create) => return Ok(Applied::Found(observed(Some(flag), toggle))),
            (found, _) => found.unwrap_or_default(),
        };
        if let What::Update(_, users) = &edit.what {
            flag.turn_on_for(users);
        }
        if is_new || matches!(edit.what, What::Describe) {
            flag.describe(&toggle.spec);
        }
        definition.put(&toggle.key, flag);
        Ok(match edit.what {
            What::Create => Applied::Created(Present::plain(true, Some(Arc::default()))),
            What::Describe | What::Update(..) => Applied::Done,
        })
    }

    fn parse<'t>(&self, text: Option<&'t str>) -> Result<Definition<'t>, Failure> {
        Definition::parse(&self.file.name(), text)
    }

    fn check_file(&self) -> Result<String, Failure> {
        let text = self.file.read()?;
        self.file.check()?;
        let Some(text) = text else {
            return Ok("does not exist yet, and can be written".into());
        };
        let definition = self.parse(Some(&text))?;
        for (_, toggle) in self.all.toggles_at(self.id) {
            definition.flag(&toggle.key)?;
        }
        let flags = count(definition.len(), "flag");
        Ok(format!("has {flags}, and can be written"))
    }

    fn read(&self, toggles: &[ToggleId]) -> Reads {
        let text = self.file.read();
        let text = text.as_ref().map_err(Clone::clone);
        let definition = text.and_then(|text| self.parse(text.as_deref()));
        let read = |id: &ToggleId| {
            let toggle = &self.all.toggles[*id];
            let definition = definition.as_ref().map_err(Clone::clone);
            let flag = definition.and_then(|definition| definition.flag(&toggle.key));
            (*id, flag.map(|flag| observed(flag, toggle)))
        };
        toggles.iter().map(read).collect()
    }
}

impl Target for Flagd {
    fn terms(&self) -> TargetTerms {
        let Flags { all, id, .. } = &*self.flags;
        TargetTerms {
            readable: true,
            at_once: Some(1),
            reads_first: false,
            applies_together: true,
            toggles: plain_toggles(all, *id, Some(0)),
        }
    }

    fn read(&self, toggles: &[ToggleId]) -> Reads {
        let (flags, ids) = (Arc::clone(&self.flags), toggles.to_vec());
        let failed = |failure: Failure| {
            let failed = toggles.iter().map(|id| (*id, Err(failure.clone())));
            failed.collect()
        };
        self.disk
            .run(move || flags.read(&ids))
            .unwrap_or_else(failed)
    }

    fn apply(&self, edits: &[Edit]) -> Applies {
        let (flags, made) = (Arc::clone(&self.flags), edits.to_vec());
        let failed = |failure: Failure| one_by_one(edits, |_| Err(failure.clone()));
        let written = self.disk.run(move || flags.write(&made));
        written.flatten().unwrap_or_else(failed)
    }

    fn check(&self) -> Answers {
        let flags = Arc::clone(&self.flags);
        let checked = self.disk.run(move || flags.check_file()).flatten();
        vec![("path".to_owned(), checked.map(Told::from))]
    }
}

/// What a flag is to the engine.
fn observed(flag: Option<Flag>, toggle: &Toggle) -> Observed {
    let Some(flag) = flag else {
        return Observed::absent();
    };
    let environment = Environment {
        users: flag.users(),
        in_order: flag.is_in_order(),
        ..Environment::default()
    };
    Observed::Present(Present {
        described: flag.follows(&toggle.spec),
        environments: vec![Ok(environment)],
    })
}

#[cfg(test)]
mod tests;
