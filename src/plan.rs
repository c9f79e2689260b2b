//! Users wanted and users there → what to do next at the target.

use std::sync::Arc;

use crate::users::Users;

/// What is known of a toggle at the target.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum There {
    /// Nothing: it has to be read, or created to see if it is there.
    #[default]
    Unknown,
    /// It is not there.
    Absent,
    /// It is there.
    Present {
        /// Whether its metadata follow `spec`.
        described: bool,
        /// Who has it, where that is known.
        users: Option<Arc<Users>>,
    },
}

/// One thing to do at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read the toggle.
    Read,
    /// Create it.
    Create,
    /// Bring its metadata in line with `spec`.
    Describe,
    /// Set its users.
    Update,
}

impl There {
    /// The next step, if there is one, towards a toggle that exists, follows its `spec`, and is on
    /// for exactly the users that are wanted.
    ///
    /// `wanted` is none where the users are not known: then nothing is done about them. `readable`
    /// tells whether the target can be read; where it cannot, creating tells if a toggle exists.
    pub fn next_step(&self, wanted: Option<&Users>, readable: bool) -> Option<Step> {
        match self {
            There::Unknown if readable => Some(Step::Read),
            There::Unknown | There::Absent => Some(Step::Create),
            There::Present {
                described: false, ..
            } => Some(Step::Describe),
            There::Present { users, .. } => {
                (users.as_deref() != Some(wanted?)).then_some(Step::Update)
            }
        }
    }

    /// Forgets the users, after a request whose outcome is not known.
    pub fn forget_users(&mut self, readable: bool) {
        match self {
            There::Present { users, .. } if !readable => *users = None,
            _ => *self = There::Unknown,
        }
    }

    /// Forgets all that could have been changed by hand, for a resync: what can be read is read
    /// again, the rest is sent again.
    pub fn forget(&mut self, readable: bool) {
        self.forget_users(readable);
        if let There::Present { described, .. } = self {
            *described = false;
        }
    }

    /// Who has the toggle, where that is known.
    pub fn users(&self) -> Option<&Arc<Users>> {
        match self {
            There::Present { users, .. } => users.as_ref(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn users(keys: &[String]) -> Arc<Users> {
        Arc::new(keys.iter().map(String::as_str).collect())
    }

    /// What a target that does as it is told holds after a step.
    fn apply(step: Step, truth: &There, wanted: &Arc<Users>) -> There {
        match step {
            Step::Read => truth.clone(),
            Step::Create => There::Present {
                described: true,
                users: Some(Arc::default()),
            },
            Step::Describe => There::Present {
                described: true,
                users: truth.users().cloned(),
            },
            Step::Update => There::Present {
                described: true,
                users: Some(Arc::clone(wanted)),
            },
        }
    }

    fn present(described: bool, keys: &[String]) -> There {
        There::Present {
            described,
            users: Some(users(keys)),
        }
    }

    #[test]
    fn without_users_a_toggle_is_created_and_described_but_its_users_are_left_alone() {
        assert_eq!(There::Unknown.next_step(None, true), Some(Step::Read));
        assert_eq!(There::Unknown.next_step(None, false), Some(Step::Create));
        assert_eq!(There::Absent.next_step(None, true), Some(Step::Create));
        let eve = ["eve".to_owned()];
        assert_eq!(
            present(false, &eve).next_step(None, true),
            Some(Step::Describe)
        );
        assert_eq!(present(true, &eve).next_step(None, true), None);
    }

    #[test]
    fn after_a_lost_request_what_can_be_read_is_read_and_the_rest_is_sent_again() {
        let wanted = users(&["eve".to_owned()]);
        let mut readable = present(true, &["eve".to_owned()]);
        readable.forget_users(true);
        assert_eq!(readable.next_step(Some(&wanted), true), Some(Step::Read));

        let mut blind = present(true, &["eve".to_owned()]);
        blind.forget_users(false);
        assert_eq!(blind.next_step(Some(&wanted), false), Some(Step::Update));
    }

    #[test]
    fn a_resync_of_what_cannot_be_read_sends_metadata_and_users_again() {
        let mut blind = present(true, &[]);
        blind.forget(false);
        let forgotten = There::Present {
            described: false,
            users: None,
        };
        assert_eq!(blind, forgotten);
    }

    proptest! {
        #[test]
        fn applying_a_plan_and_planning_again_gives_an_empty_plan(
            wanted in prop::collection::vec("[a-d]", 0..4),
            there in prop::collection::vec("[a-d]", 0..4),
            exists: bool, described: bool, known: bool,
        ) {
            let wanted = users(&wanted);
            let truth = if exists { present(described, &there) } else { There::Absent };
            let mut there = if known { truth.clone() } else { There::Unknown };
            let mut steps = 0;
            let mut truth = truth;
            while let Some(step) = there.next_step(Some(&wanted), true) {
                truth = apply(step, &truth, &wanted);
                there = truth.clone();
                steps += 1;
                prop_assert!(steps <= 3, "at most read, create or describe, and update");
            }
            prop_assert_eq!(truth.users(), Some(&wanted));
            prop_assert_eq!(there.next_step(Some(&wanted), true), None);
        }
    }
}
