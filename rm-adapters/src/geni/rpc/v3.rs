//! Version 3 on the wire: arguments, credentials, answers.

use rm_core::clusters::MOST_SLAVES;
use rm_core::{Error, ErrorKind, Result};

use super::allow::Permitted;
use super::arguments::{Options, about, credentials, text, users};
use super::list::document;
use super::{Answer, Rpc, Urn, Value};
use crate::geni::credentials::{Certificate, Operation};
use crate::geni::slice::{
    About, Act, Ends, Provision, Renewal, SliceTold, SliceV3, SliverTold, of_one_slice, slice_of,
};
use crate::geni::sliver::Refusal;
use crate::geni::states::Action;
use crate::geni::xml::short;

/// What a call on slivers is about, and by what it is granted.
struct Asked {
    about: About,
    slice: Urn,
    by: Permitted,
}

impl Asked {
    /// The answer to what was done with some of the slivers.
    fn changed(&self, value: Value, told: &SliceTold) -> Answer {
        let done = told.slivers.iter().filter(|s| !s.refused).count();
        Answer::from(value).changing(&self.slice, &self.by, done)
    }
}

impl Rpc {
    pub(super) async fn allocate(
        &self,
        peer: &Certificate,
        arguments: &[Value],
    ) -> Result<Answer, Refusal> {
        let rspec = text(arguments.get(2), "RSpec")?;
        let options = Options::of(arguments.get(3))?;
        let (slice, by) = self
            .on_slice(peer, arguments, options, Operation::Create)
            .await?;
        let end = options.time("geni_end_time", self.host.env().now())?;
        let slices = self.adapter::<dyn SliceV3>()?;
        let made = slices.allocate(&self.on(&slice, &by), rspec, end).await?;
        let answer = Answer::from(Value::of([
            ("geni_rspec", document(&made.manifest, false)?),
            ("geni_slivers", slivers(&made.told)),
        ]));
        Ok(answer.changing(&slice, &by, made.told.slivers.len()))
    }

    pub(super) async fn provision(
        &self,
        peer: &Certificate,
        arguments: &[Value],
    ) -> Result<Answer, Refusal> {
        let options = Options::of(arguments.get(2))?;
        options.rspec_version()?;
        let asked = self
            .asked(peer, arguments, options, Operation::Create)
            .await?;
        let how = Provision {
            users: users(options.value("geni_users"))?,
            end: options.time("geni_end_time", self.host.env().now())?,
            best_effort: options.flag("geni_best_effort")?,
        };
        let call = self.on(&asked.slice, &asked.by);
        let slices = self.adapter::<dyn SliceV3>()?;
        let made = slices.provision(&call, &asked.about, &how).await?;
        let value = Value::of([
            ("geni_rspec", document(&made.manifest, false)?),
            ("geni_slivers", slivers(&made.told)),
        ]);
        Ok(asked.changed(value, &made.told))
    }

    pub(super) async fn describe(
        &self,
        peer: &Certificate,
        arguments: &[Value],
    ) -> Result<Answer, Refusal> {
        let options = Options::of(arguments.get(2))?;
        options.rspec_version()?;
        let compressed = options.flag("geni_compressed")?;
        let asked = self
            .asked(peer, arguments, options, Operation::Look)
            .await?;
        let call = self.on(&asked.slice, &asked.by);
        let slices = self.adapter::<dyn SliceV3>()?;
        let described = slices.describe(&call, &asked.about).await?;
        Ok(Value::of([
            ("geni_rspec", document(&described.manifest, compressed)?),
            ("geni_urn", Value::text(described.told.slice.as_str())),
            ("geni_slivers", slivers(&described.told)),
        ])
        .into())
    }

    pub(super) async fn status(
        &self,
        peer: &Certificate,
        arguments: &[Value],
    ) -> Result<Answer, Refusal> {
        let options = Options::of(arguments.get(2))?;
        let asked = self
            .asked(peer, arguments, options, Operation::Look)
            .await?;
        let call = self.on(&asked.slice, &asked.by);
        let slices = self.adapter::<dyn SliceV3>()?;
        let told = slices.status(&call, &asked.about).await?;
        Ok(Value::of([
            ("geni_urn", Value::text(told.slice.as_str())),
            ("geni_slivers", slivers(&told)),
        ])
        .into())
    }

    pub(super) async fn act(
        &self,
        peer: &Certificate,
        arguments: &[Value],
    ) -> Result<Answer, Refusal> {
        let word = text(arguments.get(2), "action")?;
        let options = Options::of(arguments.get(3))?;
        let asked = self
            .asked(peer, arguments, options, Operation::Create)
            .await?;
        let brought = options.value("geni_users");
        let act = Act {
            action: Action::named(word).ok_or_else(|| unknown_action(word))?,
            users: brought.map(|value| users(Some(value))).transpose()?,
            slaves: options.count("cluster_slaves", MOST_SLAVES)?,
            best_effort: options.flag("geni_best_effort")?,
        };
        let call = self.on(&asked.slice, &asked.by);
        let slices = self.adapter::<dyn SliceV3>()?;
        let told = slices.act(&call, &asked.about, &act).await?;
        Ok(asked.changed(slivers(&told), &told))
    }

    pub(super) async fn renew(
        &self,
        peer: &Certificate,
        arguments: &[Value],
    ) -> Result<Answer, Refusal> {
        let time = text(arguments.get(2), "expiration time")?;
        let options = Options::of(arguments.get(3))?;
        let as_long = options.flag("geni_extend_alap")?;
        let asked = self
            .asked(peer, arguments, options, Operation::Renew)
            .await?;
        let how = Renewal {
            to: Ends::read(self.host.env().now(), "the expiration time", time)?,
            as_long_as_possible: as_long,
            best_effort: options.flag("geni_best_effort")?,
        };
        let call = self.on(&asked.slice, &asked.by);
        let slices = self.adapter::<dyn SliceV3>()?;
        let told = slices.renew(&call, &asked.about, &how).await?;
        Ok(asked.changed(slivers(&told), &told))
    }

    pub(super) async fn delete(
        &self,
        peer: &Certificate,
        arguments: &[Value],
    ) -> Result<Answer, Refusal> {
        let options = Options::of(arguments.get(2))?;
        let best_effort = options.flag("geni_best_effort")?;
        let asked = self
            .asked(peer, arguments, options, Operation::Delete)
            .await?;
        let call = self.on(&asked.slice, &asked.by);
        let slices = self.adapter::<dyn SliceV3>()?;
        let told = slices.delete(&call, &asked.about, best_effort).await?;
        Ok(asked.changed(slivers(&told), &told))
    }

    /// Reads what every call on slivers begins with, and checks who calls.
    async fn asked(
        &self,
        peer: &Certificate,
        arguments: &[Value],
        options: Options<'_>,
        operation: Operation,
    ) -> Result<Asked> {
        let about = about(arguments.first())?;
        let brought = credentials(arguments.get(1))?;
        let (host, aggregate) = (&self.host, &self.aggregate.urn);
        let slice = slice_of(host, aggregate, &about).await?;
        let by = self
            .permit(peer, brought, options, &slice, operation)
            .await?;
        of_one_slice(host, aggregate, &about, &slice).await?;
        Ok(Asked { about, slice, by })
    }
}

/// Slivers as version 3 tells them.
fn slivers(told: &SliceTold) -> Value {
    let one = |sliver: &SliverTold| {
        let expires = sliver.until.map(|end| end.to_string()).unwrap_or_default();
        let standing = sliver.standing;
        Value::of([
            ("geni_sliver_urn", Value::text(sliver.urn.as_str())),
            ("geni_expires", Value::Text(expires)),
            (
                "geni_allocation_status",
                Value::text(standing.allocation.as_str()),
            ),
            (
                "geni_operational_status",
                Value::text(standing.operational.as_str()),
            ),
            ("geni_error", Value::text(sliver.error.as_str())),
        ])
    };
    Value::Array(told.slivers.iter().map(one).collect())
}

fn unknown_action(word: &str) -> Error {
    let known: Vec<&str> = Action::ALL.iter().map(|a| a.as_str()).collect();
    Error::new(
        ErrorKind::Unsupported,
        format!("there is no action {:?} here", short(word)),
    )
    .code("unknown-action")
    .advice(format!("the actions are: {}", known.join(", ")))
}
