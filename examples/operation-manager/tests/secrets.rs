//! Canaries: planted secrets and tokens are found nowhere but where they
//! belong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, and what they share"
)]

mod support;

use support::{Stage, program, run};

const SECRET: &str = "CANARY-9f1d0c";

#[test]
fn secrets_and_tokens_are_found_nowhere() {
    let stage = Stage::new();
    let mut said = String::new();
    let mut keep = |ran: support::Ran| {
        said.push_str(&ran.out);
        said.push_str(&ran.err);
    };
    keep(stage.operator(&["site", "add", "here", "--api", "sim", "--url", "sim:here"]));
    let secret = format!("{{\"password\": \"{SECRET}\", \"token\": \"{SECRET}\"}}");
    keep(stage.operator_reading(
        &[
            "credential",
            "add",
            "mine",
            "--site",
            "here",
            "--user",
            "user",
            "--tenant",
            "user",
        ],
        &secret,
    ));
    stage.appliance("hadoop", "simulated.json");
    keep(stage.operator(&["credential", "list", "--json"]));
    keep(stage.user(&["credential", "list"]));
    let id = stage.user(&["credential", "list", "--json"]).json()[0]["id"].clone();
    keep(stage.operator_reading(
        &["credential", "rotate", id.as_str().unwrap(), "--json"],
        &secret,
    ));
    // In the wrong places, too.
    keep(stage.operator_reading(&["credential", "add", "a", "--site", "here"], SECRET));
    keep(stage.operator_reading(&["credential", "add", "a", "--site", "nowhere"], &secret));
    let clouds = stage.home.write(
        "clouds.yaml",
        &format!(
            "clouds:\n  cloud:\n    auth: {{auth_url: 'http://127.0.0.1:1/v3', username: u, password: {SECRET}, project_name: p}}\n"
        ),
    );
    let clouds_text = clouds.to_str().unwrap();
    keep(
        stage
            .operator(&["site", "import-clouds", clouds_text])
            .good(),
    );
    keep(
        stage
            .user(&["cluster", "create", "hadoop", "--slaves", "1"])
            .good(),
    );
    keep(stage.operator(&["plan", "hadoop"]));
    keep(stage.user(&["events", "--json"]));
    keep(stage.operator(&["events", "--json"]));
    std::fs::remove_file(clouds).unwrap();

    let Stage { home, daemon } = stage;
    let (code, _) = daemon.stop();
    assert_eq!(code, 0);
    keep(run(program()
        .args(["config", "check", "--config"])
        .arg(home.config())));

    let tokens = [home.read("operator.token"), home.read("user.token")];
    let key = home.read("sealing.key");
    let mut planted = vec![SECRET, key.trim()];
    planted.extend(tokens.iter().map(|t| t.trim()));
    for canary in &planted {
        assert!(!said.contains(canary), "{canary:?} was said");
    }
    let mut seen = 0;
    for entry in std::fs::read_dir(home.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".token") || name == "sealing.key" {
            continue;
        }
        seen += 1;
        let bytes = std::fs::read(&path).unwrap();
        for canary in &planted {
            let found = bytes.windows(canary.len()).any(|w| w == canary.as_bytes());
            assert!(!found, "{canary:?} is in {name}");
        }
    }
    assert!(
        seen >= 3,
        "configuration, store and log were looked through"
    );
}
