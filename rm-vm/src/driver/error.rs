//! What can go wrong on a host.

use super::State;

/// What the calls of a driver return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. After everything but [`Error::Unclear`] nothing was
/// changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request is wrong, whatever the host does.
    #[error("{0}")]
    Invalid(String),
    /// There is no such domain.
    #[error("there is no {0:?} on the host")]
    NotFound(String),
    /// There is one of this name already.
    #[error("there is a {0:?} on the host already")]
    Exists(String),
    /// It is in a state in which this cannot be done.
    #[error("{name:?} is {}, and cannot be {wanted}", .state.as_str())]
    NotNow {
        /// The domain.
        name: String,
        /// What it is doing.
        state: State,
        /// What was to be done with it.
        wanted: &'static str,
    },
    /// This driver cannot do this at all.
    #[error("the driver {driver} cannot {what}")]
    Unsupported {
        /// The driver.
        driver: &'static str,
        /// What it cannot do.
        what: &'static str,
    },
    /// The image is not what it should be.
    #[error("the image {name:?} {why}")]
    Image {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The host has no room.
    #[error("the host has no room: {0}")]
    NoRoom(String),
    /// The host does not let us.
    #[error("the host refuses us: {0}")]
    Denied(String),
    /// The host cannot be asked.
    #[error("the host cannot be asked: {0}")]
    Unavailable(String),
    /// Somebody else reads its console, and is left to it.
    #[error("somebody else has the console of {0:?}, and what it writes goes there")]
    ConsoleInUse(String),
    /// It took so long that nobody waits for it any more, and was left.
    #[error("the host took so long to make {0:?} that it was left")]
    Late(String),
    /// What runs in a domain does not let it be done, until a person sees to it.
    #[error("{name:?} {why}")]
    Guest {
        /// The domain.
        name: String,
        /// What is the matter.
        why: &'static str,
        /// What a person can do about it.
        advice: &'static str,
    },
    /// The host tried, and it failed.
    #[error("{0}")]
    Failed(String),
    /// Nobody knows what became of it: the host was lost in the middle, or it
    /// says that it failed and not how far it came.
    #[error("{0}")]
    Unclear(String),
}

impl Error {
    /// Shorthand for the most frequent one.
    pub fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid(what.into())
    }
}
