//! GENI's states: what an experimenter sees of what is wanted and seen, and
//! what can be done then. All of it is made from the one table of verbs.

use rm_core::life::{State, Wanted};
use rm_core::record::ResourceRecord;

mod family;

pub(super) use family::extension;
pub use family::{Action, Family, OPSTATE};

/// How far a sliver has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allocation {
    /// It is no sliver any more, whatever is left of it.
    Unallocated,
    /// Its place is kept.
    Allocated,
    /// It is made, or on its way.
    Provisioned,
}

impl Allocation {
    /// Of what is wanted: a sliver that is deleted is gone for its owner at
    /// once.
    pub fn of(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Absent => Self::Unallocated,
            Wanted::Reserved => Self::Allocated,
            Wanted::Stopped | Wanted::Running => Self::Provisioned,
        }
    }

    /// GENI's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unallocated => "geni_unallocated",
            Self::Allocated => "geni_allocated",
            Self::Provisioned => "geni_provisioned",
        }
    }
}

/// What a sliver is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operational {
    /// Nothing, until it is provisioned.
    PendingAllocation,
    /// It does not run, and waits to be started.
    NotReady,
    /// It is on its way to run.
    Configuring,
    /// It is on its way to stand still.
    Stopping,
    /// It runs.
    Ready,
    /// It runs and is being changed.
    ReadyBusy,
    /// It runs, and who can log in to it is being changed.
    UpdatingUsers,
    /// It does not do what is wanted, and will not by itself.
    Failed,
}

impl Operational {
    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::PendingAllocation,
        Self::NotReady,
        Self::Configuring,
        Self::Stopping,
        Self::Ready,
        Self::ReadyBusy,
        Self::UpdatingUsers,
        Self::Failed,
    ];

    /// Of what is wanted and seen. What is being changed of it they do not tell.
    pub fn of(wanted: Wanted, seen: State) -> Self {
        use State as S;
        match (wanted, seen) {
            (Wanted::Absent | Wanted::Reserved, _) => Self::PendingAllocation,
            (_, S::Failed | S::Quarantined) => Self::Failed,
            (Wanted::Stopped, S::Changing | S::Stopping) => Self::Stopping,
            (Wanted::Stopped, _) => Self::NotReady,
            (Wanted::Running, S::Ready) => Self::Ready,
            (Wanted::Running, S::Changing) => Self::ReadyBusy,
            // What cannot be looked at is not known to run.
            (Wanted::Running, _) => Self::Configuring,
        }
    }

    /// GENI's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PendingAllocation => "geni_pending_allocation",
            Self::NotReady => "geni_notready",
            Self::Configuring => "geni_configuring",
            Self::Stopping => "geni_stopping",
            Self::Ready => "geni_ready",
            Self::ReadyBusy => "geni_ready_busy",
            Self::UpdatingUsers => "geni_updating_users",
            Self::Failed => "geni_failed",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::PendingAllocation => "Its place is kept; nothing is made yet.",
            Self::NotReady => "It does not run.",
            Self::Configuring => "It is on its way to run.",
            Self::Stopping => "It is on its way to stand still.",
            Self::Ready => "It runs.",
            Self::ReadyBusy => "It runs and is being changed.",
            Self::UpdatingUsers => "It runs, and who can log in to it is being changed.",
            Self::Failed => "It has failed: delete it.",
        }
    }

    /// Where it goes by itself: when that went well or not, and what it is
    /// then. What its host refuses is taken back, so that it is as before, and
    /// what it takes and cannot do has failed.
    fn waits(self) -> &'static [(&'static str, Self)] {
        match self {
            Self::Configuring => &[
                ("geni_success", Self::Ready),
                ("geni_failure", Self::Failed),
                ("geni_failure", Self::NotReady),
            ],
            Self::ReadyBusy => &[
                ("geni_success", Self::Ready),
                ("geni_failure", Self::Ready),
                ("geni_failure", Self::Failed),
            ],
            Self::Stopping => &[
                ("geni_success", Self::NotReady),
                ("geni_failure", Self::Ready),
                ("geni_failure", Self::Failed),
            ],
            Self::UpdatingUsers => &[
                ("geni_success", Self::Ready),
                ("geni_failure", Self::Ready),
                ("geni_failure", Self::Failed),
            ],
            _ => &[],
        }
    }
}

/// The word of version 2 for a sliver.
pub fn status(wanted: Wanted, seen: State) -> &'static str {
    Standing::of(wanted, seen).status()
}

/// How a sliver stands, on both axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How far it has come.
    pub allocation: Allocation,
    /// What it is doing.
    pub operational: Operational,
    /// Whether the site says how it is.
    pub known: bool,
}

impl Standing {
    /// Of what is wanted and seen, where what is seen is of what is wanted now.
    pub fn of(wanted: Wanted, seen: State) -> Self {
        Self {
            allocation: Allocation::of(wanted),
            operational: Operational::of(wanted, seen),
            known: seen != State::Unknown,
        }
    }

    /// Of a record; `ran` tells whether what was last seen of it was meant to
    /// run. What was seen before something else was wanted is not what that
    /// will be.
    pub fn of_record(record: &ResourceRecord, ran: bool) -> Self {
        let (wanted, seen) = (record.wanted, record.seen);
        let newer = record.seen_generation < record.generation;
        let mut standing = Self::of(wanted, seen);
        standing.operational = match (standing.operational, ran) {
            (Operational::Ready, true) if newer => Operational::ReadyBusy,
            (Operational::Ready, false) if newer => Operational::Configuring,
            // What never ran is not changed while it runs.
            (Operational::ReadyBusy, false) => Operational::Configuring,
            (Operational::NotReady, true) if newer => Operational::Stopping,
            // What was never seen to run is not on its way to a stop.
            (Operational::Stopping, false) => Operational::NotReady,
            (same, _) => same,
        };
        standing
    }

    /// The word of version 2 for it.
    pub fn status(self) -> &'static str {
        match self.operational {
            _ if !self.known => "unknown",
            Operational::Ready | Operational::ReadyBusy | Operational::UpdatingUsers => "ready",
            Operational::Failed => "failed",
            _ => "configuring",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn pairs() -> impl Iterator<Item = (Wanted, State)> {
        Wanted::ALL
            .into_iter()
            .flat_map(|w| State::ALL.map(|s| (w, s)))
    }

    #[test]
    fn whatever_is_wanted_and_seen_is_told_in_words_that_agree() {
        let mut told = BTreeSet::new();
        for (wanted, seen) in pairs() {
            let (allocation, operational) = (Allocation::of(wanted), Operational::of(wanted, seen));
            told.insert(operational);
            assert_eq!(
                operational == Operational::PendingAllocation,
                allocation != Allocation::Provisioned,
                "{wanted:?} {seen}"
            );
            let status = status(wanted, seen);
            assert!(["ready", "configuring", "failed", "unknown"].contains(&status));
            if status == "ready" {
                assert_eq!(wanted, Wanted::Running, "{seen}");
            }
        }
        // Who logs in is no matter of what is wanted and seen.
        told.insert(Operational::UpdatingUsers);
        assert_eq!(told.len(), Operational::ALL.len());
    }

    #[test]
    fn what_was_seen_before_something_else_was_wanted_is_not_told_as_that() {
        use Operational as O;
        let id = rm_core::ResourceId(uuid::Uuid::nil());
        let place = rm_core::record::Place {
            manager: "m".to_owned(),
            site: rm_core::CatalogId(uuid::Uuid::nil()),
            site_name: "s".to_owned(),
            credential: rm_core::CatalogId(uuid::Uuid::nil()),
            spec: rm_core::model::Json::of(&()).unwrap(),
            key: None,
        };
        let kind = rm_core::Kind::from_static("vm.lxc");
        let tenant = rm_core::Tenant("t".to_owned());
        let now = rm_core::env::Timestamp::from_millis(0);
        let mut r = ResourceRecord::new(id, kind, tenant, "n".to_owned(), place, now);
        for (wanted, seen, ran, newer, told) in [
            (Wanted::Running, State::Ready, false, true, O::Configuring),
            (Wanted::Running, State::Ready, true, true, O::ReadyBusy),
            (Wanted::Running, State::Ready, true, false, O::Ready),
            (
                Wanted::Running,
                State::Changing,
                false,
                true,
                O::Configuring,
            ),
            (
                Wanted::Running,
                State::Building,
                false,
                true,
                O::Configuring,
            ),
            (
                Wanted::Running,
                State::Changing,
                false,
                false,
                O::Configuring,
            ),
            (Wanted::Stopped, State::Ready, true, true, O::Stopping),
            (Wanted::Stopped, State::Ready, false, false, O::NotReady),
            (Wanted::Stopped, State::Changing, true, true, O::Stopping),
            (Wanted::Stopped, State::Changing, false, true, O::NotReady),
            (Wanted::Stopped, State::Building, false, true, O::NotReady),
        ] {
            (r.wanted, r.seen) = (wanted, seen);
            r.generation = 2;
            r.seen_generation = if newer { 1 } else { 2 };
            let standing = Standing::of_record(&r, ran);
            assert_eq!(
                standing.operational, told,
                "{wanted:?} {seen} {ran} {newer}"
            );
        }
    }

    #[test]
    fn what_is_deleted_is_unallocated_while_it_is_still_released() {
        for seen in [State::Ready, State::Releasing, State::Quarantined] {
            assert_eq!(Allocation::of(Wanted::Absent).as_str(), "geni_unallocated");
            let operational = Operational::of(Wanted::Absent, seen);
            assert_eq!(operational.as_str(), "geni_pending_allocation");
        }
    }
}
