//! Slices as version 2 has them.

use async_trait::async_trait;
use rm_core::env::Timestamp;
use rm_core::model::NodeUser;
use rm_core::registry::Adapter;
use rm_core::{Kind, Result};

use super::Have;
use super::contract::{About, Described, SliceCall, SliceTold, SliceV2};
use super::doing::Grant;
use crate::geni::sliver::{Deed, Refusal};
use crate::geni::states::Allocation;

/// Slices as version 2 has them: what is reserved is made and run at once, and
/// calls are on all of a slice.
#[derive(Debug, Clone, Copy, Default)]
pub struct SlicesV2;

impl Adapter for SlicesV2 {
    fn name(&self) -> &'static str {
        "geni.slices"
    }

    /// A slice is of no kind; its slivers are.
    fn kinds(&self) -> &[Kind] {
        &[]
    }
}

#[async_trait]
impl SliceV2 for SlicesV2 {
    async fn create(
        &self,
        call: &SliceCall<'_>,
        rspec: &str,
        users: &[NodeUser],
    ) -> Result<Described, Refusal> {
        let grant = Grant {
            to: Allocation::Provisioned,
            users,
            end: None,
            once: true,
        };
        call.grant(rspec, grant).await
    }

    async fn status(&self, call: &SliceCall<'_>) -> Result<SliceTold> {
        call.standing(&all(call)).await
    }

    async fn describe(&self, call: &SliceCall<'_>) -> Result<Described> {
        let (opened, slivers) = call.look(&all(call)).await?;
        call.described(&opened, &slivers).await
    }

    async fn renew(
        &self,
        call: &SliceCall<'_>,
        to: Timestamp,
        as_long_as_possible: bool,
    ) -> Result<SliceTold, Refusal> {
        let ends = call.ends();
        let (opened, done) = call
            .change(&all(call), false, |have| {
                let end = ends.renewed(have.so_far(), to, as_long_as_possible)?;
                Ok(end.map(Deed::Renew))
            })
            .await?;
        Ok(call.told(&opened, &done))
    }

    async fn delete(&self, call: &SliceCall<'_>) -> Result<SliceTold, Refusal> {
        let release = |_: &Have| Ok(Some(Deed::Release));
        let (opened, done) = call.change(&all(call), false, release).await?;
        Ok(call.told(&opened, &done))
    }

    async fn shutdown(&self, call: &SliceCall<'_>, by: &str) -> Result<usize, Refusal> {
        call.end(by).await
    }
}

fn all(call: &SliceCall<'_>) -> About {
    About::Slice(call.slice.clone())
}
