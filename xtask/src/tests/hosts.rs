//! The hosts of machines and containers of a test run: they come up while the
//! code compiles.

use std::ffi::OsString;
use std::thread::{self, JoinHandle};

use crate::error::{Error, Result};
use crate::lab::{self, Guard, Kind, Lab, Traces};

/// What each is handed over as: the folder that has its `lab.json`.
const HOSTS: [(Kind, &str); 3] = [
    (Kind::Lxc, "RM_LAB_LXC"),
    (Kind::Libvirt, "RM_LAB_LIBVIRT"),
    (Kind::Xen, "RM_LAB_XEN"),
];

#[derive(Debug)]
pub(crate) struct Hosts {
    labs: Vec<Lab>,
    coming: Option<JoinHandle<Result<Traces>>>,
    guard: Guard,
    before: Option<Traces>,
}

impl Hosts {
    /// Clear what an earlier run left, and begin to bring all of them up.
    pub(crate) fn start() -> Result<Self> {
        let labs: Vec<Lab> = HOSTS
            .iter()
            .map(|(kind, _)| Lab::new(*kind, lab::folder(&format!("test-{}", kind.name()))))
            .collect();
        labs.iter().try_for_each(Lab::clear)?;
        let guard = Guard::over(&labs.iter().collect::<Vec<_>>())?;
        let coming = {
            let labs = labs.clone();
            thread::spawn(move || bring_up(&labs))
        };
        Ok(Self {
            labs,
            coming: Some(coming),
            guard,
            before: None,
        })
    }

    /// Wait until all answer; then what tests find them by.
    pub(crate) fn wait(&mut self) -> Result<Vec<(&'static str, OsString)>> {
        if let Some(coming) = self.coming.take() {
            let before = coming
                .join()
                .map_err(|_| Error::new("the thread of the hosts ended badly"))??;
            self.before = Some(before);
        }
        let folders = self.labs.iter().map(|lab| lab.dir.clone().into());
        Ok(HOSTS.iter().map(|(_, name)| *name).zip(folders).collect())
    }

    /// Take them down, and see that tests and labs left nothing behind.
    pub(crate) fn stop(self) -> Result<()> {
        self.guard.finish()?;
        match self.before {
            Some(before) => before.none_new(&[]),
            None => Ok(()),
        }
    }
}

/// What the machine had before the first of them was up, and once all had
/// what they need installed.
fn bring_up(labs: &[Lab]) -> Result<Traces> {
    labs.iter().try_for_each(Lab::install)?;
    let before = Traces::take(&[])?;
    labs.iter().try_for_each(|lab| lab.up(None, &[]))?;
    Ok(before)
}
