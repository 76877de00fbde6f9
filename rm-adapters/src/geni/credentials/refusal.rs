//! Why a credential is not accepted. The code of the error is what GENI's codes
//! are made from.

use rm_core::{Error, ErrorKind};

/// It is not what it should be, or was changed after it was signed.
pub(crate) const INVALID: &str = "credential-invalid";
/// It is no document of this kind at all.
pub(crate) const UNREADABLE: &str = "credential-unreadable";
/// Its time is over.
pub(crate) const EXPIRED: &str = "credential-expired";
/// It is another's, or for something else.
pub(crate) const MISMATCH: &str = "credential-mismatch";
/// It was signed by one whom nobody here trusts with it.
pub(crate) const UNTRUSTED: &str = "credential-untrusted";
/// It is right and does not grant this.
pub(crate) const FORBIDDEN: &str = "forbidden";

fn refuse(code: &'static str, what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Forbidden, what).code(code)
}

pub(super) fn invalid(what: impl Into<String>) -> Error {
    refuse(INVALID, what)
}

pub(super) fn unreadable(what: impl Into<String>) -> Error {
    refuse(UNREADABLE, what)
}

pub(super) fn expired(what: impl Into<String>) -> Error {
    refuse(EXPIRED, what).advice("get a new credential from your authority")
}

pub(super) fn mismatch(what: impl Into<String>) -> Error {
    refuse(MISMATCH, what)
}

pub(super) fn untrusted(what: impl Into<String>) -> Error {
    refuse(UNTRUSTED, what)
}

pub(super) fn forbidden(what: impl Into<String>) -> Error {
    refuse(FORBIDDEN, what)
}
