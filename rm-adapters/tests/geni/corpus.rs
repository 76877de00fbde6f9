//! A small federation, and credentials of it with the verdicts that were fixed
//! when they were made.

use rm_adapters::geni::credentials::Anchors;

use super::authority::{Draft, Party, Sign, envelope, x509};

/// Name, document, and the verdict: accepted, or the code of the refusal.
pub(crate) type Judged = (&'static str, String, Result<(), &'static str>);

/// A federation of its own.
pub(crate) struct World {
    pub(crate) root: Party,
    pub(crate) sa: Party,
    pub(crate) alice: Party,
    pub(crate) bob: Party,
    pub(crate) slice: Party,
    pub(crate) other_slice: Party,
    pub(crate) stranger: Party,
    pub(crate) impostor: Party,
    pub(crate) elsewhere: Party,
    pub(crate) old: Party,
    pub(crate) pretender: Party,
    pub(crate) anchors: Anchors,
}

pub(crate) fn world() -> World {
    let urn = |rest: &str| format!("urn:publicid:IDN+lab:one+{rest}");
    let root = Party::root("urn:publicid:IDN+lab+authority+root");
    let elsewhere = Party::root("urn:publicid:IDN+far+authority+root");
    let sa = root.makes(&urn("authority+sa"), true, 2040);
    let alice = sa.makes(&urn("user+alice"), false, 2040);
    // A certificate that a mere user has made.
    let pretender = alice.makes(&urn("authority+sa"), true, 2040);
    World {
        anchors: Anchors::new(vec![root.certificate(), elsewhere.certificate()]),
        bob: sa.makes(&urn("user+bob"), false, 2040),
        slice: sa.makes(&urn("slice+s1"), false, 2040),
        other_slice: sa.makes(&urn("slice+s2"), false, 2040),
        stranger: Party::root("urn:publicid:IDN+lab+authority+root"),
        impostor: Party::root(&urn("authority+sa")),
        old: root.makes(&urn("authority+sa"), true, 2020),
        root,
        sa,
        alice,
        elsewhere,
        pretender,
    }
}

pub(crate) const SOON: &str = "2026-11-28T07:42:26Z";
const ALL: &[(&str, &str)] = &[("refresh", "true"), ("embed", "true"), ("info", "true")];

impl World {
    pub(crate) fn draft(&self) -> Draft<'_> {
        Draft {
            id: "ref0",
            owner: &self.alice,
            target: &self.slice,
            expires: SOON,
            privileges: ALL,
            parent: None,
        }
    }

    pub(crate) fn usual(&self, draft: &Draft<'_>) -> String {
        self.signed(draft, &self.sa)
    }

    pub(crate) fn signed(&self, draft: &Draft<'_>, by: &Party) -> String {
        let statement = draft.write();
        envelope(&statement, &Sign::usual(by, draft.id).over(&statement))
    }

    /// All there are, those of the rules of chains, too.
    pub(crate) fn corpus(&self) -> Vec<Judged> {
        let mut all = self.documents();
        all.extend(self.passed());
        all.extend(self.chains());
        all
    }

    fn documents(&self) -> Vec<Judged> {
        const INVALID: Result<(), &str> = Err("credential-invalid");
        const UNREADABLE: Result<(), &str> = Err("credential-unreadable");
        const EXPIRED: Result<(), &str> = Err("credential-expired");
        const UNTRUSTED: Result<(), &str> = Err("credential-untrusted");
        let usual = self.usual(&self.draft());
        let statement = self.draft().write();
        let sign = |by| Sign::usual(by, "ref0");
        let signature = sign(&self.sa).over(&statement);
        let with = |key_info: String, by| {
            let signature = Sign {
                key_info,
                ..sign(by)
            }
            .over(&statement);
            envelope(&statement, &signature)
        };
        let forged = Draft {
            owner: &self.bob,
            ..self.draft()
        }
        .write();
        let modulus = "<KeyValue><RSAKeyValue><Modulus>AQAB</Modulus><Exponent>AQAB</Exponent></RSAKeyValue></KeyValue>";
        let edit = |from: &str, to: &str| {
            assert!(usual.contains(from), "{from}");
            usual.replacen(from, to, 1)
        };
        let exclusive = Sign {
            exclusive: true,
            ..sign(&self.sa)
        }
        .over(&statement);
        vec![
            ("as everybody writes it", usual.clone(), Ok(())),
            (
                "signed by the root itself",
                self.signed(&self.draft(), &self.root),
                Ok(()),
            ),
            (
                "in exclusive form",
                envelope(&statement, &exclusive),
                Ok(()),
            ),
            (
                "with other words for flags",
                self.usual(&Draft {
                    privileges: &[("*", "1"), ("info", "0")],
                    ..self.draft()
                }),
                Ok(()),
            ),
            (
                "an expiry of another zone",
                self.usual(&Draft {
                    expires: "2026-11-21T21:30:00+01:00",
                    ..self.draft()
                }),
                Ok(()),
            ),
            (
                "an expiry of no zone",
                self.usual(&Draft {
                    expires: "2026-11-21T20:00:01",
                    ..self.draft()
                }),
                Ok(()),
            ),
            (
                "an id of another form",
                self.usual(&Draft {
                    id: "_0",
                    ..self.draft()
                })
                .replace("ref0", "_0"),
                Ok(()),
            ),
            (
                "with a key beside the certificates",
                with(format!("{modulus}{}", x509(&self.sa.chain())), &self.sa),
                Ok(()),
            ),
            (
                "with certificates in another order",
                with(
                    x509(&format!("{}{}", self.bob.pem(), self.sa.pem())),
                    &self.sa,
                ),
                Ok(()),
            ),
            ("empty", String::new(), UNREADABLE),
            ("no XML", "credential".to_owned(), UNREADABLE),
            (
                "another root element",
                usual.replace("signed-credential", "credentials"),
                INVALID,
            ),
            (
                "a document type",
                usual.replacen("<signed", "<!DOCTYPE x><signed", 1),
                UNREADABLE,
            ),
            (
                "entities",
                usual.replacen(
                    "<signed",
                    "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><signed",
                    1,
                ),
                UNREADABLE,
            ),
            (
                "another owner's name",
                edit("user+alice</owner_urn>", "user+bob</owner_urn>"),
                INVALID,
            ),
            (
                "another target's name",
                edit("slice+s1</target_urn>", "slice+s2</target_urn>"),
                INVALID,
            ),
            ("a later end", edit(SOON, "2036-11-28T07:42:26Z"), INVALID),
            (
                "one privilege more",
                edit(
                    "<privileges>",
                    "<privileges><privilege><name>*</name><can_delegate>true</can_delegate></privilege>",
                ),
                INVALID,
            ),
            (
                "a changed signature",
                edit("<SignatureValue>", "<SignatureValue>AAAA"),
                INVALID,
            ),
            (
                "a changed digest",
                edit("<DigestValue>", "<DigestValue>AAAA"),
                INVALID,
            ),
            (
                "a prefix declared at the root",
                edit(
                    "<signed-credential",
                    "<signed-credential xmlns:more=\"urn:more\"",
                ),
                INVALID,
            ),
            (
                "a comment in a signed name",
                edit("user+alice</owner_urn>", "user+<!-- x -->alice</owner_urn>"),
                UNREADABLE,
            ),
            (
                "an instruction in a signed name",
                edit("user+alice</owner_urn>", "user+<?x?>alice</owner_urn>"),
                UNREADABLE,
            ),
            (
                "signed by a stranger",
                self.signed(&self.draft(), &self.stranger),
                UNTRUSTED,
            ),
            (
                "signed by one who calls himself the authority",
                self.signed(&self.draft(), &self.impostor),
                UNTRUSTED,
            ),
            (
                "signed by a user",
                self.signed(&self.draft(), &self.alice),
                UNTRUSTED,
            ),
            (
                "signed by one whom a user made an authority",
                self.signed(&self.draft(), &self.pretender),
                UNTRUSTED,
            ),
            (
                "signed by a trusted authority of others",
                self.signed(&self.draft(), &self.elsewhere),
                UNTRUSTED,
            ),
            (
                "signed with a certificate that is over",
                self.signed(&self.draft(), &self.old),
                EXPIRED,
            ),
            (
                "signed by a key of its own",
                with(modulus.to_owned(), &self.stranger),
                INVALID,
            ),
            (
                "a forged key before the right certificate",
                with(
                    format!("{modulus}{}", x509(&self.sa.chain())),
                    &self.stranger,
                ),
                INVALID,
            ),
            (
                "the certificate of another",
                with(x509(&self.bob.pem()), &self.sa),
                INVALID,
            ),
            (
                "a keyed digest instead",
                edit(
                    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
                    "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
                ),
                INVALID,
            ),
            ("no signature", envelope(&statement, ""), INVALID),
            (
                "two signatures",
                envelope(
                    &statement,
                    &format!("{signature}{}", signature.replace("Sig_ref0", "Sig_x")),
                ),
                INVALID,
            ),
            (
                "a signature of something else",
                envelope(&statement, &signature.replace("#ref0", "#ref9")),
                INVALID,
            ),
            (
                "a signature of everything",
                envelope(&statement, &signature.replace("URI=\"#ref0\"", "URI=\"\"")),
                INVALID,
            ),
            (
                "no reference",
                envelope(&statement, &cut(&signature, "<Reference", "</Reference>")),
                INVALID,
            ),
            (
                "a transformation",
                edit(
                    "<Transforms>",
                    "<Transforms><Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"></Transform>",
                ),
                INVALID,
            ),
            (
                "one id twice, the forged one first",
                envelope(&format!("{forged}{statement}"), &signature),
                INVALID,
            ),
            (
                "one id twice, the forged one last",
                envelope(&format!("{statement}{forged}"), &signature),
                INVALID,
            ),
            (
                "one id twice, by another attribute",
                edit("<serial>", "<serial Id=\"ref0\">"),
                INVALID,
            ),
            (
                "wrapped",
                envelope(
                    &format!(
                        "{}<wrapper>{statement}</wrapper>",
                        forged.replace("ref0", "ref7")
                    ),
                    &signature,
                ),
                INVALID,
            ),
            (
                "wrapped inside of a signature",
                envelope(
                    &forged.replace("ref0", "ref7"),
                    &signature.replace(
                        "</KeyInfo>",
                        &format!(
                            "</KeyInfo><Object>{}</Object>",
                            statement.replace("<credential", "<credential xmlns=\"\"")
                        ),
                    ),
                ),
                INVALID,
            ),
            (
                "wrapped inside of the forged one",
                envelope(
                    &forged
                        .replace("ref0", "ref7")
                        .replace("<uuid></uuid>", &format!("<uuid>{statement}</uuid>")),
                    &signature,
                ),
                INVALID,
            ),
            (
                "another type",
                self.resigned(|s| s.replace("<type>privilege", "<type>ticket")),
                INVALID,
            ),
            (
                "two owners",
                self.resigned(|s| {
                    s.replacen(
                        "<owner_urn>",
                        "<owner_urn>urn:publicid:IDN+lab:one+user+bob</owner_urn><owner_urn>",
                        1,
                    )
                }),
                INVALID,
            ),
            (
                "an owner by two names",
                self.resigned(|s| s.replace("user+alice</owner_urn>", "user+bob</owner_urn>")),
                INVALID,
            ),
            (
                "no end",
                self.resigned(|s| cut(s, "<expires>", "</expires>")),
                INVALID,
            ),
            (
                "an end that is no time",
                self.usual(&Draft {
                    expires: "tomorrow",
                    ..self.draft()
                }),
                INVALID,
            ),
            (
                "over",
                self.usual(&Draft {
                    expires: "2026-11-21T20:00:00Z",
                    ..self.draft()
                }),
                EXPIRED,
            ),
            (
                "for a slice of others",
                self.usual(&Draft {
                    target: &self
                        .elsewhere
                        .makes("urn:publicid:IDN+far+slice+s", false, 2040),
                    ..self.draft()
                }),
                UNTRUSTED,
            ),
            (
                "an owner whom nobody knows",
                self.usual(&Draft {
                    owner: &self
                        .impostor
                        .makes("urn:publicid:IDN+lab:one+user+eve", false, 2040),
                    ..self.draft()
                }),
                UNTRUSTED,
            ),
        ]
    }

    /// A statement of another text, signed well.
    fn resigned(&self, change: impl FnOnce(&str) -> String) -> String {
        let statement = change(&self.draft().write());
        envelope(&statement, &Sign::usual(&self.sa, "ref0").over(&statement))
    }
}

/// Without what is between two marks, them included.
fn cut(text: &str, from: &str, to: &str) -> String {
    let start = text.find(from).unwrap();
    let end = start + text[start..].find(to).unwrap() + to.len();
    format!("{}{}", &text[..start], &text[end..])
}
