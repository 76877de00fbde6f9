//! What goes wrong with a call, and what the caller is told.

use std::time::Duration;

use rm_core::backend::{Phase, Seen};
use rm_core::model::Model;
use rm_core::{Error, ErrorKind};

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::conformance) enum Mishap {
    /// The request is lost.
    LostBefore,
    /// The answer is lost.
    LostAfter,
    /// The caller gives up, and the request arrives so much later.
    Late(Duration),
    /// The answer comes so much later.
    Slow(Duration),
    /// The request arrives twice, and the first answer is heard.
    Twice,
    /// The request arrives twice, and the second answer is heard.
    TwiceHeardLast,
    /// Nobody carries it out: 5xx, or whatever it is called.
    Refused(ErrorKind),
    /// Too many requests: come again after so long.
    TooMany(Duration),
    /// The engine's process dies before the request leaves.
    CrashBefore,
    /// It dies after it was carried out, before anybody hears of it.
    CrashAfter,
    /// It dies when the call has been waited for so many times.
    CrashDuring(u32),
    /// The process is stopped before the request leaves, for so long.
    StallBefore(Duration),
    /// It is stopped after it was carried out, for so long.
    StallAfter(Duration),
    /// A look does not show what is there.
    Omits,
    /// A look shows what works as broken.
    Breaks,
    /// A look shows what works as still being made.
    Unmakes,
    /// A look shows everything twice, in another order.
    Repeats,
    /// A look shows no views.
    Blind,
}

/// What happens to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::conformance) enum Strike {
    /// It ends; another one is started.
    Crash,
    /// It is stopped for so long.
    Stall(Duration),
}

impl Mishap {
    /// The process that makes the call is struck before the request leaves.
    pub(super) fn before(self) -> Option<Strike> {
        match self {
            Self::CrashBefore => Some(Strike::Crash),
            Self::StallBefore(d) => Some(Strike::Stall(d)),
            _ => None,
        }
    }

    /// It is struck after it was carried out.
    pub(super) fn after(self) -> Option<Strike> {
        match self {
            Self::CrashAfter | Self::CrashDuring(_) => Some(Strike::Crash),
            Self::StallAfter(d) => Some(Strike::Stall(d)),
            _ => None,
        }
    }

    /// What the caller is told, whatever the site has said.
    pub(super) fn error(self) -> Option<Error> {
        match self {
            Self::LostBefore | Self::LostAfter => {
                Some(Error::new(ErrorKind::Unavailable, "the connection broke").effect_unknown())
            }
            Self::Late(_) => Some(
                Error::new(ErrorKind::Timeout, "the gateway did not get an answer")
                    .effect_unknown(),
            ),
            Self::Refused(kind) => {
                Some(Error::new(kind, format!("nobody does that now: {}", kind.code())).temporary())
            }
            Self::TooMany(after) => {
                Some(Error::new(ErrorKind::RateLimited, "too many requests").retry_after(after))
            }
            _ => None,
        }
    }

    /// Whether the request never arrives.
    pub(super) fn is_deaf(self) -> bool {
        matches!(self, Self::LostBefore | Self::Refused(_) | Self::TooMany(_))
    }

    /// Makes an answer say what is not so.
    pub(super) fn falsify<M: Model>(self, items: &mut Vec<Seen<M>>) {
        match self {
            Self::Omits => items.clear(),
            Self::Repeats => {
                let again: Vec<Seen<M>> = items.iter().rev().map(super::copy).collect();
                items.extend(again);
            }
            _ => {
                for seen in items {
                    match self {
                        Self::Breaks if seen.phase == Phase::Ready => seen.phase = Phase::Failed,
                        Self::Unmakes if seen.phase == Phase::Ready => seen.phase = Phase::Building,
                        Self::Blind => seen.view = None,
                        _ => {}
                    }
                }
            }
        }
    }
}
