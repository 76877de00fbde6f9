//! What both versions do with slices: grant a request, change slivers, look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rm_core::env::Timestamp;
use rm_core::life::{State, Wanted};
use rm_core::model::NodeUser;
use rm_core::record::ResourceRecord;
use rm_core::store::{Batch, Outcome};
use rm_core::{Error, ErrorKind, ResourceId, Result};

use super::arguments::{About, Brought, Options, bad, credentials, slice_urn};
use super::list::document;
use super::{Answer, Rpc, Urn, Value};
use crate::geni::credentials::{Certificate, Operation};
use crate::geni::rspec::Rspec;
use crate::geni::slice::{
    Ends, Have, Opened, Prepared, Told, Tries, Wish, manifest, mark, read_request, resource_of,
    sliver_urn, until,
};
use crate::geni::sliver::{Deed, GeniSliver, Refusal, SliverTerms};
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
    pub(super) client_id: String,
    pub(super) request: usize,
    pub(super) adapter: Arc<dyn GeniSliver>,
    /// What it is now.
    pub(super) record: Arc<ResourceRecord>,
    /// When it ends, or would have ended.
    pub(super) until: Option<Timestamp>,
    /// Why what was asked for was not done with it.
    pub(super) error: Option<Error>,
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
        }
    }

    /// One of which nothing was changed.
    fn as_is(have: &Have, error: Option<Error>) -> Self {
        Self::of(have, Arc::new(have.sliver.record().clone()), error)
    }

    /// What was granted just now.
    pub(super) fn all(granted: &Prepared) -> Vec<Self> {
        let listed = granted.asked.slivers.iter().zip(&granted.slivers);
        listed
            .map(|(listed, (adapter, record))| Self {
                client_id: listed.client_id.clone(),
                request: 0,
                adapter: Arc::clone(adapter),
                until: until(record),
                record: Arc::clone(record),
                error: None,
            })
            .collect()
    }

    /// What there is to say of it, and of what it suffers from.
    pub(super) fn error(&self) -> String {
        match &self.error {
            Some(e) => e.to_string(),
            None if self.record.seen == State::Quarantined => format!(
                "it is in quarantine, where an operator of this aggregate must look at it: {}",
                self.record.reason
            ),
            None if self.adapter.standing(&self.record).operational == Operational::Failed => {
                self.record.reason.clone()
            }
            None => String::new(),
        }
    }
}

impl Rpc {
    /// Reads a request, apart from the threads that serve lines.
    pub(super) async fn wish(&self, rspec: &str) -> Result<Wish> {
        let (rspec, aggregate) = (rspec.to_owned(), self.aggregate.urn.clone());
        let read = move || read_request(&rspec, &aggregate);
        self.bench.take(read).await?
    }

    /// Grants a request in one commit, or nothing of it; `credential` ends then.
    pub(super) async fn grant(
        &self,
        slice: &Urn,
        wish: &Wish,
        credential: Timestamp,
        grant: Grant<'_>,
    ) -> Result<Prepared, Refusal> {
        let (host, aggregate) = (&*self.host, &self.aggregate);
        let means = aggregate.means();
        let mut tries = Tries::default();
        loop {
            let opened = Opened::read(host, &self.bench, slice).await?;
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
            let ends = Ends::of(host, aggregate.lifetimes, slice, credential);
            let terms = SliverTerms {
                aggregate: &aggregate.urn,
                means: &means,
                until: ends.first(grant.to, grant.end),
                users: grant.users,
                reserve: grant.to == Allocation::Allocated,
            };
            let mut batch = Batch::default();
            let prepared = wish.prepare(host, &opened, &terms, &mut batch).await?;
            let more = Some(&prepared.asked);
            let written = opened.write(host, batch, more, &BTreeSet::new()).await?;
            if let Outcome::Done(_) = written {
                return Ok(prepared);
            }
            tries.again(&**host.env()).await?;
        }
    }

    /// Does something with slivers of a slice in one commit: with all of those
    /// that are meant or with none, but for those that are left out where the
    /// caller wants as much as possible. `deed` says what is to be done with
    /// each; nothing for those that are as they should be.
    pub(super) async fn change<'d>(
        &self,
        slice: &Urn,
        about: &About,
        best_effort: bool,
        deed: impl Fn(&Have) -> Result<Option<Deed<'d>>, Refusal> + Send + Sync,
    ) -> Result<(Opened, Vec<Done>), Refusal> {
        let host = &*self.host;
        let mut tries = Tries::default();
        loop {
            let mut opened = Opened::read(host, &self.bench, slice).await?;
            opened.is_open()?;
            let chosen = self.chosen(&opened, about)?;
            let changed = opened.change(host, &chosen, best_effort, &deed).await?;
            if let Some(parts) = changed {
                let done = parts.into_iter().filter_map(|part| {
                    let have = opened.slivers.get(part.at)?;
                    Some(match part.record {
                        Some(record) => Done::of(have, record, part.error),
                        None => Done::as_is(have, part.error),
                    })
                });
                let done = done.collect();
                return Ok((opened, done));
            }
            tries.again(&**host.env()).await?;
        }
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

    /// Looks at slivers of a slice, and changes nothing.
    pub(super) async fn look(&self, slice: &Urn, about: &About) -> Result<(Opened, Vec<Done>)> {
        let opened = Opened::read(&self.host, &self.bench, slice).await?;
        let done = self
            .chosen(&opened, about)?
            .into_iter()
            .filter_map(|at| opened.slivers.get(at))
            .map(|have| Done::as_is(have, None))
            .collect();
        Ok((opened, done))
    }

    /// Refuses to make slivers for users whom their hosts can never let in.
    pub(super) async fn admits(
        &self,
        slice: &Urn,
        about: &About,
        users: &[NodeUser],
    ) -> Result<()> {
        let (opened, slivers) = self.look(slice, about).await?;
        let mut of: BTreeMap<&str, (&Arc<dyn GeniSliver>, Vec<&ResourceRecord>)> = BTreeMap::new();
        for done in &slivers {
            let (_, all) = of
                .entry(done.adapter.name())
                .or_insert_with(|| (&done.adapter, Vec::new()));
            all.push(&done.record);
        }
        let call = self.host.call(&opened.owner);
        for (adapter, slivers) in of.into_values() {
            adapter.admits(&call, &slivers, users).await?;
        }
        Ok(())
    }

    /// The slice that a call is about: the one that is named, or that of the
    /// first sliver; see [`of_one_slice`](Self::of_one_slice).
    pub(super) async fn slice_of(&self, about: &About) -> Result<Urn> {
        match about {
            About::Slice(slice) => Ok(slice.clone()),
            About::Slivers(urns) => {
                let first = urns.first().ok_or_else(|| bad("there is no URN"))?;
                self.slice_with(first).await
            }
        }
    }

    /// Refuses slivers of several slices; asked when it is known that the caller
    /// may look at this one.
    pub(super) async fn of_one_slice(&self, about: &About, slice: &Urn) -> Result<()> {
        let About::Slivers(urns) = about else {
            return Ok(());
        };
        for urn in urns.iter().skip(1) {
            if self.slice_with(urn).await? != *slice {
                return Err(bad("these slivers are of several slices")
                    .advice("name slivers of one slice in a call"));
            }
        }
        Ok(())
    }

    async fn slice_with(&self, sliver: &Urn) -> Result<Urn> {
        let missing = || no_sliver(sliver);
        let id = resource_of(&self.aggregate.urn, sliver).ok_or_else(missing)?;
        let row = self.host.store().resource(id).await?.ok_or_else(missing)?;
        let slice = row.record.tenant.0.parse::<Urn>().ok();
        slice.filter(Urn::is_slice).ok_or_else(missing)
    }

    /// The manifest of some slivers of a slice.
    pub(super) async fn manifest_of(&self, opened: &Opened, slivers: &[Done]) -> Result<Rspec> {
        let mut of: BTreeMap<usize, BTreeMap<String, _>> = BTreeMap::new();
        for done in slivers {
            let sliver = (Arc::clone(&done.adapter), Arc::clone(&done.record));
            let of = of.entry(done.request).or_default();
            of.insert(done.client_id.clone(), sliver);
        }
        let mut told = Vec::with_capacity(of.len());
        for (request, slivers) in of {
            let rspec = opened.rspec(&self.host, &self.bench, request).await?;
            told.push(Told { rspec, slivers });
        }
        self.manifest(told).await
    }

    /// The manifest of requests, made apart from the threads that serve lines.
    pub(super) async fn manifest(&self, told: Vec<Told>) -> Result<Rspec> {
        let records = told.iter().flat_map(|t| t.slivers.values());
        let expires = records.filter_map(|(_, record)| until(record)).min();
        let (aggregate, now) = (self.aggregate.urn.clone(), self.host.env().now());
        let make = move || manifest(&aggregate, &told, now, expires);
        self.bench.take(make).await?
    }

    /// Ends all that happens in a slice, for good; true of one that has nothing
    /// here, which can have nothing from then on. It is marked before anything is
    /// stopped: however much happens to its slivers, nobody else does any more.
    pub(super) async fn shutdown(
        &self,
        peer: &Certificate,
        arguments: &[Value],
    ) -> Result<Answer, Refusal> {
        let slice = slice_urn(arguments.first())?;
        let brought = credentials(arguments.get(1))?;
        let options = Options::of(arguments.get(2))?;
        let by = self
            .permit(peer, brought, options, &slice, Operation::Shutdown)
            .await?;
        let member = by.member.as_ref().map_or("nobody", Urn::as_str);
        if mark(&self.host, &slice, member, by.until).await? {
            tracing::warn!(%slice, member, "a slice was shut down");
        }
        let stopped = self.stop_all(&slice).await?;
        Ok(Answer::from(Value::Bool(true)).changing(&slice, &by, stopped))
    }

    /// Stops what runs in a slice; answers how many slivers that were.
    async fn stop_all(&self, slice: &Urn) -> Result<usize, Refusal> {
        let host = &*self.host;
        let stop = |have: &Have| -> Result<Option<Deed<'static>>, Refusal> {
            let runs = have.sliver.record().wanted == Wanted::Running;
            Ok(runs.then_some(Deed::Act(Action::Stop)))
        };
        let mut tries = Tries::default();
        loop {
            let mut opened = Opened::read(host, &self.bench, slice).await?;
            let all: Vec<usize> = (0..opened.slivers.len()).collect();
            let Some(parts) = opened.change(host, &all, true, &stop).await? else {
                tries.again(&**host.env()).await?;
                continue;
            };
            let stopped = parts.iter().filter(|p| p.record.is_some()).count();
            for part in parts {
                let resource = opened.slivers.get(part.at).map(Have::id);
                if let (Some(resource), Some(e)) = (resource, part.error) {
                    tracing::warn!(%slice, %resource, error = %e, "a sliver cannot be stopped");
                }
            }
            // Of what is out of reach nobody can say that it has stopped.
            opened.is_whole()?;
            return Ok(stopped);
        }
    }

    /// ListResources of version 2 with a slice: its manifest.
    pub(super) async fn list_slice(
        &self,
        peer: &Certificate,
        brought: Vec<Brought>,
        options: Options<'_>,
        slice: &Urn,
    ) -> Result<Answer, Refusal> {
        self.permit(peer, brought, options, slice, Operation::Look)
            .await?;
        let (opened, done) = self.look(slice, &About::Slice(slice.clone())).await?;
        let manifest = self.manifest_of(&opened, &done).await?;
        Ok(document(&manifest, options.flag("geni_compressed")?)?.into())
    }

    /// What GENI calls it.
    pub(super) fn sliver_urn(&self, record: &ResourceRecord) -> Urn {
        sliver_urn(&self.aggregate.urn, record.id)
    }
}

fn no_sliver(urn: &Urn) -> Error {
    Error::not_found(format!("{urn} is no sliver of this aggregate"))
        .code("no-sliver")
        .advice("it has expired or was deleted, or it is another aggregate's")
}
