//! The server that is measured, in a process of its own: GENI's door over a
//! simulated site and SQLite. Its engine is at rest, so that what is measured
//! are the calls and not what becomes of them.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rm_adapters::geni::credentials::{Roots, XmlVerifier};
use rm_adapters::geni::{self, Aggregate, GeniDoor};
use rm_adapters::{TokioEnv, door};
use rm_core::backend::Serves;
use rm_core::catalog::{NewCredential, NewImage, NewSite};
use rm_core::env::Env;
use rm_core::model::Node;
use rm_core::policy::{Policy, Quota};
use rm_core::store::Store;
use rm_core::{Caller, Host, Kind, Tenant};
use rm_store::{AeadSealer, SqliteStore, generate_key};
use rm_testkit::{SimCloud, SimConfig};
use serde_json::json;

use super::authority::{CERTIFICATE, KEY, ROOTS};
use super::documents::{AUTHORITY, CM};
use benches::{Result, status};

/// Sites of the catalog: each is a node of the advertisement.
const SITES: u32 = 20;

/// One that runs; it ends with this value.
pub(super) struct Server {
    child: Child,
    pub(super) url: String,
}

impl Server {
    /// Starts one with a store of its own in a folder that has what an
    /// authority keeps for it.
    pub(super) fn start(folder: &Path, store: &str, remembering: bool) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").arg(folder).arg(store);
        if remembering {
            command.arg("--remembering");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().ok_or("a process without output")?;
        let mut this = Self {
            child,
            url: String::new(),
        };
        BufReader::new(out).read_line(&mut this.url)?;
        this.url.truncate(this.url.trim_end().len());
        match this.url.is_empty() {
            true => Err("the server does not start".into()),
            false => Ok(this),
        }
    }

    /// Milliseconds of the processor that it has taken so far.
    pub(super) fn cpu(&self) -> Result<f64> {
        Ok(status::processor_of(self.child.id())? * 1e3)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What [`Server::start`] starts: says where it is, and serves until its
/// standard input ends.
pub(super) fn serve(folder: &Path, store: &str, remembering: bool) -> Result<()> {
    // As many threads as the daemon has.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(64)
        .enable_all()
        .build()?;
    runtime.block_on(serving(folder, store, remembering))
}

async fn serving(folder: &Path, store: &str, remembering: bool) -> Result<()> {
    let host = Arc::new(host(&folder.join(store))?);
    fill(&host).await?;
    let (listener, at) = door::listen("127.0.0.1:0").await?;
    let base = format!("https://{at}");
    let read = |name: &str| fs::read_to_string(folder.join(name));
    let mut door = GeniDoor::new(
        host,
        Aggregate::new(CM.parse()?, &base),
        Arc::new(Roots::new(folder.join(ROOTS))),
        &read(CERTIFICATE)?,
        &read(KEY)?,
    )?;
    if !remembering {
        door = door.verifying(Arc::new(XmlVerifier));
    }
    println!("{base}");
    let ended = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink()));
    door.serve(listener, async {
        let _ = ended.await;
    })
    .await;
    Ok(())
}

fn host(store: &Path) -> Result<Host> {
    let env: Arc<dyn Env> = Arc::new(TokioEnv::new());
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(store, Arc::clone(&env))?);
    // Each slice is a tenant, and has ten thousand nodes.
    let quota = Quota {
        clusters: None,
        nodes: None,
        lease_seconds: None,
    };
    let policy = Policy {
        quota,
        ..Policy::default()
    };
    let mut builder = Host::builder(env)
        .store(store)
        .sealer(Arc::new(AeadSealer::new(&[generate_key()?])?))
        .policy(policy);
    let serves = Serves {
        kind: Kind::from_static("vm.lxc"),
        api: rm_testkit::API.to_owned(),
        media: Vec::new(),
    };
    let cloud = SimCloud::new(SimConfig::default());
    let registries = builder.registries();
    registries.backend::<Node>("sim", serves, cloud)?;
    geni::register(registries)?;
    Ok(builder.build()?)
}

/// Loads its catalog; the first site can be used.
async fn fill(host: &Host) -> Result<()> {
    let operator = Caller::operator("operator", "operators");
    let catalog = host.catalog();
    for n in 0..SITES {
        let (name, url) = (format!("rack-{n}"), format!("sim://rack-{n}"));
        let site = NewSite::new(&name, rm_testkit::API, &url);
        catalog.add_site(&operator, site).await?;
    }
    let means = NewCredential {
        tenant: Some(Tenant(AUTHORITY.to_owned())),
        ..NewCredential::new("means", "rack-0", json!({"account": "geni"}))
    };
    catalog.add_credential(&operator, means).await?;
    let image = NewImage {
        name: "debian".to_owned(),
        source: "file:/images/debian".to_owned(),
        sha256: "0".repeat(64),
        disk_format: "tar".to_owned(),
    };
    catalog.add_image(&operator, image).await?;
    Ok(())
}
