//! The mark by which an owner knows its toggles at a target.

use crate::config::{Config, OWNER, Retires, TargetId};
use crate::error::{Failure, Kind};

/// What the mark of every owner begins with, where marks are tags.
const PREFIX: &str = "optoggles.";

/// The mark of a target's owner, if it has one.
#[derive(Clone, Debug, Default)]
pub(super) struct Mark {
    owner: Option<String>,
    /// Toggles with the mark that are not in the configuration are to be found.
    pub(super) is_sought: bool,
}

impl Mark {
    pub(super) fn of(config: &Config, target: TargetId) -> Mark {
        let owner = config.targets[target].settings.text(OWNER.name).ok();
        Mark {
            is_sought: owner.is_some() && config.retires != Retires::NONE,
            owner: owner.map(str::to_owned),
        }
    }

    pub(super) fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// As a tag.
    pub(super) fn tag(&self) -> Option<String> {
        Some(format!("{PREFIX}{}", self.owner()?))
    }

    /// Fails where one of these tags is the mark of another owner. Without an owner, marks mean nothing.
    pub(super) fn check<'t>(
        &self,
        tags: impl IntoIterator<Item = &'t String>,
        about: &str,
    ) -> Result<(), Failure> {
        let owners = tags.into_iter();
        let mut owners = owners.filter_map(|tag| Some((tag.strip_prefix(PREFIX)?, tag)));
        owners.try_for_each(|(owner, tag)| {
            self.check_owner(Some(owner), about, &format!("the tag {tag}"))
        })
    }

    /// The same for the owner that a toggle names by this mark.
    pub(super) fn check_owner(
        &self,
        named: Option<&str>,
        about: &str,
        mark: &str,
    ) -> Result<(), Failure> {
        match (self.owner(), named) {
            (Some(owner), Some(named)) if named != owner => {
                let words = format!(
                    "{about} belongs to the owner {named}: remove it from one of the two \
                     configurations, or {mark} there"
                );
                Err(Failure::new(Kind::Misfit, words))
            }
            _ => Ok(()),
        }
    }
}
