//! Reads toggles of a project from its list, where that takes fewer requests than to read each by
//! itself.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::flag::Told;
use super::spec::Spec;
use super::{LaunchDarkly, query_of};
use crate::error::{Failure, Kind};
use crate::http::Object;
use crate::job::{Reads, ToggleId};
use crate::plan::Observed;

/// How many flags are asked for at once.
const PAGE: usize = 100;

/// A page of a list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<Object<Told>>,
    total_count: Option<usize>,
    /// One of them leads to the next page, if there is one.
    #[serde(rename = "_links", default)]
    links: HashMap<String, IgnoredAny>,
}

/// What a list had of the flags that were looked for.
struct Listed {
    found: HashMap<String, Told>,
    /// Whether all of it was read, so that what was not found is not in it.
    complete: Result<bool, Failure>,
}

/// Where in a list reading has come to, which goes on from where it was broken off, to the end, and
/// then from the top.
struct Cursor {
    start: usize,
    offset: usize,
    from_the_top: bool,
}

/// Flags that are looked for in a list.
struct Search<'a> {
    desired: HashSet<&'a str>,
    found: HashMap<String, Told>,
    /// Whether all that was there was told in full.
    all_whole: bool,
}

/// Toggles of one project and the same environments can be read from one list.
pub(super) fn batches(specs: &[Spec]) -> Vec<Option<usize>> {
    let mut known: BTreeMap<(&str, &[String]), usize> = BTreeMap::new();
    let mut batches = Vec::with_capacity(specs.len());
    for spec in specs {
        let next = known.len();
        let batch = known.entry((&spec.proj_key, &spec.environments));
        batches.push(Some(*batch.or_insert(next)));
    }
    batches
}

impl LaunchDarkly {
    /// Reads toggles of one batch. Those of which the lists do not tell, or not in fewer requests than
    /// it takes to read each by itself, are left unknown.
    pub(super) fn read_together(&self, ids: &[ToggleId]) -> Reads {
        let mut reads: Reads = Vec::with_capacity(ids.len());
        let mut left = ids.to_vec();
        for part in [Part::Live, Part::Archived] {
            let Some(Listed { found, complete }) = self.list(&left, part) else {
                break;
            };
            left = self.sort_out(found, left, &mut reads);
            match complete {
                Ok(true) if part == Part::Live => {}
                Ok(true) => reads.extend(left.drain(..).map(|id| (id, Ok(Observed::Absent)))),
                Ok(false) => break,
                Err(failure) => {
                    reads.extend(left.drain(..).map(|id| (id, Err(failure.clone()))));
                }
            }
        }
        reads.extend(left.into_iter().map(|id| (id, Ok(Observed::Unknown))));
        reads
    }

    /// Adds what was found to the reads; leaves what was not.
    fn sort_out(
        &self,
        mut found: HashMap<String, Told>,
        ids: Vec<ToggleId>,
        reads: &mut Reads,
    ) -> Vec<ToggleId> {
        let not_found = ids.into_iter().filter(|id| {
            let spec = &self.specs[*id];
            let told = found.remove(&spec.key);
            let is_found = told.is_some();
            reads.extend(told.map(|told| (*id, self.keep(*id, told).map(Observed::Present))));
            !is_found
        });
        not_found.collect()
    }

    /// Looks for toggles in a list, as long as that takes fewer requests than to read them one by
    /// one; none where it would not.
    fn list(&self, ids: &[ToggleId], part: Part) -> Option<Listed> {
        let spec = &self.specs[*ids.first()?];
        let memory = self.lists.get(&spec.proj_key, part);
        if requests(memory.flags.unwrap_or_default()) >= ids.len() {
            return None;
        }
        let mut search = Search {
            desired: ids.iter().map(|id| &*self.specs[*id].key).collect(),
            found: HashMap::new(),
            all_whole: true,
        };
        let mut cursor = Cursor::at(memory.broken_off);
        let mut pages = 0;
        let complete = loop {
            let page = match self.page(spec, part, cursor.offset) {
                Ok(page) => page,
                Err(failure) => break self.end_list(spec, part, cursor.offset, failure),
            };
            let flags = page.total_count.unwrap_or(cursor.offset + page.items.len());
            self.lists.set(&spec.proj_key, part, cursor.offset, flags);
            let has_more = cursor.pass(&page);
            search.look_through(page.items);
            pages += 1;
            if search.desired.is_empty() || !has_more {
                break Ok(search.all_whole);
            }
            // Nor is a list that is longer than it says, or never ends, followed for ever.
            if requests(cursor.left(flags)) >= search.desired.len() || pages >= ids.len() {
                break Ok(false);
            }
        };
        let found = search.found;
        Some(Listed { found, complete })
    }

    /// What comes of a list that a failure ends: where it is gone on with the next time, and whether
    /// the toggles that were not found fail with it.
    fn end_list(
        &self,
        spec: &Spec,
        part: Part,
        offset: usize,
        failure: Failure,
    ) -> Result<bool, Failure> {
        let project = &spec.proj_key;
        if !may_be_of_this_page(&failure) {
            self.lists.break_off(project, part, offset);
            return Err(failure);
        }
        // Once may be an accident, and is told. Where it is the same again, each toggle is read by
        // itself, and the list is tried again when all are to be read the next time.
        let again = self.lists.fail(project, part, offset);
        if again { Ok(false) } else { Err(failure) }
    }

    fn page(&self, spec: &Spec, part: Part, offset: usize) -> Result<Page, Failure> {
        let environments = query_of(&spec.environments);
        let mut query = format!("{environments}&summary=0&limit={PAGE}&offset={offset}");
        if part == Part::Archived {
            query.push_str("&filter=state:archived");
        }
        let request = self.request(Method::GET, &["flags", &spec.proj_key], &query);
        match self.send(request, spec) {
            Ok(answer) => answer.json(),
            Err(failure) if failure.is_status(404) => Err(self.what_is_missing(spec, failure)),
            Err(failure) => Err(failure),
        }
    }
}

/// Whether another request could be answered where this one was not: a page is large, and can take too
/// long, or break what is between, each time.
fn may_be_of_this_page(failure: &Failure) -> bool {
    let fails = matches!(
        failure.kind,
        Kind::Answer | Kind::Timeout | Kind::Lost | Kind::Status(408 | 500..)
    );
    fails && failure.pause.is_none()
}

impl Cursor {
    fn at(start: usize) -> Cursor {
        Cursor {
            start,
            offset: start,
            from_the_top: start == 0,
        }
    }

    /// Goes past a page; false where the whole list has been seen then.
    fn pass(&mut self, page: &Page) -> bool {
        self.offset += page.items.len();
        let is_last = page.items.is_empty() || !page.links.contains_key("next");
        if is_last && !self.from_the_top {
            (self.offset, self.from_the_top) = (0, true);
            return true;
        }
        let is_round = self.start > 0 && self.from_the_top && self.offset >= self.start;
        !is_last && !is_round
    }

    /// How many flags have not been seen, of so many.
    fn left(&self, flags: usize) -> usize {
        let end = match self.from_the_top && self.start > 0 {
            true => self.start,
            false => flags.saturating_add(self.start),
        };
        end.saturating_sub(self.offset)
    }
}

impl Search<'_> {
    fn look_through(&mut self, flags: Vec<Object<Told>>) {
        for Object(told) in flags {
            if !self.desired.contains(&*told.key) {
                continue;
            }
            if told.is_whole() {
                self.desired.remove(&*told.key);
                self.found.insert(told.key.clone(), told);
            } else {
                // It is read by itself.
                self.all_whole = false;
            }
        }
    }
}

/// How many requests it takes to list so many flags.
fn requests(flags: usize) -> usize {
    flags.div_ceil(PAGE).max(1)
}

/// What is remembered of each project's lists, to read them in fewer requests. What is there is never
/// taken from here.
#[derive(Default)]
pub(super) struct Lists(Mutex<HashMap<(String, Part), Memory>>);

/// What is remembered of a list.
#[derive(Clone, Copy, Default)]
pub(super) struct Memory {
    /// How many flags it had.
    pub(super) flags: Option<usize>,
    /// Where reading it was broken off, so that it goes on from there: a rate limit may never allow
    /// all of it at once.
    pub(super) broken_off: usize,
    /// Where an answer was no page of it: that was too long for an answer, perhaps.
    failed: Option<usize>,
}

/// A project's flags come in two lists: archived flags are in one of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Live,
    Archived,
}

impl Lists {
    pub(super) fn get(&self, project: &str, part: Part) -> Memory {
        *self.lock().entry((project.to_owned(), part)).or_default()
    }

    /// Keeps how many flags there are; reading goes on well, with the page there.
    pub(super) fn set(&self, project: &str, part: Part, offset: usize, flags: usize) {
        let mut lists = self.lock();
        let memory = lists.entry((project.to_owned(), part)).or_default();
        memory.flags = Some(flags);
        memory.broken_off = 0;
        memory.failed.take_if(|failed| *failed == offset);
    }

    pub(super) fn break_off(&self, project: &str, part: Part, offset: usize) {
        let mut lists = self.lock();
        lists
            .entry((project.to_owned(), part))
            .or_default()
            .broken_off = offset;
    }

    /// A page failed; true where it did the last time. From the top is begun the next time, so that what
    /// comes before that page is found.
    pub(super) fn fail(&self, project: &str, part: Part, offset: usize) -> bool {
        let mut lists = self.lock();
        let memory = lists.entry((project.to_owned(), part)).or_default();
        memory.broken_off = 0;
        memory.failed.replace(offset) == Some(offset)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, Part), Memory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
