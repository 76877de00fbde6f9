//! What can be asked of slivers, by families of them, and how an advertisement
//! tells that.

use rm_core::life::{State, Verb, Wanted};

use super::{Allocation, Operational};
use crate::geni::Urn;
use crate::geni::xml::{Element, Name};

/// The namespace of the extension that tells operational states.
pub const OPSTATE: &str = "http://www.geni.net/resources/rspec/ext/opstate/1";

/// What an experimenter can ask of a sliver that is provisioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Run.
    Start,
    /// Stand still.
    Stop,
    /// Stand still and run again.
    Restart,
    /// Let in these users with these keys, and nobody else.
    UpdateUsers,
    /// Leave who logs in as it was before they were to be changed.
    KeepUsers,
    /// Be of another size: a word of this aggregate's own.
    Resize,
}

impl Action {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::Start,
        Self::Stop,
        Self::Restart,
        Self::UpdateUsers,
        Self::KeepUsers,
        Self::Resize,
    ];

    /// The action of this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str() == word)
    }

    /// GENI's word, or ours.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "geni_start",
            Self::Stop => "geni_stop",
            Self::Restart => "geni_restart",
            Self::UpdateUsers => "geni_update_users",
            Self::KeepUsers => "geni_updating_users_cancel",
            Self::Resize => "cluster_resize",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Start => "Boot it.",
            Self::Stop => "Shut it down.",
            Self::Restart => "Shut it down and boot it again.",
            Self::UpdateUsers => "Let in the users of the option geni_users, and nobody else.",
            Self::KeepUsers => "Leave who logs in as it was before that was to be changed.",
            Self::Resize => "Give it as many slaves as the option cluster_slaves says.",
        }
    }

    /// Whether it can be asked now of what can be stopped and started.
    fn is_legal(self, wanted: Wanted, seen: State) -> bool {
        let verb = match self {
            Self::Start => Verb::Start,
            Self::Stop => Verb::Stop,
            Self::Restart | Self::UpdateUsers | Self::KeepUsers | Self::Resize => Verb::Change,
        };
        let fits = match self {
            Self::Start | Self::Stop => true,
            Self::Restart | Self::KeepUsers | Self::Resize => wanted == Wanted::Running,
            Self::UpdateUsers => wanted == Wanted::Running && seen == State::Ready,
        };
        Allocation::of(wanted) == Allocation::Provisioned
            && fits
            && verb.check(wanted, seen).is_ok()
    }
}

/// What slivers of some sort can be, and what can be asked of them. The
/// advertisement tells just that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    wanted: &'static [Wanted],
    actions: &'static [Action],
}

impl Family {
    /// Nodes.
    pub const NODES: Self = Self {
        wanted: &Wanted::ALL,
        actions: &[Action::Start, Action::Stop, Action::Restart],
    };

    /// Nodes on hosts that can change who logs in to what runs.
    pub const NODES_WITH_USERS: Self = Self {
        wanted: &Wanted::ALL,
        actions: &[
            Action::Start,
            Action::Stop,
            Action::Restart,
            Action::UpdateUsers,
            Action::KeepUsers,
        ],
    };

    /// Clusters: they run as soon as they are made, and do not stand still.
    pub const CLUSTERS: Self = Self {
        wanted: &[Wanted::Absent, Wanted::Reserved, Wanted::Running],
        actions: &[Action::Start, Action::Resize],
    };

    /// What can be asked of them at all.
    pub fn actions(self) -> &'static [Action] {
        self.actions
    }

    /// Whether that can be asked of them at all.
    pub fn has(self, action: Action) -> bool {
        self.actions.contains(&action)
    }

    /// Whether it can be asked for now. To start what runs as soon as it is made
    /// changes nothing, so that a slice can be started as a whole.
    pub fn is_legal(self, action: Action, wanted: Wanted, seen: State) -> bool {
        let made = Allocation::of(wanted) == Allocation::Provisioned;
        match action {
            _ if !self.has(action) => false,
            Action::Start if !self.stands_still() => {
                made && !matches!(seen, State::Failed | State::Quarantined)
            }
            _ => action.is_legal(wanted, seen),
        }
    }

    fn stands_still(self) -> bool {
        self.wanted.contains(&Wanted::Stopped)
    }

    /// How they are when they have just been provisioned.
    fn begins(self) -> Operational {
        match self.stands_still() {
            true => Operational::NotReady,
            false => Operational::Configuring,
        }
    }

    /// What one may be wanted and seen to be that is told to be in this state.
    fn pairs(self, state: Operational) -> impl Iterator<Item = (Wanted, State)> {
        self.wanted
            .iter()
            .flat_map(|w| State::ALL.map(|s| (*w, s)))
            .filter(move |(w, s)| Operational::of(*w, *s) == state)
    }

    /// Whether one can be in this state.
    fn knows(self, state: Operational) -> bool {
        let updating = state == Operational::UpdatingUsers && self.has(Action::UpdateUsers);
        updating || self.pairs(state).next().is_some()
    }

    /// Whether it can be asked for whenever a sliver is in this state. To be updated
    /// is nothing that is told by what is wanted and seen alone: what is done with it
    /// then is what ends it.
    fn is_always_legal(self, action: Action, state: Operational) -> bool {
        if action == Action::KeepUsers || state == Operational::UpdatingUsers {
            return action == Action::KeepUsers && state == Operational::UpdatingUsers;
        }
        let mut pairs = self.pairs(state).peekable();
        pairs.peek().is_some() && pairs.all(|(w, s)| self.is_legal(action, w, s))
    }

    /// The state that follows at once.
    fn next(self, action: Action, state: Operational) -> Operational {
        match action {
            Action::Start if !self.stands_still() => state,
            Action::Start => Operational::Configuring,
            Action::Stop => Operational::Stopping,
            Action::Restart | Action::Resize => Operational::ReadyBusy,
            Action::UpdateUsers => Operational::UpdatingUsers,
            Action::KeepUsers => Operational::ReadyBusy,
        }
    }
}

/// What an advertisement says of the states of these types of slivers, which are
/// of one family.
pub(in crate::geni) fn extension<'a>(
    aggregate: &Urn,
    types: impl IntoIterator<Item = &'a str>,
    family: Family,
) -> Element {
    let new = |local: &str| Element::new(Name::new(OPSTATE, "opstate", local));
    let mut told = new("rspec_opstate")
        .with("aggregate_manager_id", aggregate.as_str())
        .with("start", family.begins().as_str());
    for name in types {
        told = told.holding(new("sliver_type").with("name", name));
    }
    for state in Operational::ALL.into_iter().filter(|s| family.knows(*s)) {
        let mut element = new("state").with("name", state.as_str());
        for action in family.actions() {
            if family.is_always_legal(*action, state) {
                let description = new("description").saying(action.meaning());
                element = element.holding(
                    new("action")
                        .with("name", action.as_str())
                        .with("next", family.next(*action, state).as_str())
                        .holding(description),
                );
            }
        }
        for (when, next) in state.waits().iter().filter(|(_, next)| family.knows(*next)) {
            element = element.holding(new("wait").with("type", when).with("next", next.as_str()));
        }
        told = told.holding(element.holding(new("description").saying(state.meaning())));
    }
    told
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
    fn no_action_is_legal_before_a_sliver_is_provisioned() {
        let families = [Family::NODES, Family::NODES_WITH_USERS, Family::CLUSTERS];
        let early = |w: &Wanted| Allocation::of(*w) != Allocation::Provisioned;
        for (wanted, seen) in pairs().filter(|(wanted, _)| early(wanted)) {
            for action in Action::ALL {
                let legal = |family: &Family| family.is_legal(action, wanted, seen);
                assert!(!families.iter().any(legal), "{action:?} {wanted:?} {seen}");
            }
        }
        let nodes = Family::NODES;
        assert!(nodes.is_legal(Action::Start, Wanted::Stopped, State::Ready));
        assert!(!nodes.is_legal(Action::Start, Wanted::Running, State::Ready));
        assert!(nodes.is_legal(Action::Stop, Wanted::Running, State::Ready));
        assert!(!nodes.is_legal(Action::Restart, Wanted::Stopped, State::Ready));
        assert_eq!(Action::named("geni_bogus"), None);
    }

    #[test]
    fn a_family_takes_the_actions_that_it_has_and_no_others() {
        let runs = (Wanted::Running, State::Ready);
        let legal = |family: Family, action| family.is_legal(action, runs.0, runs.1);
        for action in [Action::Stop, Action::Restart, Action::UpdateUsers] {
            assert!(!legal(Family::CLUSTERS, action), "{action:?}");
        }
        assert!(legal(Family::CLUSTERS, Action::Resize));
        assert!(legal(Family::CLUSTERS, Action::Start));
        assert!(!Family::CLUSTERS.is_legal(Action::Start, Wanted::Running, State::Failed));
        assert!(!legal(Family::NODES, Action::UpdateUsers));
        assert!(!legal(Family::NODES, Action::Resize));
        assert!(legal(Family::NODES_WITH_USERS, Action::UpdateUsers));
        let busy = State::Changing;
        let users = Action::UpdateUsers;
        assert!(!Family::NODES_WITH_USERS.is_legal(users, Wanted::Running, busy));
    }

    #[test]
    fn clusters_are_told_as_what_runs_as_soon_as_it_is_made() {
        let urn = Urn::new("example.org", "authority", "am");
        let told = extension(&urn, ["cluster"], Family::CLUSTERS);
        assert_eq!(told.attribute("start"), Some("geni_configuring"));
        let state = |name: &str| {
            let mut states = told.elements().filter(|e| &*e.name.local == "state");
            states.find(|state| state.attribute("name") == Some(name))
        };
        assert_eq!(state("geni_notready"), None);
        assert_eq!(state("geni_updating_users"), None);
        let ready = state("geni_ready").unwrap();
        let actions: Vec<_> = ready
            .elements()
            .filter(|e| &*e.name.local == "action")
            .map(|e| (e.attribute("name"), e.attribute("next")))
            .collect();
        let start = (Some("geni_start"), Some("geni_ready"));
        let resize = (Some("cluster_resize"), Some("geni_ready_busy"));
        assert_eq!(actions, [start, resize]);
        // Another size that its site refuses is taken back; a cluster never stands
        // still, so that none becomes what nobody tells of.
        let fails = |of: &str| -> Vec<String> {
            let waits = state(of).unwrap().elements();
            waits
                .filter(|e| e.attribute("type") == Some("geni_failure"))
                .map(|e| e.attribute("next").unwrap().to_owned())
                .collect()
        };
        assert_eq!(fails("geni_ready_busy"), ["geni_ready", "geni_failed"]);
        assert_eq!(fails("geni_configuring"), ["geni_failed"]);
    }

    #[test]
    fn what_its_host_takes_and_cannot_do_has_failed_also_where_it_is_of_users() {
        let urn = Urn::new("example.org", "authority", "am");
        let told = extension(&urn, ["lxc"], Family::NODES_WITH_USERS);
        let mut states = told.elements().filter(|e| &*e.name.local == "state");
        let updating = states.find(|s| s.attribute("name") == Some("geni_updating_users"));
        let waits: BTreeSet<_> = updating
            .unwrap()
            .elements()
            .filter(|e| &*e.name.local == "wait")
            .map(|e| (e.attribute("type"), e.attribute("next")))
            .collect();
        let to = |when, next| (Some(when), Some(next));
        let all = [
            to("geni_success", "geni_ready"),
            to("geni_failure", "geni_ready"),
            to("geni_failure", "geni_failed"),
        ];
        assert_eq!(waits, BTreeSet::from(all));
    }

    #[test]
    fn what_is_advertised_can_be_done_and_leads_to_states_that_are_told() {
        let urn = Urn::new("example.org", "authority", "am");
        let told = extension(&urn, ["lxc", "xen"], Family::NODES_WITH_USERS);
        let states: Vec<&Element> = told
            .elements()
            .filter(|e| &*e.name.local == "state")
            .collect();
        let names: BTreeSet<&str> = states.iter().filter_map(|s| s.attribute("name")).collect();
        assert_eq!(names.len(), Operational::ALL.len());
        assert!(told.attribute("start").is_some_and(|s| names.contains(s)));
        let mut actions = BTreeSet::new();
        for state in &states {
            for step in state.elements().filter(|e| e.attribute("next").is_some()) {
                assert!(step.attribute("next").is_some_and(|n| names.contains(n)));
                if &*step.name.local == "action" {
                    actions.insert((state.attribute("name"), step.attribute("name")));
                }
            }
        }
        for wanted in [
            ("geni_notready", "geni_start"),
            ("geni_ready", "geni_stop"),
            ("geni_ready", "geni_restart"),
            ("geni_ready", "geni_update_users"),
            ("geni_updating_users", "geni_updating_users_cancel"),
        ] {
            assert!(
                actions.contains(&(Some(wanted.0), Some(wanted.1))),
                "{actions:?}"
            );
        }
        assert!(
            !actions
                .iter()
                .any(|(state, _)| *state == Some("geni_pending_allocation"))
        );
    }
}
