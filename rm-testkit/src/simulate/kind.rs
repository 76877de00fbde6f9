//! The kinds of fault there are, as the histogram counts them.

use rm_core::ErrorKind;

use crate::cloud::{Answer, Fault, SimCall, Verb};

/// One kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The request is lost on its way.
    LostBefore,
    /// It is done, and the answer is lost.
    LostAfter,
    /// Nobody knows, and it is done later.
    Late,
    /// It is done, and answered later, or too late.
    Slow,
    /// The request arrives twice.
    Duplicated,
    /// The request arrives once more, behind later ones.
    Reordered,
    /// The answer says the opposite of what was done.
    Contradicted,
    /// What is listed is not the newest.
    Lag,
    /// Too many requests.
    TooMany,
    /// The site answers with an error of its own.
    Broken,
    /// The site does not answer at all for a while.
    Away,
    /// What is made or changed breaks.
    FailsLater,
    /// The site has no room.
    SiteFull,
    /// More is asked for at once than the tenant may have.
    Quota,
    /// The credential is not accepted any more.
    Expired,
    /// The credential is replaced by another.
    Rotated,
    /// The credential may create and not delete.
    CannotDelete,
    /// The site refuses to delete.
    DeleteRefused,
    /// A delete does not end for long.
    DeleteHangs,
    /// Somebody takes the name of what we have or had.
    NameTaken,
    /// Another installation has things in the same account.
    Sibling,
    /// A clock steps.
    Clock,
    /// The store cannot be reached.
    StoreAway,
    /// A commit is done and not answered.
    StoreLost,
    /// The store is full.
    StoreFull,
    /// An engine crashes.
    Crash,
    /// An engine stalls for longer than its lease, and comes back.
    Stall,
}

/// How many there are.
pub const KINDS: usize = Kind::ALL.len();

impl Kind {
    /// Every value.
    pub const ALL: [Self; 27] = [
        Self::LostBefore,
        Self::LostAfter,
        Self::Late,
        Self::Slow,
        Self::Duplicated,
        Self::Reordered,
        Self::Contradicted,
        Self::Lag,
        Self::TooMany,
        Self::Broken,
        Self::Away,
        Self::FailsLater,
        Self::SiteFull,
        Self::Quota,
        Self::Expired,
        Self::Rotated,
        Self::CannotDelete,
        Self::DeleteRefused,
        Self::DeleteHangs,
        Self::NameTaken,
        Self::Sibling,
        Self::Clock,
        Self::StoreAway,
        Self::StoreLost,
        Self::StoreFull,
        Self::Crash,
        Self::Stall,
    ];

    /// The words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LostBefore => "request lost",
            Self::LostAfter => "answer lost",
            Self::Late => "done late, nobody told",
            Self::Slow => "answered late",
            Self::Duplicated => "request duplicated",
            Self::Reordered => "requests reordered",
            Self::Contradicted => "answer contradicts",
            Self::Lag => "listing lags",
            Self::TooMany => "429",
            Self::Broken => "5xx",
            Self::Away => "site away",
            Self::FailsLater => "build or change fails",
            Self::SiteFull => "site full",
            Self::Quota => "tenant's quota reached",
            Self::Expired => "credential expired",
            Self::Rotated => "credential rotated",
            Self::CannotDelete => "credential cannot delete",
            Self::DeleteRefused => "delete refused",
            Self::DeleteHangs => "delete hangs",
            Self::NameTaken => "name taken (ABA)",
            Self::Sibling => "sibling on the account",
            Self::Clock => "clock step",
            Self::StoreAway => "store unavailable",
            Self::StoreLost => "commit not answered",
            Self::StoreFull => "store full",
            Self::Crash => "engine crash",
            Self::Stall => "engine stall and return",
        }
    }

    /// What a call suffered, by its fault or by how it was answered.
    pub(super) fn of(call: &SimCall) -> Option<Self> {
        Some(match (call.fault, call.answer) {
            (Some(Fault::LostBefore), _) => Self::LostBefore,
            (Some(Fault::LostAfter), _) => Self::LostAfter,
            (Some(Fault::Late(_)), _) => Self::Late,
            (Some(Fault::Slow(_)), _) => Self::Slow,
            (Some(Fault::Twice(d)), _) if d < REORDERED => Self::Duplicated,
            (Some(Fault::Twice(_)), _) => Self::Reordered,
            (Some(Fault::Denied | Fault::Forgotten), _) => Self::Contradicted,
            (Some(Fault::TooMany(_)), _) => Self::TooMany,
            (Some(Fault::FailsLater), _) if call.verb == Verb::Destroy => Self::DeleteRefused,
            (Some(Fault::FailsLater), _) => Self::FailsLater,
            (Some(Fault::Refused(_)), _) if call.verb == Verb::Destroy => Self::DeleteRefused,
            (Some(Fault::Refused(_)), _) => Self::Broken,
            (Some(Fault::Hangs(_)), _) => Self::DeleteHangs,
            (None, Answer::Refused(ErrorKind::Unavailable)) => Self::Away,
            (None, Answer::Refused(ErrorKind::NoCapacity)) => Self::SiteFull,
            (None, Answer::Refused(ErrorKind::Credential)) => Self::Expired,
            (None, Answer::Refused(ErrorKind::Forbidden)) => Self::CannotDelete,
            _ => return None,
        })
    }
}

/// What arrives once more so much later comes behind later requests.
pub(super) const REORDERED: std::time::Duration = std::time::Duration::from_secs(1);

/// How often each kind was suffered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Suffered([u64; KINDS]);

impl Suffered {
    /// One more.
    pub(super) fn add(&mut self, kind: Kind, n: u64) {
        if let Some(at) = Kind::ALL.iter().position(|k| *k == kind) {
            self.0[at] += n;
        }
    }

    /// How often.
    pub fn of(&self, kind: Kind) -> u64 {
        let at = Kind::ALL.iter().position(|k| *k == kind);
        at.map_or(0, |at| self.0[at])
    }

    /// All together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Both together.
    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }

    /// One for each kind that was suffered at all.
    pub(super) fn once(&self) -> Self {
        Self(self.0.map(|n| n.min(1)))
    }
}
