//! Calls over TLS, with client certificates, on a listener.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use rm_adapters::geni::credentials::{
    Anchors, Certificate, Credential, CredentialVerifier, Roots, SpeaksFor, XmlVerifier,
};
use rm_adapters::geni::rspec::{Kind as Document, Rspec};
use rm_adapters::geni::states::OPSTATE;
use rm_adapters::geni::xmlrpc::{Call, Value, answer};
use rm_adapters::geni::{self, Aggregate, GeniDoor, GeniSliver, Urn};
use rm_core::backend::Serves;
use rm_core::catalog::{NewImage, NewSite};
use rm_core::env::{Env, Timestamp};
use rm_core::model::Node;
use rm_core::registry::{Adapter, Registries};
use rm_core::{Caller, Host, Kind, Result};
use rm_testkit::{SimCloud, SimConfig};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::authority::{Draft, Party, Sign, envelope, x509};

/// It is always the same evening, or so many milliseconds later.
#[derive(Debug, Default)]
struct Evening(AtomicI64);

#[async_trait]
impl Env for Evening {
    fn now(&self) -> Timestamp {
        let evening = Timestamp::parse("2026-11-21T20:00:00Z").unwrap();
        Timestamp::from_millis(evening.millis() + self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, d: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(d))
    }

    fn random(&self) -> u64 {
        7
    }

    async fn reaches(&self, _address: &str, _port: u16) -> bool {
        true
    }
}

/// An aggregate with its door open, and who calls.
struct Lab {
    sa: Party,
    alice: Party,
    bob: Party,
    stranger: Party,
    base: String,
    folder: PathBuf,
    evening: Arc<Evening>,
    stop: watch::Sender<bool>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn lab(name: &str) -> Lab {
    lab_with(name, |door| door).await
}

/// With something about the door changed.
async fn lab_with(name: &str, change: impl FnOnce(GeniDoor) -> GeniDoor) -> Lab {
    lab_of(name, |all| geni::register(all).unwrap(), change).await
}

/// With other adapters, too.
async fn lab_of(
    name: &str,
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
    let env: Arc<dyn Env> = Arc::<Evening>::clone(&evening);
    let mut builder = Host::builder(env);
    let cloud = SimCloud::new(SimConfig::default());
    let serves = Serves {
        kind: Kind::from_static("vm.lxc"),
        api: "sim".to_owned(),
        media: Vec::new(),
    };
    builder
        .registries()
        .backend::<Node>("sim", serves, cloud)
        .unwrap();
    adapters(builder.registries());
    let host = Arc::new(builder.build().unwrap());
    let operator = Caller::operator("root", "ops");
    let catalog = host.catalog();
    catalog
        .add_site(&operator, NewSite::new("rack", "sim", "sim://rack"))
        .await
        .unwrap();
    let image = NewImage {
        name: "debian".to_owned(),
        source: "file:/images/debian".to_owned(),
        sha256: "0".repeat(64),
        disk_format: "tar".to_owned(),
    };
    catalog.add_image(&operator, image).await.unwrap();

    let (listener, address) = rm_adapters::door::listen("127.0.0.1:0").await.unwrap();
    let base = format!("https://127.0.0.1:{}", address.port());
    let aggregate = Aggregate::new(am.urn.clone(), &base);
    let roots = Arc::new(Roots::new(&folder));
    let door = GeniDoor::new(host, aggregate, roots, &am.chain(), &am.key_pem()).unwrap();
    let door = change(door);
    let (stop, mut stopped) = watch::channel(false);
    tokio::spawn(async move {
        let stopped = async move {
            let _ = stopped.wait_for(|s| *s).await;
        };
        door.serve(listener, stopped).await;
    });
    Lab {
        alice: sa.makes(&urn("user+alice"), false, 2040),
        bob: sa.makes(&urn("user+bob"), false, 2040),
        stranger: Party::root(&urn("authority+sa")),
        sa,
        base,
        folder,
        evening,
        stop,
    }
}

impl Lab {
    fn later(&self, time: Duration) {
        let more = i64::try_from(time.as_millis()).unwrap();
        self.evening.0.fetch_add(more, Ordering::SeqCst);
    }

    fn client(&self, party: Option<&Party>, newest: reqwest::tls::Version) -> reqwest::Client {
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
    async fn post(&self, party: &Party, path: &str, body: String) -> String {
        let client = self.client(Some(party), reqwest::tls::Version::TLS_1_3);
        let answer = client
            .post(format!("{}{path}", self.base))
            .body(body)
            .send()
            .await
            .unwrap();
        answer.text().await.unwrap()
    }

    async fn call(&self, party: &Party, version: u8, method: &str, arguments: Vec<Value>) -> Value {
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

    fn user_credential(&self, owner: &Party) -> String {
        let statement = Draft {
            id: "ref0",
            owner,
            target: owner,
            expires: "2026-11-28T07:42:26Z",
            privileges: &[("refresh", "true"), ("info", "true")],
            parent: None,
        }
        .write();
        envelope(&statement, &Sign::usual(&self.sa, "ref0").over(&statement))
    }
}

fn request(method: &str, arguments: Vec<Value>) -> String {
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

fn code(answer: &Value) -> i64 {
    match answer.get("code").and_then(|c| c.get("geni_code")) {
        Some(Value::Int(code)) => *code,
        other => panic!("{other:?} in {answer:?}"),
    }
}

fn sfa(xml: &str) -> Value {
    Value::of([
        ("geni_type", Value::text("geni_sfa")),
        ("geni_version", Value::text("3")),
        ("geni_value", Value::text(xml)),
    ])
}

fn options(more: Vec<(&'static str, Value)>) -> Value {
    let version = Value::of([("type", Value::text("geni")), ("version", Value::text("3"))]);
    Value::of([("geni_rspec_version", version)].into_iter().chain(more))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_version_says_what_the_acceptance_tests_want_to_hear() {
    let lab = lab("version").await;
    for version in [2_u8, 3] {
        for arguments in [vec![], vec![Value::Struct(vec![])]] {
            let answer = lab.call(&lab.alice, version, "GetVersion", arguments).await;
            assert_eq!(code(&answer), 0);
            assert_eq!(answer.get("geni_api"), Some(&Value::Int(version.into())));
            assert_eq!(answer.get("output"), Some(&Value::text("")));
            let value = answer.get("value").unwrap();
            assert_eq!(value.get("geni_api"), Some(&Value::Int(version.into())));
            for (n, path) in [("2", "/xmlrpc/am/2.0"), ("3", "/xmlrpc/am/3.0")] {
                let url = value.get("geni_api_versions").unwrap().get(n).unwrap();
                assert_eq!(url.as_text(), Some(&*format!("{}{path}", lab.base)));
            }
            for (list, schema) in [
                ("geni_request_rspec_versions", "request.xsd"),
                ("geni_ad_rspec_versions", "ad.xsd"),
            ] {
                let entry = &value.get(list).unwrap().as_array().unwrap()[0];
                assert_eq!(entry.get("version").unwrap().as_text(), Some("3"));
                assert!(
                    entry
                        .get("schema")
                        .unwrap()
                        .as_text()
                        .unwrap()
                        .ends_with(schema)
                );
                assert!(entry.get("extensions").unwrap().as_array().is_some());
            }
            assert!(
                value
                    .get("geni_credential_types")
                    .unwrap()
                    .as_array()
                    .is_some()
            );
            if version == 3 {
                assert_eq!(value.get("geni_single_allocation"), Some(&Value::Int(0)));
                assert_eq!(
                    value.get("geni_allocate").unwrap().as_text(),
                    Some("geni_disjoint")
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_clients_with_a_trusted_certificate_are_let_in_and_authorities_are() {
    use reqwest::tls::Version;
    let lab = lab("clients").await;
    let over = lab
        .sa
        .makes("urn:publicid:IDN+lab:one+user+over", false, 2020);
    for newest in [Version::TLS_1_2, Version::TLS_1_3] {
        for (party, let_in) in [
            (Some(&lab.alice), true),
            (Some(&lab.sa), true),
            (Some(&lab.stranger), false),
            (Some(&over), false),
            (None, false),
        ] {
            let client = lab.client(party, newest);
            let asked = client
                .post(format!("{}/xmlrpc/am/3.0", lab.base))
                .body(request("GetVersion", vec![]))
                .send()
                .await;
            // With 1.3 the refusal may come with the first answer.
            let answered = match asked {
                Ok(answer) => answer.text().await.is_ok(),
                Err(_) => false,
            };
            assert_eq!(answered, let_in, "{:?} {newest:?}", party.map(|p| &p.urn));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_trusted_any_more_is_not_served_on_an_open_line_nor_on_a_new_one() {
    use reqwest::tls::Version;
    let lab = lab("revoked").await;
    let short = lab
        .sa
        .makes("urn:publicid:IDN+lab:one+user+short", false, 2027);
    for newest in [Version::TLS_1_2, Version::TLS_1_3] {
        let asks = async |client: &reqwest::Client| {
            let asked = client
                .post(format!("{}/xmlrpc/am/3.0", lab.base))
                .body(request("GetVersion", vec![]))
                .send()
                .await;
            let answer = asked.ok()?;
            let status = answer.status().as_u16();
            // Read to its end, so that the line can be used again.
            answer.text().await.ok().map(|_| status)
        };
        let (ends, stays) = (
            lab.client(Some(&short), newest),
            lab.client(Some(&lab.alice), newest),
        );
        for client in [&ends, &stays] {
            assert_eq!(asks(client).await, Some(200), "{newest:?}");
        }
        let days = Duration::from_secs(24 * 3600) * 60;
        lab.later(days);
        // On the line that is open, and then on one of the same session.
        assert_ne!(asks(&ends).await, Some(200), "{newest:?}");
        assert_ne!(asks(&ends).await, Some(200), "{newest:?}");
        assert_eq!(asks(&stays).await, Some(200), "{newest:?}");

        let root = lab.folder.join("root.pem");
        let pem = std::fs::read_to_string(&root).unwrap();
        std::fs::remove_file(&root).unwrap();
        lab.later(Duration::from_secs(2));
        assert_ne!(asks(&stays).await, Some(200), "{newest:?}");
        assert_ne!(asks(&stays).await, Some(200), "{newest:?}");
        std::fs::write(&root, pem).unwrap();
        lab.evening.0.store(0, Ordering::SeqCst);
        // The folder is looked at again.
        lab.later(Duration::from_secs(10));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn list_resources_shows_what_there_is_to_who_may_see_it() {
    let lab = lab("list").await;
    let mine = lab.user_credential(&lab.alice);
    let brought = Value::Array(vec![sfa(&mine)]);
    for (version, credentials) in [
        (2, Value::Array(vec![Value::text(&mine)])),
        (3, brought.clone()),
    ] {
        let answer = lab
            .call(
                &lab.alice,
                version,
                "ListResources",
                vec![credentials, options(vec![])],
            )
            .await;
        assert_eq!(code(&answer), 0, "{answer:?}");
        let there = Rspec::parse(answer.get("value").unwrap().as_text().unwrap()).unwrap();
        assert_eq!(there.kind(), Some(Document::Advertisement));
        let [node] = &there.nodes[..] else {
            panic!("{there:?}")
        };
        assert_eq!(
            node.component_id.as_deref(),
            Some("urn:publicid:IDN+lab:one+node+rack")
        );
        assert_eq!(node.sliver_types[0].name.as_deref(), Some("lxc"));
        assert_eq!(
            node.sliver_types[0].disk_images[0].name.as_deref(),
            Some("urn:publicid:IDN+lab:one+image+debian")
        );
        assert_eq!(rm_adapters::geni::rspec::faults(&there, None), []);
        let told = there.extra.element(OPSTATE, "rspec_opstate").unwrap();
        assert_eq!(
            told.elements().next().unwrap().attribute("name"),
            Some("lxc")
        );
    }
    let flag = vec![
        ("geni_compressed", Value::Bool(true)),
        ("geni_available", Value::Int(1)),
    ];
    let answer = lab
        .call(&lab.alice, 3, "ListResources", vec![brought, options(flag)])
        .await;
    assert_eq!(code(&answer), 0);
    // RFC 1950, in base64.
    assert!(
        answer
            .get("value")
            .unwrap()
            .as_text()
            .unwrap()
            .starts_with("eJ")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_wrong_with_list_resources_is_told_by_the_struct_and_its_code() {
    let lab = lab("refusals").await;
    let mine = lab.user_credential(&lab.alice);
    let bobs = lab.user_credential(&lab.bob);
    let tampered = mine.replace("user+alice</owner_urn>", "user+bob</owner_urn>");
    let statement = Draft {
        id: "ref0",
        owner: &lab.alice,
        target: &lab.alice,
        expires: "2026-11-28T07:42:26Z",
        privileges: &[],
        parent: None,
    }
    .write();
    let strange = envelope(
        &statement,
        &Sign {
            key_info: x509(&lab.stranger.pem()),
            ..Sign::usual(&lab.stranger, "ref0")
        }
        .over(&statement),
    );
    let list = |texts: &[&str]| Value::Array(texts.iter().map(|t| sfa(t)).collect());
    let version = |kind: Value, version: Value| {
        Value::of([(
            "geni_rspec_version",
            Value::of([("type", kind), ("version", version)]),
        )])
    };
    let fine = || options(vec![]);
    let slice = |urn: &str| options(vec![("geni_slice_urn", Value::text(urn))]);
    for (row, credentials, options, v2, v3) in [
        ("no credential", list(&[]), fine(), 0, 3),
        ("unreadable credential", list(&["not XML"]), fine(), 0, 20),
        (
            "credential of an unknown type only",
            Value::Array(vec![Value::of([
                ("geni_type", Value::text("other")),
                ("geni_value", Value::text("x")),
            ])]),
            fine(),
            0,
            3,
        ),
        ("tampered credential", list(&[&tampered]), fine(), 20, 20),
        ("other user's credential", list(&[&bobs]), fine(), 22, 22),
        (
            "credential of an untrusted signer",
            list(&[&strange]),
            fine(),
            23,
            23,
        ),
        (
            "a good one among bad ones",
            list(&["not XML", &bobs, &mine, &tampered]),
            fine(),
            0,
            0,
        ),
        (
            "without geni_rspec_version",
            list(&[&mine]),
            Value::Struct(vec![]),
            1,
            1,
        ),
        (
            "without its type",
            list(&[&mine]),
            Value::of([(
                "geni_rspec_version",
                Value::of([("version", Value::text("3"))]),
            )]),
            1,
            1,
        ),
        (
            "version 99",
            list(&[&mine]),
            version(Value::text("GENI"), Value::text("99")),
            4,
            4,
        ),
        (
            "version as a number",
            list(&[&mine]),
            version(Value::text("GENI"), Value::Int(3)),
            4,
            4,
        ),
        (
            "type of others",
            list(&[&mine]),
            version(Value::text("ProtoGENI"), Value::text("3")),
            4,
            4,
        ),
        (
            "a credential of an unknown type and form beside a good one",
            Value::Array(vec![
                Value::of([
                    ("geni_type", Value::text("oauth")),
                    ("geni_value", Value::of([("token", Value::text("x"))])),
                ]),
                Value::of([("geni_type", Value::text("macaroon"))]),
                sfa(&mine),
            ]),
            fine(),
            0,
            0,
        ),
        (
            "credentials that are no array",
            Value::text(&mine),
            fine(),
            1,
            1,
        ),
        (
            "options that are no struct",
            list(&[&mine]),
            Value::Array(vec![]),
            1,
            1,
        ),
        (
            "a flag that is none",
            list(&[&mine]),
            self::options(vec![("geni_available", Value::text("perhaps"))]),
            1,
            1,
        ),
        (
            "unknown slice",
            list(&[&mine]),
            slice("urn:publicid:IDN+lab:one+slice+s"),
            12,
            1,
        ),
        ("too many credentials", list(&[&*mine; 17]), fine(), 1, 1),
        ("bad URN", list(&[&mine]), slice("s"), 1, 1),
        (
            "speaking for somebody without a word of it",
            list(&[&mine]),
            self::options(vec![(
                "geni_speaking_for",
                Value::text(lab.bob.urn.as_str()),
            )]),
            3,
            3,
        ),
    ] {
        for (version, want) in [(2, v2), (3, v3)] {
            let answer = lab
                .call(
                    &lab.alice,
                    version,
                    "ListResources",
                    vec![credentials.clone(), options.clone()],
                )
                .await;
            assert_eq!(code(&answer), want, "{row}, version {version}: {answer:?}");
            if want != 0 {
                assert_eq!(answer.get("value"), Some(&Value::text("")), "{row}");
                let output = answer.get("output").unwrap().as_text().unwrap();
                assert!(output.contains("(request "), "{row}: {output}");
                let log = answer
                    .get("code")
                    .unwrap()
                    .get("protogeni_error_log")
                    .unwrap();
                assert!(
                    log.as_text()
                        .unwrap()
                        .starts_with("urn:publicid:IDN+lab:one+log+")
                );
            }
        }
    }
}

/// A verifier that takes until it is told to go on.
#[derive(Debug)]
struct Slow {
    begun: tokio::sync::mpsc::UnboundedSender<()>,
    go_on: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl CredentialVerifier for Slow {
    fn credential(&self, xml: &str, anchors: &Anchors, now: Timestamp) -> Result<Credential> {
        self.begun.send(()).unwrap();
        let told = self.go_on.lock().unwrap();
        let told = told.recv_timeout(Duration::from_secs(60));
        told.unwrap();
        XmlVerifier.credential(xml, anchors, now)
    }

    fn speaks_for(
        &self,
        xml: &str,
        user: &Urn,
        caller: &Certificate,
        anchors: &Anchors,
        now: Timestamp,
    ) -> Result<SpeaksFor> {
        XmlVerifier.speaks_for(xml, user, caller, anchors, now)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_door_has_limits_of_its_own() {
    let lab = lab("limits").await;
    let client = lab.client(Some(&lab.alice), reqwest::tls::Version::TLS_1_3);
    let at = |path: &str| format!("{}{path}", lab.base);
    let got = client.get(at("/xmlrpc/am/3.0")).send().await.unwrap();
    assert_eq!(got.status().as_u16(), 405);
    assert_eq!(got.headers()["allow"], "POST");
    let nowhere = client.post(at("/xmlrpc/am/4.0")).send().await.unwrap();
    assert_eq!(nowhere.status().as_u16(), 404);
    // As large as a call may be, and a little more.
    let call = request("GetVersion", vec![]);
    let fill = 32 * 1024 * 1024 - call.len();
    for (more, status) in [(0, 200), (1, 413)] {
        let body = format!("{call}{}", " ".repeat(fill + more));
        let asked = client.post(at("/xmlrpc/am/3.0")).body(body).send().await;
        // Who is still sending may see a broken line instead.
        match asked {
            Ok(answer) => assert_eq!(answer.status().as_u16(), status),
            Err(e) => assert!(status == 413, "{e}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_without_a_certificate_keep_nobody_out_and_do_not_hold_up_the_end() {
    let lab = lab_with("silent", |door| door.connections(8)).await;
    let address = lab.base.trim_start_matches("https://");
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let answer = lab.call(&lab.alice, 3, "GetVersion", vec![]).await;
    assert_eq!(code(&answer), 0);
    let mut some = [0; 1];
    for line in &mut silent[..6] {
        assert_eq!(line.read(&mut some).await.unwrap(), 0);
    }
    lab.stop.send_replace(true);
    for line in &mut silent[6..] {
        assert_eq!(line.read(&mut some).await.unwrap(), 0);
    }
}

// There is one thread: were a credential verified on it, the other call would
// never be answered.
#[tokio::test]
async fn while_a_credential_is_verified_others_are_answered() {
    let (begun, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
    let (go_on, wait) = std::sync::mpsc::channel();
    let slow = Arc::new(Slow {
        begun,
        go_on: Mutex::new(wait),
    });
    let lab = lab_with("slow", |door| door.verifying(slow)).await;
    let mine = Value::Array(vec![sfa(&lab.user_credential(&lab.alice))]);
    let listed = lab.call(&lab.alice, 3, "ListResources", vec![mine, options(vec![])]);
    let others = async {
        has_begun.recv().await.unwrap();
        let answer = lab.call(&lab.bob, 3, "GetVersion", vec![]).await;
        go_on.send(()).unwrap();
        answer
    };
    let (listed, other) = tokio::join!(listed, others);
    assert_eq!((code(&listed), code(&other)), (0, 0));
}

/// An adapter with a defect.
#[derive(Debug)]
struct Broken;

impl Adapter for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn kinds(&self) -> &[Kind] {
        &[]
    }
}

#[async_trait]
impl GeniSliver for Broken {
    async fn advertise(
        &self,
        _call: &rm_core::Call<'_>,
        _aggregate: &Urn,
        _available: bool,
        _into: &mut Rspec,
    ) -> Result<()> {
        panic!("on purpose")
    }
}

/// A verifier with a defect.
#[derive(Debug)]
struct Fallen;

impl CredentialVerifier for Fallen {
    fn credential(&self, _xml: &str, _anchors: &Anchors, _now: Timestamp) -> Result<Credential> {
        panic!("on purpose")
    }

    fn speaks_for(
        &self,
        _xml: &str,
        _user: &Urn,
        _caller: &Certificate,
        _anchors: &Anchors,
        _now: Timestamp,
    ) -> Result<SpeaksFor> {
        panic!("on purpose")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_defect_of_an_adapter_or_verifier_is_one_answer() {
    let broken = |all: &mut Registries| {
        all.adapter::<dyn GeniSliver>(Arc::new(Broken)).unwrap();
    };
    let whole = |all: &mut Registries| geni::register(all).unwrap();
    let by_adapter = lab_of("broken", broken, |door| door).await;
    let by_verifier = lab_of("fallen", whole, |door| door.verifying(Arc::new(Fallen))).await;
    for lab in [by_adapter, by_verifier] {
        let mine = Value::Array(vec![sfa(&lab.user_credential(&lab.alice))]);
        for _ in 0..2 {
            let arguments = vec![mine.clone(), options(vec![])];
            let answer = lab.call(&lab.alice, 3, "ListResources", arguments).await;
            assert_eq!(code(&answer), 5, "{answer:?}");
            let output = answer.get("output").unwrap().as_text().unwrap();
            assert!(output.contains("(request ") && !output.contains("on purpose"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_tell_only_of_the_call_itself() {
    let lab = lab("faults").await;
    for (body, fault) in [
        (request("NoSuchMethod", vec![]), "-32601"),
        (request("_dispatch", vec![]), "-32601"),
        (request("ListResources", vec![]), "-32602"),
        (
            request("GetVersion", vec![Value::Int(1), Value::Int(2)]),
            "-32602",
        ),
        ("not XML".to_owned(), "-32700"),
        (
            "<!DOCTYPE x><methodCall><methodName>GetVersion</methodName></methodCall>".to_owned(),
            "-32700",
        ),
    ] {
        let text = lab.post(&lab.alice, "/xmlrpc/am/3.0", body.clone()).await;
        assert!(
            text.contains(&format!("<int>{fault}</int>")),
            "{body}: {text}"
        );
    }
}

/// A client as the field writes them: nothing but Python's own library.
const PYTHON: &str = r#"
import ssl, sys, xmlrpc.client
base, pem = sys.argv[1:]
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
tls.load_cert_chain(pem)
for version in (2, 3):
    am = xmlrpc.client.ServerProxy("%s/xmlrpc/am/%d.0" % (base, version), context=tls)
    said = am.GetVersion()
    assert said["code"]["geni_code"] == 0 and said["value"]["geni_api"] == version, said
    wrong = am.ListResources([], {})
    assert wrong["code"]["geni_code"] == 1 and wrong["output"], wrong
    try:
        am.NoSuchMethod()
        raise SystemExit("no fault")
    except xmlrpc.client.Fault as fault:
        assert fault.faultCode == -32601, fault
print("fine")
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pythons_own_client_understands_us() {
    if !needs::program("pythons_own_client_understands_us", "python3") {
        return;
    }
    let lab = lab("python").await;
    let pem = lab.folder.join("alice.key-and-certificates");
    std::fs::write(
        &pem,
        format!("{}{}", lab.alice.key_pem(), lab.alice.chain()),
    )
    .unwrap();
    let (base, program) = (lab.base.clone(), lab.folder.join("client.py"));
    std::fs::write(&program, PYTHON).unwrap();
    let ran = tokio::task::spawn_blocking(move || {
        Command::new("python3")
            .arg(program)
            .arg(base)
            .arg(pem)
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert_eq!(out.trim(), "fine", "{err}");
}
