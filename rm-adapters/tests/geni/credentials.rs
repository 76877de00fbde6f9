//! Credentials: the recorded ones, and those of an authority of our own.

use std::ops::Range;
use std::path::Path;
use std::process::Command;

use rm_adapters::geni::Urn;
use rm_adapters::geni::credentials::{
    Anchors, Certificate, Credential, CredentialVerifier as _, Operation, Roots, XmlVerifier,
    permit,
};
use rm_core::env::Timestamp;

use super::authority::{DS, Draft, Party, Sign, envelope};
use super::corpus::{SOON, world};
use needs::reference;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn now() -> Timestamp {
    at("2026-11-21T20:00:00Z")
}

fn recorded(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join("data/geni/credentials").join(name)).unwrap()
}

fn certificates(folder: &Path, name: &str) -> Vec<Certificate> {
    Certificate::from_pem(&recorded(folder, name)).unwrap()
}

fn verify(xml: &str, anchors: &Anchors, now: Timestamp) -> Result<Credential, &'static str> {
    XmlVerifier
        .credential(xml, anchors, now)
        .map_err(|e| e.stable_code())
}

#[test]
fn recorded_credentials_verify_until_they_expire_and_under_their_root_only() {
    let Some(folder) = reference("recorded_credentials_verify") else {
        return;
    };
    let anchors = Anchors::new(certificates(&folder, "ch-cert.pem"));
    let other = Anchors::new(vec![
        Party::root("urn:publicid:IDN+geni:gpo:gcf+authority+root").certificate(),
    ]);
    for (name, owner, target, delegators, until) in [
        (
            "slice-credential.xml",
            "user+alice",
            "slice+negs",
            0,
            "2026-11-28T07:42:26Z",
        ),
        (
            "user-credential.xml",
            "user+alice",
            "user+alice",
            0,
            "2026-11-22T19:03:44Z",
        ),
        (
            "delegated-slice-credential.xml",
            "user+bob",
            "slice+sdel",
            1,
            "2026-11-28T07:10:33Z",
        ),
    ] {
        let xml = recorded(&folder, name);
        let read = verify(&xml, &anchors, now()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let urn = |rest: &str| {
            format!("urn:publicid:IDN+geni:gpo:gcf+{rest}")
                .parse::<Urn>()
                .unwrap()
        };
        assert_eq!(
            (read.owner_urn, read.target_urn),
            (urn(owner), urn(target)),
            "{name}"
        );
        assert_eq!(read.authority, urn("authority+sa"));
        assert_eq!(read.delegators.len(), delegators, "{name}");
        let expires = read.expires;
        assert!(
            expires <= at(until) || name.starts_with("user"),
            "{name}: {expires}"
        );
        assert_eq!(
            verify(&xml, &anchors, expires).unwrap_err(),
            "credential-expired",
            "{name}"
        );
        assert!(verify(&xml, &anchors, Timestamp::from_millis(expires.millis() - 1)).is_ok());
        assert_eq!(
            verify(&xml, &anchors, at("2026-11-21T19:00:00Z")).unwrap_err(),
            "credential-expired"
        );
        assert_eq!(
            verify(&xml, &other, now()).unwrap_err(),
            "credential-untrusted",
            "{name}"
        );
        assert_eq!(
            verify(&xml, &Anchors::default(), now()).unwrap_err(),
            "credential-untrusted"
        );
    }
}

#[test]
fn a_recorded_credential_does_not_verify_when_a_byte_of_it_is_changed() {
    let Some(folder) = reference("a_recorded_credential_changed") else {
        return;
    };
    let anchors = Anchors::new(certificates(&folder, "ch-cert.pem"));
    for (file, statements) in [
        ("slice-credential.xml", 1),
        ("user-credential.xml", 1),
        ("delegated-slice-credential.xml", 2),
    ] {
        let xml = recorded(&folder, file);
        let meant = format!("{:?}", verify(&xml, &anchors, now()).unwrap());
        // All that is signed of all statements, and the signatures.
        let all = xml.find("<credential ").unwrap()..xml.rfind("</credential>").unwrap();
        let mut signed: Vec<Range<usize>> = Vec::from([all]);
        for (from, to) in [
            ("<SignedInfo>", "</SignedInfo>"),
            ("<SignatureValue>", "</SignatureValue>"),
        ] {
            let ends = xml.match_indices(to).map(|(at, _)| at);
            let begins = xml.match_indices(from).map(|(at, _)| at);
            signed.extend(begins.zip(ends).map(|(from, to)| from..to));
        }
        assert_eq!(signed.len(), 1 + 2 * statements, "{file}");
        let mut tried = 0;
        for (at, was) in xml.bytes().enumerate().step_by(7) {
            let mut bytes = xml.clone().into_bytes();
            bytes[at] = if was == b'x' { b'y' } else { b'x' };
            let Ok(changed) = String::from_utf8(bytes) else {
                continue;
            };
            tried += 1;
            // What is not signed may change, if what is said remains the same.
            if let Ok(read) = verify(&changed, &anchors, now()) {
                assert_eq!(format!("{read:?}"), meant, "{file}: byte {at}");
                let of_it = signed.iter().any(|part| part.contains(&at));
                assert!(!of_it, "{file}: byte {at} of what is signed");
            }
        }
        assert!(tried > 1000, "{file}: {tried}");
    }
}

#[test]
fn a_recorded_credential_permits_its_owner_what_it_says_and_nobody_else() {
    let Some(folder) = reference("a_recorded_credential_permits") else {
        return;
    };
    let anchors = Anchors::new(certificates(&folder, "ch-cert.pem"));
    let xml = recorded(&folder, "slice-credential.xml");
    let read = verify(&xml, &anchors, now()).unwrap();
    let alice = &certificates(&folder, "alice-cert.pem")[0];
    let bob = &certificates(&folder, "bob-cert.pem")[0];
    let slice: Urn = "urn:publicid:IDN+geni:gpo:gcf+slice+negs".parse().unwrap();
    let other: Urn = "urn:publicid:IDN+geni:gpo:gcf+slice+other".parse().unwrap();
    let code = |who, slice, op| permit(&read, who, slice, op).map_err(|e| e.stable_code());
    for operation in [
        Operation::Create,
        Operation::Look,
        Operation::Renew,
        Operation::Delete,
        Operation::Shutdown,
    ] {
        assert_eq!(code(alice, &slice, operation), Ok(()));
    }
    assert_eq!(
        code(bob, &slice, Operation::Create),
        Err("credential-mismatch")
    );
    assert_eq!(
        code(alice, &other, Operation::Create),
        Err("credential-mismatch")
    );
    // A user's own credential grants nothing on slices.
    let user = verify(&recorded(&folder, "user-credential.xml"), &anchors, now()).unwrap();
    assert!(permit(&user, alice, &slice, Operation::Create).is_err());
}

#[test]
fn credentials_of_an_authority_of_our_own_are_judged_as_they_were_made() {
    let world = world();
    let corpus = world.corpus();
    assert!(corpus.len() >= 77);
    let mut wrong = Vec::new();
    for (name, xml, verdict) in &corpus {
        let judged = XmlVerifier.credential(xml, &world.anchors, now());
        if judged.as_ref().map(|_| ()).map_err(|e| e.stable_code()) != *verdict {
            wrong.push(format!("{name}: {verdict:?}, judged {judged:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What is wrong about these is wrong about what is signed, how, or by whom: any
/// verifier of signatures has to see it that trusts the root alone.
const OF_SIGNATURES: [&str; 19] = [
    "empty",
    "no XML",
    "another owner's name",
    "another target's name",
    "a later end",
    "one privilege more",
    "a changed signature",
    "a changed digest",
    "a prefix declared at the root",
    "signed by a stranger",
    "signed by one who calls himself the authority",
    "signed by one whom a user made an authority",
    "signed with a certificate that is over",
    "signed by a key of its own",
    "a forged key before the right certificate",
    "the certificate of another",
    "a keyed digest instead",
    "no signature",
    "a signature of something else",
];

#[test]
fn xmlsec1_agrees_where_it_can() {
    if !needs::program("xmlsec1_agrees_where_it_can", "xmlsec1") {
        return;
    }
    let world = world();
    let folder = std::env::temp_dir().join(format!("rm-geni-xmlsec-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        folder.join(name)
    };
    let root = file("root.pem", &world.root.pem());
    let (mut agreed, mut apart) = (0, Vec::new());
    for (name, xml, verdict) in world.corpus() {
        let ours = verdict.is_ok();
        // It takes the first certificate for the signer's.
        if name == "with certificates in another order" {
            continue;
        }
        let id = if xml.contains("Sig_ref1") {
            "Sig_ref1"
        } else if xml.contains("Sig__0") {
            "Sig__0"
        } else {
            "Sig_ref0"
        };
        let path = file("credential.xml", &xml);
        let theirs = Command::new("xmlsec1")
            .args([
                "--verify",
                "--enabled-key-data",
                "x509",
                "--node-id",
                id,
                "--trusted-pem",
            ])
            .arg(&root)
            .arg(&path)
            .output()
            .unwrap();
        // What it accepts beyond that is judged by what it does not look at.
        if theirs.status.success() == ours {
            agreed += 1;
        } else if ours || OF_SIGNATURES.contains(&name) {
            let why = String::from_utf8_lossy(&theirs.stderr).into_owned();
            apart.push((name, why));
        }
    }
    assert_eq!(apart, []);
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(agreed >= 12 + OF_SIGNATURES.len(), "{agreed}");
}

#[test]
fn a_credential_ends_with_the_first_of_its_certificates() {
    let world = world();
    let short = world
        .sa
        .makes("urn:publicid:IDN+lab:one+user+short", false, 2027);
    let xml = world.usual(&Draft {
        owner: &short,
        expires: "2030-01-01T00:00:00Z",
        ..world.draft()
    });
    let read = XmlVerifier.credential(&xml, &world.anchors, now()).unwrap();
    assert_eq!(read.expires, at("2027-01-01T00:00:00Z"));
}

#[test]
fn a_credential_that_was_passed_on_is_for_its_own_slice_and_owner_only() {
    let world = world();
    let xml = world.passed_on(|_| {}, &world.alice);
    let read = XmlVerifier.credential(&xml, &world.anchors, now()).unwrap();
    let judge = |who: &Party, slice: &Party, operation| {
        permit(&read, &who.certificate(), &slice.urn, operation).map_err(|e| e.stable_code())
    };
    assert_eq!(judge(&world.bob, &world.slice, Operation::Create), Ok(()));
    for (who, slice) in [
        (&world.bob, &world.other_slice),
        (&world.alice, &world.slice),
        (&world.stranger, &world.slice),
    ] {
        assert_eq!(
            judge(who, slice, Operation::Create),
            Err("credential-mismatch")
        );
    }
}

#[test]
fn a_chain_is_found_whichever_of_two_certificates_of_an_authority_leads_to_a_root() {
    let world = world();
    let urn = "urn:publicid:IDN+lab+authority+root";
    // The same authority under a root that is gone and under one that is there.
    let (old, new) = (Party::root(urn), Party::root(urn));
    let sa = old.makes("urn:publicid:IDN+lab:one+authority+sa2", true, 2040);
    let user = sa.makes("urn:publicid:IDN+lab:one+user+carol", false, 2040);
    let (by_old, by_new) = (sa.crossed(&old), sa.crossed(&new));
    let anchors = Anchors::new(vec![new.certificate()]);
    let leaf = user.certificate();
    for given in [
        vec![by_old.clone(), by_new.clone()],
        vec![by_new.clone(), by_old.clone()],
        vec![old.certificate(), by_old.clone(), by_new.clone()],
    ] {
        assert!(anchors.trust(&leaf, &given, now()).is_ok());
    }
    let lost = anchors
        .trust(&leaf, std::slice::from_ref(&by_old), now())
        .unwrap_err();
    assert_eq!(lost.stable_code(), "credential-untrusted");
    // Two that certify each other lead nowhere, and that is soon known.
    let two = sa.makes("urn:publicid:IDN+lab:one+authority+sa3", true, 2040);
    let round: Vec<Certificate> = (0..7)
        .flat_map(|_| [sa.crossed(&two), two.crossed(&sa)])
        .collect();
    assert!(anchors.trust(&leaf, &round, now()).is_err());
    assert!(world.anchors.trust(&leaf, &round, now()).is_err());
}

fn statement(user: &Party, tool: &Party, expires: &str) -> String {
    let (head, tail) = (user.key_id(), tool.key_id());
    format!(
        "<credential xml:id=\"ref0\"><type>abac</type><serial></serial><owner_gid></owner_gid>\
         <owner_urn></owner_urn><target_gid></target_gid><target_urn></target_urn><uuid></uuid>\
         <expires>{expires}</expires><abac><rt0><version>1.1</version><head><ABACprincipal>\
         <keyid>{head}</keyid><mnemonic>{}</mnemonic></ABACprincipal><role>speaks_for_{head}</role></head>\
         <tail><ABACprincipal><keyid>{tail}</keyid><mnemonic>{}</mnemonic></ABACprincipal></tail></rt0></abac></credential>",
        user.urn, tool.urn
    )
}

#[test]
fn a_tool_speaks_for_the_user_who_has_signed_that_it_may() {
    let world = world();
    let tool = world
        .sa
        .makes("urn:publicid:IDN+lab:one+tool+portal", false, 2040);
    let judge = |xml: &str, user: &Party, caller: &Party| {
        XmlVerifier
            .speaks_for(xml, &user.urn, &caller.certificate(), &world.anchors, now())
            .map(|s| s.user.urn().unwrap().clone())
            .map_err(|e| e.stable_code())
    };
    let signed = |text: &str, by| envelope(text, &Sign::usual(by, "ref0").over(text));
    let said = statement(&world.alice, &tool, SOON);
    let good = signed(&said, &world.alice);
    assert_eq!(
        judge(&good, &world.alice, &tool),
        Ok(world.alice.urn.clone())
    );
    assert_eq!(
        judge(&good, &world.alice, &world.bob),
        Err("credential-mismatch")
    );
    assert_eq!(judge(&good, &world.bob, &tool), Err("credential-mismatch"));
    assert_eq!(
        judge(&signed(&said, &world.bob), &world.alice, &tool),
        Err("credential-mismatch")
    );
    assert_eq!(
        judge(&signed(&said, &world.stranger), &world.alice, &tool),
        Err("credential-untrusted")
    );
    let over = statement(&world.alice, &tool, "2026-11-21T19:59:59Z");
    assert_eq!(
        judge(&signed(&over, &world.alice), &world.alice, &tool),
        Err("credential-expired")
    );
    let two = said.replace(
        "</tail>",
        "</tail><tail><ABACprincipal><keyid>00</keyid></ABACprincipal></tail>",
    );
    assert_eq!(
        judge(&signed(&two, &world.alice), &world.alice, &tool),
        Err("credential-invalid")
    );
    let role = said.replace("<role>speaks_for_", "<role>owns_");
    assert_eq!(
        judge(&signed(&role, &world.alice), &world.alice, &tool),
        Err("credential-mismatch")
    );
    assert_eq!(
        judge(&world.usual(&world.draft()), &world.alice, &tool),
        Err("credential-invalid")
    );
    // And a statement is no credential.
    assert_eq!(
        verify(&good, &world.anchors, now()).unwrap_err(),
        "credential-invalid"
    );
}

#[test]
fn trusted_roots_are_those_that_are_in_the_folder_now() {
    let world = world();
    let folder = std::env::temp_dir().join(format!("rm-geni-roots-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let roots = Roots::new(&folder);
    let xml = world.usual(&world.draft());
    let second = |n: i64| Timestamp::from_millis(now().millis() + n * 1000);
    let judge = |n| verify(&xml, &roots.now(second(n)).unwrap(), now()).map(|_| ());
    assert_eq!(judge(0), Err("credential-untrusted"));
    std::fs::write(folder.join("root.pem"), world.root.pem()).unwrap();
    std::fs::write(
        folder.join("broken.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
    )
    .unwrap();
    std::fs::write(folder.join("readme.txt"), world.stranger.pem()).unwrap();
    assert_eq!(judge(2), Ok(()));
    assert_eq!(roots.now(second(2)).unwrap().len(), 1);
    std::fs::write(folder.join("root.pem"), world.stranger.pem()).unwrap();
    assert!(judge(4).is_err());
    std::fs::write(folder.join("root.pem"), world.root.pem()).unwrap();
    assert_eq!(judge(6), Ok(()));
    std::fs::remove_file(folder.join("root.pem")).unwrap();
    assert_eq!(judge(8), Err("credential-untrusted"));
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(roots.now(second(10)).is_err());
}

#[test]
fn a_refusal_is_short_however_long_what_is_refused() {
    let world = world();
    let long = "x".repeat(100_000);
    let statement = world
        .draft()
        .write()
        .replace("<type>privilege", &format!("<type>{long}"));
    let signed = envelope(&statement, &Sign::usual(&world.sa, "ref0").over(&statement));
    for text in [signed, format!("<signed-credential></{long}>")] {
        let refused = XmlVerifier
            .credential(&text, &world.anchors, now())
            .unwrap_err();
        assert!(format!("{refused} {refused:?}").len() < 2000, "{refused}");
    }
}

#[test]
fn a_signature_of_another_profile_is_told_from_a_wrong_one() {
    let world = world();
    let usual = world.usual(&world.draft());
    assert!(usual.contains(DS) && !world.alice.key_pem().is_empty());
    let error = XmlVerifier
        .credential(
            &usual.replace(SOON, "2036-11-28T07:42:26Z"),
            &world.anchors,
            now(),
        )
        .unwrap_err();
    assert_eq!(error.to_string(), "it was changed after it was signed");
}
