//! Credentials that were accepted are not verified again before something about
//! them can have changed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use rm_core::Result;
use rm_core::env::Timestamp;

use super::certificate::{Anchors, Certificate};
use super::{Credential, CredentialVerifier, SpeaksFor};
use crate::geni::Urn;

/// How many are remembered.
const MOST: usize = 1024;
/// How long one may be that is remembered, in bytes: those of the field have 5 to
/// 12 KiB, and whoever may pass one on can make it as long as he likes.
const LONGEST: usize = 16 * 1024;

/// Remembers which SFA credentials another verifier has accepted: the same
/// text, byte for byte, is accepted again while the same roots are trusted, and
/// before the first of what it says ends. What was refused, what speaks for
/// somebody, and what is longer than 16 KiB is looked at each time. Whose a credential is, and what it permits,
/// is no part of it: that is asked of each call.
pub struct Remembering {
    verifier: Arc<dyn CredentialVerifier>,
    accepted: Mutex<Accepted>,
}

impl fmt::Debug for Remembering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remembering").field(&self.verifier).finish()
    }
}

#[derive(Default)]
struct Accepted {
    /// Who was trusted then.
    anchors: Anchors,
    /// By the SHA-256 of the text: when it was verified, and what it says.
    credentials: BTreeMap<Vec<u8>, (Timestamp, Credential)>,
}

impl Remembering {
    /// Remembers what this one accepts.
    pub fn new(verifier: Arc<dyn CredentialVerifier>) -> Self {
        Self {
            verifier,
            accepted: Mutex::default(),
        }
    }

    fn accepted(&self) -> MutexGuard<'_, Accepted> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accepted {
    fn get(&mut self, text: &[u8], anchors: &Anchors, now: Timestamp) -> Option<Credential> {
        if self.anchors != *anchors {
            return None;
        }
        // Lists that are the same one are known to be equal without a look.
        self.anchors = anchors.clone();
        let (since, credential) = self.credentials.get(text)?;
        // A certificate may not have held before.
        let holds = *since <= now && now < credential.expires;
        holds.then(|| credential.clone())
    }

    fn put(&mut self, text: Vec<u8>, anchors: &Anchors, now: Timestamp, credential: Credential) {
        if self.anchors != *anchors {
            self.anchors = anchors.clone();
            self.credentials.clear();
        }
        if self.credentials.len() >= MOST {
            self.credentials.retain(|_, (_, c)| now < c.expires);
        }
        // Whoever has many others verified does not empty it for all.
        if self.credentials.len() >= MOST
            && let Some(oldest) = self.oldest()
        {
            self.credentials.remove(&oldest);
        }
        self.credentials.insert(text, (now, credential));
    }

    /// The one that was verified first.
    fn oldest(&self) -> Option<Vec<u8>> {
        let first = self.credentials.iter().min_by_key(|(_, (at, _))| *at);
        first.map(|(text, _)| text.clone())
    }
}

impl CredentialVerifier for Remembering {
    fn credential(&self, xml: &str, anchors: &Anchors, now: Timestamp) -> Result<Credential> {
        if xml.len() > LONGEST {
            return self.verifier.credential(xml, anchors, now);
        }
        let text = digest(&SHA256, xml.as_bytes()).as_ref().to_vec();
        if let Some(known) = self.accepted().get(&text, anchors, now) {
            return Ok(known);
        }
        let credential = self.verifier.credential(xml, anchors, now)?;
        self.accepted().put(text, anchors, now, credential.clone());
        Ok(credential)
    }

    fn speaks_for(
        &self,
        xml: &str,
        user: &Urn,
        caller: &Certificate,
        anchors: &Anchors,
        now: Timestamp,
    ) -> Result<SpeaksFor> {
        self.verifier.speaks_for(xml, user, caller, anchors, now)
    }
}
