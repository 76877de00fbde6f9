//! Version 2: one sliver a slice, which runs as soon as it is there.

use rm_core::Result;

use super::arguments::{About, Options, text, users};
use super::grant::Grant;
use super::list::document;
use super::slices::Done;
use super::{Answer, Rpc, Value};
use crate::geni::credentials::{Certificate, Operation};
use crate::geni::slice::Ends;
use crate::geni::sliver::{Deed, Refusal};
use crate::geni::states::Allocation;

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
        let wish = self.wish(rspec).await?;
        let grant = Grant {
            to: Allocation::Provisioned,
            users: &users,
            end: None,
            once: true,
        };
        let granted = self.grant(&slice, &wish, by.until, grant).await?;
        let manifest = self.manifest(vec![granted.told()]).await?;
        let answer = Answer::from(document(&manifest, false)?);
        Ok(answer.changing(&slice, &by, granted.slivers.len()))
    }

    pub(super) async fn sliver_status(
        &self,
        peer: &Certificate,
        arguments: &[Value],
    ) -> Result<Answer, Refusal> {
        let options = Options::of(arguments.get(2))?;
        let (slice, _) = self
            .on_slice(peer, arguments, options, Operation::Look)
            .await?;
        let (_, slivers) = self.look(&slice, &About::Slice(slice.clone())).await?;
        let status = |done: &Done| done.adapter.standing(&done.record).status();
        let all: Vec<&str> = slivers.iter().map(status).collect();
        let overall = match &all[..] {
            some if some.contains(&"failed") => "failed",
            some if some.contains(&"unknown") => "unknown",
            some if some.iter().all(|s| *s == "ready") => "ready",
            _ => "configuring",
        };
        let resources = slivers.iter().map(|done| {
            Value::of([
                (
                    "geni_urn",
                    Value::text(self.sliver_urn(&done.record).as_str()),
                ),
                ("geni_status", Value::text(status(done))),
                ("geni_error", Value::Text(done.error())),
            ])
        });
        let expires = slivers.iter().filter_map(|done| done.until).min();
        Ok(Value::of([
            ("geni_urn", Value::text(slice.as_str())),
            ("geni_status", Value::text(overall)),
            (
                "geni_expires",
                Value::text(expires.map(|end| end.to_string()).unwrap_or_default()),
            ),
            ("geni_resources", Value::Array(resources.collect())),
        ])
        .into())
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
        let ends = Ends::of(&self.host, self.aggregate.lifetimes, &slice, by.until);
        let about = About::Slice(slice.clone());
        let (_, done) = self
            .change(&slice, &about, false, |have| {
                let end = ends.renewed(have.standing().allocation, asked, as_long)?;
                Ok(Some(Deed::Renew(end)))
            })
            .await?;
        let end = done.iter().filter_map(|done| done.until).min();
        let mut answer = Answer::from(Value::Bool(true));
        if let Some(end) = end.filter(|_| as_long) {
            answer.output = end.to_string();
        }
        Ok(answer.changing(&slice, &by, done.len()))
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
        let about = About::Slice(slice.clone());
        let (_, done) = self
            .change(&slice, &about, false, |_| Ok(Some(Deed::Release)))
            .await?;
        Ok(Answer::from(Value::Bool(true)).changing(&slice, &by, done.len()))
    }
}
