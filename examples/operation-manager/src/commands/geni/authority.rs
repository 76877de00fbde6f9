//! Certificates as the federation has them: RSA, the URN in the alternative
//! names, and an authority over each.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, SanType, date_time_ymd,
};
use rm_adapters::geni::Urn;
use rm_adapters::geni::credentials::Certificate;
use rm_core::env::Timestamp;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::failure::{Failure, Result};

/// Clocks differ: what is made now holds since an hour ago.
const BEFORE: Duration = Duration::from_secs(3600);

/// What a certificate is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role<'a> {
    /// Certifies others.
    Authority,
    /// Is reached under these names and addresses.
    Server(&'a [String]),
    /// Calls aggregates.
    User,
    /// Names a slice, and never speaks.
    Slice,
}

/// From when a certificate holds, and until when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    pub(super) now: Timestamp,
    pub(super) until: Timestamp,
}

/// A certificate with its key, both in PEM.
pub(super) struct Made {
    pub(super) certificate: String,
    pub(super) key: Zeroizing<String>,
}

/// Somebody who certifies others.
pub(super) struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    /// One that nobody certifies.
    pub(super) fn root(urn: &Urn, life: Life) -> Result<(Self, Made)> {
        let key = key()?;
        let params = params(urn, Role::Authority, life)?;
        let certificate = params.self_signed(&key).map_err(unmade)?;
        let made = made(&certificate, &key);
        Ok((Self(Issuer::new(params, key)), made))
    }

    /// One that has made others before, by its certificate and key.
    pub(super) fn read(certificate: &Certificate, key: &str) -> Result<Self> {
        let key = KeyPair::from_pem(key).map_err(|_| {
            Failure::usage("the authority's key cannot be read")
                .advice("it should be a file that \"geni init\" has made")
        })?;
        let urn = certificate
            .urn()
            .ok_or_else(|| Failure::usage("the authority's certificate has no URN"))?;
        let until = certificate.until();
        let params = params(urn, Role::Authority, Life { now: until, until })?;
        Ok(Self(Issuer::new(params, key)))
    }

    /// Certifies somebody, or something.
    pub(super) fn certify(&self, urn: &Urn, role: Role<'_>, life: Life) -> Result<Made> {
        let key = key()?;
        let mut params = params(urn, role, life)?;
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.0).map_err(unmade)?;
        Ok(made(&certificate, &key))
    }
}

fn made(certificate: &rcgen::Certificate, key: &KeyPair) -> Made {
    Made {
        certificate: certificate.pem().replace("\r\n", "\n"),
        key: Zeroizing::new(Zeroizing::new(key.serialize_pem()).replace("\r\n", "\n")),
    }
}

fn key() -> Result<KeyPair> {
    KeyPair::generate_for(&PKCS_RSA_SHA256).map_err(unmade)
}

fn params(urn: &Urn, role: Role<'_>, life: Life) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(urn);
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(life.now)?.saturating_sub(BEFORE);
    params.not_after = epoch + since_epoch(life.until)?;
    let mut names = vec![
        SanType::URI(urn.as_str().try_into().map_err(unmade)?),
        SanType::URI(
            format!("urn:uuid:{}", Uuid::new_v4())
                .try_into()
                .map_err(unmade)?,
        ),
        SanType::Rfc822Name(mail(urn).try_into().map_err(unmade)?),
    ];
    // Said aloud, it brings the id of the key along, by which users say who may
    // speak for them.
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let client = ExtendedKeyUsagePurpose::ClientAuth;
    match role {
        Role::Authority => {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages.push(KeyUsagePurpose::KeyCertSign);
        }
        Role::Server(hosts) => {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, client];
            for host in hosts {
                names.push(match host.parse() {
                    Ok(address) => SanType::IpAddress(address),
                    Err(_) => SanType::DnsName(host.as_str().try_into().map_err(unmade)?),
                });
            }
        }
        Role::User => params.extended_key_usages = vec![client],
        Role::Slice => {}
    }
    params.subject_alt_names = names;
    Ok(params)
}

/// The subject: as the reference implementation writes it, and the same each
/// time, since an issuer is known by it.
fn name(urn: &Urn) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    let authority = urn.authority().replace(':', "//");
    let text = format!("{authority}.{}.{}", urn.kind(), urn.name());
    name.push(DnType::CommonName, text);
    name
}

/// An address at which nobody is: the contract wants one.
fn mail(urn: &Urn) -> String {
    let host: Vec<&str> = urn.authority().rsplit(':').collect();
    format!("{}@{}.example", urn.name(), host.join("."))
}

fn since_epoch(at: Timestamp) -> Result<Duration> {
    let seconds = u64::try_from(at.millis() / 1000)
        .map_err(|_| Failure::refused("the clock of this machine is before 1970"))?;
    Ok(Duration::from_secs(seconds))
}

fn unmade(e: impl std::fmt::Display) -> Failure {
    Failure::refused("a certificate cannot be made").detail(e.to_string())
}
