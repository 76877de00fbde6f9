//! Clusters as slivers: appliances of the catalog by name, with a master and as
//! many slaves as a request says.
//!
//! A request asks for one by a node of the type `cluster` with an element of the
//! namespace [`CLUSTER`] in it:
//!
//! ```xml
//! <node client_id="web">
//!   <sliver_type name="cluster"/>
//!   <cluster xmlns="urn:resource-manager:rspec:ext:cluster:1" appliance="web" slaves="2">
//!     <parameter name="greeting" value="hello"/>
//!   </cluster>
//! </node>
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use rm_core::catalog::{Appliance, Implementation, Site, Target};
use rm_core::clusters::{ClusterRequest, ClusterTerms, Reuse, Unprepared};
use rm_core::model;
use rm_core::record::ResourceRecord;
use rm_core::registry::Adapter;
use rm_core::store::Batch;
use rm_core::{Call, Caller, CatalogId, Error, ErrorKind, Kind, Result};

use super::Urn;
use super::component::{self, Components, PAGE, named};
use super::fresh::Fresh;
use super::rspec::{Node, Rspec, SliverType};
use super::sliver::{GeniSliver, Joined, Refusal, Sliver, SliverTerms};
use super::states::{self, Family, Standing};
use super::xml::short;
use super::xmlrpc::Value;

mod fit;
mod held;
mod told;

use held::ClusterSliver;
pub use told::CLUSTER;

/// What RSpecs call the type of sliver.
const TYPE: &str = "cluster";

/// How many clusters one request asks for: sites are asked for room for each of
/// them that is not like another.
const CLUSTERS: usize = 16;

/// Why a site refuses an appliance to which a request has to say more. What no
/// request may say here, what surrounds a cluster, is refused otherwise.
const LACKS: &str = "missing-parameter";

/// Offers the appliances of the catalog.
#[derive(Debug)]
pub struct ClusterSlivers {
    kinds: [Kind; 1],
    offered: bool,
    /// What the sites said of each appliance.
    now: Fresh<BTreeMap<CatalogId, Now>>,
}

impl ClusterSlivers {
    /// Offers them, or serves what there is of earlier days alone.
    pub fn new(offered: bool) -> Self {
        Self {
            kinds: [Kind::CLUSTER],
            offered,
            now: Fresh::default(),
        }
    }
}

impl Default for ClusterSlivers {
    fn default() -> Self {
        Self::new(true)
    }
}

impl Adapter for ClusterSlivers {
    fn name(&self) -> &'static str {
        "geni.clusters"
    }

    fn kinds(&self) -> &[Kind] {
        &self.kinds
    }
}

/// An appliance and what it is made by where.
struct Offered {
    appliance: Appliance,
    /// The newest of each target that is enabled.
    made_by: Vec<Arc<Implementation>>,
    /// What the sites said of it; absent where they were not asked.
    now: Option<Now>,
}

/// At which sites an appliance can be had now, as it is made where nobody says
/// more.
#[derive(Debug, Clone, Default)]
struct Now {
    /// Those that have room, by name.
    roomy: BTreeSet<String>,
    /// Those at which a request has to say more, and what they say of that.
    lacking: BTreeMap<String, String>,
}

impl Now {
    /// Whether it is told of at a site, and why it cannot be had as it is there.
    fn at(&self, site: &str) -> Option<Option<&str>> {
        match self.lacking.get(site) {
            Some(why) => Some(Some(why)),
            None => self.roomy.contains(site).then_some(None),
        }
    }
}

impl Offered {
    /// What it is made by at a site whose clusters are made of these media types,
    /// one that is written for the site before one for its type; and why it cannot
    /// be had there unless a request says more.
    fn at(&self, site: &Site, media: &[&str]) -> Option<(&Implementation, Option<&str>)> {
        let lacks = match &self.now {
            Some(now) => now.at(&site.name)?,
            None => None,
        };
        let fits = |i: &&Arc<Implementation>| match &i.target {
            Target::Site(id) => *id == site.id,
            Target::Api(api) => *api == site.api,
        };
        let mut fitting: Vec<&Arc<Implementation>> = self.made_by.iter().filter(fits).collect();
        fitting.sort_by_key(|i| matches!(i.target, Target::Api(_)));
        let first = fitting.first().filter(|i| media.contains(&&*i.media_type));
        first.map(|i| (&***i, lacks))
    }
}

/// All appliances that something is made of.
async fn offered(call: &Call<'_>) -> Result<Vec<Offered>> {
    let catalog = call.host.catalog();
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = catalog.appliances(after.as_ref(), PAGE).await?;
        for appliance in page.items {
            let mut made_by = catalog.implementations_of(appliance.id).await?;
            made_by.retain(|i| i.enabled);
            made_by.sort_by_key(|i| std::cmp::Reverse(i.revision));
            all.push(Offered {
                appliance,
                made_by,
                now: None,
            });
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    all.retain(|offered| !offered.made_by.is_empty());
    Ok(all)
}

/// What the sites say of each of these.
async fn said_of(
    call: &Call<'_>,
    means: &Caller,
    all: &[Offered],
) -> Result<BTreeMap<CatalogId, Now>> {
    let asked = all.iter().map(|o| said(call, means, &o.appliance));
    let answers = join_all(asked).await;
    let each = all.iter().zip(answers);
    each.map(|(offered, said)| Ok((offered.appliance.id, said?)))
        .collect()
}

/// What the sites say of an appliance as it is made where nobody says more.
async fn said(call: &Call<'_>, means: &Caller, appliance: &Appliance) -> Result<Now> {
    let request = ClusterRequest {
        appliance: appliance.name.clone(),
        reuse: Reuse::Never,
        ..ClusterRequest::default()
    };
    let plan = match call.host.clusters().plan(means, &request).await {
        Ok(plan) => plan,
        // The store's; a site that is at fault is passed over by the plan.
        Err(e) if is_the_stores(e.kind()) => return Err(e),
        // One that nobody can have as it is takes no other off the list.
        Err(e) => {
            tracing::debug!(appliance = %appliance.name, error = %e, "cannot be had now");
            return Ok(Now::default());
        }
    };
    let mut now = Now::default();
    for considered in plan.considered {
        if considered.verdict != "refused" {
            now.roomy.insert(considered.site);
        } else if considered.code.as_deref() == Some(LACKS) {
            // What to do about it, which follows, is for operators.
            let why = considered.why.split("; ").next().unwrap_or_default();
            now.lacking.insert(considered.site, short(why).into_owned());
        }
    }
    Ok(now)
}

/// Whether it is the store that did not answer, or not as it should.
fn is_the_stores(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unavailable
            | ErrorKind::Timeout
            | ErrorKind::RateLimited
            | ErrorKind::Corrupt
            | ErrorKind::Internal
    )
}

#[async_trait]
impl GeniSliver for ClusterSlivers {
    async fn advertise(
        &self,
        call: &Call<'_>,
        components: &Components,
        available: bool,
        into: &mut Rspec,
    ) -> Result<()> {
        if self.sliver_types(call).is_empty() {
            return Ok(());
        }
        let managers = call.host.managers();
        let managers = managers.serving::<model::Cluster>(&Kind::CLUSTER)?;
        let mut all = offered(call).await?;
        if available {
            let ask = said_of(call, &components.means, &all);
            let mut said = self.now.answer(call, &components.means, ask).await?;
            for offered in &mut all {
                offered.now = Some(said.remove(&offered.appliance.id).unwrap_or_default());
            }
        }
        let catalog = call.host.catalog();
        let mut any = false;
        for site in &components.sites {
            let here = managers.iter().filter(|m| m.serves().api == site.api);
            let media: Vec<&str> = here
                .flat_map(|m| &m.serves().media)
                .map(String::as_str)
                .collect();
            let mut there = Vec::new();
            for offered in &all {
                if let Some((by, lacks)) = offered.at(site, &media) {
                    let slaves = catalog.default_slaves(by);
                    there.push(told::appliance(&offered.appliance, by, slaves, lacks));
                }
            }
            if there.is_empty() {
                continue;
            }
            any = true;
            let node = components.advertised(site, into)?;
            node.sliver_types.push(SliverType {
                name: Some(TYPE.into()),
                ..SliverType::default()
            });
            there.into_iter().for_each(|one| node.extra.add(one));
        }
        if any {
            let told = states::extension(&components.aggregate, [TYPE], Family::CLUSTERS);
            into.extra.add(told);
        }
        Ok(())
    }

    fn sliver_types(&self, call: &Call<'_>) -> Vec<&'static str> {
        let managers = call.host.managers();
        let served = managers.serving::<model::Cluster>(&Kind::CLUSTER).is_ok();
        match self.offered && served {
            true => vec![TYPE],
            false => Vec::new(),
        }
    }

    fn is_usual(&self) -> bool {
        false
    }

    fn extensions(&self) -> &'static [&'static str] {
        &[CLUSTER]
    }

    async fn prepare(
        &self,
        call: &Call<'_>,
        nodes: &[&Node],
        links: &[Joined<'_>],
        terms: &SliverTerms<'_>,
        into: &mut Batch,
    ) -> Result<Vec<Arc<ResourceRecord>>, Refusal> {
        if let Some(joined) = links.first() {
            let link = short(joined.link.client_id.as_deref().unwrap_or_default());
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("link {link:?} ends at a cluster, whose networks are its appliance's"),
            )
            .code("no-such-link")
            .advice("link slivers of other types, or leave the link out")
            .into());
        }
        if nodes.len() > CLUSTERS {
            let n = nodes.len();
            return Err(Error::invalid(format!("the request asks for {n} clusters"))
                .code("too-large")
                .advice(format!("ask for {CLUSTERS} at most with one call"))
                .into());
        }
        let sites = component::sites(call.host).await?;
        let mut asked = Vec::with_capacity(nodes.len());
        for node in nodes {
            asked.push(fit::request(node, &sites, terms.aggregate)?);
        }
        let how = ClusterTerms {
            means: terms.means,
            until: Some(terms.until),
            users: terms.users,
            reserve: terms.reserve,
            asking: terms.asking,
        };
        let clusters = call.host.clusters();
        let prepared = clusters.prepare(call.who, &asked, &how, into).await;
        let prepared = prepared.map_err(|why| refused(nodes, why))?;
        let mut made = Vec::with_capacity(nodes.len());
        for (id, _) in prepared {
            let mut written = into.resources.iter().rev().map(|(record, _)| record);
            made.extend(written.find(|record| record.id == id).cloned());
        }
        Ok(made)
    }

    async fn held(&self, call: &Call<'_>) -> Result<Vec<Box<dyn Sliver>>> {
        let clusters = call.host.clusters();
        let mut held: Vec<Box<dyn Sliver>> = Vec::new();
        let mut after = None;
        loop {
            let page = clusters.list(call.who, false, after.as_ref(), PAGE).await?;
            for cluster in page.items {
                let made_by = clusters.made(&cluster).await?;
                held.push(Box::new(ClusterSliver { cluster, made_by }));
            }
            after = page.next;
            if after.is_none() {
                return Ok(held);
            }
        }
    }

    fn standing(&self, record: &ResourceRecord) -> Standing {
        // There is a view of it as soon as it was once seen to work.
        Standing::of_record(record, record.view.is_some())
    }

    fn tell(&self, record: &ResourceRecord, aggregate: &Urn, _ends: &[usize], node: &mut Node) {
        told::tell(record, aggregate, node);
    }
}

/// Why clusters cannot be had, in the words of this contract.
fn refused(nodes: &[&Node], Unprepared { at, error: e }: Unprepared) -> Refusal {
    let (asked, had) = (nodes.len(), at.unwrap_or_default());
    let Some(who) = at.and_then(|at| nodes.get(at)).map(|node| named(node)) else {
        return e.into();
    };
    let again = |kind: ErrorKind, code: &'static str| {
        let next = e.next().unwrap_or_default();
        Error::new(kind, format!("{who}: {}", e.what()))
            .code(code)
            .advice(next)
    };
    let count = |n: usize| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    match (e.kind(), e.stable_code()) {
        (ErrorKind::NotFound, _) if e.at_site().is_none() => {
            again(ErrorKind::Invalid, "unknown-appliance").into()
        }
        (ErrorKind::Invalid, code) => again(ErrorKind::Invalid, code).into(),
        (_, "no-site") => again(ErrorKind::Unavailable, "no-means").into(),
        (ErrorKind::NoCapacity, code) => Refusal::hinting(
            again(ErrorKind::NoCapacity, code),
            Value::of([("requested", count(asked)), ("available", count(had))]),
        ),
        _ => e.into(),
    }
}
