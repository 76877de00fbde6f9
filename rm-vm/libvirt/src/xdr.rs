//! The external data representation of RFC 4506, as far as libvirt uses it.
//!
//! Every length from outside is checked against what is really there before
//! anything is reserved for it.

use crate::error::Malformed;

/// The longest string that libvirt takes.
pub(crate) const STRING_MAX: usize = 4 * 1024 * 1024;

/// Writes the arguments of a call.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    /// Why what was written must not be sent.
    refused: Option<&'static str>,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// What was written, or why it must not be sent.
    pub(crate) fn finish(self) -> Result<Vec<u8>, &'static str> {
        match self.refused {
            None => Ok(self.bytes),
            Some(why) => Err(why),
        }
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn i32(&mut self, value: i32) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Bytes whose number both sides know.
    pub(crate) fn fixed(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        let padding = padding(bytes.len());
        self.bytes.extend_from_slice(&[0; 3][..padding]);
        self
    }

    /// A string, unless libvirt would not take it or would read a part of it.
    pub(crate) fn string(&mut self, text: &str) -> &mut Self {
        match u32::try_from(text.len()) {
            Ok(length) if text.len() <= STRING_MAX => self.u32(length),
            _ => return self.refuse("it is longer than the 4 MiB that libvirt takes"),
        };
        if text.contains('\0') {
            return self.refuse("it has a zero byte, at which libvirt would stop to read");
        }
        self.fixed(text.as_bytes())
    }

    fn refuse(&mut self, why: &'static str) -> &mut Self {
        self.refused = Some(why);
        self
    }

    /// A string that may be absent.
    pub(crate) fn optional(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            None => self.u32(0),
            Some(text) => self.u32(1).string(text),
        }
    }
}

/// Reads from what has arrived; every method fails at the end of it.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

type Result<T, E = Malformed> = std::result::Result<T, E>;

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self
            .0
            .split_first_chunk()
            .ok_or(Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn f64(&mut self) -> Result<f64> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    /// A number that says yes or no.
    pub(crate) fn flag(&mut self) -> Result<bool> {
        Ok(self.u32()? != 0)
    }

    /// A number of things of which each takes at least `least` bytes.
    pub(crate) fn count(&mut self, least: usize) -> Result<usize> {
        let count = self.u32()? as usize;
        if count > self.0.len() / least.max(1) {
            return Err(Malformed("it counts more things than it holds"));
        }
        Ok(count)
    }

    /// Bytes whose number both sides know.
    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.array()?;
        self.take(padding(N))?;
        Ok(bytes)
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.u32()? as usize;
        if length > STRING_MAX {
            return Err(Malformed("a string is longer than libvirt allows"));
        }
        let bytes = self.take(length)?;
        self.take(padding(length))?;
        Ok(bytes)
    }

    pub(crate) fn string(&mut self) -> Result<String> {
        let text = std::str::from_utf8(self.bytes()?);
        text.map(str::to_owned)
            .map_err(|_| Malformed("a string is not UTF-8"))
    }

    /// A string for people, in whatever encoding, which may be absent.
    pub(crate) fn words(&mut self) -> Result<Option<String>> {
        if !self.flag()? {
            return Ok(None);
        }
        Ok(Some(String::from_utf8_lossy(self.bytes()?).into_owned()))
    }

    /// What is left, as it is.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// That nothing is left.
    pub(crate) fn end(self) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(Malformed("it goes on after its end"))
    }
}

/// How many bytes bring a length to a multiple of four.
fn padding(length: usize) -> usize {
    length.wrapping_neg() % 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strings_are_padded_to_four() {
        let mut writer = Writer::new();
        writer.string("abcde").optional(None).optional(Some(""));
        assert_eq!(
            writer.finish().unwrap(),
            b"\0\0\0\x05abcde\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0"
        );
    }

    #[test]
    fn what_libvirt_would_not_read_whole_is_not_sent() {
        for text in ["a\0b".to_owned(), "a".repeat(STRING_MAX + 1)] {
            let mut writer = Writer::new();
            writer.string(&text);
            assert!(writer.finish().is_err());
        }
    }

    #[test]
    fn a_length_is_believed_only_if_it_is_there() {
        for hostile in [
            &b"\xff\xff\xff\xff"[..],
            &b"\x00\x40\x00\x01aaaa"[..],
            &b"\0\0\0\x05abc"[..],
            &b"\0\0\0\x05abcde"[..],
            &b"\0\0\0\x01\xff\0\0\0"[..],
        ] {
            assert!(Reader::new(hostile).string().is_err(), "{hostile:?}");
        }
        assert!(Reader::new(b"\0\0\0\x02\0\0\0\0").count(4).is_err());
        assert_eq!(Reader::new(b"\0\0\0\x01\0\0\0\0").count(4), Ok(1));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            text in "[^\\x00]{0,40}", other in proptest::option::of("[^\\x00]{0,9}"),
            a in any::<u32>(), b in any::<i32>(), c in any::<u64>(), raw in any::<[u8; 16]>(),
        ) {
            let mut writer = Writer::new();
            writer.string(&text).u32(a).optional(other.as_deref()).i32(b).fixed(&raw).u64(c);
            let bytes = writer.finish().unwrap();
            prop_assert_eq!(bytes.len() % 4, 0);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.string().unwrap(), text);
            prop_assert_eq!(reader.u32().unwrap(), a);
            prop_assert_eq!(reader.words().unwrap(), other);
            prop_assert_eq!(reader.i32().unwrap(), b);
            prop_assert_eq!(reader.fixed::<16>().unwrap(), raw);
            prop_assert_eq!(reader.u64().unwrap(), c);
            reader.end().unwrap();
        }

        #[test]
        fn anything_can_arrive(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&bytes);
            while !reader.0.is_empty() && reader.string().is_ok() {}
            let _ = Reader::new(&bytes).words();
            let _ = Reader::new(&bytes).fixed::<5>();
        }
    }
}
