//! GENI's part of a demo: a testbed in a box, and public clients of it.

use std::fs;
use std::path::PathBuf;

use super::cli::Cli;
use super::containers::{self, Containers};
use super::story::chapter;
use super::{daemon, files};
use crate::error::{At, Error, Result};
use crate::paths;
use crate::run::Run;

/// Where the clients are.
fn clients() -> PathBuf {
    paths::root().join("lab/geni")
}

/// A small authority, and where the aggregate of it is reached.
#[derive(Debug)]
pub(super) struct Testbed {
    dir: PathBuf,
    url: String,
}

impl Testbed {
    pub(super) fn make(cli: &Cli) -> Result<Self> {
        let (dir, port) = (cli.home.join("box"), daemon::free_port()?);
        let place = dir.display().to_string();
        cli.run(&["geni", "init", &place, "--port", &port.to_string()])?;
        Ok(Self {
            dir,
            url: format!("https://127.0.0.1:{port}"),
        })
    }

    /// The section of the daemon's configuration that opens its door.
    pub(super) fn section(&self) -> Result<String> {
        let file = self.dir.join("geni.toml");
        fs::read_to_string(&file).at(file.display())
    }

    pub(super) fn tell(&self, cli: &mut Cli, containers: &Containers) -> Result<()> {
        chapter("the operator says which host and which image there are");
        cli.speak_as("operator");
        let url = format!("file:{}", containers.path()?);
        cli.run(&[
            "site",
            "add",
            containers::SITE,
            "--api",
            "lxc",
            "--url",
            &url,
        ])?;
        let archive = containers.archive()?;
        cli.run(&["image", "add", "small", archive, "--disk-format", "rootfs"])?;
        let file = cli.home.join("secret.json");
        files::private(&file, "{}\n")?;
        let file = file.display().to_string();
        let means = ["credential", "add", "means", "--site", containers::SITE];
        cli.run(&[&means[..], &["--secret-file", &file]].concat())?;

        chapter("an experimenter calls by version 2, with geni-lib as it is published");
        let python = paths::cache()?.join("geni-venv/bin/python");
        self.call(Run::new(python).arg(clients().join("v2.py")))?;
        containers.sees_none_soon()?;

        chapter("an experimenter calls by version 3, with Python's own library");
        self.call(Run::new(clients().join("v3.py")))?;
        containers.sees_none_soon()
    }

    fn call(&self, client: Run) -> Result<()> {
        client
            .arg(&self.url)
            .arg(&self.dir)
            .run()
            .map_err(|e| Error::new(format!("{e}; what it said is above")))
    }
}
