//! Who may do what: SFA credentials of versions 2 and 3, ABAC speaks-for,
//! certificates, and whom we trust.
//!
//! A credential is a statement of an authority, signed: this *owner* may do
//! these things with this *target*. An owner may pass it on (*delegation*):
//! then it is inside the new one, which the former owner has signed.
//!
//! What is read of a document is only what a verified signature covers: the
//! element that the signature names is the very element that is read, there is
//! one signature for each, and nothing beside. Keys come from certificates that
//! lead to a trusted root and from nowhere else.
//!
//! | to know | read |
//! |---|---|
//! | what a credential must be to be accepted | `sfa.rs` |
//! | when somebody speaks for a user | `abac.rs` |
//! | how a signature is checked | `signature.rs`, `c14n.rs` |
//! | whom we trust, and when that changes | [`Roots`], [`Certificate`] |
//! | which privilege grants which call | [`Operation`] |
//! | when a credential is not verified again | [`Remembering`] |
//! | how an authority gives credentials out | [`Issuer`] |

use std::fmt;

use rm_core::Result;
use rm_core::env::Timestamp;

use super::Urn;

mod abac;
mod c14n;
mod certificate;
mod issue;
mod privilege;
mod refusal;
mod remembered;
mod roots;
mod sfa;
mod signature;
mod when;

pub use certificate::{Anchors, Certificate};
pub use issue::{Grant, Issuer};
pub use privilege::{Operation, Privilege};
pub(crate) use refusal::{EXPIRED, FORBIDDEN, INVALID, MISMATCH, UNREADABLE, UNTRUSTED};
pub use remembered::Remembering;
pub use roots::Roots;
pub use sfa::permit;
pub(crate) use when::read_time;

/// What a verified credential says.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Whose it is.
    pub owner: Certificate,
    /// Its name.
    pub owner_urn: Urn,
    /// What it is about.
    pub target_urn: Urn,
    /// What its owner may do with the target.
    pub privileges: Vec<Privilege>,
    /// When it ends: when the first of it, of what it was passed on from, and
    /// of all their certificates does.
    pub expires: Timestamp,
    /// The authority that gave it out.
    pub authority: Urn,
    /// Who passed it on, the last first.
    pub delegators: Vec<Urn>,
}

/// What a verified speaks-for statement says.
#[derive(Debug, Clone)]
pub struct SpeaksFor {
    /// For whom.
    pub user: Certificate,
    /// When it ends.
    pub expires: Timestamp,
}

/// Verifies what callers bring. The rules are the contract; with which library
/// the signatures are checked is the implementation's own business.
pub trait CredentialVerifier: fmt::Debug + Send + Sync + 'static {
    /// What an SFA credential says.
    ///
    /// # Errors
    ///
    /// Of the codes `credential-unreadable`, `credential-invalid`,
    /// `credential-expired`, `credential-untrusted`.
    fn credential(&self, xml: &str, anchors: &Anchors, now: Timestamp) -> Result<Credential>;

    /// Whether `caller` speaks for `user`, by this ABAC statement.
    ///
    /// # Errors
    ///
    /// The same, and `credential-mismatch` where it is about others.
    fn speaks_for(
        &self,
        xml: &str,
        user: &Urn,
        caller: &Certificate,
        anchors: &Anchors,
        now: Timestamp,
    ) -> Result<SpeaksFor>;
}

/// The verifier of this crate, for the one profile that is in use: enveloped
/// signatures, RSA, canonical XML 1.0.
#[derive(Debug, Clone, Copy, Default)]
pub struct XmlVerifier;

impl CredentialVerifier for XmlVerifier {
    fn credential(&self, xml: &str, anchors: &Anchors, now: Timestamp) -> Result<Credential> {
        sfa::verify(xml, anchors, now)
    }

    fn speaks_for(
        &self,
        xml: &str,
        user: &Urn,
        caller: &Certificate,
        anchors: &Anchors,
        now: Timestamp,
    ) -> Result<SpeaksFor> {
        abac::verify(xml, user, caller, anchors, now)
    }
}
