//! The contract between GENI's Rpcs and the adapters of kinds.

use async_trait::async_trait;
use rm_core::registry::{Adapter, Contract};
use rm_core::{Call, Result};

use super::Urn;
use super::rspec::Rspec;

/// A translator of some kinds to slivers and back.
#[async_trait]
pub trait GeniSliver: Adapter {
    /// Adds what there is of its kinds to an advertisement; without what is
    /// known not to be had now, where that is wanted.
    ///
    /// # Errors
    ///
    /// Where it cannot be known what there is.
    async fn advertise(
        &self,
        call: &Call<'_>,
        aggregate: &Urn,
        available: bool,
        into: &mut Rspec,
    ) -> Result<()>;
}

impl Contract for dyn GeniSliver {
    const NAME: &'static str = "geni sliver";
}
