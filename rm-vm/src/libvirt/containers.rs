//! Containers: their roots here, and their domains at libvirt, made together.

use std::collections::BTreeSet;

use rm_libvirt::ListFlags;

use super::Libvirt;
use super::failure::failure;
use super::roots::Roots;
use super::xml::Boot;
use crate::driver::{Definition, Driver as _, Error, Result};

impl Libvirt {
    /// Runs what blocks on the roots beside everything else.
    pub(super) async fn on_roots<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Roots) -> Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let Some(roots) = self.roots.clone() else {
            return Ok(None);
        };
        let done = tokio::task::spawn_blocking(move || what(&roots)).await;
        done.map(|done| done.map(Some)).unwrap_or_else(|_| {
            Err(Error::Unclear(
                "a call on a container was cut off by a defect of this program".to_owned(),
            ))
        })
    }

    /// Removes what those left who were cut off while they made a root.
    pub(super) async fn sweep_roots(&self) -> Result<()> {
        // Nobody's container is about to come to its root meanwhile.
        let Some(Some(_lock)) = self.on_roots(Roots::lock).await? else {
            return Ok(());
        };
        let all = self.client.list_domains(ListFlags::default()).await;
        let all = all.map_err(|e| failure("", &e))?.into_iter();
        let all: BTreeSet<String> = all.map(|domain| domain.name).collect();
        let swept = self.on_roots(move |roots| roots.sweep_up(&all)).await;
        swept.map(drop)
    }

    pub(super) async fn define_container(&self, new: &Definition) -> Result<()> {
        new.in_time()?;
        let definition = new.clone();
        let prepared = self
            .on_roots(move |roots| roots.prepare(&definition))
            .await?;
        // Of two who make the same one, one comes to see that it is there.
        let _lock = self.on_roots(Roots::lock).await?;
        let all = self.client.list_domains(ListFlags::default()).await;
        let all = all.map_err(|e| failure("", &e))?;
        let all: BTreeSet<String> = all.into_iter().map(|domain| domain.name).collect();
        if all.contains(&new.name) {
            return Err(Error::Exists(new.name.clone()));
        }
        self.on_roots(move |roots| roots.sweep(&all)).await?;
        let of = new.name.clone();
        let placed = self.on_roots(move |roots| {
            let Some(prepared) = prepared else {
                return Err(Error::NotFound(of));
            };
            let init = prepared.init;
            roots.place(prepared, &of)?;
            Ok((roots.root(&of), init))
        });
        let Some((root, init)) = placed.await? else {
            return Err(self.cannot("make containers"));
        };
        let defined = self
            .define_new(new, &Boot::Root { root: &root, init }, &[])
            .await;
        // Where there is one, the root is that one's: another define of this name
        // may have been heard of by nobody.
        let in_vain = |e: &Error| !matches!(e, Error::Unclear(_) | Error::Exists(_));
        if defined.as_ref().is_err_and(in_vain) {
            if let Err(there) = self.absent(&new.name).await {
                return Err(match there {
                    Error::Exists(_) => there,
                    unheard => Error::Unclear(unheard.to_string()),
                });
            }
            let of = new.name.clone();
            self.on_roots(move |roots| roots.remove(&of)).await?;
        }
        defined
    }
}
