//! Certificates of users, slices and authorities, and the chains they are in.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rm_core::env::Timestamp;
use rm_core::{Error, Result};
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

use super::refusal::{expired, invalid, untrusted};
use crate::geni::Urn;

/// Certificates that may be given with one credential or connection.
const MOST: usize = 16;
/// How long a chain may be.
const DEEPEST: usize = 8;
/// How many issuers are tried for one chain.
const STEPS: usize = 64;
/// Extensions that may be critical: what they say is checked here, or does not
/// bear on what certificates are used for.
const UNDERSTOOD: [&str; 4] = ["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.37"];

/// A certificate, read once.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    der: Vec<u8>,
    subject: Vec<u8>,
    issuer: Vec<u8>,
    from: Timestamp,
    until: Timestamp,
    key: Vec<u8>,
    key_algorithm: String,
    signed: Vec<u8>,
    signature: Vec<u8>,
    signature_algorithm: String,
    authority: bool,
    below: Option<u32>,
    urn: Option<Urn>,
    uuid: Option<String>,
    email: Option<String>,
    key_id: Option<String>,
    /// Why it must not be relied on, whoever signed it.
    strange: Option<String>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("urn", &self.0.urn)
            .field("until", &self.0.until)
            .finish_non_exhaustive()
    }
}

impl Certificate {
    /// Reads DER.
    ///
    /// # Errors
    ///
    /// Where it is no X.509 certificate.
    pub fn from_der(der: &[u8]) -> Result<Self> {
        let (rest, read) = X509Certificate::from_der(der)
            .map_err(|_| invalid("a certificate in it cannot be read"))?;
        if !rest.is_empty() {
            return Err(invalid("something follows a certificate in it"));
        }
        let time = |t: i64| Timestamp::from_millis(t.saturating_mul(1000));
        let mut inner = Inner {
            der: der.to_vec(),
            subject: read.subject().as_raw().to_vec(),
            issuer: read.issuer().as_raw().to_vec(),
            from: time(read.validity().not_before.timestamp()),
            until: time(read.validity().not_after.timestamp()),
            key: read.public_key().subject_public_key.data.to_vec(),
            key_algorithm: key_algorithm(&read),
            signed: read.tbs_certificate.as_ref().to_vec(),
            signature: read.signature_value.data.to_vec(),
            signature_algorithm: read.signature_algorithm.algorithm.to_id_string(),
            authority: false,
            below: None,
            urn: None,
            uuid: None,
            email: None,
            key_id: None,
            strange: None,
        };
        if read.signature_algorithm != read.tbs_certificate.signature {
            inner.strange = Some("it names two algorithms for its signature".to_owned());
        }
        inner.extensions(&read);
        Ok(Self(Arc::new(inner)))
    }

    /// Reads the certificates in a text: in PEM, or one in bare base64.
    ///
    /// # Errors
    ///
    /// Where there is none, or more than 16, or one that cannot be read.
    pub fn from_pem(text: &str) -> Result<Vec<Self>> {
        const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
        const END: &str = "-----END CERTIFICATE-----";
        let mut found = Vec::new();
        let mut add = |text: &str| -> Result<()> {
            if found.len() >= MOST {
                return Err(invalid(format!(
                    "more than {MOST} certificates in one place"
                )));
            }
            found.push(Self::from_base64(text)?);
            Ok(())
        };
        let mut rest = text;
        if !text.contains(BEGIN) && !text.trim().is_empty() {
            add(text)?;
            rest = "";
        }
        while let Some((_, after)) = rest.split_once(BEGIN) {
            let Some((body, tail)) = after.split_once(END) else {
                return Err(invalid("a certificate in it does not end"));
            };
            add(body)?;
            rest = tail;
        }
        if found.is_empty() {
            return Err(invalid("there is no certificate where one should be"));
        }
        Ok(found)
    }

    /// Reads base64 with line breaks.
    pub(super) fn from_base64(text: &str) -> Result<Self> {
        Self::from_der(&bytes_of(text)?)
    }

    /// As it was read.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// Who or what it is about.
    pub fn urn(&self) -> Option<&Urn> {
        self.0.urn.as_ref()
    }

    /// The same, where it has to say so.
    pub(super) fn named(&self) -> Result<&Urn> {
        self.urn().ok_or_else(|| {
            invalid("a certificate has no URN, or several")
                .advice("use certificates whose subjectAltName has one URI urn:publicid:IDN+...")
        })
    }

    /// The UUID of its subject, where it has one.
    pub fn uuid(&self) -> Option<&str> {
        self.0.uuid.as_deref()
    }

    /// The mail address of its subject, where it has one.
    pub fn email(&self) -> Option<&str> {
        self.0.email.as_deref()
    }

    /// Until when it is valid.
    pub fn until(&self) -> Timestamp {
        self.0.until
    }

    /// Whether both are about the same subject with the same key.
    pub fn is_same_subject(&self, other: &Self) -> bool {
        self.0.key == other.0.key
            && self.0.key_algorithm == other.0.key_algorithm
            && self.0.urn.is_some()
            && self.0.urn == other.0.urn
    }

    /// Whether this is an id of its key: lower-case hexadecimal, as the
    /// certificate says or as SHA-1 of the key.
    pub(super) fn has_key_id(&self, id: &str) -> bool {
        let id = id.trim().replace(':', "").to_ascii_lowercase();
        let derived = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.0.key);
        !id.is_empty() && (self.0.key_id.as_deref() == Some(&*id) || hex(derived.as_ref()) == id)
    }

    /// Whether its key made this signature.
    pub(super) fn made(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        UnparsedPublicKey::new(algorithm, &self.0.key)
            .verify(message, signature)
            .is_ok()
    }

    /// Whether its key is an RSA key.
    pub(super) fn has_rsa_key(&self) -> bool {
        self.0.key_algorithm == RSA
    }

    fn holds_at(&self, now: Timestamp) -> Result<()> {
        if let Some(why) = &self.0.strange {
            return Err(invalid(format!("a certificate is not acceptable: {why}")));
        }
        if now < self.0.from {
            return Err(expired(format!(
                "a certificate is not valid before {}",
                self.0.from
            )));
        }
        if now > self.0.until {
            return Err(expired(format!(
                "a certificate was valid until {}",
                self.0.until
            )));
        }
        Ok(())
    }

    /// Whether this one issued `child`, with `between` authorities below it.
    fn issued(&self, child: &Self, between: usize) -> Result<()> {
        let (mine, theirs) = (&*self.0, &*child.0);
        if mine.subject != theirs.issuer {
            return Err(untrusted("a certificate was issued by somebody else"));
        }
        let algorithm = certificate_algorithm(&theirs.signature_algorithm, &mine.key_algorithm)
            .ok_or_else(|| {
                invalid("a certificate is signed in a way that is not accepted")
                    .advice("use certificates with RSA of 2048 bits or more and SHA-256")
            })?;
        if !self.made(algorithm, &theirs.signed, &theirs.signature) {
            return Err(untrusted(
                "a certificate names an issuer whose signature is not on it",
            ));
        }
        if !mine.authority {
            return Err(untrusted(
                "a certificate was issued by one who is no authority",
            ));
        }
        if mine
            .below
            .is_some_and(|most| between > usize::try_from(most).unwrap_or(usize::MAX))
        {
            return Err(untrusted(
                "a chain of certificates is longer than one of them allows",
            ));
        }
        let (by, whom) = (self.named()?, child.named()?);
        if !by.is_authority_over(whom) {
            return Err(untrusted(format!("{by} has no authority over {whom}")));
        }
        Ok(())
    }
}

impl Inner {
    fn extensions(&mut self, read: &X509Certificate<'_>) {
        let mut seen = BTreeSet::new();
        for extension in read.extensions() {
            let oid = extension.oid.to_id_string();
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(basic) => {
                    self.authority = basic.ca;
                    self.below = basic.path_len_constraint;
                }
                ParsedExtension::SubjectAlternativeName(names) => self.names(&names.general_names),
                ParsedExtension::SubjectKeyIdentifier(id) => self.key_id = Some(hex(id.0)),
                ParsedExtension::ParseError { .. } => {
                    self.strange = Some("an extension cannot be read".to_owned());
                }
                _ => {}
            }
            if extension.critical && !UNDERSTOOD.contains(&&*oid) {
                self.strange = Some("a critical extension is not known here".to_owned());
            }
            if !seen.insert(oid) {
                self.strange = Some("it has an extension twice".to_owned());
            }
        }
        // One that may sign nothing else than messages is no authority.
        let usage = read
            .extensions()
            .iter()
            .find_map(|e| match e.parsed_extension() {
                ParsedExtension::KeyUsage(usage) => Some(usage.key_cert_sign()),
                _ => None,
            });
        self.authority &= usage.unwrap_or(true);
    }

    fn names(&mut self, names: &[GeneralName<'_>]) {
        let mut several = false;
        for name in names {
            match name {
                GeneralName::URI(uri) => {
                    if let Ok(urn) = uri.parse::<Urn>() {
                        several |= self.urn.replace(urn).is_some();
                    } else if let Some(uuid) = uri.strip_prefix("urn:uuid:") {
                        self.uuid = Some(uuid.to_owned());
                    }
                }
                GeneralName::RFC822Name(mail) => self.email = Some((*mail).to_owned()),
                _ => {}
            }
        }
        if several {
            self.urn = None;
        }
    }
}

/// Whom we trust. Copies are one and the same list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anchors(Arc<[Certificate]>);

impl Anchors {
    /// These certificates, of authorities or of whomever.
    pub fn new(certificates: Vec<Certificate>) -> Self {
        Self(certificates.into())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Follows a certificate up to one that is trusted, by way of those that
    /// were given with it; answers when the first of the chain expires.
    ///
    /// # Errors
    ///
    /// Where there is no such way: the reason for the first way that fails.
    pub fn trust(
        &self,
        leaf: &Certificate,
        given: &[Certificate],
        now: Timestamp,
    ) -> Result<Timestamp> {
        let mut search = Search {
            anchors: &self.0,
            given,
            now,
            left: STEPS,
        };
        search.up(leaf, 0)
    }
}

/// A way from a certificate to one that is trusted. Of several issuers of one
/// name and key, as there are while roots change, any may be on it.
struct Search<'a> {
    anchors: &'a [Certificate],
    given: &'a [Certificate],
    now: Timestamp,
    /// How many more issuers may be tried.
    left: usize,
}

impl Search<'_> {
    /// When the first of the chain expires, from this one on, with `between`
    /// below it.
    fn up(&mut self, current: &Certificate, between: usize) -> Result<Timestamp> {
        if between >= DEEPEST {
            return Err(invalid("a chain of certificates is too long"));
        }
        current.holds_at(self.now)?;
        if self.anchors.contains(current) {
            return Ok(current.until());
        }
        let mut why = None;
        let (anchors, given) = (self.anchors, self.given);
        for issuer in anchors.iter().chain(given) {
            if issuer.0.subject != current.0.issuer || issuer == current {
                continue;
            }
            match self.by(issuer, current, between) {
                Ok(until) => return Ok(until.min(current.until())),
                Err(e) => {
                    why.get_or_insert(e);
                }
            }
        }
        Err(why.unwrap_or_else(unknown_issuer))
    }

    /// The way by this issuer.
    fn by(
        &mut self,
        issuer: &Certificate,
        current: &Certificate,
        between: usize,
    ) -> Result<Timestamp> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| invalid("too many certificates of one name"))?;
        issuer.holds_at(self.now)?;
        issuer.issued(current, between)?;
        self.up(issuer, between + 1)
    }
}

fn unknown_issuer() -> Error {
    untrusted("a certificate leads to nobody whom this aggregate trusts").advice(
        "send the certificates of the authorities in between, or ask the operator to add the root",
    )
}

const RSA: &str = "1.2.840.113549.1.1.1";

const CURVES: &str = "1.2.840.10045.2.1";

/// Which algorithm a key is for; with its curve, where there are several.
fn key_algorithm(read: &X509Certificate<'_>) -> String {
    let algorithm = &read.public_key().algorithm;
    let name = algorithm.algorithm.to_id_string();
    let curve = algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
    match curve {
        Some(curve) if name == CURVES => format!("{name} {}", curve.to_id_string()),
        _ => name,
    }
}

fn certificate_algorithm(signature: &str, key: &str) -> Option<&'static dyn VerificationAlgorithm> {
    const P256: &str = "1.2.840.10045.2.1 1.2.840.10045.3.1.7";
    const P384: &str = "1.2.840.10045.2.1 1.3.132.0.34";
    Some(match (signature, key) {
        ("1.2.840.113549.1.1.11", RSA) => &signature::RSA_PKCS1_2048_8192_SHA256,
        ("1.2.840.113549.1.1.12", RSA) => &signature::RSA_PKCS1_2048_8192_SHA384,
        ("1.2.840.113549.1.1.13", RSA) => &signature::RSA_PKCS1_2048_8192_SHA512,
        ("1.2.840.10045.4.3.2", P256) => &signature::ECDSA_P256_SHA256_ASN1,
        ("1.2.840.10045.4.3.2", P384) => &signature::ECDSA_P384_SHA256_ASN1,
        ("1.2.840.10045.4.3.3", P256) => &signature::ECDSA_P256_SHA384_ASN1,
        ("1.2.840.10045.4.3.3", P384) => &signature::ECDSA_P384_SHA384_ASN1,
        ("1.3.101.112", "1.3.101.112") => &signature::ED25519,
        _ => return None,
    })
}

/// The bytes of a base64 text with line breaks.
pub(super) fn bytes_of(text: &str) -> Result<Vec<u8>> {
    let text: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    BASE64_STANDARD
        .decode(text)
        .map_err(|_| invalid("something in it should be base64 and is not"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
