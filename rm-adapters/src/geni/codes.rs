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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Every code, by what is known to lead to it.
    fn all() -> Vec<(Code, Vec<Error>)> {
        let kind = |kind| Error::new(kind, "x");
        let code = |code| Error::invalid("x").code(code);
        vec![
            (Code::BadArgs, vec![kind(ErrorKind::Invalid)]),
            (
                Code::Error,
                vec![kind(ErrorKind::Credential), kind(ErrorKind::Failed)],
            ),
            (
                Code::Forbidden,
                vec![
                    code(FORBIDDEN),
                    kind(ErrorKind::Forbidden),
                    kind(ErrorKind::Unauthenticated),
                ],
            ),
            (Code::BadVersion, vec![code("bad-version")]),
            (
                Code::ServerError,
                vec![kind(ErrorKind::Internal), kind(ErrorKind::Fenced)],
            ),
            (
                Code::TooBig,
                vec![code("too-large"), kind(ErrorKind::Quota)],
            ),
            (Code::Refused, vec![kind(ErrorKind::Conflict)]),
            (Code::TimedOut, vec![kind(ErrorKind::Timeout)]),
            (Code::DbError, vec![kind(ErrorKind::Corrupt)]),
            (Code::Unavailable, vec![kind(ErrorKind::Unavailable)]),
            (Code::SearchFailed, vec![kind(ErrorKind::NotFound)]),
            (Code::Unsupported, vec![kind(ErrorKind::Unsupported)]),
            (
                Code::Busy,
                vec![kind(ErrorKind::Busy), kind(ErrorKind::RateLimited)],
            ),
            (Code::Expired, vec![kind(ErrorKind::Gone)]),
            (Code::AlreadyExists, vec![kind(ErrorKind::Exists)]),
            (Code::OutOfRange, vec![code(OUT_OF_RANGE)]),
            (
                Code::CredentialInvalid,
                vec![code(INVALID), code(UNREADABLE)],
            ),
            (Code::CredentialExpired, vec![code(EXPIRED)]),
            (Code::CredentialMismatch, vec![code(MISMATCH)]),
            (Code::CredentialSignerUntrusted, vec![code(UNTRUSTED)]),
            (Code::InsufficientNodes, vec![kind(ErrorKind::NoCapacity)]),
        ]
    }

    #[test]
    fn each_code_is_what_the_table_of_the_field_says_that_it_is() {
        for (code, errors) in all() {
            for error in errors {
                assert_eq!(Code::of(&error), code, "{error:?}");
            }
        }
        let Some(folder) = needs::reference("each_code_is_what_the_table_says") else {
            return;
        };
        let text = std::fs::read_to_string(folder.join("reference/geni.md")).unwrap();
        let (_, table) = text.split_once("### 2.2 ").unwrap();
        let (table, _) = table.split_once("### 2.3 ").unwrap();
        let mut labels = BTreeMap::new();
        for line in table.lines().filter(|line| line.starts_with('|')) {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            for pair in cells.windows(2) {
                if let Ok(number) = pair[0].parse::<i64>() {
                    labels.insert(number, pair[1].replace('_', ""));
                }
            }
        }
        let codes = all().into_iter().map(|(code, _)| code);
        for code in codes.chain([Code::Success]) {
            let label = format!("{code:?}").to_uppercase();
            assert_eq!(labels.get(&code.number()), Some(&label));
        }
    }
}
