//! One driver a host, shared by all calls, and what must happen one after the
//! other there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rm_core::backend::Cx;
use rm_core::manager;
use rm_core::model::NodeInterface;
use rm_core::{CatalogId, Result};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::config::{Config, SiteConfig};
use crate::driver::{self, Driver};
use crate::failure::failure;
use crate::turns::Turns;

/// Opens the driver of a site, without asking the host anything.
pub type Open = fn(&Cx<'_>, &Config) -> Result<Arc<dyn Driver>>;

/// A credential has another driver after its secret was rotated.
type Key = (CatalogId, CatalogId, u32);

/// A host that nobody has asked for anything for so long is let go, with its
/// connection: its site or credential may be gone. While there is a node on it,
/// it is looked at more often.
const IDLE: Duration = Duration::from_secs(3600);

/// For so long a host has as much in all as it said.
const AGE: Duration = Duration::from_secs(60);

/// Hosts, and when each was last asked for something.
type Known<T> = BTreeMap<Key, (Arc<T>, Instant)>;

/// Lets go what is idle.
fn leave<T>(known: &mut Known<T>, now: Instant) {
    known.retain(|_, (host, asked)| {
        now.duration_since(*asked) < IDLE || Arc::strong_count(host) > 1
    });
}

/// The hosts that were asked for something.
pub(crate) struct Hosts {
    config: Config,
    open: Open,
    known: Mutex<Known<Host>>,
    /// Of each site, by whatever credential it is reached: a domain is one thing.
    turns: Mutex<BTreeMap<CatalogId, Weak<Turns>>>,
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosts").finish_non_exhaustive()
    }
}

impl Hosts {
    pub(crate) fn new(config: Config, open: Open) -> Self {
        Self {
            config,
            open,
            known: Mutex::default(),
            turns: Mutex::default(),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The turns of a site's domains.
    fn turns(&self, site: CatalogId) -> Arc<Turns> {
        let mut all = lock(&self.turns);
        all.retain(|_, turns| turns.strong_count() > 0);
        if let Some(turns) = all.get(&site).and_then(Weak::upgrade) {
            return turns;
        }
        let turns = Arc::default();
        all.insert(site, Arc::downgrade(&turns));
        turns
    }

    /// The host of a call.
    pub(crate) fn of(&self, cx: &Cx<'_>) -> Result<Arc<Host>> {
        let key = (cx.site.id, cx.credential.id, cx.credential.revision);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some((host, asked)) = known.get_mut(&key) {
            *asked = now;
            let host = Arc::clone(host);
            leave(&mut known, now);
            return Ok(host);
        }
        let site = self.config.sites.get(&cx.site.name).cloned();
        let host = Arc::new(Host {
            id: cx.site.id,
            name: cx.site.name.clone(),
            driver: (self.open)(cx, &self.config)?,
            site: site.unwrap_or_default(),
            choosing: Turn::default(),
            promised: Mutex::default(),
            has: Mutex::default(),
            seen: AtomicBool::new(false),
            turns: self.turns(cx.site.id),
        });
        known.retain(|(site, credential, _), _| (*site, *credential) != (key.0, key.1));
        known.insert(key, (Arc::clone(&host), now));
        leave(&mut known, now);
        Ok(host)
    }
}

/// One host.
#[derive(Debug)]
pub(crate) struct Host {
    /// The site's id.
    pub(crate) id: CatalogId,
    /// The site's name.
    pub(crate) name: String,
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) site: SiteConfig,
    /// Held while addresses are chosen.
    pub(crate) choosing: Turn<()>,
    /// What was chosen for whom, as long as the host may not show it yet.
    promised: Mutex<BTreeMap<String, Promised>>,
    /// What it last said that it has.
    has: Mutex<Option<(driver::Host, Instant)>>,
    /// Whether what is known to be there was looked for.
    seen: AtomicBool,
    turns: Arc<Turns>,
}

/// What was chosen for somebody.
#[derive(Debug)]
struct Promised {
    nics: Vec<NodeInterface>,
    /// Until then, where nobody holds the promise any more.
    until: Option<Instant>,
}

/// Interfaces that nobody else is given until this is dropped.
#[derive(Debug)]
pub(crate) struct Promise<'a> {
    host: &'a Host,
    name: String,
    outlasted: Option<Duration>,
}

impl Promise<'_> {
    /// Nobody else is given them for so long after this is dropped, either: the
    /// host may still come to show who has them.
    pub(crate) fn outlast(&mut self, time: Duration) {
        self.outlasted = Some(time);
    }
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        let mut promised = lock(&self.host.promised);
        match self.outlasted {
            Some(time) => {
                if let Some(of) = promised.get_mut(&self.name) {
                    of.until = Some(Instant::now() + time);
                }
            }
            None => {
                promised.remove(&self.name);
            }
        }
    }
}

/// Locked for a look only.
fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Host {
    /// One of which nobody says anything.
    #[cfg(test)]
    pub(crate) fn of(driver: Arc<dyn Driver>) -> Self {
        #[allow(clippy::unwrap_used, reason = "a test's own text")]
        let id = "01a20300-2ed2-72a4-96f2-24d9f74b2bdd".parse().unwrap();
        Self {
            id,
            name: "lab".to_owned(),
            driver,
            site: SiteConfig::default(),
            choosing: Turn::default(),
            promised: Mutex::default(),
            has: Mutex::default(),
            seen: AtomicBool::new(false),
            turns: Arc::default(),
        }
    }

    /// What it has and what of it is free, as it says now.
    pub(crate) async fn room(&self) -> driver::Result<driver::Host> {
        let has = self.driver.host().await?;
        *lock(&self.has) = Some((has, Instant::now()));
        Ok(has)
    }

    /// What it has in all, as it said a minute ago at most: nobody asks it for
    /// that with each node. What is free in the answer may be so no more.
    pub(crate) async fn in_all(&self) -> driver::Result<driver::Host> {
        let known = *lock(&self.has);
        match known.filter(|(_, asked)| asked.elapsed() < AGE) {
            Some((has, _)) => Ok(has),
            None => self.room().await,
        }
    }

    /// Looks once for something that is known to be there, before anything new is:
    /// where what belongs there is away, a host must not come to look as if it
    /// were gone.
    pub(crate) async fn be_seen(&self, cx: &Cx<'_>) -> Result<()> {
        if self.seen.load(Ordering::Relaxed) {
            return Ok(());
        }
        if let Some(one) = manager::there(cx).await? {
            let looked = self.driver.these(&[one.0]).await;
            looked.map_err(|e| failure(&self.name, "look at nodes", e))?;
        }
        self.seen.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// What is promised to others. Who asks for this first and for what the host
    /// shows then overlooks nothing: what is not promised any more is shown.
    pub(crate) fn promised(&self, but: &str) -> Vec<NodeInterface> {
        let mut promised = lock(&self.promised);
        let now = Instant::now();
        promised.retain(|_, of| of.until.is_none_or(|until| now < until));
        let others = promised.iter().filter(|(name, _)| *name != but);
        others.flat_map(|(_, of)| of.nics.iter().cloned()).collect()
    }

    /// Promises these to the node of this name.
    pub(crate) fn promise(&self, name: &str, nics: &[NodeInterface]) -> Promise<'_> {
        let promised = Promised {
            nics: nics.to_vec(),
            until: None,
        };
        lock(&self.promised).insert(name.to_owned(), promised);
        Promise {
            host: self,
            name: name.to_owned(),
            outlasted: None,
        }
    }

    /// The turn of a domain, where nothing else is done with it.
    pub(crate) fn turn_now(&self, name: &str) -> Option<OwnedMutexGuard<()>> {
        self.turns.now_of(name)
    }

    /// Waits until nothing else is done with this domain.
    pub(crate) async fn turn(&self, name: &str) -> OwnedMutexGuard<()> {
        self.turns.of(name).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_reaches_a_host_by_another_credential_waits_for_the_same_turns() {
        let hosts = Hosts::new(Config::default(), |_, _| Err(rm_core::Error::invalid("no")));
        let site: CatalogId = "01a20300-2ed2-72a4-96f2-24d9f74b2bdd".parse().unwrap();
        let (one, other) = (hosts.turns(site), hosts.turns(site));
        let turn = one.of("n").await;
        assert!(other.now_of("n").is_none());
        drop(turn);
        assert!(other.now_of("n").is_some());
    }

    #[test]
    fn a_host_that_nobody_asks_any_more_is_let_go() {
        let site: CatalogId = "01a20300-2ed2-72a4-96f2-24d9f74b2bdd".parse().unwrap();
        let begun = Instant::now();
        let mut known: Known<&str> = BTreeMap::new();
        for (revision, name) in ["idle", "asked", "working"].into_iter().enumerate() {
            let key = (site, site, u32::try_from(revision).unwrap());
            known.insert(key, (Arc::new(name), begun));
        }
        let later = begun + IDLE;
        let working = known
            .get(&(site, site, 2))
            .map(|(host, _)| Arc::clone(host));
        if let Some((_, asked)) = known.get_mut(&(site, site, 1)) {
            *asked = later;
        }
        leave(&mut known, later);
        let left: Vec<&str> = known.values().map(|(host, _)| **host).collect();
        assert_eq!(left, ["asked", "working"]);
        drop(working);
        leave(&mut known, later);
        assert_eq!(known.len(), 1);
    }
}
