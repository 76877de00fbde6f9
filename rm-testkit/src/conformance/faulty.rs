//! A backend around any other that loses, delays, repeats and falsifies.
//!
//! It needs no help of the backend inside: what goes wrong in practice goes
//! wrong between the engine and the six calls, and that is where it stands.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use rm_core::backend::{
    Backend, Capability, Cx, Hints, Look, Mark, Offer, Progress, Recalled, Seen,
};
use rm_core::catalog::{Catalog, Credential, Site};
use rm_core::env::Env;
use rm_core::model::Model;
use rm_core::owner::Owner;
use rm_core::secret::Secret;
use rm_core::store::Page;
use rm_core::{RemoteId, Result};

use crate::cloud::Verb;

mod call;
mod lag;
mod mishap;

use lag::Lag;
pub(super) use mishap::{Mishap, Strike};

/// The backend under test as the engine gets to see it.
pub(super) struct Faulty<M: Model> {
    inner: Arc<dyn Backend<M>>,
    catalog: Arc<Catalog>,
    state: Mutex<State<M>>,
}

/// A request that is still on its way; it answers what was made by it.
pub(super) type Late = BoxFuture<'static, Option<(RemoteId, Mark)>>;

/// What is to go wrong, and what was done.
struct State<M: Model> {
    rules: Vec<Rule>,
    lag: Lag<M>,
    strike: Option<Strike>,
    /// Requests that are still on their way, not yet taken over by the driver.
    late: Vec<Late>,
    /// How many requests are on their way.
    open: u32,
    suffered: u32,
    asked: BTreeMap<Verb, u32>,
    made: Vec<(RemoteId, Mark)>,
    declared: Option<Capability>,
}

/// A mishap, and the calls that suffer it.
#[derive(Debug, Clone, Copy)]
struct Rule {
    verb: Verb,
    skip: u32,
    times: u32,
    mishap: Mishap,
}

impl<M: Model> fmt::Debug for Faulty<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Faulty").field(&self.inner).finish()
    }
}

impl<M: Model> Faulty<M> {
    pub(super) fn new(inner: Arc<dyn Backend<M>>, catalog: Arc<Catalog>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            catalog,
            state: Mutex::new(State {
                rules: Vec::new(),
                lag: Lag::default(),
                strike: None,
                late: Vec::new(),
                open: 0,
                suffered: 0,
                asked: BTreeMap::new(),
                made: Vec::new(),
                declared: None,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes so many calls of this kind go wrong, after so many that do not.
    pub(super) fn inject(&self, verb: Verb, skip: u32, times: u32, mishap: Mishap) {
        self.lock().rules.push(Rule {
            verb,
            skip,
            times,
            mishap,
        });
    }

    /// Makes every list so late, from now on.
    pub(super) fn lag(&self, by: std::time::Duration) {
        self.lock().lag.by = by;
    }

    /// What the engine is told is declared; what is true otherwise.
    pub(super) fn declare(&self, cap: Capability) {
        self.lock().declared = Some(cap);
    }

    /// Ends what is still to go wrong, and answers whether anything did.
    pub(super) fn calm(&self) -> bool {
        let mut state = self.lock();
        state.rules.clear();
        state.suffered > 0
    }

    /// Whether anything has gone wrong by now.
    pub(super) fn suffered(&self) -> bool {
        self.lock().suffered > 0
    }

    /// How many calls of a kind the engine made.
    pub(super) fn asked(&self, verb: Verb) -> u32 {
        self.lock().asked.get(&verb).copied().unwrap_or(0)
    }

    /// What was made through this, as far as anybody heard of it.
    pub(super) fn made(&self) -> Vec<(RemoteId, Mark)> {
        self.lock().made.clone()
    }

    /// Whether requests are still on their way.
    pub(super) fn is_something_late(&self) -> bool {
        self.lock().open > 0
    }

    /// What happens to the engine that was polled just now.
    pub(super) fn take_strike(&self) -> Option<Strike> {
        self.lock().strike.take()
    }

    /// Requests that somebody must carry on.
    pub(super) fn take_late(&self) -> Vec<Late> {
        std::mem::take(&mut self.lock().late)
    }

    /// Counts a call and answers what it suffers.
    fn begin(&self, verb: Verb) -> Option<Mishap> {
        let mut state = self.lock();
        *state.asked.entry(verb).or_default() += 1;
        let mut mishap = None;
        for rule in &mut state.rules {
            if rule.verb != verb {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if mishap.is_none() && rule.times > 0 {
                rule.times -= 1;
                mishap = Some(rule.mishap);
            }
        }
        state.rules.retain(|rule| rule.times > 0);
        state.suffered += u32::from(mishap.is_some());
        mishap
    }

    fn strike(&self, strike: Strike) {
        self.lock().strike = Some(strike);
    }

    fn note_made(&self, id: &RemoteId, mark: &Mark, env: &dyn Env) {
        let mut state = self.lock();
        if !state.made.iter().any(|(known, _)| known == id) {
            state.made.push((id.clone(), mark.clone()));
        }
        state.lag.made(id, env.now());
    }

    fn note_touched(&self, id: &RemoteId, env: &dyn Env) {
        self.lock().lag.touched(id, env.now());
    }
}

/// What a call brought along, for a request that outlives it.
struct Own {
    env: Arc<dyn Env>,
    site: Site,
    credential: Credential,
    secret: Secret,
    catalog: Arc<Catalog>,
    needs: BTreeMap<String, RemoteId>,
    owner: Option<Owner>,
    progress: Arc<Progress>,
    timeout: std::time::Duration,
}

impl Own {
    fn of(cx: &Cx<'_>, catalog: &Arc<Catalog>) -> Self {
        Self {
            env: Arc::clone(cx.env),
            site: cx.site.clone(),
            credential: cx.credential.clone(),
            secret: cx.secret.clone(),
            catalog: Arc::clone(catalog),
            needs: cx.needs.clone(),
            owner: cx.owner.cloned(),
            progress: Arc::default(),
            timeout: cx.timeout,
        }
    }

    fn cx(&self) -> Cx<'_> {
        Cx {
            env: &self.env,
            site: &self.site,
            credential: &self.credential,
            secret: &self.secret,
            catalog: &self.catalog,
            quick: false,
            asking: None,
            needs: &self.needs,
            owner: self.owner.as_ref(),
            progress: &self.progress,
            timeout: self.timeout,
        }
    }
}

/// What `derive` would do, without asking it of the model itself.
pub(super) fn copy<M: Model>(seen: &Seen<M>) -> Seen<M> {
    Seen {
        id: seen.id.clone(),
        name: seen.name.clone(),
        mark: seen.mark.clone(),
        phase: seen.phase,
        reason: seen.reason.clone(),
        stamp: seen.stamp.clone(),
        view: seen.view.clone(),
    }
}

#[async_trait]
impl<M: Model> Backend<M> for Faulty<M> {
    fn capability(&self, site: &Site) -> Capability {
        let declared = self.lock().declared;
        declared.unwrap_or_else(|| self.inner.capability(site))
    }

    async fn offers(&self, cx: &Cx<'_>, want: &M::Spec) -> Result<Vec<Offer>> {
        let mishap = self.begin(Verb::Offers);
        self.suffer(cx, mishap, || self.inner.offers(cx, want), |_| {})
            .await
    }

    async fn observe(&self, cx: &Cx<'_>, look: Look<'_, M::Spec>) -> Result<Page<Seen<M>>> {
        let mishap = self.begin(Verb::Observe);
        // A look can be made twice only if it can be asked twice.
        let again = || match &look {
            Look::These(targets) => Look::These(targets),
            Look::Closely(target, spec) => Look::Closely(target, *spec),
            Look::All(after) => Look::All(*after),
        };
        let mut page = self
            .suffer(cx, mishap, || self.inner.observe(cx, again()), |_| {})
            .await?;
        self.lock().lag.show(&mut page.items, &look, cx.env.now());
        if let Some(mishap) = mishap {
            mishap.falsify(&mut page.items);
        }
        Ok(page)
    }

    async fn create(&self, cx: &Cx<'_>, mark: &Mark, spec: &M::Spec) -> Result<RemoteId> {
        let mishap = self.begin(Verb::Create);
        let note = |done: &Result<RemoteId>| {
            if let Ok(id) = done {
                self.note_made(id, mark, &**cx.env);
            }
        };
        if let Some(Mishap::Late(after)) = mishap {
            let (own, inner) = (Own::of(cx, &self.catalog), Arc::clone(&self.inner));
            let (mark, spec) = (mark.clone(), spec.clone());
            return Err(self.postpone(cx, after, async move {
                let done = inner.create(&own.cx(), &mark, &spec).await;
                done.ok().map(|id| (id, mark))
            }));
        }
        self.suffer(cx, mishap, || self.inner.create(cx, mark, spec), note)
            .await
    }

    async fn change(&self, cx: &Cx<'_>, mark: &Mark, seen: &Seen<M>, spec: &M::Spec) -> Result<()> {
        let mishap = self.begin(Verb::Change);
        if let Some(Mishap::Late(after)) = mishap {
            let (own, inner) = (Own::of(cx, &self.catalog), Arc::clone(&self.inner));
            let (mark, seen, spec) = (mark.clone(), copy(seen), spec.clone());
            return Err(self.postpone(cx, after, async move {
                let _ = inner.change(&own.cx(), &mark, &seen, &spec).await;
                None
            }));
        }
        let note = |_: &Result<()>| self.note_touched(&seen.id, &**cx.env);
        self.suffer(cx, mishap, || self.inner.change(cx, mark, seen, spec), note)
            .await
    }

    async fn destroy(&self, cx: &Cx<'_>, seen: &Seen<M>) -> Result<()> {
        let mishap = self.begin(Verb::Destroy);
        if let Some(Mishap::Late(after)) = mishap {
            let (own, inner) = (Own::of(cx, &self.catalog), Arc::clone(&self.inner));
            let seen = copy(seen);
            return Err(self.postpone(cx, after, async move {
                let _ = inner.destroy(&own.cx(), &seen).await;
                None
            }));
        }
        let note = |_: &Result<()>| self.note_touched(&seen.id, &**cx.env);
        self.suffer(cx, mishap, || self.inner.destroy(cx, seen), note)
            .await
    }
    async fn recall(&self, cx: &Cx<'_>, seen: &Seen<M>) -> Result<Option<Recalled<M::Spec>>> {
        self.inner.recall(cx, seen).await
    }

    async fn note(&self, cx: &Cx<'_>, seen: &Seen<M>) -> Result<()> {
        self.inner.note(cx, seen).await
    }

    async fn console(&self, cx: &Cx<'_>, id: &RemoteId, most: usize) -> Result<Vec<u8>> {
        self.inner.console(cx, id, most).await
    }

    /// Hints are no calls: what goes wrong with them is the simulated sites'.
    async fn watch(&self, cx: &Cx<'_>) -> Result<Hints> {
        self.inner.watch(cx).await
    }
}
