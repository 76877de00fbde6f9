//! A small authority of GENI, and the daemon's door for whom it knows.

#![cfg(feature = "geni")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, and what they share"
)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rm_adapters::TokioEnv;
use rm_core::env::Env as _;
use support::{Daemon, Home, program, run};

/// A home whose daemon has a door for GENI, and the authority beside it.
fn home() -> Home {
    let home = Home::new();
    let ran = run(program()
        .args(["geni", "init", "--authority", "lab:one"])
        .arg(home.path("box")));
    let said = ran.good().out;
    let section = home.read("box/geni.toml");
    assert!(said.contains(section.trim()), "{said}");
    let config = home.read("operation-manager.toml");
    home.write("operation-manager.toml", &format!("{config}{section}"));
    home
}

fn serve(home: &Home) -> (Daemon, String) {
    let mut command = home.daemon("daemon");
    command
        .env("RM_GENI__PORT", "0")
        .env("RM_GENI__ADDRESS_FILE", "geni.address");
    let daemon = home.start("daemon", &mut command);
    let at = home.read("geni.address");
    (daemon, format!("https://{}", at.trim()))
}

fn all_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_below(&path));
        }
        found.push(path);
    }
    found
}

/// A client that has what the box gives a user, and trusts nobody else.
struct Client {
    url: String,
    identity: String,
    root: String,
}

impl Client {
    fn new(home: &Home, url: &str, user: &str) -> Self {
        let file = |name: &str| home.read(&format!("box/users/{user}/{name}"));
        Self {
            url: url.to_owned(),
            identity: format!("{}{}", file("key.pem"), file("certificate.pem")),
            root: home.read("box/roots/root.pem"),
        }
    }

    fn ask(&self, version: u8, call: String) -> Result<String, reqwest::Error> {
        let asking = async {
            let client = reqwest::Client::builder()
                .no_proxy()
                .tls_certs_only([reqwest::Certificate::from_pem(self.root.as_bytes())?])
                .identity(reqwest::Identity::from_pem(self.identity.as_bytes())?)
                .timeout(support::PATIENCE)
                .build()?;
            let url = format!("{}/xmlrpc/am/{version}.0", self.url);
            let answer = client.post(url).body(call).send().await?;
            answer.error_for_status()?.text().await
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(asking)
    }

    /// The code of the answer, and the answer.
    fn coded(&self, version: u8, call: String) -> (String, String) {
        let answer = self.ask(version, call).unwrap();
        let (_, rest) = answer.split_once("geni_code</name>\n<value><int>").unwrap();
        (rest.split_once('<').unwrap().0.to_owned(), answer)
    }
}

fn call(method: &str, arguments: &str) -> String {
    format!(
        "<?xml version='1.0'?><methodCall><methodName>{method}</methodName><params>{arguments}</params></methodCall>"
    )
}

/// ListResources with these credentials.
fn list(credentials: &[String]) -> String {
    let credentials: String = credentials
        .iter()
        .map(|xml| {
            format!(
                "<value><struct><member><name>geni_type</name><value>geni_sfa</value></member>\
                 <member><name>geni_version</name><value>3</value></member>\
                 <member><name>geni_value</name><value>{}</value></member></struct></value>",
                xml.replace('&', "&amp;").replace('<', "&lt;")
            )
        })
        .collect();
    call(
        "ListResources",
        &format!(
            "<param><value><array><data>{credentials}</data></array></value></param>\
             <param><value><struct><member><name>geni_rspec_version</name><value><struct>\
             <member><name>type</name><value>GENI</value></member>\
             <member><name>version</name><value>3</value></member></struct></value></member>\
             </struct></value></param>"
        ),
    )
}

#[test]
fn whom_the_box_knows_is_let_in_and_listed_to_until_the_root_goes() {
    let home = home();
    let (daemon, url) = serve(&home);
    run(daemon.client(&home, "operator").args([
        "site",
        "add",
        "rack",
        "--api",
        "lxc",
        "--url",
        "file:/nowhere",
    ]))
    .good();
    let alice = Client::new(&home, &url, "alice");
    let (code, version) = alice.coded(3, call("GetVersion", ""));
    assert_eq!(code, "0", "{version}");
    for told in [&*format!("{url}/xmlrpc/am/2.0"), "IDN+lab:one+authority+am"] {
        assert!(version.contains(told), "{version}");
    }

    let hers = home.read("box/users/alice/credential.xml");
    for credential in [hers.clone(), home.read("box/slices/demo/alice.xml")] {
        let (code, listed) = alice.coded(3, list(&[credential]));
        assert_eq!(code, "0", "{listed}");
        assert!(listed.contains("IDN+lab:one+node+rack"), "{listed}");
    }
    assert_eq!(alice.coded(3, list(&[])).0, "3");
    assert_eq!(alice.coded(2, list(&[])).0, "0");

    let of = home.path("box");
    run(program().args(["geni", "user"]).arg(&of).arg("bob")).good();
    run(program()
        .args(["geni", "slice", "--user", "bob"])
        .arg(&of)
        .arg("demo"))
    .good();
    let bob = Client::new(&home, &url, "bob");
    for own in ["users/bob/credential.xml", "slices/demo/bob.xml"] {
        let own = home.read(&format!("box/{own}"));
        assert_eq!(bob.coded(3, list(&[own])).0, "0");
    }
    assert_eq!(bob.coded(3, list(&[hers])).0, "22");

    let metrics = metrics(&daemon);
    for told in [
        "rm_geni_trusted_certificates 1",
        "rm_geni_certificate_expires_seconds 1",
    ] {
        assert!(metrics.contains(told), "{metrics}");
    }
    std::fs::remove_file(home.path("box/roots/root.pem")).unwrap();
    let begun = Instant::now();
    while alice.ask(3, call("GetVersion", "")).is_ok() {
        assert!(begun.elapsed() < support::PATIENCE, "she is still let in");
        std::thread::sleep(Duration::from_millis(50));
    }

    let (code, took) = daemon.stop();
    assert_eq!(code, 0, "{}", home.read("daemon.log"));
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(
        !home.path("geni.address").exists(),
        "who is gone has no address"
    );
}

/// A text as an argument of a call.
fn text(value: &str) -> String {
    let value = value.replace('&', "&amp;").replace('<', "&lt;");
    format!("<value><string>{value}</string></value>")
}

/// A call of version 2 on the slice of the box, with what comes behind its
/// credential.
fn on_slice(home: &Home, method: &str, more: &[String]) -> String {
    let credential = home.read("box/slices/demo/alice.xml");
    let proof = format!(
        "<value><array><data>{}</data></array></value>",
        text(&credential)
    );
    let slice = text("urn:publicid:IDN+lab:one+slice+demo");
    let all = [slice, proof].into_iter().chain(more.iter().cloned());
    let params: String = all.map(|value| format!("<param>{value}</param>")).collect();
    call(method, &params)
}

/// A daemon with a site that makes an appliance, by the means of the aggregate, and
/// where its door is.
fn stage() -> (support::Stage, String) {
    let home = home();
    let (daemon, url) = serve(&home);
    let stage = support::Stage { home, daemon };
    stage
        .operator(&["site", "add", "here", "--api", "sim", "--url", "sim:here"])
        .good();
    let means = [
        "credential",
        "add",
        "geni",
        "--site",
        "here",
        "--user",
        "operator",
        "--tenant",
        "operator",
    ];
    stage
        .operator_reading(&means, "{\"password\": \"right\"}")
        .good();
    stage.appliance("hadoop", "simulated.json");
    (stage, url)
}

/// A request for it with so many slaves.
fn hadoop(slaves: &str) -> String {
    text(&format!(
        "<rspec type=\"request\" xmlns=\"http://www.geni.net/resources/rspec/3\">\
         <node client_id=\"c\"><sliver_type name=\"cluster\"/>\
         <cluster xmlns=\"urn:resource-manager:rspec:ext:cluster:1\" appliance=\"hadoop\" \
         slaves=\"{slaves}\"/></node></rspec>"
    ))
}

/// CreateSliver of it.
fn create(home: &Home, slaves: &str) -> String {
    let users = "<value><array><data></data></array></value>".to_owned();
    on_slice(home, "CreateSliver", &[hadoop(slaves), users, options()])
}

fn options() -> String {
    "<value><struct></struct></value>".to_owned()
}

#[test]
fn slivers_whose_end_comes_while_the_daemon_is_away_are_over_when_it_is_back() {
    let (stage, url) = stage();
    let home = &stage.home;
    let alice = Client::new(home, &url, "alice");
    let (code, created) = alice.coded(2, create(home, "1"));
    assert_eq!(code, "0", "{created}");
    let env = TokioEnv::new();
    let end = env.now().plus(Duration::from_secs(20));
    let renew = on_slice(home, "RenewSliver", &[text(&end.to_string()), options()]);
    let (code, renewed) = alice.coded(2, renew);
    assert_eq!(code, "0", "{renewed}");
    let status = |client: &Client| client.coded(2, on_slice(home, "SliverStatus", &[options()]));
    let (code, told) = status(&alice);
    assert_eq!(code, "0", "{told}");
    assert!(told.contains(&end.to_string()), "{told}");
    drop(stage.daemon);
    // It was killed, and has not taken them away.
    for told in ["daemon.address", "geni.address"] {
        std::fs::remove_file(home.path(told)).unwrap();
    }
    while env.now() <= end {
        std::thread::sleep(Duration::from_millis(50));
    }
    let (daemon, url) = serve(home);
    let alice = Client::new(home, &url, "alice");
    let (code, told) = status(&alice);
    assert_eq!(code, "12", "{told}");
    // Nobody has to ask: what was made goes by itself.
    let stage = support::Stage {
        home: stage.home,
        daemon,
    };
    let begun = Instant::now();
    loop {
        let clusters = stage.operator(&["cluster", "list", "--all", "--json"]);
        let clusters = clusters.good().out;
        if !clusters.contains("slice+demo") {
            break;
        }
        assert!(begun.elapsed() < support::PATIENCE, "{clusters}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_appliance_of_the_catalog_is_asked_for_as_a_sliver() {
    let (stage, url) = stage();
    let home = &stage.home;
    let alice = Client::new(home, &url, "alice");
    let hers = home.read("box/users/alice/credential.xml");
    let (code, listed) = alice.coded(3, list(&[hers]));
    assert_eq!(code, "0", "{listed}");
    assert!(listed.contains("hadoop"), "{listed}");

    assert_eq!(alice.coded(2, create(home, "some")).0, "1");
    let (code, created) = alice.coded(2, create(home, "2"));
    assert_eq!(code, "0", "{created}");
    let status = || {
        alice
            .coded(2, on_slice(home, "SliverStatus", &[options()]))
            .1
    };
    let begun = Instant::now();
    while !status().contains(">ready<") {
        assert!(begun.elapsed() < support::PATIENCE, "{}", status());
        std::thread::sleep(Duration::from_millis(50));
    }
    let only = "<value><struct><member><name>geni_rspec_version</name><value><struct>\
                <member><name>type</name><value>GENI</value></member>\
                <member><name>version</name><value>3</value></member></struct></value></member>\
                <member><name>geni_slice_urn</name>";
    let slice = text("urn:publicid:IDN+lab:one+slice+demo");
    let credential = text(&home.read("box/slices/demo/alice.xml"));
    let manifest = call(
        "ListResources",
        &format!(
            "<param><value><array><data>{credential}</data></array></value></param>\
             <param>{only}{slice}</member></struct></value></param>"
        ),
    );
    let (code, manifest) = alice.coded(2, manifest);
    assert_eq!(code, "0", "{manifest}");
    assert_eq!(manifest.matches("role=").count(), 3, "{manifest}");
    // And it is one of the installation's, as any other.
    let clusters = stage.operator(&["cluster", "list", "--all", "--json"]);
    assert!(clusters.good().out.contains("slice+demo"));
    let (code, deleted) = alice.coded(2, on_slice(home, "DeleteSliver", &[options()]));
    assert_eq!(code, "0", "{deleted}");
}

fn metrics(daemon: &Daemon) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let url = format!("{}/metrics", daemon.server);
    runtime.block_on(async { reqwest::get(url).await.unwrap().text().await.unwrap() })
}

#[test]
fn what_the_box_holds_is_private_signed_as_others_verify_and_never_overwritten() {
    let home = home();
    let dir = home.path("box");
    let all = all_below(&dir);
    assert!(all.len() >= 15, "{all:?}");
    for path in &all {
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        let private = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode & 0o777, private, "{}", path.display());
    }
    let key = home.read("box/authority.key");
    run(program().args(["geni", "init"]).arg(&dir)).bad(1, &["exists", "nothing is overwritten"]);
    run(program().args(["geni", "user"]).arg(&dir).arg("alice")).bad(1, &["exists"]);
    run(program()
        .args(["geni", "slice", "--user", "alice"])
        .arg(&dir)
        .arg("demo"))
    .bad(1, &["alice.xml exists"]);
    assert_eq!(home.read("box/authority.key"), key);
    run(program().args(["geni", "user"]).arg(&dir).arg("../x")).bad(2, &["no name of a user"]);
    run(program()
        .args(["geni", "slice", "--user", "carol"])
        .arg(&dir)
        .arg("s"))
    .bad(1, &["there is no user"]);
    run(program()
        .args(["geni", "slice", "--user", "alice"])
        .arg(&dir)
        .arg("a/b"))
    .bad(2, &["no name of a slice"]);

    if !needs::program("what_the_box_holds_is_signed_as_others_verify", "xmlsec1") {
        return;
    }
    for credential in ["users/alice/credential.xml", "slices/demo/alice.xml"] {
        let verified = Command::new("xmlsec1")
            .args([
                "--verify",
                "--enabled-key-data",
                "x509",
                "--node-id",
                "Sig_ref0",
            ])
            .arg("--trusted-pem")
            .arg(dir.join("roots/root.pem"))
            .arg(dir.join(credential))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&verified.stderr);
        assert!(verified.status.success(), "{credential}: {said}");
    }
}

#[test]
fn what_is_wrong_with_the_section_is_told_before_anything_is_served() {
    let home = home();
    let other = home.path("other");
    run(program().args(["geni", "init"]).arg(&other)).good();
    let other = |name: &str| other.join(name).display().to_string();
    let check = |name: &str, value: &str| {
        run(program()
            .args(["config", "check", "--config"])
            .arg(home.config())
            .env(name, value))
    };
    check("RM_GENI__PORT", "1").good();
    for (name, value, told) in [
        (
            "RM_GENI__CERTIFICATE",
            "nowhere.pem".to_owned(),
            "GENI's certificate",
        ),
        (
            "RM_GENI__KEY",
            "nowhere.key".to_owned(),
            "the key of GENI's certificate",
        ),
        ("RM_GENI__KEY", other("aggregate.key"), "cannot be used"),
        (
            "RM_GENI__CERTIFICATE",
            other("geni.toml"),
            "no certificate in PEM",
        ),
        (
            "RM_GENI__ROOTS",
            "nowhere".to_owned(),
            "whom GENI's door trusts",
        ),
        ("RM_GENI__URN", "me".to_owned(), "geni.urn"),
        (
            "RM_GENI__URN",
            "urn:publicid:IDN+a+user+b".to_owned(),
            "type authority",
        ),
        ("RM_GENI__URL", "http://a".to_owned(), "geni.url"),
        (
            "RM_GENI__SLIVERS",
            "[\"vmware\"]".to_owned(),
            "lxc, xen, kvm",
        ),
        ("RM_GENI__OPEN", "[1]".to_owned(), "2 to 3"),
        ("RM_GENI__ROTS", "x".to_owned(), "RM_GENI__ROOTS"),
    ] {
        check(name, &value).bad(2, &[told]);
    }
    check("RM_GENI__ADDRESS", "0.0.0.0").bad(2, &["how it is reached"]);
    let config = home.read("operation-manager.toml");
    home.write(
        "operation-manager.toml",
        &config.replace("\nroots = ", "\n# roots = "),
    );
    check("RM_GENI__PORT", "1").bad(2, &["lacks", "roots"]);
}

#[test]
fn slices_that_were_shut_down_are_asked_for_beside_a_daemon() {
    let home = home();
    let (_daemon, _) = serve(&home);
    let shut = |words: &[&str]| {
        run(program()
            .args(["geni", "shut"])
            .args(words)
            .arg("--config")
            .arg(home.config()))
    };
    let listed = shut(&["list", "--json"]).good().json();
    assert_eq!(listed, serde_json::json!([]));
    let slice = "urn:publicid:IDN+lab:one+slice+demo";
    shut(&["lift", slice]).bad(1, &["is not shut down", "geni shut list"]);
}
