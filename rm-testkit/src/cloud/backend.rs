//! The six verbs of the simulated cloud.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rm_core::backend::{
    Absence, Backend, Capability, CreateKey, Cx, Hints, Look, Mark, Offer, Phase, Recalled, Seen,
    Target,
};
use rm_core::catalog::{Appliance, Site as CatalogSite};
use rm_core::env::Timestamp;
use rm_core::model::{Cluster, ClusterSpec, Model};
use rm_core::store::{Cursor, Page};
use rm_core::{Error, ErrorKind, RemoteId, Result};
use serde::Deserialize;
use std::borrow::Cow;
use std::time::Duration;

use super::fault::{Answer, Fault, Verb};
use super::images::Wanted;
use super::media::Body;
use super::site::{Effect, Site};
use super::thing::Thing;
use super::{SimCloud, State};

#[async_trait]
impl Backend<Cluster> for SimCloud {
    fn capability(&self, _site: &CatalogSite) -> Capability {
        self.lock().capability
    }

    async fn offers(&self, cx: &Cx<'_>, want: &ClusterSpec) -> Result<Vec<Offer>> {
        self.offered(cx, Cluster::nodes(want)).await
    }

    async fn observe(
        &self,
        cx: &Cx<'_>,
        look: Look<'_, ClusterSpec>,
    ) -> Result<Page<Seen<Cluster>>> {
        self.look(cx, look).await
    }

    async fn create(&self, cx: &Cx<'_>, mark: &Mark, spec: &ClusterSpec) -> Result<RemoteId> {
        let implementation = cx.catalog.implementation(spec.implementation).await?;
        let body = Body::read(&implementation.body)?;
        let account = account(cx)?;
        let takes = self.config.build();
        let images = spec.images.iter().map(|(name, sha256)| Wanted {
            name: name.clone(),
            sha256: sha256.clone(),
            id: cx.needs.get(name).cloned(),
        });
        let images = images.collect();
        self.effect(cx, Verb::Create, mark.name(), |state, fails| {
            state.named += 1;
            Effect::Create {
                account,
                mark: mark.clone(),
                owner: cx.owner.cloned(),
                slaves: spec.slaves,
                outputs: body.outputs,
                images,
                number: state.named,
                fails: fails || body.fails,
                takes,
                key: state.capability.create_key,
            }
        })
        .await
    }

    async fn change(
        &self,
        cx: &Cx<'_>,
        mark: &Mark,
        seen: &Seen<Cluster>,
        spec: &ClusterSpec,
    ) -> Result<()> {
        self.resize(cx, mark, &seen.id, spec.slaves).await
    }

    /// A simulated site knows the size of a thing and what it gives out.
    async fn recall(
        &self,
        cx: &Cx<'_>,
        seen: &Seen<Cluster>,
    ) -> Result<Option<Recalled<ClusterSpec>>> {
        let what = seen.id.to_string();
        let thing = self.call(cx, Verb::Observe, what, |_, site| {
            let thing = site.things.get(&seen.id).filter(|t| t.exists()).cloned();
            Ok(thing.map(|thing| {
                let of = thing.images.iter().filter_map(|id| site.images.get(id));
                let images: Vec<_> = of.map(|i| (i.name.clone(), i.sha256.clone())).collect();
                (thing, images)
            }))
        });
        let Some((thing, images)) = thing.await? else {
            return Ok(None);
        };
        let is = |outputs: &str| Body::read(outputs).is_ok_and(|b| b.outputs == thing.outputs);
        let by = cx.catalog.made_by(cx.site, |i| is(&i.body)).await?;
        let made_of = |appliance: &Appliance| -> BTreeMap<String, String> {
            let named = |(name, _): &(String, String)| appliance.images.contains(name);
            images.into_iter().filter(named).collect()
        };
        Ok(by.map(|(appliance, implementation)| Recalled {
            spec: ClusterSpec {
                images: made_of(&appliance),
                appliance: appliance.name,
                implementation: implementation.id,
                revision: implementation.revision,
                slaves: thing.slaves,
                others: 0,
                users: Vec::new(),
                parameters: BTreeMap::new(),
                ready_port: appliance.ready_port,
            },
            owner: thing.owner,
        }))
    }

    async fn note(&self, cx: &Cx<'_>, seen: &Seen<Cluster>) -> Result<()> {
        self.keep_owner(cx, &seen.id).await
    }

    async fn destroy(&self, cx: &Cx<'_>, seen: &Seen<Cluster>) -> Result<()> {
        self.unmake(cx, &seen.id).await
    }

    async fn watch(&self, cx: &Cx<'_>) -> Result<Hints> {
        self.listen(cx).await
    }
}

/// What a look needs of the cloud beside the site.
pub(super) struct Known {
    absence: Absence,
    /// Whether what bears a mark can be listed.
    listed: bool,
    /// Whether a name leads to what bears it.
    named: bool,
    page: u32,
}

impl SimCloud {
    /// What a site has room for.
    pub(super) async fn offered(&self, cx: &Cx<'_>, needed: u64) -> Result<Vec<Offer>> {
        if cx.quick {
            // Signing in is no call of its own here.
            return self
                .lock()
                .admit(cx, Verb::Offers)
                .map(|()| vec![Offer::room(None)]);
        }
        self.call(cx, Verb::Offers, format!("{needed} nodes"), |_, site| {
            let mut offer = Offer::room(site.room());
            offer.cost = site.cost;
            Ok(vec![offer])
        })
        .await
    }

    /// A look, whatever it is that the things stand for.
    pub(super) async fn look<S: Sync>(
        &self,
        cx: &Cx<'_>,
        look: Look<'_, S>,
    ) -> Result<Page<Seen<Cluster>>> {
        let what = match look {
            Look::These(targets) => format!("{} things", targets.len()),
            Look::Closely(target, _) => target.mark.name(),
            Look::All(_) => "all".to_owned(),
        };
        let account = account(cx)?;
        let key = (cx.site.name.clone(), account.clone());
        if matches!(look, Look::These(_)) {
            self.lock().faults.open_look(key.clone());
        }
        // Counted down when this future ends or is dropped.
        let _counted = matches!(look, Look::These(_)).then(|| Counted { cloud: self, key });
        let now = self.now(cx);
        self.call(cx, Verb::Observe, what, |state, site| {
            Ok(match look {
                Look::These(targets) => Page {
                    items: these(site, &account, targets, state, now),
                    next: None,
                },
                Look::Closely(target, _) => Page {
                    items: meant(site, target, |t| t.name == target.mark.name())
                        .into_iter()
                        .filter(|t| t.account == account && t.exists())
                        .filter_map(|t| t.shown(now, site.lag, true))
                        .collect(),
                    next: None,
                },
                Look::All(_) if !state.listed => return Err(unlisted()),
                Look::All(after) => all(site, &account, after, state.page, now),
            })
        })
        .await
    }

    pub(super) async fn resize(
        &self,
        cx: &Cx<'_>,
        mark: &Mark,
        id: &RemoteId,
        slaves: u32,
    ) -> Result<()> {
        let takes = self.config.change();
        self.effect(cx, Verb::Change, id.to_string(), |state, fails| {
            Effect::Change {
                id: id.clone(),
                mark: mark.clone(),
                owner: cx.owner.cloned(),
                slaves,
                fails,
                takes,
                how: state.capability.resize,
            }
        })
        .await
        .map(|_| ())
    }

    /// Whose a thing is, written down with it.
    pub(super) async fn keep_owner(&self, cx: &Cx<'_>, id: &RemoteId) -> Result<()> {
        self.arrive(cx).await;
        let now = self.now(cx);
        let mut state = self.lock();
        state.admit(cx, Verb::Change)?;
        let site = state.site(&self.config, &cx.site.name);
        site.advance(now);
        listens(site, &cx.site.name)?;
        let Some(thing) = site.things.get_mut(id).filter(|t| t.exists()) else {
            return Err(Error::not_found(format!("there is no {id} at the site")));
        };
        thing.owner = cx.owner.cloned();
        Ok(())
    }

    pub(super) async fn unmake(&self, cx: &Cx<'_>, id: &RemoteId) -> Result<()> {
        let takes = self.config.delete();
        self.effect(cx, Verb::Destroy, id.to_string(), |_, fails| {
            Effect::Destroy {
                id: id.clone(),
                fails,
                takes,
            }
        })
        .await
        .map(|_| ())
    }

    /// A call without an effect.
    pub(super) async fn call<T>(
        &self,
        cx: &Cx<'_>,
        verb: Verb,
        what: String,
        answer: impl FnOnce(&Known, &Site) -> Result<T> + Send,
    ) -> Result<T> {
        self.arrive(cx).await;
        let name = &cx.site.name;
        let now = self.now(cx);
        let (number, fault, answered) = {
            let mut state = self.lock();
            let (number, fault) = state.faults.begin(now, name, verb, what);
            let known = Known {
                absence: state.capability.absence,
                listed: state.capability.list_by_owner,
                named: matches!(
                    state.capability.create_key,
                    CreateKey::UniqueName | CreateKey::ClientUuid
                ),
                page: state.capability.page,
            };
            let admitted = state.admit(cx, verb);
            let site = state.site(&self.config, name);
            site.advance(now);
            let answered = listens(site, name)
                .and(admitted)
                .and_then(|()| answer(&known, site));
            (number, fault, answered)
        };
        self.leave(cx, verb, number, fault, answered).await
    }

    /// A call with an effect.
    pub(super) async fn effect(
        &self,
        cx: &Cx<'_>,
        verb: Verb,
        what: String,
        make: impl FnOnce(&mut State, bool) -> Effect + Send,
    ) -> Result<RemoteId> {
        self.arrive(cx).await;
        let name = &cx.site.name;
        let now = self.now(cx);
        let (number, fault, answered) = {
            let mut state = self.lock();
            let (number, fault) = state.faults.begin(now, name, verb, what);
            let mut effect = make(&mut state, fault == Some(Fault::FailsLater));
            if let Some(Fault::Hangs(longer)) = fault {
                effect.delay(longer);
            }
            let admitted = state.admit(cx, verb);
            let site = state.site(&self.config, name);
            site.advance(now);
            let answered = listens(site, name)
                .and(admitted)
                .and_then(|()| match fault {
                    Some(Fault::LostBefore | Fault::Refused(_) | Fault::TooMany(_)) => {
                        Err(Error::new(ErrorKind::Internal, "the fault answers"))
                    }
                    Some(Fault::Forgotten) => Ok(effect.forgotten()),
                    Some(Fault::Twice(after)) => {
                        let done = site.apply(effect.clone(), now);
                        // What was refused once is refused for good.
                        if done.is_ok() {
                            site.postpone(now.plus(after), effect);
                        }
                        done
                    }
                    Some(Fault::Late(after)) => {
                        site.postpone(now.plus(after), effect);
                        Err(Error::new(ErrorKind::Internal, "the fault answers"))
                    }
                    _ => site.apply(effect, now),
                });
            state.tell(name);
            (number, fault, answered)
        };
        self.leave(cx, verb, number, fault, answered).await
    }

    /// The site has a clock of its own, whatever that of the caller says.
    pub(super) fn now(&self, cx: &Cx<'_>) -> Timestamp {
        self.points.now().unwrap_or_else(|| cx.env.now())
    }

    pub(super) async fn arrive(&self, cx: &Cx<'_>) {
        if self.config.latency_ms > 0 {
            cx.env
                .sleep(Duration::from_millis(self.config.latency_ms))
                .await;
        }
    }

    pub(super) async fn leave<T>(
        &self,
        cx: &Cx<'_>,
        verb: Verb,
        number: usize,
        fault: Option<Fault>,
        answered: Result<T>,
    ) -> Result<T> {
        if let Some(Fault::Slow(d)) = fault {
            cx.env.sleep(d).await;
        }
        let answered = match fault.and_then(|f| f.error(verb, &cx.site.name)) {
            Some(e) => Err(e),
            None => answered,
        };
        self.lock().faults.end(
            number,
            match &answered {
                Ok(_) => Answer::Done,
                Err(e) => Answer::Refused(e.kind()),
            },
        );
        answered.map_err(|e| e.site(&cx.site.name).operation(verb.as_str()))
    }
}

/// Whether anybody is there.
pub(super) fn listens(site: &Site, name: &str) -> Result<()> {
    if site.down {
        return Err(Error::new(
            ErrorKind::Unavailable,
            format!("nobody answers at {name}"),
        ));
    }
    Ok(())
}

impl State {
    /// Whether the credential is accepted, and may do this.
    pub(super) fn admit(&self, cx: &Cx<'_>, verb: Verb) -> Result<()> {
        let login = Login::read(cx)?;
        let rules = self
            .accounts
            .get(&*login.account.unwrap_or("default".into()));
        let password = login.password.as_deref();
        let accepted = match rules.and_then(|r| r.password.as_deref()) {
            Some(word) => password == Some(word),
            None => password != Some("wrong"),
        };
        if !accepted {
            return Err(Error::new(
                ErrorKind::Credential,
                "the site does not accept the credential",
            ));
        }
        if rules.is_some_and(|r| r.forbidden.contains(&verb)) {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!("the credential may not {}", verb.as_str()),
            ));
        }
        Ok(())
    }
}

pub(super) fn account(cx: &Cx<'_>) -> Result<String> {
    Ok(Login::read(cx)?.account.unwrap_or("default".into()).into())
}

/// What a secret says.
#[derive(Deserialize)]
struct Login<'a> {
    #[serde(borrow)]
    account: Option<Cow<'a, str>>,
    #[serde(borrow)]
    password: Option<Cow<'a, str>>,
}

impl<'a> Login<'a> {
    fn read(cx: &Cx<'a>) -> Result<Self> {
        serde_json::from_str(cx.secret.expose()).map_err(|_| {
            Error::new(
                ErrorKind::Credential,
                "the secret is not a JSON object with an account and a password",
            )
        })
    }
}

/// What is meant: by its id where that is known, else whatever is shown by
/// what the mark says.
fn meant<'a>(site: &'a Site, target: &Target, shown: impl Fn(&Thing) -> bool) -> Vec<&'a Thing> {
    match &target.remote {
        Some(id) => site.things.get(id).into_iter().collect(),
        None => site.things.values().filter(|t| shown(t)).collect(),
    }
}

fn these(
    site: &Site,
    account: &str,
    targets: &[Target],
    known: &Known,
    now: Timestamp,
) -> Vec<Seen<Cluster>> {
    let dead = |seen: &Seen<Cluster>, by_id: bool| {
        // The dead are shown to who knows their id, where they are kept.
        seen.phase == Phase::Gone && !(by_id && known.absence == Absence::Tombstone)
    };
    let mut items: Vec<Seen<Cluster>> = Vec::new();
    for target in targets {
        let by_id = target.remote.is_some();
        let name = (!by_id).then(|| target.mark.name());
        let found = meant(site, target, |t| {
            let marked = |m: &Mark| m.resource == target.mark.resource;
            ((known.named || known.listed) && Some(&t.name) == name.as_ref())
                || (known.listed && t.mark.as_ref().is_some_and(marked))
        });
        for thing in found.into_iter().filter(|t| t.account == account) {
            if let Some(seen) = thing.shown(now, site.lag, false)
                && !dead(&seen, by_id)
                && !items.iter().any(|known| known.id == seen.id)
            {
                items.push(seen);
            }
        }
    }
    items
}

fn all(
    site: &Site,
    account: &str,
    after: Option<&Cursor>,
    page: u32,
    now: Timestamp,
) -> Page<Seen<Cluster>> {
    let page = usize::try_from(page).unwrap_or(usize::MAX).max(1);
    let mut marked = site
        .things
        .values()
        .filter(|t| t.account == account && t.mark.is_some())
        .filter(|t| after.is_none_or(|c| t.id.0 > c.0))
        .filter_map(|t| t.shown(now, site.lag, false))
        .filter(|s| s.phase != Phase::Gone);
    let items: Vec<Seen<Cluster>> = marked.by_ref().take(page).collect();
    let more = marked.next().is_some();
    Page {
        next: items
            .last()
            .filter(|_| more)
            .map(|last| Cursor(last.id.0.clone())),
        items,
    }
}

fn unlisted() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the site cannot list what bears a mark",
    )
}

struct Counted<'a> {
    cloud: &'a SimCloud,
    key: (String, String),
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if let Some(open) = self.cloud.lock().faults.open_looks.get_mut(&self.key) {
            *open -= 1;
        }
    }
}
