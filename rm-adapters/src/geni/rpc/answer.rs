//! The return struct: what every call is answered with.

use super::allow::Permitted;
use super::{Aggregate, Urn, Value};
use crate::geni::codes::Code;
use crate::geni::sliver::Refusal;

/// What a call is answered with that went well.
#[derive(Debug)]
pub(super) struct Answer {
    /// What was asked for.
    pub(super) value: Value,
    /// What else there is to say.
    pub(super) output: String,
    /// What was changed, and on whose behalf.
    pub(super) changed: Option<Changed>,
}

/// What a call changed, for the log: the events of the house name the slice
/// alone.
#[derive(Debug)]
pub(super) struct Changed {
    slice: Urn,
    member: Option<Urn>,
    slivers: usize,
}

impl Answer {
    /// An answer to what a member did with so many slivers of a slice.
    pub(super) fn changing(mut self, slice: &Urn, by: &Permitted, slivers: usize) -> Self {
        self.changed = Some(Changed {
            slice: slice.clone(),
            member: by.member.clone(),
            slivers,
        });
        self
    }
}

impl Changed {
    /// Tells it; `client` is who called, for the member or as the member.
    pub(super) fn tell(&self, request: &str, client: &str, method: &str) {
        let member = self.member.as_ref().map_or("", Urn::as_str);
        let (slice, slivers) = (self.slice.as_str(), self.slivers);
        tracing::info!(request, client, member, method, slice, slivers, "changed");
    }
}

impl From<Value> for Answer {
    fn from(value: Value) -> Self {
        Self {
            value,
            output: String::new(),
            changed: None,
        }
    }
}

/// The struct of a call that went well; `api` stands beside the value where
/// clients look for it there.
pub(super) fn succeeded(answer: Answer, api: Option<i64>) -> Value {
    let mut members = vec![
        ("code", code(Code::Success, "", [])),
        ("value", answer.value),
        ("output", Value::Text(answer.output)),
    ];
    members.extend(api.map(|api| ("geni_api", Value::Int(api))));
    Value::of(members)
}

/// A refusal, with the words and the id by which an operator finds it in the
/// log.
pub(super) fn failed(aggregate: &Aggregate, refusal: &Refusal, id: &str) -> Value {
    let error = &refusal.error;
    let log = Urn::new(aggregate.urn.authority(), "log", id);
    let reason = ("reason", Value::text(error.stable_code()));
    Value::of([
        ("code", code(Code::of(error), log.as_str(), [reason])),
        ("value", refusal.hint.clone()),
        ("output", Value::text(format!("{error} (request {id})"))),
    ])
}

/// The code of an answer. Clients made for ProtoGENI read where its log is in
/// every answer, also in one that went well.
fn code(code: Code, log: &str, more: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let own = [
        ("geni_code", Value::Int(code.number())),
        ("am_type", Value::text("resource-manager")),
        ("am_code", Value::Int(code.number())),
        ("protogeni_error_log", Value::text(log)),
        ("protogeni_error_url", Value::text("")),
    ];
    Value::of(own.into_iter().chain(more))
}
