//! The shapes of domains.

use std::time::Duration;

use crate::error::Malformed;
use crate::uuid::Uuid;
use crate::xdr::{Reader, Writer};

/// A domain: a guest or a container that libvirt knows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Domain {
    /// Unique on a host and its driver.
    pub name: String,
    /// Stays the same as long as the domain is defined.
    pub uuid: Uuid,
    /// The driver's number of a running domain; a new one with each start.
    pub id: Option<u32>,
}

impl Domain {
    /// The least bytes that a domain takes on the wire.
    pub(crate) const LEAST: usize = 24;

    /// A domain that is known by name and UUID.
    pub fn new(name: impl Into<String>, uuid: Uuid) -> Self {
        Self {
            name: name.into(),
            uuid,
            id: None,
        }
    }

    pub(crate) fn encode(&self, into: &mut Writer) {
        let id = self.id.and_then(|id| i32::try_from(id).ok());
        into.string(&self.name)
            .fixed(&self.uuid.0)
            .i32(id.unwrap_or(-1));
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            name: from.string()?,
            uuid: Uuid(from.fixed()?),
            // -1 if it does not run.
            id: u32::try_from(from.i32()?).ok(),
        })
    }
}

/// What a domain does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// The driver does not say; Xen says so of a domain that could run and does not.
    NoState,
    /// It runs.
    Running,
    /// It waits for something.
    Blocked,
    /// It is paused.
    Paused,
    /// It is about to stop.
    ShuttingDown,
    /// It does not run.
    Shutoff,
    /// It has crashed.
    Crashed,
    /// The guest has put itself to sleep.
    PmSuspended,
    /// Something that is not known here.
    Other(i32),
}

impl State {
    pub(crate) fn new(number: i32) -> Self {
        match number {
            0 => Self::NoState,
            1 => Self::Running,
            2 => Self::Blocked,
            3 => Self::Paused,
            4 => Self::ShuttingDown,
            5 => Self::Shutoff,
            6 => Self::Crashed,
            7 => Self::PmSuspended,
            other => Self::Other(other),
        }
    }

    /// Whether the domain holds memory of the host.
    pub fn is_active(self) -> bool {
        !matches!(self, Self::Shutoff | Self::Crashed)
    }
}

/// What a domain does and has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// What it does.
    pub state: State,
    /// The most memory it can have, in KiB.
    pub max_memory_kib: u64,
    /// The memory it has, in KiB.
    pub memory_kib: u64,
    /// How many vcpus it has.
    pub vcpus: u32,
    /// The processor time it has used.
    pub cpu_time: Duration,
}

impl Info {
    pub(crate) fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            state: State::new(from.i32()?),
            max_memory_kib: from.u64()?,
            memory_kib: from.u64()?,
            vcpus: from.u32()?,
            cpu_time: Duration::from_nanos(from.u64()?),
        })
    }
}
