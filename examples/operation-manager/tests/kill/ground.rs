//! Where the daemon makes its clusters: on a real Heat, or of real containers.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rm_openstack::client::clouds::Clouds;
use serde_json::{Value, json};

const TEMPLATE: &str = include_str!("../../../../lab/openstack/templates/minimal.yaml");

/// A real site, brought up by somebody else.
#[derive(Debug, Clone)]
pub(crate) enum Ground {
    /// The cloud of this `clouds.yaml`.
    Heat(PathBuf),
    /// The lab of containers in this folder.
    Lxc(PathBuf),
}

/// A cluster that was asked for.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) id: String,
    /// By which its containers are known, whatever became of its record.
    pub(crate) label: String,
}

impl Ground {
    /// The cloud of the run; none, said aloud, where there is none.
    pub(crate) fn heat(test: &str) -> Option<Self> {
        needs::lab(test, "RM_LAB_CLOUDS").map(Self::Heat)
    }

    /// The containers of the run; none, said aloud, where there are none.
    pub(crate) fn lxc(test: &str) -> Option<Self> {
        needs::lab(test, "RM_LAB_LXC").map(Self::Lxc)
    }

    /// What the configuration of the daemon says of it.
    pub(crate) fn section(&self) -> String {
        let Self::Lxc(dir) = self else {
            return String::new();
        };
        let lab = facts(dir);
        let text = |at: &str| lab.pointer(at).and_then(Value::as_str).unwrap().to_owned();
        format!(
            "\n[vm]\nvcpus_per_cpu = 1000\n[vm.sites.lab]\nbridge = \"{}\"\n\
             pools = [{{first = \"{}\", last = \"{}\", prefix = 24}}]\n",
            text("/bridge"),
            text("/ipv4/first"),
            text("/ipv4/last"),
        )
    }

    /// What its catalog has: paths, and what is posted there in this order.
    pub(crate) fn catalog(&self) -> Vec<(&'static str, Value)> {
        let appliance = ("/appliances", json!({"name": "cluster"}));
        match self {
            Self::Heat(clouds) => {
                let cloud = Clouds::load(clouds).unwrap().cloud("oslab").unwrap();
                let secret = json!({
                    "username": "demo", "password": "oslab-user", "project_name": "demo",
                });
                vec![
                    (
                        "/sites",
                        json!({
                            "name": "lab", "api": "openstack", "url": cloud.auth_url,
                            "region": "RegionOne",
                        }),
                    ),
                    (
                        "/credentials",
                        json!({"name": "mine", "site": "lab", "secret": secret}),
                    ),
                    appliance,
                    (
                        "/implementations",
                        json!({
                            "appliance": "cluster",
                            "site_type": "openstack",
                            "media_type": "application/vnd.openstack.heat+yaml",
                            "body": TEMPLATE,
                        }),
                    ),
                ]
            }
            Self::Lxc(dir) => {
                let lab = facts(dir);
                let path = lab["lxcpath"].as_str().unwrap();
                let archive = lab["image"]["archive"].as_str().unwrap();
                vec![
                    (
                        "/sites",
                        json!({"name": "lab", "api": "lxc", "url": format!("file:{path}")}),
                    ),
                    (
                        "/credentials",
                        json!({"name": "mine", "site": "lab", "secret": {}}),
                    ),
                    (
                        "/images",
                        json!({
                            "name": "small", "source": format!("file:{archive}"),
                            "sha256": lab["image"]["sha256"], "disk_format": "rootfs",
                        }),
                    ),
                    appliance,
                    (
                        "/implementations",
                        json!({
                            "appliance": "cluster",
                            "site_type": "lxc",
                            "media_type": "application/vnd.resource-manager.nodes+json",
                            "body": containers().to_string(),
                        }),
                    ),
                ]
            }
        }
    }

    /// What is asked for, and the label by which it is known.
    pub(crate) fn request(&self) -> (Value, String) {
        let label = fresh_label();
        let mut body = json!({"appliance": "cluster", "slaves": 1, "reuse": "never"});
        if let Self::Lxc(_) = self {
            body["parameters"] = json!({"label": label});
        }
        (body, label)
    }
}

/// A master, and slaves that know it.
fn containers() -> Value {
    let role = |name: &str, count: Value, more: &str| {
        json!({"name": name, "count": count, "node": {
            "image": "small", "vcpus": 1, "memory_mib": 64,
            "hostname": "{{label}}-{{role}}{{index}}", "boot_commands": [more],
        }})
    };
    json!({
        "roles": [
            role("master", json!(1), "true"),
            role("slave", json!("slaves"), "echo {{master_ip}} > /master"),
        ],
        "master": "master",
        "parameters": {"label": "none"},
    })
}

/// What the lab of a folder says of itself.
pub(crate) fn facts(dir: &Path) -> Value {
    let text = std::fs::read(dir.join("lab.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// One that nobody else has.
fn fresh_label() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("k{}-{n}", std::process::id())
}
