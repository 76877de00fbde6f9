//! Quarantine: what the engine could not bring to where it is wanted and will
//! not guess about, whatever it is, and the ways out that a person has.

use std::sync::Arc;

use crate::caller::{Caller, Role};
use crate::error::{Error, ErrorKind, Result};
use crate::host::Core;
use crate::id::{RemoteId, ResourceId};
use crate::model::Node;
use crate::record::ResourceRecord;
use crate::resource::Resource;
use crate::store::{Cursor, Page, Versioned};
use crate::visible::{held, see};

/// Resources of any kind, as far as what is in quarantine can be led out: what
/// a door needs that does not know the model.
#[derive(Debug, Clone, Copy)]
pub struct Quarantine<'a> {
    core: &'a Arc<Core>,
}

impl<'a> Quarantine<'a> {
    pub(crate) fn new(core: &'a Arc<Core>) -> Self {
        Self { core }
    }

    /// What is in quarantine: everybody's for an operator, else what the caller
    /// may see. It is read in the order of lists, and a page is full unless the
    /// list ends with it. What is not in quarantine is not read, but for what
    /// other tenants have shown to the caller.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::Forbidden`] for who has no role.
    pub async fn list(
        &self,
        who: &Caller,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Arc<ResourceRecord>>> {
        let page = held(self.core, who, after, limit).await?;
        Ok(page.map(|row| row.record))
    }

    /// One resource that the caller may see, in quarantine or not.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::NotFound`] for what is gone, or not the caller's to
    /// see.
    pub async fn get(&self, who: &Caller, id: ResourceId) -> Result<Arc<ResourceRecord>> {
        Ok(self.see(who, id).await?.record)
    }

    /// Tries again what is in quarantine, which only an operator may, or what
    /// has failed; answers its record. See [`Resource::retry`].
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::Busy`] where there is nothing to try again;
    /// [`crate::ErrorKind::Forbidden`] for who holds nothing of it.
    pub async fn retry(&self, who: &Caller, id: ResourceId) -> Result<ResourceRecord> {
        let again = self.resource(who, id).await?.retry(who).await?;
        Ok(again.record().clone())
    }

    /// Takes what the site names so for its real thing, and goes on with it;
    /// answers its record. See [`Resource::adopt`].
    ///
    /// # Errors
    ///
    /// Those of [`Resource::adopt`].
    pub async fn adopt(
        &self,
        who: &Caller,
        id: ResourceId,
        remote: &RemoteId,
        reason: &str,
    ) -> Result<ResourceRecord> {
        who.need(Role::Operator)?;
        let resource = self.resource(who, id).await?;
        let adopted = resource.adopt(who, remote, reason).await?;
        Ok(adopted.record().clone())
    }

    /// Forgets it, whatever is left of it at the site. See
    /// [`Resource::abandon`].
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::Forbidden`] for anybody but an operator;
    /// [`crate::ErrorKind::Invalid`] without a reason;
    /// [`crate::ErrorKind::Busy`] where it is not in quarantine.
    pub async fn abandon(&self, who: &Caller, id: ResourceId, reason: &str) -> Result<()> {
        who.need(Role::Operator)?;
        self.resource(who, id).await?.abandon(who, reason).await
    }

    /// What the caller may see. Nobody is told which kind something has that is
    /// not theirs.
    async fn see(&self, who: &Caller, id: ResourceId) -> Result<Versioned<ResourceRecord>> {
        match see(self.core, who, id).await {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                Err(Error::not_found(format!("there is no resource {id}"))
                    .advice("it was deleted, or it never was yours; list those you have")
                    .resource(id))
            }
            seen => seen,
        }
    }

    /// The ways out read no spec and no view, so they are the same of every
    /// model.
    async fn resource(&self, who: &Caller, id: ResourceId) -> Result<Resource<Node>> {
        Ok(Resource::new(self.core, self.see(who, id).await?))
    }
}
