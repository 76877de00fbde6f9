//! References in the texts of an implementation: `{{master_ip}}`.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::registry::nearest;

/// The address of the master.
pub(super) const MASTER_IP: &str = "master_ip";

/// What every text may refer to: which of its role the node is, from 1; its
/// role; how many hosts there are beside the master; and two braces as they
/// are.
pub(super) const BUILT_IN: [&str; 5] = [MASTER_IP, "index", "role", "slaves", "open"];

/// A piece of a text.
enum Piece<'a> {
    Plain(&'a str),
    Reference(&'a str),
}

/// What is put in the place of references.
#[derive(Debug, Default)]
pub(super) struct Values(BTreeMap<String, String>);

impl Values {
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// The text with every reference replaced.
    pub(super) fn fill(&self, text: &str) -> Result<String> {
        let mut filled = String::with_capacity(text.len());
        for piece in pieces(text)? {
            match piece {
                Piece::Plain(text) => filled.push_str(text),
                Piece::Reference(name) => match self.0.get(name) {
                    Some(value) => filled.push_str(value),
                    None => return Err(unknown(name, &self.names())),
                },
            }
        }
        Ok(filled)
    }

    fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// What a text refers to.
pub(super) fn references(text: &str) -> Result<Vec<&str>> {
    let names = pieces(text)?.into_iter().filter_map(|piece| match piece {
        Piece::Reference(name) => Some(name),
        Piece::Plain(_) => None,
    });
    Ok(names.collect())
}

pub(super) fn unknown(name: &str, known: &[&str]) -> Error {
    let refusal = Error::invalid(format!("{{{{{name}}}}} refers to nothing"));
    match nearest(name, known) {
        Some(near) => refusal.advice(format!("did you mean {{{{{near}}}}}?")),
        None => refusal.advice(format!(
            "there are: {}; two braces as they are is {{{{open}}}}",
            known.join(", ")
        )),
    }
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else {
            let begins: String = after.chars().take(20).collect();
            return Err(
                Error::invalid(format!("\"{{{{{begins}\" begins a reference without end"))
                    .advice("close it with }}, or write {{open}} for two braces as they are"),
            );
        };
        pieces.push(Piece::Plain(before));
        pieces.push(Piece::Reference(name.trim()));
        rest = behind;
    }
    pieces.push(Piece::Plain(rest));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_and_everything_else_is_left_alone() {
        let mut values = Values::default();
        values.set("master_ip", "10.0.0.1");
        values.set("open", "{{");
        let text = "echo {{master_ip}} {{ master_ip }} } ${x} {{open}}y}}";
        assert_eq!(
            values.fill(text).unwrap(),
            "echo 10.0.0.1 10.0.0.1 } ${x} {{y}}"
        );
    }

    #[test]
    fn what_refers_to_nothing_or_has_no_end_is_refused() {
        let mut values = Values::default();
        values.set("master_ip", "10.0.0.1");
        let e = values.fill("{{masterip}}").unwrap_err();
        assert!(e.to_string().contains("master_ip"), "{e}");
        let e = values.fill("a {{index").unwrap_err();
        assert!(e.to_string().contains("without end"), "{e}");
    }
}
