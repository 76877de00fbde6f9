//! What must never come of a schedule.

/// One kind of harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// A real thing of ours that no record knows.
    Leaked,
    /// Two real things of one resource.
    Duplicated,
    /// Something of somebody else's was touched.
    Foreign,
    /// What was let go is still there.
    LostDelete,
    /// An operation that did not end in bounded time.
    Stuck,
    /// A tenant has more than it may.
    Overrun,
    /// A lease that was not acted on once, or not on time.
    Lease,
    /// A create was repeated and what came of the first was not looked up.
    Guess,
    /// A record that does not tell what is there.
    Untrue,
    /// Not what this is about: the schedule itself is too small, or panics.
    Broken,
}

impl Harm {
    /// Every value.
    pub const ALL: [Self; 10] = [
        Self::Leaked,
        Self::Duplicated,
        Self::Foreign,
        Self::LostDelete,
        Self::Stuck,
        Self::Overrun,
        Self::Lease,
        Self::Guess,
        Self::Untrue,
        Self::Broken,
    ];

    /// The words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Leaked => "leaked",
            Self::Duplicated => "duplicated",
            Self::Foreign => "foreign touched",
            Self::LostDelete => "lost deletes",
            Self::Stuck => "stuck",
            Self::Overrun => "quota overrun",
            Self::Lease => "lease missed",
            Self::Guess => "guessed",
            Self::Untrue => "untrue record",
            Self::Broken => "broken run",
        }
    }

    /// Which one a check of the scene has found.
    pub(super) fn of(text: &str) -> Self {
        if text.starts_with("leaked") {
            Self::Leaked
        } else if text.contains("real things") {
            Self::Duplicated
        } else {
            Self::Untrue
        }
    }
}

/// One harm that was found, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which kind.
    pub harm: Harm,
    /// What exactly.
    pub text: String,
}

impl Found {
    pub(super) fn new(harm: Harm, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { harm, text }
    }
}
