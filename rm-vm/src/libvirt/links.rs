//! Networks of libvirt for links between its domains, each a bridge with nobody
//! on it but them: made before a domain that is on it starts, removed with the
//! last one that is defined on it.
//!
//! A network bears our element, so that what others have made is never touched.
//! It lasts as long as the host runs; who starts later makes it again.
//!
//! A domain is defined before its networks are made, and who removes one that it
//! sees has asked for all definitions since. In one process starts and removals
//! wait for each other. Another process may define and start a new end of the
//! link after the question: so a network into which somebody is plugged is never
//! removed, and who has started looks whether its networks are still those that
//! it found.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quick_xml::Reader;
use quick_xml::events::Event;
use rm_libvirt::{
    Code, CreateFlags, DestroyFlags, Domain as Handle, Error as Said, Network, XmlFlags,
};
use tokio::sync::RwLock;

use super::failure::failure;
use super::known::Want;
use super::{Libvirt, partly, read};
use crate::driver::{Definition, Driver as _, Error, Result, State};
use crate::links::is_link;

/// The namespace of the element that says that a network is ours.
const NAMESPACE: &str = "urn:resource-manager:link";
/// How often a domain is started whose network was removed meanwhile.
const TRIES: u32 = 3;
/// What was asked longer ago than this is not acted upon.
const SOON: Duration = Duration::from_secs(1);

/// Who waits for whom.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// Shared by who starts, alone with who removes.
    turn: RwLock<()>,
    /// Nothing of a crash is left, as far as is known.
    swept: AtomicBool,
}

/// The links that a definition is on.
pub(super) fn of(new: &Definition) -> BTreeSet<String> {
    let bridges = new.nics.iter().map(|nic| nic.bridge.clone());
    bridges.filter(|bridge| is_link(bridge)).collect()
}

impl Libvirt {
    /// Refuses what is on a link where libvirt makes no networks.
    pub(super) async fn can_link(&self, new: &Definition) -> Result<()> {
        if of(new).is_empty() {
            return Ok(());
        }
        match self.client.list_networks().await {
            Ok(_) => Ok(()),
            Err(e) if e.code() == Some(Code::NO_SUPPORT) => {
                Err(self.cannot("make links between nodes: its libvirt has no driver of networks"))
            }
            Err(e) => Err(failure(&new.name, &e)),
        }
    }

    /// Starts it, on all links that it is defined on.
    pub(super) async fn start_linked(&self, handle: &Handle) -> Result<()> {
        let links = self.links_of(handle).await?;
        if links.is_empty() {
            let started = self.begin(handle).await;
            return self.begun(handle, started).await;
        }
        for _ in 0..TRIES {
            let _turn = self.links.turn.read().await;
            let networks = self.networks(&links).await?;
            let started = self.begin(handle).await;
            let is_lost = match &started {
                Ok(()) => !self
                    .are_there(&networks)
                    .await
                    .map_err(|e| partly(true, e))?,
                Err(e) => e.code() == Some(Code::NO_NETWORK),
            };
            if !is_lost {
                return self.begun(handle, started).await;
            }
            if started.is_ok() {
                // It is on nothing.
                let ended = self.client.destroy(handle, DestroyFlags::default()).await;
                ended.map_err(|e| partly(true, failure(&handle.name, &e)))?;
            }
        }
        Err(Error::Failed(format!(
            "{:?} does not start: somebody removes the network of its link as often as it is made",
            handle.name
        )))
    }

    async fn begin(&self, handle: &Handle) -> Result<(), Said> {
        let started = self.client.create(handle, CreateFlags::default()).await;
        let running = started?;
        if let Some(consoles) = &self.consoles {
            consoles.started(&running);
        }
        self.recent.keep(running);
        Ok(())
    }

    async fn begun(&self, handle: &Handle, started: Result<(), Said>) -> Result<()> {
        let way = [State::Stopped, State::Running];
        self.settled(handle, started, way, "started").await
    }

    /// The links that a domain is defined on.
    async fn links_of(&self, handle: &Handle) -> Result<BTreeSet<String>> {
        if let Some(links) = self.recent.links_of(handle) {
            return Ok(links);
        }
        let xml = self.client.xml(handle, XmlFlags::INACTIVE).await;
        let xml = xml.map_err(|e| {
            self.recent.forget(&handle.name);
            failure(&handle.name, &e)
        })?;
        let links = read::domain(&xml)?.links;
        self.recent.keep_on(handle.clone(), links.clone());
        Ok(links)
    }

    /// The networks of these links, made where they are not there.
    async fn networks(&self, links: &BTreeSet<String>) -> Result<Vec<Network>> {
        let mut networks = Vec::with_capacity(links.len());
        for link in links {
            networks.push(self.network(link).await?);
        }
        Ok(networks)
    }

    async fn network(&self, link: &str) -> Result<Network> {
        let network = match self.client.network_by_name(link).await {
            Ok(network) => network,
            Err(e) if e.code() == Some(Code::NO_NETWORK) => {
                let said = match self
                    .client
                    .create_network_xml(&written(link, self.name()))
                    .await
                {
                    Ok(network) => return Ok(network),
                    Err(said) => said,
                };
                // Another end of the link may have been faster.
                match self.client.network_by_name(link).await {
                    Ok(network) => network,
                    Err(e) => return Err(unmade(link, &said, &e)),
                }
            }
            Err(e) => return Err(failure(link, &e)),
        };
        let told = self.client.network_xml(&network).await;
        match Told::of(&told.map_err(|e| failure(link, &e))?, self.name()) {
            Some(told) if told.ours => Ok(network),
            _ => Err(Error::Failed(format!(
                "a network {link} of somebody else's is where that of a link must be; remove it there"
            ))),
        }
    }

    /// Whether these are the networks that bear their names now.
    async fn are_there(&self, networks: &[Network]) -> Result<bool> {
        for network in networks {
            match self.client.network_by_name(&network.name).await {
                Ok(now) if now == *network => {}
                Ok(_) => return Ok(false),
                Err(e) if e.code() == Some(Code::NO_NETWORK) => return Ok(false),
                Err(e) => return Err(failure(&network.name, &e)),
            }
        }
        Ok(true)
    }

    /// Removes the networks of links on which nothing is defined any more, where
    /// there may be some after a domain on these links was removed; `None` where
    /// it is not known on which it was.
    pub(super) async fn sweep_links(&self, removed: Option<BTreeSet<String>>) {
        let was_on_none = removed.is_some_and(|links| links.is_empty());
        if was_on_none && self.links.swept.load(Ordering::Relaxed) {
            return;
        }
        let swept = self.sweep().await;
        self.links.swept.store(swept.is_ok(), Ordering::Relaxed);
        if let Err(e) = swept {
            tracing::warn!(error = %e, "a network of a link may still be there; it goes with the next domain that is removed");
        }
    }

    async fn sweep(&self) -> Result<()> {
        let networks = match self.client.list_networks().await {
            Ok(networks) => networks,
            Err(e) if e.code() == Some(Code::NO_SUPPORT) => return Ok(()),
            Err(e) => return Err(failure("", &e)),
        };
        let mut networks: Vec<Network> = networks
            .into_iter()
            .filter(|network| is_link(&network.name))
            .collect();
        if networks.is_empty() {
            return Ok(());
        }
        // What is new is read before, so that little time passes after.
        self.taken(Want::Notes).await?;
        let _turn = self.links.turn.write().await;
        let defined = self.taken(Want::Notes).await?;
        let on: BTreeSet<&String> = defined.iter().flat_map(|taken| &taken.links).collect();
        networks.retain(|network| !on.contains(&network.name));
        for network in networks {
            self.remove(&network).await?;
        }
        Ok(())
    }

    /// Removes a network of ours into which nobody is plugged.
    async fn remove(&self, network: &Network) -> Result<()> {
        let asked = Instant::now();
        let done = match self.client.network_xml(network).await {
            Ok(xml) => match Told::of(&xml, self.name()) {
                Some(told) if told.ours && !told.in_use && asked.elapsed() < SOON => {
                    self.client.destroy_network(network).await
                }
                _ => Ok(()),
            },
            Err(e) => Err(e),
        };
        match done {
            Err(e) if e.code() != Some(Code::NO_NETWORK) => Err(failure(&network.name, &e)),
            _ => Ok(()),
        }
    }
}

/// Why there is no network after one was to be made, and it was looked for.
fn unmade(link: &str, said: &Said, looked: &Said) -> Error {
    match (said, looked.code()) {
        (Said::Remote { .. }, Some(Code::NO_NETWORK)) => Error::Failed(format!(
            "the host cannot make the network of a link: {said}"
        )),
        _ => failure(link, said),
    }
}

/// A network for domains of this driver, with neither address nor way out.
/// Nothing of it needs escaping.
fn written(link: &str, driver: &str) -> String {
    format!(
        "<network><name>{link}</name>\
         <metadata><rm:link xmlns:rm=\"{NAMESPACE}\" driver=\"{driver}\"/></metadata>\
         <bridge name=\"{link}\" stp=\"off\" delay=\"0\"/></network>"
    )
}

/// What libvirt says of a network.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    /// It bears our element, for this driver: the networks of a host are those
    /// of all its drivers, its domains are not.
    ours: bool,
    /// Somebody is plugged into it.
    in_use: bool,
}

impl Told {
    /// Nothing where it is no network.
    fn of(xml: &str, driver: &str) -> Option<Self> {
        let mut reader = Reader::from_str(xml);
        let mut path = Vec::new();
        let mut told = None;
        loop {
            let (start, is_empty) = match reader.read_event().ok()? {
                Event::Start(start) => (start, false),
                Event::Empty(start) => (start, true),
                Event::End(_) => {
                    path.pop()?;
                    continue;
                }
                Event::Eof => return told.filter(|_| path.is_empty()),
                _ => continue,
            };
            path.push(start.name().as_ref().to_owned());
            let here: Vec<&str> = path.iter().map(String::as_str).collect();
            match (here.as_slice(), &mut told) {
                (["network"], told) => {
                    let connections = read::attribute(&start, "connections");
                    *told = Some(Self {
                        ours: false,
                        in_use: connections.is_some_and(|count| count != "0"),
                    });
                }
                (["network", "metadata", "rm:link"], Some(told)) => {
                    let is = |name, value| read::attribute(&start, name).as_deref() == Some(value);
                    told.ours |= is("xmlns:rm", NAMESPACE) && is("driver", driver);
                }
                _ => {}
            }
            if is_empty {
                path.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_ours_and_nothing_else_is() {
        let told = |ours, in_use| Some(Told { ours, in_use });
        let link = "rml0123456789ab";
        assert!(is_link(link));
        let xml = written(link, "libvirt-lxc");
        let of = |xml: &str| Told::of(xml, "libvirt-lxc");
        assert_eq!(of(&xml), told(true, false));
        assert_eq!(Told::of(&xml, "libvirt-qemu"), told(false, false));
        // As libvirt tells it again.
        let again = xml
            .replace("<network>", "<network connections='2'>\n ")
            .replace("/></metadata>", "></rm:link>\n </metadata>");
        assert_eq!(of(&again), told(true, true));
        for other in ["urn:other", ""] {
            let theirs = xml.replace(NAMESPACE, other);
            assert_eq!(of(&theirs), told(false, false));
        }
        let elsewhere = xml.replace("metadata>", "x>");
        assert_eq!(of(&elsewhere), told(false, false));
        for wrong in ["", "<", "<network>", "<pool/>", "</network>"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
