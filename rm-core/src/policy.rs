//! Policy: what the host's operator decides.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backend::Offer;
use crate::caller::Tenant;
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};

pub use crate::quota::OverQuota;

/// What a tenant may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Clusters and other resources at once; unlimited where absent.
    pub clusters: Option<u64>,
    /// Nodes at once, over all of them; unlimited where absent.
    pub nodes: Option<u64>,
    /// The longest lease in seconds; unlimited where absent.
    pub lease_seconds: Option<u64>,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            clusters: Some(1000),
            nodes: Some(10_000),
            lease_seconds: None,
        }
    }
}

/// What is done about what is not as it was at its site, and not by our doing.
/// A purchase ([`Capability::billing_commit`](crate::backend::Capability)) is
/// never repaired: nobody asked to pay for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Repair {
    /// It is told; what is gone or does not run has failed, and somebody may ask
    /// to try again.
    #[default]
    Never,
    /// What is gone is made again, where it worked before.
    Recreate,
    /// What is gone is made again, what was stopped is started, and what was
    /// changed is changed back, where it worked before. Whoever does so again
    /// and again is not fought: it is done ever later, and after five times no
    /// more until it has worked for a day or somebody asks.
    Restore,
}

/// What the host's operator decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What a tenant may have where nothing else is said.
    pub quota: Quota,
    /// What one tenant may have.
    pub tenants: BTreeMap<String, Quota>,
    /// The lease of a hold for which none was asked; none where absent.
    pub default_lease: Option<Duration>,
    /// How often a settled resource is looked at for drift.
    pub sweep: Duration,
    /// The first look after an effect.
    pub first_look: Duration,
    /// The longest pause between looks at what is under way.
    pub slowest_look: Duration,
    /// How often a destroy that fails is tried before a person must decide.
    pub destroy_tries: u32,
    /// How long one claim lasts.
    pub lease: Duration,
    /// How many resources one engine works on at once for which somebody waits;
    /// half as many settled ones are looked at beside them.
    pub in_hand: u32,
    /// How long events are kept: those of a resource for so long after it is
    /// gone, others for so long after they happened. Four days at the least.
    pub keep_events: Duration,
    /// How many callbacks a tenant may have.
    pub callbacks: u64,
    /// What is done about what is not as it was at its site, and not by our
    /// doing.
    pub repair: Repair,
    /// How often all sites are searched for orphans; never where absent.
    pub orphan_scan: Option<Duration>,
    /// Reclaims what has been an orphan for so long; never where absent.
    pub reclaim_orphans_after: Option<Duration>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            quota: Quota::default(),
            tenants: BTreeMap::new(),
            default_lease: None,
            sweep: Duration::from_secs(60),
            first_look: Duration::from_millis(150),
            slowest_look: Duration::from_secs(5),
            destroy_tries: 12,
            lease: Duration::from_secs(60),
            in_hand: 512,
            keep_events: Duration::from_secs(30 * 24 * 3600),
            callbacks: 20,
            repair: Repair::Never,
            orphan_scan: Some(Duration::from_secs(3600)),
            reclaim_orphans_after: None,
        }
    }
}

impl Policy {
    /// What the tenant may have.
    pub fn quota(&self, tenant: &Tenant) -> Quota {
        self.tenants.get(&tenant.0).copied().unwrap_or(self.quota)
    }

    /// When a hold ends for which this lease was asked.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Quota`] where the tenant's longest lease is shorter.
    pub fn until(
        &self,
        tenant: &Tenant,
        asked: Option<Duration>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>> {
        let longest = self.quota(tenant).lease_seconds.map(Duration::from_secs);
        if let (Some(asked), Some(longest)) = (asked, longest)
            && asked > longest
        {
            return Err(Error::new(
                ErrorKind::Quota,
                format!("a lease of {} s is too long", asked.as_secs()),
            )
            .code("lease-too-long")
            .advice(format!(
                "the longest is {} s; renew it while you need it",
                longest.as_secs()
            )));
        }
        if asked.is_some_and(|d| d.is_zero()) {
            return Err(Error::invalid("a lease of 0 s ends before it begins")
                .advice("leave it out, or say how many seconds"));
        }
        Ok(asked
            .or(self.default_lease)
            .or(longest)
            .map(|d| now.plus(longest.map_or(d, |l| d.min(l)))))
    }
}

/// Ranks offers, best first. The same offers get the same order.
pub trait Placement: std::fmt::Debug + Send + Sync + 'static {
    /// Puts the best first.
    fn rank(&self, offers: &mut Vec<Offer>);
}

/// What is there before what must be made, then the cheapest, then the one
/// with the most room, then by the site's name.
#[derive(Debug, Default, Clone, Copy)]
pub struct CheapestThenRoomiest;

impl Placement for CheapestThenRoomiest {
    fn rank(&self, offers: &mut Vec<Offer>) {
        let site = |o: &Offer| o.place.as_ref().map(|p| p.site_name.clone());
        offers.sort_by(|a, b| {
            b.existing
                .is_some()
                .cmp(&a.existing.is_some())
                .then(a.cost.total_cmp(&b.cost))
                .then(
                    b.nodes_left
                        .unwrap_or(u64::MAX)
                        .cmp(&a.nodes_left.unwrap_or(u64::MAX)),
                )
                .then_with(|| site(a).cmp(&site(b)))
        });
    }
}

#[cfg(test)]
mod tests;
