//! What a new configuration no longer mentions: at the target it stays as it is, which the log
//! has to say.

use super::{Config, Target};

/// What of an old configuration the new one leaves behind, in sentences for the log.
pub(crate) fn left_behind(old: &Config, new: &Config) -> Vec<String> {
    let mut left = Vec::new();
    if old.target.place() != new.target.place() {
        left.push(
            "the target is another one: the toggles at the old one stay as they are".to_owned(),
        );
    }
    for source in &old.sources {
        if !new.sources.iter().any(|it| it.id == source.id) {
            left.push(format!("source {} is no longer used", source.id));
        }
    }
    for toggle in &old.toggles {
        let key = &toggle.key;
        match new.toggles.iter().find(|it| it.key == *key) {
            None => left.push(format!(
                "toggle {key} is no longer kept: at the target it stays as it is; turn it off or \
                 delete it there"
            )),
            Some(now) => left.extend((new.target.kind.left_behind)(toggle, now)),
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
