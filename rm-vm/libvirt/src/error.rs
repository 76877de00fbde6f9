//! What can go wrong with a call, and what that means for the host.

use std::sync::Arc;
use std::time::Duration;

use crate::code::{Code, ErrorDomain, Level};
use crate::procedure::Procedure;

/// What this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// So many characters of libvirt's own words are told.
const LONGEST: usize = 500;

/// What became of a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The host is as it was before: nothing was sent, it was refused, or it
    /// was only a question.
    None,
    /// The host may have done it, or may still do it: look before trying again.
    Unknown,
}

/// What libvirt itself answered instead of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
#[non_exhaustive]
pub struct RemoteError {
    /// What happened, for programs.
    pub code: Code,
    /// Which part of libvirt says so.
    pub domain: ErrorDomain,
    /// How bad it is.
    pub level: Level,
    /// What happened, in libvirt's words: one line of at most 500 characters.
    pub message: String,
}

impl RemoteError {
    pub(crate) fn new(code: i32, domain: i32, level: i32, message: Option<String>) -> Self {
        let message = message.unwrap_or_default();
        // It is printed in logs of whoever embeds us: one line, of bounded length.
        let words = message.split_whitespace();
        let mut tidy = words.collect::<Vec<_>>().join(" ");
        tidy.retain(|c| !c.is_control());
        let count = tidy.chars().count();
        if count > LONGEST {
            // What was done is told first, and what went wrong with it last.
            let half = LONGEST / 2 - 2;
            let head: String = tidy.chars().take(half).collect();
            let tail: String = tidy.chars().skip(count - half).collect();
            tidy = format!("{head} .. {tail}");
        }
        if tidy.is_empty() {
            tidy = "libvirt gives no reason".to_owned();
        }
        Self {
            code: Code(code),
            domain: ErrorDomain(domain),
            level: Level(level),
            message: tidy,
        }
    }
}

/// Why bytes from the server are no message of libvirt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(crate) &'static str);

/// Everything that can go wrong. Cheap to clone: all calls that waited on one
/// connection share its end.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URI or the configuration cannot be used.
    #[error("{0}")]
    Config(String),

    /// libvirt answered, with an error.
    #[error("{call}: {error}")]
    Remote {
        /// Which call.
        call: &'static str,
        /// What libvirt said.
        error: RemoteError,
        /// What became of it.
        effect: Effect,
    },

    /// There is no connection, so nothing was sent.
    #[error("cannot connect to libvirt: {0}")]
    Unreachable(Arc<Down>),

    /// The connection ended before the answer came.
    #[error("{call}: the connection to libvirt ended: {why}")]
    Lost {
        /// Which call.
        call: &'static str,
        /// What became of it.
        effect: Effect,
        /// How the connection ended.
        why: Arc<Down>,
    },

    /// There was no answer in the time given.
    #[error("{call}: no answer from libvirt within {} ms", .waited.as_millis())]
    Deadline {
        /// Which call.
        call: &'static str,
        /// What became of it.
        effect: Effect,
        /// How long it was waited for.
        waited: Duration,
    },

    /// The answer cannot be understood.
    #[error("{call}: the answer of libvirt cannot be read: {why}")]
    Unreadable {
        /// Which call.
        call: &'static str,
        /// What became of it.
        effect: Effect,
        /// What is wrong with it.
        why: Malformed,
    },

    /// An argument is such that nothing was sent.
    #[error("{call}: an argument cannot be sent: {why}")]
    Argument {
        /// Which call.
        call: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },

    /// What was to be sent cannot be read here. What came before it is sent.
    #[error("upload: the bytes cannot be read: {0}")]
    Source(Arc<std::io::Error>),

    /// The reader of a console was so slow that output had to be dropped.
    #[error("console: output came faster than it was read, and some is lost; open it again")]
    Overrun,
}

impl Error {
    pub(crate) fn remote(procedure: Procedure, error: RemoteError) -> Self {
        let effect = match error.code.before_acting() {
            true => Effect::None,
            false => procedure.doubt(),
        };
        Self::Remote {
            call: procedure.name,
            error,
            effect,
        }
    }

    /// What became of the call.
    pub fn effect(&self) -> Effect {
        match self {
            Self::Remote { effect, .. }
            | Self::Lost { effect, .. }
            | Self::Deadline { effect, .. }
            | Self::Unreadable { effect, .. } => *effect,
            Self::Source(_) => Effect::Unknown,
            Self::Config(_) | Self::Unreachable(_) | Self::Argument { .. } | Self::Overrun => {
                Effect::None
            }
        }
    }

    /// The code of libvirt's own error, if libvirt answered.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Remote { error, .. } => Some(error.code),
            _ => None,
        }
    }
}

/// Why there is no connection, or none any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Down {
    /// The operating system says so.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The server ended it.
    #[error("the server closed it")]
    Closed,
    /// The server is silent, although it was asked whether it is alive.
    #[error("nothing was heard from the server for {} ms", .0.as_millis())]
    Silent(Duration),
    /// The server did not become ready in the time given.
    #[error("the server was not ready within {} ms", .0.as_millis())]
    Slow(Duration),
    /// What the server says is not the protocol of libvirt.
    #[error("the server does not speak libvirt's protocol: {0}")]
    Malformed(#[from] Malformed),
    /// The server or its certificate, or ours, is not trusted.
    #[error("{0}")]
    Untrusted(String),
    /// The server does not let us in.
    #[error("{0}")]
    Refused(String),
    /// The future that keeps the connection was dropped, or never run.
    #[error("nobody runs the connection")]
    NotRun,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_words_the_first_and_the_last_are_told() {
        let told = |words: String| RemoteError::new(1, 0, 2, Some(words)).message;
        let long = format!(
            "Child process\n(qemu-img {}) failed: no space left",
            "\u{fc}".repeat(900)
        );
        let short = told(long);
        assert!(short.chars().count() <= LONGEST, "{short}");
        assert!(
            short.starts_with("Child process (qemu-img \u{fc}"),
            "{short}"
        );
        assert!(short.ends_with("\u{fc}) failed: no space left"), "{short}");
        let exact = "x".repeat(LONGEST);
        assert_eq!(told(exact.clone()), exact);
        assert_eq!(told("\0 \n".to_owned()), "libvirt gives no reason");
    }
}
