//! What a test does to the cloud behind everybody's back, and what it reads.

use std::collections::BTreeMap;
use std::time::Duration;

use rm_core::backend::{Mark, Phase};
use rm_core::env::Timestamp;
use rm_core::{RemoteId, ResourceId};

use super::fault::{Fault, Rule, SimCall, Verb};
use super::site::Site;
use super::{SimCloud, Thing};

impl SimCloud {
    fn with<T>(&self, site: &str, now: Timestamp, act: impl FnOnce(&mut Site) -> T) -> T {
        let mut state = self.lock();
        let here = state.site(&self.config, site);
        here.advance(now);
        let done = act(here);
        state.tell(site);
        done
    }

    /// Something is done to a thing.
    fn to(&self, site: &str, id: &RemoteId, now: Timestamp, act: impl FnOnce(&mut Thing)) {
        self.with(site, now, |site| {
            if let Some(thing) = site.things.get_mut(id) {
                act(thing);
                site.happens(id, now);
            }
        });
    }

    // -- faults ----------------------------------------------------------------

    /// Makes something go wrong.
    pub fn inject(&self, rule: Rule) {
        self.lock().faults.add(rule);
    }

    /// Makes so many of a thousand calls suffer one of the faults that are
    /// given for them; the seed decides which.
    pub fn chaos(&self, seed: u64, per_mille: u64, faults: Vec<(Verb, Fault)>) {
        self.lock().faults.chaos(seed, per_mille, faults);
    }

    /// Ends all faults that are still to come.
    pub fn calm(&self) {
        self.lock().faults.clear();
    }

    /// From now on only this password is accepted for an account.
    pub fn password(&self, account: &str, word: &str) {
        let mut state = self.lock();
        let account = state.accounts.entry(account.to_owned()).or_default();
        account.password = Some(word.to_owned());
    }

    /// Takes a right away from the credential of an account, or gives it back.
    pub fn forbid(&self, account: &str, verb: Verb, forbidden: bool) {
        let mut state = self.lock();
        let account = state.accounts.entry(account.to_owned()).or_default();
        account.forbidden.retain(|v| *v != verb);
        if forbidden {
            account.forbidden.push(verb);
        }
    }

    /// Takes a site down, or brings it up again.
    pub fn down(&self, site: &str, down: bool) {
        let mut state = self.lock();
        state.site(&self.config, site).down = down;
    }

    /// Gives a site another number of nodes.
    pub fn room(&self, site: &str, nodes: Option<u64>) {
        let mut state = self.lock();
        state.site(&self.config, site).nodes = nodes;
    }

    /// Makes the lists of a site so late, and declares it where `declared`.
    pub fn lag(&self, site: &str, lag: Duration, declared: bool) {
        let mut state = self.lock();
        state.site(&self.config, site).lag = lag;
        if declared {
            state.capability.visibility = lag;
        }
    }

    /// Lets a site write the mark of a thing so much later than the thing.
    pub fn mark_late(&self, site: &str, by: Duration) {
        let mut state = self.lock();
        state.site(&self.config, site).marks = by;
    }

    // -- behind our back ---------------------------------------------------------

    /// Somebody destroys a thing: it is gone at once.
    pub fn vanish(&self, site: &str, id: &RemoteId, now: Timestamp) {
        self.to(site, id, now, |thing| {
            thing.enter(Phase::Gone, now, "");
            thing.ends = None;
        });
    }

    /// Somebody begins to destroy a thing, which takes a while.
    pub fn wither(&self, site: &str, id: &RemoteId, takes: Duration, now: Timestamp) {
        self.to(site, id, now, |thing| {
            thing.enter(Phase::Deleting, now, "");
            thing.ends = Some((now.plus(takes), Phase::Gone));
        });
    }

    /// Somebody changes a thing and does not say so.
    pub fn tamper(&self, site: &str, id: &RemoteId, slaves: u32, now: Timestamp) {
        self.to(site, id, now, |thing| {
            thing.slaves = slaves;
            thing.stamp += 1;
        });
    }

    /// Somebody takes our mark off a thing.
    pub fn unmark(&self, site: &str, id: &RemoteId, now: Timestamp) {
        self.to(site, id, now, |thing| {
            thing.mark = None;
        });
    }

    /// Somebody puts a mark of theirs on a thing.
    pub fn remark(&self, site: &str, id: &RemoteId, mark: Mark, now: Timestamp) {
        self.to(site, id, now, |thing| {
            thing.mark = Some(mark);
        });
    }

    /// A thing breaks.
    pub fn fail(&self, site: &str, id: &RemoteId, reason: &str, now: Timestamp) {
        self.to(site, id, now, |thing| {
            thing.enter(Phase::Failed, now, reason);
            thing.ends = None;
        });
    }

    /// Somebody makes a thing of this name, with this mark or with none.
    pub fn plant(
        &self,
        site: &str,
        account: &str,
        name: &str,
        mark: Option<Mark>,
        now: Timestamp,
    ) -> RemoteId {
        let mut state = self.lock();
        state.named += 1;
        let number = state.named;
        let id = RemoteId(format!("foreign-{number:06}"));
        let site = state.site(&self.config, site);
        site.advance(now);
        site.things.insert(
            id.clone(),
            Thing {
                id: id.clone(),
                name: name.to_owned(),
                account: account.to_owned(),
                mark,
                owner: None,
                phase: Phase::Ready,
                reason: String::new(),
                slaves: 0,
                stamp: 1,
                since: now,
                created: now,
                ends: None,
                before: None,
                outputs: BTreeMap::new(),
                images: Vec::new(),
                number,
            },
        );
        id
    }

    // -- what is there -----------------------------------------------------------

    /// Everything that is at a site, whoever made it, and not gone.
    pub fn things(&self, site: &str, now: Timestamp) -> Vec<Thing> {
        self.with(site, now, |site| {
            site.things
                .values()
                .filter(|t| t.exists())
                .cloned()
                .collect()
        })
    }

    /// Everything of all sites that is not gone, with its site's name.
    pub fn everything(&self, now: Timestamp) -> Vec<(String, Thing)> {
        let mut state = self.lock();
        let mut found = Vec::new();
        for (name, site) in &mut state.sites {
            site.advance(now);
            let here = site.things.values().filter(|t| t.exists());
            found.extend(here.map(|t| (name.clone(), t.clone())));
        }
        found
    }

    /// What bears the mark of a resource and is not gone, at all sites.
    pub fn of(&self, resource: ResourceId, now: Timestamp) -> Vec<Thing> {
        self.everything(now)
            .into_iter()
            .map(|(_, thing)| thing)
            .filter(|t| t.mark.as_ref().is_some_and(|m| m.resource == resource))
            .collect()
    }

    /// Every thing there ever was that bears the mark of a resource.
    pub fn ever_of(&self, resource: ResourceId) -> Vec<Thing> {
        self.lock()
            .sites
            .values()
            .flat_map(|site| site.things.values())
            .filter(|t| t.mark.as_ref().is_some_and(|m| m.resource == resource))
            .cloned()
            .collect()
    }

    /// Everything there ever was, whoever made it, with its site's name.
    pub(crate) fn each_thing(&self, mut see: impl FnMut(&str, &Thing)) {
        let state = self.lock();
        for (name, site) in &state.sites {
            for thing in site.things.values() {
                see(name, thing);
            }
        }
    }

    /// Whether something that was asked is still to take effect.
    pub fn is_something_late(&self, now: Timestamp) -> bool {
        let mut state = self.lock();
        state.sites.values_mut().any(|site| {
            site.advance(now);
            !site.late.is_empty()
        })
    }

    // -- what was asked ------------------------------------------------------------

    /// The calls that were made; the oldest are forgotten after a hundred
    /// thousand.
    pub fn calls(&self) -> Vec<SimCall> {
        self.lock().faults.calls.clone()
    }

    /// Each of them, as they began.
    pub(crate) fn each_call(&self, see: impl FnMut(&SimCall)) {
        self.lock().faults.calls.iter().for_each(see);
    }

    /// How many calls of a kind there were, at all sites.
    pub fn count(&self, verb: Verb) -> u64 {
        let state = self.lock();
        state
            .faults
            .counts
            .iter()
            .filter(|((_, v), _)| *v == verb)
            .map(|(_, n)| n)
            .sum()
    }

    /// How many calls suffered which fault.
    pub fn suffered(&self) -> BTreeMap<&'static str, u64> {
        self.lock().faults.suffered.clone()
    }

    /// How many quick looks were under way at once for one account, at most.
    pub fn most_looks_at_once(&self) -> u64 {
        self.lock().faults.most_looks
    }
}
