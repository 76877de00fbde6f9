//! The daemon, as people run it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::super::lab::Lab;
use super::APPLIANCE;
use crate::Result;

/// It answers 202 instead of waiting longer.
const WAIT_SECONDS: u64 = 600;

/// How often a daemon that starts is looked at, every 50 ms.
const LOOKS: u32 = 200;

#[derive(Debug)]
pub(in super::super) struct Daemon {
    child: Child,
    http: Client,
    base: String,
    token: String,
    // Goes away last.
    dir: TempDir,
}

impl Daemon {
    pub(super) async fn start(program: &Path, lab: &Lab, template: &str) -> Result<Self> {
        let dir = TempDir::new()?;
        let config = dir.path().join("operation-manager.toml");
        let told = dir.path().join("address");
        let made = Command::new(program)
            .args(["--json", "init", "--port", "0", "--installation"])
            .arg(format!("bench-{}", std::process::id()))
            .arg("--dir")
            .arg(dir.path())
            .output()
            .await
            .map_err(|e| format!("{}: {e}", program.display()))?;
        if !made.status.success() {
            return Err(format!("init: {}", String::from_utf8_lossy(&made.stderr)).into());
        }
        let made: Value = serde_json::from_slice(&made.stdout)?;
        let token = token(&made["operator_token"])?;
        let log = std::fs::File::create(dir.path().join("log"))?;
        let child = Command::new(program)
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .env("RM_LISTEN__ADDRESS_FILE", &told)
            .env("RM_LOG__LEVEL", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let mut this = Self {
            child,
            http: Client::builder()
                .timeout(Duration::from_secs(WAIT_SECONDS + 60))
                .build()?,
            base: String::new(),
            token,
            dir,
        };
        let address = this.address(&told).await?;
        this.base = format!("http://{address}");
        this.load(lab, template).await?;
        Ok(this)
    }

    /// Where it listens, as soon as it does.
    async fn address(&mut self, told: &PathBuf) -> Result<String> {
        for _ in 0..LOOKS {
            if let Ok(address) = std::fs::read_to_string(told) {
                return Ok(address.trim().to_owned());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the daemon ended: {status}: {}", self.log()).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(format!("the daemon does not start: {}", self.log()).into())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    async fn load(&self, lab: &Lab, template: &str) -> Result<()> {
        let account = &lab.account;
        let post = async |path, body: Value| self.call(Method::POST, path, Some(&body)).await;
        post(
            "/sites",
            json!({"name": "lab", "api": "openstack", "url": account.auth_url}),
        )
        .await?;
        let secret = json!({
            "username": account.username,
            "password": account.password,
            "project_name": account.project_name,
        });
        post(
            "/credentials",
            json!({"name": "mine", "site": "lab", "secret": secret}),
        )
        .await?;
        post("/appliances", json!({"name": APPLIANCE})).await?;
        post(
            "/implementations",
            json!({
                "appliance": APPLIANCE,
                "site_type": "openstack",
                "media_type": "application/vnd.openstack.heat+yaml",
                "body": template,
            }),
        )
        .await
        .map(drop)
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            return Err(format!("the daemon answers {status}: {text}").into());
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub(super) async fn one(&self, name: &str) -> Result<String> {
        let body = json!({
            "appliance": APPLIANCE, "name": name, "reuse": "never", "wait_seconds": WAIT_SECONDS,
        });
        let made = self.call(Method::POST, "/clusters", Some(&body)).await?;
        match (
            made["ready"].as_bool(),
            made["address"].as_str(),
            made["id"].as_str(),
        ) {
            (Some(true), Some(_), Some(id)) => Ok(id.to_owned()),
            _ => Err(format!("a cluster is not ready: {}", made["reason"]).into()),
        }
    }

    pub(super) async fn ids(&self) -> Result<Vec<String>> {
        let list = self.call(Method::GET, "/clusters?limit=500", None).await?;
        let items = list["items"].as_array().into_iter().flatten();
        Ok(items
            .filter_map(|c| c["id"].as_str().map(str::to_owned))
            .collect())
    }

    pub(super) async fn delete(&self, id: &str) -> Result<()> {
        let path = format!("/clusters/{id}?wait_seconds={WAIT_SECONDS}");
        let done = self.call(Method::DELETE, &path, None).await?;
        match done["deleted"].as_bool() {
            Some(true) => Ok(()),
            _ => Err("a cluster does not go".into()),
        }
    }

    pub(super) fn peak(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
        let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib / 1024.0)
    }

    pub(super) async fn stop(mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }
}

fn token(file: &Value) -> Result<String> {
    let file = file.as_str().ok_or("init names no token file")?;
    Ok(std::fs::read_to_string(file)?.trim().to_owned())
}
