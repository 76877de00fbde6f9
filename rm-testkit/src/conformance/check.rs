//! What a check is, and what comes of it.

use std::fmt;

use futures_util::future::BoxFuture;
use rm_core::backend::{Capability, CreateKey, Resize};
use rm_core::model::Model;
use serde::Serialize;

use super::stage::Stage;

/// What a backend has been shown to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The six verbs do what they say, and what is declared is true, while
    /// nothing goes wrong.
    Basic,
    /// Whatever goes wrong, nothing is lost, made twice unseen, or taken from
    /// others; a person may have to decide.
    Safe,
    /// Whatever goes wrong, there is in the end exactly one real thing for
    /// what is wanted, and none for what is not, without a person.
    Exact,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Basic => "Basic",
            Self::Safe => "Safe",
            Self::Exact => "Exact",
        })
    }
}

/// The invariants of section 5 of the incident corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Invariant {
    /// An accepted create is never forgotten.
    I1,
    /// An unknown outcome is not a failure.
    I2,
    /// Destroy ends with evidence.
    I3,
    /// What is a sibling's is not touched.
    I4,
    /// Delete is bound to an identity.
    I5,
    /// What is there and on its way keeps within limits.
    I6,
    /// Everything ends.
    I7,
    /// A resize touches only its own.
    I8,
    /// The site is not asked more often than it allows.
    I9,
    /// One winner where several act, across restarts.
    I10,
    /// What belongs to a thing goes with it.
    I11,
    /// Credentials are as good for the end as for the beginning.
    I12,
    /// Secrets do not leak.
    I13,
    /// What is used again is what was meant.
    I14,
    /// No short state is missed.
    I15,
}

/// What a check is about, by which it is chosen and reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct About {
    /// Its name, which never changes: `create/answers-an-id`.
    pub name: &'static str,
    /// Whether it makes something go wrong.
    pub faults: bool,
    /// The level that is not reached where it fails.
    pub level: Level,
    /// Which invariant it guards.
    pub invariant: Invariant,
    /// Which incident a failure resembles.
    pub incident: &'static str,
}

impl About {
    /// The part of the name before the last slash.
    pub fn group(&self) -> &'static str {
        self.name.rsplit_once('/').map_or("", |(group, _)| group)
    }
}

/// What is declared, by which checks are chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declared {
    pub(super) cap: Capability,
    /// Whether there is a spec of another size.
    pub(super) sizes: bool,
    /// Whether who logs in to a node can be changed while it runs.
    pub(super) users: bool,
    /// Whether nobody else uses the site meanwhile.
    pub(super) alone: bool,
}

impl Declared {
    pub(super) fn always(&self) -> bool {
        true
    }

    /// What was made can be found without knowing the site's name for it.
    pub(super) fn findable(&self) -> bool {
        self.cap.list_by_owner || self.named()
    }

    /// What was made has a name that its mark tells.
    pub(super) fn named(&self) -> bool {
        matches!(
            self.cap.create_key,
            CreateKey::UniqueName | CreateKey::ClientUuid
        )
    }

    /// A second create of the same thing is harmless.
    pub(super) fn keyed(&self) -> bool {
        self.named() || self.cap.create_key == CreateKey::ClientToken
    }

    pub(super) fn lists(&self) -> bool {
        self.cap.list_by_owner
    }

    pub(super) fn resizes(&self) -> bool {
        self.sizes
            && match self.cap.resize {
                Resize::InPlace => true,
                // Nobody buys another one because a size was asked for.
                Resize::Replace => !self.cap.billing_commit,
                Resize::None => false,
            }
    }

    pub(super) fn in_place(&self) -> bool {
        self.cap.resize == Resize::InPlace && self.sizes
    }
}

/// Why a check does not simply pass.
#[derive(Debug)]
pub(super) enum Finding {
    /// What must be is not.
    Broken(String),
    /// Nothing is lost, and a person must decide.
    Held(String),
}

pub(super) type Verdict<T = ()> = Result<T, Finding>;

impl From<rm_core::Error> for Finding {
    fn from(e: rm_core::Error) -> Self {
        let during = e.during().unwrap_or("a call");
        Self::Broken(format!("{during} failed ({}): {e}", e.kind().code()))
    }
}

/// Ends a check where something is not as it must be.
macro_rules! ensure {
    ($cond:expr, $($words:tt)+) => {
        if !$cond {
            return Err($crate::conformance::check::Finding::Broken(format!($($words)+)));
        }
    };
}
pub(super) use ensure;

/// One check.
pub(super) struct Check<M: Model> {
    pub(super) about: About,
    pub(super) when: fn(&Declared) -> bool,
    pub(super) run: Run<M>,
}

type Run<M> = Box<dyn for<'a> Fn(&'a Stage<M>) -> BoxFuture<'a, Verdict> + Send + Sync>;

impl<M: Model> Check<M> {
    pub(super) fn new(
        about: About,
        when: fn(&Declared) -> bool,
        run: impl for<'a> Fn(&'a Stage<M>) -> BoxFuture<'a, Verdict> + Send + Sync + 'static,
    ) -> Self {
        Self {
            about,
            when,
            run: Box::new(run),
        }
    }
}

/// A list of checks: name, level, invariant, incident, when, what.
macro_rules! checks {
    ($($name:literal $(($faults:ident))? $level:ident $invariant:ident $incident:literal $when:ident => $run:path;)+) => {
        vec![$($crate::conformance::check::Check::new(
            $crate::conformance::check::About {
                name: $name,
                faults: false $(|| $crate::conformance::check::$faults)?,
                level: $crate::conformance::check::Level::$level,
                invariant: $crate::conformance::check::Invariant::$invariant,
                incident: $incident,
            },
            $crate::conformance::check::Declared::$when,
            |stage| Box::pin($run(stage)),
        )),+]
    };
}
pub(super) use checks;

/// Marks a check that makes something go wrong.
#[allow(non_upper_case_globals, reason = "a word of the list of checks")]
pub(super) const faulty: bool = true;
