//! The identity of a domain that never changes.

use std::fmt;
use std::str::FromStr;

/// 16 bytes, written as in `6695eb01-f6a4-8304-79aa-97f2502e193f`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, byte) in self.0.iter().enumerate() {
            if matches!(n, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no UUID: 32 hexadecimal digits, with or without hyphens")]
pub struct NoUuid;

impl FromStr for Uuid {
    type Err = NoUuid;

    fn from_str(text: &str) -> Result<Self, NoUuid> {
        let digits = text.chars().filter(|c| *c != '-');
        let digits: Option<Vec<u32>> = digits.map(|c| c.to_digit(16)).collect();
        let digits = digits.filter(|digits| digits.len() == 32).ok_or(NoUuid)?;
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::try_from(pair[0] << 4 | pair[1]).map_err(|_| NoUuid)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_uuid_is_refused() {
        for text in ["", "6695eb01", "6695eb01-f6a4-8304-79aa-97f2502e193g", "é"] {
            assert_eq!(text.parse::<Uuid>(), Err(NoUuid), "{text}");
        }
    }

    proptest! {
        #[test]
        fn written_and_read(bytes in any::<[u8; 16]>()) {
            let text = Uuid(bytes).to_string();
            prop_assert_eq!(text.len(), 36);
            prop_assert_eq!(text.parse(), Ok(Uuid(bytes)));
        }
    }
}
