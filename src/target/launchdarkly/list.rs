//! Reads toggles from the list of their project, where that takes fewer requests than one for each.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::flag::FlagAnswer;
use super::spec::Spec;
use super::{LaunchDarkly, is_refusal, query_of};
use crate::error::{Failure, Kind};
use crate::http::Object;
use crate::job::{Reads, ToggleId};
use crate::plan::Observed;

/// How many flags are asked for at once.
pub(super) const PAGE: usize = 100;

/// How many environments a list shows at most, since version 20240415 of the API (its migration guide).
const ENVIRONMENTS: usize = 3;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<T = FlagAnswer> {
    pub(super) items: Vec<Object<T>>,
    total_count: Option<usize>,
    /// One of them leads to the next page, if there is one.
    #[serde(rename = "_links", default)]
    links: HashMap<String, IgnoredAny>,
}

/// A project's flags come in two lists, which a filter tells apart.
const LIVE: &str = "";
const ARCHIVED: &str = "&filter=state:archived";

/// What is remembered of each project's lists, by project and filter, to read them in fewer requests.
pub(super) type Lists = Mutex<HashMap<(String, &'static str), Memory>>;

#[derive(Clone, Copy, Default)]
pub(super) struct Memory {
    /// How many flags the list had.
    flags: usize,
    /// Where reading it was broken off, and continues: a rate limit may never allow all of it at once.
    broken_off: usize,
    /// Where an answer was not a page of it: perhaps the page was too long.
    failed: Option<usize>,
}

/// A place in a list, which is read from where it was broken off to the end, and then from the top.
struct Cursor {
    start: usize,
    offset: usize,
}

impl LaunchDarkly {
    /// Reads toggles of one batch. Those that the lists do not show, or not in fewer requests than one for
    /// each, are left unknown.
    pub(super) fn read_together(&self, ids: &[ToggleId]) -> Reads {
        let mut reads: Reads = Vec::with_capacity(ids.len());
        let key = |id: &ToggleId| (&*self.specs[id].key, *id);
        let mut left: BTreeMap<&str, ToggleId> = ids.iter().map(key).collect();
        let mut list = |filter| self.list(filter, &mut left, &mut reads);
        let is_whole = list(LIVE).and_then(|is_whole| Ok(is_whole && list(ARCHIVED)?));
        // One look at the project is enough for all that are to be created.
        let (retired, kept): (Vec<ToggleId>, Vec<ToggleId>) =
            left.into_values().partition(|id| self.specs[id].is_retired);
        for ids in [retired, kept] {
            let first = ids.first().map(|id| &self.specs[id]);
            let absent = |is_whole: bool| match first.filter(|_| is_whole) {
                Some(spec) => self.absent(spec),
                None => Ok(Observed::Unknown),
            };
            let read = is_whole.clone().and_then(absent);
            reads.extend(ids.iter().map(|id| (*id, read.clone())));
        }
        reads
    }

    /// Takes toggles that are left from a list, as long as that takes fewer requests than reading them one
    /// by one. True where all of it was read, so that those still left are not in it.
    fn list(
        &self,
        filter: &'static str,
        left: &mut BTreeMap<&str, ToggleId>,
        reads: &mut Reads,
    ) -> Result<bool, Failure> {
        let toggles = left.len();
        let Some(spec) = left.values().next().map(|id| &self.specs[id]) else {
            return Ok(false);
        };
        let memory = self.remember(spec, filter, |memory| *memory);
        if requests(memory.flags, spec) >= toggles {
            return Ok(false);
        }
        let (start, offset) = (memory.broken_off, memory.broken_off);
        let mut cursor = Cursor { start, offset };
        let mut is_whole = true;
        let mut looked = BTreeMap::new();
        for pages in 1.. {
            let offset = cursor.offset;
            let page = match self.page(spec, filter, offset) {
                Ok(page) => page,
                // What is wrong, such as an environment that does not exist, the toggles themselves tell.
                Err(failure) if is_refusal(&failure) => return Ok(false),
                Err(failure) => return self.end_list(spec, filter, offset, failure),
            };
            let flags = page.total_count.unwrap_or(offset + page.items.len());
            self.remember(spec, filter, |memory| {
                memory.flags = flags;
                memory.broken_off = 0;
                memory.failed.take_if(|failed| *failed == offset);
            });
            let has_more = cursor.pass(&page);
            for Object(answer) in page.items {
                // What is not shown in full is read by itself.
                match left.get(&*answer.key) {
                    Some(_) if !answer.is_whole() => is_whole = false,
                    Some(&id) => {
                        left.remove(&*answer.key);
                        let kept = self.keep(id, answer, &mut looked);
                        reads.push((id, kept.map(Observed::Present)));
                    }
                    None => {}
                }
            }
            if left.is_empty() || !has_more {
                break;
            }
            // A list that is longer than it says, or never ends, is not followed forever either.
            if requests(cursor.left(flags), spec) >= left.len() || pages >= toggles {
                return Ok(false);
            }
        }
        Ok(is_whole)
    }

    /// Notes where to continue a list that a failure ended. Fails where the toggles that are left fail too.
    fn end_list(
        &self,
        spec: &Spec,
        filter: &'static str,
        offset: usize,
        failure: Failure,
    ) -> Result<bool, Failure> {
        // A page is large, and can each time take too long or break what is in between: smaller requests may
        // succeed.
        let is_of_this_page = failure.pause.is_none()
            && matches!(
                failure.kind,
                Kind::Answer | Kind::Timeout | Kind::Lost | Kind::Status(408 | 500..)
            );
        let has_failed_again = self.remember(spec, filter, |memory| {
            if !is_of_this_page {
                memory.broken_off = offset;
                return false;
            }
            // From the top the next time, so that what comes before this page is found.
            memory.broken_off = 0;
            memory.failed.replace(offset) == Some(offset)
        });
        // Once may be an accident. After a second time, each toggle is read by itself, and the list is tried
        // again at the next resync.
        match has_failed_again {
            true => Ok(false),
            false => Err(failure),
        }
    }

    fn remember<R>(
        &self,
        spec: &Spec,
        filter: &'static str,
        update: impl FnOnce(&mut Memory) -> R,
    ) -> R {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (spec.proj_key.clone(), filter);
        update(lists.entry(key).or_default())
    }

    /// A page with all environments, which takes a request for some of them each.
    fn page(&self, spec: &Spec, filter: &str, offset: usize) -> Result<Page, Failure> {
        let about = format!("flags of project {}", spec.proj_key);
        let pages = spec.environments.chunks(ENVIRONMENTS).map(|environments| {
            let environments = query_of(environments);
            let query = format!("{environments}&summary=0&limit={PAGE}&offset={offset}{filter}");
            let request = self.request(Method::GET, &["flags", &spec.proj_key], &query);
            self.send(request, &about)?.json()
        });
        let pages = pages.collect::<Result<Vec<Page>, Failure>>()?;
        let mut pages = pages.into_iter();
        let Some(mut first) = pages.next() else {
            return Err(Failure::new(Kind::Setup, "no environments"));
        };
        for page in pages {
            first.take_environments(page);
        }
        Ok(first)
    }
}

impl<T> Page<T> {
    pub(super) fn has_next(&self) -> bool {
        self.links.contains_key("next")
    }
}

impl Page {
    fn take_environments(&mut self, other: Page) {
        let others = other.items.into_iter();
        let mut others: HashMap<String, FlagAnswer> = others
            .map(|Object(flag)| (flag.key.clone(), flag))
            .collect();
        for Object(flag) in &mut self.items {
            flag.take_environments(others.remove(&flag.key));
        }
    }
}

impl Cursor {
    /// Goes past a page; false where the whole list has been seen then.
    fn pass(&mut self, page: &Page) -> bool {
        let continues_at_the_top = self.offset >= self.start && self.start > 0;
        self.offset += page.items.len();
        let is_last = page.items.is_empty() || !page.has_next();
        if continues_at_the_top {
            self.offset = if is_last { 0 } else { self.offset };
            return true;
        }
        !is_last && (self.start == 0 || self.offset < self.start)
    }

    /// How many flags have not been seen, of so many, where the list goes on.
    fn left(&self, flags: usize) -> usize {
        let end = match self.offset < self.start {
            true => self.start,
            false => flags.saturating_add(self.start),
        };
        end.saturating_sub(self.offset)
    }
}

/// How many requests it takes to list so many flags with the environments of a `spec`.
fn requests(flags: usize, spec: &Spec) -> usize {
    flags.div_ceil(PAGE).max(1) * spec.environments.len().div_ceil(ENVIRONMENTS)
}
