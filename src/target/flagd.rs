//! A file of flag definitions, as flagd and OpenFeature's providers for it read them.

mod access;
pub(super) mod definition;
mod file;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use super::mark::Mark;
use super::{Target, Type, one_by_one, plain_toggles};
use crate::check::{Answers, Told};
use crate::config::report::count;
use crate::config::{Config, Key, OWNER, PeerType, Spec, TargetType, Toggle, ValueKind};
use crate::disk::Disk;
use crate::error::Failure;
use crate::job::{Applied, Applies, Edit, Marked, Reads, TargetId, TargetTerms, ToggleId, What};
use crate::plan::{Environment, Observed, Present};
use definition::{Definition, Flag};
use file::File;

pub(super) static TYPE: Type = Type {
    config: TargetType {
        peer: PeerType {
        name: "flagd",
        says: "A definition file of flagd, which OpenFeature's providers for flagd read too.",
        keys: &[&[OWNER], &[Key::required("path", ValueKind::Path, "\"flags.json\"")
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
    mark: Mark,
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
                mark: Mark::of(config, id),
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

    /// Makes one edit. A flag that was removed meanwhile is put back, unless it is retired.
    fn make(&self, edit: &Edit, definition: &mut Definition) -> Result<Applied, Failure> {
        let toggle = &self.all.toggles[edit.toggle];
        let found = self.find(definition, toggle)?;
        let is_new = found.is_none();
        let mut flag = match (found, &edit.what) {
            (None, _) if toggle.rule.is_none() => return Ok(Applied::Done),
            (Some(flag), What::Create) => {
                return Ok(Applied::Found(observed(Some(flag), toggle, &self.mark)));
            }
            (found, _) => found.unwrap_or_default(),
        };
        if let What::Update(_, users) = &edit.what {
            flag.turn_on_for(users);
        }
        if is_new || matches!(edit.what, What::Describe) {
            flag.describe(&toggle.spec, self.mark.owner());
        }
        definition.put(&toggle.key, flag);
        Ok(match edit.what {
            What::Create => Applied::Created(Present::plain(true, Some(Arc::default()))),
            What::Describe | What::Update(..) => Applied::Done,
        })
    }

    /// A toggle's flag. One that is retired has to carry our mark still, others no other owner's.
    fn find<'t>(
        &self,
        definition: &Definition<'t>,
        toggle: &Toggle,
    ) -> Result<Option<Flag<'t>>, Failure> {
        let found = definition.flag(&toggle.key)?;
        let owner = found.as_ref().and_then(Flag::owner);
        if toggle.rule.is_none() {
            return Ok(found.filter(|_| owner.as_deref() == self.mark.owner()));
        }
        let about = format!("the flag {} in {}", toggle.key, self.file.name());
        let mark = "`optoggles` from its metadata";
        self.mark.check_owner(owner.as_deref(), &about, mark)?;
        Ok(found)
    }

    fn find_marked(&self) -> Result<Vec<Marked>, Failure> {
        let text = self.file.read()?;
        let definition = self.parse(text.as_deref())?;
        let toggles = self.all.toggles_at(self.id);
        let kept = toggles.filter(|(_, toggle)| toggle.rule.is_some());
        let kept: BTreeSet<&str> = kept.map(|(_, toggle)| &*toggle.key).collect();
        let marked = self.mark.owner().into_iter();
        let marked = marked.flat_map(|owner| definition.keys_of(owner));
        let left = marked.filter(|key| !kept.contains(key));
        Ok(left.map(Marked::plain).collect())
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
            self.find(&definition, toggle)?;
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
            let flag = definition.and_then(|definition| self.find(definition, toggle));
            (*id, flag.map(|flag| observed(flag, toggle, &self.mark)))
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
            finds_marked: self.flags.mark.is_sought,
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

    fn find_marked(&self) -> Result<Vec<Marked>, Failure> {
        let flags = Arc::clone(&self.flags);
        self.disk.run(move || flags.find_marked()).flatten()
    }

    fn check(&self) -> Answers {
        let flags = Arc::clone(&self.flags);
        let checked = self.disk.run(move || flags.check_file()).flatten();
        vec![("path".to_owned(), checked.map(Told::from))]
    }
}

/// What a flag is to the engine. One that is retired and is gone is off.
fn observed(flag: Option<Flag>, toggle: &Toggle, mark: &Mark) -> Observed {
    let is_retired = toggle.rule.is_none();
    let Some(flag) = flag else {
        return match is_retired {
            true => Observed::Present(Present::plain(true, Some(Arc::default()))),
            false => Observed::absent(),
        };
    };
    let (in_order, named) = (flag.is_in_order(), flag.users());
    // Of a flag that is disabled, for example, the targeting does not say who has it.
    let (users, named) = match in_order {
        true => (named, None),
        false => (None, named),
    };
    let environment = Environment {
        users,
        named,
        in_order,
    };
    Observed::Present(Present {
        described: is_retired || flag.follows(&toggle.spec, mark.owner()),
        environments: vec![Ok(environment)],
    })
}

#[cfg(test)]
mod tests;
