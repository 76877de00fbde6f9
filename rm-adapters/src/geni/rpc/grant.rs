//! Granting a request: all of it in one commit, or nothing.

use std::collections::BTreeSet;

use rm_core::env::Timestamp;
use rm_core::model::NodeUser;
use rm_core::store::{Batch, Outcome};
use rm_core::{Error, ErrorKind, Result};

use super::{Rpc, Urn};
use crate::geni::slice::{Ends, Opened, Prepared, Tries, Wish, read_request};
use crate::geni::sliver::{Refusal, SliverTerms};
use crate::geni::states::Allocation;

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
}
