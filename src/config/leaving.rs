//! What a new configuration no longer mentions: at the target it stays as it is, which the log
//! has to say.

use super::{Config, Target, Toggle};

/// What of an old configuration the new one leaves behind, in sentences for the log.
pub(crate) fn left_behind(old: &Config, new: &Config) -> Vec<String> {
    let mut left = Vec::new();
    for target in &old.targets {
        let id = &target.id;
        let is_there = |it: &&Target| it.place() == target.place();
        match new.targets.iter().find(|it| it.id == *id) {
            Some(now) if now.place() == target.place() => {}
            Some(_) => left.push(format!(
                "target {id} is another one now: the toggles at the old one stay as they are"
            )),
            None if new.targets.iter().find(is_there).is_some() => {}
            None => left.push(format!(
                "target {id} is no longer used: its toggles stay as they are"
            )),
        }
    }
    for source in &old.sources {
        if !new.sources.iter().any(|it| it.id == source.id) {
            left.push(format!("source {} is no longer used", source.id));
        }
    }
    for (id, toggle) in old.toggles.iter().enumerate() {
        let target = &old.targets[toggle.target];
        let is_same = |it: &&Toggle| {
            let now = &new.targets[it.target];
            it.key == toggle.key && (now.id == target.id || now.place() == target.place())
        };
        match new.toggles.iter().find(is_same) {
            None => left.push(format!(
                "toggle {} is no longer kept: at the target it stays as it is; turn it off or \
                 delete it there",
                old.name_of(id)
            )),
            Some(now) => left.extend((target.kind.left_behind)(toggle, now)),
        }
    }
    left
}

impl Target {
    /// Where it is; with which credentials it is asked does not matter.
    pub(crate) fn place(&self) -> String {
        let key = self.kind.place;
        let address = self
            .settings
            .address(key)
            .map(|it| it.spelled_alike().to_string());
        let path = || {
            self.settings
                .path(key)
                .map(|path| path.display().to_string())
        };
        let place = address.or_else(|_| path()).unwrap_or_default();
        format!("{} {place}", self.kind.name)
    }
}

#[cfg(test)]
#[path = "tests/leaving.rs"]
mod tests;
