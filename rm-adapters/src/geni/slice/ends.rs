//! Until when slivers may be.

use std::time::Duration;

use rm_core::env::Timestamp;
use rm_core::{Error, Host, Result};

use super::owner;
use crate::geni::Urn;
use crate::geni::codes::OUT_OF_RANGE;
use crate::geni::credentials::read_time;
use crate::geni::sliver::Refusal;
use crate::geni::states::Allocation;
use crate::geni::xml::short;
use crate::geni::xmlrpc::Value;

/// How long slivers are left as they are, as the host program wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// One that is allocated and not provisioned: at first.
    pub allocated: Duration,
    /// The same: the longest from now, when it is renewed.
    pub allocated_most: Duration,
    /// One that is provisioned: the longest from now.
    pub provisioned: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            allocated: Duration::from_secs(10 * 60),
            allocated_most: Duration::from_secs(2 * 3600),
            provisioned: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// The ends that a call can give.
#[derive(Debug, Clone, Copy)]
pub(in crate::geni) struct Ends {
    now: Timestamp,
    lifetimes: Lifetimes,
    /// What bounds every end: the credential, the tenant's longest lease.
    bound: Timestamp,
}

impl Ends {
    /// For a slice, by a credential that ends then.
    pub(in crate::geni) fn of(
        host: &Host,
        lifetimes: Lifetimes,
        slice: &Urn,
        credential: Timestamp,
    ) -> Self {
        let now = host.env().now();
        let lease = host.policy().quota(&owner(slice).tenant).lease_seconds;
        let lease = lease.map(|s| now.plus(Duration::from_secs(s)));
        Self {
            now,
            lifetimes,
            bound: lease.map_or(credential, |lease| lease.min(credential)),
        }
    }

    /// The end of what is made now: what is wished, where that is possible.
    pub(in crate::geni) fn first(&self, to: Allocation, wish: Option<Timestamp>) -> Timestamp {
        let usual = match to {
            Allocation::Provisioned => self.lifetimes.provisioned,
            _ => self.lifetimes.allocated,
        };
        let usual = self.now.plus(usual).min(self.bound);
        wish.map_or(usual, |wish| wish.min(usual))
    }

    /// The latest end that one so far can be given.
    pub(in crate::geni) fn latest(&self, of: Allocation) -> Timestamp {
        let most = match of {
            Allocation::Provisioned => self.lifetimes.provisioned,
            _ => self.lifetimes.allocated_most,
        };
        self.now.plus(most).min(self.bound)
    }

    /// The end that one is given that asks for this one. To be extended as long as
    /// possible is never to be shortened: that is the latest there can be where that
    /// is earlier, and nothing where it has the later end already, as by another's
    /// credential.
    ///
    /// # Errors
    ///
    /// `out-of-range` where it is later, with the latest as a hint.
    pub(in crate::geni) fn renewed(
        &self,
        so_far: (Allocation, Option<Timestamp>),
        asked: Timestamp,
        as_long_as_possible: bool,
    ) -> Result<Option<Timestamp>, Refusal> {
        let (of, end) = so_far;
        let latest = self.latest(of);
        if as_long_as_possible {
            let most = asked.min(latest);
            return Ok((end < Some(most)).then_some(most));
        }
        if asked <= latest {
            return Ok(Some(asked));
        }
        let error = Error::invalid(format!("{asked} is later than a sliver may be here"))
            .code(OUT_OF_RANGE)
            .advice(format!(
                "the latest is {latest}; renew it again before that"
            ));
        Err(Refusal::hinting(error, Value::text(latest.to_string())))
    }

    /// Reads a time of a call, which must be to come.
    ///
    /// # Errors
    ///
    /// `bad-arguments` for what is no time, `out-of-range` for what is over.
    pub(in crate::geni) fn read(now: Timestamp, what: &str, text: &str) -> Result<Timestamp> {
        let time = read_time(text).ok_or_else(|| {
            Error::invalid(format!("{what} {:?} is no time", short(text)))
                .code("bad-arguments")
                .advice("write 2026-11-21T20:00:00Z")
        })?;
        if time > now {
            return Ok(time);
        }
        Err(Error::invalid(format!("{what} {time} is over"))
            .code(OUT_OF_RANGE)
            .advice(format!("it is {now}; ask for a time to come")))
    }
}
