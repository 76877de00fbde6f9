//! TLS with client certificates: every client has one, of anybody whom the
//! folder of roots trusts at that moment; authorities are clients, too. Nobody
//! resumes a session, since that would not be verified again.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rm_core::env::{Env, Timestamp};
use rm_core::{Error, Result};
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{
    CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::NoServerSessionStorage;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error as TlsError, ServerConfig,
    SignatureScheme,
};

use super::credentials::{Anchors, Certificate, Roots};

/// What a server needs: its own certificate and key, and whom it trusts.
///
/// # Errors
///
/// Where certificate or key cannot be read or do not belong together. Neither
/// is in the message.
pub(super) fn server(
    certificates: &str,
    key: &str,
    roots: Arc<Roots>,
    env: Arc<dyn Env>,
) -> Result<ServerConfig> {
    let wrong = |what: &str| {
        Error::invalid(format!("the server's {what} cannot be used"))
            .advice("give certificate and key in PEM, as geni init writes them")
    };
    let chain = CertificateDer::pem_slice_iter(certificates.as_bytes())
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|_| wrong("certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| wrong("key"))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clients = Clients {
        roots,
        env,
        provider: Arc::clone(&provider),
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| wrong("version of TLS"))?
        .with_client_cert_verifier(Arc::new(clients))
        .with_single_cert(chain, key)
        .map_err(|_| wrong("certificate and key"))?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Who is at the other end of a line, and the certificates that came along.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) certificate: Certificate,
    above: Vec<Certificate>,
    /// What was found last, for the calls that follow on the same line.
    followed: Mutex<Option<Followed>>,
}

/// That a client's certificate leads to one that is trusted.
#[derive(Debug)]
struct Followed {
    /// Who was trusted then.
    anchors: Arc<Anchors>,
    since: Timestamp,
    /// When the first of the chain ends.
    until: Timestamp,
}

impl Followed {
    /// Whether it still does: the signatures in between do not change.
    fn holds(&self, anchors: &Anchors, now: Timestamp) -> bool {
        *self.anchors == *anchors && self.since <= now && now < self.until
    }
}

impl Client {
    /// Of the certificates of a handshake, the client's own first.
    ///
    /// # Errors
    ///
    /// Where one of them cannot be read.
    pub(super) fn of(leaf: &[u8], above: &[CertificateDer<'_>]) -> Result<Self> {
        Ok(Self {
            certificate: Certificate::from_der(leaf)?,
            above: above
                .iter()
                .take(8)
                .map(|der| Certificate::from_der(der))
                .collect::<Result<_>>()?,
            followed: Mutex::default(),
        })
    }

    /// Whether it is trusted now. That ends with its certificate, and when the
    /// operator takes its root away, also while a line is open: every call asks,
    /// also one that needs no credential. Where verdicts are remembered the
    /// signatures of its chain are verified once for each line and each set of
    /// roots, else for each call.
    ///
    /// # Errors
    ///
    /// Where it is not, or the folder of roots cannot be read.
    pub(super) fn trusted(&self, roots: &Roots, now: Timestamp, remembers: bool) -> Result<()> {
        let anchors = roots.now(now)?;
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = followed.as_mut().filter(|f| f.holds(&anchors, now)) {
            // Lists that are the same one are known to be equal without a look.
            known.anchors = anchors;
            return Ok(());
        }
        *followed = None;
        let until = anchors.trust(&self.certificate, &self.above, now)?;
        *followed = remembers.then_some(Followed {
            anchors,
            since: now,
            until,
        });
        Ok(())
    }
}

/// Follows the certificate of a client to a trusted root as those in
/// credentials are followed, and proves that the client has its key.
struct Clients {
    roots: Arc<Roots>,
    env: Arc<dyn Env>,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clients").field(&self.roots).finish()
    }
}

impl ClientCertVerifier for Clients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // The roots may change at any time, and no client asks.
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> std::result::Result<ClientCertVerified, TlsError> {
        let now = self.env.now();
        match Client::of(leaf, above).and_then(|client| client.trusted(&self.roots, now, false)) {
            Ok(()) => Ok(ClientCertVerified::assertion()),
            Err(e) => {
                tracing::info!(error = %e, "a client was not let in");
                Err(TlsError::InvalidCertificate(match e.stable_code() {
                    super::credentials::EXPIRED => CertificateError::Expired,
                    super::credentials::UNTRUSTED => CertificateError::UnknownIssuer,
                    _ => CertificateError::ApplicationVerificationFailure,
                }))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_RSA_SHA256,
        SanType, date_time_ymd,
    };

    use super::*;

    fn params(urn: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(urn.try_into().unwrap())];
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = date_time_ymd(2040, 1, 1);
        params
    }

    #[test]
    fn a_chain_is_followed_once_for_a_line_where_verdicts_are_remembered_and_nowhere_else() {
        let key = || KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let root = params("urn:publicid:IDN+lab+authority+root");
        let root = CertifiedIssuer::self_signed(root, key()).unwrap();
        let user = params("urn:publicid:IDN+lab+authority+am");
        let user = user.signed_by(&key(), &root).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let trusted = folder.path().join("root.pem");
        fs::write(&trusted, root.pem()).unwrap();
        let roots = Roots::new(folder.path());
        let now = Timestamp::parse("2026-11-21T20:00:00Z").unwrap();
        let client = Client::of(user.der(), &[]).unwrap();
        let kept = || {
            let followed = client.followed.lock().unwrap();
            followed.as_ref().map(|f| Arc::clone(&f.anchors))
        };

        client.trusted(&roots, now, false).unwrap();
        assert!(kept().is_none());
        client.trusted(&roots, now, true).unwrap();
        let before = kept().unwrap();
        // The same certificates are read again: who keeps the old ones compares
        // all of them at every call, and keeps them for as long as the line is open.
        fs::remove_file(&trusted).unwrap();
        fs::write(folder.path().join("again.pem"), root.pem()).unwrap();
        let later = now.plus(Duration::from_secs(2));
        client.trusted(&roots, later, true).unwrap();
        let after = kept().unwrap();
        assert!(!Arc::ptr_eq(&before, &after));
        assert!(Arc::ptr_eq(&after, &roots.now(later).unwrap()));
    }
}
