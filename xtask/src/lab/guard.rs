//! Labs that end with this program, however it ends.

use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};

use super::{Lab, oslab};
use crate::error::{At, Error, Result};

/// A process of its own group that takes the labs down once the pipe from
/// here is closed: by us at the end, by the kernel after Ctrl-C or kill -9.
#[derive(Debug)]
pub(crate) struct Guard(Child);

impl Guard {
    pub(crate) fn over(labs: &[&Lab]) -> Result<Self> {
        let run = oslab("guard")?.args(labs.iter().map(|lab| &lab.dir));
        let shown = run.shown().to_owned();
        let child = run
            .into_command()
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .at(shown)?;
        Ok(Self(child))
    }

    /// Take the labs down now.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.close()
    }

    fn close(&mut self) -> Result<()> {
        drop(self.0.stdin.take());
        let status = self.0.wait().at("waiting for the labs to end")?;
        if status.success() {
            return Ok(());
        }
        Err(Error::new("the labs could not be taken down; see above"))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            eprintln!("xtask: {error}");
        }
    }
}
