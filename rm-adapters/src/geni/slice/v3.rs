//! Slices as version 3 has them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rm_core::env::Timestamp;
use rm_core::registry::Adapter;
use rm_core::{Error, ErrorKind, Kind, ResourceId, Result};

use super::contract::{About, Act, Described, Provision, Renewal, SliceCall, SliceTold, SliceV3};
use super::doing::Grant;
use super::{Have, sliver_urn};
use crate::geni::sliver::{Deed, Refusal, Unfit};
use crate::geni::states::{Action, Allocation, Operational};
use crate::geni::{Allocating, Urn};

/// Slices as version 3 has them: slivers one by one, reserved, made, and started
/// when they are asked to.
#[derive(Debug, Clone, Copy, Default)]
pub struct SlicesV3;

impl Adapter for SlicesV3 {
    fn name(&self) -> &'static str {
        "geni.slices"
    }

    /// A slice is of no kind; its slivers are.
    fn kinds(&self) -> &[Kind] {
        &[]
    }
}

#[async_trait]
impl SliceV3 for SlicesV3 {
    async fn allocate(
        &self,
        call: &SliceCall<'_>,
        rspec: &str,
        end: Option<Timestamp>,
    ) -> Result<Described, Refusal> {
        let grant = Grant {
            to: Allocation::Allocated,
            users: &[],
            end,
            once: call.aggregate.allocating == Allocating::Single,
        };
        call.grant(rspec, grant).await
    }

    async fn provision(
        &self,
        call: &SliceCall<'_>,
        about: &About,
        how: &Provision,
    ) -> Result<Described, Refusal> {
        let unfit = call.unfit(about, &how.users).await?;
        if let (false, Some(first)) = (how.best_effort, unfit.first()) {
            return Err(first.of().into());
        }
        let why: BTreeMap<ResourceId, &Unfit> = unfit
            .iter()
            .flat_map(|unfit| unfit.slivers.iter().map(move |id| (*id, unfit)))
            .collect();
        let ends = call.ends();
        let provision = |have: &Have| {
            if have.standing().allocation != Allocation::Allocated {
                return Ok(None);
            }
            if let Some(unfit) = why.get(&have.id()) {
                return Err(unfit.of().into());
            }
            Ok(Some(Deed::Provision {
                users: &how.users,
                until: ends.first(Allocation::Provisioned, how.end.or(have.wish())),
            }))
        };
        let (opened, done) = call.change(about, how.best_effort, provision).await?;
        Ok(call.described(&opened, &done).await?)
    }

    async fn status(&self, call: &SliceCall<'_>, about: &About) -> Result<SliceTold> {
        call.standing(about).await
    }

    async fn describe(&self, call: &SliceCall<'_>, about: &About) -> Result<Described> {
        let (opened, slivers) = call.look(about).await?;
        call.is_all(&opened, about)?;
        call.described(&opened, &slivers).await
    }

    async fn act(
        &self,
        call: &SliceCall<'_>,
        about: &About,
        act: &Act,
    ) -> Result<SliceTold, Refusal> {
        let aggregate = &call.aggregate.urn;
        // What an action lacks is told where it could be done, and of all slivers.
        let best_effort = act.best_effort && deed(act).is_ok();
        let (opened, done) = call
            .change_some(about, best_effort, |have| {
                is_possible(aggregate, have, act.action)?;
                Ok(Some(deed(act)?))
            })
            .await?;
        Ok(call.told(&opened, &done))
    }

    async fn renew(
        &self,
        call: &SliceCall<'_>,
        about: &About,
        how: &Renewal,
    ) -> Result<SliceTold, Refusal> {
        let ends = call.ends();
        let (opened, done) = call
            .change(about, how.best_effort, |have| {
                let end = ends.renewed(have.so_far(), how.to, how.as_long_as_possible)?;
                Ok(end.map(Deed::Renew))
            })
            .await?;
        Ok(call.told(&opened, &done))
    }

    async fn delete(
        &self,
        call: &SliceCall<'_>,
        about: &About,
        best_effort: bool,
    ) -> Result<SliceTold, Refusal> {
        let release = |_: &Have| Ok(Some(Deed::Release));
        let (opened, done) = call.change(about, best_effort, release).await?;
        Ok(call.told(&opened, &done))
    }

    async fn shutdown(&self, call: &SliceCall<'_>, by: &str) -> Result<usize, Refusal> {
        call.end(by).await
    }
}

/// What an action is to do with each sliver.
fn deed(act: &Act) -> Result<Deed<'_>> {
    let lacks = |what: &str, advice: &str| {
        let action = act.action.as_str();
        Error::invalid(format!("{action} does not say {what}"))
            .code("bad-arguments")
            .advice(advice)
    };
    Ok(match act.action {
        Action::Start => Deed::Start,
        Action::Stop => Deed::Stop,
        Action::Restart => Deed::Restart,
        Action::KeepUsers => Deed::KeepUsers,
        Action::UpdateUsers => {
            let users = act.users.as_deref();
            Deed::Users(users.ok_or_else(|| lacks("who can log in", "give the option geni_users"))?)
        }
        Action::Resize => Deed::Resize(act.slaves.ok_or_else(|| {
            lacks(
                "how many slaves there are to be",
                "give the option cluster_slaves",
            )
        })?),
    })
}

/// Refuses what a sliver cannot do, or cannot do as it stands.
fn is_possible(aggregate: &Urn, have: &Have, action: Action) -> Result<()> {
    let (record, family) = (have.sliver.record(), have.sliver.family());
    // What is not being changed has nothing to be left as it was.
    let updating = have.standing().operational == Operational::UpdatingUsers;
    let fits = action != Action::KeepUsers || updating;
    if fits && family.is_legal(action, record.wanted, record.seen) {
        return Ok(());
    }
    let (word, urn) = (action.as_str(), sliver_urn(aggregate, record.id));
    if !family.has(action) {
        let can: Vec<&str> = family.actions().iter().map(|a| a.as_str()).collect();
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("{word} is nothing that can be asked of {urn}"),
        )
        .code("unsupported-action")
        .advice(format!("what can be is: {}", can.join(", "))));
    }
    let state = have.standing();
    Err(Error::new(
        ErrorKind::Unsupported,
        format!(
            "{word} is not possible for {urn}, which is {} and {}",
            state.allocation.as_str(),
            state.operational.as_str()
        ),
    )
    .code("wrong-state")
    .advice("the advertisement tells what can be done in which state"))
}
