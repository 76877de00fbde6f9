//! What may be a name: of a catalog entry, a cluster, a user, a tenant.

use crate::error::{Error, Result};

/// The longest name, in characters.
pub const NAME_MAX: usize = 100;

/// Refuses names that could not be told apart, printed or stored; `what` is
/// the thing that would be called so.
///
/// # Errors
///
/// [`Invalid`](crate::ErrorKind::Invalid), with the character that is at
/// fault.
pub fn check_name(what: &str, name: &str) -> Result<()> {
    let Some(fault) = fault(name) else {
        return Ok(());
    };
    let error = Error::invalid(format!("the name of the {what} {fault}"));
    Err(error.advice(format!(
        "a name has 1 to {NAME_MAX} visible characters, no \"/\", and no space at its ends"
    )))
}

fn fault(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("is empty".to_owned());
    }
    if name.chars().count() > NAME_MAX {
        return Some("is too long".to_owned());
    }
    for (before, c) in name.chars().enumerate() {
        let sort = match c {
            '/' => return Some("has a \"/\"".to_owned()),
            ' ' => continue,
            c if c.is_control() => "control character",
            c if c.is_whitespace() => "blank that is no plain space,",
            c if unseen(c) => "character that nobody sees,",
            _ => continue,
        };
        let code = u32::from(c);
        return Some(format!(
            "has a {sort} U+{code:04X}, at place {}",
            before + 1
        ));
    }
    match (name.starts_with(' '), name.ends_with(' ')) {
        (true, _) => Some("begins with a space".to_owned()),
        (_, true) => Some("ends with a space".to_owned()),
        _ => None,
    }
}

/// What Unicode calls format characters or says to ignore where it cannot be
/// shown, and what is shown as nothing: with these two names could look the
/// same, or a line be read in another order.
fn unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
        | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_character_at_fault_is_named() {
        for (name, fault) in [
            ("a\nb", "control character U+000A, at place 2"),
            (
                "a\u{a0}b",
                "blank that is no plain space, U+00A0, at place 2",
            ),
            (
                "\u{3000}a",
                "blank that is no plain space, U+3000, at place 1",
            ),
            ("had\u{200b}oop", "nobody sees, U+200B, at place 4"),
            ("\u{feff}hadoop", "nobody sees, U+FEFF, at place 1"),
            ("hadoop\u{202e}", "nobody sees, U+202E, at place 7"),
            ("a\u{2066}b", "nobody sees, U+2066"),
            ("a\u{fe0f}", "nobody sees, U+FE0F"),
            ("\u{3164}", "nobody sees, U+3164"),
            ("a\u{e0041}", "nobody sees, U+E0041"),
            (" a", "begins with a space"),
            ("a ", "ends with a space"),
            ("a/b", "\"/\""),
        ] {
            let e = check_name("site", name).unwrap_err().to_string();
            assert!(e.contains(fault), "{e}");
            // The message itself can be printed.
            assert!(e.chars().all(|c| !c.is_control() && !unseen(c)), "{e:?}");
        }
    }

    #[test]
    fn names_in_every_script_are_fine() {
        for name in [
            "a",
            "two words",
            "Größe",
            "クラスタ",
            "עברית",
            "قائمة",
            "नमस्ते",
            "e\u{301}",
            "🚀",
        ] {
            assert!(check_name("site", name).is_ok(), "{name}");
        }
    }
}
