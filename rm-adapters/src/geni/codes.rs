//! GENI's codes, and what of ours becomes which.

use rm_core::{Error, ErrorKind};

use super::credentials::{EXPIRED, FORBIDDEN, INVALID, MISMATCH, UNREADABLE, UNTRUSTED};

/// A time that is not allowed.
pub(super) const OUT_OF_RANGE: &str = "out-of-range";

/// The codes of the return struct that this aggregate gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of GENI's table")]
pub enum Code {
    Success = 0,
    BadArgs = 1,
    Error = 2,
    Forbidden = 3,
    BadVersion = 4,
    ServerError = 5,
    TooBig = 6,
    Refused = 7,
    TimedOut = 8,
    DbError = 9,
    Unavailable = 11,
    SearchFailed = 12,
    Unsupported = 13,
    Busy = 14,
    Expired = 15,
    AlreadyExists = 17,
    OutOfRange = 19,
    CredentialInvalid = 20,
    CredentialExpired = 21,
    CredentialMismatch = 22,
    CredentialSignerUntrusted = 23,
    InsufficientNodes = 26,
}

impl Code {
    /// What an error of ours is to GENI.
    pub fn of(error: &Error) -> Self {
        match error.stable_code() {
            INVALID | UNREADABLE => return Self::CredentialInvalid,
            EXPIRED => return Self::CredentialExpired,
            MISMATCH => return Self::CredentialMismatch,
            UNTRUSTED => return Self::CredentialSignerUntrusted,
            FORBIDDEN => return Self::Forbidden,
            "bad-version" => return Self::BadVersion,
            "too-large" => return Self::TooBig,
            OUT_OF_RANGE => return Self::OutOfRange,
            _ => {}
        }
        match error.kind() {
            ErrorKind::Invalid => Self::BadArgs,
            ErrorKind::Unauthenticated | ErrorKind::Forbidden => Self::Forbidden,
            ErrorKind::NotFound => Self::SearchFailed,
            ErrorKind::Gone => Self::Expired,
            ErrorKind::Exists => Self::AlreadyExists,
            ErrorKind::Conflict => Self::Refused,
            ErrorKind::Busy | ErrorKind::RateLimited => Self::Busy,
            ErrorKind::Quota => Self::TooBig,
            ErrorKind::NoCapacity => Self::InsufficientNodes,
            ErrorKind::Unsupported => Self::Unsupported,
            ErrorKind::Credential | ErrorKind::Failed => Self::Error,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Timeout => Self::TimedOut,
            ErrorKind::Corrupt => Self::DbError,
            _ => Self::ServerError,
        }
    }

    /// Its number.
    pub fn number(self) -> i64 {
        self as i64
    }
}
