//! How everything is, in one line.

use super::{Rows, Status};
use crate::engine::State;

impl Status {
    /// Such as `8 of 10 toggles in sync, 2 failing`.
    pub fn line(&self) -> String {
        self.rows().line()
    }
}

impl Rows {
    fn line(&self) -> String {
        let count = |state| self.toggles.iter().filter(|row| row.state == state).count();
        let (all, in_sync) = (self.toggles.len(), count(State::InSync));
        let noun = if all == 1 { "toggle" } else { "toggles" };
        let mut line = format!("{in_sync} of {all} {noun} in sync");
        for state in [State::Failing, State::Held] {
            match count(state) {
                0 => {}
                number => line += &format!(", {number} {state}"),
            }
        }
        for row in self
            .sources
            .iter()
            .filter(|row| row.state == State::Failing)
        {
            line += &format!(", source {} failing", row.id);
        }
        line
    }
}
