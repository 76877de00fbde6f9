//! A node that is a sliver: what is done with it, and what is told of it.

use std::sync::Arc;

use async_trait::async_trait;
use rm_core::backend::{Capability, Resize};
use rm_core::manager::ResourceManager;
use rm_core::model::{self, Action as Once, NodeSpec, NodeView, Power};
use rm_core::record::ResourceRecord;
use rm_core::resource::Resource;
use rm_core::store::Batch;
use rm_core::{Call, Caller, CatalogId, ErrorKind, Result};

use crate::geni::Urn;
use crate::geni::component::tell_place;
use crate::geni::rspec::Node;
use crate::geni::sliver::{Deed, Sliver, own_hold, tell_logins, unsupported};
use crate::geni::states::{Family, Operational, Standing};

/// A node that is a sliver.
#[derive(Debug)]
pub(super) struct NodeSliver {
    pub(super) node: Resource<model::Node>,
    /// What its host can do with it.
    pub(super) family: Family,
}

/// Whether who logs in to what runs can be changed: by a change in place, for
/// another would make another node of it.
pub(super) fn changes_users(capability: &Capability) -> bool {
    capability.users && capability.resize == Resize::InPlace
}

/// What can be asked of the nodes of a site. One whose site is gone from the
/// catalog is stopped and let go as ever.
pub(super) async fn family(
    call: &Call<'_>,
    manager: &dyn ResourceManager<model::Node>,
    site: CatalogId,
) -> Result<Family> {
    match call.host.catalog().site(&site.to_string()).await {
        Ok(site) if changes_users(&manager.capability(&site)) => Ok(Family::NODES_WITH_USERS),
        Ok(_) => Ok(Family::NODES),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Family::NODES),
        Err(e) => Err(e),
    }
}

#[async_trait]
impl Sliver for NodeSliver {
    fn record(&self) -> &ResourceRecord {
        self.node.record()
    }

    fn family(&self) -> Family {
        self.family
    }

    async fn again(&self, who: &Caller) -> Result<Box<dyn Sliver>> {
        Ok(Box::new(Self {
            node: self.node.again(who).await?,
            family: self.family,
        }))
    }

    fn write(
        &self,
        who: &Caller,
        deed: &Deed<'_>,
        into: &mut Batch,
    ) -> Result<Arc<ResourceRecord>> {
        let own = || own_hold(who, self.record());
        let mut draft = self.node.draft(who);
        match deed {
            Deed::Provision { users, until } => {
                draft.change(|spec| {
                    spec.users = users.to_vec();
                    Ok(())
                })?;
                draft.make()?;
                draft.renew(own()?, *until)?;
            }
            Deed::Start => draft.start()?,
            Deed::Stop => draft.stop()?,
            Deed::Restart => {
                let done = self.node.view()?.done;
                draft.change(|spec| spec.ask(Once::Reboot, done).map(drop))?;
            }
            Deed::Users(users) => draft.change(|spec| {
                spec.users = users.to_vec();
                Ok(())
            })?,
            Deed::KeepUsers => {
                // What was seen last is what was before.
                let seen = self.record().seen_spec.as_ref();
                let before = seen.map(|spec| spec.read::<NodeSpec>()).transpose()?;
                let before = before.map(|spec| spec.users).unwrap_or_default();
                draft.change(|spec| {
                    spec.users.clone_from(&before);
                    Ok(())
                })?;
            }
            Deed::Resize(_) => return Err(unsupported(self.record(), "has no slaves")),
            Deed::Renew(until) => draft.renew(own()?, *until)?,
            Deed::Release => draft.release(own()?)?,
        }
        Ok(draft.put(into))
    }
}

/// How a node stands.
pub(super) fn standing(record: &ResourceRecord) -> Standing {
    let read = |spec: &model::Json| spec.read::<NodeSpec>().ok();
    let seen = record.seen_spec.as_ref().and_then(read);
    let ran = seen
        .as_ref()
        .is_some_and(|spec| spec.power == Power::Running);
    let mut standing = Standing::of_record(record, ran);
    if standing.operational == Operational::ReadyBusy
        && let (Some(seen), Some(wanted)) = (seen, read(&record.place.spec))
        && seen.users != wanted.users
    {
        standing.operational = Operational::UpdatingUsers;
    }
    standing
}

/// Where it is and how it is reached, as far as that is known.
pub(super) fn tell(record: &ResourceRecord, aggregate: &Urn, ends: &[usize], node: &mut Node) {
    tell_place(node, aggregate, &record.place.site_name);
    let view = record.view.as_ref();
    let view: NodeView = view.and_then(|v| v.read().ok()).unwrap_or_default();
    let spec = record.place.spec.read::<NodeSpec>().ok();
    // The ends of links come behind what it is reached by.
    for (place, end) in ends.iter().zip(view.interfaces.iter().skip(1)) {
        if let Some(interface) = node.interfaces.get_mut(*place) {
            interface.mac_address = Some(end.mac.as_str().into());
        }
    }
    let address = view.interfaces.first().and_then(|i| i.addresses.first());
    if let Some(address) = address {
        let users = spec.map(|spec| spec.users).unwrap_or_default();
        tell_logins(node, &address.ip.to_string(), &users);
    }
}
