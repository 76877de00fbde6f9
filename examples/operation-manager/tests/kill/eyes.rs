//! What a site says, not by way of the daemon.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rm_openstack::client::clouds::Clouds;
use rm_openstack::client::heat::{ResourceQuery, StackFilter};
use rm_openstack::client::{Heat, Session};
use serde_json::Value;

use crate::ground::{Ground, Made, facts};

pub(crate) enum Eyes {
    Heat(Heat),
    /// The folder in which the containers are.
    Lxc(PathBuf),
}

impl Eyes {
    pub(crate) fn open(ground: &Ground) -> Self {
        match ground {
            Ground::Heat(clouds) => Self::Heat(session(clouds)),
            Ground::Lxc(dir) => Self::Lxc(facts(dir)["lxcpath"].as_str().unwrap().into()),
        }
    }

    /// How many slaves each cluster has that is there under this label: none
    /// where nothing is there, two numbers where it is there twice.
    pub(crate) async fn sizes(&self, of: &Made) -> Vec<usize> {
        match self {
            Self::Heat(heat) => stacks(heat, &of.id).await,
            Self::Lxc(path) => containers(path, &of.label),
        }
    }

    /// What is there of an installation, whatever cluster it was of: a thing that
    /// came to be after its cluster was gone, too. Containers are looked for by the
    /// labels of their clusters.
    pub(crate) async fn left(&self, installation: &str) -> Vec<String> {
        let Self::Heat(heat) = self else {
            return Vec::new();
        };
        let filter = StackFilter {
            tags: vec!["resource-manager".to_owned()],
            ..StackFilter::default()
        };
        let mark = format!("rm={installation}/");
        let stacks = heat.list(&filter).await.unwrap().into_iter();
        let left = stacks.filter(|stack| {
            !stack.status.is_deleted() && stack.tags.iter().any(|tag| tag.starts_with(&mark))
        });
        left.map(|stack| format!("{} ({})", stack.name, stack.status))
            .collect()
    }
}

fn session(clouds: &Path) -> Heat {
    let profile = Clouds::load(clouds).unwrap().cloud("oslab").unwrap();
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis()
    };
    let clock = Arc::new(move || i64::try_from(now()).unwrap());
    Heat::new(Session::new(profile.session_config(clock).unwrap()).unwrap())
}

/// In Heat's own nested list.
async fn stacks(heat: &Heat, id: &str) -> Vec<usize> {
    let filter = StackFilter {
        tags: vec!["resource-manager".to_owned()],
        ..StackFilter::default()
    };
    let mut sizes = Vec::new();
    for stack in heat.list(&filter).await.unwrap() {
        let of_it = |tag: &String| tag.contains(&format!("/{id}/"));
        if stack.status.is_deleted() || !stack.tags.iter().any(of_it) {
            continue;
        }
        let query = ResourceQuery {
            nested_depth: 2,
            ..ResourceQuery::default()
        };
        let inside = heat.resources(&stack.reference(), &query).await.unwrap();
        let slaves = inside
            .iter()
            .filter(|r| r.parent_resource.as_deref() == Some("slave_group"));
        sizes.push(slaves.count());
    }
    sizes
}

/// By what the folders say of the containers in them, of which each runs.
fn containers(path: &Path, label: &str) -> Vec<usize> {
    let (mut masters, mut slaves) = (0, 0);
    let mut seen = std::collections::BTreeSet::new();
    for (host, state) in hosts(path, label) {
        assert!(
            seen.insert(host.clone()),
            "{host} of {label} is there twice"
        );
        assert_eq!(state, "RUNNING", "{host} of {label}");
        match host.starts_with("master") {
            true => masters += 1,
            false => slaves += 1,
        }
    }
    match masters {
        0 => assert_eq!(slaves, 0, "slaves of {label} without a master"),
        _ => assert_eq!(masters, 1, "masters of {label}"),
    }
    vec![slaves; masters]
}

/// The containers whose hosts are called `LABEL-NAME`, in order: each by its
/// NAME, with its state as LXC's own tool tells it.
pub(crate) fn hosts(path: &Path, label: &str) -> Vec<(String, String)> {
    let mut hosts = Vec::new();
    for folder in std::fs::read_dir(path).unwrap() {
        let folder = folder.unwrap();
        let Ok(text) = std::fs::read(folder.path().join("rm.json")) else {
            continue;
        };
        let says: Value = serde_json::from_slice(&text).unwrap();
        let host = says["spec"]["hostname"].as_str().unwrap_or_default();
        let Some(name) = host.strip_prefix(&format!("{label}-")) else {
            continue;
        };
        let mut info = Command::new("lxc-info");
        let told = info
            .arg("-P")
            .arg(path)
            .arg("-n")
            .arg(folder.file_name())
            .args(["-s", "-H"]);
        let told = told.output().unwrap().stdout;
        let state = String::from_utf8_lossy(&told).trim().to_owned();
        hosts.push((name.to_owned(), state));
    }
    hosts.sort_unstable();
    hosts
}
