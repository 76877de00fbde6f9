//! How many nodes a role has.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// So many, and as many as there are slaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    pub(super) fixed: u32,
    pub(super) slaves: bool,
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::read(&value).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "a count is a number, \"slaves\" or \"1 + slaves\", and not {value}"
            ))
        })
    }
}

impl Count {
    fn read(value: &Value) -> Option<Self> {
        let text = match value {
            Value::Number(n) => {
                let fixed = u32::try_from(n.as_u64()?).ok()?;
                return Some(Self {
                    fixed,
                    slaves: false,
                });
            }
            Value::String(text) => text,
            _ => return None,
        };
        let mut parts: Vec<&str> = text.split('+').map(str::trim).collect();
        let all = parts.len();
        parts.retain(|part| *part != "slaves");
        let fixed = match parts.as_slice() {
            [] => 0,
            [number] => number.parse().ok()?,
            _ => return None,
        };
        match all - parts.len() {
            1 => Some(Self {
                fixed,
                slaves: true,
            }),
            _ => None,
        }
    }

    pub(super) fn of(self, slaves: u32) -> u32 {
        self.fixed
            .saturating_add(if self.slaves { slaves } else { 0 })
    }
}
