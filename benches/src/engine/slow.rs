//! A site at which everything takes its time, and that remembers nothing: what
//! waits for it is all there is in memory.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use rm_core::backend::{
    Absence, Backend, Capability, CreateKey, Cx, Look, Mark, Offer, Phase, Seen, Target,
};
use rm_core::catalog::Site;
use rm_core::model::{Cluster, ClusterSpec};
use rm_core::store::Page;
use rm_core::{RemoteId, Result};

/// The type of its API.
pub(super) const API: &str = "slow";

#[derive(Debug, Default)]
pub(super) struct Slow {
    creates: AtomicU32,
}

impl Slow {
    /// How many things it was asked for.
    pub(super) fn creates(&self) -> u32 {
        self.creates.load(Ordering::Relaxed)
    }
}

fn seen(target: &Target) -> Seen<Cluster> {
    let name = target.mark.name();
    Seen {
        id: RemoteId(name.clone()),
        name,
        mark: Some(target.mark.clone()),
        phase: Phase::Building,
        reason: String::new(),
        stamp: None,
        view: None,
    }
}

#[async_trait]
impl Backend<Cluster> for Slow {
    fn capability(&self, _: &Site) -> Capability {
        let mut cap = Capability::new();
        cap.create_key = CreateKey::ClientUuid;
        cap.absence = Absence::NotListed;
        cap.list_by_owner = true;
        cap.concurrency = 64;
        cap.page = 1000;
        cap
    }

    async fn offers(&self, _: &Cx<'_>, _: &ClusterSpec) -> Result<Vec<Offer>> {
        Ok(vec![Offer::room(None)])
    }

    async fn observe(
        &self,
        _: &Cx<'_>,
        look: Look<'_, ClusterSpec>,
    ) -> Result<Page<Seen<Cluster>>> {
        let items = match look {
            Look::These(targets) => targets.iter().map(seen).collect(),
            Look::Closely(target, _) => vec![seen(target)],
            Look::All(_) => Vec::new(),
        };
        Ok(Page { items, next: None })
    }

    async fn create(&self, _: &Cx<'_>, mark: &Mark, _: &ClusterSpec) -> Result<RemoteId> {
        self.creates.fetch_add(1, Ordering::Relaxed);
        Ok(RemoteId(mark.name()))
    }

    async fn change(&self, _: &Cx<'_>, _: &Mark, _: &Seen<Cluster>, _: &ClusterSpec) -> Result<()> {
        Ok(())
    }

    async fn destroy(&self, _: &Cx<'_>, _: &Seen<Cluster>) -> Result<()> {
        Ok(())
    }
}
