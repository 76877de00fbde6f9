//! A testbed in a box, and a client that calls its aggregate as a user of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rm_adapters::geni::rspec::Rspec;
use rm_adapters::geni::xmlrpc::{Call, Value, answer};
use tokio::time::sleep;

use crate::daemon::{Daemon, free_port};

const AUTHORITY: &str = "lab:kill";
const USER: &str = "alice";

/// GENI's codes that are waited for, or expected.
const SEARCH_FAILED: i64 = 12;
const BUSY: i64 = 14;

/// What `geni init` has made.
#[derive(Debug)]
pub(crate) struct Testbed {
    dir: PathBuf,
    url: String,
}

impl Testbed {
    /// One in this folder, with an aggregate that will be at a free port.
    pub(crate) fn make(folder: &Path) -> Self {
        let (dir, port) = (folder.join("box"), free_port());
        let mut init = Daemon::command();
        init.args(["geni", "init", "--authority", AUTHORITY])
            .args(["--user", USER, "--port", &port.to_string()])
            .arg(&dir);
        run(&mut init);
        Self {
            dir,
            url: format!("https://127.0.0.1:{port}"),
        }
    }

    /// The section of the daemon's configuration that opens its door.
    pub(crate) fn section(&self) -> String {
        self.read("geni.toml")
    }

    /// A slice of this name, and its user as the client.
    pub(crate) fn slice(&self, name: &str) -> Slice {
        let mut slice = Daemon::command();
        slice
            .args(["geni", "slice", "--user", USER])
            .arg(&self.dir)
            .arg(name);
        run(&mut slice);
        let own = |file: &str| self.read(&format!("users/{USER}/{file}"));
        let identity = format!("{}{}", own("key.pem"), own("certificate.pem"));
        let identity = reqwest::Identity::from_pem(identity.as_bytes()).unwrap();
        let root = self.read("roots/root.pem");
        let root = reqwest::Certificate::from_pem(root.as_bytes()).unwrap();
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([root])
            .identity(identity)
            .timeout(Duration::from_secs(60))
            .build()
            .unwrap();
        Slice {
            url: self.url.clone(),
            http,
            urn: format!("urn:publicid:IDN+{AUTHORITY}+slice+{name}"),
            credential: self.read(&format!("slices/{name}/{USER}.xml")),
        }
    }

    /// One of the public clients in `lab/geni`, which will do all that it does with
    /// this slice of the user's.
    pub(crate) fn client(&self, python: &Path, program: &str, slice: &str) -> Command {
        let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lab/geni");
        let mut client = Command::new(python);
        client.arg(lab.join(program)).arg(&self.url).arg(&self.dir);
        client.args(["--user", USER, "--slice", slice]);
        client
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.dir.join(file)).unwrap()
    }
}

fn run(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

/// A slice, called by one who may do everything with it.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    url: String,
    http: reqwest::Client,
    urn: String,
    credential: String,
}

/// What a call was answered with.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) code: i64,
    /// The whole of it.
    pub(crate) told: Value,
    /// Whether it was asked more than once, for an answer was lost: the first
    /// time may have counted.
    pub(crate) repeated: bool,
}

/// A sliver as the aggregate tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Told {
    /// What its node is called in the request.
    pub(crate) node: String,
    pub(crate) allocation: String,
    pub(crate) operational: String,
    pub(crate) expires: String,
    pub(crate) error: String,
}

impl Slice {
    pub(crate) fn urn(&self) -> Value {
        Value::text(&*self.urn)
    }

    pub(crate) fn proof(&self) -> Value {
        Value::Array(vec![Value::of([
            ("geni_type", Value::text("geni_sfa")),
            ("geni_version", Value::text("3")),
            ("geni_value", Value::text(&*self.credential)),
        ])])
    }

    /// Its slivers, in the order of their names; none where it has nothing.
    pub(crate) async fn told(&self) -> Vec<Told> {
        let about = Value::Array(vec![self.urn()]);
        let arguments = [about, self.proof(), rspec_version()];
        let answered = self.call(3, "Describe", &arguments).await;
        if answered.code == SEARCH_FAILED {
            return Vec::new();
        }
        assert_eq!(answered.code, 0, "{answered:?}");
        let value = answered.told.get("value").unwrap();
        let manifest = Rspec::parse(text(value, "geni_rspec")).unwrap();
        let name = |urn: &str| {
            let mut nodes = manifest.nodes.iter();
            let node = nodes.find(|node| node.sliver_id.as_deref() == Some(urn));
            node.and_then(|node| node.client_id.as_deref())
                .unwrap_or_else(|| panic!("{urn} is not in the manifest: {value:?}"))
                .to_owned()
        };
        let slivers = value.get("geni_slivers").and_then(Value::as_array);
        let mut told: Vec<Told> = slivers
            .unwrap()
            .iter()
            .map(|sliver| Told {
                node: name(text(sliver, "geni_sliver_urn")),
                allocation: text(sliver, "geni_allocation_status").to_owned(),
                operational: text(sliver, "geni_operational_status").to_owned(),
                expires: text(sliver, "geni_expires").to_owned(),
                error: text(sliver, "geni_error").to_owned(),
            })
            .collect();
        told.sort_unstable();
        told
    }

    /// Calls an aggregate that may be killed and started again at any moment:
    /// what got no answer, or found it busy, is asked again.
    pub(crate) async fn call(&self, version: u8, method: &str, arguments: &[Value]) -> Answered {
        let url = format!("{}/xmlrpc/am/{version}.0", self.url);
        let body = request(method, arguments);
        let mut repeated = false;
        for _ in 0..1200 {
            match self.post(&url, &body).await {
                None => repeated = true,
                Some(text) => {
                    let told = read(&text);
                    let code = told.get("code").and_then(|c| c.get("geni_code"));
                    let Some(Value::Int(code)) = code else {
                        panic!("{method} is answered without a code: {text}");
                    };
                    if *code != BUSY {
                        return Answered {
                            code: *code,
                            told,
                            repeated,
                        };
                    }
                }
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{method} gets no answer");
    }

    /// The text that is answered; none where that was lost.
    async fn post(&self, url: &str, body: &str) -> Option<String> {
        let answer = self
            .http
            .post(url)
            .body(body.to_owned())
            .send()
            .await
            .ok()?;
        let status = answer.status();
        let text = answer.text().await.ok()?;
        assert!(status.is_success(), "{status}: {text}");
        Some(text)
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    let text = value.get(name).and_then(Value::as_text);
    text.unwrap_or_else(|| panic!("there is no {name} in {value:?}"))
}

/// The option that some calls want.
pub(crate) fn rspec_version() -> Value {
    let version = Value::of([("type", Value::text("GENI")), ("version", Value::text("3"))]);
    Value::of([("geni_rspec_version", version)])
}

/// A call as XML-RPC: its arguments are written as answers are.
fn request(method: &str, arguments: &[Value]) -> String {
    let params: String = arguments
        .iter()
        .map(|argument| {
            let text = answer(argument);
            let (_, rest) = text.split_once("<params>").unwrap();
            let (param, _) = rest.rsplit_once("</params>").unwrap();
            param.to_owned()
        })
        .collect();
    format!(
        "<?xml version='1.0'?><methodCall><methodName>{method}</methodName>\
         <params>{params}</params></methodCall>"
    )
}

/// The value of an answer, read as the argument of a call is.
fn read(text: &str) -> Value {
    let call = text
        .replacen(
            "<methodResponse>",
            "<methodCall><methodName>m</methodName>",
            1,
        )
        .replacen("</methodResponse>", "</methodCall>", 1);
    let read = Call::parse(call.as_bytes()).unwrap_or_else(|e| panic!("{e}: {text}"));
    read.arguments.into_iter().next().unwrap()
}
