//! What is kept beside everything that is written, so that a byte which
//! changed on the disk is noticed: SQLite sees only what breaks its own
//! structure, and a digit that became another one is a digit.

use std::fmt;

use crc32fast::Hasher;

/// How long the sum before a text is: a number in hexadecimal.
const LENGTH: usize = 8;

/// Which text it is. A text in another's place is as wrong as a changed one,
/// so that the sum is also one of this.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of<'a> {
    /// The record of a resource, by the bytes of its id.
    Resource(&'a [u8; 16]),
    /// The body of a document, by its space and id.
    Document(&'a str, &'a str),
    /// By what a document is found.
    Indexes(&'a str, &'a str),
    /// An event, whose number is known only when it is written, and is no part
    /// of the sum.
    Event(u64),
    /// A number by name.
    Counter(&'a str),
}

impl Of<'_> {
    fn sum(self, text: &[u8]) -> u32 {
        let none: &[u8] = &[];
        let (tag, keys): (u8, [&[u8]; 2]) = match self {
            Self::Resource(id) => (b'r', [id, none]),
            Self::Document(space, id) => (b'd', [space.as_bytes(), id.as_bytes()]),
            Self::Indexes(space, id) => (b'i', [space.as_bytes(), id.as_bytes()]),
            Self::Event(_) => (b'e', [none, none]),
            Self::Counter(name) => (b'c', [name.as_bytes(), none]),
        };
        let mut sum = Hasher::new();
        sum.update(&[tag]);
        for key in keys {
            sum.update(key);
            // Comes in no text, and ends it.
            sum.update(&[0xff]);
        }
        sum.update(text);
        sum.finalize()
    }

    /// The text with its sum before it, as it is kept.
    pub(super) fn summed(self, text: &str) -> String {
        format!("{:08x}{text}", self.sum(text.as_bytes()))
    }

    /// The text of what is kept, if it is what was written. Of bytes: a change
    /// may have left no text.
    pub(super) fn text(self, kept: &[u8]) -> Result<&str, Damaged> {
        kept.split_at_checked(LENGTH)
            .filter(|(sum, text)| {
                let sum = str::from_utf8(sum).ok();
                let sum = sum.and_then(|sum| u32::from_str_radix(sum, 16).ok());
                sum == Some(self.sum(text))
            })
            .and_then(|(_, text)| str::from_utf8(text).ok())
            .ok_or_else(|| self.damaged())
    }

    /// It is not what was written.
    pub(super) fn damaged(self) -> Damaged {
        Damaged {
            which: self.to_string(),
            told: self.told(),
        }
    }

    /// Which it is, for everybody: a name may be of another tenant's.
    fn told(self) -> String {
        match self {
            Self::Document(space, _) | Self::Indexes(space, _) => {
                format!("a document of {space:?}")
            }
            Self::Counter(_) => "a counter".to_owned(),
            Self::Resource(_) | Self::Event(_) => self.to_string(),
        }
    }

    /// The sum beside a number.
    pub(super) fn beside(self, number: i64) -> i64 {
        i64::from(self.sum(&number.to_be_bytes()))
    }
}

impl fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource(id) => write!(f, "resource {}", uuid::Uuid::from_bytes(**id)),
            Self::Document(space, id) => write!(f, "document {id:?} of {space:?}"),
            Self::Indexes(space, id) => write!(f, "the indexes of document {id:?} of {space:?}"),
            Self::Event(seq) => write!(f, "event {seq}"),
            Self::Counter(name) => write!(f, "counter {name:?}"),
        }
    }
}

/// Something is not what was written, and which: said in full for the log.
#[derive(Debug)]
pub(super) struct Damaged {
    which: String,
    told: String,
}

impl Damaged {
    /// What is told to whoever has asked.
    pub(super) fn told(&self) -> &str {
        &self.told
    }
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not what was written", self.which)
    }
}

impl std::error::Error for Damaged {}

impl From<Damaged> for rusqlite::Error {
    fn from(damaged: Damaged) -> Self {
        let text = rusqlite::types::Type::Text;
        Self::FromSqlConversionFailure(0, text, Box::new(damaged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_byte_and_every_other_place_is_noticed() {
        let of = Of::Document("quotas", "physics");
        let kept = of.summed(r#"{"nodes": 20}"#);
        assert_eq!(of.text(kept.as_bytes()).unwrap(), r#"{"nodes": 20}"#);
        for at in 0..kept.len() {
            for bit in 0..8 {
                let mut changed = kept.clone().into_bytes();
                changed[at] ^= 1 << bit;
                // A sum in capitals is the same number.
                let same = at < LENGTH && changed.eq_ignore_ascii_case(kept.as_bytes());
                assert_eq!(of.text(&changed).is_ok(), same, "bit {bit} of {at}");
            }
        }
        for other in [
            Of::Document("quotasphysics", ""),
            Of::Document("quotas", "chemistry"),
            Of::Indexes("quotas", "physics"),
            Of::Event(1),
        ] {
            let e = other.text(kept.as_bytes()).unwrap_err();
            assert!(e.to_string().contains(&other.to_string()), "{e}");
        }
        for short in ["", "1234567", "äääää"] {
            assert!(of.text(short.as_bytes()).is_err());
        }
    }
}
