//! A small authority: certificates as the federation has them, and credentials
//! that it signs for one user.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    PKCS_RSA_SHA256, SanType, date_time_ymd,
};
use rm_adapters::TokioEnv;
use rm_adapters::geni::Urn;
use rm_adapters::geni::credentials::{Certificate, Grant, Issuer, Privilege};
use rm_core::env::Env as _;

use super::documents::AUTHORITY;
use benches::Result;

/// Where the server finds what it trusts, and its own certificate and key.
pub(super) const ROOTS: &str = "roots";
pub(super) const CERTIFICATE: &str = "aggregate.pem";
pub(super) const KEY: &str = "aggregate.key";

/// How long credentials hold.
const HOLDS: Duration = Duration::from_secs(30 * 24 * 3600);

/// An authority, and a user of it.
pub(super) struct Authority {
    root: CertifiedIssuer<'static, KeyPair>,
    own: CertifiedIssuer<'static, KeyPair>,
    issuer: Issuer,
    /// The user's certificate and that of the authority.
    user: String,
    user_key: KeyPair,
    /// The key of all slices: nobody speaks as one.
    slice_key: KeyPair,
}

/// A slice, and what lets the user do everything with it.
pub(super) struct Slice {
    pub(super) urn: Urn,
    pub(super) credential: String,
}

impl Authority {
    pub(super) fn make() -> Result<Self> {
        let root = params(&urn("authority", "root"), true)?;
        let root = CertifiedIssuer::self_signed(root, key()?)?;
        let own = params(&urn("authority", "sa"), true)?;
        let own = CertifiedIssuer::signed_by(own, key()?, &root)?;
        let user_key = key()?;
        let user = params(&urn("user", "alice"), false)?.signed_by(&user_key, &own)?;
        Ok(Self {
            issuer: Issuer::new(&own.pem(), &own.key().serialize_pem())?,
            user: format!("{}{}", user.pem(), own.pem()),
            user_key,
            slice_key: key()?,
            root,
            own,
        })
    }

    /// Writes what a server needs into a folder: whom it trusts, and its own
    /// certificate and key.
    pub(super) fn keep(&self, folder: &Path) -> Result<()> {
        let own = key()?;
        let mut params = params(&urn("authority", "cm"), false)?;
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        params.subject_alt_names.push(SanType::IpAddress(address));
        let certificate = params.signed_by(&own, &self.root)?;
        fs::create_dir(folder.join(ROOTS))?;
        fs::write(folder.join(ROOTS).join("root.pem"), self.root.pem())?;
        fs::write(folder.join(CERTIFICATE), certificate.pem())?;
        fs::write(folder.join(KEY), own.serialize_pem())?;
        Ok(())
    }

    /// The user as a client of a server of this authority.
    pub(super) fn client(&self) -> Result<reqwest::Client> {
        let root = reqwest::Certificate::from_pem(self.root.pem().as_bytes())?;
        let identity = format!("{}{}", self.user_key.serialize_pem(), self.user);
        let identity = reqwest::Identity::from_pem(identity.as_bytes())?;
        Ok(reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([root])
            .identity(identity)
            .timeout(Duration::from_secs(120))
            .build()?)
    }

    /// What tells who the user is.
    pub(super) fn credential(&self) -> Result<String> {
        self.grant(&Certificate::from_pem(&self.user)?)
    }

    /// A slice of this name.
    pub(super) fn slice(&self, name: &str) -> Result<Slice> {
        let urn = urn("slice", name);
        let made = params(&urn, false)?.signed_by(&self.slice_key, &self.own)?;
        let chain = Certificate::from_pem(&format!("{}{}", made.pem(), self.own.pem()))?;
        Ok(Slice {
            credential: self.grant(&chain)?,
            urn,
        })
    }

    fn grant(&self, target: &[Certificate]) -> Result<String> {
        // As many as real credentials have.
        let names = ["refresh", "embed", "bind", "control", "info"];
        let privileges = names.map(|name| Privilege {
            name: name.to_owned(),
            can_delegate: true,
        });
        Ok(self.issuer.credential(&Grant {
            owner: &Certificate::from_pem(&self.user)?,
            target,
            privileges: &privileges,
            expires: TokioEnv::new().now().plus(HOLDS),
        })?)
    }
}

fn urn(kind: &str, name: &str) -> Urn {
    Urn::new(AUTHORITY, kind, name)
}

fn key() -> Result<KeyPair> {
    Ok(KeyPair::generate_for(&PKCS_RSA_SHA256)?)
}

fn params(urn: &Urn, is_authority: bool) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, urn.as_str());
    params.not_after = date_time_ymd(2040, 1, 1);
    let uuid = format!("urn:uuid:{}", uuid::Uuid::new_v4());
    params.subject_alt_names = vec![
        SanType::URI(urn.as_str().try_into()?),
        SanType::URI(uuid.try_into()?),
        SanType::Rfc822Name("someone@example.org".try_into()?),
    ];
    params.is_ca = match is_authority {
        true => IsCa::Ca(BasicConstraints::Unconstrained),
        false => IsCa::ExplicitNoCa,
    };
    Ok(params)
}
