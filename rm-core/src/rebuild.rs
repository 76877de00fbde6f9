//! A lost store made anew from the marks at the sites.
//!
//! A mark says which resource a thing is of and which try and generation; the
//! backend may be able to say what it was made to be, and whose it is. The rest
//! was in the store alone, and is lost: see [`LOST`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::backend::{Mark, Phase, Recalled};
use crate::caller::{Caller, Role, Tenant};
use crate::catalog::{Credential, Site};
use crate::driver::Sight;
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Core;
use crate::id::{CatalogId, HoldId, Kind, RemoteId, ResourceId};
use crate::installation;
use crate::model::Json;
use crate::owner::Owner;
use crate::record::{Hold, ResourceRecord};
use crate::survey::{Account, Skipped, Survey, by_site};

mod clusters;
mod records;

/// What no site can tell.
pub const LOST: &[&str] = &[
    "of what does not keep its owner, leases: it has one hold without end, of its credential's user",
    "of what does not keep its owner, grants, further holders, and the name for people",
    "changes that were wanted and not carried out, and deletes that had not begun",
    "idempotency keys and the keys of reuse: an equal request gets another cluster",
    "clusters made of nodes that do not tell of it: each node is a resource of its own now",
    "accounts on clusters, callbacks, events, and what adapters kept",
];

/// What came of a search for things without a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rebuilt {
    /// What got a record, or would get one.
    pub restored: Vec<Restored>,
    /// What bears our mark and got none.
    pub left: Vec<Left>,
    /// How many things have a record already.
    pub known: u64,
    /// How many things are another installation's.
    pub foreign: u64,
    /// What was not looked at.
    pub skipped: Vec<Skipped>,
}

/// A thing and its new record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The resource, as it was.
    pub resource: ResourceId,
    /// Which variety.
    pub kind: Kind,
    /// The site's name.
    pub site_name: String,
    /// The credential's tenant and name.
    pub credential_name: String,
    /// How the site names it.
    pub remote: RemoteId,
    /// Who owns it now.
    pub tenant: Tenant,
    /// Who holds it now.
    pub user: String,
    /// When its last lease ends; never where absent.
    pub until: Option<Timestamp>,
    /// Whether the thing itself says who owns it and until when. Otherwise its
    /// credential's user does, without an end.
    pub kept: bool,
    /// The cluster that it is a node of, where that is restored, too.
    pub part_of: Option<ResourceId>,
    /// How many nodes it stands for.
    pub nodes: u64,
    /// What is not as it should be, beside what is lost of everything.
    pub but: Option<String>,
}

/// A thing that got no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The resource that its mark names.
    pub resource: ResourceId,
    /// The site's name.
    pub site_name: String,
    /// How the site names it.
    pub remote: RemoteId,
    /// Why.
    pub why: String,
}

/// Makes records anew, for operators.
#[derive(Debug, Clone, Copy)]
pub struct Rebuild<'a> {
    core: &'a Arc<Core>,
}

/// A thing without a record, and how it is reached.
struct Found {
    account: Arc<Account>,
    sight: Sight,
    mark: Mark,
}

/// The same, and what it says of itself.
struct Known {
    found: Found,
    spec: Json,
    owner: Option<Owner>,
}

/// Every site, with the credentials for it.
type Means = [(Site, Vec<Credential>)];

impl<'a> Rebuild<'a> {
    pub(crate) fn new(core: &'a Arc<Core>) -> Self {
        Self { core }
    }

    /// Makes a record for each thing that bears our mark and has none;
    /// without `apply` it only says what it would do. The catalog must have
    /// been loaded anew. What has a record stays as it is, so this can be
    /// repeated. Nothing is changed at any site.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] for anybody but an operator;
    /// [`ErrorKind::Conflict`] where the store is another installation's, or
    /// holds no credential to look with.
    pub async fn run(&self, who: &Caller, apply: bool) -> Result<Rebuilt> {
        who.need(Role::Operator)?;
        let core = &**self.core;
        if core
            .catalog
            .all_credentials(None, 1)
            .await?
            .items
            .is_empty()
        {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the catalog has no credential to look at any site with",
            )
            .advice("load sites, credentials, appliances and implementations anew first"));
        }
        installation::check(core).await?;
        if apply {
            installation::own(core).await?;
        }
        let means = by_site(core).await?;
        let mut rebuilt = Rebuilt::default();
        let things = self.search(&mut rebuilt).await?;
        // Images first: clusters need them.
        let is_image = |all: &[Found]| all.first().is_some_and(|f| self.kind(f) == Kind::IMAGE);
        let (images, others): (Vec<_>, Vec<_>) =
            things.into_iter().partition(|(_, all)| is_image(all));
        let mut parts: BTreeMap<ResourceId, Vec<Known>> = BTreeMap::new();
        let skipped = rebuilt.skipped.iter().map(|skipped| skipped.site);
        let mut unseen: BTreeSet<CatalogId> = skipped.collect();
        for (resource, mut all) in images.into_iter().chain(others) {
            // Of several tries the last one that is not going is meant.
            all.sort_by_key(|found| (found.sight.phase != Phase::Deleting, found.mark.incarnation));
            let meant = all.pop();
            for other in all {
                let why = "another thing of the same resource is meant";
                rebuilt.left.push(other.left(resource, why.to_owned()));
            }
            let Some(found) = meant else { continue };
            match self.recall(&found).await {
                Err(e) => {
                    // It may be any node of any cluster there.
                    if found.sight.phase != Phase::Deleting && self.kind(&found) != Kind::IMAGE {
                        unseen.insert(found.account.site.id);
                    }
                    rebuilt.left.push(found.left(resource, e.to_string()));
                }
                Ok((spec, owner)) => {
                    let known = Known { found, spec, owner };
                    match known.cluster() {
                        Some(cluster) => parts.entry(cluster).or_default().push(known),
                        None => {
                            self.alone(who, &known, None, &means, apply, &mut rebuilt)
                                .await;
                        }
                    }
                }
            }
        }
        for (cluster, nodes) in parts {
            let how = (apply, &unseen);
            self.cluster(who, cluster, nodes, &means, how, &mut rebuilt)
                .await;
        }
        Ok(rebuilt)
    }

    /// What bears our mark and has no record, by resource.
    async fn search(&self, rebuilt: &mut Rebuilt) -> Result<BTreeMap<ResourceId, Vec<Found>>> {
        let core = &**self.core;
        let mut things: BTreeMap<ResourceId, Vec<Found>> = BTreeMap::new();
        let mut survey = Survey::begin(core).await?;
        while let Some((account, page)) = survey.next().await {
            for sight in page {
                let Some(mark) = sight.mark.clone() else {
                    continue;
                };
                if mark.installation != core.installation {
                    rebuilt.foreign += 1;
                } else if core.store.resource(mark.resource).await?.is_some() {
                    rebuilt.known += 1;
                } else if sight.phase != Phase::Gone {
                    let account = Arc::clone(&account);
                    let found = things.entry(mark.resource).or_default();
                    found.push(Found {
                        account,
                        sight,
                        mark,
                    });
                }
            }
        }
        rebuilt.skipped = survey.skipped;
        Ok(things)
    }

    /// What a thing was made to be, and whose it is.
    async fn recall(&self, found: &Found) -> Result<(Json, Option<Owner>)> {
        let core = &**self.core;
        let (account, sight) = (&found.account, &found.sight);
        if sight.phase == Phase::Deleting {
            return Err(Error::new(
                ErrorKind::Busy,
                "it is being destroyed at the site",
            ));
        }
        let cx = account.cx(core);
        let call = account.driver.recall(&cx, sight.clone());
        let recalled = core
            .timed("observe", account.cap.call_timeout, call)
            .await?;
        let Recalled { spec, owner } = recalled.ok_or_else(|| {
            Error::not_found("the site does not say what it was made by, or the catalog has no such thing")
                .advice("load the implementation or image that it was made by, and try again; or destroy it at the site")
        })?;
        Ok((spec, owner))
    }

    /// A thing that is a resource by itself, `but` it was none before.
    async fn alone(
        &self,
        who: &Caller,
        known: &Known,
        but: Option<&str>,
        means: &Means,
        apply: bool,
        rebuilt: &mut Rebuilt,
    ) {
        match self.restore(who, known, but, means, apply).await {
            Ok(restored) => rebuilt.restored.push(restored),
            Err(e) => rebuilt.left.push(known.left(e.to_string())),
        }
    }

    async fn restore(
        &self,
        who: &Caller,
        known: &Known,
        but: Option<&str>,
        means: &Means,
        apply: bool,
    ) -> Result<Restored> {
        let Known { found, spec, owner } = known;
        let noted = owner.clone();
        let owner = &owner.clone().map(|owner| self.by_itself(owner));
        let credential = match owner {
            Some(owner) => means_of(owner, &found.account.credential, means),
            None => &found.account.credential,
        };
        let record = ResourceRecord {
            noted,
            ..self.record(found, spec.clone(), credential, owner.as_ref())?
        };
        let kept = owner.as_ref().is_some_and(|owner| !owner.holds.is_empty());
        let apart = || "it was a part of something that is not restored".to_owned();
        let but = but.map(str::to_owned);
        let but = but.or_else(|| (owner.is_some() && !kept).then(apart));
        let told = but.into_iter().collect();
        let restored = self.told(&record, credential, kept, told).await?;
        if apply {
            self.write(who, record).await?;
        }
        Ok(restored)
    }

    /// Whose a thing is that is a part of nothing any more: who holds what it was
    /// a part of holds it, as long.
    fn by_itself(&self, mut owner: Owner) -> Owner {
        let Some(part) = owner.part.take() else {
            return owner;
        };
        let whole = part.whole.owner;
        let anew = |hold: Hold| Hold {
            id: HoldId::new(&*self.core.env),
            ..hold
        };
        owner.holds = whole.holds.into_iter().map(anew).collect();
        owner.grants = whole.grants;
        owner
    }

    fn kind(&self, found: &Found) -> Kind {
        let serves = self.core.serves.get(&found.account.manager);
        serves.map_or(Kind::CLUSTER, |serves| serves.kind.clone())
    }
}

/// By whose means an owner reaches the site: a credential of theirs, if they
/// have one there, else that which has shown the thing.
fn means_of<'a>(owner: &Owner, shown: &'a Credential, means: &'a Means) -> &'a Credential {
    let here = means.iter().filter(|(site, _)| site.id == shown.site);
    let theirs = here.flat_map(|(_, all)| all);
    let theirs = theirs.filter(|credential| credential.tenant == owner.tenant);
    let holds = |credential: &&Credential| {
        let mut holders = owner.holds.iter();
        holders.any(|hold| hold.user == credential.user)
    };
    let mut theirs = theirs.collect::<Vec<_>>();
    theirs.sort_by_key(|credential| (!holds(credential), credential.id != shown.id));
    theirs.first().copied().unwrap_or(shown)
}

impl Known {
    /// The cluster that it says it is a node of.
    fn cluster(&self) -> Option<ResourceId> {
        let part = self.owner.as_ref()?.part.as_ref()?;
        Some(part.whole.mark.resource)
    }

    fn left(&self, why: String) -> Left {
        self.found.left(self.found.mark.resource, why)
    }
}

impl Found {
    fn left(&self, resource: ResourceId, why: String) -> Left {
        Left {
            resource,
            site_name: self.account.site.name.clone(),
            remote: self.sight.id.clone(),
            why,
        }
    }
}
