//! Labs that end with this program, however it ends.

use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};

use super::Lab;
use crate::error::{At, Error, Result};

/// A process of its own group that takes the labs down once the pipe from
/// here is closed: by us at the end, by the kernel after Ctrl-C or kill -9.
#[derive(Debug)]
pub(crate) struct Guard(Child);

impl Guard {
    /// Over one lab or more, all of them clouds or none.
    pub(crate) fn over(labs: &[&Lab]) -> Result<Self> {
        let [first, rest @ ..] = labs else {
            return Err(Error::new("no lab to guard"));
        };
        if rest
            .iter()
            .any(|lab| lab.kind.is_cloud() != first.kind.is_cloud())
        {
            return Err(Error::new("one guard is for clouds alone, or for none"));
        }
        let run = first.script("guard")?.args(labs.iter().map(|lab| &lab.dir));
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
