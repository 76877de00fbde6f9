//! One key: 32 bytes, as text in base64 or hexadecimal.

use std::fmt::{self, Write as _};

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use rm_core::secret::Secret;
use rm_core::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

const LEN: usize = 32;

/// The bytes of a key; wiped when dropped.
pub(super) struct Key(Zeroizing<[u8; LEN]>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

/// A new key, as text for a file, an environment variable or a vault.
///
/// # Errors
///
/// [`ErrorKind::Internal`] where the system gives no random bytes.
pub fn generate_key() -> Result<Secret> {
    let mut bytes = Zeroizing::new([0; LEN]);
    rand::fill(&mut *bytes)
        .map_err(|_| Error::new(ErrorKind::Internal, "the system gives no random bytes"))?;
    Ok(Secret::new(STANDARD.encode(*bytes)))
}

impl Key {
    pub(super) fn bytes(&self) -> &[u8] {
        &*self.0
    }

    /// Tells keys apart without telling anything of them.
    pub(super) fn id(&self) -> String {
        let hash = digest::digest(&digest::SHA256, &*self.0);
        hash.as_ref()
            .iter()
            .take(4)
            .fold(String::new(), |mut id, byte| {
                // Writing into a string cannot fail.
                let _ = write!(id, "{byte:02x}");
                id
            })
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        let bytes = Zeroizing::new(
            match text.len() {
                64 => hexadecimal(text),
                _ => base64(text),
            }
            .unwrap_or_default(),
        );
        let mut key = Zeroizing::new([0; LEN]);
        if bytes.len() != LEN {
            return Err(Error::invalid(
                "the key that seals credentials is not 32 bytes in base64 or hexadecimal",
            )
            .advice("make one with `key new`, or with `openssl rand -base64 32`"));
        }
        key.copy_from_slice(&bytes);
        Ok(Self(key))
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| {
        char::from(b)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

/// Either alphabet, with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [&alphabet::STANDARD, &alphabet::URL_SAFE]
        .into_iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_and_hexadecimal_give_the_same_key() {
        let bytes = [0xfb; LEN];
        let key = Key::parse(&STANDARD.encode(bytes)).unwrap();
        assert_eq!(key.bytes(), bytes);
        let url = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        assert_eq!(Key::parse(&url).unwrap().bytes(), bytes);
        assert_eq!(Key::parse(&"fb".repeat(LEN)).unwrap().bytes(), bytes);
        assert_eq!(Key::parse(&"FB".repeat(LEN)).unwrap().id(), key.id());
        assert_eq!(key.id().len(), 8);
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_quoted() {
        for text in [
            "",
            "canary",
            &"c".repeat(63),
            &"é".repeat(32),
            &"g".repeat(64),
        ] {
            let e = Key::parse(text).unwrap_err();
            assert!(!e.to_string().contains("canary"));
            assert!(text.is_empty() || !format!("{e:?}").contains(text));
        }
    }

    #[test]
    fn new_keys_differ() {
        let (one, two) = (generate_key().unwrap(), generate_key().unwrap());
        let id = |s: &Secret| Key::parse(s.expose()).unwrap().id();
        assert_ne!(id(&one), id(&two));
    }
}
