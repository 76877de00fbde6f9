//! The host of containers: what it has, and what is seen of a cluster there
//! without asking the daemon.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::error::{At, Error, Result};
use crate::lab::Lab;
use crate::run::{Run, say};

/// The name of the site, and of its section in the configuration.
pub(super) const SITE: &str = "here";

/// What the lab's own file says of it.
#[derive(Debug)]
pub(super) struct Containers(Value);

impl Containers {
    pub(super) fn of(lab: &Lab) -> Result<Self> {
        let file = lab.dir.join("lab.json");
        let text = fs::read_to_string(&file).at(file.display())?;
        serde_json::from_str(&text).map(Self).at(file.display())
    }

    fn fact(&self, at: &str) -> Result<&str> {
        let found = self.0.pointer(at).and_then(Value::as_str);
        found.ok_or_else(|| Error::new(format!("the lab does not say its {at}")))
    }

    /// Where LXC's tools keep the containers.
    pub(super) fn path(&self) -> Result<&str> {
        self.fact("/lxcpath")
    }

    /// The archive that containers are made of.
    pub(super) fn archive(&self) -> Result<&str> {
        self.fact("/image/archive")
    }

    /// The section of the daemon's configuration for this host.
    pub(super) fn section(&self) -> Result<String> {
        Ok(format!(
            "\n[vm.sites.{SITE}]\nbridge = \"{}\"\n\
             pools = [{{first = \"{}\", last = \"{}\", prefix = 24}}]\n",
            self.fact("/bridge")?,
            self.fact("/ipv4/first")?,
            self.fact("/ipv4/last")?,
        ))
    }

    /// LXC's own tools see so many containers, and the master's page is read;
    /// answers the page.
    pub(super) fn sees(&self, address: &str, slaves: u64) -> Result<String> {
        let running = self.list(&["--running"])?;
        if u64::try_from(running.len()) != Ok(slaves + 1) {
            return Err(Error::new(format!(
                "{} containers run, and not {}",
                running.len(),
                slaves + 1
            )));
        }
        let page = page(address)?;
        say(format!(
            "lxc-ls: {} containers run; http://{address}/role: {page:?}",
            running.len()
        ));
        Ok(page)
    }

    /// LXC's own tools see no container at all.
    pub(super) fn sees_none(&self) -> Result<()> {
        match self.list(&[])?.as_slice() {
            [] => {
                say("lxc-ls: there is no container");
                Ok(())
            }
            left => Err(Error::new(format!("left behind: {}", left.join(", ")))),
        }
    }

    /// The same, as soon as the last ones that are going are gone.
    pub(super) fn sees_none_soon(&self) -> Result<()> {
        for _ in 0..60 {
            if self.list(&[])?.is_empty() {
                break;
            }
            thread::sleep(Duration::from_millis(500));
        }
        self.sees_none()
    }

    fn list(&self, more: &[&str]) -> Result<Vec<String>> {
        let run = Run::new("lxc-ls").args(["-P", self.path()?, "-1"]);
        let told = run.args(more).output()?;
        Ok(told.lines().map(str::to_owned).collect())
    }
}

/// Containers, bridges and mounts are root's.
pub(super) fn need_root() -> Result<()> {
    match fs::metadata("/proc/self").at("/proc/self")?.uid() {
        0 => Ok(()),
        _ => Err(Error::new(
            "containers, their bridge and their mounts need root: run \
             `sudo env PATH=\"$PATH\" cargo xtask demo --vm`, or in a machine of your own as root",
        )),
    }
}

fn page(address: &str) -> Result<String> {
    const LONG: Duration = Duration::from_secs(10);
    let at = format!("http://{address}/role");
    let mut stream = TcpStream::connect((address, 80)).at(&at)?;
    stream.set_read_timeout(Some(LONG)).at(&at)?;
    stream.write_all(b"GET /role HTTP/1.0\r\n\r\n").at(&at)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).at(&at)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.contains(" 200 ") => Ok(body.trim().to_owned()),
        _ => Err(Error::new(format!("{at} does not serve: {answer}"))),
    }
}
