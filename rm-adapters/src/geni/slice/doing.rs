//! What both versions do with slices: grant a request, change slivers, look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rm_core::env::Timestamp;
use rm_core::life::State;
use rm_core::manager::Asking;
use rm_core::model::NodeUser;
use rm_core::record::ResourceRecord;
use rm_core::store::{Batch, Outcome};
use rm_core::{Error, ErrorKind, Host, ResourceId, Result};

use super::contract::{About, Described, SliceCall, SliceTold, SliverTold};
use super::{
    Ends, Have, Opened, Prepared, Told, Tries, manifest, read_request, resource_of, sliver_urn,
    until,
};
use crate::geni::Urn;
use crate::geni::rspec::Rspec;
use crate::geni::sliver::{Deed, GeniSliver, Refusal, SliverTerms, Unfit};
use crate::geni::states::{Action, Allocation, Operational};

/// How a request is granted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grant<'a> {
    /// How far its slivers come at once.
    pub(super) to: Allocation,
    /// Who can log in, where that is known already.
    pub(super) users: &'a [NodeUser],
    /// When they should end.
    pub(super) end: Option<Timestamp>,
    /// Whether there may be slivers already.
    pub(super) once: bool,
}

/// A sliver that a call was about.
#[derive(Debug)]
pub(super) struct Done {
    client_id: String,
    request: usize,
    adapter: Arc<dyn GeniSliver>,
    /// What it is now.
    record: Arc<ResourceRecord>,
    /// When it ends, or would have ended.
    until: Option<Timestamp>,
    /// Why what was asked for was not done with it.
    error: Option<Error>,
    /// Whether who logs in to it can be changed while it runs.
    changes_users: bool,
}

impl Done {
    fn of(have: &Have, record: Arc<ResourceRecord>, error: Option<Error>) -> Self {
        Self {
            client_id: have.client_id.clone(),
            request: have.request,
            adapter: Arc::clone(&have.adapter),
            until: until(&record).or_else(|| until(have.sliver.record())),
            record,
            error,
            changes_users: have.sliver.family().has(Action::UpdateUsers),
        }
    }

    /// One of which nothing was changed.
    fn as_is(have: &Have, error: Option<Error>) -> Self {
        Self::of(have, Arc::new(have.sliver.record().clone()), error)
    }

    /// One that was deleted and has not gone.
    pub(super) fn gone(adapter: &Arc<dyn GeniSliver>, record: Arc<ResourceRecord>) -> Self {
        Self {
            client_id: record.name.clone(),
            request: 0,
            adapter: Arc::clone(adapter),
            // Clients read a date there, and its lease went with the delete.
            until: Some(record.updated),
            record,
            error: None,
            changes_users: false,
        }
    }

    pub(super) fn id(&self) -> ResourceId {
        self.record.id
    }

    /// What was granted just now.
    fn all(granted: &Prepared) -> Vec<Self> {
        let listed = granted.asked.slivers.iter().zip(&granted.slivers);
        listed
            .map(|(listed, (adapter, record))| Self {
                client_id: listed.client_id.clone(),
                request: 0,
                adapter: Arc::clone(adapter),
                until: until(record),
                record: Arc::clone(record),
                error: None,
                changes_users: false,
            })
            .collect()
    }

    fn told(&self, aggregate: &Urn) -> SliverTold {
        let mut standing = self.adapter.standing(&self.record);
        let held = self.record.seen == State::Quarantined;
        if held && standing.allocation == Allocation::Unallocated {
            standing.operational = Operational::Failed;
        }
        let error = match &self.error {
            Some(e) => e.to_string(),
            None if held && standing.allocation == Allocation::Unallocated => format!(
                "it was deleted and does not go; it is in quarantine, where an operator of this \
                 aggregate must look at it: {}",
                self.record.reason
            ),
            None if held => format!(
                "it is in quarantine, where an operator of this aggregate must look at it: {}",
                self.record.reason
            ),
            None if standing.operational == Operational::Failed => self.record.reason.clone(),
            None => match self.record.taken_back() {
                // The host wants what was before, and nobody looks into the guest.
                Some(why) if self.changes_users => format!(
                    "the last change was refused: {why}; where it was of users, some of their \
                     keys may be in or out: ask for the same users once more"
                ),
                Some(why) => format!("the last change was refused: {why}"),
                None => String::new(),
            },
        };
        SliverTold {
            urn: sliver_urn(aggregate, self.record.id),
            until: self.until,
            standing,
            error,
            refused: self.error.is_some(),
        }
    }
}

impl SliceCall<'_> {
    /// Grants a request in one commit, or nothing of it.
    pub(super) async fn grant(&self, rspec: &str, grant: Grant<'_>) -> Result<Described, Refusal> {
        let (host, aggregate, slice) = (self.host, self.aggregate, self.slice);
        // It is read apart from the threads that serve lines.
        let (rspec, ours) = (rspec.to_owned(), aggregate.urn.clone());
        let read = move || read_request(&rspec, &ours);
        let wish = self.bench.take(read).await??;
        let means = aggregate.means();
        let mut tries = Tries::default();
        loop {
            let opened = Opened::read(host, self.bench, slice).await?;
            opened.is_open()?;
            opened.is_whole()?;
            if grant.once && !opened.slivers.is_empty() {
                return Err(Error::new(
                    ErrorKind::Exists,
                    format!("{slice} has slivers here already"),
                )
                .code("already-exists")
                .advice("delete them first")
                .into());
            }
            self.is_apart(&opened, &wish).await?;
            let asking = Asking::default();
            let terms = SliverTerms {
                aggregate: &aggregate.urn,
                means: &means,
                until: self.ends().first(grant.to, grant.end),
                users: grant.users,
                reserve: grant.to == Allocation::Allocated,
                asking: &asking,
            };
            let mut batch = Batch::default();
            let mut prepared = wish.prepare(host, &opened, &terms, &mut batch).await?;
            prepared.asked.end = grant.end;
            let more = Some(&prepared.asked);
            let written = match opened.write(host, batch, more, &BTreeSet::new()).await {
                // Others were given the room: who asks again is told what is left.
                Err(e) if e.kind() == ErrorKind::NoCapacity => None,
                written => Some(written?),
            };
            if let Some(Outcome::Done(_)) = written {
                let told = self.told(&opened, &Done::all(&prepared));
                drop(opened);
                let manifest = self.manifest(vec![prepared.told()]).await?;
                return Ok(Described { told, manifest });
            }
            tries.again(&**host.env()).await?;
        }
    }

    /// The ends that this call can give.
    pub(super) fn ends(&self) -> Ends {
        let lifetimes = self.aggregate.lifetimes;
        Ends::of(self.host, lifetimes, self.slice, self.until)
    }

    /// Does something with slivers of a slice in one commit: with all of those
    /// that are meant or with none, but for those that are left out where the
    /// caller wants as much as possible. `deed` says what is to be done with
    /// each; nothing for those that are as they should be.
    pub(super) async fn change<'d>(
        &self,
        about: &About,
        best_effort: bool,
        deed: impl Fn(&Have) -> Result<Option<Deed<'d>>, Refusal> + Send + Sync,
    ) -> Result<(Opened, Vec<Done>), Refusal> {
        let choose = |opened: &Opened| {
            opened.is_open()?;
            let chosen = self.chosen(opened, about)?;
            self.is_all(opened, about)?;
            Ok(chosen)
        };
        self.changed(choose, best_effort, deed).await
    }

    /// The same with what is asked of each sliver apart, whatever the aggregate says
    /// of the others.
    pub(super) async fn change_some<'d>(
        &self,
        about: &About,
        best_effort: bool,
        deed: impl Fn(&Have) -> Result<Option<Deed<'d>>, Refusal> + Send + Sync,
    ) -> Result<(Opened, Vec<Done>), Refusal> {
        let choose = |opened: &Opened| {
            opened.is_open()?;
            self.chosen(opened, about)
        };
        self.changed(choose, best_effort, deed).await
    }

    async fn changed<'d>(
        &self,
        choose: impl Fn(&Opened) -> Result<Vec<usize>>,
        best_effort: bool,
        deed: impl Fn(&Have) -> Result<Option<Deed<'d>>, Refusal> + Send + Sync,
    ) -> Result<(Opened, Vec<Done>), Refusal> {
        let (opened, parts) = self.with(choose, best_effort, &deed).await?;
        let done = parts.into_iter().filter_map(|part| {
            let have = opened.slivers.get(part.at)?;
            Some(match part.record {
                Some(record) => Done::of(have, record, part.error),
                None => Done::as_is(have, part.error),
            })
        });
        let done = done.collect();
        Ok((opened, done))
    }

    /// The slivers that a call is about, by their places in the slice.
    fn chosen(&self, opened: &Opened, about: &About) -> Result<Vec<usize>> {
        opened.has_some()?;
        let About::Slivers(urns) = about else {
            opened.is_whole()?;
            return Ok((0..opened.slivers.len()).collect());
        };
        let there: BTreeMap<ResourceId, usize> = opened
            .slivers
            .iter()
            .enumerate()
            .map(|(at, have)| (have.id(), at))
            .collect();
        let mut chosen = Vec::with_capacity(urns.len());
        let mut named = BTreeSet::new();
        for urn in urns {
            let id = resource_of(&self.aggregate.urn, urn);
            if let Some(id) = id {
                opened.reaches(id)?;
            }
            let at = id.and_then(|id| there.get(&id)).copied();
            let at = at.ok_or_else(|| no_sliver(urn))?;
            if named.insert(at) {
                chosen.push(at);
            }
        }
        Ok(chosen)
    }

    /// Refuses some of the slivers that have come as far as each other, where the
    /// aggregate says that they belong together.
    pub(super) fn is_all(&self, opened: &Opened, about: &About) -> Result<()> {
        let About::Slivers(urns) = about else {
            return Ok(());
        };
        if !self.aggregate.single_allocation {
            return Ok(());
        }
        let ours = &self.aggregate.urn;
        let named: BTreeSet<ResourceId> = urns
            .iter()
            .filter_map(|urn| resource_of(ours, urn))
            .collect();
        let (in_it, out): (Vec<&Have>, Vec<&Have>) =
            opened.slivers.iter().partition(|h| named.contains(&h.id()));
        let far: BTreeSet<Allocation> = in_it.iter().map(|h| h.standing().allocation).collect();
        let mut out = out.iter().map(|h| h.standing().allocation);
        if !out.any(|allocation| far.contains(&allocation)) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            "these are not all slivers of the slice that have come as far",
        )
        .code("single-allocation")
        .advice("name the slice, or all of them: GetVersion says geni_single_allocation"))
    }

    /// Looks at slivers of a slice, and changes nothing.
    pub(super) async fn look(&self, about: &About) -> Result<(Opened, Vec<Done>)> {
        let opened = Opened::read(self.host, self.bench, self.slice).await?;
        let done = self.seen(&opened, about)?;
        Ok((opened, done))
    }

    /// The slivers that a call is about, as they are.
    pub(super) fn seen(&self, opened: &Opened, about: &About) -> Result<Vec<Done>> {
        let chosen = self.chosen(opened, about)?.into_iter();
        let have = chosen.filter_map(|at| opened.slivers.get(at));
        Ok(have.map(|have| Done::as_is(have, None)).collect())
    }

    /// Of slivers that are to be made for these users, those whose hosts can never
    /// let them in.
    pub(super) async fn unfit(&self, about: &About, users: &[NodeUser]) -> Result<Vec<Unfit>> {
        let (opened, slivers) = self.look(about).await?;
        let mut of: BTreeMap<&str, (&Arc<dyn GeniSliver>, Vec<&ResourceRecord>)> = BTreeMap::new();
        for done in &slivers {
            let (_, all) = of
                .entry(done.adapter.name())
                .or_insert_with(|| (&done.adapter, Vec::new()));
            all.push(&done.record);
        }
        let call = self.host.call(&opened.owner);
        let mut unfit = Vec::new();
        for (adapter, slivers) in of.into_values() {
            unfit.extend(adapter.unfit(&call, &slivers, users).await?);
        }
        Ok(unfit)
    }

    /// What is told of these slivers.
    pub(super) fn told(&self, opened: &Opened, slivers: &[Done]) -> SliceTold {
        let one = |done: &Done| done.told(&self.aggregate.urn);
        SliceTold {
            slice: opened.first_written().to_owned(),
            slivers: slivers.iter().map(one).collect(),
        }
    }

    /// The same with their manifest.
    pub(super) async fn described(&self, opened: &Opened, slivers: &[Done]) -> Result<Described> {
        let mut of: BTreeMap<usize, BTreeMap<String, _>> = BTreeMap::new();
        for done in slivers {
            let sliver = (Arc::clone(&done.adapter), Arc::clone(&done.record));
            let of = of.entry(done.request).or_default();
            of.insert(done.client_id.clone(), sliver);
        }
        let mut told = Vec::with_capacity(of.len());
        for (request, slivers) in of {
            let rspec = opened.rspec(self.host, self.bench, request).await?;
            told.push(Told { rspec, slivers });
        }
        Ok(Described {
            told: self.told(opened, slivers),
            manifest: self.manifest(told).await?,
        })
    }

    /// The manifest of requests, made apart from the threads that serve lines.
    async fn manifest(&self, told: Vec<Told>) -> Result<Rspec> {
        let records = told.iter().flat_map(|t| t.slivers.values());
        let expires = records.filter_map(|(_, record)| until(record)).min();
        let (aggregate, now) = (self.aggregate.urn.clone(), self.host.env().now());
        let make = move || manifest(&aggregate, &told, now, expires);
        self.bench.take(make).await?
    }
}

/// The slice that a call is about: the one that is named, or that of the first
/// sliver; see [`of_one_slice`].
pub(in crate::geni) async fn slice_of(host: &Host, aggregate: &Urn, about: &About) -> Result<Urn> {
    match about {
        About::Slice(slice) => Ok(slice.clone()),
        About::Slivers(urns) => match urns.first() {
            Some(first) => slice_with(host, aggregate, first).await,
            None => Err(Error::invalid("there is no URN").code("bad-arguments")),
        },
    }
}

/// Refuses slivers of several slices; asked when it is known that the caller may
/// look at this one.
pub(in crate::geni) async fn of_one_slice(
    host: &Host,
    aggregate: &Urn,
    about: &About,
    slice: &Urn,
) -> Result<()> {
    let About::Slivers(urns) = about else {
        return Ok(());
    };
    for urn in urns.iter().skip(1) {
        if slice_with(host, aggregate, urn).await? != *slice {
            return Err(Error::invalid("these slivers are of several slices")
                .code("bad-arguments")
                .advice("name slivers of one slice in a call"));
        }
    }
    Ok(())
}

async fn slice_with(host: &Host, aggregate: &Urn, sliver: &Urn) -> Result<Urn> {
    let missing = || no_sliver(sliver);
    let id = resource_of(aggregate, sliver).ok_or_else(missing)?;
    let row = host.store().resource(id).await?.ok_or_else(missing)?;
    let slice = row.record.tenant.0.parse::<Urn>().ok();
    slice.filter(Urn::is_slice).ok_or_else(missing)
}

fn no_sliver(urn: &Urn) -> Error {
    Error::not_found(format!("{urn} is no sliver of this aggregate"))
        .code("no-sliver")
        .advice("it has expired or was deleted, or it is another aggregate's")
}
