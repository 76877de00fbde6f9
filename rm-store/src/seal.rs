//! Secrets sealed at rest: AES-256-GCM with a random nonce for each.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rm_core::secret::{Sealer, Secret};
use rm_core::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

mod key;
mod source;

use key::Key;
pub use key::generate_key;
pub use source::KeySource;

/// The form of what is sealed: `v1.KEY.BYTES`, where KEY is the id of the key
/// and BYTES are nonce, ciphertext and tag in base64url.
const FORM: &str = "v1";
const TAG_LEN: usize = 16;

/// Seals with the current key, opens with it or with an older one.
///
/// What a sealed text belongs to is authenticated with it, so that a text moved
/// to another record does not open there.
///
/// ```
/// use rm_core::secret::{Sealer, Secret};
/// use rm_store::{AeadSealer, generate_key};
///
/// # fn main() -> rm_core::Result<()> {
/// let sealer = AeadSealer::new(&[generate_key()?])?;
/// let sealed = sealer.seal(&Secret::new("hunter2"), "credential 1")?;
/// assert_eq!(sealer.open(&sealed, "credential 1")?.expose(), "hunter2");
/// assert!(sealer.open(&sealed, "credential 2").is_err());
/// # Ok(())
/// # }
/// ```
pub struct AeadSealer {
    current: Opener,
    older: Vec<Opener>,
}

/// A key that is ready for use.
struct Opener {
    id: String,
    key: RandomizedNonceKey,
}

impl fmt::Debug for AeadSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let older: Vec<_> = self.older.iter().map(|k| &k.id).collect();
        f.debug_struct("AeadSealer")
            .field("current", &self.current.id)
            .field("older", &older)
            .finish()
    }
}

impl AeadSealer {
    /// From keys as text, the current one first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] where there is no key, or one is not a key.
    pub fn new(keys: &[Secret]) -> Result<Self> {
        let keys = keys
            .iter()
            .map(|text| Key::parse(text.expose()))
            .collect::<Result<Vec<_>>>()?;
        Self::of(&keys)
    }

    /// From a source; where it holds several keys, the first is the current one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] where the source gives no key.
    pub fn from_source(source: &KeySource) -> Result<Self> {
        Self::from_sources(source, &[])
    }

    /// From the source of the current key, and those of older ones that still
    /// open what they have sealed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] where a source gives no key.
    pub fn from_sources(current: &KeySource, older: &[KeySource]) -> Result<Self> {
        let mut keys = current.read()?;
        for source in older {
            keys.extend(source.read()?);
        }
        Self::of(&keys)
    }

    fn of(keys: &[Key]) -> Result<Self> {
        let mut openers = keys
            .iter()
            .map(|key| {
                let id = key.id();
                RandomizedNonceKey::new(&AES_256_GCM, key.bytes())
                    .map(|key| Opener { id, key })
                    .map_err(|_| failed("the key cannot be used"))
            })
            .collect::<Result<Vec<_>>>()?
            .into_iter();
        let Some(current) = openers.next() else {
            return Err(Error::invalid("there is no key to seal credentials with"));
        };
        Ok(Self {
            current,
            older: openers.collect(),
        })
    }

    /// The id of the key that seals.
    pub fn current_key(&self) -> &str {
        &self.current.id
    }

    /// Whether the current key has sealed it; what has not can be opened and
    /// sealed again, after which the older keys are not needed any more.
    pub fn is_current(&self, sealed: &str) -> bool {
        parts(sealed).is_some_and(|(id, _)| id == self.current.id)
    }
}

impl Sealer for AeadSealer {
    fn seal(&self, secret: &Secret, bound: &str) -> Result<String> {
        let text = secret.expose().as_bytes();
        // One buffer of the final size: no copy of the secret is left behind
        // by a buffer that grows.
        let mut bytes = Zeroizing::new(vec![0; NONCE_LEN + text.len() + TAG_LEN]);
        let body = NONCE_LEN..NONCE_LEN + text.len();
        bytes[body.clone()].copy_from_slice(text);
        let (nonce, tag) = self
            .current
            .key
            .seal_in_place_separate_tag(Aad::from(bound), &mut bytes[body.clone()])
            .map_err(|_| failed("a credential could not be sealed"))?;
        bytes[..NONCE_LEN].copy_from_slice(nonce.as_ref());
        bytes[body.end..].copy_from_slice(tag.as_ref());
        let bytes = URL_SAFE_NO_PAD.encode(&*bytes);
        Ok(format!("{FORM}.{}.{bytes}", self.current.id))
    }

    fn open(&self, sealed: &str, bound: &str) -> Result<Secret> {
        let Some((id, bytes)) = parts(sealed) else {
            return Err(
                unreadable("a credential in the store is not sealed as it should be")
                    .advice("was it written without a key, or by a newer version?"),
            );
        };
        let mut openers = std::iter::once(&self.current).chain(&self.older);
        let Some(opener) = openers.find(|opener| opener.id == id) else {
            // The id comes from the store: shown only where it looks like one.
            let id = match id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
                true => id,
                false => "with an unreadable id",
            };
            return Err(unreadable(&format!(
                "a credential was sealed with the key {id}, which is not configured"
            ))
            .code("key-unknown")
            .advice("configure that key as an older one"));
        };
        let changed = || {
            unreadable("a sealed credential was changed, or it belongs to another record")
                .code("seal-broken")
                .advice("give the credential anew")
        };
        let mut bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(bytes).map_err(|_| changed())?);
        let Some((nonce, body)) = bytes.split_at_mut_checked(NONCE_LEN) else {
            return Err(changed());
        };
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| changed())?;
        let text = opener
            .key
            .open_in_place(nonce, Aad::from(bound), body)
            .map_err(|_| changed())?;
        match std::str::from_utf8(text) {
            Ok(text) => Ok(Secret::new(text)),
            Err(_) => Err(changed()),
        }
    }
}

/// The id of the key, and the bytes as text.
fn parts(sealed: &str) -> Option<(&str, &str)> {
    sealed
        .strip_prefix(FORM)?
        .strip_prefix('.')?
        .split_once('.')
}

fn unreadable(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}

fn failed(what: &str) -> Error {
    Error::new(ErrorKind::Internal, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(keys: &[&Secret]) -> AeadSealer {
        let keys: Vec<Secret> = keys.iter().map(|k| (*k).clone()).collect();
        AeadSealer::new(&keys).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_for_its_own_record_only() {
        let sealer = sealer(&[&generate_key().unwrap()]);
        for text in ["", "hunter2", "ключ", &"x".repeat(100_000)] {
            let sealed = sealer.seal(&Secret::new(text), "a").unwrap();
            assert_eq!(sealer.open(&sealed, "a").unwrap().expose(), text);
            let e = sealer.open(&sealed, "b").unwrap_err();
            assert_eq!(e.stable_code(), "seal-broken");
        }
    }

    #[test]
    fn the_same_secret_is_never_sealed_to_the_same_text() {
        let sealer = sealer(&[&generate_key().unwrap()]);
        let secret = Secret::new("hunter2");
        let (one, two) = (sealer.seal(&secret, "a"), sealer.seal(&secret, "a"));
        assert_ne!(one.unwrap(), two.unwrap());
    }

    #[test]
    fn an_older_key_opens_and_the_current_one_seals() {
        let (old, new) = (generate_key().unwrap(), generate_key().unwrap());
        let before = sealer(&[&old]);
        let sealed = before.seal(&Secret::new("hunter2"), "a").unwrap();
        let after = sealer(&[&new, &old]);
        assert_eq!(after.open(&sealed, "a").unwrap().expose(), "hunter2");
        assert!(before.is_current(&sealed) && !after.is_current(&sealed));
        let again = after.seal(&Secret::new("hunter2"), "a").unwrap();
        assert!(after.is_current(&again));

        let e = before.open(&again, "a").unwrap_err();
        assert_eq!(e.stable_code(), "key-unknown");
        assert!(e.to_string().contains(after.current_key()), "{e}");
    }

    #[test]
    fn a_changed_text_does_not_open() {
        let sealer = sealer(&[&generate_key().unwrap()]);
        let sealed = sealer.seal(&Secret::new("hunter2"), "a").unwrap();
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let text = String::from_utf8(bytes).unwrap();
            let e = sealer.open(&text, "a").unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Corrupt);
            assert!(!format!("{e} {e:?}").contains("hunter2"));
        }
        for end in 0..sealed.len() {
            assert!(sealer.open(&sealed[..end], "a").is_err());
        }
        for text in ["", "hunter2", "v1", "v1.", "v1..", "v1.zz.AAAA", "v2.0.A"] {
            let e = sealer.open(text, "a").unwrap_err();
            assert!(!e.to_string().contains("hunter2"), "{e}");
        }
    }

    #[test]
    fn nothing_shows_a_key() {
        let key = generate_key().unwrap();
        let sealer = sealer(&[&key]);
        assert!(!format!("{sealer:?}").contains(key.expose()));
        let sealed = sealer.seal(&Secret::new("hunter2"), "a").unwrap();
        assert!(!sealed.contains("hunter2"));
    }
}
