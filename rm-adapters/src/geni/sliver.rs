//! The contract between GENI's Rpcs and the adapters of kinds.
//!
//! A request is split into its nodes; those of one type of sliver go to the
//! adapter that makes it, and all adapters write into one batch. What they
//! reserve are resources of the house, held by the slice: this contract adds
//! no state of its own to them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use rm_core::env::Timestamp;
use rm_core::manager::Asking;
use rm_core::model::NodeUser;
use rm_core::policy::OverQuota;
use rm_core::record::ResourceRecord;
use rm_core::registry::{Adapter, Contract};
use rm_core::store::Batch;
use rm_core::{Call, Caller, Error, ErrorKind, HoldId, ResourceId, Result};

use super::Urn;
use super::component::Components;
use super::rspec::{Host, Link, Login, Node, Rspec, Services};
use super::states::{Family, Standing};
use super::xmlrpc::Value;

/// A translator of some kinds to slivers and back.
#[async_trait]
pub trait GeniSliver: Adapter {
    /// Adds what there is of its kinds at these components to an advertisement, and
    /// tells of each whether it can be had by the aggregate's means; without what
    /// cannot be had now, where that is wanted.
    ///
    /// # Errors
    ///
    /// Where it cannot be known what there is.
    async fn advertise(
        &self,
        call: &Call<'_>,
        there: &Components,
        available: bool,
        into: &mut Rspec,
    ) -> Result<()>;

    /// The types of slivers that it makes here, the usual one first: what
    /// `sliver_type` of a request names.
    fn sliver_types(&self, call: &Call<'_>) -> Vec<&'static str>;

    /// Whether nodes that name no type of sliver are made by it, where it is the
    /// first that says so.
    fn is_usual(&self) -> bool {
        true
    }

    /// The namespaces of what it understands in requests beside the schema, and
    /// adds to advertisements and manifests.
    fn extensions(&self) -> &'static [&'static str] {
        &[]
    }

    /// Writes what makes these nodes into a batch, which the caller commits:
    /// one resource for each, in their order, held by the caller. What is linked
    /// reaches each other over the link, and nobody else there. Answers the
    /// records that it has put in.
    ///
    /// # Errors
    ///
    /// Where one of them cannot be made; then the batch is not used.
    async fn prepare(
        &self,
        call: &Call<'_>,
        nodes: &[&Node],
        links: &[Joined<'_>],
        terms: &SliverTerms<'_>,
        into: &mut Batch,
    ) -> Result<Vec<Arc<ResourceRecord>>, Refusal>;

    /// Which of these that are only reserved cannot be made for these users; asked
    /// before that is wanted, so that what their hosts can never do is refused at
    /// once. Where nobody knows, it is not refused.
    ///
    /// # Errors
    ///
    /// Where it cannot be asked.
    async fn unfit(
        &self,
        _call: &Call<'_>,
        _slivers: &[&ResourceRecord],
        _users: &[NodeUser],
    ) -> Result<Vec<Unfit>> {
        Ok(Vec::new())
    }

    /// What the caller holds of its kinds, whatever became of it.
    ///
    /// # Errors
    ///
    /// Where the store cannot be asked.
    async fn held(&self, call: &Call<'_>) -> Result<Vec<Box<dyn Sliver>>>;

    /// How a resource of its kinds stands.
    fn standing(&self, record: &ResourceRecord) -> Standing;

    /// Adds to a node of a request what a manifest says of it: where it is, how
    /// it is reached. `ends` are the places of those of its interfaces that are
    /// ends of links, in ascending order.
    fn tell(&self, record: &ResourceRecord, aggregate: &Urn, ends: &[usize], node: &mut Node);
}

impl Contract for dyn GeniSliver {
    const NAME: &'static str = "geni.sliver";
}

/// A resource that is a sliver.
#[async_trait]
pub trait Sliver: fmt::Debug + Send + Sync {
    /// Its record, as it was read.
    fn record(&self) -> &ResourceRecord;

    /// What can be asked of it.
    fn family(&self) -> Family;

    /// Reads it anew.
    ///
    /// # Errors
    ///
    /// [`rm_core::ErrorKind::NotFound`] where it is gone.
    async fn again(&self, who: &Caller) -> Result<Box<dyn Sliver>>;

    /// Writes something to be done with it into a batch, which the caller
    /// commits; answers what its record will be then.
    ///
    /// # Errors
    ///
    /// Where it is not in a state for that, or cannot do it; then nothing was
    /// written.
    fn write(&self, who: &Caller, deed: &Deed<'_>, into: &mut Batch)
    -> Result<Arc<ResourceRecord>>;
}

/// A link of a request, all of whose ends are at nodes of one adapter.
#[derive(Debug, Clone)]
pub struct Joined<'a> {
    /// The link.
    pub link: &'a Link,
    /// What no other link of this aggregate is called.
    pub name: String,
    /// Its ends: the node, by its place among those to be prepared, and the
    /// interface, by its place in the node.
    pub ends: Vec<(usize, usize)>,
}

/// Slivers that cannot be made, for one reason.
#[derive(Debug)]
pub struct Unfit {
    /// Which.
    pub slivers: Vec<ResourceId>,
    /// Why.
    pub why: Error,
}

impl Unfit {
    /// Why it is one of them.
    pub(super) fn of(&self) -> Error {
        let why = &self.why;
        let mut same = Error::new(why.kind(), why.what()).code(why.stable_code());
        if let Some(next) = why.next() {
            same = same.advice(next);
        }
        match why.at_site() {
            Some(site) => same.site(site),
            None => same,
        }
    }
}

/// How slivers are to be reserved.
#[derive(Debug, Clone, Copy)]
pub struct SliverTerms<'a> {
    /// The aggregate, after which components are named.
    pub aggregate: &'a Urn,
    /// By whose credentials sites are used.
    pub means: &'a Caller,
    /// When they end by themselves.
    pub until: Timestamp,
    /// Who can log in, where that is known already.
    pub users: &'a [NodeUser],
    /// Whether only their place is kept; else they are made and run.
    pub reserve: bool,
    /// What the call has read of sites, and what it takes of their disks: all
    /// adapters of one request share that.
    pub asking: &'a Asking,
}

/// What can be done with a sliver.
#[derive(Debug, Clone, Copy)]
pub enum Deed<'a> {
    /// Make what is reserved.
    Provision {
        /// Who can log in.
        users: &'a [NodeUser],
        /// When it ends from then on.
        until: Timestamp,
    },
    /// Run it.
    Start,
    /// Let it stand still.
    Stop,
    /// Let it stand still and run again.
    Restart,
    /// Let in these users with these keys, and nobody else.
    Users(&'a [NodeUser]),
    /// Let in those who could log in before that was to be changed.
    KeepUsers,
    /// Give it so many slaves.
    Resize(u32),
    /// Give it another end.
    Renew(Timestamp),
    /// Let it go.
    Release,
}

/// Why a call is refused, and what of that a program can use.
#[derive(Debug)]
pub struct Refusal {
    /// Why.
    pub error: Error,
    /// What stands in `value` of the answer: the latest time that would do, how
    /// many were asked for and how many there are. Empty where there is nothing
    /// to say.
    pub hint: Value,
}

impl Refusal {
    /// One that has something to say.
    pub fn hinting(error: Error, hint: Value) -> Self {
        Self { error, hint }
    }
}

impl From<Error> for Refusal {
    /// What a quota says is a hint of its own.
    fn from(error: Error) -> Self {
        let count = |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
        let over = std::error::Error::source(&error);
        let hint = match over.and_then(|over| over.downcast_ref::<OverQuota>()) {
            Some(over) => Value::of([("limit", count(over.limit)), ("used", count(over.used))]),
            None => Value::text(""),
        };
        Self { error, hint }
    }
}

/// The caller's hold; a sliver has no other.
pub(super) fn own_hold(who: &Caller, record: &ResourceRecord) -> Result<HoldId> {
    let hold = record.holds.iter().find(|h| h.user == who.user);
    hold.map(|h| h.id).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "the sliver is not held any more").resource(record.id)
    })
}

/// What slivers of a kind cannot do.
pub(super) fn unsupported(record: &ResourceRecord, why: &str) -> Error {
    let what = format!("a sliver of the kind {} {why}", record.kind);
    Error::new(ErrorKind::Unsupported, what)
        .code("unsupported-action")
        .advice("the advertisement tells what can be done with each type of sliver")
        .resource(record.id)
}

/// Tells at which address a node is reached, and who can log in there.
pub(super) fn tell_logins(node: &mut Node, address: &str, users: &[NodeUser]) {
    node.hosts = vec![Host {
        name: Some(address.into()),
        ..Host::default()
    }];
    if users.is_empty() {
        return;
    }
    if node.services.is_empty() {
        node.services.push(Services::default());
    }
    if let Some(services) = node.services.first_mut() {
        services.logins = users
            .iter()
            .map(|user| Login {
                authentication: Some("ssh-keys".into()),
                hostname: Some(address.into()),
                port: Some("22".into()),
                username: Some(user.name.as_str().into()),
                ..Login::default()
            })
            .collect();
    }
}
