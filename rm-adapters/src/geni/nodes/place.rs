//! Where the nodes of a request are made: sites are asked once for each shape
//! of node, and every node takes one of the room that they say there is.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rm_core::backend::Offer;
use rm_core::catalog::{Credential, Site};
use rm_core::manager::{Answer, Asking, Candidate, Terms, Want, ask_until, waiting};
use rm_core::model::{self, Json, NodeSpec, Power};
use rm_core::record::ResourceRecord;
use rm_core::store::Batch;
use rm_core::{Call, CatalogId, Error, ErrorKind, Result};

use super::{Manager, fit, images, linked, shape};
use crate::geni::component::{self, may_be_at, named};
use crate::geni::rspec::{Node, Text};
use crate::geni::sliver::{Joined, Refusal, SliverTerms};
use crate::geni::xml::short;
use crate::geni::xmlrpc::Value;

/// A site that makes a type of sliver, and by whose means.
pub(super) struct Place {
    sliver_type: &'static str,
    pub(super) manager: Manager,
    pub(super) site: Site,
    pub(super) credential: Arc<Credential>,
}

pub(super) async fn prepare(
    managers: Vec<(&'static str, Manager)>,
    call: &Call<'_>,
    (nodes, links): (&[&Node], &[Joined<'_>]),
    terms: &SliverTerms<'_>,
    into: &mut Batch,
) -> Result<Vec<Arc<ResourceRecord>>, Refusal> {
    linked::apart(nodes, links)?;
    let ends = linked::ends(nodes, links)?;
    let images = images(call).await?;
    let groups = linked::groups(nodes.len(), links);
    let others = Batch {
        resources: into.resources.clone(),
        ..Batch::default()
    };
    let sites = component::sites(call.host).await?;
    let usable = component::usable(call.host, terms.means).await?;
    let mut room = Room {
        call,
        types: managers.iter().map(|(name, _)| *name).collect(),
        places: places(&managers, &sites, &usable),
        terms,
        links,
        nodes: u64::try_from(nodes.len()).unwrap_or(u64::MAX),
        together: groups
            .iter()
            .map(Vec::len)
            .max()
            .map_or(0, |n| u64::try_from(n).unwrap_or(u64::MAX)),
        others: &others,
        asked: BTreeMap::new(),
        silent: BTreeSet::new(),
        asking: terms.asking.clone(),
        taken: BTreeMap::new(),
    };
    let mut found: BTreeMap<usize, (NodeSpec, usize, Offer)> = BTreeMap::new();
    let (mut why, mut beside) = (None, 0);
    for group in groups {
        let mut wanted = Vec::with_capacity(group.len());
        for at in group {
            let Some(node) = nodes.get(at) else { continue };
            let mut spec = fit::spec(node, &images, terms.aggregate)?;
            spec.users = terms.users.to_vec();
            let own = ends.get(&at).map_or(&[][..], Vec::as_slice);
            spec.interfaces = linked::interfaces(node, own)?;
            wanted.push((at, *node, spec));
        }
        match room.take(&wanted).await? {
            Some((place, offers)) => {
                let all = wanted.into_iter().zip(offers);
                found.extend(all.map(|((at, _, spec), offer)| (at, (spec, place, offer))));
            }
            None => {
                beside += room.some_of(&wanted).await?;
                why = why.or_else(|| wanted.first().map(|(_, node, _)| named(node)));
            }
        }
    }
    if let Some(first) = why {
        return Err(no_room(nodes.len(), found.len() + beside, &first));
    }
    room.still(into).await?;
    let mut made = Vec::with_capacity(nodes.len());
    for (node, (mut spec, place, mut offer)) in nodes.iter().zip(found.into_values()) {
        if !terms.reserve {
            spec.power = Power::Running;
        }
        if let Some(place) = &mut offer.place {
            place.spec = Json::of(&spec)?;
        }
        let called = Terms {
            name: short(node.client_id.as_deref().unwrap_or_default()).into_owned(),
            until: Some(terms.until),
            needs: Vec::new(),
            reserve: terms.reserve,
        };
        room.places
            .get(place)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "an offer of nobody's"))?
            .manager
            .prepare(call.who, &[offer], &called, into)?;
        made.extend(into.resources.last().map(|(record, _)| Arc::clone(record)));
    }
    Ok(made)
}

/// A node as a site is asked for it: the same for all that differ in nothing of
/// which it makes a difference.
///
/// What it is called and told to do takes no room, and the addresses on links
/// are their own. A site is asked only whether it can bring so many KiB of
/// commands.
pub(super) fn shape(spec: &NodeSpec) -> NodeSpec {
    // A command has an end, which counts, too.
    let told: usize = spec.boot_commands.iter().map(|c| c.len() + 1).sum();
    let told = (told >> 10 << 10).saturating_sub(1);
    let told = spec.boot_commands.first().map(|_| " ".repeat(told));
    let mut shape = NodeSpec {
        hostname: None,
        boot_commands: told.into_iter().collect(),
        ..spec.clone()
    };
    for end in shape.interfaces.iter_mut().filter(|i| i.link.is_some()) {
        end.link = Some("a link".to_owned());
        end.addresses.clear();
    }
    shape
}

fn silent(place: &Place) -> Error {
    Error::new(ErrorKind::Timeout, "the site does not answer")
        .site(place.site.name.clone())
        .advice("ask for nodes at other components, or later")
}

fn no_room(asked: usize, had: usize, first: &str) -> Refusal {
    let count = |n: usize| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    Refusal::hinting(
        Error::new(
            ErrorKind::NoCapacity,
            format!(
                "there is no room for {} of {asked} nodes, {first} among them",
                asked - had
            ),
        )
        .advice("ask for fewer, for other components, or later; linked nodes are at one site"),
        Value::of([("requested", count(asked)), ("available", count(had))]),
    )
}

/// Every site that makes one of these types, with the aggregate's means to use
/// it; those without means are left out.
pub(super) fn places(
    managers: &[(&'static str, Manager)],
    sites: &[Site],
    usable: &BTreeMap<CatalogId, Arc<Credential>>,
) -> Vec<Place> {
    let mut places = Vec::new();
    for site in sites {
        let Some(credential) = usable.get(&site.id) else {
            continue;
        };
        let here = managers.iter().filter(|(_, m)| m.serves().api == site.api);
        places.extend(here.map(|(sliver_type, manager)| Place {
            sliver_type,
            manager: Arc::clone(manager),
            site: site.clone(),
            credential: Arc::clone(credential),
        }));
    }
    places
}

/// What is left at the sites, of what they said when they were asked.
struct Room<'a> {
    call: &'a Call<'a>,
    /// The types of slivers, the usual one first.
    types: Vec<&'static str>,
    places: Vec<Place>,
    terms: &'a SliverTerms<'a>,
    links: &'a [Joined<'a>],
    /// How many nodes are asked for, and how many of them are linked at the most.
    nodes: u64,
    together: u64,
    /// What is granted of the same request by others.
    others: &'a Batch,
    /// Offers by the shape of what was asked for, the best first, each with the
    /// place that makes it.
    asked: BTreeMap<String, Vec<(usize, Offer)>>,
    /// Places that do not answer: they are not asked again.
    silent: BTreeSet<usize>,
    asking: Asking,
    /// How many nodes each place has got that it does not know of: of this
    /// request, and of those that wait to be made.
    taken: BTreeMap<usize, u64>,
}

impl Room<'_> {
    /// The best site for all of these together, with an offer for each; none
    /// where no site has room.
    async fn take(
        &mut self,
        wanted: &[(usize, &Node, NodeSpec)],
    ) -> Result<Option<(usize, Vec<Offer>)>> {
        let mut each = Vec::with_capacity(wanted.len());
        for (at, node, spec) in wanted {
            let offers = self.offers(node, spec).await;
            each.push(offers.map_err(|e| shape::named(e, *at, self.links))?);
        }
        let count = u64::try_from(wanted.len()).unwrap_or(u64::MAX);
        let asked = &self.asked;
        let of = |key: &String| asked.get(key).map_or(&[][..], Vec::as_slice);
        let Some(best) = each.first().map(of) else {
            return Ok(None);
        };
        for (place, _) in best {
            let Some(site) = self.site(*place) else {
                continue;
            };
            let taken = self.taken.get(place).copied().unwrap_or(0);
            let roomy = |o: &Offer| o.nodes_left.is_none_or(|left| taken + count <= left);
            let here = |key: &String| {
                let mut offers = of(key).iter().filter(|(p, o)| p == place && roomy(o));
                Some(&offers.next()?.1)
            };
            let Some(offers) = each.iter().map(here).collect::<Option<Vec<&Offer>>>() else {
                continue;
            };
            let Some(spare) = self.asking.take_disk(site, &offers) else {
                continue;
            };
            let offers = offers.into_iter().zip(spare).map(|(offer, spare)| {
                // One of these, and so many as others may be given meanwhile.
                let spare = |left: u64| (left - (taken + count)).min(spare) + 1;
                Offer {
                    nodes_left: offer.nodes_left.map(spare),
                    ..offer.clone()
                }
            });
            let offers = offers.collect();
            let place = *place;
            self.taken.insert(place, taken + count);
            return Ok(Some((place, offers)));
        }
        Ok(None)
    }

    /// For how many of these there is room together at the site that has most, where
    /// there is none for all of them; they take it, so that it is counted once.
    async fn some_of(&mut self, wanted: &[(usize, &Node, NodeSpec)]) -> Result<usize> {
        let mut each = Vec::with_capacity(wanted.len());
        for (_, node, spec) in wanted {
            each.push(self.offers(node, spec).await?);
        }
        // Of each place what it offers for each of them, and beside how many others.
        let mut at: BTreeMap<usize, Vec<(u64, &Offer)>> = BTreeMap::new();
        for key in &each {
            let mut here = BTreeSet::new();
            for (place, offer) in self.asked.get(key).map_or(&[][..], Vec::as_slice) {
                if here.insert(*place) {
                    let taken = self.taken.get(place).copied().unwrap_or(0);
                    let left = offer.nodes_left.unwrap_or(u64::MAX).saturating_sub(taken);
                    at.entry(*place).or_default().push((left, offer));
                }
            }
        }
        let mut best: (Vec<&Offer>, usize) = (Vec::new(), 0);
        for (place, mut offers) in at {
            // Those that leave most to others come first: so there are as many of
            // them as can be.
            offers.sort_by_key(|(left, _)| Reverse(*left));
            let together = offers
                .iter()
                .zip(1..)
                .take_while(|((left, _), n)| left >= n);
            let offers: Vec<&Offer> = together.map(|((_, offer), _)| *offer).collect();
            let Some(site) = self.site(place) else {
                continue;
            };
            let fits = self.asking.disk_for(site, &offers).into_iter();
            let fitting = offers.into_iter().zip(fits);
            let some: Vec<&Offer> = fitting.filter_map(|(o, fits)| fits.then_some(o)).collect();
            if some.len() >= best.0.len() {
                best = (some, place);
            }
        }
        let (some, place) = best;
        if let (Some(site), false) = (self.site(place), some.is_empty()) {
            self.asking.take_disk(site, &some);
            let some = u64::try_from(some.len()).unwrap_or(u64::MAX);
            *self.taken.entry(place).or_insert(0) += some;
        }
        Ok(some.len())
    }

    fn site(&self, place: usize) -> Option<CatalogId> {
        self.places.get(place).map(|place| place.site.id)
    }

    /// The type of sliver that a node is to be: the first that there is a place
    /// for, where it does not say.
    fn wanted<'n>(&self, node: &'n Node) -> &'n str {
        let named = node.sliver_types.first().and_then(|t| t.name.as_deref());
        if let Some(named) = named {
            return named;
        }
        let aggregate = self.terms.aggregate;
        let has_place = |name: &str| {
            let mut places = self.places.iter().filter(|p| p.sliver_type == name);
            places.any(|p| may_be_at(node, &p.site.name, aggregate))
        };
        let with_place = self.types.iter().find(|name| has_place(name));
        with_place.or(self.types.first()).copied().unwrap_or("")
    }

    /// Asks for a node, once for each shape; answers under which key that is.
    async fn offers(&mut self, node: &Node, spec: &NodeSpec) -> Result<String> {
        let wanted = self.wanted(node);
        let shape = shape(spec);
        let said = |text: &Text| text.as_deref().unwrap_or_default().to_owned();
        let key = [
            wanted.to_owned(),
            said(&node.component_id),
            said(&node.component_name),
            Json::of(&shape)?.as_str().to_owned(),
        ]
        .join("\n");
        if !self.asked.contains_key(&key) {
            let offers = self.ask(node, wanted, &shape).await?;
            self.asked.insert(key.clone(), offers);
        }
        Ok(key)
    }

    async fn ask(
        &mut self,
        node: &Node,
        wanted: &str,
        shape: &NodeSpec,
    ) -> Result<Vec<(usize, Offer)>> {
        let aggregate = self.terms.aggregate;
        let fitting: Vec<(usize, &Place)> = self
            .places
            .iter()
            .enumerate()
            .filter(|(_, p)| p.sliver_type == wanted)
            .filter(|(_, p)| may_be_at(node, &p.site.name, aggregate))
            .collect();
        if fitting.is_empty() {
            return Err(self.nowhere(node, wanted));
        }
        let mut refused = None;
        let mut candidates = Vec::with_capacity(fitting.len());
        let mut asked = Vec::with_capacity(fitting.len());
        for (at, place) in &fitting {
            if self.silent.contains(at) {
                refused = Some(silent(place));
                continue;
            }
            asked.push((*at, *place));
            candidates.push(Candidate::<model::Node> {
                manager: Arc::clone(&place.manager),
                want: Want {
                    site: place.site.clone(),
                    credential: place.credential.id,
                    spec: shape.clone(),
                    key: None,
                    asking: Some(self.asking.clone()),
                },
            });
        }
        // What is not linked may be at several sites.
        let (env, all, together) = (&**self.call.host.env(), self.nodes, self.together);
        let enough = |answers: &[Answer]| {
            let rooms = || answers.iter().map(Answer::room);
            rooms().any(|room| room >= together) && rooms().fold(0, u64::saturating_add) >= all
        };
        let answers = ask_until(env, self.call.who, &candidates, enough).await;
        let mut offers: Vec<Offer> = Vec::new();
        let mut not_there = BTreeMap::new();
        let mut late = Vec::new();
        for ((at, place), answer) in asked.into_iter().zip(answers) {
            match answer {
                Answer::Said(Ok(some)) => {
                    let some = some.into_iter().filter(|o| o.existing.is_none());
                    let first = offers.len();
                    offers.extend(some);
                    let limited = offers.iter().skip(first).any(|o| o.nodes_left.is_some());
                    if limited && !self.taken.contains_key(&at) {
                        let (store, credential) = (&**self.call.host.store(), &place.credential);
                        let (there, cap) = (
                            (place.site.id, credential.id),
                            place.manager.capability(&place.site),
                        );
                        let nodes = waiting(store, &cap, there, self.others).await?;
                        not_there.insert(at, nodes);
                    }
                }
                Answer::Said(Err(e)) => {
                    if e.kind() == ErrorKind::Timeout {
                        late.push(at);
                    }
                    refused = Some(e.site(place.site.name.clone()));
                }
                Answer::Late => late.push(at),
            }
        }
        if let (Some(e), true) = (refused, offers.is_empty()) {
            return Err(e);
        }
        self.taken.extend(not_there);
        self.call.host.placement().rank(&mut offers);
        let by = |offer: &Offer| {
            let at = offer.place.as_ref()?;
            let own = |p: &Place| p.site.id == at.site && p.credential.id == at.credential;
            fitting.iter().find(|(_, p)| own(p)).map(|(n, _)| *n)
        };
        let offers = offers
            .into_iter()
            .filter_map(|offer| Some((by(&offer)?, offer)))
            .collect();
        self.silent.extend(late);
        Ok(offers)
    }

    fn nowhere(&self, node: &Node, wanted: &str) -> Error {
        let named = named(node);
        let making = self.places.iter().filter(|p| p.sliver_type == wanted);
        let sites: Vec<&str> = making.map(|p| &*p.site.name).collect();
        if !sites.is_empty() {
            let sites = sites.join(", ");
            let aggregate = self.terms.aggregate;
            let there = self.places.iter();
            let there = there.filter(|p| may_be_at(node, &p.site.name, aggregate));
            let types: Vec<&str> = there.map(|p| p.sliver_type).collect();
            if types.is_empty() {
                return Error::invalid(format!("{named} names a component that is not here"))
                    .code("unknown-component")
                    .advice(format!("the components are: {sites}"));
            }
            return Error::invalid(format!(
                "{named} names a component that makes no slivers of the type {:?}",
                short(wanted)
            ))
            .code("other-component")
            .advice(format!(
                "it makes {}; components of that type are: {sites}",
                types.join(", ")
            ));
        }
        Error::new(
            ErrorKind::Unavailable,
            format!("there is no site yet that this aggregate may use for {named}"),
        )
        .code("no-means")
        .advice(format!(
            "the operator has to give a site of this type, and a credential for it to {:?}",
            self.terms.means.tenant.0
        ))
    }

    /// The means that were chosen must still be there when the batch is written.
    async fn still(&self, into: &mut Batch) -> Result<()> {
        let mut used: Vec<CatalogId> = self
            .taken
            .keys()
            .filter_map(|at| self.places.get(*at))
            .map(|p| p.credential.id)
            .collect();
        used.sort_unstable();
        used.dedup();
        for credential in used {
            match self.call.host.catalog().still(None, credential).await? {
                Some(still) => into.expect.extend(still),
                None => {
                    return Err(Error::new(
                        ErrorKind::Busy,
                        "what this aggregate uses a site by was just removed",
                    )
                    .advice("call again"));
                }
            }
        }
        Ok(())
    }
}
