//! What is true of credentials: only what an authority has said is ever taken
//! for said.

use std::sync::{Arc, LazyLock};

use rm_adapters::geni::credentials::{
    Anchors, Certificate, Credential, CredentialVerifier as _, Privilege, Remembering, XmlVerifier,
};
use rm_core::env::Timestamp;

use crate::authority::{Draft, Party, Sign, envelope};
use crate::corpus::{SOON, world};
use crate::edits::edited;
use crate::is_short;

/// A credential that is accepted says what an authority has signed, whatever
/// was done to the document.
///
/// The bytes are a document where they begin with `<`, certificates in PEM or
/// DER where they begin as those do, and otherwise a list of edits of a
/// document that an authority has signed (`edits.rs`).
///
/// # Panics
///
/// Where that is not so.
pub fn credentials(bytes: &[u8]) {
    match bytes.first() {
        Some(b'-') => strangers(Certificate::from_pem(&String::from_utf8_lossy(bytes))),
        Some(b'0') => strangers(Certificate::from_der(bytes).map(|one| vec![one])),
        Some(b'<') => {
            accepts(&String::from_utf8_lossy(bytes));
        }
        _ => {
            accepts(&edited(bytes, &KNOWN.genuine, &KNOWN.refused));
        }
    }
}

/// Documents that are accepted as they are.
pub fn genuine() -> &'static [String] {
    &KNOWN.genuine
}

/// Whether a document is accepted as a credential, or as a statement that a
/// tool may speak for a user.
///
/// # Panics
///
/// Where it is, and nobody has said what it says.
pub fn accepts(xml: &str) -> bool {
    let known = &*KNOWN;
    let credential = XmlVerifier.credential(xml, &known.anchors, now());
    let verdict = credential
        .as_ref()
        .map(Said::of)
        .map_err(ToString::to_string);
    // At first, and when it was remembered.
    for _ in 0..2 {
        let again = REMEMBERING.credential(xml, &known.anchors, now());
        let again = again.as_ref().map(Said::of).map_err(ToString::to_string);
        assert_eq!(again, verdict, "it is remembered otherwise\n{xml}");
    }
    let whom = known.user.urn().unwrap();
    let speaks = XmlVerifier.speaks_for(xml, whom, &known.tool, &known.anchors, now());
    for refusal in [credential.as_ref().err(), speaks.as_ref().err()] {
        refusal.into_iter().for_each(is_short);
    }
    if let Ok(read) = &credential {
        let read = Said::of(read);
        assert!(
            known.said.contains(&read),
            "nobody said so: {read:?}\n{xml}"
        );
    }
    if let Ok(read) = &speaks {
        let meant = read.user.is_same_subject(&known.user) && read.expires == at(SOON);
        assert!(meant, "nobody said so: {read:?}\n{xml}");
    }
    credential.is_ok() || speaks.is_ok()
}

/// What an accepted credential says.
#[derive(Debug, PartialEq)]
struct Said {
    owner: Vec<u8>,
    target: String,
    privileges: Vec<Privilege>,
    expires: Timestamp,
    authority: String,
    delegators: Vec<String>,
}

impl Said {
    fn of(read: &Credential) -> Self {
        Self {
            owner: read.owner.der().to_vec(),
            target: read.target_urn.to_string(),
            privileges: read.privileges.clone(),
            expires: read.expires,
            authority: read.authority.to_string(),
            delegators: read.delegators.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A federation, and all that was ever said in it.
struct Known {
    anchors: Anchors,
    genuine: Vec<String>,
    /// Others, to take parts from.
    refused: Vec<String>,
    said: Vec<Said>,
    /// Who has let whom speak for himself.
    user: Certificate,
    tool: Certificate,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let world = world();
    let (mut genuine, mut refused) = (Vec::new(), Vec::new());
    for (_, xml, verdict) in world.corpus() {
        match verdict {
            Ok(()) => genuine.push(xml),
            Err(_) => refused.push(xml),
        }
    }
    // What was passed on had been given out, also what could not be passed on.
    let given_out: Vec<String> = genuine.iter().flat_map(|xml| parents(xml)).collect();
    genuine.extend(given_out);
    genuine.push(world.usual(&Draft {
        privileges: &[("embed", "false")],
        ..world.draft()
    }));
    let mut said = Vec::new();
    for xml in &genuine {
        let read = XmlVerifier.credential(xml, &world.anchors, now());
        said.push(Said::of(&read.unwrap_or_else(|e| panic!("{e}\n{xml}"))));
    }
    let portal = "urn:publicid:IDN+lab:one+tool+portal";
    let tool = world.sa.makes(portal, false, 2040);
    let statement = lets_speak(&world.alice, &tool);
    let signature = Sign::usual(&world.alice, "ref0").over(&statement);
    genuine.push(envelope(&statement, &signature));
    assert!(genuine.iter().chain(&refused).all(|xml| xml.is_ascii()));
    Known {
        user: world.alice.certificate(),
        tool: tool.certificate(),
        anchors: world.anchors,
        genuine,
        refused,
        said,
    }
});

static REMEMBERING: LazyLock<Remembering> =
    LazyLock::new(|| Remembering::new(Arc::new(XmlVerifier)));

fn now() -> Timestamp {
    at("2026-11-21T20:00:00Z")
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Certificates that come from anywhere: nobody has signed them.
fn strangers(read: rm_core::Result<Vec<Certificate>>) {
    match read {
        Ok(given) => {
            for one in &given {
                assert!(KNOWN.anchors.trust(one, &given, now()).is_err());
            }
        }
        Err(e) => is_short(&e),
    }
}

/// A statement in canonical form.
fn lets_speak(user: &Party, tool: &Party) -> String {
    let (head, tail) = (user.key_id(), tool.key_id());
    format!(
        "<credential xml:id=\"ref0\"><type>abac</type><expires>{SOON}</expires><abac><rt0>\
         <head><ABACprincipal><keyid>{head}</keyid></ABACprincipal><role>speaks_for_{head}</role></head>\
         <tail><ABACprincipal><keyid>{tail}</keyid></ABACprincipal></tail></rt0></abac></credential>"
    )
}

/// What a credential was passed on from, each with its own signatures.
fn parents(xml: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut at = xml.to_owned();
    while let (Some(from), Some(to)) = (at.find("<parent>"), at.rfind("</parent>")) {
        let statement = at.get(from + "<parent>".len()..to).unwrap();
        let (_, named) = at.split_once("<credential xml:id=\"").unwrap();
        let (id, _) = named.split_once('"').unwrap();
        let about = format!("URI=\"#{id}\"");
        let signatures: String = at
            .split("<Signature ")
            .skip(1)
            .filter(|rest| !rest.contains(&about))
            .filter_map(|rest| rest.split_once("</Signature>"))
            .map(|(inside, _)| format!("<Signature {inside}</Signature>"))
            .collect();
        at = envelope(statement, &signatures);
        found.push(at.clone());
    }
    found
}
