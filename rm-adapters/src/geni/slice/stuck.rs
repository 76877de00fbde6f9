//! What was deleted and does not go: it is no sliver any more, and it is still
//! there. Whoever asks how the slice stands hears of it.

use rm_core::life::Wanted;
use rm_core::store::By;
use rm_core::{ResourceId, Result};

use super::contract::{About, SliceCall, SliceTold};
use super::doing::Done;
use super::{Opened, owner, resource_of};
use crate::geni::sliver::GeniSliver;

/// How many rows are read at once.
const PAGE: u32 = 100;

impl SliceCall<'_> {
    /// How slivers of a slice stand, and what was deleted of it and is in
    /// quarantine.
    pub(super) async fn standing(&self, about: &About) -> Result<SliceTold> {
        let opened = Opened::read(self.host, self.bench, self.slice).await?;
        let stuck = self.stuck().await?;
        let mut done = Vec::new();
        match about {
            About::Slice(_) => {
                if stuck.is_empty() || opened.has_some().is_ok() {
                    done = self.seen(&opened, about)?;
                }
                done.extend(stuck);
            }
            About::Slivers(urns) => {
                let ours = &self.aggregate.urn;
                let named: Vec<Option<ResourceId>> =
                    urns.iter().map(|urn| resource_of(ours, urn)).collect();
                let is_stuck = |id: &Option<ResourceId>| stuck.iter().any(|s| Some(s.id()) == *id);
                let others = urns.iter().zip(&named).filter(|(_, id)| !is_stuck(id));
                let others: Vec<_> = others.map(|(urn, _)| urn.clone()).collect();
                if !others.is_empty() {
                    done = self.seen(&opened, &About::Slivers(others))?;
                }
                let meant = |done: &Done| named.contains(&Some(done.id()));
                done.extend(stuck.into_iter().filter(meant));
            }
        }
        Ok(self.told(&opened, &done))
    }

    /// What was deleted and is in quarantine, as far as something here translates
    /// it.
    async fn stuck(&self) -> Result<Vec<Done>> {
        let tenant = owner(self.slice).tenant.0;
        let adapters = self.host.adapters().all::<dyn GeniSliver>();
        let (mut stuck, mut after) = (Vec::new(), None);
        loop {
            let by = By::Held(Some(tenant.clone()));
            let page = self
                .host
                .store()
                .resources(&by, after.as_ref(), PAGE)
                .await?;
            for row in page.items {
                let record = row.record;
                if record.wanted != Wanted::Absent || record.part_of.is_some() {
                    continue;
                }
                let adapter = adapters.iter().find(|a| a.kinds().contains(&record.kind));
                stuck.extend(adapter.map(|adapter| Done::gone(adapter, record)));
            }
            after = page.next;
            if after.is_none() {
                return Ok(stuck);
            }
        }
    }
}
