//! The text that a domain carries with it, as an element of its own in the
//! domain's metadata.

use std::fmt::Write as _;

/// The element's namespace.
pub(super) const NAMESPACE: &str = "urn:resource-manager:node";
/// What libvirt writes before the element's name.
pub(super) const PREFIX: &str = "rm";

/// The element as a domain's XML has it.
pub(super) fn in_domain(text: &str) -> String {
    format!(
        "<{PREFIX}:node xmlns:{PREFIX}=\"{NAMESPACE}\">{}</{PREFIX}:node>",
        written(text)
    )
}

/// The element as libvirt takes it alone.
pub(super) fn alone(text: &str) -> String {
    format!("<node>{}</node>", written(text))
}

/// What could mean something to XML, or be changed by a reader of it, is
/// written as `%` and two digits.
fn written(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | b'<' | b'>' | b'&' | b'\'' | b'"' | ..b' ' | 0x7f.. => {
                let _ = write!(written, "%{byte:02x}");
            }
            byte => written.push(byte.into()),
        }
    }
    written
}

/// What the text of an element says; nothing where it was not written here.
pub(super) fn text(written: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(written.len());
    let mut rest = written.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}
