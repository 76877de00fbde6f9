//! Events: every transition, in commit order.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::caller::Tenant;
use crate::env::Timestamp;
use crate::id::ResourceId;

/// The number of a commit; grows in commit order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Revision(pub u64);

/// What happened, before the store has numbered it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewEvent {
    /// When.
    pub at: Timestamp,
    /// What, as `noun.verb`: `cluster.building`, `catalog.site.added`.
    pub what: String,
    /// To whose resource; absent for the catalog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Tenant>,
    /// To which resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceId>,
    /// More, for people and programs.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

/// What happened. `seq` grows by one in commit order and is the cursor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The cursor.
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: NewEvent,
}
