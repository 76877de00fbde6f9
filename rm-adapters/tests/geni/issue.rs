//! Credentials that we give out, as we and others read them.

use std::process::Command;

use rm_adapters::geni::credentials::{
    Certificate, CredentialVerifier as _, Grant, Issuer, Operation, Privilege, XmlVerifier, permit,
};
use rm_core::env::Timestamp;

use super::authority::Party;
use super::corpus::{SOON, world};

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn chain(of: &Party) -> Vec<Certificate> {
    Certificate::from_pem(&of.chain()).unwrap()
}

fn issuer(of: &Party) -> Issuer {
    Issuer::new(&of.chain(), &of.key_pem()).unwrap()
}

fn embed() -> Vec<Privilege> {
    vec![Privilege {
        name: "embed".to_owned(),
        can_delegate: true,
    }]
}

#[test]
fn what_we_give_out_is_accepted_by_us_and_by_xmlsec1() {
    let world = world();
    let strange = world
        .sa
        .makes("urn:publicid:IDN+lab:one+user+a&b<c>]]>", false, 2040);
    let now = at("2026-11-21T20:00:00Z");
    for owner in [&world.alice, &strange] {
        let privileges = embed();
        let xml = issuer(&world.sa)
            .credential(&Grant {
                owner: &chain(owner),
                target: &chain(&world.slice),
                privileges: &privileges,
                expires: at(SOON).plus(std::time::Duration::from_millis(400)),
            })
            .unwrap();
        let read = XmlVerifier.credential(&xml, &world.anchors, now).unwrap();
        assert_eq!(read.owner_urn, owner.urn);
        assert_eq!(read.target_urn, world.slice.urn);
        assert_eq!(read.authority, world.sa.urn);
        assert_eq!(
            (read.privileges.clone(), read.expires),
            (privileges, at(SOON))
        );
        permit(
            &read,
            &owner.certificate(),
            &world.slice.urn,
            Operation::Create,
        )
        .unwrap();
        let after = at(SOON);
        let late = XmlVerifier.credential(&xml, &world.anchors, after);
        assert_eq!(late.unwrap_err().stable_code(), "credential-expired");
        let changed = xml.replacen("embed", "sa", 1);
        let changed = XmlVerifier.credential(&changed, &world.anchors, now);
        assert_eq!(changed.unwrap_err().stable_code(), "credential-invalid");

        if needs::program(
            "what_we_give_out_is_accepted_by_us_and_by_xmlsec1",
            "xmlsec1",
        ) {
            let folder = std::env::temp_dir().join(format!("rm-geni-issue-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            let (root, file) = (folder.join("root.pem"), folder.join("credential.xml"));
            std::fs::write(&root, world.root.pem()).unwrap();
            std::fs::write(&file, &xml).unwrap();
            let verified = Command::new("xmlsec1")
                .args([
                    "--verify",
                    "--enabled-key-data",
                    "x509",
                    "--node-id",
                    "Sig_ref0",
                ])
                .arg("--trusted-pem")
                .args([&root, &file])
                .output()
                .unwrap();
            std::fs::remove_dir_all(&folder).unwrap();
            let said = String::from_utf8_lossy(&verified.stderr);
            assert!(verified.status.success(), "{said}");
        }
    }
}

#[test]
fn what_nobody_would_accept_is_not_given_out() {
    let world = world();
    let another = Issuer::new(&world.sa.chain(), &world.alice.key_pem());
    let said = another.unwrap_err().to_string();
    assert!(said.contains("not that of its certificate"), "{said}");
    for key in [
        "",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ] {
        let said = Issuer::new(&world.sa.chain(), key).unwrap_err().to_string();
        assert!(said.contains("cannot be used"), "{said}");
    }
    let privileges = embed();
    let grant = |by: &Party, owner: &[Certificate], target: &[Certificate]| {
        let refused = issuer(by).credential(&Grant {
            owner,
            target,
            privileges: &privileges,
            expires: at(SOON),
        });
        refused.unwrap_err().to_string()
    };
    let (alice, slice) = (chain(&world.alice), chain(&world.slice));
    let said = grant(&world.elsewhere, &alice, &slice);
    assert!(said.contains("no authority over"), "{said}");
    let said = grant(&world.alice, &alice, &slice);
    assert!(said.contains("no authority over"), "{said}");
    assert!(grant(&world.sa, &[], &slice).contains("no certificate"));
}
