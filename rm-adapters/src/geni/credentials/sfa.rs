//! SFA credentials: what they must be to be accepted, and what they permit.

use std::collections::BTreeSet;

use rm_core::Result;
use rm_core::env::Timestamp;

use super::certificate::{Anchors, Certificate};
use super::privilege::{Operation, Privilege};
use super::refusal::{expired, forbidden, invalid, mismatch, unreadable, untrusted};
use super::signature::{self, Signer, one, text_of};
use super::{Credential, read_time};
use crate::geni::Urn;
use crate::geni::xml::{Element, Limits, Manner, XML};

/// How large a credential may be: many times what real ones are.
const LIMITS: Limits = Limits {
    bytes: 256 * 1024,
    depth: 64,
};
/// How often it may have been passed on.
const DELEGATIONS: usize = 8;

/// A document of signed statements: each with the elements it is in, and its
/// own signature. The first is what it is about, each next one what the former
/// was passed on from.
pub(super) struct Signed<'a> {
    pub(super) statement: &'a Element,
    pub(super) signer: Signer,
}

/// Reads a document of this profile.
pub(super) fn document(xml: &str) -> Result<Element> {
    let root = Element::document(xml, LIMITS, Manner::Strict)
        .map_err(|e| unreadable(format!("it cannot be read: {}", e.what())))?;
    if !root.name.is("", "signed-credential") {
        return Err(invalid("the root element is not <signed-credential>"));
    }
    let known = ["credential", "signatures"];
    if root
        .elements()
        .any(|e| !known.iter().any(|k| e.name.is("", k)))
    {
        return Err(invalid(
            "there is something beside the credential and its signatures",
        ));
    }
    unique_ids(&root)?;
    Ok(root)
}

/// The statements of a document, their signatures checked; whose the signers'
/// certificates are is not.
pub(super) fn signed(root: &Element) -> Result<Vec<Signed<'_>>> {
    let signatures = one(root, "", "signatures")?;
    let mut left: Vec<&Element> = signatures.elements().collect();
    let mut found = Vec::new();
    let mut outer = vec![root];
    let mut next = Some(one(root, "", "credential")?);
    while let Some(statement) = next {
        if found.len() > DELEGATIONS {
            return Err(invalid(format!(
                "it was passed on more than {DELEGATIONS} times"
            )));
        }
        let id = statement
            .attribute_of(XML, "id")
            .ok_or_else(|| invalid("a credential in it has no xml:id"))?;
        let mut mine = Vec::new();
        let mut others = Vec::new();
        for signature in left {
            if signature::refers_to(signature)? == id {
                mine.push(signature);
            } else {
                others.push(signature);
            }
        }
        left = others;
        let [signature] = mine[..] else {
            return Err(invalid(format!(
                "a credential in it has {} signatures; it should have one",
                mine.len()
            )));
        };
        found.push(Signed {
            statement,
            signer: signature::check(signature, &[root, signatures], statement, &outer)?,
        });
        outer.push(statement);
        next = match optional(statement, "parent")? {
            None => None,
            Some(parent) => {
                outer.push(parent);
                Some(one(parent, "", "credential")?)
            }
        };
    }
    if !left.is_empty() {
        return Err(invalid("there is a signature that is about nothing in it"));
    }
    Ok(found)
}

/// One link of a chain of delegations.
struct Given<'a> {
    owner: Certificate,
    owner_urn: Urn,
    target: Certificate,
    target_urn: Urn,
    privileges: Vec<Privilege>,
    expires: Timestamp,
    signer: &'a Signer,
}

/// What an SFA credential says.
pub(super) fn verify(xml: &str, anchors: &Anchors, now: Timestamp) -> Result<Credential> {
    let root = document(xml)?;
    let signed = signed(&root)?;
    let mut chain = Vec::with_capacity(signed.len());
    let mut expires = Timestamp::from_millis(i64::MAX);
    for one in &signed {
        let (given, until) = read(one, anchors, now)?;
        if given.expires <= now {
            return Err(expired(format!("it expired at {}", given.expires)));
        }
        expires = expires.min(given.expires).min(until);
        chain.push(given);
    }
    for pair in chain.windows(2) {
        if let [child, parent] = pair {
            passed_on(child, parent)?;
        }
    }
    let Some(origin) = chain.last() else {
        return Err(invalid("there is no credential in it"));
    };
    let authority = origin.signer.certificate.named()?.clone();
    if !authority.is_authority_over(&origin.target_urn) {
        return Err(untrusted(format!(
            "{authority} has no authority over {}",
            origin.target_urn
        )));
    }
    let delegators = chain.iter().skip(1).map(|g| g.owner_urn.clone()).collect();
    let Some(last) = chain.into_iter().next() else {
        return Err(invalid("there is no credential in it"));
    };
    Ok(Credential {
        owner: last.owner,
        owner_urn: last.owner_urn,
        target_urn: last.target_urn,
        privileges: last.privileges,
        expires,
        authority,
        delegators,
    })
}

/// Reads one statement; answers until when its certificates hold, too.
fn read<'a>(
    signed: &'a Signed<'_>,
    anchors: &Anchors,
    now: Timestamp,
) -> Result<(Given<'a>, Timestamp)> {
    let statement = signed.statement;
    let kind = text_of(one(statement, "", "type")?)?;
    if kind != "privilege" {
        return Err(invalid(format!(
            "it is of the type {:?}, not of privilege",
            crate::geni::xml::short(&kind)
        )));
    }
    let signer = &signed.signer;
    let mut until = anchors.trust(&signer.certificate, &signer.given, now)?;
    let mut party = |what: &str| -> Result<(Certificate, Urn)> {
        let given = Certificate::from_pem(&text_of(one(statement, "", &format!("{what}_gid"))?)?)?;
        let Some(certificate) = given.first() else {
            return Err(invalid("there is no certificate where one should be"));
        };
        let urn = certificate.named()?.clone();
        if let Some(element) = optional(statement, &format!("{what}_urn"))? {
            let said = text_of(element)?;
            if !said.is_empty() && said.parse::<Urn>().ok().as_ref() != Some(&urn) {
                return Err(invalid(format!(
                    "the {what} is {urn} by certificate and another by name"
                )));
            }
        }
        until = until.min(anchors.trust(certificate, &given, now)?);
        Ok((certificate.clone(), urn))
    };
    let (owner, owner_urn) = party("owner")?;
    let (target, target_urn) = party("target")?;
    let expires = text_of(one(statement, "", "expires")?)?;
    let given = Given {
        owner,
        owner_urn,
        target,
        target_urn,
        privileges: privileges(statement)?,
        expires: read_time(&expires).ok_or_else(|| invalid("when it expires cannot be read"))?,
        signer,
    };
    Ok((given, until))
}

fn privileges(statement: &Element) -> Result<Vec<Privilege>> {
    one(statement, "", "privileges")?
        .elements()
        .map(|element| {
            if !element.name.is("", "privilege") {
                return Err(invalid(
                    "there is something among the privileges that is none",
                ));
            }
            let flag = match optional(element, "can_delegate")? {
                Some(element) => text_of(element)?,
                None => "false".to_owned(),
            };
            Ok(Privilege {
                name: text_of(one(element, "", "name")?)?,
                can_delegate: match flag.as_str() {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(invalid("can_delegate is neither true nor false")),
                },
            })
        })
        .collect()
}

/// Whether `child` may have been made of `parent`.
fn passed_on(child: &Given<'_>, parent: &Given<'_>) -> Result<()> {
    if !child.signer.certificate.is_same_subject(&parent.owner) {
        return Err(untrusted(format!(
            "it was passed on by one who is not {}",
            parent.owner_urn
        )));
    }
    if !child.target.is_same_subject(&parent.target) {
        return Err(untrusted("it was passed on with another target"));
    }
    if child.expires > parent.expires {
        return Err(untrusted("it was passed on for longer than it holds"));
    }
    for privilege in &child.privileges {
        if !parent.privileges.iter().any(|p| p.covers(privilege)) {
            return Err(untrusted(format!(
                "the privilege {:?} could not be passed on",
                crate::geni::xml::short(&privilege.name)
            )));
        }
    }
    Ok(())
}

impl Credential {
    /// Whether it is this one's.
    ///
    /// # Errors
    ///
    /// `credential-mismatch` where it is another's.
    pub fn belongs_to(&self, caller: &Certificate) -> Result<()> {
        if self.owner.is_same_subject(caller) {
            return Ok(());
        }
        Err(mismatch(format!("the credential is {}'s", self.owner_urn))
            .advice("bring one of the one whose certificate you connect with"))
    }
}

/// Whether a verified credential lets this caller do this with this slice.
///
/// # Errors
///
/// `credential-mismatch` where it is another's or for another slice,
/// `forbidden` where it does not grant the operation.
pub fn permit(
    credential: &Credential,
    caller: &Certificate,
    target: &Urn,
    operation: Operation,
) -> Result<()> {
    credential.belongs_to(caller)?;
    if credential.target_urn != *target {
        return Err(mismatch(format!("it is for {}", credential.target_urn))
            .advice(format!("bring one for {target}")));
    }
    if !credential.privileges.iter().any(|p| p.grants(operation)) {
        return Err(forbidden("it does not grant this operation"));
    }
    Ok(())
}

fn optional<'a>(element: &'a Element, local: &str) -> Result<Option<&'a Element>> {
    if element.elements().any(|e| e.name.is("", local)) {
        one(element, "", local).map(Some)
    } else {
        Ok(None)
    }
}

/// Refuses a document in which two elements bear one id, whichever attribute a
/// reader may take for one.
fn unique_ids(root: &Element) -> Result<()> {
    let mut seen = BTreeSet::new();
    let mut open = vec![root];
    while let Some(element) = open.pop() {
        let mut own = BTreeSet::new();
        for attribute in &element.attributes {
            if attribute.name.local.eq_ignore_ascii_case("id") {
                own.insert(&*attribute.value);
            }
        }
        for id in own {
            if !seen.insert(id) {
                return Err(invalid("two elements of it have one id"));
            }
        }
        open.extend(element.elements());
    }
    Ok(())
}
