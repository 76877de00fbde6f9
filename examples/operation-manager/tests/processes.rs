//! The daemon as a process: starts, stops, starts again, shares its store.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, and what they share"
)]

mod support;

use std::time::{Duration, Instant};

use support::{Home, Stage, appliances, run};

#[test]
fn sigterm_ends_it_well_and_what_was_loaded_is_there_again() {
    let stage = Stage::new();
    stage.load();
    let address = stage.home.path("daemon.address");
    assert!(address.exists());
    let Stage { home, daemon } = stage;
    let (code, took) = daemon.stop();
    assert_eq!(code, 0, "{}", home.read("daemon.log"));
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(!address.exists(), "who is gone has no address");
    assert!(home.read("daemon.log").contains("stopped"));

    let daemon = home.serve();
    let stage = Stage { home, daemon };
    let sites = stage.operator(&["site", "list"]).good().out;
    assert!(sites.contains("sim:here"), "{sites}");
    // What was sealed before can be opened again.
    stage.user(&["cluster", "create", "hadoop"]).good();
}

#[test]
fn who_waits_and_who_listens_are_let_go_when_it_stops() {
    let stage = Stage::new();
    stage.load();
    let mut listening = stage.daemon.client(&stage.home, "operator");
    let mut listening = listening
        .args(["events", "--follow", "--json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The stream is open once the daemon has counted it.
    let begun = Instant::now();
    while !metrics(&stage).contains("operation=\"events\"") {
        assert!(begun.elapsed() < support::PATIENCE);
        std::thread::sleep(Duration::from_millis(50));
    }
    let Stage { home, daemon } = stage;
    let (code, took) = daemon.stop();
    assert_eq!(code, 0, "{}", home.read("daemon.log"));
    assert!(took < Duration::from_secs(10), "{took:?}");
    let listener = listening.wait().unwrap();
    assert_eq!(
        listener.code(),
        Some(3),
        "the server cannot be reached any more"
    );
}

#[test]
fn an_address_that_is_taken_is_told() {
    let stage = Stage::new();
    let port = stage.daemon.server.rsplit(':').next().unwrap();
    let ran = stage
        .home
        .daemon("second")
        .env("RM_LISTEN__PORT", port)
        .status()
        .unwrap();
    assert_eq!(ran.code(), Some(1));
    let said = stage.home.read("second.log");
    assert!(said.contains("cannot be listened on"), "{said}");
}

#[test]
fn two_processes_serve_the_halves_over_one_store() {
    let home = Home::new();
    let catalog = home.start(
        "catalog",
        home.daemon("catalog").args(["--only", "catalog"]),
    );
    let resources = home.start(
        "resources",
        home.daemon("resources").args(["--only", "resources"]),
    );
    let at_catalog = |words: &[&str]| run(catalog.client(&home, "operator").args(words));
    let at_resources = |words: &[&str]| run(resources.client(&home, "operator").args(words));

    at_catalog(&["site", "add", "here", "--api", "sim", "--url", "sim:here"]).good();
    let secret = home.write("secret.json", "{\"password\": \"x\"}");
    private(&secret);
    at_catalog(&[
        "credential",
        "add",
        "mine",
        "--site",
        "here",
        "--secret-file",
        secret.to_str().unwrap(),
    ])
    .good();
    at_catalog(&["appliance", "add", "hadoop"]).good();
    at_catalog(&[
        "implementation",
        "add",
        "hadoop",
        appliances().join("simulated.json").to_str().unwrap(),
        "--site-type",
        "sim",
        "--media-type",
        "application/vnd.rm.sim+json",
    ])
    .good();

    let made = at_resources(&["cluster", "create", "hadoop", "--slaves", "1", "--json"]).good();
    assert_eq!(made.json()["ready"], true);
    at_catalog(&["cluster", "list"]).bad(1, &[]);
    at_resources(&["site", "list"]).bad(1, &[]);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    at_resources(&["cluster", "delete", &id]).good();
    at_catalog(&["appliance", "list"]).good();
    assert_eq!(catalog.stop().0, 0);
    assert_eq!(resources.stop().0, 0);
}

#[test]
fn numbers_and_health_are_there_without_a_token() {
    let stage = Stage::new();
    stage.load();
    stage.user(&["cluster", "create", "hadoop"]).good();
    let begun = Instant::now();
    loop {
        let text = metrics(&stage);
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
        assert!(
            text.contains("rm_http_requests_total{operation=\"createCluster\""),
            "{text}"
        );
        if text.contains("rm_resources{kind=\"cluster\",state=\"ready\"} 1")
            && text.contains("rm_events_total{event=\"cluster.ready\"} 1")
            && text
                .contains("rm_backend_calls_total{site=\"here\",verb=\"create\",outcome=\"ok\"} 1")
        {
            break;
        }
        assert!(begun.elapsed() < support::PATIENCE, "{text}");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(get(&stage, "/health/live").contains("ok"));
    assert!(get(&stage, "/health/ready").contains("ok"));
}

#[test]
fn the_log_can_be_json() {
    let home = Home::new();
    let daemon = home.start("json", home.daemon("json").env("RM_LOG__FORMAT", "json"));
    assert_eq!(daemon.stop().0, 0);
    let log = home.read("json.log");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            line["level"].is_string() && line["message"].is_string(),
            "{line}"
        );
    }
}

#[test]
fn another_key_opens_what_the_first_one_sealed() {
    let stage = Stage::new();
    stage.load();
    let Stage { home, daemon } = stage;
    assert_eq!(daemon.stop().0, 0);
    let first = home.read("sealing.key");
    let ran = run(support::program()
        .args(["key", "rotate", "--json", "--config"])
        .arg(home.config()))
    .good();
    assert_eq!(ran.json()["credentials"], 1);
    let both = home.read("sealing.key");
    assert!(both.ends_with(first.trim_end()) || both.trim_end().ends_with(first.trim_end()));
    assert_eq!(both.lines().count(), 2);
    // The new key alone is enough.
    home.write("sealing.key", both.lines().next().unwrap());
    let daemon = home.serve();
    let stage = Stage { home, daemon };
    stage.user(&["cluster", "create", "hadoop"]).good();
}

fn private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn metrics(stage: &Stage) -> String {
    get(stage, "/metrics")
}

/// A plain GET, as a scraper makes it.
fn get(stage: &Stage, path: &str) -> String {
    use std::io::{Read, Write};
    let at = stage.daemon.server.strip_prefix("http://").unwrap();
    let mut line = std::net::TcpStream::connect(at).unwrap();
    write!(
        line,
        "GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    line.read_to_string(&mut text).unwrap();
    text
}
