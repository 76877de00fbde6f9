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
        /// The first of its ten ports (default: some that are free)
        #[arg(long)]
        port_base: Option<u16>,
        /// How long a token lives
        #[arg(long)]
        token_seconds: Option<u32>,
        /// How many stacks a project may have
        #[arg(long)]
        max_stacks: Option<u32>,
    },
    /// Stop one, or both of the default folders
    Down {
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Show one, or both of the default folders
    Status {
        #[arg(long)]
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
                None if lab.exists() => None,
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
        Command::Down { dir } => each(dir.as_deref(), Lab::down),
        Command::Status { dir } => each(dir.as_deref(), Lab::status),
    }
}

fn each(dir: Option<&Path>, act: impl Fn(&Lab) -> Result<()>) -> Result<()> {
    // Which kind it is, its own settings know.
    if let Some(dir) = dir {
        return act(&Lab::new(Kind::Min, absolute(dir)?));
    }
    let labs: Vec<Lab> = [Kind::Min, Kind::Full]
        .map(|kind| Lab::new(kind, default_dir(kind)))
        .into_iter()
        .filter(Lab::exists)
        .collect();
    if labs.is_empty() {
        return Err(Error::new(
            "there is no lab; `cargo xtask lab up min` makes one",
        ));
    }
    labs.iter().try_for_each(act)
}
