//! Quotas: counters that are charged in the same commit as what they are
//! charged for.

use std::fmt;

use crate::caller::Caller;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Core;
use crate::manager::is_room;
use crate::record::ResourceRecord;
use crate::store::{Batch, Count};

/// What a tenant's quota is charged with.
pub(crate) fn quota_counts(core: &Core, who: &Caller, resources: i64, nodes: i64) -> [Count; 2] {
    let quota = core.policy.quota(&who.tenant);
    counts(&who.tenant.0, resources, nodes, quota.clusters, quota.nodes)
}

/// Refuses what the caller's quota does not allow as things stand, with what the
/// batch is charged with already: for who would ask the world before it commits.
/// The commit decides, for others are charged meanwhile.
///
/// # Errors
///
/// [`ErrorKind::Quota`], and where the store cannot be asked.
pub(crate) async fn allows(
    core: &Core,
    who: &Caller,
    (resources, nodes): (u64, u64),
    batch: &Batch,
) -> Result<()> {
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    for count in quota_counts(core, who, signed(resources), signed(nodes)) {
        let Some(at_most) = count.at_most else {
            continue;
        };
        let charged = batch.counts.iter().filter(|c| c.counter == count.counter);
        let by = charged.map(|c| c.by).fold(count.by, i64::saturating_add);
        let value = core.store.counter(&count.counter).await?;
        if by > 0 && value.saturating_add_signed(by) > at_most {
            return Err(over_quota(&count.counter, value, at_most));
        }
    }
    Ok(())
}

/// What is given back, or moved without a limit.
pub(crate) fn counts(
    tenant: &str,
    resources: i64,
    nodes: i64,
    most_resources: Option<u64>,
    most_nodes: Option<u64>,
) -> [Count; 2] {
    [
        Count {
            counter: format!("quota/{tenant}/clusters"),
            by: resources,
            at_most: most_resources,
        },
        Count {
            counter: format!("quota/{tenant}/nodes"),
            by: nodes,
            at_most: most_nodes,
        },
    ]
}

/// Charges a resource's owner with so many nodes instead of what is charged
/// now; a limit is checked where it grows.
pub(crate) fn recharge(r: &mut ResourceRecord, nodes: u64, at_most: Option<u64>) -> Count {
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let by = signed(nodes) - signed(std::mem::replace(&mut r.nodes, nodes));
    Count {
        counter: format!("quota/{}/nodes", r.tenant),
        by,
        at_most,
    }
}

/// By how much a quota does not do, for programs: the source of the error that a
/// caller gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverQuota {
    /// How many there may be.
    pub limit: u64,
    /// How many there are.
    pub used: u64,
}

impl fmt::Display for OverQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} are in use", self.used, self.limit)
    }
}

impl std::error::Error for OverQuota {}

/// A limit that was reached, as the caller is told.
pub(crate) fn over_quota(counter: &str, value: u64, at_most: u64) -> Error {
    if is_room(counter) {
        return Error::new(
            ErrorKind::NoCapacity,
            "others were given the room that was left there at the same moment",
        )
        .advice("ask again: what is left is told then");
    }
    // What is counted as a cluster may be a node that is none's.
    let what = match counter.rsplit('/').next().unwrap_or(counter) {
        "clusters" => "resources",
        what => what,
    };
    Error::new(
        ErrorKind::Quota,
        format!("the quota of {at_most} {what} does not allow this: {value} are in use"),
    )
    .code("quota-exceeded")
    .because(OverQuota {
        limit: at_most,
        used: value,
    })
    .advice(format!(
        "delete {what} that are not needed, ask for fewer, or ask an operator for more"
    ))
}
