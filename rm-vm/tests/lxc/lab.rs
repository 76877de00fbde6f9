//! The lab, and a host program on it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures_util::future::{BoxFuture, FutureExt};
use rm_core::backend::Mark;
use rm_core::catalog::{Catalog, NewCredential, NewImage, NewSite};
use rm_core::env::{Env, Timestamp};
use rm_core::life::State;
use rm_core::manager::{ResourceManager, Terms, Want};
use rm_core::model::{Node, NodeImage, NodeSpec, Power};
use rm_core::policy::Policy;
use rm_core::resource::Resource;
use rm_core::store::{Batch, Outcome};
use rm_core::{Caller, Host, ResourceId, Result};
use rm_vm::backend::LXC;
use rm_vm::config::Config;
use rm_vm::plugin::LXC_API;
use serde_json::{Value, json};

#[derive(Debug)]
pub(crate) struct RealEnv;

#[async_trait]
impl Env for RealEnv {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
    }

    fn sleep(&self, d: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(d).boxed()
    }

    fn random(&self) -> u64 {
        use std::hash::{BuildHasher, Hasher};
        std::hash::RandomState::new().build_hasher().finish()
    }

    async fn reaches(&self, address: &str, port: u16) -> bool {
        let connected = tokio::net::TcpStream::connect((address, port));
        tokio::time::timeout(Duration::from_secs(2), connected)
            .await
            .is_ok_and(|c| c.is_ok())
    }
}

/// What the lab has.
#[derive(Debug, Clone)]
pub(crate) struct Lab {
    pub(crate) path: PathBuf,
    facts: Value,
}

impl Lab {
    /// The lab, or a line that says that the test was skipped.
    pub(crate) fn find(test: &str) -> Option<Self> {
        let Some(folder) = std::env::var_os("RM_LAB_LXC").map(PathBuf::from) else {
            assert!(
                std::env::var_os("RM_LAB_REQUIRED").is_none(),
                "RM_LAB_LXC is not set, and this run must not skip"
            );
            println!("SKIPPED lab: {test}: RM_LAB_LXC is not set");
            if let Some(log) = std::env::var_os("RM_SKIP_LOG") {
                use std::io::Write;
                let mut options = std::fs::OpenOptions::new();
                let mut log = options.append(true).create(true).open(log).unwrap();
                writeln!(log, "{test}: RM_LAB_LXC is not set").unwrap();
            }
            return None;
        };
        let text = std::fs::read_to_string(folder.join("lab.json")).unwrap();
        let facts: Value = serde_json::from_str(&text).unwrap();
        Some(Self {
            path: facts["lxcpath"].as_str().unwrap().into(),
            facts,
        })
    }

    fn fact(&self, at: &str) -> &str {
        self.facts.pointer(at).and_then(Value::as_str).unwrap()
    }

    pub(crate) fn site(&self) -> NewSite {
        NewSite::new("lab", "lxc", &format!("file:{}", self.path.display()))
    }

    /// The section `[vm]` for this lab.
    pub(crate) fn section(&self) -> Value {
        json!({
            "vcpus_per_cpu": 1000,
            "stop_grace_seconds": 3,
            "sites": {"lab": {
                "bridge": self.fact("/bridge"),
                "pools": [
                    {"first": self.fact("/ipv4/first"), "last": self.fact("/ipv4/last"), "prefix": 24},
                    {"first": self.fact("/ipv6/first"), "last": self.fact("/ipv6/last"), "prefix": 64},
                ],
            }},
        })
    }

    pub(crate) fn config(&self) -> Config {
        serde_json::from_value(self.section()).unwrap()
    }

    /// Puts the lab's image into a catalog.
    pub(crate) async fn image(&self, catalog: &Catalog, who: &Caller) -> Result<()> {
        let new = NewImage {
            name: "small".to_owned(),
            source: format!("file:{}", self.fact("/image/archive")),
            sha256: self.fact("/image/sha256").to_owned(),
            disk_format: "rootfs".to_owned(),
        };
        catalog.add_image(who, new).await.map(|_| ())
    }

    /// A small node of that image.
    pub(crate) fn spec(&self) -> NodeSpec {
        let image = NodeImage {
            name: "small".to_owned(),
            sha256: self.fact("/image/sha256").to_owned(),
        };
        serde_json::from_value(json!({"image": image, "vcpus": 1, "memory_mib": 64})).unwrap()
    }

    /// What a tool of LXC says of a container.
    pub(crate) fn tool(&self, tool: &str, name: &str, args: &[&str]) -> String {
        let mut command = Command::new(tool);
        command.arg("-P").arg(&self.path).args(["-n", name]);
        let out = command.args(args).output().unwrap();
        format!(
            "{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        )
    }

    /// What a command in a container prints.
    pub(crate) fn inside(&self, name: &str, command: &str) -> String {
        let out = self.tool("lxc-attach", name, &["--", "/bin/sh", "-c", command]);
        out.trim().to_owned()
    }

    /// `RUNNING`, `STOPPED`, ...
    pub(crate) fn state(&self, name: &str) -> String {
        self.tool("lxc-info", name, &["-s", "-H"]).trim().to_owned()
    }

    /// The containers that bear a mark, and the mark.
    pub(crate) fn marked(&self) -> Vec<(String, Mark)> {
        let Ok(folders) = std::fs::read_dir(&self.path) else {
            return Vec::new();
        };
        let mark = |name: String| {
            let text = std::fs::read(self.path.join(&name).join("rm.json")).ok()?;
            let mut told: Value = serde_json::from_slice(&text).ok()?;
            Some((name, serde_json::from_value(told["mark"].take()).unwrap()))
        };
        let names = folders.map(|f| f.unwrap().file_name().into_string().unwrap());
        names.filter_map(mark).collect()
    }
}

/// A host program with the lab as its site.
pub(crate) struct Program {
    pub(crate) host: Arc<Host>,
    pub(crate) operator: Caller,
    pub(crate) user: Caller,
    engine: tokio::task::JoinHandle<Result<()>>,
}

impl Drop for Program {
    fn drop(&mut self) {
        self.engine.abort();
    }
}

impl Program {
    pub(crate) async fn on(lab: &Lab) -> Self {
        Self::of(
            lab,
            &format!("t{:012x}", RealEnv.random() >> 16),
            lab.section(),
        )
        .await
    }

    /// Of an installation of this name, with this section, and a new store.
    pub(crate) async fn of(lab: &Lab, installation: &str, section: Value) -> Self {
        let env: Arc<dyn Env> = Arc::new(RealEnv);
        let policy = Policy {
            sweep: Duration::from_secs(1),
            ..Policy::default()
        };
        let mut builder = Host::builder(env).policy(policy).installation(installation);
        builder
            .registries()
            .install(&rm_vm::PLUGIN, Some(&section))
            .unwrap();
        let host = Arc::new(builder.build().unwrap());
        let engine = host.engine();
        let engine = tokio::spawn(async move { engine.run(std::future::pending()).await });
        let program = Self {
            host,
            operator: Caller::operator("op", "ops"),
            user: Caller::user("ada", "physics"),
            engine,
        };
        let catalog = program.host.catalog();
        catalog
            .add_site(&program.operator, lab.site())
            .await
            .unwrap();
        let means = NewCredential::new("mine", "lab", json!({}));
        catalog.add_credential(&program.user, means).await.unwrap();
        lab.image(catalog, &program.operator).await.unwrap();
        program
    }

    pub(crate) fn manager(&self) -> Arc<dyn ResourceManager<Node>> {
        let all = self.host.managers().serving::<Node>(&LXC).unwrap();
        all.into_iter()
            .find(|manager| manager.serves().api == LXC_API)
            .unwrap()
    }

    /// Asks for a node; the refusal of what cannot be.
    pub(crate) async fn ask(&self, spec: NodeSpec, reserve: bool) -> Result<ResourceId> {
        let catalog = self.host.catalog();
        let want = Want::<Node> {
            site: catalog.site("lab").await?,
            credential: catalog.credential(&self.user, "mine").await?.id,
            spec,
            key: None,
        };
        let offers = self.manager().offers(&self.user, &want).await?;
        let terms = Terms {
            name: "a node".to_owned(),
            reserve,
            ..Terms::default()
        };
        let mut batch = Batch::default();
        let (id, _) = self
            .manager()
            .prepare(&self.user, &offers, &terms, &mut batch)?;
        let done = self.host.store().commit(batch).await?;
        assert!(matches!(done, Outcome::Done(_)));
        Ok(id)
    }

    pub(crate) async fn get(&self, id: ResourceId) -> Resource<Node> {
        self.manager().get(&self.user, id).await.unwrap()
    }

    /// As it is when what is wanted of it is seen, or it has failed.
    pub(crate) async fn settled(&self, id: ResourceId) -> Resource<Node> {
        for _ in 0..1200 {
            let node = self.get(id).await;
            let r = node.record();
            if r.seen.is_settled() && r.seen_generation == r.generation {
                return node;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "not settled within a minute: {:#?}",
            self.get(id).await.record()
        );
    }

    pub(crate) async fn ready(&self, id: ResourceId) -> Resource<Node> {
        let node = self.settled(id).await;
        assert_eq!(node.record().seen, State::Ready, "{:#?}", node.record());
        node
    }

    /// Gives it up and waits until it is gone.
    pub(crate) async fn end(&self, id: ResourceId) {
        let node = self.get(id).await;
        node.release(&self.user, None).await.unwrap();
        for _ in 0..600 {
            if self.host.store().resource(id).await.unwrap().is_none() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not gone: {:#?}", self.get(id).await.record());
    }

    /// A node that runs, and its name at the host.
    pub(crate) async fn node(&self, spec: NodeSpec) -> (ResourceId, String) {
        assert_eq!(spec.power, Power::Running);
        let id = self.ask(spec, false).await.unwrap();
        let node = self.ready(id).await;
        (id, node.view().unwrap().name)
    }
}
