//! Individual targets of a flag in an environment.

use std::collections::HashSet;

use super::flag::{Config, Target};

/// The kind of contexts that people are: whom an instruction without `contextKind` is about.
pub(super) const USER: &str = "user";

impl Config {
    /// Targets these keys too; what has one of them in another variation is an error.
    pub(super) fn add_targets(
        &mut self,
        kind: &str,
        variation: usize,
        values: Vec<String>,
    ) -> Result<(), String> {
        let list = self.list_of(kind);
        let of_kind = list.iter().filter(|target| target.context_kind == kind);
        let others = of_kind.filter(|target| target.variation != variation);
        let elsewhere: HashSet<&String> = others.flat_map(|target| &target.values).collect();
        if values.iter().any(|value| elsewhere.contains(value)) {
            return Err("a key would be targeted in two variations".into());
        }
        let here = |target: &Target| target.context_kind == kind && target.variation == variation;
        let place = list.iter().position(here).unwrap_or_else(|| {
            list.push(Target::new(kind, variation, &[]));
            list.len() - 1
        });
        let mut there: HashSet<String> = list[place].values.iter().cloned().collect();
        let new = values
            .into_iter()
            .filter(|value| there.insert(value.clone()));
        list[place].values.extend(new);
        self.mark_order();
        Ok(())
    }

    /// Targets these keys no more. An entry that loses its last key stays.
    pub(super) fn remove_targets(&mut self, kind: &str, variation: usize, values: &[String]) {
        let gone: HashSet<&String> = values.iter().collect();
        for target in self.list_of(kind) {
            if target.context_kind == kind && target.variation == variation {
                target.values.retain(|value| !gone.contains(value));
            }
        }
    }

    /// Removes the targets of all kinds from this variation.
    pub(super) fn clear_targets(&mut self, variation: usize) {
        for list in [&mut self.targets, &mut self.context_targets] {
            list.retain(|target| target.variation != variation);
        }
    }

    /// Where users are targeted, LaunchDarkly has an entry without values among the other kinds too:
    /// it says when their turn is. Without it, their SDKs pass over the users.
    pub(crate) fn mark_order(&mut self) {
        for target in &self.targets {
            let mark = Target::new(USER, target.variation, &[]);
            if !self.context_targets.contains(&mark) {
                self.context_targets.push(mark);
            }
        }
    }

    fn list_of(&mut self, kind: &str) -> &mut Vec<Target> {
        match kind {
            USER => &mut self.targets,
            _ => &mut self.context_targets,
        }
    }
}
