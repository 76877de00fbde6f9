//! What is true of RSpecs.

use rm_adapters::geni::rspec::{Rspec, faults};

use crate::is_short;

/// What can be read can be checked and printed, is the same when it is read
/// again, and grows no faster than what was sent.
///
/// # Panics
///
/// Where that is not so.
pub fn rspec(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let read = match Rspec::parse(&text) {
        Ok(read) => read,
        Err(e) => return is_short(&e),
    };
    for fault in faults(&read, Some("urn:publicid:IDN+example.org+authority+am")) {
        let length = fault.to_string().len();
        assert!(length < 4_000, "a fault of {length} bytes");
    }
    let printed = read.print();
    // An element of four bytes may need a namespace of 256, each six when escaped.
    assert!(
        printed.len() <= 512 * text.len() + 1_024,
        "{} bytes became {}",
        text.len(),
        printed.len()
    );
    match Rspec::parse(&printed) {
        Ok(again) => {
            assert_eq!(again, read, "{printed}");
            assert_eq!(again.print(), printed);
        }
        // What the original left undeclared is declared in the print.
        Err(e) => assert_eq!(e.stable_code(), "too-large", "{e}\n{printed}"),
    }
}
