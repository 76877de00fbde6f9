//! What needs no daemon.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, and what they share"
)]

mod support;

use std::os::unix::fs::PermissionsExt;

use support::{Home, program, run};

#[test]
fn init_makes_everything_once_and_private() {
    let home = Home::new();
    for secret in ["sealing.key", "operator.token", "user.token"] {
        let mode = std::fs::metadata(home.path(secret))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    assert!(
        !home
            .read("operation-manager.toml")
            .contains(home.read("user.token").trim())
    );
    let before = home.read("sealing.key");
    run(program().args(["init", "--dir"]).arg(home.dir.path()))
        .bad(1, &["exists", "nothing is overwritten"]);
    assert_eq!(home.read("sealing.key"), before);

    let deeper = home.path("a/b");
    let ran = run(program()
        .args(["init", "--installation", "lab \"1\"", "--dir"])
        .arg(&deeper));
    let ran = ran.good();
    assert!(
        ran.out.contains("Next:") && ran.out.contains("serve"),
        "{}",
        ran.out
    );
    assert!(
        !ran.out.contains(
            std::fs::read_to_string(deeper.join("user.token"))
                .unwrap()
                .trim()
        )
    );
}

#[test]
fn what_is_wrong_with_an_rspec_is_told_by_file_line_and_element() {
    let home = Home::new();
    let begin = "<rspec type='request' xmlns='http://www.geni.net/resources/rspec/3'>\n";
    let good = home.write("good.xml", &format!("{begin}<node client_id='a'/></rspec>"));
    let bad = home.write("bad.xml", &format!("{begin}<node/>\n<e:x/></rspec>"));
    let worse = home.write("worse.xml", "<!DOCTYPE rspec>");
    let lint = |files: &[&std::path::Path]| run(program().args(["rspec", "lint"]).args(files));
    assert!(lint(&[&good]).good().out.contains("Nothing is wrong."));
    let ran = lint(&[&good, &bad]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    // Each where it stands: what it is, its file, line and element.
    for told in [
        ["no client_id", "error", "bad.xml", " 2 ", "node"],
        ["not declared", "warning", "bad.xml", " 3 ", "x"],
    ] {
        let mut lines = ran.out.lines();
        let line = lines.find(|line| line.contains(told[0])).unwrap();
        for word in told {
            assert!(line.contains(word), "{word:?} in {line:?} of {}", ran.out);
        }
    }
    let ran = lint(&[&worse]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(
        ran.out.contains("document types are not accepted"),
        "{}",
        ran.out
    );
}

#[test]
fn the_schema_has_every_section_and_the_first_configuration_fits_it() {
    let schema = run(program().args(["config", "schema"])).good().json();
    for section in [
        "listen",
        "store",
        "key",
        "tokens",
        "policy",
        "log",
        "openstack",
        "sim",
    ] {
        let section = &schema["properties"][section];
        assert!(section["description"].is_string(), "{section}");
    }
    let home = Home::new();
    let right = run(program()
        .args(["config", "check", "--json", "--config"])
        .arg(home.config()));
    assert_eq!(right.good().json()["tokens"], 2);
    // Found without being named where it stands.
    run(program()
        .args(["config", "check"])
        .current_dir(home.dir.path()))
    .good();
}

#[test]
fn a_token_is_told_with_its_digest() {
    let made = run(program().args(["token", "new", "--json"]))
        .good()
        .json();
    let (token, digest) = (
        made["token"].as_str().unwrap(),
        made["sha256"].as_str().unwrap(),
    );
    assert!(token.starts_with("rm_"));
    assert_eq!(digest.len(), 64);
    let text = run(program().args(["token", "new"])).good().out;
    assert!(text.contains("token_sha256 = "), "{text}");
}

#[test]
fn a_key_is_written_and_never_told() {
    let home = Home::new();
    let file = home.path("new.key");
    let ran = run(program().args(["key", "new", "--out"]).arg(&file)).good();
    let key = std::fs::read_to_string(&file).unwrap();
    assert!(!ran.out.contains(key.trim()));
    run(program().args(["key", "new", "--out"]).arg(&file)).bad(1, &["exists"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), key);
}

#[test]
fn what_is_linked_is_listed() {
    let table = run(program().args(["backends", "list"])).good().out;
    assert!(
        table.contains("rm-openstack") && table.contains("rm-testkit"),
        "{table}"
    );
    let all = run(program().args(["backends", "list", "--json"]))
        .good()
        .json();
    let first = &all[0];
    assert_eq!(
        (&first["plugin"], &first["kind"]),
        (&"openstack".into(), &"cluster".into())
    );
    assert!(first["version"].is_string());
    let named: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|b| b["backend"].as_str().unwrap())
        .collect();
    assert!(named.contains(&"openstack.images"), "{named:?}");
    assert!(table.contains("openstack.images"), "{table}");
}

#[test]
fn a_secret_between_services_is_refused_where_it_is_none() {
    let home = Home::new();
    let text = home.read("operation-manager.toml");
    home.write(
        "operation-manager.toml",
        &format!("{text}\n[lambdalink]\ninterservice_file = \"services.secret\"\n"),
    );
    let check = || {
        run(program()
            .args(["config", "check", "--config"])
            .arg(home.config()))
    };
    check().bad(2, &["the secret between services", "services.secret"]);
    let file = home.write("services.secret", "S3CRET-that-is-short\n");
    check().bad(2, &["others can read"]);
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&file, private.clone()).unwrap();
    check().bad(2, &["too short", "at least 32 bytes"]);
    home.write("services.secret", &"long enough ".repeat(4));
    std::fs::set_permissions(&file, private).unwrap();
    check().good();
}
