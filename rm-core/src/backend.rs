//! What the author of a plugin writes: six plain calls on the real thing.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Credential, Site};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Kind, RemoteId, ResourceId};
use crate::manager::Given;
use crate::model::Model;
use crate::owner::Owner;
use crate::record::Place;
use crate::secret::Secret;
use crate::store::{Cursor, Page};

mod hint;
#[cfg(feature = "mock")]
mod mock;

pub use hint::{Hint, Hints};
#[cfg(feature = "mock")]
pub use mock::MockBackend;

/// The real thing's six verbs.
///
/// # Contract
///
/// *Implementors*: no retry, no wait, no look-up before acting, no protocol:
/// the engine does all of that from the declared [`Capability`]. Each call may
/// be dropped at any await, and each may be repeated. An error says what
/// became of the effect: [`crate::Error::effect_unknown`] wherever the request
/// may have been carried out. A wrong "none" leaks real things; a wrong
/// "unknown" only costs a look.
#[async_trait]
pub trait Backend<M: Model>: fmt::Debug + Send + Sync + 'static {
    /// What can be relied on at this site.
    fn capability(&self, site: &Site) -> Capability;

    /// Whether the site could make this now, at what cost, and what it says
    /// about it. No offer means no room; an error means that the site cannot
    /// be asked.
    async fn offers(&self, cx: &Cx<'_>, want: &M::Spec) -> Result<Vec<Offer>>;

    /// Looks. What is asked for and not in the answer is absent.
    async fn observe(&self, cx: &Cx<'_>, look: Look<'_, M::Spec>) -> Result<Page<Seen<M>>>;

    /// Makes the real thing under the mark and answers how the site names it,
    /// without waiting for it to be finished.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::Exists`] where the mark's key is taken already.
    async fn create(&self, cx: &Cx<'_>, mark: &Mark, spec: &M::Spec) -> Result<RemoteId>;

    /// Gives it another spec; the mark carries the new generation. Called only
    /// where [`Resize::InPlace`] is declared.
    async fn change(&self, cx: &Cx<'_>, mark: &Mark, seen: &Seen<M>, spec: &M::Spec) -> Result<()>;

    /// Begins to destroy it. What is gone already counts as destroyed.
    async fn destroy(&self, cx: &Cx<'_>, seen: &Seen<M>) -> Result<()>;

    /// What this was made to be, as far as the site and the catalog can tell:
    /// asked only when a store is lost and made anew from the marks. Where it
    /// is nothing, what was made by this backend cannot be restored.
    async fn recall(&self, _cx: &Cx<'_>, _seen: &Seen<M>) -> Result<Option<Recalled<M::Spec>>> {
        Ok(None)
    }

    /// Writes down with the thing whose it is by now, which is [`Cx::owner`]:
    /// asked only where [`Capability::keeps_owner`] is declared, when a lease
    /// was renewed, say. What create and change are told of it they write down
    /// themselves.
    async fn note(&self, _cx: &Cx<'_>, _seen: &Seen<M>) -> Result<()> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "this backend does not keep whose a thing is",
        ))
    }

    /// The last of what a thing wrote to its console, at most so many bytes.
    /// Nothing of the engine asks for it.
    async fn console(&self, _cx: &Cx<'_>, _id: &RemoteId, _most: usize) -> Result<Vec<u8>> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "what is made there has no console that can be read",
        )
        .advice("log in, or ask the operator of the site"))
    }

    /// Hears of what happens at what this credential reaches; asked only where
    /// [`Capability::events`] is declared. The first hint is
    /// [`Hint::LookAtAll`], as soon as everything from then on is told, and it
    /// comes again whenever something may have been missed. The stream ends
    /// where nothing is heard any more; then this is asked again after a while.
    async fn watch(&self, _cx: &Cx<'_>) -> Result<Hints> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "this backend does not tell what happens",
        ))
    }
}

/// What a backend call may use.
#[derive(Debug, Clone, Copy)]
pub struct Cx<'a> {
    /// Time, randomness, reach.
    pub env: &'a std::sync::Arc<dyn Env>,
    /// Where.
    pub site: &'a Site,
    /// By whose means; its id and revision make a good key for a session.
    pub credential: &'a Credential,
    /// The credential's secret: JSON, as it was put in.
    pub secret: &'a Secret,
    /// For what a spec names and does not hold: implementations and images.
    pub catalog: &'a Catalog,
    /// Of `offers`: whether it is enough to know that the request could be
    /// made and the credential is accepted, without asking for room.
    pub quick: bool,
    /// Of `offers`: what the same call has read for others that it asks for.
    pub asking: Option<&'a crate::manager::Asking>,
    /// Of `create`: how the site names the resources that this one needs, now
    /// that they are ready, by the name of each.
    pub needs: &'a BTreeMap<String, RemoteId>,
    /// Of `create`, `change` and `note`: whose the thing is.
    pub owner: Option<&'a Owner>,
    /// Where a long call says how far it is.
    pub progress: &'a std::sync::Arc<Progress>,
    /// How long the call may take.
    pub timeout: Duration,
}

/// How far a long call is. What is told here becomes an event, at most one a
/// second.
#[derive(Debug, Default)]
pub struct Progress(std::sync::Mutex<Option<(u64, Option<u64>)>>);

impl Progress {
    /// So much is done, of so much where that is known; in bytes or whatever
    /// the call counts.
    pub fn tell(&self, done: u64, total: Option<u64>) {
        *self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some((done, total));
    }

    /// What was told since this was last asked.
    pub(crate) fn take(&self) -> Option<(u64, Option<u64>)> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take()
    }
}

/// By what a real thing is known to be ours.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// The installation: several may share one account.
    pub installation: String,
    /// The resource.
    pub resource: ResourceId,
    /// Which of the real things begun for it, from 1.
    pub incarnation: u32,
    /// The generation of the spec.
    pub generation: u64,
}

impl Mark {
    /// A name that is unique to the resource and its incarnation: letters,
    /// digits and hyphens, beginning with a letter, at most 50 characters.
    pub fn name(&self) -> String {
        match self.incarnation {
            0 | 1 => format!("rm-{}", self.resource),
            n => format!("rm-{}-{n}", self.resource),
        }
    }
}

/// What to look at.
#[derive(Debug)]
pub enum Look<'a, S> {
    /// These, quickly: identity, phase, generation; no view.
    These(&'a [Target]),
    /// This one, with its view; the spec says what there is to see.
    Closely(&'a Target, &'a S),
    /// Everything at the site that bears a mark, ours or another
    /// installation's, page by page.
    All(Option<&'a Cursor>),
}

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its mark.
    pub mark: Mark,
    /// How the site names it, where that is known already.
    pub remote: Option<RemoteId>,
}

/// What is seen of one real thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen<M: Model> {
    /// How the site names it.
    pub id: RemoteId,
    /// How the site calls it for people: the mark's name, if it is ours.
    pub name: String,
    /// The mark it bears, where one can be read.
    pub mark: Option<Mark>,
    /// What it is doing.
    pub phase: Phase,
    /// The site's words for it.
    pub reason: String,
    /// The site's own stamp of its last change.
    pub stamp: Option<String>,
    /// What there is to see of it; only a close look gives it.
    pub view: Option<M::View>,
}

/// What a thing says of itself when the store is lost.
#[derive(Debug, Clone, PartialEq)]
pub struct Recalled<S> {
    /// What it was made to be.
    pub spec: S,
    /// Whose it was when that was last written down.
    pub owner: Option<Owner>,
}

impl<S> From<S> for Recalled<S> {
    /// It does not know whose it is.
    fn from(spec: S) -> Self {
        Self { spec, owner: None }
    }
}

/// What a real thing is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// It is being made.
    Building,
    /// It is there and works.
    Ready,
    /// It is being changed.
    Changing,
    /// It is there and broken.
    Failed,
    /// It is going.
    Deleting,
    /// It would not go.
    DeleteFailed,
    /// It is gone: evidence, where a site keeps the dead.
    Gone,
}

impl Phase {
    /// Every value.
    pub const ALL: [Self; 7] = [
        Self::Building,
        Self::Ready,
        Self::Changing,
        Self::Failed,
        Self::Deleting,
        Self::DeleteFailed,
        Self::Gone,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Ready => "ready",
            Self::Changing => "changing",
            Self::Failed => "failed",
            Self::Deleting => "deleting",
            Self::DeleteFailed => "delete-failed",
            Self::Gone => "gone",
        }
    }
}

/// One way to serve a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// How many nodes more the site has room for; absent where it does not
    /// say.
    pub nodes_left: Option<u64>,
    /// What it costs, in the host's own unit; the cheaper is preferred.
    pub cost: f64,
    /// Why this offer, or its weakness, in words.
    pub why: String,
    /// Whether the site has it already, without our doing: then nothing needs
    /// to be made.
    pub there: bool,
    /// A resource that is there already, ready or on its way, and would do.
    pub existing: Option<ResourceId>,
    /// Where; the manager fills it in.
    pub place: Option<Place>,
    /// What was given away of the room there before the site was asked for it;
    /// the manager fills it in, where the site says how much there is.
    pub given: Option<Given>,
    /// What there is of disk at the site, where it says so, and what this takes of
    /// it: who asks for several things adds that up. One for each image.
    pub disk: Vec<OnDisk>,
}

/// What nodes of an image take of a site's disk, in MiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnDisk {
    /// What is left of it, where the images are there that are still to be brought.
    pub left_mib: u64,
    /// What each node takes, or all nodes of a cluster.
    pub each_mib: u64,
    /// What images take besides, once for all nodes of them, by their checksums:
    /// these are to be brought, for these nodes or for others that are to come.
    pub to_bring: BTreeMap<String, u64>,
    /// The image, by its checksum.
    pub image: String,
}

impl Offer {
    /// Room for so many nodes more.
    pub fn room(nodes_left: Option<u64>) -> Self {
        Self {
            nodes_left,
            cost: 0.0,
            why: match nodes_left {
                Some(n) => format!("room for {n} more nodes"),
                None => "the site does not say how much room is left".to_owned(),
            },
            there: false,
            existing: None,
            place: None,
            given: None,
            disk: Vec::new(),
        }
    }
}

/// What a backend guarantees at a site. The engine derives from it the only
/// safe protocol; the conformance suite checks that it is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capability {
    /// What makes a second create of the same thing harmless.
    pub create_key: CreateKey,
    /// What shows that a thing is gone.
    pub absence: Absence,
    /// How late a list may show what was made or destroyed.
    pub visibility: Duration,
    /// How long after an unknown outcome the effect may still appear.
    pub late: Duration,
    /// Whether what bears our mark can be listed without knowing its id.
    pub list_by_owner: bool,
    /// How a thing gets another size.
    pub resize: Resize,
    /// Whether a create cannot be undone without paying for it. Such a thing is
    /// bought because somebody asked for it, and never again by the engine's own
    /// decision: what is gone is not made again whatever the policy says
    /// ([`Repair::Recreate`](crate::policy::Repair)); where another size would be
    /// another purchase ([`Resize::Replace`]) it is refused; and where a repeated
    /// create may make a second thing ([`CreateKey::TagOnly`],
    /// [`CreateKey::None`]), one of which nobody knows what came waits for a
    /// person. Whoever asks to try again has asked.
    pub billing_commit: bool,
    /// How many effects may be under way at once for one account.
    pub concurrency: u32,
    /// How long one call may take.
    pub call_timeout: Duration,
    /// How long one call of `change` may take, where that is not the same: an
    /// upload is one call.
    pub change_timeout: Option<Duration>,
    /// How long a create, a change or a destroy may take as a whole.
    pub patience: Duration,
    /// How many things one quick look takes.
    pub page: u32,
    /// Whether [`Backend::watch`] tells of what happens. Whatever it misses is
    /// seen by the next sweep.
    pub events: bool,
    /// Whether the thing keeps whose it is ([`Cx::owner`]), and
    /// [`Backend::recall`] gives it back.
    pub keeps_owner: bool,
    /// Whether [`Backend::change`] can change who logs in to a node while it
    /// runs, and keeps all else as it is. Elsewhere users are what a node is born
    /// with. It goes with [`Resize::InPlace`] alone: the engine calls `change`
    /// nowhere else.
    pub users: bool,
    /// Whether [`Backend::offers`] has taken off what is on its way to the site
    /// ([`crate::manager::to_come`]), whosever it is: all credentials reach the
    /// same room there.
    pub counts_to_come: bool,
}

impl Capability {
    /// The least that can be said: nothing is guaranteed.
    pub const fn new() -> Self {
        Self {
            create_key: CreateKey::None,
            absence: Absence::None,
            visibility: Duration::from_secs(60),
            late: Duration::from_secs(300),
            list_by_owner: false,
            resize: Resize::None,
            billing_commit: false,
            concurrency: 4,
            call_timeout: Duration::from_secs(20),
            change_timeout: None,
            patience: Duration::from_secs(3600),
            page: 50,
            events: false,
            keeps_owner: false,
            users: false,
            counts_to_come: false,
        }
    }
}

impl Capability {
    /// How long one call of `change` may take.
    pub(crate) fn change_limit(&self) -> Duration {
        self.change_timeout.unwrap_or(self.call_timeout)
    }
}

impl Default for Capability {
    fn default() -> Self {
        Self::new()
    }
}

/// What makes a second create of the same thing harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateKey {
    /// The site refuses a second thing of the mark's name, once it knows the
    /// first.
    UniqueName,
    /// The site answers a repeated token with the first thing.
    ClientToken,
    /// The client chooses the id.
    ClientUuid,
    /// Nothing, but what was made can be found by its tag, late.
    TagOnly,
    /// Nothing: after an unknown outcome a person must decide.
    None,
}

/// What shows that a thing is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// It is not in a complete answer any more.
    NotListed,
    /// The site shows it as dead.
    Tombstone,
    /// Nothing does.
    None,
}

/// How a thing gets another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resize {
    /// In place, by [`Backend::change`].
    InPlace,
    /// By another in its stead: the engine destroys what there is, sees it to
    /// be gone, and makes the new one. At no moment are there two. What is on
    /// it is lost, which each offer says. Where a create is a purchase
    /// ([`Capability::billing_commit`]), it is refused.
    Replace,
    /// Not at all: who asks for it is refused, and what there is stays.
    None,
}

/// What a backend serves, and by what it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serves {
    /// The kind.
    pub kind: Kind,
    /// The site's API type (`openstack`, `lxc`, `sim`).
    pub api: String,
    /// Media types of the implementations it understands; empty where the
    /// kind has none.
    pub media: Vec<String>,
}
