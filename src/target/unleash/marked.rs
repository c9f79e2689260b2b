//! The mark of the owner: a tag, which Unleash shows neither with a feature nor to SDKs.

use std::collections::{BTreeMap, HashMap};

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::{Spec, Unleash, refuse};
use crate::error::Failure;
use crate::http::Object;
use crate::job::Marked;

/// The type that every Unleash has, unless it was deleted.
const TYPE: &str = "simple";

/// The most features in a page, as Unleash has it.
const PAGE: usize = 100;

/// The most pages of a search that never ends.
const PAGES: usize = 1000;

#[derive(Deserialize, Serialize, PartialEq)]
pub(super) struct Tag {
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

#[derive(Deserialize)]
struct Tags {
    tags: Vec<Object<Tag>>,
}

#[derive(Deserialize)]
struct Page {
    features: Vec<Object<Found>>,
}

/// A feature that carries the mark, and is not archived.
#[derive(Deserialize)]
struct Found {
    name: String,
    project: String,
    environments: Vec<Object<EnvironmentOfFound>>,
    #[serde(default)]
    tags: Vec<Object<Tag>>,
}

#[derive(Deserialize)]
struct EnvironmentOfFound {
    name: String,
}

/// The tags of features that carry the mark.
pub(super) type TagsOfMarked = HashMap<String, Vec<Object<Tag>>>;

impl Unleash {
    fn mark(&self) -> Option<Tag> {
        let value = self.mark.tag()?;
        let kind = TYPE.to_owned();
        Some(Tag { kind, value })
    }

    /// Whether a feature with these tags carries the mark; without an owner, each does. Fails where it carries that of
    /// another owner.
    pub(super) fn is_marked(&self, spec: &Spec, tags: &[Object<Tag>]) -> Result<bool, Failure> {
        if !spec.is_retired {
            let values = tags.iter().map(|tag| &tag.value);
            self.mark.check(values, &spec.about())?;
        }
        let mark = self.mark();
        Ok(mark.is_none_or(|mark| tags.iter().any(|Object(tag)| *tag == mark)))
    }

    /// The tags of a feature; none where they do not matter.
    pub(super) fn read_tags(&self, spec: &Spec) -> Result<Vec<Object<Tag>>, Failure> {
        if self.mark.owner().is_none() {
            return Ok(Vec::new());
        }
        let request = self.request(Method::GET, &["features", &spec.key, "tags"]);
        let answer: Tags = self.send(request, &spec.about())?.json()?;
        Ok(answer.tags)
    }

    /// Adds the mark. That Unleash has it already is no failure, but an event of its own.
    pub(super) fn add_mark(&self, spec: &Spec) -> Result<(), Failure> {
        let Some(mark) = self.mark() else {
            return Ok(());
        };
        let request = self.request(Method::POST, &["features", &spec.key, "tags"]);
        self.send(request.json(&mark)?, &spec.about()).map(drop)
    }

    /// All tags of the features of a project that carry the mark.
    pub(super) fn tags_of_marked(&self, project: &str) -> Result<TagsOfMarked, Failure> {
        let found = self.search(&format!("&project=IS:{project}"))?;
        Ok(found.map(|it| (it.name, it.tags)).collect())
    }

    /// The features with the mark that are not configured. Their names are unique in all of Unleash.
    pub(super) fn left(&self) -> Result<Vec<Marked>, Failure> {
        let configured = self.specs.values().filter(|spec| !spec.is_retired);
        let is_kept = |name: &str| configured.clone().any(|spec| spec.key == name);
        let found = self.search("")?;
        let left = found.filter(|it| !it.environments.is_empty() && !is_kept(&it.name));
        // One can be found twice, where another one has gone meanwhile.
        let left: BTreeMap<String, Found> = left.map(|it| (it.name.clone(), it)).collect();
        let marked = left.into_values().map(|it| {
            let environments = it.environments.iter().map(|it| json!(it.name)).collect();
            Marked {
                key: it.name,
                spec: Map::from_iter([
                    ("project".to_owned(), json!(it.project)),
                    ("environments".to_owned(), environments),
                ]),
            }
        });
        Ok(marked.collect())
    }

    /// The features with the mark. Another filter by tags than this one would show no others of theirs.
    fn search(&self, filter: &str) -> Result<impl Iterator<Item = Found> + use<>, Failure> {
        let mut found = Vec::new();
        let Some(Tag { kind, value }) = self.mark() else {
            return Ok(found.into_iter());
        };
        let about = format!("features with the tag {kind}:{value}");
        for _ in 0..PAGES {
            let offset = found.len();
            let path = ["search", "features"];
            let mut request = self.request(Method::GET, &path);
            // Neither owners nor names of projects need to be encoded.
            request.url +=
                &format!("?tag=INCLUDE_ALL_OF:{kind}:{value}{filter}&limit={PAGE}&offset={offset}");
            let page =
                self.send(request, &about)
                    .map_err(|failure| match failure.is_status(404) {
                        true => refuse(
                            "this Unleash cannot search by tags: update it, or remove `owner`",
                        ),
                        false => failure,
                    })?;
            let Page { features } = page.json()?;
            let is_last = features.len() < PAGE;
            found.extend(features.into_iter().map(|Object(it)| it));
            if is_last {
                break;
            }
        }
        Ok(found.into_iter())
    }
}
