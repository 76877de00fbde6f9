//! Secrets: never printed, wiped when dropped.

use std::fmt;

use zeroize::Zeroizing;

/// Text that must not be seen: `Debug` and `Display` hide it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes it in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Hands it out, to be given to the system it is for and to nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Seals secrets at rest. `bound` is what the sealed text belongs to (the id of
/// its record): it cannot be moved to another record and opened there.
pub trait Sealer: fmt::Debug + Send + Sync + 'static {
    /// Seals.
    fn seal(&self, secret: &Secret, bound: &str) -> crate::Result<String>;
    /// Opens what [`Sealer::seal`] made, with the current or an older key.
    fn open(&self, sealed: &str, bound: &str) -> crate::Result<Secret>;
}

/// Keeps secrets as they are: for stores that live in memory only.
#[derive(Debug, Default, Clone, Copy)]
pub struct Unsealed;

impl Sealer for Unsealed {
    fn seal(&self, secret: &Secret, _bound: &str) -> crate::Result<String> {
        Ok(secret.expose().to_owned())
    }

    fn open(&self, sealed: &str, _bound: &str) -> crate::Result<Secret> {
        Ok(Secret::new(sealed))
    }
}
