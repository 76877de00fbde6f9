//! Certificates that are trusted beside those of the machine, as people give them: PEM.

use std::io::Read;
use std::path::Path;

/// More than one authority needs, and far less than a machine's whole list, which is trusted
/// anyway.
pub const MOST: u64 = 64 * 1024;

/// Why a text or a file is not one of certificates. Says what follows its name, and no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unread(std::io::ErrorKind),
    /// It is no list of authorities.
    #[error("has more than {MOST} bytes: give the certificate of the site's own authority alone")]
    TooLarge,
    /// There is no certificate in it, or one that is broken.
    #[error("holds no certificates in PEM that could be trusted")]
    NoCertificates,
}

/// Reads a file of certificates and checks that they can be trusted.
///
/// # Errors
/// [`PemError`].
pub fn read(path: &Path) -> Result<Vec<u8>, PemError> {
    let unread = |error: std::io::Error| PemError::Unread(error.kind());
    let file = std::fs::File::open(path).map_err(unread)?;
    let mut text = Vec::new();
    file.take(MOST + 1).read_to_end(&mut text).map_err(unread)?;
    certificates(&text)?;
    Ok(text)
}

/// The certificates of a text: at least one.
pub(crate) fn certificates(text: &[u8]) -> Result<Vec<reqwest::Certificate>, PemError> {
    if text.len() as u64 > MOST {
        return Err(PemError::TooLarge);
    }
    let found = reqwest::Certificate::from_pem_bundle(text).unwrap_or_default();
    if found.is_empty() {
        return Err(PemError::NoCertificates);
    }
    // A broken one is noticed only where a client is made of it.
    let client = reqwest::Client::builder().tls_certs_only(found.clone());
    match client.build() {
        Ok(_) => Ok(found),
        Err(_) => Err(PemError::NoCertificates),
    }
}
