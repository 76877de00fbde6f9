//! Gives out credentials: writes what an authority says, and signs it as real
//! authorities do.
//!
//! The document is written with places left open, read again, and each place
//! filled with what follows from the canonical form of what was read: so it is
//! signed over exactly what a reader of it sees.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rm_core::env::Timestamp;
use rm_core::{Error, ErrorKind, Result};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::certificate::Certificate;
use super::sfa::document;
use super::signature::{DS, one};
use super::{Privilege, c14n};
use crate::geni::xml::{Element, escape};

/// The id of the statement; its signature's is `Sig_` and this.
const ID: &str = "ref0";
/// What stands in the document until the digest and the signature are known.
const DIGEST: &str = "<DigestValue></DigestValue>";
const VALUE: &str = "<SignatureValue></SignatureValue>";

/// What a credential is to say: this owner may do these things with this
/// target until then.
#[derive(Debug, Clone, Copy)]
pub struct Grant<'a> {
    /// The owner's certificate, and those above it, the root left out.
    pub owner: &'a [Certificate],
    /// The same of the target: a slice, or the owner once more.
    pub target: &'a [Certificate],
    /// What may be done.
    pub privileges: &'a [Privilege],
    /// Until when. It ends earlier where one of the certificates does.
    pub expires: Timestamp,
}

/// An authority that signs credentials.
pub struct Issuer {
    chain: Vec<Certificate>,
    key: KeyPair,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer")
            .field("chain", &self.chain)
            .finish_non_exhaustive()
    }
}

impl Issuer {
    /// The authority of these certificates, its own first and the root left
    /// out, with its RSA key; both in PEM.
    ///
    /// # Errors
    ///
    /// Where they cannot be read or do not belong together. The key is in no
    /// message.
    pub fn new(certificates: &str, key: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid("the authority's key cannot be used")
                .advice("give its RSA key of 2048 bits or more, in PEM")
        };
        let chain = Certificate::from_pem(certificates)?;
        let read = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| wrong())?;
        let key = match &read {
            PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(wrong()),
        }
        .map_err(|_| wrong())?;
        let this = Self { chain, key };
        let message = b"whether they belong together";
        let own = this.own()?;
        if !own.made(&RSA_PKCS1_2048_8192_SHA256, message, &this.sign(message)?) {
            return Err(
                Error::invalid("the authority's key is not that of its certificate")
                    .advice("give the two that were made together"),
            );
        }
        Ok(this)
    }

    /// A signed credential.
    ///
    /// # Errors
    ///
    /// Where owner or target have no URN, or this one has no authority over
    /// the target: nobody would accept that.
    pub fn credential(&self, grant: &Grant<'_>) -> Result<String> {
        let (by, target) = (self.own()?.named()?, first(grant.target)?.named()?);
        if !by.is_authority_over(target) {
            return Err(
                Error::invalid(format!("{by} has no authority over {target}"))
                    .advice("let the authority sign by whose name that of the target begins"),
            );
        }
        let text = self.draft(grant)?;
        let root = document(&text)?;
        let statement = one(&root, "", "credential")?;
        let canonical = c14n::canonical(statement, &[&root], c14n::Form::Inclusive);
        let digested = BASE64_STANDARD.encode(digest(&SHA256, &canonical));
        let text = fill(&text, DIGEST, &digested)?;

        let root = document(&text)?;
        let signatures = one(&root, "", "signatures")?;
        let signature = one(signatures, DS, "Signature")?;
        let around: [&Element; 3] = [&root, signatures, signature];
        let info = one(signature, DS, "SignedInfo")?;
        let canonical = c14n::canonical(info, &around, c14n::Form::Inclusive);
        let value = BASE64_STANDARD.encode(self.sign(&canonical)?);
        fill(&text, VALUE, &value)
    }

    /// The document, but for digest and signature. The spaces in it are those
    /// of real ones; SHA-256 stands where real ones still have SHA-1, which all
    /// who read the one can read.
    fn draft(&self, grant: &Grant<'_>) -> Result<String> {
        let privileges: String = grant
            .privileges
            .iter()
            .map(|p| {
                format!(
                    "<privilege><name>{}</name><can_delegate>{}</can_delegate></privilege>",
                    escaped(&p.name),
                    p.can_delegate
                )
            })
            .collect();
        let name = |of: &[Certificate]| Ok::<_, Error>(escaped(first(of)?.named()?.as_str()));
        let owner = name(grant.owner)?;
        let target = name(grant.target)?;
        let (owner_gid, target_gid) = (pem(grant.owner), pem(grant.target));
        // Whole seconds: not everybody reads parts of them.
        let expires = grant.expires.to_string();
        let expires = match expires.split_once('.') {
            Some((seconds, _)) => format!("{seconds}Z"),
            None => expires,
        };
        let keys: String = self
            .chain
            .iter()
            .map(|c| format!("<X509Certificate>\n{}</X509Certificate>\n", base64(c)))
            .collect();
        Ok(format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
             <signed-credential xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
             xsi:noNamespaceSchemaLocation=\"http://www.planet-lab.org/resources/sfa/credential.xsd\" \
             xsi:schemaLocation=\"http://www.planet-lab.org/resources/sfa/ext/policy/1 \
             http://www.planet-lab.org/resources/sfa/ext/policy/1/policy.xsd\">\
             <credential xml:id=\"{ID}\"><type>privilege</type><serial>8</serial>\
             <owner_gid>{owner_gid}</owner_gid><owner_urn>{owner}</owner_urn>\
             <target_gid>{target_gid}</target_gid><target_urn>{target}</target_urn><uuid/>\
             <expires>{expires}</expires><privileges>{privileges}</privileges></credential>\
             <signatures><Signature xmlns=\"{DS}\" xml:id=\"Sig_{ID}\">\n  \
             <SignedInfo>\n    \
             <CanonicalizationMethod Algorithm=\"http://www.w3.org/TR/2001/REC-xml-c14n-20010315\"/>\n    \
             <SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\"/>\n    \
             <Reference URI=\"#{ID}\">\n      \
             <Transforms>\n        \
             <Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>\n      \
             </Transforms>\n      \
             <DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/>\n      \
             {DIGEST}\n    \
             </Reference>\n  \
             </SignedInfo>\n  \
             {VALUE}\n  \
             <KeyInfo>\n    <X509Data>\n{keys}</X509Data>\n  </KeyInfo>\n\
             </Signature></signatures></signed-credential>\n"
        ))
    }

    fn own(&self) -> Result<&Certificate> {
        first(&self.chain)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .map_err(|_| Error::new(ErrorKind::Internal, "the key makes no signature"))?;
        Ok(signature)
    }
}

fn first(of: &[Certificate]) -> Result<&Certificate> {
    of.first()
        .ok_or_else(|| Error::invalid("there is no certificate where one should be"))
}

/// Fills the one place of a document that was left open.
fn fill(text: &str, place: &str, with: &str) -> Result<String> {
    let unfit = || {
        Error::new(
            ErrorKind::Internal,
            "a credential has no place for its parts",
        )
    };
    let (before, after) = text.split_once(place).ok_or_else(unfit)?;
    let (begin, end) = place.split_once("><").ok_or_else(unfit)?;
    Ok(format!("{before}{begin}>{with}<{end}{after}"))
}

/// Certificates in PEM, one after the other.
fn pem(of: &[Certificate]) -> String {
    of.iter()
        .map(|c| {
            let body = base64(c);
            format!("-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")
        })
        .collect()
}

/// A certificate in lines of base64.
fn base64(of: &Certificate) -> String {
    let text = BASE64_STANDARD.encode(of.der());
    let mut lines = String::with_capacity(text.len() + text.len() / 64 + 1);
    for (at, c) in text.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            lines.push('\n');
        }
        lines.push(c);
    }
    lines.push('\n');
    lines
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape(text, false, &mut out);
    out
}
