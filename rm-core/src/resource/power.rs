//! Start and stop: what is wanted of a thing that is there, written into its
//! spec, so that they reach the real thing as every other change does.

use super::holder::holder;
use super::{Resource, respec};
use crate::caller::Caller;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Core;
use crate::life::{Verb, Wanted};
use crate::model::{Model, Power};
use crate::record::ResourceRecord;
use crate::store::Batch;

impl<M: Model> Resource<M> {
    /// Runs what is stopped, suspended or only reserved.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] where it runs or is on its way.
    pub async fn start(&self, who: &Caller) -> Result<Self> {
        self.turn(who, Verb::Start, Power::Running).await
    }

    /// Stops what runs; it stays there with its disk and its addresses.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] where it does not run, [`ErrorKind::Unsupported`]
    /// where the model knows no difference.
    pub async fn stop(&self, who: &Caller) -> Result<Self> {
        self.turn(who, Verb::Stop, Power::Stopped).await
    }

    async fn turn(&self, who: &Caller, verb: Verb, to: Power) -> Result<Self> {
        self.update(who, verb, |core, r, batch| {
            holder(who, r)?;
            turn::<M>(core, r, batch, &who.user, to)
        })
        .await
    }
}

/// The intent that it runs or does not; what is only reserved is to be made.
pub(super) fn turn<M: Model>(
    core: &Core,
    r: &mut ResourceRecord,
    batch: &mut Batch,
    by: &str,
    to: Power,
) -> Result<()> {
    let reserved = r.wanted == Wanted::Reserved;
    if reserved {
        // From here on it is to be made.
        r.wanted = Wanted::Running;
        r.renew_intent();
        batch.events.push(core.event(
            r,
            "start-requested",
            serde_json::json!({"by": by, "wanted": r.wanted, "generation": r.generation}),
        ));
    }
    respec::<M>(core, r, batch, by, &|spec| match M::power(spec) {
        Some(power) => {
            *power = to;
            Ok(())
        }
        None if reserved => Ok(()),
        None => Err(Error::new(
            ErrorKind::Unsupported,
            format!("a {} cannot be stopped without being deleted", M::NAME),
        )
        .advice("delete it, and ask for another one later")),
    })
}
