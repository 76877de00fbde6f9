//! Version 2 on the wire: arguments, credentials, answers.

use rm_core::Result;
use rm_core::env::Timestamp;

use super::arguments::{Brought, Options, text, users};
use super::list::document;
use super::{Answer, Rpc, Urn, Value};
use crate::geni::credentials::{Certificate, Operation};
use crate::geni::slice::{Ends, SliceTold, SliceV2};
use crate::geni::sliver::Refusal;

impl Rpc {
    pub(super) async fn create_sliver(
        &self,
        peer: &Certificate,
        arguments: &[Value],
    ) -> Result<Answer, Refusal> {
        let rspec = text(arguments.get(2), "RSpec")?;
        let users = users(arguments.get(3))?;
        let options = Options::of(arguments.get(4))?;
        let (slice, by) = self
            .on_slice(peer, arguments, options, Operation::Create)
            .await?;
        let slices = self.adapter::<dyn SliceV2>()?;
        let made = slices.create(&self.on(&slice, &by), rspec, &users).await?;
        let answer = Answer::from(document(&made.manifest, false)?);
        Ok(answer.changing(&slice, &by, made.told.slivers.len()))
    }

    pub(super) async fn sliver_status(
        &self,
        peer: &Certificate,
        arguments: &[Value],
    ) -> Result<Answer, Refusal> {
        let options = Options::of(arguments.get(2))?;
        let (slice, by) = self
            .on_slice(peer, arguments, options, Operation::Look)
            .await?;
        let slices = self.adapter::<dyn SliceV2>()?;
        let told = slices.status(&self.on(&slice, &by)).await?;
        let slivers = &told.slivers;
        let all: Vec<&str> = slivers.iter().map(|s| s.standing.status()).collect();
        let resources = slivers.iter().map(|sliver| {
            Value::of([
                ("geni_urn", Value::text(sliver.urn.as_str())),
                ("geni_status", Value::text(sliver.standing.status())),
                ("geni_error", Value::text(sliver.error.as_str())),
            ])
        });
        let expires = end(&told).map(|end| end.to_string()).unwrap_or_default();
        Ok(Value::of([
            ("geni_urn", Value::text(slice.as_str())),
            ("geni_status", Value::text(overall(&all))),
            ("geni_expires", Value::Text(expires)),
            ("geni_resources", Value::Array(resources.collect())),
        ])
        .into())
    }

    /// ListResources with a slice: its manifest.
    pub(super) async fn list_slice(
        &self,
        peer: &Certificate,
        brought: Vec<Brought>,
        options: Options<'_>,
        slice: &Urn,
    ) -> Result<Answer, Refusal> {
        let by = self
            .permit(peer, brought, options, slice, Operation::Look)
            .await?;
        let slices = self.adapter::<dyn SliceV2>()?;
        let described = slices.describe(&self.on(slice, &by)).await?;
        let compressed = options.flag("geni_compressed")?;
        Ok(document(&described.manifest, compressed)?.into())
    }

    pub(super) async fn renew_sliver(
        &self,
        peer: &Certificate,
        arguments: &[Value],
    ) -> Result<Answer, Refusal> {
        let asked = text(arguments.get(2), "expiration time")?;
        let options = Options::of(arguments.get(3))?;
        let as_long = options.flag("geni_extend_alap")?;
        let (slice, by) = self
            .on_slice(peer, arguments, options, Operation::Renew)
            .await?;
        let asked = Ends::read(self.host.env().now(), "the expiration time", asked)?;
        let slices = self.adapter::<dyn SliceV2>()?;
        let told = slices.renew(&self.on(&slice, &by), asked, as_long).await?;
        let mut answer = Answer::from(Value::Bool(true));
        if let Some(end) = end(&told).filter(|_| as_long) {
            answer.output = end.to_string();
        }
        Ok(answer.changing(&slice, &by, told.slivers.len()))
    }

    pub(super) async fn delete_sliver(
        &self,
        peer: &Certificate,
        arguments: &[Value],
    ) -> Result<Answer, Refusal> {
        let options = Options::of(arguments.get(2))?;
        let (slice, by) = self
            .on_slice(peer, arguments, options, Operation::Delete)
            .await?;
        let slices = self.adapter::<dyn SliceV2>()?;
        let told = slices.delete(&self.on(&slice, &by)).await?;
        Ok(Answer::from(Value::Bool(true)).changing(&slice, &by, told.slivers.len()))
    }
}

/// The word for all slivers of a slice: the worst of theirs.
fn overall(all: &[&'static str]) -> &'static str {
    let worst = ["failed", "unknown", "configuring"];
    let found = worst.into_iter().find(|word| all.contains(word));
    found.unwrap_or("ready")
}

/// When the first of them ends.
fn end(told: &SliceTold) -> Option<Timestamp> {
    told.slivers.iter().filter_map(|sliver| sliver.until).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_as_the_worst_of_its_slivers() {
        for (all, wanted) in [
            (&["ready", "failed", "unknown", "configuring"][..], "failed"),
            (&["ready", "unknown", "configuring"], "unknown"),
            (&["unknown", "ready"], "unknown"),
            (&["ready", "configuring", "ready"], "configuring"),
            (&["ready", "ready"], "ready"),
        ] {
            assert_eq!(overall(all), wanted, "{all:?}");
        }
    }
}
