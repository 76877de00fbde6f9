//! A small authority that gives out certificates and credentials. It writes
//! what it signs in canonical form itself, so that nothing of what it is to
//! try has a hand in making it.

use std::cell::Cell;
use std::path::PathBuf;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    PKCS_RSA_SHA256, PublicKeyData as _, SanType, SigningKey as _, date_time_ymd,
};
use rm_adapters::geni::Urn;
use rm_adapters::geni::credentials::Certificate;

pub(crate) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
const XSI: &str = " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";

/// Someone with a key and a certificate.
pub(crate) struct Party {
    made: CertifiedIssuer<'static, KeyPair>,
    /// The certificates above it, the root left out.
    above: String,
    pub(crate) urn: Urn,
}

fn params(urn: &str, ca: bool) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, urn);
    params.subject_alt_names = vec![
        SanType::URI(urn.try_into().unwrap()),
        SanType::URI(
            "urn:uuid:8ff4f8e8-1fd1-45d9-87ba-08dbed51f711"
                .try_into()
                .unwrap(),
        ),
        SanType::Rfc822Name("someone@example.org".try_into().unwrap()),
    ];
    params.is_ca = if ca {
        IsCa::Ca(BasicConstraints::Unconstrained)
    } else {
        IsCa::ExplicitNoCa
    };
    params
}

/// Where keys are kept: `target/tmp`, also for the programs that this is built
/// into, which are not told.
fn kept() -> PathBuf {
    if let Some(told) = option_env!("CARGO_TARGET_TMPDIR") {
        return PathBuf::from(told);
    }
    let own = std::env::current_exe().unwrap();
    let folder = own.ancestors().nth(3).unwrap().join("tmp");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A key that nobody else of this test has. Keys are made once for all runs,
/// since it takes long where nothing is optimised.
fn key() -> KeyPair {
    thread_local!(static GIVEN: Cell<u32> = const { Cell::new(0) });
    let n = GIVEN.replace(GIVEN.get() + 1);
    let path = kept().join(format!("geni-key-{n}.pem"));
    if let Ok(pem) = std::fs::read_to_string(&path) {
        return KeyPair::from_pem(&pem).unwrap();
    }
    let made = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let part = path.with_extension(std::process::id().to_string());
    std::fs::write(&part, made.serialize_pem()).unwrap();
    std::fs::rename(&part, &path).unwrap();
    made
}

impl Party {
    pub(crate) fn root(urn: &str) -> Self {
        Self {
            made: CertifiedIssuer::self_signed(params(urn, true), key()).unwrap(),
            above: String::new(),
            urn: urn.parse().unwrap(),
        }
    }

    /// Someone under this one, who is an authority or not, until this year.
    pub(crate) fn makes(&self, urn: &str, ca: bool, until: i32) -> Self {
        self.makes_with(urn, ca, |params| {
            params.not_after = date_time_ymd(until, 1, 1);
        })
    }

    /// The same, with what is changed about the certificate; until 2040.
    pub(crate) fn makes_with(
        &self,
        urn: &str,
        ca: bool,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut params = params(urn, ca);
        params.not_after = date_time_ymd(2040, 1, 1);
        change(&mut params);
        Self {
            made: CertifiedIssuer::signed_by(params, key(), &self.made).unwrap(),
            above: if self.is_root() {
                String::new()
            } else {
                self.chain()
            },
            urn: urn.parse().unwrap(),
        }
    }

    fn is_root(&self) -> bool {
        self.urn.name() == "root"
    }

    pub(crate) fn pem(&self) -> String {
        self.made.pem().replace("\r\n", "\n")
    }

    /// The same name and key, certified by another, too.
    pub(crate) fn crossed(&self, by: &Self) -> Certificate {
        let params = params(self.urn.as_str(), true);
        let made = params.signed_by(self.made.key(), &by.made).unwrap();
        Certificate::from_der(made.der()).unwrap()
    }

    /// Its certificate and those above it.
    pub(crate) fn chain(&self) -> String {
        format!("{}{}", self.pem(), self.above)
    }

    pub(crate) fn key_pem(&self) -> String {
        self.made.key().serialize_pem()
    }

    pub(crate) fn certificate(&self) -> Certificate {
        Certificate::from_der(self.made.der()).unwrap()
    }

    pub(crate) fn key_id(&self) -> String {
        digest(&SHA1_FOR_LEGACY_USE_ONLY, self.made.key().der_bytes())
            .as_ref()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect()
    }

    fn sign(&self, message: &str) -> String {
        BASE64_STANDARD.encode(self.made.key().sign(message.as_bytes()).unwrap())
    }
}

/// What a credential is to say.
pub(crate) struct Draft<'a> {
    pub(crate) id: &'a str,
    pub(crate) owner: &'a Party,
    pub(crate) target: &'a Party,
    pub(crate) expires: &'a str,
    pub(crate) privileges: &'a [(&'a str, &'a str)],
    /// What it is passed on from.
    pub(crate) parent: Option<&'a str>,
}

impl Draft<'_> {
    /// In canonical form, but for the declarations of what it will be in.
    pub(crate) fn write(&self) -> String {
        let privileges: String = self
            .privileges
            .iter()
            .map(|(name, pass)| {
                format!(
                    "<privilege><name>{name}</name><can_delegate>{pass}</can_delegate></privilege>"
                )
            })
            .collect();
        let parent = self
            .parent
            .map(|p| format!("<parent>{p}</parent>"))
            .unwrap_or_default();
        format!(
            "<credential xml:id=\"{}\"><type>privilege</type><serial>8</serial>\
             <owner_gid>{}</owner_gid><owner_urn>{}</owner_urn>\
             <target_gid>{}</target_gid><target_urn>{}</target_urn><uuid></uuid>\
             <expires>{}</expires><privileges>{privileges}</privileges>{parent}</credential>",
            self.id,
            self.owner.chain(),
            self.owner.urn,
            self.target.chain(),
            self.target.urn,
            self.expires,
        )
    }
}

/// How something is signed.
pub(crate) struct Sign<'a> {
    pub(crate) by: &'a Party,
    pub(crate) id: &'a str,
    pub(crate) exclusive: bool,
    /// What stands for the keys.
    pub(crate) key_info: String,
    /// What it says it is made by; it is always RSA with SHA-256.
    pub(crate) method: &'a str,
    /// What it says it is about.
    pub(crate) uri: String,
    /// One transformation more.
    pub(crate) more: &'a str,
}

impl<'a> Sign<'a> {
    /// As everybody does it.
    pub(crate) fn usual(by: &'a Party, id: &'a str) -> Self {
        Self {
            by,
            id,
            exclusive: false,
            key_info: x509(&by.chain()),
            method: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            uri: format!("#{id}"),
            more: "",
        }
    }

    /// The signature of a statement.
    pub(crate) fn over(&self, statement: &str) -> String {
        let (form, scope) = if self.exclusive {
            ("http://www.w3.org/2001/10/xml-exc-c14n#", "")
        } else {
            ("http://www.w3.org/TR/2001/REC-xml-c14n-20010315", XSI)
        };
        let alone = statement.replacen("<credential", &format!("<credential{scope}"), 1);
        let digested = BASE64_STANDARD.encode(digest(&SHA256, alone.as_bytes()));
        let transform = if self.exclusive {
            format!("<Transform Algorithm=\"{form}\"></Transform>")
        } else {
            String::new()
        };
        let (id, method, uri, more) = (self.id, self.method, &self.uri, self.more);
        let inside = format!(
            "\n<CanonicalizationMethod Algorithm=\"{form}\"></CanonicalizationMethod>\
             <SignatureMethod Algorithm=\"{method}\"></SignatureMethod>\
             <Reference URI=\"{uri}\"><Transforms>\
             <Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></Transform>{transform}{more}\
             </Transforms><DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></DigestMethod>\
             <DigestValue>{digested}</DigestValue></Reference>\n"
        );
        let taken = if self.exclusive {
            String::new()
        } else {
            format!(" xml:id=\"Sig_{id}\"")
        };
        let message = format!("<SignedInfo xmlns=\"{DS}\"{scope}{taken}>{inside}</SignedInfo>");
        let value = self.by.sign(&message);
        format!(
            "<Signature xmlns=\"{DS}\" xml:id=\"Sig_{id}\"><SignedInfo>{inside}</SignedInfo>\
             <SignatureValue>{value}</SignatureValue><KeyInfo>{}</KeyInfo></Signature>",
            self.key_info
        )
    }
}

/// Certificates as a signature brings them.
pub(crate) fn x509(pem: &str) -> String {
    let bodies = pem
        .replace("-----BEGIN CERTIFICATE-----", "<X509Certificate>")
        .replace("-----END CERTIFICATE-----", "</X509Certificate>");
    format!("<X509Data>{bodies}</X509Data>")
}

/// A whole document.
pub(crate) fn envelope(statement: &str, signatures: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<signed-credential{XSI} \
         xsi:noNamespaceSchemaLocation=\"http://www.planet-lab.org/resources/sfa/credential.xsd\">\
         {statement}<signatures>{signatures}</signatures></signed-credential>\n"
    )
}
