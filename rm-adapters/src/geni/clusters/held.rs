//! A cluster that is a sliver, and what is done with it.

use std::sync::Arc;

use async_trait::async_trait;
use rm_core::clusters::MadeBy;
use rm_core::model::Cluster;
use rm_core::record::ResourceRecord;
use rm_core::resource::Resource;
use rm_core::store::Batch;
use rm_core::{Caller, Result};

use crate::geni::sliver::{Deed, Sliver, own_hold, unsupported};
use crate::geni::states::Family;

/// A cluster that is a sliver.
#[derive(Debug)]
pub(super) struct ClusterSliver {
    pub(super) cluster: Resource<Cluster>,
    pub(super) made_by: MadeBy,
}

#[async_trait]
impl Sliver for ClusterSliver {
    fn record(&self) -> &ResourceRecord {
        self.cluster.record()
    }

    fn family(&self) -> Family {
        Family::CLUSTERS
    }

    async fn again(&self, who: &Caller) -> Result<Box<dyn Sliver>> {
        Ok(Box::new(Self {
            cluster: self.cluster.again(who).await?,
            made_by: self.made_by.clone(),
        }))
    }

    fn write(
        &self,
        who: &Caller,
        deed: &Deed<'_>,
        into: &mut Batch,
    ) -> Result<Arc<ResourceRecord>> {
        let own = || own_hold(who, self.record());
        let cannot = |what: &str| Err(unsupported(self.record(), what));
        let mut draft = self.cluster.draft(who);
        match deed {
            Deed::Provision { users, until } => {
                if self.made_by.takes_users() {
                    draft.change(|spec| {
                        spec.users = users.to_vec();
                        Ok(())
                    })?;
                }
                draft.make()?;
                draft.renew(own()?, *until)?;
            }
            // It runs as soon as it is made.
            Deed::Start => {}
            Deed::Stop | Deed::Restart => return cannot("cannot be stopped without being deleted"),
            Deed::Users(_) | Deed::KeepUsers => {
                return cannot("lets in whom it let in when it was made");
            }
            Deed::Resize(slaves) => draft.change(|spec| {
                self.made_by.check_size(*slaves)?;
                spec.slaves = *slaves;
                Ok(())
            })?,
            Deed::Renew(until) => draft.renew(own()?, *until)?,
            Deed::Release => draft.release(own()?)?,
        }
        Ok(draft.put(into))
    }
}
