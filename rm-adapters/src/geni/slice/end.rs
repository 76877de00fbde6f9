//! How all that happens in a slice is ended. Nothing is deleted by it: what there
//! is can be looked into, and an operator says what becomes of it.

use rm_core::life::{State, Wanted};
use rm_core::{Error, ErrorKind};

use super::contract::SliceCall;
use super::{Have, Opened, mark, sliver_urn};
use crate::geni::sliver::{Deed, Refusal};
use crate::geni::states::Action;

/// How many slivers an answer names that still run.
const NAMED: usize = 20;

impl SliceCall<'_> {
    /// Ends all that happens in a slice; answers how many slivers that were. It
    /// is marked before anything is stopped: however much happens to its
    /// slivers, nobody else does any more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] where some of it cannot be stopped, which it
    /// names, and where it cannot be asked; the mark stays.
    pub(super) async fn end(&self, by: &str) -> Result<usize, Refusal> {
        let slice = self.slice;
        if mark(self.host, slice, by).await? {
            tracing::warn!(%slice, member = by, "a slice was shut down");
        }
        self.stop_all().await
    }

    /// Stops what runs in a slice and can stand still; answers how many slivers
    /// that were.
    async fn stop_all(&self) -> Result<usize, Refusal> {
        let slice = self.slice;
        let all = |opened: &Opened| Ok((0..opened.slivers.len()).collect());
        let (opened, parts) = self.with(all, true, &stop).await?;
        let stopped = parts.iter().filter(|p| p.record.is_some()).count();
        let mut runs = Vec::new();
        for part in parts {
            let have = opened.slivers.get(part.at);
            let (Some(have), Some(e)) = (have, part.error) else {
                continue;
            };
            let resource = have.id();
            tracing::warn!(%slice, %resource, error = %e, "a sliver cannot be stopped");
            let sliver = sliver_urn(&self.aggregate.urn, resource);
            runs.push(format!("{sliver} ({})", e.what()));
        }
        if !runs.is_empty() {
            return Err(self.still_runs(&runs).into());
        }
        // Of what is out of reach nobody can say that it has stopped.
        opened.is_whole()?;
        Ok(stopped)
    }

    /// That some of a slice which was shut down goes on.
    fn still_runs(&self, runs: &[String]) -> Error {
        let named: Vec<&str> = runs.iter().take(NAMED).map(String::as_str).collect();
        let more = match runs.len().saturating_sub(NAMED) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let what = format!(
            "{} is shut down, but of its slivers these may still run: {}{more}",
            self.slice,
            named.join(", ")
        );
        Error::new(ErrorKind::Unsupported, what)
            .code("still-runs")
            .advice(
                "the slice stays shut; the operator of the aggregate ends them by the last part \
                 of their names, a cluster with \"cluster delete\", what is in quarantine with \
                 \"quarantine\"; then call again",
            )
    }
}

/// What stops a sliver; nothing for one that does not run.
fn stop(have: &Have) -> Result<Option<Deed<'static>>, Refusal> {
    let record = have.sliver.record();
    let why = match record.wanted {
        Wanted::Running if have.sliver.family().has(Action::Stop) => return Ok(Some(Deed::Stop)),
        Wanted::Running => "what is of its kind cannot stand still",
        // It was to stand still, and nobody knows whether it does.
        Wanted::Stopped if record.seen == State::Quarantined => "it is in quarantine",
        _ => return Ok(None),
    };
    Err(Error::new(ErrorKind::Unsupported, why)
        .resource(record.id)
        .into())
}
