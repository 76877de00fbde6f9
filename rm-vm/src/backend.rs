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

use crate::config::Config;
use crate::driver::{self, Domain, Event, Image, State};
use crate::failure::failure;
use crate::hosts::{Host, Hosts, Open};
use crate::mark::Record;
use crate::room::Room;
use crate::spec;

mod bring;
mod make;
mod offers;
mod possible;

use bring::Bring;
use make::Make;
use possible::{keeps, possible};

/// Virtual machines of Xen.
pub const XEN: Kind = Kind::from_static("vm.xen");
/// Containers.
pub const LXC: Kind = Kind::from_static("vm.lxc");
/// Virtual machines of QEMU and KVM.
pub const KVM: Kind = Kind::from_static("vm.kvm");

/// For so long after a call what it has begun may still come to be seen: it goes
/// on when nobody waits for it any more. In its second half nothing is sent to a
/// host any more that would make something appear there.
const LATE: Duration = Duration::from_secs(30);

/// So long a look at everything waits for what a crash left to be swept up.
const SWEEP: Duration = Duration::from_secs(10);

/// So long after its first close look it is noted of what is new that it is
/// whole.
const LATER: Duration = Duration::from_secs(10);

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

    /// What can be refused before anything exists, whatever the image and
    /// whatever else is on the host.
    async fn admit(&self, host: &Host, spec: &NodeSpec) -> Result<()> {
        spec::check(spec)?;
        spec::possible(spec, host.driver.features())?;
        let has = host.in_all().await;
        let has = has.map_err(|e| failure(&host.name, "ask for room", e))?;
        Room::of(&has, self.hosts.config().vcpus_per_cpu).admit(&host.name, spec)
    }

    fn seen(&self, domain: &Domain, record: Option<Record>) -> Seen<Node> {
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
}

/// Those of these that are there.
async fn these(host: &Host, names: &[String]) -> Result<Vec<Domain>> {
    let found = host.driver.these(names).await;
    found.map_err(|e| failure(&host.name, "look at nodes", e))
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
        cap.late = LATE;
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
        cap.counts_to_come = true;
        cap
    }

    async fn offers(&self, cx: &Cx<'_>, want: &NodeSpec) -> Result<Vec<Offer>> {
        self.offered(cx, want).await
    }

    async fn observe(&self, cx: &Cx<'_>, look: Look<'_, NodeSpec>) -> Result<Page<Seen<Node>>> {
        let name = |t: &Target| {
            t.remote
                .as_ref()
                .map_or_else(|| t.mark.name(), |id| id.0.clone())
        };
        let host = self.hosts.of(cx)?;
        let items = match look {
            Look::These(targets) => {
                let names: BTreeSet<String> = targets.iter().map(name).collect();
                let names: Vec<String> = names.into_iter().collect();
                let found = these(&host, &names).await?.into_iter().map(with_record);
                let seen = found.map(|(d, record)| self.seen(&d, record));
                seen.collect()
            }
            Look::Closely(target, _) => {
                let name = name(target);
                let found = only(these(&host, std::slice::from_ref(&name)).await?);
                let mut items = Vec::new();
                if let Some((domain, record)) = found.map(with_record) {
                    let view = view(&host, &domain, record.as_ref()).await?;
                    if let Some(new) = record.as_ref().filter(|r| r.new) {
                        tokio::spawn(noted_later(Arc::clone(&host), name, new.mark.clone()));
                    }
                    items.push(Seen {
                        view,
                        ..self.seen(&domain, record)
                    });
                }
                items
            }
            Look::All(_) => {
                swept_up(&host).await;
                let all = host.driver.list().await;
                let all = all.map_err(|e| failure(&host.name, "list nodes", e))?;
                let all = all.into_iter().map(with_record);
                let seen = all.map(|(d, record)| self.seen(&d, record));
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
        host.be_seen(cx).await?;
        host.driver
            .bring(&image)
            .await
            .map_err(|e| failure(&host.name, "bring image", e))?;
        possible(&host, &image, spec)?;
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
        if let Some(image) = &image {
            keeps(&host, image, spec)?;
        }
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
        let host = self.hosts.of(cx)?;
        let found = only(these(&host, std::slice::from_ref(&seen.id.0)).await?);
        Ok(found.and_then(|d| Record::of(&d)).map(|r| Recalled {
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

/// Removes what bears no mark and never will: who looks for what nobody needs
/// would not be told of it. It goes on where it takes long.
async fn swept_up(host: &Arc<Host>) {
    let of = Arc::clone(host);
    let swept = tokio::spawn(async move {
        if let Err(e) = of.driver.sweep_up().await {
            tracing::warn!(host = %of.name, error = %e, "what a crash left cannot be swept up");
        }
    });
    // To look is not held up by it.
    let _ = tokio::time::timeout(SWEEP, swept).await;
}

fn with_record(domain: Domain) -> (Domain, Option<Record>) {
    let record = Record::of(&domain);
    (domain, record)
}

/// The same, when nobody waits any more for what is made here just now.
async fn noted_later(host: Arc<Host>, name: String, mark: Mark) {
    tokio::time::sleep(LATER).await;
    noted_whole(&host, &name, &mark).await;
}

/// Writes down of what is new that it is whole, which its create has left to who
/// looks at it closely. Nobody waits for that, and nothing hangs on it but that
/// a host which forgets that it ran would have it started once more; so what
/// fails is left to the next change.
async fn noted_whole(host: &Host, name: &str, mark: &Mark) {
    // Who changes it writes that, too.
    let Some(_turn) = host.turn_now(name) else {
        return;
    };
    if let Err(e) = rewritten(host, name, Some(mark), |_| {}).await {
        tracing::debug!(%name, error = %e, "that a node is whole is not noted");
    }
}

/// Writes down whose it is.
async fn noted(
    host: Arc<Host>,
    name: String,
    mark: Option<Mark>,
    owner: Option<Owner>,
) -> Result<()> {
    let _turn = host.turn(&name).await;
    rewritten(&host, &name, mark.as_ref(), |r| r.owner = owner).await
}

/// Writes what a domain says of itself anew; only with its turn.
async fn rewritten(
    host: &Host,
    name: &str,
    mark: Option<&Mark>,
    edit: impl FnOnce(&mut Record) + Send,
) -> Result<()> {
    let failed = |e| failure(&host.name, "note on node", e);
    let found = host.driver.these(&[name.to_owned()]).await;
    let domain = only(found.map_err(failed)?);
    let record = domain.as_ref().and_then(Record::of);
    // What was changed meanwhile says of itself what is newer.
    let Some(mut record) = record.filter(|r| Some(&r.mark) == mark) else {
        return Err(not_ours(host, name));
    };
    let before = record.clone();
    record.new = false;
    edit(&mut record);
    if record == before {
        return Ok(());
    }
    let before = domain.and_then(|d| d.metadata).unwrap_or_default();
    let after = record.write()?;
    let noted = host.driver.annotate_over(name, &before, &after);
    match noted.await.map_err(failed)? {
        true => Ok(()),
        false => Err(not_ours(host, name)),
    }
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
    let record = Record::of(&domain);
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

async fn view(host: &Host, domain: &Domain, record: Option<&Record>) -> Result<Option<NodeView>> {
    let Some(record) = record else {
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
        interfaces: record.nics.clone(),
        done: record.done,
        snapshots: snapshots.map_err(|e| failure(&host.name, "look at node", e))?,
        console: host.driver.console_hint(&domain.name),
    }))
}
