//! Bad input: what is said, and with which exit code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, and what they share"
)]

mod support;

use std::os::unix::fs::PermissionsExt;

use support::{Home, Stage, program, run};

#[test]
fn an_unknown_key_names_its_file_and_the_key_that_was_meant() {
    let home = Home::new();
    let good = home.read("operation-manager.toml");
    for (wrong, key, meant) in [
        ("\n[stoer]\npath = \"x\"\n", "\"stoer\"", "\"store\""),
        (
            "\n[openstack]\nconcurency = 3\n",
            "openstack.concurency",
            "openstack.concurrency",
        ),
        (
            "\n[sim.sites.here]\ncots = 1.0\n",
            "sim.sites.here.cots",
            "sim.sites.here.cost",
        ),
    ] {
        home.write("operation-manager.toml", &format!("{good}{wrong}"));
        for words in [["config", "check"].as_slice(), &["serve"]] {
            run(program().args(words).arg("--config").arg(home.config()))
                .bad(2, &["operation-manager.toml", key, "did you mean", meant]);
        }
    }
    home.write("operation-manager.toml", &good);
    run(program()
        .args(["config", "check", "--config"])
        .arg(home.config())
        .env("RM_STORE__PTH", "x"))
    .bad(2, &["RM_STORE__PTH", "RM_STORE__PATH"]);
}

#[test]
fn a_configuration_that_cannot_work_is_refused_before_it_runs() {
    let home = Home::new();
    let good = home.read("operation-manager.toml");
    let check = || {
        run(program()
            .args(["config", "check", "--config"])
            .arg(home.config()))
    };
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        home.write("operation-manager.toml", &good.replace(from, to));
    };
    check().good();
    with("[listen]", "[listen");
    check().bad(2, &["is not TOML", "line"]);
    with("level = \"info\"", "level = \"loud=17=x\"");
    check().bad(2, &["log.level"]);
    with("file = \"sealing.key\"", "file = \"nowhere.key\"");
    check().bad(2, &["nowhere.key", "does not exist", "key new"]);
    with("name = \"default\"", "name = \"a b\"");
    check().bad(1, &["name of an installation"]);
    with("roles = [\"user\"]", "roles = [\"admin\"]");
    check().bad(2, &["roles", "user, operator"]);
    with("user = \"user\"", "user = \"a/b\"");
    check().bad(2, &["a/b"]);
    let digest = good.rsplit("token_sha256 = ").next().unwrap();
    with(digest, "\"17\"\n");
    check().bad(2, &["\"user\"", "SHA-256"]);
    with(
        &format!("token_sha256 = {digest}"),
        "token_file = \"gone.token\"\n",
    );
    check().bad(2, &["gone.token"]);
    home.write("operation-manager.toml", "[store]\npath = \"memory\"\n");
    check().bad(2, &["no token", "token new"]);
    run(program().args(["serve", "--config", "/no/such/file.toml"]))
        .bad(2, &["/no/such/file.toml", "init"]);
}

#[test]
fn a_key_or_token_that_others_can_read_is_refused() {
    let home = Home::new();
    let open = |name: &str| {
        std::fs::set_permissions(home.path(name), std::fs::Permissions::from_mode(0o644)).unwrap();
    };
    open("sealing.key");
    for words in [["config", "check"].as_slice(), &["serve"]] {
        run(program().args(words).arg("--config").arg(home.config()))
            .bad(2, &["sealing.key", "chmod 600"]);
    }
    open("user.token");
    run(program()
        .args(["site", "list", "--token-file"])
        .arg(home.path("user.token")))
    .bad(2, &["user.token", "chmod 600"]);
}

#[test]
fn nobody_answers_nobody_calls() {
    let home = Home::new();
    let client = |server: &str| {
        let mut command = program();
        command
            .env("RM_SERVER", server)
            .env("RM_TOKEN_FILE", home.path("user.token"));
        command
    };
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let server = format!("http://127.0.0.1:{port}");
    run(client(&server).args(["site", "list"])).bad(
        3,
        &[
            "cannot reach the server",
            &format!("127.0.0.1:{port}"),
            "serve",
        ],
    );
    let ran = run(client(&server).args(["site", "list", "--json"])).bad(3, &[]);
    let said: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    assert!(said["error"].as_str().unwrap().contains("cannot reach"));
    run(client("ftp://x").args(["site", "list"])).bad(2, &["address of a server"]);
    run(client("http://u:S3CRET@127.0.0.1:1").args(["site", "list"])).bad(2, &["has a user in it"]);
    run(client(&server)
        .env_remove("RM_TOKEN_FILE")
        .args(["site", "list"]))
    .bad(2, &["there is no token", "--token-file"]);
    run(program().args(["no-such-word"])).bad(2, &["no-such-word"]);
    run(program().args(["cluster", "create"])).bad(2, &["APPLIANCE"]);
}

#[test]
fn the_daemon_refuses_and_the_client_says_why() {
    let stage = Stage::new();
    stage.load();
    let before = stage.operator(&["events", "--json"]).good().json();

    stage
        .user(&["cluster", "create", "hadop"])
        .bad(1, &["there is no appliance \"hadop\"", "there are: hadoop"]);
    stage
        .user(&["cluster", "create", "hadoop", "--site", "nowhere"])
        .bad(1, &["there is no site \"nowhere\"", "here"]);
    stage
        .user(&["cluster", "create", "hadoop", "--param", "flavour=x"])
        .bad(1, &["\"flavour\"", "did you mean \"flavor\"?"]);
    stage
        .user(&["cluster", "create", "hadoop", "--slaves", "999999"])
        .bad(1, &["slaves", "0 to 10000"]);
    stage
        .user(&["cluster", "create", "hadoop", "--slaves", "-1"])
        .bad(2, &[]);
    stage
        .user(&["cluster", "create", "hadoop", "--lease", "soon"])
        .bad(2, &["duration"]);
    stage
        .user(&["cluster", "create", "hadoop", "--lease", "0s"])
        .bad(1, &["lease_seconds", "1 to"]);
    let long = "x".repeat(101);
    stage
        .user(&["cluster", "create", "hadoop", "--name", &long])
        .bad(1, &["name"]);
    stage
        .user(&["cluster", "show", "nobody's"])
        .bad(1, &["you have no cluster"]);
    stage
        .user(&["cluster", "show", "01a20038-ceab-70d3-b0fe-5770a8ee0735"])
        .bad(1, &["there is no cluster"]);
    stage
        .user(&["site", "add", "there", "--api", "sim", "--url", "sim:there"])
        .bad(1, &["user", "operator"]);
    stage
        .operator(&["site", "add", "here", "--api", "sim", "--url", "sim:here"])
        .bad(
            1,
            &["there is a site named \"here\" already", "another name"],
        );
    stage
        .operator(&[
            "site",
            "add",
            "there",
            "--api",
            "simm",
            "--url",
            "sim:there",
        ])
        .bad(1, &["\"simm\"", "openstack, sim"]);
    stage
        .operator(&["site", "add", "there", "--url", "http://u:S3CRET@host/"])
        .bad(1, &["address of a site"]);
    stage
        .operator(&["implementation", "add", "hadoop", "/no/such/file"])
        .bad(2, &["/no/such/file"]);
    let garbage = stage.home.path("garbage");
    std::fs::write(&garbage, [0xff, 0xfe, 0x00]).unwrap();
    let garbage = garbage.to_str().unwrap();
    stage
        .operator(&["implementation", "add", "hadoop", garbage])
        .bad(2, &["garbage", "UTF-8"]);
    let text = stage.home.write("text.yaml", "outputs: [");
    stage
        .operator(&["implementation", "add", "hadoop", text.to_str().unwrap()])
        .bad(1, &["YAML"]);
    let text = stage
        .home
        .write("no-output.yaml", "heat_template_version: 2018-08-31\n");
    stage
        .operator(&["implementation", "add", "hadoop", text.to_str().unwrap()])
        .bad(1, &["master_ip"]);
    stage
        .operator(&["site", "import-clouds", garbage])
        .bad(2, &["garbage"]);
    let clouds = stage.home.write(
        "clouds.yaml",
        "clouds: {a: {auth: {auth_url: 'http://x/v3'}}}\n",
    );
    let clouds = clouds.to_str().unwrap();
    stage
        .operator(&["site", "import-clouds", clouds, "--cloud", "b"])
        .bad(2, &["\"b\"", "there are: a"]);
    for (says, told) in [
        ("cert: /me.pem", "cert is a part of a certificate"),
        ("cacert: /nowhere/ca.pem", "cacert cannot be read"),
    ] {
        let clouds = stage.home.write(
            "tls.yaml",
            &format!("clouds: {{a: {{{says}, auth: {{auth_url: 'https://x/v3', token: t}}}}}}\n"),
        );
        stage
            .operator(&["site", "import-clouds", clouds.to_str().unwrap()])
            .bad(2, &["cloud \"a\"", told]);
    }
    stage
        .operator_reading(&["credential", "add", "c", "--site", "here"], "S3CRET")
        .bad(2, &["JSON object"]);
    stage
        .operator_reading(&["credential", "add", "c", "--site", "nowhere"], "{}")
        .bad(1, &["nowhere"]);
    let ghost = [
        "credential",
        "add",
        "c",
        "--site",
        "here",
        "--user",
        "ghost",
    ];
    stage.operator_reading(&ghost, "{}").bad(
        1,
        &["there is no user \"ghost\"", "how the name is written"],
    );

    let after = stage.operator(&["events", "--json"]).good().json();
    assert_eq!(before, after, "nothing of this changed anything");
}

#[test]
fn a_token_that_nobody_knows_is_told_nothing() {
    let stage = Stage::new();
    let token = stage.home.write("stranger.token", "rm_S3CRET");
    std::fs::set_permissions(token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let ran = run(stage
        .daemon
        .client(&stage.home, "stranger")
        .args(["site", "list"]));
    let ran = ran.bad(1, &["token"]);
    assert!(!ran.err.contains("S3CRET"), "{}", ran.err);
}
