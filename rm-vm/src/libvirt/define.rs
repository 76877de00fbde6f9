//! Domains that are defined, with all that they are made of, or nothing of it.

use rm_libvirt::Code;

use super::Libvirt;
use super::failure::failure;
use super::kind::Kind;
use super::links;
use super::machines::Machines;
use super::xml::{self, Boot, Drive};
use crate::driver::{Definition, Error, Result, name};

impl Libvirt {
    /// Makes a domain that does not run, of an image that was brought.
    pub(super) async fn defined(&self, new: &Definition) -> Result<()> {
        name(&new.name)?;
        self.can_link(new).await?;
        if self.kind == Kind::Lxc {
            return self.define_container(new).await;
        }
        let Some(machines) = &self.machines else {
            return self.define_new(new, &Boot::Nothing, &[]).await;
        };
        if machines.makes_volumes() {
            // Those of a machine that is there are not made anew.
            self.absent(&new.name).await?;
        }
        let parts = match machines.make(new).await {
            Ok(parts) => parts,
            Err(e) => return Err(self.made_in_vain(machines, &new.name, e).await),
        };
        match self.define_new(new, &parts.boot(), parts.drives()).await {
            Err(e @ Error::Unclear(_)) => Err(e),
            Err(e) => Err(self.made_in_vain(machines, &new.name, e).await),
            Ok(()) => Ok(()),
        }
    }

    /// Defines what is written, unless there is a domain of this name.
    pub(super) async fn define_new(
        &self,
        new: &Definition,
        boot: &Boot<'_>,
        drives: &[Drive],
    ) -> Result<()> {
        let xml = xml::domain(self.kind, new, None, boot, drives)?;
        let left = match boot {
            // Its root may have taken long to copy, and would take as long the
            // next time: whoever looks finds it.
            Boot::Root { .. } => None,
            _ => {
                new.in_time()?;
                new.left()
            }
        };
        // What waits for its turn on the connection for longer is not sent.
        let client = match left {
            Some(left) => self.client.within(left.min(self.call_timeout)),
            None => self.client.clone(),
        };
        let said = match client.define_xml(&xml).await {
            Ok(handle) => {
                self.recent.keep_on(handle, links::of(new));
                return Ok(());
            }
            Err(said) => said,
        };
        // That the name is taken has no code of its own.
        if said.code() == Some(Code::OPERATION_FAILED) && self.look_up(&new.name).await.is_ok() {
            return Err(Error::Exists(new.name.clone()));
        }
        Err(failure(&new.name, &said))
    }

    /// Removes what was made of a machine that is not defined, and says so where
    /// something of it is left.
    async fn made_in_vain(&self, machines: &Machines, of: &str, e: Error) -> Error {
        // Of two who make the same one, the other has it.
        if matches!(e, Error::Exists(_)) || !machines.makes_volumes() {
            return e;
        }
        let removed = match self.absent(of).await {
            Ok(()) => machines.remove(of).await,
            Err(there @ Error::Exists(_)) => return there,
            Err(unheard) => Err(unheard),
        };
        match removed {
            Ok(()) => e,
            Err(left) => Error::Unclear(format!(
                "{e}; and what was made of the machine may still be in the pool: {left}"
            )),
        }
    }

    pub(super) async fn absent(&self, of: &str) -> Result<()> {
        match self.look_up(of).await {
            Ok(_) => Err(Error::Exists(of.to_owned())),
            Err(Error::NotFound(_)) => Ok(()),
            Err(e) => Err(e),
        }
    }
}
