//! A daemon with a catalog for the lab's cloud, and everything there is.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rm_adapters::TokioEnv;
use rm_core::store::Store;
use rm_openstack::client::clouds::Clouds;
use rm_store::SqliteStore;
use serde_json::{Value, json};

use crate::eyes::Eyes;
use crate::support::{Daemon, Home};

pub(crate) const TEMPLATE: &str = include_str!("../../../../lab/openstack/templates/minimal.yaml");
pub(crate) const HEAT: &str = "application/vnd.openstack.heat+yaml";

/// A cloud of many tests: ours is what bears this.
fn installation() -> String {
    format!("wrong-{}", std::process::id())
}

pub(crate) struct Stage {
    pub(crate) home: Home,
    pub(crate) daemon: Daemon,
    http: reqwest::Client,
    eyes: Eyes,
    mark: String,
}

impl Stage {
    /// With sites, credentials and an appliance. `edit` changes how the daemon
    /// is started.
    pub(crate) async fn open(clouds: &Path, edit: impl FnOnce(&Home, Command) -> Command) -> Self {
        let home = Home::new();
        let mut command = home.daemon("daemon");
        let mark = installation();
        command.env("RM_INSTALLATION__NAME", &mark);
        let mut command = edit(&home, command);
        let daemon = home.start("daemon", &mut command);
        let stage = Self {
            home,
            daemon,
            http: reqwest::Client::new(),
            eyes: Eyes::open(clouds),
            mark,
        };
        stage.load(clouds).await;
        stage
    }

    async fn load(&self, clouds: &Path) {
        let profile = Clouds::load(clouds).unwrap().cloud("oslab").unwrap();
        let url = profile.auth_url;
        let site = json!({"name": "lab", "api": "openstack", "url": url, "region": "RegionOne"});
        self.must("POST", "/sites", site).await;
        let secret = |password: &str, project: &str| json!({"username": "demo", "password": password, "project_name": project});
        for (name, secret) in [
            ("mine", secret("oslab-user", "demo")),
            ("wrong", secret("CANARY-password", "demo")),
            // The user is right, and has no role in that project.
            ("elsewhere", secret("oslab-user", "other")),
        ] {
            let credential = json!({"name": name, "site": "lab", "secret": secret});
            self.must("POST", "/credentials", credential).await;
        }
        let appliance = json!({"name": "cluster"});
        self.must("POST", "/appliances", appliance).await;
        let implementation = json!({
            "appliance": "cluster", "site_type": "openstack", "media_type": HEAT, "body": TEMPLATE,
        });
        self.must("POST", "/implementations", implementation).await;
    }

    /// A request of somebody's that is not sent yet.
    pub(crate) fn request(&self, who: &str, method: &str, path: &str) -> reqwest::RequestBuilder {
        let token = self.home.read(&format!("{who}.token"));
        self.http
            .request(
                method.parse().unwrap(),
                format!("{}{path}", self.daemon.server),
            )
            .bearer_auth(token.trim())
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::from(text)),
        )
    }

    pub(crate) async fn must(&self, method: &str, path: &str, body: Value) -> Value {
        let mut request = self.request("operator", method, path);
        if !body.is_null() {
            request = request.json(&body);
        }
        let (status, said) = self.send(request).await;
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {said}"
        );
        said
    }

    /// The catalog, the clusters and all events as an operator is told them,
    /// and what Heat lists of ours.
    pub(crate) async fn listings(&self) -> Value {
        let mut all = serde_json::Map::new();
        for path in [
            "/sites",
            "/credentials",
            "/appliances",
            "/implementations",
            "/images",
            "/clusters?all=true",
            "/events?after=0&limit=500",
        ] {
            let list = self
                .request("operator", "GET", path)
                .header("accept", "application/json");
            let (status, mut list) = self.send(list).await;
            assert_eq!(status, 200, "{list}");
            // Each look of the engine is written down.
            for item in list["items"].as_array_mut().into_iter().flatten() {
                item.as_object_mut().unwrap().remove("updated");
            }
            all.insert(path.to_owned(), list);
        }
        let stacks = self.eyes.stacks(&format!("rm={}/", self.mark)).await;
        all.insert("stacks".to_owned(), json!(stacks));
        Value::Object(all)
    }

    /// What the store itself holds, read beside the daemon.
    pub(crate) async fn rows(&self) -> Vec<String> {
        let store = SqliteStore::open(
            self.home.path("operation-manager.db"),
            Arc::new(TokioEnv::new()),
        )
        .unwrap();
        let mut rows = Vec::new();
        for space in [
            "catalog.site",
            "catalog.credential",
            "catalog.appliance",
            "catalog.implementation",
            "catalog.image",
            "engine.key",
            "engine.idempotency",
            "engine.account",
            "engine.outbox",
            "lambdalink.resource",
        ] {
            let page = store.documents(space, None, None, 1000).await.unwrap();
            let found = page.items.iter();
            rows.extend(found.map(|d| format!("{space} {} {}", d.record.id, d.version.0)));
        }
        for counter in ["operator", "user"].map(|t| ["clusters", "nodes"].map(|c| (t, c))) {
            for (tenant, counted) in counter {
                let name = format!("quota/{tenant}/{counted}");
                rows.push(format!("{name} {}", store.counter(&name).await.unwrap()));
            }
        }
        rows.push(format!("events {}", store.newest().await.unwrap()));
        rows
    }
}
