//! Disks that are made anew.

use rm_libvirt::Error as Said;

use super::failure::failure;
use super::xml::{self, Boot};
use super::{Libvirt, partly};
use crate::driver::{Definition, Driver as _, Error, Result};

impl Libvirt {
    /// Makes the disk of a domain that does not run anew; whose it is stays.
    pub(super) async fn made_anew(&self, new: &Definition) -> Result<()> {
        if !self.features().reimage {
            return Err(self.cannot("make a disk anew"));
        }
        let handle = self.look_up(&new.name).await?;
        let definition = Definition {
            metadata: self.note(&handle).await?.unwrap_or_default(),
            ..new.clone()
        };
        if let Some(machines) = &self.machines {
            // What is wrong is found before the old disk goes.
            let begun = |e: &Error| !matches!(e, Error::Invalid(_) | Error::Image { .. });
            let parts = machines.make(&definition).await;
            let parts = parts.map_err(|e| partly(begun(&e), e))?;
            let (boot, drives) = (parts.boot(), parts.drives());
            let xml = xml::domain(self.kind, &definition, Some(handle.uuid), &boot, drives)
                .map_err(|e| partly(true, e))?;
            let defined = self.client.define_xml(&xml).await;
            defined.map_err(|e| partly(true, failure(&new.name, &e)))?;
            let forgotten = self.forget_snapshots(&handle).await;
            return forgotten.map_err(|e| partly(true, e));
        }
        let of = definition.clone();
        let anew = self.on_roots(move |roots| {
            let prepared = roots.prepare(&of)?;
            let init = prepared.init;
            let placed = roots.place(prepared, &of.name);
            placed.map_err(|e| partly(true, e))?;
            Ok((roots.root(&of.name), init))
        });
        let Some((root, init)) = anew.await? else {
            return Err(self.cannot("make a disk anew"));
        };
        let boot = Boot::Root { root: &root, init };
        let xml = xml::domain(self.kind, &definition, Some(handle.uuid), &boot, &[])
            .map_err(|e| partly(true, e))?;
        let defined = self.client.define_xml(&xml).await;
        let failed = |e: Said| partly(true, failure(&new.name, &e));
        defined.map(drop).map_err(failed)
    }
}
