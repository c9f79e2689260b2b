//! Semantic patches: all of it or nothing.

use serde::Deserialize;

use super::super::wire::{Answer, Request};
use super::flag::View;
use super::instruction::Instruction;
use super::platform::Project;
use super::{SEMANTIC_PATCH, refusal};

/// The body of a semantic patch. The comment only appears in the flag's history.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Patch {
    environment_key: Option<String>,
    #[serde(rename = "comment")]
    _comment: Option<String>,
    instructions: Vec<Instruction>,
}

impl Project {
    pub(super) fn patch(&mut self, key: &str, request: &Request) -> Result<Answer, Answer> {
        let flag = self.flags.get_mut(key);
        let flag = flag.ok_or_else(|| refusal(404, "Unknown feature flag key"))?;
        if request.header("content-type") != Some(SEMANTIC_PATCH) {
            return Err(refusal(400, "the stand-in takes semantic patches only"));
        }
        let patch: Patch = serde_json::from_slice(&request.body)
            .map_err(|error| refusal(400, error.to_string()))?;
        if patch.instructions.is_empty() {
            return Err(refusal(400, "no instructions"));
        }
        let place = patch.environment_key.as_deref();
        let environment = place.map(|place| self.environments.get(place));
        if environment.is_some_and(|environment| environment.is_none()) {
            return Err(refusal(404, "Unknown environment key"));
        }
        let mut patched = flag.clone();
        for instruction in patch.instructions {
            let applied = instruction.apply(&mut patched, place);
            applied.map_err(|why| refusal(400, why))?;
        }
        let changed =
            |place: &&str| patched.environments.get(*place) != flag.environments.get(*place);
        if let Some(place) = place.filter(changed) {
            if let Some(Some(refused)) = environment.flatten().map(|it| &it.approval) {
                return Err(refused.clone());
            }
            patched.environment(place).version += 1;
        }
        if patched != *flag {
            patched.version += 1;
            *flag = patched;
        }
        let (only, summary) = (None, false);
        Ok(Answer::json(
            200,
            &flag.show(&self.key, &View { only, summary }),
        ))
    }
}
