//! Which characters a document may have, and a name; and how much of either
//! belongs into a message.

use std::borrow::Cow;

/// A control character.
pub(super) fn illegal_byte(b: u8) -> bool {
    b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r')
}

/// What may be an illegal byte, or begin U+FFFE or U+FFFF.
pub(super) fn suspect(b: u8) -> bool {
    (b < 0x20) & (b != b'\t') & (b != b'\n') & (b != b'\r') | (b == 0xef)
}

/// How many lines end in these bytes.
pub(super) fn line_feeds(bytes: &[u8]) -> u32 {
    // As many at once as a byte can count: that is done in a few steps.
    let of = |some: &[u8]| some.iter().map(|b| u8::from(*b == b'\n')).sum::<u8>();
    bytes.chunks(255).map(|some| u32::from(of(some))).sum()
}

/// A name and its prefix, where it has one.
pub(super) fn split(key: &str) -> Option<(&str, &str)> {
    let colon = key.bytes().position(|b| b == b':')?;
    Some((key.get(..colon)?, key.get(colon + 1..)?))
}

/// What XML lets a document have.
pub(super) fn legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{fffd}' | '\u{10000}'..)
}

/// Whether this may be a name without a prefix.
pub(crate) fn is_name(text: &str) -> bool {
    let usual = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if let [first, rest @ ..] = text.as_bytes()
        && (first.is_ascii_alphabetic() || *first == b'_')
        && rest.iter().all(usual)
    {
        return true;
    }
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '\u{b7}'))
}

/// So much of a text from outside as belongs into a message.
pub(crate) fn short(text: &str) -> Cow<'_, str> {
    shortened(text, 80)
}

/// So many characters of a text.
pub(super) fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((at, _)) => Cow::Owned(format!("{}...", text.get(..at).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}
