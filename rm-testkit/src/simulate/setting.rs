//! The world that schedules and trials have in common: everything takes a
//! fraction of the usual time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rm_core::policy::{Policy, Quota};
use rm_core::record::Document;

use crate::cloud::SimConfig;
use crate::scene::Scene;

/// What a tenant may have.
pub(super) const QUOTA: Quota = Quota {
    clusters: Some(4),
    nodes: Some(10),
    lease_seconds: None,
};

/// How late lists are where they lag, and are declared to be.
const LAG: Duration = Duration::from_secs(2);
const VISIBILITY: Duration = Duration::from_secs(6);

/// A policy by which everything takes a fraction of the usual time.
pub(super) fn tuned(p: &mut Policy) {
    p.quota = QUOTA;
    p.lease = Duration::from_secs(10);
    p.sweep = Duration::from_secs(10);
    p.destroy_tries = 5;
}

/// Lists are late, and declared to be.
pub(super) fn lagging(c: &mut SimConfig, lags: bool) {
    if lags {
        c.visibility_ms = u64::try_from(VISIBILITY.as_millis()).unwrap_or(0);
    }
}

/// What the sites say of themselves.
pub(super) fn declare(scene: &Scene, sites: &[&str], lags: bool) {
    for site in sites.iter().filter(|_| lags) {
        scene.cloud.lag(site, LAG, false);
    }
    scene.cloud.declare(|c| {
        c.call_timeout = Duration::from_secs(4);
        // More than any effect takes, for clocks are not equal.
        c.late = Duration::from_secs(12);
        c.patience = Duration::from_secs(60);
    });
}

/// The catalog of such sites. Each thread loads it once: to count who shares it
/// with another one would cost more than all reads of it.
pub(super) fn catalog(sites: &[&str]) -> rm_core::Result<Vec<Arc<Document>>> {
    thread_local! {
        static LOADED: RefCell<BTreeMap<usize, Vec<Arc<Document>>>> = RefCell::default();
    }
    if let Some(loaded) = LOADED.with_borrow(|loaded| loaded.get(&sites.len()).cloned()) {
        return Ok(loaded);
    }
    let scene = Scene::builder(0).sites(sites).build()?;
    let loaded = scene.run(async |s| s.catalog().await)?;
    LOADED.with_borrow_mut(|all| all.insert(sites.len(), loaded.clone()));
    Ok(loaded)
}
