//! Whose a resource is, as far as the real thing can tell it when the store is
//! lost.

use serde::{Deserialize, Serialize};

use crate::backend::Mark;
use crate::caller::Tenant;
use crate::env::Timestamp;
use crate::model::Json;
use crate::record::{Grant, Hold, ResourceRecord};

/// Whose a resource is, and for how long. A backend that keeps it with the thing
/// ([`Capability::keeps_owner`](crate::backend::Capability::keeps_owner)) gives
/// it back when a lost store is made anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Who is charged with it: a project or slice, by the host's policy.
    pub tenant: Tenant,
    /// What people call it.
    pub name: String,
    /// Who holds it, and until when. Nobody where it is a part of something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// Who else may see and use it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
    /// Its place in what it is a part of, where it is one and that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Box<Part>>,
}

/// The place of a node in its cluster, and what that cluster was: enough to
/// make the cluster's record anew from its nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its role there.
    pub role: String,
    /// Which of its role, from 1.
    pub index: u32,
    /// The cluster.
    pub whole: Whole,
}

/// A cluster made of nodes, as its nodes tell of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whole {
    /// The mark it would bear if it were one thing, with its generation.
    pub mark: Mark,
    /// Whose it is.
    pub owner: Owner,
    /// What was wanted of it, as its model has it. The first nodes alone say so,
    /// the master among them: it may be long, and there may be five hundred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Json>,
    /// A sum of what its implementation says: one that is loaded anew has
    /// another id and may have another revision.
    pub made_by: String,
    /// Since when this is so; of several that differ the newest counts.
    pub as_of: Timestamp,
}

impl Owner {
    /// As the record says now.
    pub(crate) fn of(r: &ResourceRecord) -> Self {
        Self {
            tenant: r.tenant.clone(),
            name: r.name.clone(),
            holds: r.holds.clone(),
            grants: r.grants.clone(),
            part: r.part.clone(),
        }
    }

    /// When the last of its leases ends; nothing where one has no end.
    pub fn until(&self) -> Option<Timestamp> {
        let ends: Option<Vec<Timestamp>> = self.holds.iter().map(|hold| hold.until).collect();
        ends?.into_iter().max()
    }
}
