//! Speaks-for: a user's statement, signed by the user, that a tool may act as
//! the user.

use rm_core::Result;
use rm_core::env::Timestamp;

use super::certificate::{Anchors, Certificate};
use super::refusal::{expired, invalid, mismatch};
use super::sfa::{document, signed};
use super::signature::{one, text_of};
use super::{SpeaksFor, read_time};
use crate::geni::Urn;
use crate::geni::xml::Element;

/// Whether `caller` speaks for `user`: the statement says
/// `user.speaks_for_user <- caller`, and both are trusted.
pub(super) fn verify(
    xml: &str,
    user: &Urn,
    caller: &Certificate,
    anchors: &Anchors,
    now: Timestamp,
) -> Result<SpeaksFor> {
    let root = document(xml)?;
    let signed = signed(&root)?;
    let [only] = &signed[..] else {
        return Err(invalid(
            "a statement to speak for somebody cannot be passed on",
        ));
    };
    let statement = only.statement;
    if text_of(one(statement, "", "type")?)? != "abac" {
        return Err(invalid("it is not of the type abac"));
    }
    let expires = read_time(&text_of(one(statement, "", "expires")?)?)
        .ok_or_else(|| invalid("when it expires cannot be read"))?;
    if expires <= now {
        return Err(expired(format!("it expired at {expires}")));
    }
    let signer = &only.signer.certificate;
    let until = anchors.trust(signer, &only.signer.given, now)?;
    if signer.named()? != user {
        return Err(mismatch(format!(
            "it was signed by {}, not by {user}",
            signer.named()?
        )));
    }
    let rule = one(one(statement, "", "abac")?, "", "rt0")?;
    let head = one(rule, "", "head")?;
    let tail = one(rule, "", "tail")?;
    let said = key_id(head)?;
    let role = text_of(one(head, "", "role")?)?;
    if !signer.has_key_id(&said) || role != format!("speaks_for_{said}") {
        return Err(mismatch("it is not about the one who signed it"));
    }
    if tail.elements().any(|e| !e.name.is("", "ABACprincipal")) {
        return Err(invalid("it lets more than one certain key speak"));
    }
    if !caller.has_key_id(&key_id(tail)?) {
        return Err(mismatch("it lets another speak, not the one who calls"));
    }
    Ok(SpeaksFor {
        user: signer.clone(),
        expires: expires.min(until),
    })
}

fn key_id(element: &Element) -> Result<String> {
    text_of(one(one(element, "", "ABACprincipal")?, "", "keyid")?)
}
