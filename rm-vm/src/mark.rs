//! What a domain's metadata say: whose it is, what it was made to be, and what
//! it was given.

use rm_core::backend::Mark;
use rm_core::model::{NodeInterface, NodeSpec, NodeUser, Request};
use rm_core::owner::Owner;
use serde::{Deserialize, Serialize};

use crate::driver::Domain;

/// The record that a domain carries with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Whose it is; of generation 0 as long as it was never brought to its spec
    /// and more is to follow than the start.
    pub(crate) mark: Mark,
    /// It was defined to be started, and nobody has written down that it was.
    /// That it ran says as much: this way a create ends with the start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) new: bool,
    /// Not all is there that it is made of: who made it was cut off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) unfinished: bool,
    /// What it was last brought to.
    pub(crate) spec: NodeSpec,
    /// Its interfaces, with what it was given.
    pub(crate) nics: Vec<NodeInterface>,
    /// Whose it is, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<Owner>,
    /// The number of the last request that was carried out.
    #[serde(default)]
    pub(crate) done: u64,
    /// The request that is being carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) begun: Option<Begun>,
    /// Present where a change of users was begun and nobody knows how far it
    /// came: who may be let in beside those of the spec, who may be not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) maybe: Option<Vec<NodeUser>>,
    /// Who was let in before, as long as there are snapshots, which may have
    /// their keys still.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) once: Vec<NodeUser>,
}

/// A request that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// Which.
    pub(crate) request: Request,
    /// In which boot of the domain it was begun; absent where it did not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) boot: Option<String>,
}

impl Record {
    /// What a domain's metadata say, where they are ours. What was to be
    /// started and never was is half-made: of generation 0.
    pub(crate) fn of(domain: &Domain) -> Option<Self> {
        let mut record = Self::read(domain.metadata.as_deref())?;
        if record.new && !domain.ran {
            record.new = false;
            record.mark.generation = 0;
        }
        Some(record)
    }

    /// What metadata say, where they are ours.
    fn read(metadata: Option<&str>) -> Option<Self> {
        serde_json::from_str(metadata?).ok()
    }

    /// The interfaces that metadata say, where they are ours.
    pub(crate) fn nics(metadata: &str) -> Vec<NodeInterface> {
        #[derive(Deserialize)]
        struct Nics {
            nics: Vec<NodeInterface>,
        }
        // All domains of a host are asked for theirs: the rest is passed over.
        serde_json::from_str(metadata).map_or_else(|_| Vec::new(), |of: Nics| of.nics)
    }

    /// What it says of itself as long as it is being made.
    pub(crate) fn unfinished(&self) -> Self {
        let mut record = self.clone();
        (record.unfinished, record.new) = (true, false);
        record.mark.generation = 0;
        record
    }

    /// As metadata.
    pub(crate) fn write(&self) -> rm_core::Result<String> {
        Ok(rm_core::model::Json::of(self)?.as_str().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::driver::{Size, State};

    fn domain(record: &serde_json::Value, state: State, ran: bool) -> Domain {
        Domain {
            name: "rm-1".to_owned(),
            state,
            ran,
            boot: None,
            size: Size {
                vcpus: 1,
                memory_mib: 64,
            },
            metadata: Some(record.to_string()),
        }
    }

    fn record(generation: u64, new: bool) -> serde_json::Value {
        json!({
            "mark": {
                "installation": "lab", "incarnation": 1, "generation": generation,
                "resource": "01a20300-2ed2-72a4-96f2-24d9f74b2bdd",
            },
            "new": new,
            "spec": {"image": {"name": "a", "sha256": "a"}, "vcpus": 1, "memory_mib": 1},
            "nics": [{"bridge": "br0", "mac": "02:00:00:00:00:01", "addresses": ["10.0.0.2/24"]}],
        })
    }

    /// The generation that is seen, and whether it is still to be noted.
    fn seen(record: &serde_json::Value, state: State, ran: bool) -> (u64, bool) {
        let record = Record::of(&domain(record, state, ran)).unwrap();
        (record.mark.generation, record.new)
    }

    #[test]
    fn what_was_to_be_started_and_never_ran_is_half_made() {
        let new = record(3, true);
        assert_eq!(seen(&new, State::Stopped, false), (0, false));
        // Stopped behind our back, before anybody noted that it ran.
        assert_eq!(seen(&new, State::Stopped, true), (3, true));
        for state in [State::Running, State::Suspended, State::Moving] {
            assert_eq!(seen(&new, state, true), (3, true));
        }
        // Once it is noted it is whole whatever its host remembers.
        assert_eq!(seen(&record(3, false), State::Stopped, false), (3, false));
        assert_eq!(seen(&record(0, false), State::Running, true), (0, false));
    }

    #[test]
    fn what_is_not_new_says_nothing_of_it_and_all_tell_their_interfaces() {
        let old = record(3, false);
        let read = Record::of(&domain(&old, State::Running, true)).unwrap();
        assert!(!read.write().unwrap().contains("\"new\""));
        assert_eq!(Record::nics(&old.to_string()), read.nics);
        assert_eq!(Record::nics("{}"), []);
        assert_eq!(Record::nics("not ours"), []);
    }
}
