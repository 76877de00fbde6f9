//! What Heat says a stack or a resource is doing: `ACTION_STATE`.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// A word that this client does not know.
            Unknown(String),
        }

        impl $name {
            /// Heat's word for it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Unknown(word) => word,
                }
            }

            fn parse(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)*
                    other => Self::Unknown(other.to_owned()),
                }
            }
        }
    };
}

words! {
    /// What was asked for last.
    Action {
        /// Not begun yet.
        Init = "INIT",
        /// Being made.
        Create = "CREATE",
        /// Being removed.
        Delete = "DELETE",
        /// Being changed.
        Update = "UPDATE",
        /// Being taken back after a failure.
        Rollback = "ROLLBACK",
        /// Being put to sleep.
        Suspend = "SUSPEND",
        /// Being woken.
        Resume = "RESUME",
        /// Being taken over.
        Adopt = "ADOPT",
        /// Being copied.
        Snapshot = "SNAPSHOT",
        /// Being checked against what is there.
        Check = "CHECK",
        /// Being set back to a copy.
        Restore = "RESTORE",
    }
}

words! {
    /// How far it got.
    State {
        /// Under way.
        InProgress = "IN_PROGRESS",
        /// Done.
        Complete = "COMPLETE",
        /// Not done, and no longer tried.
        Failed = "FAILED",
    }
}

/// Action and state. Printed, it is what Heat sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StackStatus {
    /// What was asked for last.
    pub action: Action,
    /// How far it got.
    pub state: State,
}

impl StackStatus {
    /// Heat is working on it.
    pub fn is_in_progress(&self) -> bool {
        self.state == State::InProgress
    }

    /// The last action failed.
    pub fn is_failed(&self) -> bool {
        self.state == State::Failed
    }

    /// The thing no longer exists.
    pub fn is_deleted(&self) -> bool {
        self.action == Action::Delete && self.state == State::Complete
    }
}

impl Default for StackStatus {
    fn default() -> Self {
        Self {
            action: Action::Unknown(String::new()),
            state: State::Unknown(String::new()),
        }
    }
}

impl FromStr for StackStatus {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (action, state) = text.split_once('_').unwrap_or((text, ""));
        Ok(Self {
            action: Action::parse(action),
            state: State::parse(state),
        })
    }
}

impl fmt::Display for StackStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.action.as_str())?;
        match self.state.as_str() {
            "" => Ok(()),
            state => write!(f, "_{state}"),
        }
    }
}

impl<'de> Deserialize<'de> for StackStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        Ok(text.parse().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_pair_and_others_print_as_they_came() {
        let actions =
            "INIT CREATE DELETE UPDATE ROLLBACK SUSPEND RESUME ADOPT SNAPSHOT CHECK RESTORE";
        for action in actions.split(' ') {
            for state in ["IN_PROGRESS", "COMPLETE", "FAILED"] {
                let text = format!("{action}_{state}");
                let status: StackStatus = text.parse().unwrap();
                assert!(!matches!(status.action, Action::Unknown(_)), "{text}");
                assert!(!matches!(status.state, State::Unknown(_)), "{text}");
                assert_eq!(status.to_string(), text);
            }
        }
        for odd in ["", "CREATE", "DANCE_COMPLETE", "CREATE_HALF_DONE", "ünï"] {
            let status: StackStatus = odd.parse().unwrap();
            assert_eq!(status.to_string(), odd);
        }
        let odd: StackStatus = "CREATE_HALF_DONE".parse().unwrap();
        assert_eq!(odd.action, Action::Create);
        assert_eq!(odd.state, State::Unknown("HALF_DONE".into()));
    }
}
