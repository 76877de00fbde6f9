//! What runs machines and containers on one host, behind one trait.
//!
//! A driver knows the host and nothing of the house: domains by name, calls
//! that do one thing, errors that say what became of it. What one cannot do it
//! refuses with [`Error::Unsupported`], and declares in [`Features`] where a
//! request may ask for it; nothing is imitated.
//!
//! # Contract
//!
//! * Names are checked by [`name`] before anything else: what comes from
//!   outside never reaches a shell, a path or a document unread.
//! * [`Driver::define`] makes the whole domain with its metadata or nothing,
//!   and a name that is taken is [`Error::Exists`]: of two that define the same
//!   one at the same moment, one does.
//! * Calls on one domain wait for each other, those of other processes too
//!   where the host allows it.
//! * A call that is given up may still be carried out, as one on a far host
//!   would be. Each can be repeated: to start what runs is done already.
//! * After an error other than [`Error::Unclear`] nothing was changed.

use std::fmt;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use rm_core::model::{Address, NodeUser, Shaping};

mod error;

pub use error::{Error, Result};

/// Domains on one host.
#[async_trait]
pub trait Driver: fmt::Debug + Send + Sync + 'static {
    /// What it is called in messages: `lxc`, `libvirt-xen`.
    fn name(&self) -> &'static str;

    /// What it can do beside making, starting, stopping and destroying.
    fn features(&self) -> Features;

    /// What the host has and what of it is free.
    async fn host(&self) -> Result<Host>;

    /// Every domain of the host, whosever, in the order of their names; an
    /// answer that is not complete is an error.
    async fn list(&self) -> Result<Vec<Domain>>;

    /// Those of these that are there.
    async fn these(&self, names: &[String]) -> Result<Vec<Domain>>;

    /// What each domain of the host takes of it, whosever and whatever it is
    /// doing. None that is there is missing; of one that was there before, this
    /// may be what it took a minute ago.
    async fn shares(&self) -> Result<Vec<Share>> {
        let all = self.list().await?.into_iter();
        Ok(all.map(Share::from).collect())
    }

    /// The names and metadata of all domains that have some, whatever they are
    /// doing. None that is there is missing; of one that was there before, this
    /// may be what was first seen of it: for what never changes as long as there
    /// is a domain, as its interfaces.
    async fn notes(&self) -> Result<Vec<(String, String)>> {
        let all = self.list().await?.into_iter();
        Ok(all.filter_map(|d| Some((d.name, d.metadata?))).collect())
    }

    /// Refuses a domain that cannot be made, as far as that is known before its
    /// image is brought and its interfaces are chosen, without asking the host.
    fn check(&self, _new: &Definition) -> Result<()> {
        Ok(())
    }

    /// Whether snapshots can be made of a domain of this image, where that is not
    /// the same for all of them.
    fn keeps(&self, _image: &Image) -> bool {
        self.features().snapshots
    }

    /// The room for disks that domains of this image take at the least, where
    /// they are given none of a size of their own.
    async fn takes(&self, _image: &Image) -> Result<Disk> {
        Ok(Disk::default())
    }

    /// Removes what was begun and cut off before it said whose it is, and what
    /// nobody can come to need any more. What may still be on its way stays.
    async fn sweep_up(&self) -> Result<()> {
        Ok(())
    }

    /// Brings an image to where the host needs it; done at once where it is
    /// there. Only an image whose checksum is right is ever there.
    async fn bring(&self, image: &Image) -> Result<()>;

    /// Makes a domain that does not run, of an image that was brought: puts the
    /// seed into it, and shows it not later than [`Definition::by`], and only when
    /// it is whole; or before, so that what is made for it is never nobody's, with
    /// the text [`Definition::unfinished`] until then.
    async fn define(&self, new: &Definition) -> Result<()>;

    /// Replaces the domain's metadata, in one step.
    async fn annotate(&self, name: &str, metadata: &str) -> Result<()>;

    /// The same where it still has those of `before`, and false where somebody has
    /// written others meanwhile. Nobody of this machine comes in between; on a far
    /// host somebody may.
    async fn annotate_over(&self, name: &str, before: &str, metadata: &str) -> Result<bool> {
        let found = self.these(&[name.to_owned()]).await?;
        let now = found.into_iter().next().and_then(|d| d.metadata);
        if now.as_deref() != Some(before) {
            return Ok(false);
        }
        self.annotate(name, metadata).await.map(|()| true)
    }

    /// Starts it, and answers when it runs.
    async fn start(&self, name: &str) -> Result<()>;

    /// Asks it to stop, and stops it hard where it has not after `grace`;
    /// answers when it has stopped. No grace is no question.
    async fn stop(&self, name: &str, grace: Duration) -> Result<()>;

    /// Removes a domain that does not run, and everything that was made for
    /// it.
    async fn undefine(&self, name: &str) -> Result<()>;

    /// Lets it stand still.
    async fn suspend(&self, _name: &str) -> Result<()> {
        Err(self.cannot("suspend a domain"))
    }

    /// Lets it go on.
    async fn resume(&self, _name: &str) -> Result<()> {
        Err(self.cannot("resume a domain"))
    }

    /// Gives it another size: now where it runs, and for every later start.
    async fn resize(&self, name: &str, size: Size) -> Result<()>;

    /// The names of its snapshots; none where it is gone.
    async fn snapshots(&self, _name: &str) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Keeps its disk as it is now under a name. One that is there under this
    /// name is left as it is.
    async fn snapshot(&self, _name: &str, _snapshot: &str) -> Result<()> {
        Err(self.cannot("make a snapshot"))
    }

    /// Makes the disk of a domain that does not run what it was.
    async fn restore(&self, _name: &str, _snapshot: &str) -> Result<()> {
        Err(self.cannot("go back to a snapshot"))
    }

    /// Makes the disk of a domain that does not run anew, from the image and
    /// the seed of the definition. Snapshots that are in the disk go with it. So is
    /// finished what is there unfinished.
    async fn reimage(&self, _new: &Definition) -> Result<()> {
        Err(self.cannot("make a disk anew"))
    }

    /// Lets in who is to log in `now`, to a domain that runs, and no other key that
    /// let in somebody `before`. What a guest has let in by itself stays.
    async fn users(&self, _name: &str, _before: &[NodeUser], _now: &[NodeUser]) -> Result<()> {
        Err(self.cannot("change who logs in"))
    }

    /// The last of what it wrote to its console, at most so many bytes, as far
    /// as the host or the driver has kept it.
    async fn console(&self, _name: &str, _most: usize) -> Result<Vec<u8>> {
        Err(self.cannot("read a console"))
    }

    /// How an operator of the host reads the console of a domain.
    fn console_hint(&self, _name: &str) -> Option<String> {
        None
    }

    /// Tells of changes as they happen, from [`Event::Listening`] on. The stream
    /// ends where nothing is heard any more.
    async fn events(&self) -> Result<BoxStream<'static, Event>> {
        Err(self.cannot("tell what happens"))
    }

    /// The error for what is not declared.
    fn cannot(&self, what: &'static str) -> Error {
        Error::Unsupported {
            driver: self.name(),
            what,
        }
    }
}

/// What a driver can do beside making, starting, stopping and destroying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    /// Memory of what runs can be changed.
    pub live_memory: bool,
    /// Virtual processors of what runs can be changed.
    pub live_vcpus: bool,
    /// What runs can be suspended and resumed.
    pub suspend: bool,
    /// Snapshots can be made and gone back to.
    pub snapshots: bool,
    /// A disk can be made anew.
    pub reimage: bool,
    /// A disk can be given a size.
    pub disk_size: bool,
    /// Bridges or networks are made for links between nodes, and removed again.
    pub links: bool,
    /// What comes by an interface can be held to so much a second.
    pub rates: bool,
    /// What comes by an interface can come late, and be lost.
    pub delays: bool,
    /// Users, keys, user data and commands reach the guest.
    pub seed: bool,
    /// Who logs in to what runs can be changed.
    pub users: bool,
    /// The most processors that one domain can have; as many as the host gives
    /// where absent.
    pub vcpus: Option<u32>,
}

/// What a host has and what of it is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Host {
    /// Processors.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Memory that is free or can be freed, in MiB.
    pub free_memory_mib: u64,
    /// Room for disks in MiB; absent where the driver does not know.
    pub free_disk_mib: Option<u64>,
}

/// What domains of an image take of the room for disks, at the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Disk {
    /// The image itself in MiB, where it has still to be brought.
    pub once_mib: u64,
    /// Each domain in MiB.
    pub each_mib: u64,
}

/// A domain as the host shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Its name, unique on the host.
    pub name: String,
    /// What it is doing.
    pub state: State,
    /// Whether it does more than being stopped, or is known to have run since it
    /// was defined. A host may forget that when it starts anew.
    pub ran: bool,
    /// Changes with every start; absent where it does not run.
    pub boot: Option<String>,
    /// Its size.
    pub size: Size,
    /// What [`Driver::define`] and [`Driver::annotate`] have put there; absent
    /// where somebody else has made it.
    pub metadata: Option<String>,
}

/// What a domain takes of its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Its name, unique on the host.
    pub name: String,
    /// Its size.
    pub size: Size,
    /// What [`Driver::define`] and [`Driver::annotate`] have put there; absent
    /// where somebody else has made it.
    pub metadata: Option<String>,
}

impl From<Domain> for Share {
    fn from(domain: Domain) -> Self {
        Self {
            name: domain.name,
            size: domain.size,
            metadata: domain.metadata,
        }
    }
}

/// What a domain is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// It runs.
    Running,
    /// It stands still.
    Suspended,
    /// It does not run.
    Stopped,
    /// It is on its way from one of these to another.
    Moving,
    /// It broke.
    Crashed,
}

impl State {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Suspended => "suspended",
            Self::Stopped => "stopped",
            Self::Moving => "starting or stopping",
            Self::Crashed => "crashed",
        }
    }
}

/// The size of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Virtual processors.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
}

/// What a domain shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Its size.
    pub size: Size,
    /// What it is made of.
    pub image: Image,
    /// Room for its disk in MiB; as much as the image has where absent.
    pub disk_mib: Option<u64>,
    /// Its interfaces in order.
    pub nics: Vec<Nic>,
    /// What the guest is born with.
    pub seed: Seed,
    /// A text that is kept with the domain: whose it is.
    pub metadata: String,
    /// The text in its stead as long as not all is there that the domain is made
    /// of, where a driver shows it before that.
    pub unfinished: String,
    /// What [`Driver::define`] has not begun to show by then it does not show at
    /// all, for nobody looks for it any more.
    pub by: Option<Instant>,
}

impl Definition {
    /// Refuses to show it when it is too late.
    pub(crate) fn in_time(&self) -> Result<()> {
        match self.left() {
            Some(left) if left.is_zero() => Err(Error::Late(self.name.clone())),
            _ => Ok(()),
        }
    }

    /// How long there is still time to show it.
    pub(crate) fn left(&self) -> Option<Duration> {
        let by = self.by?;
        Some(by.saturating_duration_since(Instant::now()))
    }
}

/// What a domain is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its name, for messages.
    pub name: String,
    /// `file:` path, or an HTTP address.
    pub source: String,
    /// SHA-256 of its bytes, hexadecimal, small letters.
    pub sha256: String,
    /// `rootfs` (an archive), `raw`, `qcow2`, `kernel`, ...
    pub format: String,
}

/// An interface, complete. A VLAN is a bridge like any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    /// The bridge of the host.
    pub bridge: String,
    /// Its hardware address.
    pub mac: String,
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// Where other networks are reached, by family at most one.
    pub gateways: Vec<std::net::IpAddr>,
    /// How what comes by it is held back; only what [`Features::rates`] and
    /// [`Features::delays`] declare is asked for.
    pub shaping: Option<Shaping>,
}

/// What a guest is born with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seed {
    /// What it calls itself.
    pub hostname: String,
    /// Who can log in.
    pub users: Vec<NodeUser>,
    /// For its own cloud-init, as it is.
    pub user_data: String,
    /// Run by its shell when it first boots.
    pub boot_commands: Vec<String>,
}

/// What a host tells: a reason to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// From here on everything is told; what happened before may not have
    /// been.
    Listening,
    /// Something happened to a domain.
    Domain {
        /// Its name.
        name: String,
        /// What it is doing now, where the host says.
        state: Option<State>,
    },
}

/// Checks a name before it reaches the host: 1 to 63 letters, digits, hyphens,
/// dots and underscores, beginning with a letter or digit. So it is one
/// component of a path, one argument and one word everywhere.
///
/// # Errors
///
/// [`Error::Invalid`] for anything else.
pub fn name(name: &str) -> Result<&str> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let first = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric());
    if first && name.len() <= 63 && name.bytes().all(good) {
        return Ok(name);
    }
    Err(Error::invalid(
        "a name is 1 to 63 letters, digits, hyphens, dots and underscores, and begins with a letter or digit",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_everywhere() {
        for good in ["rm-0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21-2", "a", "0.b_c"] {
            assert!(name(good).is_ok(), "{good}");
        }
        let long = "x".repeat(64);
        for bad in [
            "", ".", "..", "-n", "a/b", "../a", "a b", "a\nb", "a'b", "a\"b", "a<b", "a&b", "a\0b",
            "ä", &long,
        ] {
            assert!(matches!(name(bad), Err(Error::Invalid(_))), "{bad:?}");
        }
    }
}
