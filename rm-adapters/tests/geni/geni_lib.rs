//! What geni-lib, as it is published, reads of our documents, and what it writes.

use std::path::{Path, PathBuf};
use std::process::Command;

use rm_adapters::geni::rspec::{Kind, Rspec, faults};
use rm_adapters::geni::xmlrpc::Value;
use serde_json::{Value as Json, json};

use super::clusters::{web, with_web};
use super::lab::{lab, options, sfa};
use super::ring::ring;
use super::slice::{AM, KEY, Slice, link, manifest, none, request, value};

/// The Python that has geni-lib; `cargo xtask test` fills it.
fn python(test: &str) -> Option<PathBuf> {
    needs::lab(test, "RM_GENI_PYTHON")
}

fn run(python: &Path, program: &str, arguments: &[&str]) -> Json {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = own.join("../lab/geni").join(program);
    let ran = Command::new(python)
        .arg(program)
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    serde_json::from_slice(&ran.stdout).unwrap()
}

/// What it reads of a document.
fn read(python: &Path, name: &str, text: &str) -> Json {
    let file = format!("rm-geni-lib-{}-{name}.xml", std::process::id());
    let path = std::env::temp_dir().join(file);
    std::fs::write(&path, text).unwrap();
    let told = run(python, "read.py", &[path.to_str().unwrap()]);
    std::fs::remove_file(&path).unwrap();
    told[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn geni_lib_reads_what_is_offered_and_what_somebody_has() {
    let test = "geni_lib_reads_what_is_offered_and_what_somebody_has";
    let Some(python) = python(test) else { return };
    let lab = with_web("geni-lib").await;
    // Two families of states in one document.
    lab.cloud.declare(|capability| capability.users = true);
    let mine = Value::Array(vec![sfa(&lab.user_credential(&lab.alice))]);
    for (available, at) in [(false, "all"), (true, "available")] {
        let more = options(vec![("geni_available", Value::Bool(available))]);
        let arguments = vec![mine.clone(), more];
        let answer = lab.call(&lab.alice, 3, "ListResources", arguments).await;
        let text = value(&answer);
        let told = read(&python, at, text.as_text().unwrap());
        let rack = json!({
            "name": "rack",
            "component": "urn:publicid:IDN+lab:one+node+rack",
            "manager": AM,
            "available": true,
            "exclusive": false,
            "types": ["cluster", "lxc"],
            "images": ["debian"],
        });
        assert_eq!(told, json!({"nodes": [rack], "links": 0}));
    }
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    let node = |name: &str, n: u8| {
        format!(
            "<node client_id=\"{name}\"><interface client_id=\"{name}:0\">\
             <ip address=\"10.9.0.{n}\" netmask=\"255.255.255.0\" type=\"ipv4\"/></interface></node>"
        )
    };
    let wire = link("wire", &["a:0", "b:0"]);
    let asked = format!("{}{}{}{wire}", node("a", 1), web("c", 1), node("b", 2));
    value(&slice.create(&request(&asked)).await);
    slice.comes_to("geni_ready").await;
    let described = value(&slice.all("Describe").await);
    let text = described.get("geni_rspec").unwrap();
    let ours = manifest(text);
    let told = read(&python, "manifest", text.as_text().unwrap());
    assert_eq!(told["expires"], json!(ours.expires));
    let nodes = told["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 3);
    for (theirs, ours) in nodes.iter().zip(&ours.nodes) {
        assert_eq!(theirs["name"], json!(ours.client_id));
        assert_eq!(theirs["sliver"], json!(ours.sliver_id));
        assert_eq!(theirs["component"], "urn:publicid:IDN+lab:one+node+rack");
        let host = ours.hosts[0].name.as_deref();
        assert_eq!(theirs["host"], json!(host));
        assert_eq!(theirs["logins"], json!([["alice", host, 22]]));
    }
    assert_eq!(
        nodes[0]["interfaces"],
        json!([["a:0", ["10.9.0.1", "255.255.255.0"]]])
    );
    assert_eq!(told["links"], json!([["wire", "0", 2]]));
}

#[test]
fn geni_lib_reads_a_request_of_ours() {
    let Some(python) = python("geni_lib_reads_a_request_of_ours") else {
        return;
    };
    let told = read(&python, "request", &ring(Kind::Request, 3).print());
    let nodes = told["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 3);
    assert_eq!(nodes[1]["name"], "node-1");
    assert_eq!(nodes[1]["interfaces"].as_array().unwrap().len(), 2);
    assert_eq!(told["links"][2], json!(["link-2", null, 2]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_geni_lib_asks_for_is_granted() {
    let Some(python) = python("what_geni_lib_asks_for_is_granted") else {
        return;
    };
    let lab = lab("geni-lib-asks").await;
    let other = "urn:publicid:IDN+other+authority+am";
    let asked = run(&python, "ask.py", &[AM, other]);
    for (n, links) in [(0, vec!["lan0"]), (1, vec!["here", "there"])] {
        let asked = asked[n].as_str().unwrap();
        assert_eq!(faults(&Rspec::parse(asked).unwrap(), Some(AM)), []);
        let slice = Slice::of(&lab, &format!("s{n}"));
        let alice = Value::of([
            ("urn", Value::text(lab.alice.urn.as_str())),
            ("keys", Value::Array(vec![Value::text(KEY)])),
        ]);
        let users = Value::Array(vec![alice]);
        let arguments = vec![
            slice.urn(),
            Value::Array(vec![Value::text(slice.credential.as_str())]),
            Value::text(asked),
            users,
            none(),
        ];
        let made = value(&slice.call(2, "CreateSliver", arguments).await);
        let made = Rspec::parse(made.as_text().unwrap()).unwrap();
        let told: Vec<&str> = made
            .links
            .iter()
            .filter_map(|link| link.client_id.as_deref())
            .collect();
        assert_eq!(told, links);
    }
}
