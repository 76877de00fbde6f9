//! The daemon is killed with -9 in the middle of create, resize and delete on
//! a real Heat, and started again: exactly one stack a cluster, none left over.
//!
//! What is claimed about the cloud is read from Heat by a session of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, and what they share"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rm_openstack::client::clouds::Clouds;
use rm_openstack::client::heat::{ResourceQuery, StackFilter};
use rm_openstack::client::{Heat, Session};
use serde_json::{Value, json};

/// Kills of each operation; the campaign sets more.
fn kills() -> u32 {
    let given = std::env::var("RM_KILLS").ok().and_then(|n| n.parse().ok());
    given.unwrap_or(4)
}

const TEMPLATE: &str = include_str!("../../../lab/openstack/templates/minimal.yaml");

struct Daemon {
    folder: PathBuf,
    child: Child,
    base: String,
    token: String,
    http: reqwest::Client,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    fn command() -> Command {
        Command::new(env!("CARGO_BIN_EXE_operation-manager"))
    }

    async fn first(folder: &Path) -> Self {
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port().to_string()
        };
        let done = Self::command()
            .args(["init", "--port", &port, "--dir"])
            .arg(folder)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        let token = std::fs::read_to_string(folder.join("operator.token")).unwrap();
        let daemon = Self {
            child: Self::start(folder),
            folder: folder.to_owned(),
            base: format!("http://127.0.0.1:{port}"),
            token: token.trim().to_owned(),
            http: reqwest::Client::new(),
        };
        daemon.up().await;
        daemon
    }

    fn start(folder: &Path) -> Child {
        let mut child = Self::command()
            .args(["serve", "--config"])
            .arg(folder.join("operation-manager.toml"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Somebody must read it, or the daemon would block; the test shows it
        // where it fails.
        let log = child.stderr.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                if line.contains("WARN") || line.contains("ERROR") {
                    println!("daemon: {line}");
                }
            }
        });
        child
    }

    async fn up(&self) {
        for _ in 0..300 {
            let asked = self.http.get(format!("{}/health/ready", self.base)).send();
            if asked.await.is_ok_and(|a| a.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the daemon does not come up");
    }

    async fn kill_and_start(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = Self::start(&self.folder);
        self.up().await;
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = method.parse().unwrap();
        let mut ask = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token)
            .header("Prefer", "respond-async");
        if let Some(body) = body {
            ask = ask.json(&body);
        }
        let answer = ask.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    async fn must(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.call(method, path, body).await;
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {answer}"
        );
        answer
    }

    /// Waits until the cluster is ready; panics where it fails.
    async fn ready(&self, id: &str) -> Value {
        for _ in 0..1500 {
            let cluster = self.must("GET", &format!("/clusters/{id}"), None).await;
            match cluster["state"].as_str() {
                Some("ready") if cluster["ready"] == true => return cluster,
                Some("failed" | "quarantined") => panic!("{cluster:#}"),
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        panic!("the cluster does not get ready");
    }

    async fn gone(&self, id: &str) {
        for _ in 0..1500 {
            let (status, _) = self.call("GET", &format!("/clusters/{id}"), None).await;
            if status == 404 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the cluster does not go");
    }

    async fn create(&self) -> String {
        let body = json!({"appliance": "cluster", "slaves": 1, "reuse": "never"});
        let made = self.must("POST", "/clusters", Some(body)).await;
        made["id"].as_str().unwrap().to_owned()
    }
}

struct Eyes(Heat);

impl Eyes {
    fn open(clouds: &Path) -> Self {
        let profile = Clouds::load(clouds).unwrap().cloud("oslab").unwrap();
        let now = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_millis()
        };
        let clock = Arc::new(move || i64::try_from(now()).unwrap());
        Self(Heat::new(
            Session::new(profile.session_config(clock).unwrap()).unwrap(),
        ))
    }

    /// How many slaves each living stack of the cluster has, in Heat's own
    /// nested list.
    async fn sizes(&self, id: &str) -> Vec<usize> {
        let filter = StackFilter {
            tags: vec![format!("rm.resource={id}")],
            ..StackFilter::default()
        };
        let mut sizes = Vec::new();
        for stack in self.0.list(&filter).await.unwrap() {
            if stack.status.is_deleted() {
                continue;
            }
            let query = ResourceQuery {
                nested_depth: 2,
                ..ResourceQuery::default()
            };
            let inside = self.0.resources(&stack.reference(), &query).await.unwrap();
            let slaves = inside
                .iter()
                .filter(|r| r.parent_resource.as_deref() == Some("slave_group"));
            sizes.push(slaves.count());
        }
        sizes
    }
}

fn clouds(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("RM_LAB_CLOUDS").map(PathBuf::from);
    if path.is_none() {
        assert!(std::env::var_os("RM_LAB_REQUIRED").is_none(), "no cloud");
        println!("SKIPPED lab: {test}: RM_LAB_CLOUDS is not set");
        if let Some(log) = std::env::var_os("RM_SKIP_LOG") {
            use std::io::Write;
            let mut options = std::fs::OpenOptions::new();
            let mut log = options.append(true).create(true).open(log).unwrap();
            writeln!(log, "{test}: RM_LAB_CLOUDS is not set").unwrap();
        }
    }
    path
}

/// Moments spread evenly over an operation that takes `whole`.
fn moment(kill: u32, of: u32, whole: Duration) -> Duration {
    whole * (2 * kill + 1) / (2 * of)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_it_goes_on_with_exactly_one_stack_a_cluster() {
    let Some(clouds) = clouds("killed_anywhere_it_goes_on") else {
        return;
    };
    let folder = tempfile::TempDir::new().unwrap();
    let mut daemon = Daemon::first(folder.path()).await;
    let eyes = Eyes::open(&clouds);
    let url = Clouds::load(&clouds)
        .unwrap()
        .cloud("oslab")
        .unwrap()
        .auth_url;
    let site = json!({"name": "lab", "api": "openstack", "url": url, "region": "RegionOne"});
    daemon.must("POST", "/sites", Some(site)).await;
    let secret = json!({"username": "demo", "password": "oslab-user", "project_name": "demo"});
    let credential = json!({"name": "mine", "site": "lab", "secret": secret});
    daemon.must("POST", "/credentials", Some(credential)).await;
    daemon
        .must("POST", "/appliances", Some(json!({"name": "cluster"})))
        .await;
    let implementation = json!({
        "appliance": "cluster",
        "site_type": "openstack",
        "media_type": "application/vnd.openstack.heat+yaml",
        "body": TEMPLATE,
    });
    daemon
        .must("POST", "/implementations", Some(implementation))
        .await;

    // How long each takes when nobody interferes.
    let began = Instant::now();
    let id = daemon.create().await;
    daemon.ready(&id).await;
    let create = began.elapsed();
    let path = format!("/clusters/{id}");
    let began = Instant::now();
    daemon
        .must("PATCH", &path, Some(json!({"slaves": 2})))
        .await;
    daemon.ready(&id).await;
    let resize = began.elapsed();
    let began = Instant::now();
    daemon.must("DELETE", &path, None).await;
    daemon.gone(&id).await;
    let delete = began.elapsed();
    println!("undisturbed: create {create:.1?}, resize {resize:.1?}, delete {delete:.1?}");

    let mut spread: Vec<String> = Vec::new();
    for kill in 0..kills() {
        let after = moment(kill, kills(), create);
        let id = daemon.create().await;
        tokio::time::sleep(after).await;
        daemon.kill_and_start().await;
        daemon.ready(&id).await;
        assert_eq!(
            eyes.sizes(&id).await,
            [1],
            "killed {after:.1?} into a create"
        );
        spread.push(format!("create+{after:.1?}"));

        let path = format!("/clusters/{id}");
        let after = moment(kill, kills(), resize);
        daemon
            .must("PATCH", &path, Some(json!({"slaves": 3})))
            .await;
        tokio::time::sleep(after).await;
        daemon.kill_and_start().await;
        let cluster = daemon.ready(&id).await;
        assert_eq!(cluster["hosts"].as_array().unwrap().len(), 4);
        assert_eq!(
            eyes.sizes(&id).await,
            [3],
            "killed {after:.1?} into a resize"
        );
        spread.push(format!("resize+{after:.1?}"));

        let after = moment(kill, kills(), delete);
        daemon.must("DELETE", &path, None).await;
        tokio::time::sleep(after).await;
        daemon.kill_and_start().await;
        daemon.gone(&id).await;
        assert!(
            eyes.sizes(&id).await.is_empty(),
            "killed {after:.1?} into a delete"
        );
        spread.push(format!("delete+{after:.1?}"));
    }
    println!("killed at: {}", spread.join(", "));
}
