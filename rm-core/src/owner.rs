//! Whose a resource is, as far as the real thing can tell it when the store is
//! lost.

use serde::{Deserialize, Serialize};

use crate::caller::Tenant;
use crate::env::Timestamp;
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
}

impl Owner {
    /// As the record says now.
    pub(crate) fn of(r: &ResourceRecord) -> Self {
        Self {
            tenant: r.tenant.clone(),
            name: r.name.clone(),
            holds: r.holds.clone(),
            grants: r.grants.clone(),
        }
    }

    /// When the last of its leases ends; nothing where one has no end.
    pub fn until(&self) -> Option<Timestamp> {
        let ends: Option<Vec<Timestamp>> = self.holds.iter().map(|hold| hold.until).collect();
        ends?.into_iter().max()
    }
}
