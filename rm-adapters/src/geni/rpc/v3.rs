//! Version 3: slivers one by one, reserved first, then made, then started.

use rm_core::{Error, ErrorKind, Result};

use super::allow::Permitted;
use super::arguments::{About, Options, about, credentials, text, users};
use super::grant::Grant;
use super::list::document;
use super::slices::Done;
use super::{Answer, Rpc, Urn, Value};
use crate::geni::credentials::{Certificate, Operation};
use crate::geni::slice::{Ends, Have};
use crate::geni::sliver::{Deed, Refusal};
use crate::geni::states::{Action, Allocation};
use crate::geni::xml::short;

/// What a call on slivers is about, and by what it is granted.
struct Asked {
    about: About,
    slice: Urn,
    by: Permitted,
}

impl Asked {
    /// The answer to what was done with some of the slivers.
    fn changed(&self, value: Value, done: &[Done]) -> Answer {
        let done = done.iter().filter(|done| done.error.is_none()).count();
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
        let wish = self.wish(rspec).await?;
        let grant = Grant {
            to: Allocation::Allocated,
            users: &[],
            end,
            once: false,
        };
        let granted = self.grant(&slice, &wish, by.until, grant).await?;
        let manifest = self.manifest(vec![granted.told()]).await?;
        let slivers = Done::all(&granted);
        let answer = Answer::from(Value::of([
            ("geni_rspec", document(&manifest, false)?),
            ("geni_slivers", self.slivers(&slivers)),
        ]));
        Ok(answer.changing(&slice, &by, slivers.len()))
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
        let users = users(options.value("geni_users"))?;
        let end = options.time("geni_end_time", self.host.env().now())?;
        let until = self.ends(&asked).first(Allocation::Provisioned, end);
        let provision = |have: &Have| {
            let allocated = have.standing().allocation == Allocation::Allocated;
            Ok(allocated.then_some(Deed::Provision {
                users: &users,
                until,
            }))
        };
        let best_effort = options.flag("geni_best_effort")?;
        if !best_effort {
            self.admits(&asked.slice, &asked.about, &users).await?;
        }
        let (opened, done) = self
            .change(&asked.slice, &asked.about, best_effort, provision)
            .await?;
        let manifest = self.manifest_of(&opened, &done).await?;
        let value = Value::of([
            ("geni_rspec", document(&manifest, false)?),
            ("geni_slivers", self.slivers(&done)),
        ]);
        Ok(asked.changed(value, &done))
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
        let (opened, done) = self.look(&asked.slice, &asked.about).await?;
        let manifest = self.manifest_of(&opened, &done).await?;
        Ok(Value::of([
            ("geni_rspec", document(&manifest, compressed)?),
            ("geni_urn", Value::text(opened.first_written())),
            ("geni_slivers", self.slivers(&done)),
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
        let (opened, done) = self.look(&asked.slice, &asked.about).await?;
        Ok(Value::of([
            ("geni_urn", Value::text(opened.first_written())),
            ("geni_slivers", self.slivers(&done)),
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
        let action = Action::named(word).ok_or_else(|| unknown_action(word))?;
        let best_effort = options.flag("geni_best_effort")?;
        let (_, done) = self
            .change(&asked.slice, &asked.about, best_effort, |have| {
                let record = have.sliver.record();
                if action.is_legal(record.wanted, record.seen) {
                    return Ok(Some(Deed::Act(action)));
                }
                let state = have.standing();
                Err(Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "{} is not possible for {}, which is {} and {}",
                        action.as_str(),
                        self.sliver_urn(record),
                        state.allocation.as_str(),
                        state.operational.as_str()
                    ),
                )
                .code("wrong-state")
                .advice("the advertisement tells what can be done in which state")
                .into())
            })
            .await?;
        Ok(asked.changed(self.slivers(&done), &done))
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
        let time = Ends::read(self.host.env().now(), "the expiration time", time)?;
        let ends = self.ends(&asked);
        let best_effort = options.flag("geni_best_effort")?;
        let (_, done) = self
            .change(&asked.slice, &asked.about, best_effort, |have| {
                let end = ends.renewed(have.standing().allocation, time, as_long)?;
                Ok(Some(Deed::Renew(end)))
            })
            .await?;
        Ok(asked.changed(self.slivers(&done), &done))
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
        let (_, done) = self
            .change(&asked.slice, &asked.about, best_effort, |_| {
                Ok(Some(Deed::Release))
            })
            .await?;
        Ok(asked.changed(self.slivers(&done), &done))
    }

    /// Reads what every call on slivers begins with, and checks who calls. Those
    /// on a slice as a whole begin with [`on_slice`](Rpc::on_slice).
    async fn asked(
        &self,
        peer: &Certificate,
        arguments: &[Value],
        options: Options<'_>,
        operation: Operation,
    ) -> Result<Asked> {
        let about = about(arguments.first())?;
        let brought = credentials(arguments.get(1))?;
        let slice = self.slice_of(&about).await?;
        let by = self
            .permit(peer, brought, options, &slice, operation)
            .await?;
        self.of_one_slice(&about, &slice).await?;
        Ok(Asked { about, slice, by })
    }

    fn ends(&self, asked: &Asked) -> Ends {
        let lifetimes = self.aggregate.lifetimes;
        Ends::of(&self.host, lifetimes, &asked.slice, asked.by.until)
    }

    /// Slivers as version 3 tells them.
    fn slivers(&self, slivers: &[Done]) -> Value {
        let one = |done: &Done| {
            let standing = done.adapter.standing(&done.record);
            let expires = done.until.map(|end| end.to_string()).unwrap_or_default();
            Value::of([
                (
                    "geni_sliver_urn",
                    Value::text(self.sliver_urn(&done.record).as_str()),
                ),
                ("geni_expires", Value::Text(expires)),
                (
                    "geni_allocation_status",
                    Value::text(standing.allocation.as_str()),
                ),
                (
                    "geni_operational_status",
                    Value::text(standing.operational.as_str()),
                ),
                ("geni_error", Value::Text(done.error())),
            ])
        };
        Value::Array(slivers.iter().map(one).collect())
    }
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
