//! Snapshots: inside the disk of a machine, and of domains for tests.
//!
//! With a snapshot libvirt keeps what the domain was by then and, where it ran,
//! what it had in its memory. Here only the disk goes back: what a domain bears
//! and has stays as it is now, and it boots from that disk.

use rm_libvirt::{
    Code, DestroyFlags, Domain as Handle, RevertFlags, Snapshot, SnapshotDeleteFlags,
    SnapshotFlags, XmlFlags,
};

use super::failure::failure;
use super::{Libvirt, partly};
use crate::driver::{Driver as _, Error, Result, State, name};

impl Libvirt {
    pub(super) async fn snapshots_of(&self, of: &str) -> Result<Vec<String>> {
        if !self.features().snapshots {
            return Ok(Vec::new());
        }
        let handle = match self.look_up(of).await {
            Err(Error::NotFound(_)) => return Ok(Vec::new()),
            handle => handle?,
        };
        let all = self.client.list_snapshots(&handle).await;
        let all = all.map_err(|e| failure(of, &e))?.into_iter();
        let mut names: Vec<String> = all.map(|snapshot| snapshot.name).collect();
        names.sort_unstable();
        Ok(names)
    }

    pub(super) async fn make_snapshot(&self, of: &str, snapshot: &str) -> Result<()> {
        name(snapshot)?;
        if !self.features().snapshots {
            return Err(self.cannot("make a snapshot"));
        }
        let handle = self.look_up(of).await?;
        if let Some(machines) = &self.machines
            && !machines.has_disk(of).await?
        {
            return Err(self.cannot("make a snapshot of a machine without a disk of its own"));
        }
        if self.snapshot_of(&handle, snapshot).await?.is_some() {
            return Ok(());
        }
        let xml = format!("<domainsnapshot><name>{snapshot}</name></domainsnapshot>");
        let flags = SnapshotFlags::default();
        let made = self.client.create_snapshot(&handle, &xml, flags).await;
        made.map(drop).map_err(|e| failure(of, &e))
    }

    /// Where this is cut off, the domain is as the snapshot says, and standing
    /// still: then it is done once more.
    pub(super) async fn go_back(&self, of: &str, snapshot: &str) -> Result<()> {
        if !self.features().snapshots {
            return Err(self.cannot("go back to a snapshot"));
        }
        let handle = self.look_up(of).await?;
        let state = self.state(&handle).await?;
        if !matches!(state, State::Stopped | State::Crashed) {
            return Err(Error::NotNow {
                name: of.to_owned(),
                state,
                wanted: "restored",
            });
        }
        let Some(to) = self.snapshot_of(&handle, snapshot).await? else {
            return Err(Error::invalid(format!(
                "{of:?} has no snapshot {snapshot:?}"
            )));
        };
        let now = self.client.xml(&handle, XmlFlags::INACTIVE).await;
        let now = now.map_err(|e| failure(of, &e))?;
        // So that it does nothing with what was in its memory.
        let paused = self.client.revert_to_snapshot(&to, RevertFlags::PAUSED);
        paused.await.map_err(|e| failure(of, &e))?;
        let active = self.is_active(&handle).await;
        if active.map_err(|e| partly(true, e))? {
            let ended = self.client.destroy(&handle, DestroyFlags::default());
            let ended = ended.await;
            ended.map_err(|e| partly(true, failure(of, &e)))?;
        }
        let defined = self.client.define_xml(&now).await;
        defined.map(drop).map_err(|e| partly(true, failure(of, &e)))
    }

    /// What libvirt knows of snapshots that went with their disk.
    pub(super) async fn forget_snapshots(&self, handle: &Handle) -> Result<()> {
        if !self.features().snapshots {
            return Ok(());
        }
        let failed = |e| failure(&handle.name, &e);
        for snapshot in self.client.list_snapshots(handle).await.map_err(failed)? {
            let flags = SnapshotDeleteFlags::METADATA_ONLY;
            let forgotten = self.client.delete_snapshot(&snapshot, flags).await;
            forgotten.map_err(failed)?;
        }
        Ok(())
    }

    async fn snapshot_of(&self, handle: &Handle, snapshot: &str) -> Result<Option<Snapshot>> {
        match self.client.snapshot_by_name(handle, snapshot).await {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(e) if e.code() == Some(Code::NO_DOMAIN_SNAPSHOT) => Ok(None),
            Err(e) => Err(failure(&handle.name, &e)),
        }
    }
}
