//! Credentials each of which breaks one rule of chains or of signatures and no
//! other: they are signed as they are.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, IsCa, KeyUsagePurpose, SanType,
    date_time_ymd,
};

use super::authority::{Draft, Party, Sign, envelope};
use super::corpus::{Judged, World};

/// The usual canonical form, as a transformation.
const CANONICAL: &str =
    "<Transform Algorithm=\"http://www.w3.org/TR/2001/REC-xml-c14n-20010315\"></Transform>";

/// An extension of certificates that nobody knows.
fn extension(critical: bool) -> CustomExtension {
    let mut made = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
    made.set_criticality(critical);
    made
}

impl World {
    /// Name, document, verdict.
    pub(crate) fn chains(&self) -> Vec<Judged> {
        const INVALID: Result<(), &str> = Err("credential-invalid");
        const EXPIRED: Result<(), &str> = Err("credential-expired");
        const UNTRUSTED: Result<(), &str> = Err("credential-untrusted");
        let urn = |rest: &str| format!("urn:publicid:IDN+lab:one+{rest}");
        let statement = self.draft().write();
        let usual = || Sign::usual(&self.sa, "ref0");
        let signature = usual().over(&statement);
        let signed_as = |sign: Sign<'_>| envelope(&statement, &sign.over(&statement));
        vec![
            (
                "an owner made by an authority in name only",
                self.eve_of(&self.root.makes(&urn("authority+name"), false, 2040)),
                UNTRUSTED,
            ),
            (
                "an owner made by a user with the certificate of an authority",
                self.eve_of(&self.sa.makes(&urn("user+boss"), true, 2040)),
                UNTRUSTED,
            ),
            (
                "an owner made by the authority of others",
                self.eve_of(
                    &self
                        .root
                        .makes("urn:publicid:IDN+lab:two+authority+sa", true, 2040),
                ),
                UNTRUSTED,
            ),
            (
                "an owner made by one that may make no authorities",
                self.eve_of(&self.flat()),
                Ok(()),
            ),
            (
                "an owner made by an authority that could not be made",
                self.eve_of(&self.flat().makes(&urn("authority+below"), true, 2040)),
                UNTRUSTED,
            ),
            (
                "an owner made by an authority that may sign messages only",
                self.eve_of(&self.root.makes_with(&urn("authority+words"), true, |p| {
                    p.key_usages = vec![KeyUsagePurpose::DigitalSignature];
                })),
                UNTRUSTED,
            ),
            (
                "an owner made by an authority that may sign certificates",
                self.eve_of(&self.root.makes_with(&urn("authority+signs"), true, |p| {
                    p.key_usages = vec![KeyUsagePurpose::KeyCertSign];
                })),
                Ok(()),
            ),
            (
                "an owner of the years to come",
                self.eve_with(|p| p.not_before = date_time_ymd(2030, 1, 1)),
                EXPIRED,
            ),
            (
                "an owner with a critical extension that nobody knows",
                self.eve_with(|p| p.custom_extensions = vec![extension(true)]),
                INVALID,
            ),
            (
                "an owner with an extension that nobody knows",
                self.eve_with(|p| p.custom_extensions = vec![extension(false)]),
                Ok(()),
            ),
            (
                "an owner with an extension twice",
                self.eve_with(|p| {
                    p.custom_extensions = vec![extension(false), extension(false)];
                }),
                INVALID,
            ),
            (
                "an owner of two names",
                self.eve_with(|p| {
                    let other = urn("user+adam");
                    p.subject_alt_names
                        .push(SanType::URI(other.as_str().try_into().unwrap()));
                }),
                INVALID,
            ),
            (
                "a transformation that is signed",
                signed_as(Sign {
                    more: "<Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"></Transform>",
                    ..usual()
                }),
                INVALID,
            ),
            (
                "canonical form twice, signed",
                signed_as(Sign {
                    more: &format!("{CANONICAL}{CANONICAL}"),
                    ..usual()
                }),
                INVALID,
            ),
            (
                "canonical form once, signed",
                signed_as(Sign {
                    more: CANONICAL,
                    ..usual()
                }),
                Ok(()),
            ),
            (
                "a keyed digest instead that is signed",
                signed_as(Sign {
                    method: "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
                    ..usual()
                }),
                INVALID,
            ),
            (
                "a signature of everything that is signed",
                signed_as(Sign {
                    uri: String::new(),
                    ..usual()
                }),
                INVALID,
            ),
            (
                "a signature of something outside that is signed",
                signed_as(Sign {
                    uri: "http://127.0.0.1:9/#ref0".to_owned(),
                    ..usual()
                }),
                INVALID,
            ),
            (
                "one id twice, where nothing is signed",
                envelope(
                    &statement,
                    &signature.replace("</KeyInfo>", "</KeyInfo><Object Id=\"ref0\"></Object>"),
                ),
                INVALID,
            ),
            (
                "another id, where nothing is signed",
                envelope(
                    &statement,
                    &signature.replace("</KeyInfo>", "</KeyInfo><Object Id=\"ref5\"></Object>"),
                ),
                Ok(()),
            ),
            (
                "passed on as often as may be",
                self.passed_around(8),
                Ok(()),
            ),
            ("passed on too often", self.passed_around(9), INVALID),
        ]
    }

    /// An authority that may make no authorities.
    fn flat(&self) -> Party {
        let urn = "urn:publicid:IDN+lab:one+authority+flat";
        self.root.makes_with(urn, true, |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        })
    }

    /// A credential of one whom this one made a user.
    fn eve_of(&self, issuer: &Party) -> String {
        let eve = issuer.makes("urn:publicid:IDN+lab:one+user+eve", false, 2040);
        self.usual(&Draft {
            owner: &eve,
            ..self.draft()
        })
    }

    /// A credential of one whose certificate is special.
    fn eve_with(&self, change: impl FnOnce(&mut CertificateParams)) -> String {
        let urn = "urn:publicid:IDN+lab:one+user+eve";
        let eve = self.sa.makes_with(urn, false, change);
        self.usual(&Draft {
            owner: &eve,
            ..self.draft()
        })
    }

    /// A credential that alice passes on to herself so many times.
    fn passed_around(&self, times: usize) -> String {
        let mut statement = self.draft().write();
        let mut signatures = Sign::usual(&self.sa, "ref0").over(&statement);
        for n in 1..=times {
            let id = format!("ref{n}");
            statement = Draft {
                id: &id,
                parent: Some(&statement),
                ..self.draft()
            }
            .write();
            signatures.push_str(&Sign::usual(&self.alice, &id).over(&statement));
        }
        envelope(&statement, &signatures)
    }
}
