//! The contracts between GENI's Rpcs and what translates slices: one for each
//! version of the API, with the version's own rules.
//!
//! An Rpc reads arguments and credentials, and writes answers; it asks the
//! registry for who fulfils the contract of its version. What is here is all
//! that an answer needs, in no format.

use async_trait::async_trait;
use rm_core::env::Timestamp;
use rm_core::model::NodeUser;
use rm_core::registry::{Adapter, Contract};
use rm_core::{Host, Result};

use crate::geni::bench::Bench;
use crate::geni::rspec::Rspec;
use crate::geni::sliver::Refusal;
use crate::geni::states::{Action, Standing};
use crate::geni::{Aggregate, Urn};

/// Brought to every call on a slice, which is permitted.
#[derive(Debug, Clone, Copy)]
pub struct SliceCall<'a> {
    /// Managers, adapters, catalog, store.
    pub host: &'a Host,
    /// Where it is called.
    pub aggregate: &'a Aggregate,
    /// The slice, as the caller writes it.
    pub slice: &'a Urn,
    /// When what permits the call ends: nothing that is made by it may be there
    /// for longer.
    pub until: Timestamp,
    /// Where long work is done.
    pub(in crate::geni) bench: &'a Bench,
}

/// What a call is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// All slivers of the slice.
    Slice(Urn),
    /// These slivers.
    Slivers(Vec<Urn>),
}

/// What is told of a sliver.
#[derive(Debug, Clone)]
pub struct SliverTold {
    /// Its name.
    pub urn: Urn,
    /// When it ends, or would have ended.
    pub until: Option<Timestamp>,
    /// How it stands.
    pub standing: Standing,
    /// What it suffers from, or why what was asked for was not done with it;
    /// empty where there is nothing to say.
    pub error: String,
    /// Whether what was asked for was not done with it.
    pub refused: bool,
}

/// What is told of a slice.
#[derive(Debug, Clone)]
pub struct SliceTold {
    /// The slice, as it was first written here.
    pub slice: String,
    /// Those of its slivers that the call is about.
    pub slivers: Vec<SliverTold>,
}

/// The same, and the manifest of these slivers.
#[derive(Debug, Clone)]
pub struct Described {
    /// What is told of the slice.
    pub told: SliceTold,
    /// The manifest.
    pub manifest: Rspec,
}

/// What version 2 does with a slice: all slivers of it are one, which runs as
/// soon as it is there.
#[async_trait]
pub trait SliceV2: Adapter {
    /// Grants a request of a slice that has nothing yet; what it asks for is made
    /// and run at once.
    ///
    /// # Errors
    ///
    /// [`rm_core::ErrorKind::Exists`] for another one, and why it cannot be
    /// granted; then nothing was.
    async fn create(
        &self,
        call: &SliceCall<'_>,
        rspec: &str,
        users: &[NodeUser],
    ) -> Result<Described, Refusal>;

    /// How the slivers stand, and what was deleted of the slice and does not go.
    ///
    /// # Errors
    ///
    /// [`rm_core::ErrorKind::NotFound`] where there is none.
    async fn status(&self, call: &SliceCall<'_>) -> Result<SliceTold>;

    /// The manifest.
    ///
    /// # Errors
    ///
    /// As for [`status`](Self::status).
    async fn describe(&self, call: &SliceCall<'_>) -> Result<Described>;

    /// Gives all of it another end, the latest that can be where that is enough.
    ///
    /// # Errors
    ///
    /// Where that is too late, with the latest as a hint; as for
    /// [`status`](Self::status).
    async fn renew(
        &self,
        call: &SliceCall<'_>,
        to: Timestamp,
        as_long_as_possible: bool,
    ) -> Result<SliceTold, Refusal>;

    /// Lets all of it go.
    ///
    /// # Errors
    ///
    /// As for [`status`](Self::status).
    async fn delete(&self, call: &SliceCall<'_>) -> Result<SliceTold, Refusal>;

    /// Ends all that happens in it; answers how many slivers that were. It is
    /// true of one that has nothing here, and binds it from then on. Nothing is
    /// deleted.
    ///
    /// # Errors
    ///
    /// [`rm_core::ErrorKind::Unsupported`] where some of it cannot be stopped, and
    /// where it cannot be said of all of it; then the slice is marked, and the call
    /// can be repeated.
    async fn shutdown(&self, call: &SliceCall<'_>, by: &str) -> Result<usize, Refusal>;
}

impl Contract for dyn SliceV2 {
    const NAME: &'static str = "geni.slice.v2";
}

/// What version 3 does with a slice: slivers one by one, reserved first, then
/// made, then started. Where `best_effort` is wanted, what one sliver refuses is
/// told of it, and done with the others; else all of it is done or nothing.
#[async_trait]
pub trait SliceV3: Adapter {
    /// Reserves what a request asks for, beside what there is.
    ///
    /// # Errors
    ///
    /// Why it cannot be granted; then nothing was.
    async fn allocate(
        &self,
        call: &SliceCall<'_>,
        rspec: &str,
        end: Option<Timestamp>,
    ) -> Result<Described, Refusal>;

    /// Makes what is reserved; nothing happens to what is made.
    ///
    /// # Errors
    ///
    /// [`rm_core::ErrorKind::NotFound`] where there is no such sliver, and why
    /// one cannot be made.
    async fn provision(
        &self,
        call: &SliceCall<'_>,
        about: &About,
        how: &Provision,
    ) -> Result<Described, Refusal>;

    /// How slivers stand, and what was deleted of the slice and does not go.
    ///
    /// # Errors
    ///
    /// [`rm_core::ErrorKind::NotFound`] where there is no such sliver.
    async fn status(&self, call: &SliceCall<'_>, about: &About) -> Result<SliceTold>;

    /// The same, and their manifest.
    ///
    /// # Errors
    ///
    /// As for [`status`](Self::status).
    async fn describe(&self, call: &SliceCall<'_>, about: &About) -> Result<Described>;

    /// Asks something operational of slivers.
    ///
    /// # Errors
    ///
    /// [`rm_core::ErrorKind::Unsupported`] where one cannot do that, or not as it
    /// stands; [`rm_core::ErrorKind::Invalid`] where the action lacks what it
    /// takes.
    async fn act(
        &self,
        call: &SliceCall<'_>,
        about: &About,
        act: &Act,
    ) -> Result<SliceTold, Refusal>;

    /// Gives slivers another end.
    ///
    /// # Errors
    ///
    /// Where that is too late, with the latest as a hint; as for
    /// [`status`](Self::status).
    async fn renew(
        &self,
        call: &SliceCall<'_>,
        about: &About,
        how: &Renewal,
    ) -> Result<SliceTold, Refusal>;

    /// Lets slivers go.
    ///
    /// # Errors
    ///
    /// As for [`status`](Self::status).
    async fn delete(
        &self,
        call: &SliceCall<'_>,
        about: &About,
        best_effort: bool,
    ) -> Result<SliceTold, Refusal>;

    /// As in [`SliceV2::shutdown`].
    ///
    /// # Errors
    ///
    /// As there.
    async fn shutdown(&self, call: &SliceCall<'_>, by: &str) -> Result<usize, Refusal>;
}

impl Contract for dyn SliceV3 {
    const NAME: &'static str = "geni.slice.v3";
}

/// How slivers are made.
#[derive(Debug, Clone, Default)]
pub struct Provision {
    /// Who can log in.
    pub users: Vec<NodeUser>,
    /// When they should end.
    pub end: Option<Timestamp>,
    /// Whether what one refuses is told of it alone.
    pub best_effort: bool,
}

/// What is asked of slivers.
#[derive(Debug, Clone)]
pub struct Act {
    /// What.
    pub action: Action,
    /// For [`Action::UpdateUsers`]: who can log in from then on.
    pub users: Option<Vec<NodeUser>>,
    /// For [`Action::Resize`]: how many slaves there are to be.
    pub slaves: Option<u32>,
    /// Whether what one refuses is told of it alone.
    pub best_effort: bool,
}

/// How slivers are renewed.
#[derive(Debug, Clone, Copy)]
pub struct Renewal {
    /// Until when.
    pub to: Timestamp,
    /// Whether the latest that can be is enough.
    pub as_long_as_possible: bool,
    /// Whether what one refuses is told of it alone.
    pub best_effort: bool,
}
