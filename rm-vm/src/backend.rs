//! Nodes as domains of a driver.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use rm_core::backend::{
    Absence, Backend, Capability, CreateKey, Cx, Hint, Hints, Look, Mark, Offer, Phase, Recalled,
    Resize, Seen, Target,
};
use rm_core::catalog::Site;
use rm_core::model::{Node, NodeSpec, NodeView, Power};
use rm_core::owner::Owner;
use rm_core::store::Page;
use rm_core::{Error, ErrorKind, Kind, RemoteId, Result};

use crate::addresses::{self, Taken};
use crate::config::Config;
use crate::driver::{self, Domain, Event, Image, State};
use crate::failure::failure;
use crate::hosts::{Host, Hosts, Open};
use crate::links;
use crate::mark::Record;
use crate::spec;

mod bring;
mod make;

use bring::Bring;
use make::Make;

/// Virtual machines of Xen.
pub const XEN: Kind = Kind::from_static("vm.xen");
/// Containers.
pub const LXC: Kind = Kind::from_static("vm.lxc");
/// Virtual machines of QEMU and KVM.
pub const KVM: Kind = Kind::from_static("vm.kvm");

/// Nodes on hosts that one kind of driver serves.
///
/// A domain is named by its mark, whose name is never used a second time, and
/// a name that is taken is refused: so the name is its id. All that is known of
/// it is in the domain's own metadata.
#[derive(Debug)]
pub struct Nodes {
    hosts: Hosts,
    users: bool,
}

impl Nodes {
    /// Nodes on the hosts that `open` reaches.
    pub fn new(config: Config, open: Open) -> Self {
        Self {
            hosts: Hosts::new(config, open),
            users: false,
        }
    }

    /// The same, of drivers that declare that who logs in to what runs can be
    /// changed ([`driver::Features::users`]).
    #[must_use]
    pub fn changing_users(mut self) -> Self {
        self.users = true;
        self
    }

    async fn image(&self, cx: &Cx<'_>, spec: &NodeSpec) -> Result<Image> {
        let wanted = &spec.image;
        match cx.catalog.image_of(&wanted.sha256).await? {
            Some(image) => Ok(Image {
                name: image.name,
                source: image.source,
                sha256: image.sha256,
                format: image.disk_format,
            }),
            None => Err(Error::invalid(format!(
                "the catalog has no image {:?} with the checksum that the request names",
                wanted.name
            ))
            .advice("add the image, or ask for one that is there")),
        }
    }

    /// What can be refused before anything exists, whatever the image.
    async fn admit(&self, host: &Host, spec: &NodeSpec) -> Result<driver::Host> {
        spec::check(spec)?;
        spec::possible(spec, host.driver.features())?;
        let has = host
            .driver
            .host()
            .await
            .map_err(|e| failure(&host.name, "ask for room", e))?;
        if spec.memory_mib > has.memory_mib
            || spec.vcpus > has.cpus.saturating_mul(self.hosts.config().vcpus_per_cpu)
        {
            return Err(Error::new(
                ErrorKind::NoCapacity,
                format!(
                    "{}: the host has {} MiB of memory and {} processors in all",
                    host.name, has.memory_mib, has.cpus
                ),
            )
            .advice("ask for less, or on a greater host")
            .site(&*host.name)
            .permanent());
        }
        Ok(has)
    }

    fn seen(&self, domain: &Domain) -> Seen<Node> {
        let record = Record::read(domain.metadata.as_deref());
        let (phase, reason) = record
            .as_ref()
            .map_or((Phase::Ready, ""), |r| phase(r, domain));
        Seen {
            id: RemoteId(domain.name.clone()),
            name: domain.name.clone(),
            stamp: record.as_ref().map(|r| stamp(r, domain)),
            mark: record.map(|r| r.mark),
            phase,
            reason: reason.to_owned(),
            view: None,
        }
    }

    async fn these(&self, cx: &Cx<'_>, names: &[String]) -> Result<Vec<Domain>> {
        let host = self.hosts.of(cx)?;
        let found = host.driver.these(names).await;
        found.map_err(|e| failure(&host.name, "look at nodes", e))
    }
}

#[async_trait]
impl Backend<Node> for Nodes {
    fn capability(&self, _site: &Site) -> Capability {
        let config = self.hosts.config();
        let call = Duration::from_secs(config.call_timeout_seconds);
        let mut cap = Capability::new();
        cap.create_key = CreateKey::ClientUuid;
        cap.absence = Absence::NotListed;
        cap.visibility = Duration::ZERO;
        // What is begun goes on when nobody waits for it any more; what is not
        // begun by then is not begun at all.
        cap.late = Duration::from_secs(30);
        cap.list_by_owner = true;
        cap.resize = Resize::InPlace;
        cap.concurrency = config.concurrency;
        cap.call_timeout = call;
        cap.change_timeout = Some(call + Duration::from_secs(2 * config.stop_grace_seconds));
        cap.patience = Duration::from_secs(config.patience_seconds).max(call);
        cap.page = 100;
        cap.events = true;
        cap.keeps_owner = true;
        cap.users = self.users;
        cap
    }

    async fn offers(&self, cx: &Cx<'_>, want: &NodeSpec) -> Result<Vec<Offer>> {
        let host = self.hosts.of(cx)?;
        let has = self.admit(&host, want).await?;
        let wanted = links::plugged(&want.interfaces, host.id, &host.site)?;
        self.image(cx, want).await?;
        if cx.quick {
            return Ok(vec![Offer::room(None)]);
        }
        let failed = |e| failure(&host.name, "ask for room", e);
        let shares = host.driver.shares().await.map_err(failed)?;
        let (mut memory, mut vcpus) = (
            has.memory_mib,
            u64::from(has.cpus) * u64::from(self.hosts.config().vcpus_per_cpu),
        );
        let mut notes = Vec::with_capacity(shares.len());
        for share in shares {
            memory = memory.saturating_sub(share.size.memory_mib);
            vcpus = vcpus.saturating_sub(share.size.vcpus.into());
            notes.extend(share.metadata.map(|metadata| (share.name, metadata)));
        }
        let mut taken = Taken::of(&notes, "");
        let each_disk = want.disk_gib.map(|gib| gib * 1024);
        let left = [
            Some(memory.min(has.free_memory_mib) / want.memory_mib),
            Some(vcpus / u64::from(want.vcpus)),
            has.free_disk_mib
                .zip(each_disk)
                .map(|(free, each)| free / each),
            addresses::room(&wanted, &host.site, &taken),
        ];
        let left = left.into_iter().flatten().min().unwrap_or(0);
        if left == 0 {
            return Ok(Vec::new());
        }
        // An address that is asked for and taken is refused now.
        addresses::choose("rm-offer", &wanted, &host.site, &mut taken)?;
        Ok(vec![Offer::room(Some(left))])
    }

    async fn observe(&self, cx: &Cx<'_>, look: Look<'_, NodeSpec>) -> Result<Page<Seen<Node>>> {
        let name = |t: &Target| {
            t.remote
                .as_ref()
                .map_or_else(|| t.mark.name(), |id| id.0.clone())
        };
        let items = match look {
            Look::These(targets) => {
                let names: BTreeSet<String> = targets.iter().map(name).collect();
                let names: Vec<String> = names.into_iter().collect();
                let found = self.these(cx, &names).await?;
                found.iter().map(|d| self.seen(d)).collect()
            }
            Look::Closely(target, _) => {
                let host = self.hosts.of(cx)?;
                let found = only(self.these(cx, &[name(target)]).await?);
                let mut items = Vec::new();
                if let Some(domain) = &found {
                    items.push(Seen {
                        view: view(&host, domain).await?,
                        ..self.seen(domain)
                    });
                }
                items
            }
            Look::All(_) => {
                let host = self.hosts.of(cx)?;
                let all = host.driver.list().await;
                let all = all.map_err(|e| failure(&host.name, "list nodes", e))?;
                let seen = all.iter().map(|d| self.seen(d));
                seen.filter(|seen| seen.mark.is_some()).collect()
            }
        };
        Ok(Page { items, next: None })
    }

    async fn create(&self, cx: &Cx<'_>, mark: &Mark, spec: &NodeSpec) -> Result<RemoteId> {
        let until = cx.env.now().plus(cx.timeout);
        let host = self.hosts.of(cx)?;
        self.admit(&host, spec).await?;
        let image = self.image(cx, spec).await?;
        host.driver
            .bring(&image)
            .await
            .map_err(|e| failure(&host.name, "bring image", e))?;
        let make = Make {
            host,
            image,
            mark: mark.clone(),
            spec: spec.clone(),
            owner: cx.owner.cloned(),
            env: Arc::clone(cx.env),
            until,
        };
        carried_out(make.run()).await?;
        Ok(RemoteId(mark.name()))
    }

    async fn change(
        &self,
        cx: &Cx<'_>,
        mark: &Mark,
        seen: &Seen<Node>,
        spec: &NodeSpec,
    ) -> Result<()> {
        let host = self.hosts.of(cx)?;
        self.admit(&host, spec).await?;
        // A node may outlive its image in the catalog; only a new disk needs it.
        let image = match self.image(cx, spec).await {
            Ok(image) => Some(image),
            Err(e) if e.kind() == ErrorKind::Invalid => None,
            Err(e) => return Err(e),
        };
        let bring = Bring {
            image,
            grace: Duration::from_secs(self.hosts.config().stop_grace_seconds),
            name: seen.id.0.clone(),
            mark: mark.clone(),
            spec: spec.clone(),
            owner: cx.owner.cloned(),
            host,
        };
        carried_out(bring.run()).await
    }

    async fn destroy(&self, cx: &Cx<'_>, seen: &Seen<Node>) -> Result<()> {
        let host = self.hosts.of(cx)?;
        carried_out(gone(host, seen.id.0.clone(), seen.mark.clone())).await
    }

    async fn recall(&self, cx: &Cx<'_>, seen: &Seen<Node>) -> Result<Option<Recalled<NodeSpec>>> {
        let found = self
            .these(cx, std::slice::from_ref(&seen.id.0))
            .await?
            .pop();
        let record = found.and_then(|d| Record::read(d.metadata.as_deref()));
        Ok(record.map(|r| Recalled {
            spec: r.spec,
            owner: r.owner,
        }))
    }

    async fn note(&self, cx: &Cx<'_>, seen: &Seen<Node>) -> Result<()> {
        let host = self.hosts.of(cx)?;
        let (name, mark, owner) = (seen.id.0.clone(), seen.mark.clone(), cx.owner.cloned());
        carried_out(noted(host, name, mark, owner)).await
    }

    async fn console(&self, cx: &Cx<'_>, id: &RemoteId, most: usize) -> Result<Vec<u8>> {
        let host = self.hosts.of(cx)?;
        let read = host.driver.console(&id.0, most).await;
        read.map_err(|e| failure(&host.name, "read console", e))
    }

    async fn watch(&self, cx: &Cx<'_>) -> Result<Hints> {
        let host = self.hosts.of(cx)?;
        let events = host.driver.events().await;
        let events = events.map_err(|e| failure(&host.name, "listen to host", e))?;
        let hint = |event| {
            std::future::ready(match event {
                Event::Listening => Some(Hint::LookAtAll),
                Event::Domain { name, .. } => Mark::resource_named(&name).map(Hint::Look),
            })
        };
        Ok(events.filter_map(hint).boxed())
    }
}

/// Carries out an effect to its end, also when nobody waits for it any more:
/// so does a far site with a request that it has got, and half an effect is
/// worse than a late one. Only the end of the process cuts it off.
async fn carried_out<T: Send + 'static>(
    effect: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    match tokio::spawn(effect).await {
        Ok(done) => done,
        Err(_) => Err(Error::new(
            ErrorKind::Internal,
            "an effect on a host was cut off by a defect of this program",
        )
        .effect_unknown()
        .temporary()),
    }
}

/// Writes down whose it is.
async fn noted(
    host: Arc<Host>,
    name: String,
    mark: Option<Mark>,
    owner: Option<Owner>,
) -> Result<()> {
    let failed = |e| failure(&host.name, "note owner", e);
    let _turn = host.turn(&name).await;
    let found = host.driver.these(std::slice::from_ref(&name)).await;
    let found = only(found.map_err(failed)?);
    let record = found.and_then(|d| Record::read(d.metadata.as_deref()));
    // What was changed meanwhile says of itself what is newer.
    let Some(mut record) = record.filter(|r| Some(&r.mark) == mark.as_ref()) else {
        return Err(not_ours(&host, &name));
    };
    record.owner = owner;
    let metadata = record.write()?;
    host.driver.annotate(&name, &metadata).await.map_err(failed)
}

/// Stops it hard and removes it.
async fn gone(host: Arc<Host>, name: String, mark: Option<Mark>) -> Result<()> {
    let failed = |e| failure(&host.name, "destroy node", e);
    let _turn = host.turn(&name).await;
    let Some(domain) = only(
        host.driver
            .these(std::slice::from_ref(&name))
            .await
            .map_err(failed)?,
    ) else {
        return Ok(());
    };
    let record = Record::read(domain.metadata.as_deref());
    let same = |r: &Record| {
        mark.as_ref().is_none_or(|m| {
            (&m.installation, m.resource) == (&r.mark.installation, r.mark.resource)
        })
    };
    if !record.as_ref().is_some_and(same) {
        return Err(not_ours(&host, &name));
    }
    if domain.state != State::Stopped {
        host.driver
            .stop(&name, Duration::ZERO)
            .await
            .map_err(failed)?;
    }
    match host.driver.undefine(&name).await {
        Ok(()) | Err(driver::Error::NotFound(_)) => Ok(()),
        Err(e) => Err(failed(e)),
    }
}

fn not_ours(host: &Host, name: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "{}: {name:?} does not bear our mark, and is not touched",
            host.name
        ),
    )
    .advice("look at the host whose it is")
    .site(&*host.name)
}

fn only<T>(found: Vec<T>) -> Option<T> {
    found.into_iter().next()
}

/// What it is doing, as what was last wanted of it tells.
fn phase(record: &Record, domain: &Domain) -> (Phase, &'static str) {
    // It has still to be brought to its spec, which the generation tells.
    if record.mark.generation == 0 {
        return (Phase::Ready, "");
    }
    match (record.spec.power, domain.state) {
        (_, State::Moving) => (Phase::Changing, "it is starting or stopping"),
        (_, State::Crashed) => (Phase::Failed, "it crashed"),
        (Power::Running, State::Running)
        | (Power::Stopped, State::Stopped)
        | (Power::Suspended, State::Suspended) => (Phase::Ready, ""),
        (_, State::Running) => (Phase::Failed, "it runs, and not by our doing"),
        (_, State::Stopped) => (Phase::Failed, "it is stopped, and not by our doing"),
        (_, State::Suspended) => (Phase::Failed, "it is suspended, and not by our doing"),
    }
}

/// Changes when somebody changes the node, and only then.
fn stamp(record: &Record, domain: &Domain) -> String {
    let Domain { state, size, .. } = domain;
    format!(
        "{}.{}.{}.{}.{}",
        record.mark.generation,
        record.done,
        state.as_str(),
        size.vcpus,
        size.memory_mib
    )
}

async fn view(host: &Host, domain: &Domain) -> Result<Option<NodeView>> {
    let Some(record) = Record::read(domain.metadata.as_deref()) else {
        return Ok(None);
    };
    let snapshots = host.driver.snapshots(&domain.name).await;
    Ok(Some(NodeView {
        name: domain.name.clone(),
        host: host.name.clone(),
        vcpus: domain.size.vcpus,
        memory_mib: domain.size.memory_mib,
        power: match domain.state {
            State::Running | State::Moving => Power::Running,
            State::Suspended => Power::Suspended,
            State::Stopped | State::Crashed => Power::Stopped,
        },
        interfaces: record.nics,
        done: record.done,
        snapshots: snapshots.map_err(|e| failure(&host.name, "look at node", e))?,
        console: host.driver.console_hint(&domain.name),
    }))
}
