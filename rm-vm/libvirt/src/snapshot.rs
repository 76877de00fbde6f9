//! Calls on snapshots, where the driver has them.

use crate::client::Client;
use crate::domain::Domain;
use crate::domains::of;
use crate::error::{Malformed, Result};
use crate::flags::{RevertFlags, SnapshotDeleteFlags, SnapshotFlags};
use crate::procedure::{
    SNAPSHOT_CREATE, SNAPSHOT_DELETE, SNAPSHOT_LIST, SNAPSHOT_LOOKUP, SNAPSHOT_REVERT,
};
use crate::xdr::{Reader, Writer};

/// A snapshot of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Unique among the domain's snapshots.
    pub name: String,
    /// Of which domain it is.
    pub domain: Domain,
}

impl Snapshot {
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            name: from.string()?,
            domain: Domain::decode(from)?,
        })
    }

    fn arguments(&self, flags: u32) -> Writer {
        let mut arguments = Writer::new();
        arguments.string(&self.name);
        self.domain.encode(&mut arguments);
        arguments.u32(flags);
        arguments
    }
}

impl Client {
    /// Make a snapshot, as XML like `<domainsnapshot><name>a</name></domainsnapshot>` says.
    pub async fn create_snapshot(
        &self,
        domain: &Domain,
        xml: &str,
        flags: SnapshotFlags,
    ) -> Result<Snapshot> {
        let mut arguments = of(domain);
        arguments.string(xml).u32(flags.bits());
        self.call(SNAPSHOT_CREATE, arguments, Snapshot::decode)
            .await
    }

    /// All snapshots of a domain.
    pub async fn list_snapshots(&self, domain: &Domain) -> Result<Vec<Snapshot>> {
        let mut arguments = of(domain);
        arguments.u32(1).u32(0);
        self.call(SNAPSHOT_LIST, arguments, |answer| {
            let count = answer.count(4 + Domain::LEAST)?;
            let snapshots: Result<_, _> = (0..count).map(|_| Snapshot::decode(answer)).collect();
            let _the_count_again = answer.u32()?;
            snapshots
        })
        .await
    }

    /// The snapshot of this name; [`Code::NO_DOMAIN_SNAPSHOT`](crate::Code::NO_DOMAIN_SNAPSHOT)
    /// if there is none.
    pub async fn snapshot_by_name(&self, domain: &Domain, name: &str) -> Result<Snapshot> {
        let mut arguments = of(domain);
        arguments.string(name).u32(0);
        self.call(SNAPSHOT_LOOKUP, arguments, Snapshot::decode)
            .await
    }

    /// Bring the domain back to what it was.
    pub async fn revert_to_snapshot(&self, to: &Snapshot, flags: RevertFlags) -> Result<()> {
        self.order(SNAPSHOT_REVERT, to.arguments(flags.bits()))
            .await
    }

    /// Delete a snapshot.
    pub async fn delete_snapshot(
        &self,
        snapshot: &Snapshot,
        flags: SnapshotDeleteFlags,
    ) -> Result<()> {
        self.order(SNAPSHOT_DELETE, snapshot.arguments(flags.bits()))
            .await
    }
}
