//! A daemon with a catalog for a real site, driven over HTTP.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::ground::{Ground, Made};

/// How long an operation may take where the machine does other things, and
/// where an unknown outcome is waited for.
const TENTHS: u32 = 3000;

pub(crate) struct Daemon {
    folder: PathBuf,
    port: u16,
    pub(crate) child: Child,
    token: String,
    http: reqwest::Client,
    ground: Ground,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // One that is stopped dies of it, too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

impl Daemon {
    pub(crate) fn command() -> Command {
        Command::new(env!("CARGO_BIN_EXE_operation-manager"))
    }

    /// The first one over a new store in this folder, its catalog loaded.
    pub(crate) async fn first(folder: &Path, ground: &Ground) -> Self {
        Self::first_with(folder, ground, "").await
    }

    /// The same, with more in its configuration.
    pub(crate) async fn first_with(folder: &Path, ground: &Ground, more: &str) -> Self {
        let port = free_port();
        let done = Self::command()
            // What it makes is told from what the daemons of other tests make.
            .args(["init", "--installation", &installation_in(folder)])
            .args(["--port", &port.to_string(), "--dir"])
            .arg(folder)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        let config = folder.join("operation-manager.toml");
        let text = std::fs::read_to_string(&config).unwrap() + &ground.section() + more;
        std::fs::write(&config, text).unwrap();
        let daemon = Self::over(folder, port, ground.clone()).await;
        let client = daemon.client();
        for (path, body) in ground.catalog() {
            client.must("POST", path, Some(body)).await;
        }
        daemon
    }

    /// Another one over the same store.
    pub(crate) async fn second(&self) -> Self {
        Self::over(&self.folder, free_port(), self.ground.clone()).await
    }

    /// What its things bear in their marks.
    pub(crate) fn installation(&self) -> String {
        installation_in(&self.folder)
    }

    async fn over(folder: &Path, port: u16, ground: Ground) -> Self {
        let token = std::fs::read_to_string(folder.join("operator.token")).unwrap();
        let daemon = Self {
            child: Self::start(folder, port),
            folder: folder.to_owned(),
            port,
            token: token.trim().to_owned(),
            http: reqwest::Client::new(),
            ground,
        };
        daemon.up().await;
        daemon
    }

    fn start(folder: &Path, port: u16) -> Child {
        let mut child = Self::command()
            .args(["serve", "--config"])
            .arg(folder.join("operation-manager.toml"))
            .env("RM_LISTEN__PORT", port.to_string())
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

    fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until it answers.
    pub(crate) async fn up(&self) {
        for _ in 0..600 {
            let asked = self
                .http
                .get(format!("{}/health/ready", self.base()))
                .send();
            if asked.await.is_ok_and(|a| a.status().is_success()) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the daemon does not come up");
    }

    pub(crate) async fn kill_and_start(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = Self::start(&self.folder, self.port);
        self.up().await;
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success(), "kill -s {name}");
    }

    /// How to reach it, also for those who go on while it is killed.
    pub(crate) fn client(&self) -> Client {
        Client {
            base: self.base(),
            token: self.token.clone(),
            http: self.http.clone(),
            ground: self.ground.clone(),
        }
    }
}

/// The name of the installation whose store is in this folder, which has a name
/// that no other has.
fn installation_in(folder: &Path) -> String {
    let name = folder.file_name().unwrap().to_str().unwrap();
    let plain = name.chars().filter(char::is_ascii_alphanumeric);
    format!("k{}", plain.collect::<String>().to_lowercase())
}

/// Speaks with a daemon that may be killed and started again at any moment:
/// what got no answer is asked again.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    base: String,
    token: String,
    http: reqwest::Client,
    ground: Ground,
}

impl Client {
    /// One request, until it is answered.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let key = fresh_key();
        for _ in 0..600 {
            let mut ask = self
                .http
                .request(method.parse().unwrap(), format!("{}{path}", self.base))
                .bearer_auth(&self.token)
                .header("Prefer", "respond-async")
                .timeout(Duration::from_secs(30));
            if method == "POST" && path == "/clusters" {
                ask = ask.header("Idempotency-Key", &key);
            }
            if let Some(body) = &body {
                ask = ask.json(body);
            }
            if let Ok(answer) = ask.send().await
                && let status = answer.status().as_u16()
                && let Ok(bytes) = answer.bytes().await
            {
                return (
                    status,
                    serde_json::from_slice(&bytes).unwrap_or(Value::Null),
                );
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{method} {path} gets no answer");
    }

    pub(crate) async fn must(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.call(method, path, body).await;
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {answer}"
        );
        answer
    }

    /// Waits until the cluster is ready; panics where it fails.
    pub(crate) async fn ready(&self, of: &Made) -> Value {
        let mut cluster = Value::Null;
        for _ in 0..TENTHS {
            cluster = self
                .must("GET", &format!("/clusters/{}", of.id), None)
                .await;
            match cluster["state"].as_str() {
                Some("ready") if cluster["ready"] == true => return cluster,
                Some("failed" | "quarantined") => panic!("{cluster:#}"),
                _ => sleep(Duration::from_millis(100)).await,
            }
        }
        panic!("the cluster does not get ready: {cluster:#}");
    }

    pub(crate) async fn gone(&self, of: &Made) {
        let mut last = Value::Null;
        for _ in 0..TENTHS {
            let (status, answer) = self
                .call("GET", &format!("/clusters/{}", of.id), None)
                .await;
            if status == 404 {
                return;
            }
            last = answer;
            sleep(Duration::from_millis(100)).await;
        }
        panic!("the cluster does not go: {last:#}");
    }

    /// Asks for one with one slave.
    pub(crate) async fn create(&self) -> Made {
        let (body, label) = self.ground.request();
        let made = self.must("POST", "/clusters", Some(body)).await;
        let id = made["id"].as_str().unwrap().to_owned();
        Made { id, label }
    }

    pub(crate) async fn resize(&self, of: &Made, slaves: u32) {
        let size = json!({"slaves": slaves});
        self.must("PATCH", &format!("/clusters/{}", of.id), Some(size))
            .await;
    }

    pub(crate) async fn delete(&self, of: &Made) {
        let (status, said) = self
            .call("DELETE", &format!("/clusters/{}", of.id), None)
            .await;
        // An answer that was lost makes it the second time.
        assert!(
            (200..300).contains(&status) || [404, 409].contains(&status),
            "{status} {said}"
        );
    }
}

/// A key that no other request has.
fn fresh_key() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{n}", std::process::id())
}
