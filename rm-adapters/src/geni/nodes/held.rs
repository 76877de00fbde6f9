//! A node that is a sliver: what is done with it, and what is told of it.

use std::sync::Arc;

use async_trait::async_trait;
use rm_core::model::{self, Action as Once, NodeSpec, NodeView, Power};
use rm_core::record::ResourceRecord;
use rm_core::resource::Resource;
use rm_core::store::Batch;
use rm_core::{Caller, Error, ErrorKind, Result};

use super::component;
use crate::geni::Urn;
use crate::geni::rspec::{Host, Login, Node, Services};
use crate::geni::sliver::{Deed, Sliver};
use crate::geni::states::{Action, Standing};

/// A node that is a sliver.
#[derive(Debug)]
pub(super) struct NodeSliver(pub(super) Resource<model::Node>);

#[async_trait]
impl Sliver for NodeSliver {
    fn record(&self) -> &ResourceRecord {
        self.0.record()
    }

    async fn again(&self, who: &Caller) -> Result<Box<dyn Sliver>> {
        Ok(Box::new(Self(self.0.again(who).await?)))
    }

    fn write(
        &self,
        who: &Caller,
        deed: &Deed<'_>,
        into: &mut Batch,
    ) -> Result<Arc<ResourceRecord>> {
        let mut draft = self.0.draft(who);
        match deed {
            Deed::Provision { users, until } => {
                draft.change(|spec| {
                    spec.users = users.to_vec();
                    Ok(())
                })?;
                draft.make()?;
                draft.renew(own(who, self.record())?, *until)?;
            }
            Deed::Act(Action::Start) => draft.start()?,
            Deed::Act(Action::Stop) => draft.stop()?,
            Deed::Act(Action::Restart) => {
                let done = self.0.view()?.done;
                draft.change(|spec| spec.ask(Once::Reboot, done).map(drop))?;
            }
            Deed::Renew(until) => draft.renew(own(who, self.record())?, *until)?,
            Deed::Release => draft.release(own(who, self.record())?)?,
        }
        Ok(draft.put(into))
    }
}

/// The caller's hold; a sliver has no other.
fn own(who: &Caller, record: &ResourceRecord) -> Result<rm_core::HoldId> {
    let hold = record.holds.iter().find(|h| h.user == who.user);
    hold.map(|h| h.id).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "the sliver is not held any more").resource(record.id)
    })
}

/// How a node stands.
pub(super) fn standing(record: &ResourceRecord) -> Standing {
    let seen = record.seen_spec.as_ref();
    let seen = seen.and_then(|spec| spec.read::<NodeSpec>().ok());
    let ran = seen.is_some_and(|spec| spec.power == Power::Running);
    Standing::of_record(record, ran)
}

/// Where it is and how it is reached, as far as that is known.
pub(super) fn tell(record: &ResourceRecord, aggregate: &Urn, ends: &[usize], node: &mut Node) {
    let site = &record.place.site_name;
    node.component_id = Some(component(aggregate, site).as_str().into());
    node.component_name = Some(site.as_str().into());
    node.exclusive = Some("false".into());
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
    let Some(address) = address.map(|a| a.ip.to_string()) else {
        return;
    };
    node.hosts = vec![Host {
        name: Some(address.as_str().into()),
        ..Host::default()
    }];
    let logins = spec.map(|spec| spec.users).unwrap_or_default();
    if logins.is_empty() {
        return;
    }
    if node.services.is_empty() {
        node.services.push(Services::default());
    }
    if let Some(services) = node.services.first_mut() {
        services.logins = logins
            .iter()
            .map(|user| Login {
                authentication: Some("ssh-keys".into()),
                hostname: Some(address.as_str().into()),
                port: Some("22".into()),
                username: Some(user.name.as_str().into()),
                ..Login::default()
            })
            .collect();
    }
}
