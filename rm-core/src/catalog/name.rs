//! What may be a name.

use crate::error::{Error, Result};

/// The longest name of a catalog entry, in characters.
pub const NAME_MAX: usize = 100;

/// Refuses names that could not be told apart, printed or stored.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    let advice = format!(
        "a name has 1 to {NAME_MAX} characters, no control characters, no \"/\", and no blanks at its ends"
    );
    let fault = if name.is_empty() {
        "is empty"
    } else if name.chars().count() > NAME_MAX {
        "is too long"
    } else if name.chars().any(char::is_control) {
        "has control characters"
    } else if name.trim() != name {
        "begins or ends with a blank"
    } else if name.contains('/') {
        "has a \"/\""
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!("the name of the {what} {fault}")).advice(advice))
}
