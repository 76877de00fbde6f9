//! `cargo xtask lab`: a lab for a person to work with.

use std::path::{Path, PathBuf};

use super::{Kind, Lab, absolute, default_dir, free_port_base};
use crate::error::{Error, Result};
use crate::run::say;

#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Bring one up; again, what is there is kept
    Up {
        kind: Kind,
        /// Where it is kept (default: target/lab/dev-KIND)
        #[arg(long)]
        dir: Option<PathBuf>,
        /// A cloud: the first of its ten ports (default: some that are free)
        #[arg(long)]
        port_base: Option<u16>,
        /// A cloud: how long a token lives
        #[arg(long)]
        token_seconds: Option<u32>,
        /// A cloud: how many stacks a project may have
        #[arg(long)]
        max_stacks: Option<u32>,
    },
    /// Stop these, or what is in a folder, or all in default folders
    Down {
        kinds: Vec<Kind>,
        #[arg(long, conflicts_with = "kinds")]
        dir: Option<PathBuf>,
    },
    /// Show these, or what is in a folder, or all in default folders
    Status {
        kinds: Vec<Kind>,
        #[arg(long, conflicts_with = "kinds")]
        dir: Option<PathBuf>,
    },
}

pub(crate) fn command(command: &Command) -> Result<()> {
    match command {
        Command::Up {
            kind,
            dir,
            port_base,
            token_seconds,
            max_stacks,
        } => {
            let dir = match dir {
                Some(dir) => absolute(dir)?,
                None => default_dir(*kind),
            };
            let lab = Lab::new(*kind, dir);
            let base = match port_base {
                Some(base) => Some(*base),
                None if lab.exists() || !kind.is_cloud() => None,
                None => Some(free_port_base(27200)?),
            };
            let options: Vec<String> = [
                ("--token-seconds", token_seconds),
                ("--max-stacks", max_stacks),
            ]
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| format!("{name}={value}")))
            .collect();
            lab.up(base, &options)?;
            say(format!(
                "stop it with: cargo xtask lab down --dir {}",
                lab.dir.display()
            ));
            Ok(())
        }
        Command::Down { kinds, dir } => each(kinds, dir.as_deref(), Lab::down),
        Command::Status { kinds, dir } => each(kinds, dir.as_deref(), Lab::status),
    }
}

fn each(kinds: &[Kind], dir: Option<&Path>, act: impl Fn(&Lab) -> Result<()>) -> Result<()> {
    if let Some(dir) = dir {
        let dir = absolute(dir)?;
        return act(&Lab::new(Kind::of(&dir), dir));
    }
    let labs: Vec<Lab> = match kinds {
        [] => Kind::ALL.as_slice(),
        some => some,
    }
    .iter()
    .map(|kind| Lab::new(*kind, default_dir(*kind)))
    .filter(Lab::exists)
    .collect();
    if labs.is_empty() {
        return Err(Error::new(
            "there is no such lab; `cargo xtask lab up` makes one",
        ));
    }
    labs.iter().try_for_each(act)
}
