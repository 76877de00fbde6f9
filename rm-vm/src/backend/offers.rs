//! For how many nodes a host has room, beside all that is there and all that is
//! to come.

use std::collections::{BTreeMap, BTreeSet};

use rm_core::Result;
use rm_core::backend::{Cx, Mark, Offer};
use rm_core::manager::to_come;
use rm_core::model::NodeSpec;

use super::Nodes;
use super::possible::possible;
use crate::addresses::{self, Taken};
use crate::driver::Disk;
use crate::failure::{at, failure};
use crate::hosts::Host;
use crate::links;
use crate::room::Room;

impl Nodes {
    /// What a host offers, or why it does not.
    pub(super) async fn offered(&self, cx: &Cx<'_>, want: &NodeSpec) -> Result<Vec<Offer>> {
        let host = self.hosts.of(cx)?;
        let failed = |e| failure(&host.name, "ask for room", e);
        self.admit(&host, want).await?;
        let wanted = links::plugged(&want.interfaces, host.id, &host.site)?;
        let image = self.image(cx, want).await?;
        possible(&host, &image, want)?;
        if cx.quick {
            return Ok(vec![Offer::room(None)]);
        }
        // What is not there yet when the host is asked is in this.
        let to_come = to_come(cx).await?;
        let driver = &host.driver;
        let asked = async { tokio::try_join!(host.room(), driver.shares(), driver.takes(&image)) };
        let (has, shares, takes) = asked.await.map_err(failed)?;
        let mut room =
            Room::of(&has, self.hosts.config().vcpus_per_cpu).of_image(&want.image.sha256, takes);
        let mut notes = Vec::with_capacity(shares.len());
        let mut there = BTreeSet::new();
        for share in shares {
            room.take(share.size);
            there.extend(Mark::resource_named(&share.name));
            notes.extend(share.metadata.map(|metadata| (share.name, metadata)));
        }
        let mut taken = Taken::of(&notes, "");
        let mut others = BTreeMap::from([(want.image.sha256.clone(), takes)]);
        for (id, spec) in to_come.iter().filter(|(id, _)| !there.contains(id)) {
            let takes = self.takes(cx, &host, spec, &mut others).await?;
            room.keep(spec, takes);
            if let Ok(plugged) = links::plugged(&spec.interfaces, host.id, &host.site) {
                // Where none is left for it, none is left for anybody.
                let name = format!("rm-{id}");
                let _ = addresses::choose(&name, &plugged, &host.site, &mut taken);
            }
        }
        let addresses = addresses::room(&wanted, &host.site, &taken);
        let left = room.nodes(want, addresses);
        if left == 0 {
            let none = addresses == Some(0);
            let pools = none.then(|| addresses::pools_for(&wanted, &host.site, &taken));
            return Err(room.short(&host.name, want, pools.as_deref()));
        }
        // An address that is asked for and taken is refused now.
        let chosen = addresses::choose("rm-offer", &wanted, &host.site, &mut taken);
        chosen.map_err(|e| at(&host.name, e))?;
        Ok(vec![Offer {
            why: room.told(want, addresses),
            disk: room.disk(want).into_iter().collect(),
            ..Offer::room(Some(left))
        }])
    }

    /// What a node takes of the host's disks, beside others of the same image.
    async fn takes(
        &self,
        cx: &Cx<'_>,
        host: &Host,
        spec: &NodeSpec,
        known: &mut BTreeMap<String, Disk>,
    ) -> Result<Disk> {
        if let Some(takes) = known.get(&spec.image.sha256) {
            return Ok(*takes);
        }
        let takes = match self.image(cx, spec).await {
            Ok(image) => {
                let takes = host.driver.takes(&image).await;
                takes.map_err(|e| failure(&host.name, "ask for room", e))?
            }
            // What the catalog does not have any more does not come.
            Err(_) => Disk::default(),
        };
        known.insert(spec.image.sha256.clone(), takes);
        Ok(takes)
    }
}

#[cfg(test)]
mod tests;
