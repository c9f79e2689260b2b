//! Finds flags that carry the mark of the owner and have left the configuration.

use std::collections::BTreeSet;

use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, json};

use super::flag::FlagAnswer;
use super::list::{PAGE, Page};
use super::{LaunchDarkly, is_refusal};
use crate::error::Failure;
use crate::http::Object;
use crate::job::Marked;

/// The most pages of a list that is longer than it says, or never ends.
const PAGES: usize = 1000;

#[derive(Deserialize)]
struct Project {
    key: String,
}

impl LaunchDarkly {
    /// The projects that the token can see. One that may not list them keeps to those of its toggles.
    pub(super) fn projects(&self) -> Result<BTreeSet<String>, Failure> {
        match self.all::<Project>(&["projects"], "", "projects") {
            Ok(projects) => Ok(projects.into_iter().map(|it| it.key).collect()),
            Err(failure) if is_refusal(&failure) => Ok(BTreeSet::new()),
            Err(failure) => Err(failure),
        }
    }

    /// The flags of a project to retire. A project that is not there is told by the toggles in it, if there are
    /// any.
    pub(super) fn marked_in(&self, project: &str) -> Result<Vec<Marked>, Failure> {
        let Some(tag) = self.mark.tag() else {
            return Ok(Vec::new());
        };
        let about = format!("flags of project {project} with the tag {tag}");
        let query = format!("&filter=tags:{tag}");
        let flags = match self.all::<FlagAnswer>(&["flags", project], &query, &about) {
            Err(failure) if failure.is_status(404) => Vec::new(),
            flags => flags?,
        };
        let specs = self.specs.values();
        let kept = specs.filter(|it| it.proj_key == project && !it.is_retired);
        let kept: BTreeSet<&str> = kept.map(|it| &*it.key).collect();
        let left = flags.into_iter();
        let left = left.filter(|flag| flag.is_marked(&self.mark) && !kept.contains(&*flag.key));
        let left: BTreeSet<String> = left.map(|flag| flag.key).collect();
        let mut environments = left.iter().map(|key| self.environments(project, key));
        // Some may have been deleted a moment ago.
        let is_there = |it: &Result<_, Failure>| !it.as_ref().is_err_and(|it| it.is_status(404));
        let Some(environments) = environments.find(is_there).transpose()? else {
            return Ok(Vec::new());
        };
        let marked = left.into_iter().map(|key| Marked {
            spec: Map::from_iter([
                ("name".to_owned(), json!(key)),
                ("proj_key".to_owned(), json!(project)),
                ("environments".to_owned(), json!(environments)),
            ]),
            key,
        });
        Ok(marked.collect())
    }

    /// The environments of a project, which a flag that is read without naming any has.
    fn environments(&self, project: &str, flag: &str) -> Result<Vec<String>, Failure> {
        let request = self.request(Method::GET, &["flags", project, flag], "");
        let about = format!("flag {flag} of project {project}");
        let flag: FlagAnswer = self.send(request, &about)?.json()?;
        Ok(flag.environments.keys().cloned().collect())
    }

    /// All items of a list.
    fn all<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &str,
        about: &str,
    ) -> Result<Vec<T>, Failure> {
        let mut all = Vec::new();
        for _ in 0..PAGES {
            let query = format!("limit={PAGE}&offset={}{query}", all.len());
            let request = self.request(Method::GET, path, &query);
            let page: Page<T> = self.send(request, about)?.json()?;
            let is_last = page.items.is_empty() || !page.has_next();
            all.extend(page.items.into_iter().map(|Object(item)| item));
            if is_last {
                break;
            }
        }
        Ok(all)
    }
}
