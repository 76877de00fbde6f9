//! Statistics of many domains in one call, where the driver has them.

use crate::client::Client;
use crate::domain::Domain;
use crate::error::{Malformed, Result};
use crate::flags::{ListFlags, StatsFlags};
use crate::procedure::ALL_STATS;
use crate::xdr::{Reader, Writer};

/// A value of a type that its name implies.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// 32 bits with a sign.
    Int(i32),
    /// 32 bits.
    Uint(u32),
    /// 64 bits with a sign.
    Long(i64),
    /// 64 bits.
    Ulong(u64),
    /// A fraction.
    Double(f64),
    /// Yes or no.
    Bool(bool),
    /// Words.
    Text(String),
}

impl Value {
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match from.i32()? {
            1 => Self::Int(from.i32()?),
            2 => Self::Uint(from.u32()?),
            3 => Self::Long(from.i64()?),
            4 => Self::Ulong(from.u64()?),
            5 => Self::Double(from.f64()?),
            6 => Self::Bool(from.flag()?),
            7 => Self::Text(from.string()?),
            _ => return Err(Malformed("a value is of an unknown type")),
        })
    }
}

/// What is known of a domain, by names such as `balloon.current`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Of which domain.
    pub domain: Domain,
    /// Names and values, in the server's order.
    pub values: Vec<(String, Value)>,
}

impl Stats {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let found = self.values.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value)
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let domain = Domain::decode(from)?;
        let count = from.count(12)?;
        let value = |_| Ok((from.string()?, Value::decode(from)?));
        Ok(Self {
            domain,
            values: (0..count).map(value).collect::<Result<_, Malformed>>()?,
        })
    }
}

impl Client {
    /// Statistics of all domains, or of some.
    pub async fn all_stats(&self, wanted: StatsFlags, of: ListFlags) -> Result<Vec<Stats>> {
        let mut arguments = Writer::new();
        arguments.u32(0).u32(wanted.bits()).u32(of.bits());
        self.call(ALL_STATS, arguments, |answer| {
            let count = answer.count(Domain::LEAST + 4)?;
            (0..count).map(|_| Stats::decode(answer)).collect()
        })
        .await
    }
}
