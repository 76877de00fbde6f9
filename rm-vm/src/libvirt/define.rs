//! Domains that are defined, with all that they are made of, or nothing of it.

use rm_libvirt::{Code, Domain as Handle, Uuid};

use super::Libvirt;
use super::failure::failure;
use super::kind::Kind;
use super::links;
use super::machines::Machines;
use super::xml::{self, Boot, Drive};
use crate::driver::{Definition, Driver as _, Error, Result, name};

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
        if !machines.makes_volumes() {
            let parts = machines.make(new).await?;
            return self.define_new(new, &parts.boot(), parts.drives()).await;
        }
        // What is wrong with a request is told before anything is there.
        machines.check(new)?;
        // The domain comes first, and says whose its volumes are.
        let begun = Definition {
            metadata: new.unfinished.clone(),
            ..new.clone()
        };
        let handle = self.define_as(&begun, None, &Boot::Nothing, &[]).await?;
        match self.finished(machines, new, &handle).await {
            Ok(()) => Ok(()),
            Err(e @ Error::Unclear(_)) => Err(e),
            // Somebody has found it, and finishes it or has done away with it.
            Err(Error::Exists(_)) => Err(self.overtaken(machines, new).await),
            Err(e) => Err(self.made_in_vain(new, &handle, e).await),
        }
    }

    /// Makes what a machine is made of, whose domain is there.
    async fn finished(&self, machines: &Machines, new: &Definition, handle: &Handle) -> Result<()> {
        let parts = machines.make(new).await?;
        if !self.is_unfinished(new, handle).await? {
            return Err(Error::Exists(new.name.clone()));
        }
        let (boot, drives) = (parts.boot(), parts.drives());
        let defined = self.define_as(new, Some(handle.uuid), &boot, drives);
        defined.await.map(drop)
    }

    /// Whether it is as it was shown first, and nobody has done anything with it.
    async fn is_unfinished(&self, new: &Definition, handle: &Handle) -> Result<bool> {
        Ok(self.note(handle).await?.as_ref() == Some(&new.unfinished))
    }

    /// What became of one that somebody else has found unfinished. What was made
    /// for it after he removed it goes, too.
    async fn overtaken(&self, machines: &Machines, new: &Definition) -> Error {
        let left = match self.absent(&new.name).await {
            Ok(()) => machines.remove(&new.name).await,
            there => there,
        };
        match left {
            Ok(()) => Error::Unavailable(format!("{:?} was removed while it was made", new.name)),
            Err(left) => Error::Unclear(left.to_string()),
        }
    }

    /// Defines what is written, unless there is a domain of this name.
    pub(super) async fn define_new(
        &self,
        new: &Definition,
        boot: &Boot<'_>,
        drives: &[Drive],
    ) -> Result<()> {
        self.define_as(new, None, boot, drives).await.map(drop)
    }

    /// The same, or defines that of this UUID anew.
    async fn define_as(
        &self,
        new: &Definition,
        uuid: Option<Uuid>,
        boot: &Boot<'_>,
        drives: &[Drive],
    ) -> Result<Handle> {
        let xml = xml::domain(self.kind, new, uuid, boot, drives)?;
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
                self.recent.keep_on(handle.clone(), links::of(new));
                return Ok(handle);
            }
            Err(said) => said,
        };
        // That the name is taken has no code of its own.
        let is_taken = uuid.is_none() && said.code() == Some(Code::OPERATION_FAILED);
        if is_taken && self.look_up(&new.name).await.is_ok() {
            return Err(Error::Exists(new.name.clone()));
        }
        Err(failure(&new.name, &said))
    }

    /// Removes what was made of a machine that is not finished, and says so where
    /// something of it is left.
    async fn made_in_vain(&self, new: &Definition, handle: &Handle, e: Error) -> Error {
        let removed = match self.is_unfinished(new, handle).await {
            Ok(true) => self.undefine(&new.name).await,
            Ok(false) => Err(Error::Exists(new.name.clone())),
            Err(unheard) => Err(unheard),
        };
        match removed {
            Ok(()) => e,
            Err(left) => Error::Unclear(format!(
                "{e}; and what was made of the machine may still be there: {left}"
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
