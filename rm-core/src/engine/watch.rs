//! What sites tell by themselves: a reason to look, and never more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::{StreamExt, stream};

use super::desk::GATHER;
use super::{Account, Done, Engine, account_of};
use crate::backend::Hint;
use crate::env::Timestamp;
use crate::error::{ErrorKind, Result};
use crate::id::ResourceId;
use crate::life::State;
use crate::record::ResourceRecord;
use crate::store::{Batch, By, Due, Expect, Key, Outcome};
use crate::survey;

/// So many are brought to the engine's attention at once, which share a commit
/// of the disk.
const AT_ONCE: usize = 64;

/// Pauses before a site that is not heard any more is listened to again.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);

/// How long a site is heard at most, where it tells nothing, by a secret that
/// is not asked for again.
const ASKED: Duration = Duration::from_secs(60);

/// How long what is told is gathered after a look at all was ordered, before
/// there is another one: it writes to everything that the account has.
const GATHER_ALL: Duration = Duration::from_secs(1);

/// Hints on their way into the records. What is told first is written down at
/// once, and what is told of the same thing soon after with the next: a write
/// each is more than there are looks.
#[derive(Debug, Default)]
struct Gathered {
    /// Told, and not written down.
    told: BTreeSet<Hint>,
    /// Until when nothing more is written down of what was a moment ago.
    pauses: BTreeMap<Hint, Timestamp>,
}

impl Gathered {
    /// How long until something of it is to be written down; nothing where
    /// there is nothing.
    fn wait(&self, now: Timestamp) -> Option<Duration> {
        let pause = |hint: &Hint| {
            let until = self.pauses.get(hint)?;
            Some(until.since(now)).filter(|left| *left <= GATHER_ALL)
        };
        let pauses = self.told.iter().map(|hint| pause(hint).unwrap_or_default());
        pauses.min()
    }

    /// What is to be written down now.
    fn take(&mut self, now: Timestamp) -> Vec<Hint> {
        self.pauses.retain(|_, until| {
            let left = until.since(now);
            // A clock that was set back makes nobody wait.
            !left.is_zero() && left <= GATHER_ALL
        });
        let (later, these): (BTreeSet<Hint>, BTreeSet<Hint>) = std::mem::take(&mut self.told)
            .into_iter()
            .partition(|hint| self.pauses.contains_key(hint));
        self.told = later;
        for hint in &these {
            let pause = match hint {
                Hint::Look(_) => GATHER,
                Hint::LookAtAll => GATHER_ALL,
            };
            self.pauses.insert(*hint, now.plus(pause));
        }
        these.into_iter().collect()
    }
}

impl Engine {
    /// The accounts that have something and whose sites tell of it: until
    /// something of theirs is due, the engine has not met them.
    pub(super) async fn tellers(&self) -> Done {
        let mut found = Vec::new();
        if let Err(e) = self.find_tellers(&mut found).await {
            tracing::warn!(error = %e, "not everybody who tells of something is known yet");
        }
        Done::Found(found)
    }

    async fn find_tellers(&self, found: &mut Vec<Account>) -> Result<()> {
        let core = &*self.core;
        for (site, credentials) in survey::by_site(core).await? {
            for (manager, _) in core.serves.iter().filter(|(_, s)| s.api == site.api) {
                if !core.driver(manager)?.capability(&site).events {
                    continue;
                }
                for credential in &credentials {
                    let by = By::Account(site.id, credential.id);
                    if !core.store.resources(&by, None, 1).await?.items.is_empty() {
                        found.push((manager.clone(), site.id, credential.id));
                    }
                }
            }
        }
        Ok(())
    }

    /// Listens to an account's site as long as there is one.
    pub(super) async fn listen(&self, account: Account) -> Done {
        let env = &self.core.env;
        let mut pause = FIRST;
        loop {
            let begun = env.now();
            match self.hear(&account).await {
                Ok(()) => {}
                Err(e) if !e.is_temporary() && e.kind() == ErrorKind::NotFound => {
                    return Done::Deaf { account };
                }
                Err(e) => {
                    tracing::info!(site = %account.1, error = %e, "a site cannot be heard");
                }
            }
            if env.now().since(begun) > LONGEST {
                pause = FIRST;
            }
            env.sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// Until the site is not heard any more, or no longer by the secret that
    /// the credential has. What cannot be written down ends it, too, for
    /// whatever was told is told again by a look at all.
    async fn hear(&self, account: &Account) -> Result<()> {
        let core = &*self.core;
        let (manager, site, credential) = account;
        let at = survey::open(core, manager, *site, *credential).await?;
        let cx = at.cx(core);
        let call = at.driver.watch(&cx);
        let hints = core.timed("watch", at.cap.call_timeout, call).await?;
        let mut hints = hints.ready_chunks(AT_ONCE);
        let mut gathered = Gathered::default();
        loop {
            let wait = gathered.wait(core.env.now()).unwrap_or(ASKED);
            let heard = match select(hints.next(), core.env.sleep(wait)).await {
                Either::Left((Some(told), _)) => told,
                Either::Left((None, _)) => return Ok(()),
                Either::Right(_) => Vec::new(),
            };
            let is_told = !heard.is_empty();
            gathered.told.extend(heard);
            let these = gathered.take(core.env.now());
            if is_told && these.is_empty() {
                continue;
            }
            // A connection may be open for as long as the far end lives: what
            // is told to a secret that was taken back is not listened to.
            if core.catalog.revision(*credential).await? != at.credential.revision {
                return Ok(());
            }
            if these.contains(&Hint::LookAtAll) {
                self.look_at_all(account).await?;
                continue;
            }
            let of = |hint| match hint {
                Hint::Look(id) => Some(id),
                Hint::LookAtAll => None,
            };
            let these: Vec<ResourceId> = these.into_iter().filter_map(of).collect();
            self.look_again(account, these).await?;
        }
    }

    async fn look_at_all(&self, account: &Account) -> Result<()> {
        let by = By::Account(account.1, account.2);
        let mut after = None;
        loop {
            let page = self.core.store.resources(&by, after.as_ref(), 200).await?;
            let these: Vec<ResourceId> = page.items.iter().map(|row| row.record.id).collect();
            self.look_again(account, these).await?;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn look_again(
        &self,
        account: &Account,
        these: impl IntoIterator<Item = ResourceId>,
    ) -> Result<()> {
        let calls = these.into_iter().map(|id| self.take_hint(account, id));
        let mut calls = stream::iter(calls).buffer_unordered(AT_ONCE);
        while let Some(done) = calls.next().await {
            done?;
        }
        Ok(())
    }

    /// Writes down that there is something to see of this one. A site is heard
    /// of its own things only.
    async fn take_hint(&self, account: &Account, id: ResourceId) -> Result<()> {
        let core = &*self.core;
        // Nobody had begun to look when that was asked.
        let mut is_free = false;
        loop {
            let Some(row) = core.store.resource(id).await? else {
                return Ok(());
            };
            if account_of(&row.record) != *account || !is_worth_a_look(&row.record) {
                return Ok(());
            }
            // Something was told before, and is still to be looked at: who does
            // that sees this, too, where they begin only now. What was given
            // back between the two questions is not told any more.
            if row.record.told > 0 && is_free {
                return Ok(());
            }
            if row.record.told > 0 && !core.store.is_claimed(id).await? {
                is_free = true;
                continue;
            }
            let mut record = (*row.record).clone();
            record.told = record.told.wrapping_add(1).max(1);
            let batch = Batch {
                expect: vec![Expect::Version(Key::Resource(id), row.version)],
                resources: vec![(Arc::new(record), Due::At(core.env.now()))],
                ..Batch::default()
            };
            if let Outcome::Done(_) = core.commit(batch).await? {
                return Ok(());
            }
        }
    }
}

/// Of what is at rest, and of what the site has taken on. While a call of ours
/// is under way its doings are told, and they are looked at when it is over;
/// and what has failed is tried again in its time, whatever it sets off.
fn is_worth_a_look(r: &ResourceRecord) -> bool {
    match &r.attempt {
        Some(attempt) => attempt.accepted,
        None => r.remote.is_some() && (r.seen.is_settled() || r.seen == State::Unknown),
    }
}
