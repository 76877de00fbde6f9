//! What a thing wrote to its console, read from its site.

use super::Resource;
use super::holder::holder;
use crate::caller::Caller;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Model;
use crate::survey;
use crate::visible::see;

/// No more is read at once, in bytes.
const MOST: usize = 1 << 20;

impl<M: Model> Resource<M> {
    /// The last of what it wrote to its console, at most so many bytes and
    /// never more than 1 MiB, as it is: whatever a guest wrote. For who holds
    /// it, or holds what it is a part of.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] for who holds nothing of it,
    /// [`ErrorKind::Busy`] as long as nothing is there or somebody else reads
    /// it at the site, and [`ErrorKind::Unsupported`] where the site has no console to be read.
    pub async fn console(&self, who: &Caller, most: usize) -> Result<Vec<u8>> {
        let core = &*self.core;
        let r = see(core, who, self.id()).await?.record;
        match r.part_of {
            Some(whole) => holder(who, &see(core, who, whole).await?.record)?,
            None => holder(who, &r)?,
        }
        let Some(remote) = &r.remote else {
            return Err(Error::new(ErrorKind::Busy, "it is not there yet")
                .advice("ask again when it runs")
                .resource(r.id));
        };
        let place = &r.place;
        let at = survey::open(core, &place.manager, place.site, place.credential).await?;
        let cx = at.cx(core);
        let call = at.driver.console(&cx, remote, most.min(MOST));
        let read = core.timed("console", at.cap.call_timeout, call).await;
        read.map_err(|e| e.resource(r.id))
    }
}
