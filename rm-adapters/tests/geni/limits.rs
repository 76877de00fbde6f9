//! What keeps one client from being everybody's trouble: lines, sizes, trust
//! that ends, work that takes long, and defects.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use rm_adapters::geni::credentials::{
    Anchors, Certificate, Credential, CredentialVerifier, SpeaksFor, XmlVerifier,
};
use rm_adapters::geni::rspec::{Node, Rspec};
use rm_adapters::geni::states::Standing;
use rm_adapters::geni::xmlrpc::Value;
use rm_adapters::geni::{self, Components, GeniSliver, Joined, Refusal, Sliver, SliverTerms, Urn};
use rm_core::env::Timestamp;
use rm_core::record::ResourceRecord;
use rm_core::registry::{Adapter, Registries};
use rm_core::store::Batch;
use rm_core::{Kind, Result};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::lab::{code, lab, lab_of, lab_with, options, request, sfa};

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
    let told = got.text().await.unwrap();
    assert!(told.contains("(request "), "{told}");
    let nowhere = client.post(at("/xmlrpc/am/4.0")).send().await.unwrap();
    assert_eq!(nowhere.status().as_u16(), 404);
    let told = nowhere.text().await.unwrap();
    assert!(told.contains("(request "), "{told}");
    // As large as a call may be, and a little more.
    let call = request("GetVersion", vec![]);
    let fill = 32 * 1024 * 1024 - call.len();
    for (more, status) in [(0, 200), (1, 413)] {
        let body = format!("{call}{}", " ".repeat(fill + more));
        let asked = client.post(at("/xmlrpc/am/3.0")).body(body).send().await;
        // Who is still sending may see a broken line instead.
        match asked {
            Ok(answer) => {
                assert_eq!(answer.status().as_u16(), status);
                let told = answer.text().await.unwrap();
                assert_eq!(told.contains("(request "), status == 413, "{told}");
            }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_calls_that_do_not_come_to_an_end_keep_no_other_client_out() {
    let lab = lab("stalls").await;
    let client = |party| lab.client(Some(party), reqwest::tls::Version::TLS_1_3);
    let alice = client(&lab.alice);
    let (stalled, mut has_stalled) = tokio::sync::mpsc::unbounded_channel();
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let stalled = stalled.clone();
        let some = stream::iter([Ok::<_, std::io::Error>(vec![b' '; 300 * 1024])]);
        let no_more = stream::once(async move {
            stalled.send(()).unwrap();
            std::future::pending().await
        });
        let call = alice.post(format!("{}/3", lab.base));
        let call = call.body(reqwest::Body::wrap_stream(some.chain(no_more)));
        sending.spawn(async move { call.send().await.is_ok() });
    }
    for _ in 0..16 {
        has_stalled.recv().await.unwrap();
    }
    let large = format!("{}{}", request("GetVersion", vec![]), " ".repeat(1 << 20));
    for _ in 0..5 {
        let call = client(&lab.bob).post(format!("{}/3", lab.base));
        let answer = call.body(large.clone()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
    }
    // What is short is answered to who stalls, too.
    let answer = lab.call(&lab.alice, 3, "GetVersion", vec![]).await;
    assert_eq!(code(&answer), 0);
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
        _there: &Components,
        _available: bool,
        _into: &mut Rspec,
    ) -> Result<()> {
        panic!("on purpose")
    }

    fn sliver_types(&self, _call: &rm_core::Call<'_>) -> Vec<&'static str> {
        vec!["broken"]
    }

    async fn prepare(
        &self,
        _call: &rm_core::Call<'_>,
        _nodes: &[&Node],
        _links: &[Joined<'_>],
        _terms: &SliverTerms<'_>,
        _into: &mut Batch,
    ) -> Result<Vec<Arc<ResourceRecord>>, Refusal> {
        panic!("on purpose")
    }

    async fn held(&self, _call: &rm_core::Call<'_>) -> Result<Vec<Box<dyn Sliver>>> {
        panic!("on purpose")
    }

    fn standing(&self, _record: &ResourceRecord) -> Standing {
        panic!("on purpose")
    }

    fn tell(&self, _record: &ResourceRecord, _aggregate: &Urn, _ends: &[usize], _node: &mut Node) {
        panic!("on purpose")
    }
}

pub(crate) fn broken(all: &mut Registries) {
    let broken: Arc<dyn GeniSliver> = Arc::new(Broken);
    geni::register_with(all, [broken]).unwrap();
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
