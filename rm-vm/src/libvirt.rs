//! Domains of libvirt: containers, machines of Xen, and those of its driver for
//! tests, which exist in it alone.
//!
//! A domain is defined with its metadata in one call, so it is never there
//! without its mark. libvirt's codes for "it runs already" differ from driver
//! to driver; so what a call that failed has left is asked for, not guessed.

mod brought;
mod cloud;
mod consoles;
mod containers;
mod define;
mod disc;
mod disks;
mod events;
mod failure;
mod kernels;
mod kind;
mod known;
mod links;
mod look;
mod machines;
mod metadata;
mod read;
mod recent;
mod reimage;
mod roots;
mod size;
mod snapshots;
mod volumes;
mod xml;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use rm_core::backend::Cx;
use rm_libvirt::{
    Affect, Client, Code, DestroyFlags, Domain as Handle, Error as Said, ListFlags, Transport, Uri,
};

use crate::config::{Config, XenGuest};
use crate::driver::{
    Definition, Disk, Domain, Driver, Error, Event, Features, Host, Image, Result, Share, Size,
    State, name,
};
use consoles::Consoles;
use failure::failure;
use kind::Kind;
use known::{Known, Want};
use links::Links;
use machines::Machines;
use recent::Recent;
use roots::Roots;

/// So many domains are asked about at once; the client itself sends fewer.
const AT_ONCE: usize = 32;

/// The domains of one libvirt.
#[derive(Debug, Clone)]
pub struct Libvirt {
    kind: Kind,
    uri: String,
    client: Client,
    call_timeout: Duration,
    /// Where containers are.
    roots: Option<Arc<Roots>>,
    /// What machines are made of.
    machines: Option<Arc<Machines>>,
    /// What domains take.
    known: Arc<Known>,
    /// What they are known by.
    recent: Arc<Recent>,
    /// Who waits for whom where links come and go.
    links: Arc<Links>,
    /// What they write, where we are to listen.
    consoles: Option<Arc<Consoles>>,
}

/// What a libvirt has beside its URI.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Of containers: the folder of this machine where they and their images
    /// are kept. Of machines: the host's storage pool for what they boot,
    /// `default` where absent.
    pub storage: Option<PathBuf>,
    /// Machines of QEMU are emulated, whatever the processor could do.
    pub emulated: bool,
    /// What machines of Xen are.
    pub xen: XenGuest,
    /// To how many MiB an image may unpack.
    pub image_mib: u64,
    /// How long one call may take.
    pub call_timeout: Duration,
    /// Consoles are left to others, and not listened to.
    pub leave_consoles: bool,
}

/// Opens the libvirt of a site, whose address is a URI of libvirt.
pub fn open(cx: &Cx<'_>, config: &Config) -> rm_core::Result<Arc<dyn Driver>> {
    let site = config.sites.get(&cx.site.name);
    let settings = Settings {
        storage: site.and_then(|site| site.storage.clone()),
        emulated: site.is_some_and(|site| site.emulated),
        xen: site.map_or_else(XenGuest::default, |site| site.xen),
        image_mib: config.image_mib,
        call_timeout: Duration::from_secs(config.call_timeout_seconds),
        leave_consoles: site.is_some_and(|site| site.leave_consoles),
    };
    let libvirt = Libvirt::at(&cx.site.url, &settings)
        .map_err(|e| crate::failure::failure(&cx.site.name, "open host", e))?;
    Ok(Arc::new(libvirt))
}

impl Libvirt {
    /// The libvirt of this URI. The connection is kept by a task of tokio,
    /// until the last clone is gone.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what is no URI of a driver that is known, and for
    /// containers that are not on this machine.
    pub fn at(uri: &str, settings: &Settings) -> Result<Self> {
        let uri: Uri = uri.parse().map_err(|e: Said| failure("", &e))?;
        let Some(kind) = Kind::of(&uri.driver, settings.emulated, settings.xen) else {
            return Err(Error::invalid(format!(
                "libvirt's driver {:?} is not known here; there are lxc, qemu, test and xen",
                uri.driver
            )));
        };
        let is_here = matches!(uri.transport, Transport::Unix { .. });
        let (shown, image_mib) = (uri.to_string(), settings.image_mib);
        let mut config = rm_libvirt::Config::new(uri);
        config.call_timeout = settings.call_timeout;
        let consoles = match settings.leave_consoles {
            true => None,
            false => Consoles::of(kind, &config).map(Arc::new),
        };
        let (client, connection) = Client::new(config);
        let storage = settings.storage.as_deref();
        let (mut roots, mut machines) = (None, None);
        match (
            kind,
            storage.filter(|folder| is_here && folder.is_absolute()),
        ) {
            (Kind::Test, _) => {}
            (Kind::Lxc, Some(folder)) => {
                roots = Some(Arc::new(Roots::at(folder, &shown, image_mib)))
            }
            (Kind::Lxc, None) => {
                return Err(Error::invalid(
                    "containers of libvirt are made on this machine: give a URI with a socket, and an absolute path as the site's storage",
                ));
            }
            _ => {
                let pool = storage
                    .unwrap_or(Path::new("default"))
                    .display()
                    .to_string();
                let made_of = Machines::new(kind, client.clone(), pool, image_mib);
                machines = Some(Arc::new(made_of));
            }
        }
        tokio::spawn(connection.run());
        Ok(Self {
            kind,
            uri: shown,
            client,
            call_timeout: settings.call_timeout,
            roots,
            machines,
            known: Arc::default(),
            recent: Arc::default(),
            links: Arc::default(),
            consoles,
        })
    }

    /// By what libvirt knows a domain. Whether it ran when it was asked for that
    /// is long ago, if this was known before.
    async fn handle(&self, of: &str) -> Result<Handle> {
        match self.recent.of(name(of)?) {
            Some(known) => Ok(known),
            None => self.look_up(of).await,
        }
    }

    /// The same, and whether it runs, as libvirt says now.
    async fn look_up(&self, of: &str) -> Result<Handle> {
        let found = self.client.domain_by_name(name(of)?).await;
        found.map_err(|e| failure(of, &e))
    }

    /// What became of a call that was to bring a domain from one state to
    /// another.
    async fn settled(
        &self,
        of: &Handle,
        done: Result<(), Said>,
        [from, to]: [State; 2],
        wanted: &'static str,
    ) -> Result<()> {
        let Err(said) = done else {
            return Ok(());
        };
        let error = failure(&of.name, &said);
        if matches!(error, Error::NotFound(_)) {
            self.recent.forget(&of.name);
            return Err(error);
        }
        if !matches!(said, Said::Remote { .. }) {
            return Err(error);
        }
        match self.state(of).await? {
            state if state == to => Ok(()),
            state if state == from => Err(Error::Failed(said.to_string())),
            State::Moving => Err(Error::Unclear(said.to_string())),
            state => Err(Error::NotNow {
                name: of.name.clone(),
                state,
                wanted,
            }),
        }
    }
}

#[async_trait]
impl Driver for Libvirt {
    fn name(&self) -> &'static str {
        self.kind.name()
    }

    fn features(&self) -> Features {
        self.kind.features()
    }

    async fn host(&self) -> Result<Host> {
        let memory = async {
            let asked = async { tokio::try_join!(self.client.node_info(), self.free_mib()) };
            asked.await.map_err(|e| failure("", &e))
        };
        let disk = async {
            match &self.machines {
                Some(machines) => machines.free_mib().await,
                None => Ok(self.on_roots(|roots| Ok(roots.free_mib())).await?.flatten()),
            }
        };
        let asked = async { tokio::try_join!(memory, disk) };
        let ((node, free_memory_mib), free_disk_mib) = asked.await?;
        Ok(Host {
            cpus: node.cpus,
            memory_mib: node.memory_kib / 1024,
            free_memory_mib,
            free_disk_mib,
        })
    }

    async fn list(&self) -> Result<Vec<Domain>> {
        let all = self.client.list_domains(ListFlags::default()).await;
        let all = stream::iter(all.map_err(|e| failure("", &e))?);
        let looks = all.map(|handle| async move { self.look(&handle).await });
        let found = looks.buffer_unordered(AT_ONCE).try_collect::<Vec<_>>();
        let mut domains: Vec<Domain> = found.await?.into_iter().flatten().collect();
        domains.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(domains)
    }

    async fn these(&self, names: &[String]) -> Result<Vec<Domain>> {
        let names = stream::iter(names.to_vec());
        let looks = names.map(|of| async move {
            if let Some(known) = self.recent.of(name(&of)?) {
                let found = self.look(&known).await?;
                if found.is_some() {
                    self.heard_if_it_runs(&known, found.as_ref());
                    return Ok(found);
                }
                // Somebody may have defined it anew, as another one.
                self.recent.forget(&of);
            }
            match self.look_up(&of).await {
                Ok(handle) => {
                    let found = self.look(&handle).await?;
                    self.heard_if_it_runs(&handle, found.as_ref());
                    Ok(found)
                }
                Err(Error::NotFound(_)) => Ok(None),
                Err(e) => Err(e),
            }
        });
        let found = looks.buffered(AT_ONCE).try_collect::<Vec<_>>();
        Ok(found.await?.into_iter().flatten().collect())
    }

    async fn shares(&self) -> Result<Vec<Share>> {
        let all = self.taken(Want::Sizes).await?.into_iter();
        Ok(all.map(|taken| taken.share).collect())
    }

    async fn notes(&self) -> Result<Vec<(String, String)>> {
        let all = self.taken(Want::Notes).await?.into_iter();
        let notes = all.filter_map(|taken| Some((taken.share.name, taken.share.metadata?)));
        Ok(notes.collect())
    }

    fn check(&self, new: &Definition) -> Result<()> {
        let machines = self.machines.as_ref();
        machines.map_or(Ok(()), |machines| machines.check(new))
    }

    fn keeps(&self, image: &Image) -> bool {
        let disk = self.machines.is_none() || Machines::has_disks_of(image);
        self.features().snapshots && disk
    }

    async fn takes(&self, image: &Image) -> Result<Disk> {
        let image = image.clone();
        // Each container has a copy of the image.
        let takes = self.on_roots(move |roots| {
            let images = roots.images();
            let once_mib = images.to_bring_mib(&image);
            let copy = images.unpacked_mib(&image).unwrap_or(once_mib);
            Ok(Disk {
                once_mib,
                each_mib: copy.max(1),
            })
        });
        Ok(takes.await?.unwrap_or_default())
    }

    async fn sweep_up(&self) -> Result<()> {
        self.sweep_links(None).await;
        if self.machines.is_some() {
            machines::sweep_up().await;
        }
        self.sweep_roots().await
    }

    async fn bring(&self, image: &Image) -> Result<()> {
        if let Some(machines) = self.machines.clone() {
            let image = image.clone();
            // To a far host it takes long: what is on its way goes on when
            // nobody waits for it any more, and who asks again waits for it.
            let brought = tokio::spawn(async move { machines.bring(&image).await });
            return brought.await.unwrap_or_else(|_| {
                Err(Error::Failed(
                    "an image was cut off by a defect of this program".to_owned(),
                ))
            });
        }
        match &self.roots {
            Some(roots) => roots.images().bring_from_anywhere(image).await,
            None => Ok(()),
        }
    }

    async fn define(&self, new: &Definition) -> Result<()> {
        self.defined(new).await
    }

    async fn annotate(&self, of: &str, text: &str) -> Result<()> {
        let element = metadata::alone(text);
        let mut tries = 0;
        loop {
            let known = self.recent.of(name(of)?).filter(|h| h.id.is_some());
            let handle = match known {
                Some(handle) => handle,
                None => self.look_up(of).await?,
            };
            // The running domain and its definition, in one step.
            let lives = match handle.id {
                Some(_) => Affect::LIVE | Affect::CONFIG,
                None => Affect::CONFIG,
            };
            let (uri, prefix) = (metadata::NAMESPACE, metadata::PREFIX);
            let put = self
                .client
                .set_metadata(&handle, uri, prefix, Some(&element), lives);
            match put.await {
                // It stopped or started since.
                Err(e) if e.code() == Some(Code::OPERATION_INVALID) && tries < 3 => {
                    self.recent.forget(of);
                    tries += 1;
                }
                put => return put.map_err(|e| failure(of, &e)),
            }
        }
    }

    async fn start(&self, of: &str) -> Result<()> {
        let handle = self.handle(of).await?;
        self.start_linked(&handle).await
    }

    async fn stop(&self, of: &str, grace: Duration) -> Result<()> {
        let handle = self.handle(of).await?;
        if !grace.is_zero() {
            let state = self.state(&handle).await?;
            // Who stands still hears no question.
            if state == State::Stopped
                || state == State::Running && self.asked_to_stop(&handle, grace).await?
            {
                return Ok(());
            }
        }
        let ended = self.client.destroy(&handle, DestroyFlags::default()).await;
        let way = [State::Running, State::Stopped];
        self.settled(&handle, ended, way, "stopped").await
    }

    async fn undefine(&self, of: &str) -> Result<()> {
        let handle = self.handle(of).await?;
        match self.state(&handle).await? {
            State::Stopped | State::Crashed => {}
            state => {
                return Err(Error::NotNow {
                    name: of.to_owned(),
                    state,
                    wanted: "removed",
                });
            }
        }
        // The domain goes last, for it says whose all this is.
        let name = of.to_owned();
        self.on_roots(move |roots| roots.remove(&name)).await?;
        if let Some(machines) = &self.machines {
            machines.remove(of).await?;
        }
        let links = self.recent.links_of(&handle);
        let undefined = self.client.undefine(&handle, self.kind.undefine()).await;
        self.recent.forget(of);
        undefined.map_err(|e| failure(of, &e))?;
        if let Some(consoles) = &self.consoles {
            consoles.forget(&handle);
        }
        self.sweep_links(links).await;
        Ok(())
    }

    async fn suspend(&self, of: &str) -> Result<()> {
        let handle = self.look_up(of).await?;
        let suspended = self.client.suspend(&handle).await;
        let way = [State::Running, State::Suspended];
        self.settled(&handle, suspended, way, "suspended").await
    }

    async fn resume(&self, of: &str) -> Result<()> {
        let handle = self.look_up(of).await?;
        let resumed = self.client.resume(&handle).await;
        let way = [State::Suspended, State::Running];
        self.settled(&handle, resumed, way, "resumed").await
    }

    async fn resize(&self, of: &str, size: Size) -> Result<()> {
        let resized = self.resized(of, size).await;
        self.known.forget(of);
        resized
    }

    async fn snapshots(&self, of: &str) -> Result<Vec<String>> {
        self.snapshots_of(of).await
    }

    async fn snapshot(&self, of: &str, snapshot: &str) -> Result<()> {
        self.make_snapshot(of, snapshot).await
    }

    async fn restore(&self, of: &str, snapshot: &str) -> Result<()> {
        self.go_back(of, snapshot).await
    }

    async fn reimage(&self, new: &Definition) -> Result<()> {
        self.made_anew(new).await
    }

    async fn console(&self, of: &str, most: usize) -> Result<Vec<u8>> {
        self.console_of(of, most).await
    }

    fn console_hint(&self, name: &str) -> Option<String> {
        self.console_by_hand(name)
    }

    async fn events(&self) -> Result<BoxStream<'static, Event>> {
        Ok(events::stream(self.client.events()))
    }
}

/// An error after which something was changed all the same.
fn partly(touched: bool, e: Error) -> Error {
    match touched {
        true => Error::Unclear(e.to_string()),
        false => e,
    }
}
