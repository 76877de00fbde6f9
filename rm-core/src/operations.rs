//! Operations: whether what was wanted of a resource as of a generation is
//! there. Nothing is kept for them: they are read from the resource, and once
//! it is gone from its last event.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::host::Core;
use crate::id::ResourceId;
use crate::life::{State, Wanted};
use crate::record::ResourceRecord;
use crate::visible::{may_hear, may_see};

/// A generation of a resource; written `RESOURCE.GENERATION`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId {
    /// The resource.
    pub resource: ResourceId,
    /// The generation.
    pub generation: u64,
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.resource, self.generation)
    }
}

impl FromStr for OperationId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (resource, generation) = text.split_once('.').ok_or_else(missing)?;
        Ok(Self {
            resource: resource.parse().map_err(|_| missing())?,
            generation: generation.parse().map_err(|_| missing())?,
        })
    }
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationState {
    /// The engine is at it.
    Running,
    /// What was wanted is there; of what is gone, that it is gone.
    Done,
    /// It is not, and will not be until somebody does something.
    Failed,
}

impl OperationState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Running, Self::Done, Self::Failed];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// What has become of what was wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Of which resource, and as of which generation.
    pub id: OperationId,
    /// How far it is.
    pub state: OperationState,
    /// Why, where something needs saying.
    pub reason: String,
}

impl Operation {
    /// As a resource's record tells it.
    pub fn of(r: &ResourceRecord, generation: u64) -> Self {
        let (state, reason) = match (r.refusal(generation), r.seen) {
            (Some(reason), _) => (OperationState::Failed, reason),
            (None, State::Failed | State::Quarantined) => {
                (OperationState::Failed, r.reason.as_str())
            }
            (None, State::Ready)
                if r.seen_generation >= generation && r.wanted != Wanted::Absent =>
            {
                (OperationState::Done, r.reason.as_str())
            }
            (None, _) => (OperationState::Running, r.reason.as_str()),
        };
        Self {
            id: OperationId {
                resource: r.id,
                generation,
            },
            state,
            reason: reason.to_owned(),
        }
    }

    /// As the last event of what is gone tells it.
    fn ended(id: OperationId, end: &Event) -> Self {
        let (state, reason) = if end.event.what.ends_with(".gone") {
            (OperationState::Done, "it is gone".to_owned())
        } else {
            let why = end.event.data["reason"].as_str().unwrap_or_default();
            (
                OperationState::Failed,
                format!("an operator gave it up, whatever is left: {why}"),
            )
        };
        Self { id, state, reason }
    }
}

fn missing() -> Error {
    Error::not_found("there is no such operation")
        .advice("those of what is gone are forgotten after a while")
}

/// Reads operations.
#[derive(Debug)]
pub struct Operations<'a> {
    core: &'a Core,
}

impl<'a> Operations<'a> {
    pub(crate) fn new(core: &'a Arc<Core>) -> Self {
        Self { core }
    }

    /// One operation as it is now. That of a resource that the caller may not
    /// see is missing.
    pub async fn get(&self, who: &Caller, id: OperationId) -> Result<Operation> {
        match self.core.store.resource(id.resource).await? {
            Some(row) if may_see(who, &row.record) => Ok(Operation::of(&row.record, id.generation)),
            Some(_) => Err(missing()),
            None => {
                let end = last_event(self.core, id.resource).await?;
                let end = end.filter(|e| e.is_end() && may_hear(who, &e.event));
                Ok(Operation::ended(id, &end.ok_or_else(missing)?))
            }
        }
    }
}

/// The newest event of a resource that is kept.
pub(crate) async fn last_event(core: &Core, of: ResourceId) -> Result<Option<Event>> {
    let mut last: Option<Event> = None;
    loop {
        let seq = last.as_ref().map_or(0, |e| e.seq);
        match core.store.since(seq, Some(of), 500).await?.pop() {
            Some(newer) => last = Some(newer),
            None => return Ok(last),
        }
    }
}
