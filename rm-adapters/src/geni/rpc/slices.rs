//! What both versions do with slivers of a slice: change them, look, tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rm_core::env::Timestamp;
use rm_core::life::State;
use rm_core::model::NodeUser;
use rm_core::record::ResourceRecord;
use rm_core::{Error, ResourceId, Result};

use super::arguments::{About, bad};
use super::{Rpc, Urn};
use crate::geni::rspec::Rspec;
use crate::geni::slice::{
    Have, Opened, Prepared, Told, Tries, manifest, resource_of, sliver_urn, until,
};
use crate::geni::sliver::{Deed, GeniSliver, Refusal};
use crate::geni::states::Operational;

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
