//! A file of flag definitions, as flagd and OpenFeature's providers for it read them.

mod definition;
mod file;
mod flag;
mod turn;

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Sender, bounded};

use super::{Reads, Target};
use crate::check::{Answers, Told};
use crate::config::{self, Config, Toggle};
use crate::error::{Failure, Kind};
use crate::job::{AtOnce, Created, TargetTerms, ToggleId};
use crate::plan::{Environment, Memo, Observed, Present};
use crate::users::Users;
use definition::Definition;
use file::File;
use flag::Flag;
use turn::Turn;

/// How many edits go into the file together, at most: each waits on a thread of its own.
const EDITS: usize = 256;

pub(super) struct Flagd {
    all: Arc<Config>,
    file: File,
    waiting: Mutex<Waiting>,
}

/// Edits in the order in which they came, and whom to tell what became of them.
type Waiting = Vec<(Edit, Sender<Written>)>;

/// What is to become of a toggle's flag.
struct Edit {
    toggle: ToggleId,
    what: What,
}

enum What {
    /// It is to be there.
    Create,
    /// Its metadata are to follow `spec`.
    Describe,
    /// It is to be on for exactly these users.
    Update(Arc<Users>),
}

/// Whether the flag was there before.
type Written = Result<bool, Failure>;

impl Flagd {
    pub(super) fn new(flagd: &config::Flagd, config: &Arc<Config>) -> Flagd {
        Flagd {
            all: Arc::clone(config),
            file: File::new(&flagd.path),
            waiting: Mutex::default(),
        }
    }

    /// Writes an edit, together with all that wait at the same time: each write costs a whole file
    /// and a wait for the disk. Whoever has the turn writes once, so that an edit waits for one write
    /// at most and is in the next.
    fn write(&self, toggle: ToggleId, what: What) -> Written {
        let (tell, told) = bounded(1);
        self.waiting().push((Edit { toggle, what }, tell));
        if let Some(_turn) = Turn::take_unless(|| !told.is_empty()) {
            self.write_waiting();
        }
        let lost = |_| Err(Failure::new(Kind::Setup, "an edit of the flags was lost"));
        told.recv().unwrap_or_else(lost)
    }

    fn write_waiting(&self) {
        let waiting = mem::take(&mut *self.waiting());
        let (edits, tell): (Vec<Edit>, Vec<Sender<Written>>) = waiting.into_iter().unzip();
        let results = match self.edit(&edits) {
            Ok(results) => results,
            Err(failure) => vec![Err(failure); tell.len()],
        };
        for (tell, result) in tell.into_iter().zip(results) {
            // Whoever gave the edit waits for the answer.
            let _ = tell.send(result);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the edits, for whoever has the turn; the file is left alone where none changes anything.
    fn edit(&self, edits: &[Edit]) -> Result<Vec<Written>, Failure> {
        let text = self.file.read()?;
        let mut definition = self.parse(text.as_deref())?;
        let made = edits
            .iter()
            .map(|edit| self.make(edit, &mut definition))
            .collect();
        let edited = definition.to_text()?;
        if text.as_deref() != Some(&*edited) {
            self.file.replace(&edited)?;
        }
        Ok(made)
    }

    /// Makes one edit. A flag that somebody has taken away meanwhile is put back.
    fn make(&self, edit: &Edit, definition: &mut Definition) -> Written {
        let toggle = &self.all.toggles[edit.toggle];
        let found = definition.flag(&toggle.key)?;
        let was_there = found.is_some();
        let mut flag = found.unwrap_or_default();
        match &edit.what {
            What::Create if was_there => return Ok(true),
            What::Create | What::Describe => {}
            What::Update(users) => flag.turn_on_for(users),
        }
        if !was_there || matches!(edit.what, What::Describe) {
            flag.describe(&toggle.spec);
        }
        definition.put(&toggle.key, flag);
        Ok(was_there)
    }

    fn parse<'t>(&self, text: Option<&'t str>) -> Result<Definition<'t>, Failure> {
        Definition::parse(&self.file.name(), text)
    }

    fn check_file(&self) -> Result<String, Failure> {
        self.file.check_folder()?;
        let Some(text) = self.file.read()? else {
            return Ok("is not there yet, and can be written".into());
        };
        let definition = self.parse(Some(&text))?;
        for toggle in &self.all.toggles {
            definition.flag(&toggle.key)?;
        }
        let flags = definition.len();
        let plural = if flags == 1 { "" } else { "s" };
        Ok(format!("has {flags} flag{plural}, and can be written"))
    }
}

impl Target for Flagd {
    fn terms(&self) -> TargetTerms {
        TargetTerms {
            readable: true,
            at_once: AtOnce::Together(EDITS),
            batches: vec![Some(0); self.all.toggles.len()],
        }
    }

    fn read(&self, toggles: &[ToggleId]) -> Reads {
        let text = self.file.read();
        let definition = text
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|text| self.parse(text.as_deref()));
        let read = |id: &ToggleId| {
            let toggle = &self.all.toggles[*id];
            let definition = definition.as_ref().map_err(Clone::clone);
            let flag = definition.and_then(|definition| definition.flag(&toggle.key));
            (*id, flag.map(|flag| observed(flag, toggle)))
        };
        toggles.iter().map(read).collect()
    }

    fn create(&self, id: ToggleId) -> Result<Created, Failure> {
        match self.write(id, What::Create)? {
            true => Ok(Created::Existed(None)),
            false => Ok(Created::New(Present::plain(true, Some(Arc::default())))),
        }
    }

    fn describe(&self, id: ToggleId, _: &Observed) -> Result<(), Failure> {
        self.write(id, What::Describe).map(drop)
    }

    fn update(&self, id: ToggleId, users: &Arc<Users>, _: &Observed) -> Result<(), Failure> {
        self.write(id, What::Update(Arc::clone(users))).map(drop)
    }

    fn check(&self) -> Answers {
        vec![("path".to_owned(), self.check_file().map(Told::from))]
    }
}

/// What a flag is to the engine.
fn observed(flag: Option<Flag>, toggle: &Toggle) -> Observed {
    let Some(flag) = flag else {
        return Observed::Absent;
    };
    Observed::Present(Present {
        described: flag.follows(&toggle.spec),
        environments: vec![Environment {
            users: flag.users().map(Arc::new),
            named: None,
            in_order: flag.is_in_order(),
        }],
        memo: Memo::default(),
    })
}

#[cfg(test)]
mod tests;
