//! An aggregate with its door open on a listener, and clients of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use rm_adapters::geni::credentials::Roots;
use rm_adapters::geni::xmlrpc::{Call, Value, answer};
use rm_adapters::geni::{self, Aggregate, GeniDoor};
use rm_core::backend::Serves;
use rm_core::catalog::{NewCredential, NewImage, NewSite};
use rm_core::env::{Env, Timestamp};
use rm_core::model::Node;
use rm_core::registry::Registries;
use rm_core::store::{MemoryStore, Store};
use rm_core::{Caller, Host, Kind, Tenant};
use rm_testkit::{SimCloud, SimConfig};
use tokio::sync::watch;

use super::authority::{Draft, Party, Sign, envelope};

/// It is always the same evening, or so many milliseconds later; no number is
/// drawn twice. Whoever waits does so for as long as is said; the five seconds
/// for which all sites are waited for are so many times less where that is not
/// zero.
#[derive(Debug, Default)]
pub(crate) struct Evening(pub(crate) AtomicI64, AtomicU64, pub(crate) AtomicU32);

#[async_trait]
impl Env for Evening {
    fn now(&self) -> Timestamp {
        let evening = Timestamp::parse("2026-11-21T20:00:00Z").unwrap();
        Timestamp::from_millis(evening.millis() + self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, d: Duration) -> BoxFuture<'static, ()> {
        let less = match d == Duration::from_secs(5) {
            true => self.2.load(Ordering::SeqCst).max(1),
            false => 1,
        };
        Box::pin(tokio::time::sleep(d / less))
    }

    fn random(&self) -> u64 {
        let n = self.1.fetch_add(1, Ordering::SeqCst) + 1;
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15).reverse_bits()
    }

    async fn reaches(&self, _address: &str, _port: u16) -> bool {
        true
    }
}

/// An aggregate with its door open, and who calls.
pub(crate) struct Lab {
    pub(crate) sa: Party,
    pub(crate) alice: Party,
    pub(crate) bob: Party,
    pub(crate) stranger: Party,
    pub(crate) am: Party,
    pub(crate) door: GeniDoor,
    pub(crate) base: String,
    pub(crate) folder: PathBuf,
    pub(crate) evening: Arc<Evening>,
    pub(crate) host: Arc<Host>,
    pub(crate) cloud: Arc<SimCloud>,
    pub(crate) stop: watch::Sender<bool>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(crate) async fn lab(name: &str) -> Lab {
    lab_with(name, |door| door).await
}

/// With something about the door changed.
pub(crate) async fn lab_with(name: &str, change: impl FnOnce(GeniDoor) -> GeniDoor) -> Lab {
    lab_of(name, |all| geni::register(all).unwrap(), change).await
}

/// With other adapters, too.
pub(crate) async fn lab_of(
    name: &str,
    adapters: impl FnOnce(&mut Registries),
    change: impl FnOnce(GeniDoor) -> GeniDoor,
) -> Lab {
    lab_at(name, SimConfig::default(), adapters, change).await
}

/// With another site.
pub(crate) async fn lab_at(
    name: &str,
    config: SimConfig,
    adapters: impl FnOnce(&mut Registries),
    change: impl FnOnce(GeniDoor) -> GeniDoor,
) -> Lab {
    let urn = |rest: &str| format!("urn:publicid:IDN+lab:one+{rest}");
    let root = Party::root("urn:publicid:IDN+lab+authority+root");
    let sa = root.makes(&urn("authority+sa"), true, 2040);
    let am = root.makes(&urn("authority+am"), true, 2040);
    let folder = std::env::temp_dir().join(format!("rm-geni-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("root.pem"), root.pem()).unwrap();

    let evening = Arc::new(Evening::default());
    let cloud = SimCloud::new(config);
    let store = MemoryStore::new(Arc::<Evening>::clone(&evening) as _);
    let host = host(&evening, &cloud, Arc::new(store), adapters);
    let operator = Caller::operator("root", "ops");
    let catalog = host.catalog();
    catalog
        .add_site(&operator, NewSite::new("rack", "sim", "sim://rack"))
        .await
        .unwrap();
    // By this the aggregate uses the site.
    let means = NewCredential {
        tenant: Some(Tenant("lab:one".to_owned())),
        ..NewCredential::new("rack", "rack", serde_json::json!({"account": "geni"}))
    };
    catalog.add_credential(&operator, means).await.unwrap();
    let image = NewImage {
        name: "debian".to_owned(),
        source: "file:/images/debian".to_owned(),
        sha256: "0".repeat(64),
        disk_format: "tar".to_owned(),
    };
    catalog.add_image(&operator, image).await.unwrap();

    let (door, base, stop) = open(&host, &am, &folder, |_| {}, change).await;
    Lab {
        alice: sa.makes(&urn("user+alice"), false, 2040),
        bob: sa.makes(&urn("user+bob"), false, 2040),
        stranger: Party::root(&urn("authority+sa")),
        sa,
        am,
        door,
        base,
        folder,
        evening,
        host,
        cloud,
        stop,
    }
}

fn host(
    evening: &Arc<Evening>,
    cloud: &Arc<SimCloud>,
    store: Arc<dyn Store>,
    adapters: impl FnOnce(&mut Registries),
) -> Arc<Host> {
    let env: Arc<dyn Env> = Arc::<Evening>::clone(evening);
    let mut builder = Host::builder(env).store(store);
    let serves = Serves {
        kind: Kind::from_static("vm.lxc"),
        api: "sim".to_owned(),
        media: Vec::new(),
    };
    builder
        .registries()
        .backend::<Node>("sim", serves, Arc::clone(cloud) as _)
        .unwrap();
    adapters(builder.registries());
    Arc::new(builder.build().unwrap())
}

/// Opens a door; answers where it is, and how it is closed.
async fn open(
    host: &Arc<Host>,
    am: &Party,
    roots: &Path,
    says: impl FnOnce(&mut Aggregate),
    change: impl FnOnce(GeniDoor) -> GeniDoor,
) -> (GeniDoor, String, watch::Sender<bool>) {
    let (listener, address) = rm_adapters::door::listen("127.0.0.1:0").await.unwrap();
    let base = format!("https://127.0.0.1:{}", address.port());
    let mut aggregate = Aggregate::new(am.urn.clone(), &base);
    says(&mut aggregate);
    let roots = Arc::new(Roots::new(roots));
    let (chain, key) = (am.chain(), am.key_pem());
    let door = GeniDoor::new(Arc::clone(host), aggregate, roots, &chain, &key).unwrap();
    let door = change(door);
    let (stop, mut stopped) = watch::channel(false);
    let serving = door.clone();
    tokio::spawn(async move {
        let stopped = async move {
            let _ = stopped.wait_for(|s| *s).await;
        };
        serving.serve(listener, stopped).await;
    });
    (door, base, stop)
}

impl Lab {
    /// The process ends, and another one begins with the same store.
    pub(crate) async fn restart(&mut self) {
        let store = Arc::clone(self.host.store());
        self.restart_with(store, |all| geni::register(all).unwrap())
            .await;
    }

    /// The same with another store, and other adapters.
    pub(crate) async fn restart_with(
        &mut self,
        store: Arc<dyn Store>,
        adapters: impl FnOnce(&mut Registries),
    ) {
        self.stop.send_replace(true);
        self.host = host(&self.evening, &self.cloud, store, adapters);
        (self.door, self.base, self.stop) =
            open(&self.host, &self.am, &self.folder, |_| {}, |door| door).await;
    }

    /// The door is opened again, by an operator who says something else of the
    /// aggregate.
    pub(crate) async fn reopen(&mut self, says: impl FnOnce(&mut Aggregate)) {
        self.stop.send_replace(true);
        (self.door, self.base, self.stop) =
            open(&self.host, &self.am, &self.folder, says, |door| door).await;
    }

    pub(crate) fn later(&self, time: Duration) {
        let more = i64::try_from(time.as_millis()).unwrap();
        self.evening.0.fetch_add(more, Ordering::SeqCst);
    }

    /// Lets time pass until that is so; on a machine that has much else to do a
    /// minute of it may go by.
    pub(crate) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        for _ in 0..3000 {
            if is_so().await {
                return;
            }
            self.later(Duration::from_millis(500));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it does not come to this: {what}");
    }

    pub(crate) fn client(
        &self,
        party: Option<&Party>,
        newest: reqwest::tls::Version,
    ) -> reqwest::Client {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .tls_danger_accept_invalid_certs(true)
            .tls_version_max(newest);
        if let Some(party) = party {
            let pem = format!("{}{}", party.key_pem(), party.chain());
            builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
        }
        builder.build().unwrap()
    }

    /// The text that is answered to this text.
    pub(crate) async fn post(&self, party: &Party, path: &str, body: String) -> String {
        let client = self.client(Some(party), reqwest::tls::Version::TLS_1_3);
        let answer = client
            .post(format!("{}{path}", self.base))
            .body(body)
            .send()
            .await
            .unwrap();
        answer.text().await.unwrap()
    }

    pub(crate) async fn call(
        &self,
        party: &Party,
        version: u8,
        method: &str,
        arguments: Vec<Value>,
    ) -> Value {
        let text = self
            .post(
                party,
                &format!("/xmlrpc/am/{version}.0"),
                request(method, arguments),
            )
            .await;
        let as_call = text
            .replace("<methodResponse>", "<methodCall><methodName>m</methodName>")
            .replace("</methodResponse>", "</methodCall>");
        let read = Call::parse(as_call.as_bytes()).unwrap_or_else(|e| panic!("{e}: {text}"));
        read.arguments.into_iter().next().unwrap()
    }

    /// Starts the engine; it stops with the lab.
    pub(crate) fn start_engine(&self) {
        let engine = self.host.engine();
        let mut stopped = self.stop.subscribe();
        tokio::spawn(async move {
            let stop = async move {
                let _ = stopped.wait_for(|s| *s).await;
            };
            engine.run(stop).await
        });
    }

    /// Someone of whom credentials for a slice can be made out.
    pub(crate) fn slice(&self, name: &str) -> Party {
        let urn = format!("urn:publicid:IDN+lab:one+slice+{name}");
        self.sa.makes(&urn, false, 2040)
    }

    /// What lets somebody do everything with a slice, until then.
    pub(crate) fn slice_credential(&self, owner: &Party, slice: &Party, expires: &str) -> String {
        self.credential(owner, slice, expires, &[("*", "true")])
    }

    pub(crate) fn credential(
        &self,
        owner: &Party,
        target: &Party,
        expires: &str,
        privileges: &[(&str, &str)],
    ) -> String {
        let statement = Draft {
            id: "ref0",
            owner,
            target,
            expires,
            privileges,
            parent: None,
        }
        .write();
        envelope(&statement, &Sign::usual(&self.sa, "ref0").over(&statement))
    }

    pub(crate) fn user_credential(&self, owner: &Party) -> String {
        let privileges = [("refresh", "true"), ("info", "true")];
        self.credential(owner, owner, "2026-11-28T07:42:26Z", &privileges)
    }
}

pub(crate) fn request(method: &str, arguments: Vec<Value>) -> String {
    let params: String = arguments
        .iter()
        .map(|argument| {
            let text = answer(argument);
            let start = text.find("<param>").unwrap();
            let end = text.find("</params>").unwrap();
            text[start..end].to_owned()
        })
        .collect();
    format!(
        "<?xml version='1.0'?><methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>"
    )
}

pub(crate) fn code(answer: &Value) -> i64 {
    match answer.get("code").and_then(|c| c.get("geni_code")) {
        Some(Value::Int(code)) => *code,
        other => panic!("{other:?} in {answer:?}"),
    }
}

pub(crate) fn sfa(xml: &str) -> Value {
    Value::of([
        ("geni_type", Value::text("geni_sfa")),
        ("geni_version", Value::text("3")),
        ("geni_value", Value::text(xml)),
    ])
}

pub(crate) fn options(more: Vec<(&'static str, Value)>) -> Value {
    let version = Value::of([("type", Value::text("geni")), ("version", Value::text("3"))]);
    Value::of([("geni_rspec_version", version)].into_iter().chain(more))
}
