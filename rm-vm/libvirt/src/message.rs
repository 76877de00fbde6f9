//! One message of the wire: a length, a header, and what the header announces.
//!
//! The formats are those of libvirt's `virnetprotocol.x`.

use crate::error::{Malformed, RemoteError};
use crate::xdr::Reader;

/// The program that manages domains.
pub(crate) const REMOTE: u32 = 0x2000_8086;
/// The program that finds out whether the other side is alive.
pub(crate) const KEEPALIVE: u32 = 0x6b65_6570;
/// Both programs have had one version ever since.
const VERSION: u32 = 1;

/// The length and the header.
pub(crate) const HEADER: usize = 28;
/// The most that a server of libvirt sends.
pub(crate) const REPLY_MAX: usize = 32 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Call,
    Reply,
    /// Sent without being asked for.
    Event,
    /// A piece of a stream that a call opened.
    Stream,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    Error,
    /// Of a stream: there is more.
    Continue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) program: u32,
    pub(crate) procedure: i32,
    pub(crate) kind: Kind,
    pub(crate) serial: u32,
    pub(crate) status: Status,
}

impl Header {
    /// The whole message. No call's arguments come near a length that does
    /// not fit: each string has its own limit.
    pub(crate) fn encode(&self, payload: &[u8]) -> Vec<u8> {
        let kind: u32 = match self.kind {
            Kind::Call => 0,
            Kind::Reply => 1,
            Kind::Event => 2,
            Kind::Stream => 3,
        };
        let status: u32 = match self.status {
            Status::Ok => 0,
            Status::Error => 1,
            Status::Continue => 2,
        };
        let length = u32::try_from(HEADER + payload.len()).unwrap_or(u32::MAX);
        let mut message = Vec::with_capacity(HEADER + payload.len());
        for word in [
            length,
            self.program,
            VERSION,
            self.procedure.cast_unsigned(),
        ] {
            message.extend_from_slice(&word.to_be_bytes());
        }
        for word in [kind, self.serial, status] {
            message.extend_from_slice(&word.to_be_bytes());
        }
        message.extend_from_slice(payload);
        message
    }

    /// What follows a length: the header, and what it announces.
    pub(crate) fn decode(message: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let mut reader = Reader::new(message);
        let program = reader.u32()?;
        let version = reader.u32()?;
        if !matches!(program, REMOTE | KEEPALIVE) || version != VERSION {
            return Err(Malformed("it is of an unknown program"));
        }
        let header = Self {
            program,
            procedure: reader.i32()?,
            kind: match reader.u32()? {
                0 => Kind::Call,
                1 => Kind::Reply,
                2 => Kind::Event,
                3 => Kind::Stream,
                _ => return Err(Malformed("it is of an unknown type")),
            },
            serial: reader.u32()?,
            status: match reader.u32()? {
                0 => Status::Ok,
                1 => Status::Error,
                2 => Status::Continue,
                _ => return Err(Malformed("it has an unknown status")),
            },
        };
        Ok((header, reader.rest()))
    }
}

/// How long the rest of a message is, by its first four bytes.
pub(crate) fn rest_of(length: u32, most: usize) -> Result<usize, Malformed> {
    let length = length as usize;
    if length < HEADER {
        return Err(Malformed("it is shorter than a header"));
    }
    if length > most + 4 {
        return Err(Malformed("it is longer than what is accepted"));
    }
    Ok(length - 4)
}

/// The server's own error.
pub(crate) fn error(payload: &[u8]) -> Result<RemoteError, Malformed> {
    let mut reader = Reader::new(payload);
    let code = reader.i32()?;
    let domain = reader.i32()?;
    let message = reader.words()?;
    let level = reader.i32()?;
    // What follows (a domain, three strings, two numbers, a network) says
    // nothing that the message does not.
    Ok(RemoteError::new(code, domain, level, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIST: Header = Header {
        program: REMOTE,
        procedure: 273,
        kind: Kind::Call,
        serial: 7,
        status: Status::Ok,
    };

    #[test]
    fn a_call_as_libvirt_reads_it() {
        let message = LIST.encode(&[0, 0, 0, 1]);
        let words: Vec<u32> = message
            .chunks_exact(4)
            .map(|word| u32::from_be_bytes(word.try_into().unwrap()))
            .collect();
        assert_eq!(words, [32, 0x2000_8086, 1, 273, 0, 7, 0, 1]);
        assert_eq!(Header::decode(&message[4..]), Ok((LIST, &[0, 0, 0, 1][..])));
    }

    #[test]
    fn lengths_have_limits() {
        assert!(rest_of(27, REPLY_MAX).is_err());
        assert_eq!(rest_of(28, REPLY_MAX), Ok(24));
        assert!(rest_of(u32::MAX, REPLY_MAX).is_err());
    }

    proptest! {
        #[test]
        fn anything_can_arrive(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Header::decode(&bytes);
            let _ = error(&bytes);
        }

        #[test]
        fn headers_are_read_as_written(procedure in any::<i32>(), serial in any::<u32>()) {
            let header = Header { procedure, serial, ..LIST };
            let message = header.encode(&[]);
            prop_assert_eq!(Header::decode(&message[4..]), Ok((header, &[][..])));
        }
    }
}
