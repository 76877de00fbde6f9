//! Shutdown, which both versions have.

use rm_core::life::Wanted;

use super::arguments::Options;
use super::{Answer, Rpc, Urn, Value};
use crate::geni::credentials::{Certificate, Operation};
use crate::geni::slice::{Have, Opened, Tries, mark};
use crate::geni::sliver::{Deed, Refusal};
use crate::geni::states::Action;

impl Rpc {
    /// Ends all that happens in a slice, for good; true of one that has nothing
    /// here, which can have nothing from then on. It is marked before anything is
    /// stopped: however much happens to its slivers, nobody else does any more.
    pub(super) async fn shutdown(
        &self,
        peer: &Certificate,
        arguments: &[Value],
    ) -> Result<Answer, Refusal> {
        let options = Options::of(arguments.get(2))?;
        let (slice, by) = self
            .on_slice(peer, arguments, options, Operation::Shutdown)
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
}
