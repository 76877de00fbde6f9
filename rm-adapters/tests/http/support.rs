//! A whole service on a port of its own, and a client that checks each answer
//! against the OpenAPI document.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use rm_adapters::agent::{Agent, NewAccount};
use rm_adapters::door::schema;
use rm_adapters::lambdalink::{self, Interservice, LambdaLinkOptions};
use rm_adapters::rest::{self, RestOptions};
use rm_adapters::{Door, DoorOptions, Parts, Tokens, TokioEnv, door};
use rm_core::policy::Policy;
use rm_core::secret::Secret;
use rm_core::{Caller, Host, Result, Role};
use rm_testkit::{MEDIA_TYPE, SimCloud, SimConfig};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Who calls in these tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// Loads the catalog; of the tenant `ops`.
    Operator,
    /// Owns things; of the tenant `physics`.
    Ann,
    /// Of the same tenant.
    Amy,
    /// Of the tenant `biology`; is granted things.
    Bob,
    /// Of the tenant `chemistry`, which has nothing.
    Cat,
    /// Has no token.
    Nobody,
    /// Has a wrong one.
    Liar,
}

impl Who {
    pub(crate) const ALL: [Self; 7] = [
        Self::Operator,
        Self::Ann,
        Self::Amy,
        Self::Bob,
        Self::Cat,
        Self::Nobody,
        Self::Liar,
    ];

    pub(crate) fn token(self) -> Option<&'static str> {
        match self {
            Self::Operator => Some("token-of-root"),
            Self::Ann => Some("token-of-ann"),
            Self::Amy => Some("token-of-amy"),
            Self::Bob => Some("token-of-bob"),
            Self::Cat => Some("token-of-cat"),
            Self::Nobody => None,
            Self::Liar => Some("token-of-noone"),
        }
    }

    pub(crate) fn caller(self) -> Caller {
        match self {
            Self::Operator => Caller::operator("root", "ops"),
            Self::Ann => Caller::user("ann", "physics"),
            Self::Amy => Caller::user("amy", "physics"),
            Self::Bob => Caller::user("bob", "biology"),
            _ => Caller::user("cat", "chemistry"),
        }
    }
}

/// The secret that services share.
pub(crate) const SHARED: &str = "canary-7f3a, a secret between services";

/// Gives accounts, one after the other.
#[derive(Debug, Default)]
pub(crate) struct FakeAgent(Mutex<u32>);

#[async_trait]
impl Agent for FakeAgent {
    async fn new_account(&self, _address: &str) -> Result<NewAccount> {
        let mut n = self.0.lock().unwrap();
        *n += 1;
        Ok(NewAccount {
            username: format!("user{n}"),
            password: Secret::new(format!("password{n}")),
        })
    }
}

/// A service that runs until it is dropped.
pub(crate) struct Service {
    pub(crate) host: Arc<Host>,
    pub(crate) cloud: Arc<SimCloud>,
    pub(crate) door: Door,
    pub(crate) address: SocketAddr,
    stop: watch::Sender<bool>,
    http: reqwest::Client,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("no code")
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::with(|_, _| {}).await
    }

    /// With another policy and other limits.
    pub(crate) async fn with(edit: impl FnOnce(&mut Policy, &mut DoorOptions)) -> Self {
        let service = Self::idle(edit).await;
        let engine = service.host.engine();
        let mut stopped = service.stop.subscribe();
        tokio::spawn(async move {
            let stop = async {
                let _ = stopped.wait_for(|s| *s).await;
            };
            engine.run(stop).await
        });
        service
    }

    /// Without an engine: only what is asked for is written.
    pub(crate) async fn idle(edit: impl FnOnce(&mut Policy, &mut DoorOptions)) -> Self {
        let cloud = SimCloud::new(SimConfig {
            build_ms: 5,
            change_ms: 5,
            delete_ms: 5,
            upload_ms: 5,
            ..SimConfig::default()
        });
        let mut policy = Policy {
            first_look: Duration::from_millis(3),
            ..Policy::default()
        };
        let mut options = DoorOptions {
            grace: Duration::from_secs(2),
            ..DoorOptions::default()
        };
        edit(&mut policy, &mut options);
        let mut builder = Host::builder(Arc::new(TokioEnv::new()))
            .policy(policy)
            .installation("test");
        cloud.install(builder.registries()).unwrap();
        cloud.install_nodes(builder.registries()).unwrap();
        let agent: Arc<dyn Agent> = Arc::new(FakeAgent::default());
        let for_rest = RestOptions {
            agent: Some(Arc::clone(&agent)),
        };
        rest::register(builder.registries(), Parts::ALL, for_rest).unwrap();
        let for_lambdalink = LambdaLinkOptions {
            agent: Some(agent),
            interservice: Some(Interservice::new(&Secret::new(SHARED)).unwrap()),
            ..LambdaLinkOptions::default()
        };
        lambdalink::register(builder.registries(), Parts::ALL, for_lambdalink).unwrap();
        let mut tokens = Tokens::default();
        for who in [Who::Operator, Who::Ann, Who::Amy, Who::Bob, Who::Cat] {
            tokens = tokens.with(who.token().unwrap(), who.caller()).unwrap();
        }
        let builder = builder.directory(Arc::new(tokens.clone()));
        let host = Arc::new(builder.build().unwrap());
        let door = Door::new(Arc::clone(&host), tokens, options).unwrap();
        let (listener, address) = door::listen("127.0.0.1:0").await.unwrap();
        let (stop, mut stopped) = watch::channel(false);
        let serving = door.clone();
        let end = async move {
            let _ = stopped.wait_for(|s| *s).await;
        };
        tokio::spawn(async move { serving.serve(listener, end).await });
        Self {
            host,
            cloud,
            door,
            address,
            stop,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn request(&self, who: Who, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, self.url(path));
        match who.token() {
            Some(token) if path.starts_with("/lambdalink") => {
                request.header("dibbs-authorization", token)
            }
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Calls, and checks that the answer is what the document says.
    pub(crate) async fn call(
        &self,
        who: Who,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut request = self.request(who, method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        self.send(method, path, request).await
    }

    pub(crate) async fn get(&self, who: Who, path: &str) -> Answer {
        self.call(who, "GET", path, None).await
    }

    pub(crate) async fn post(&self, who: Who, path: &str, body: Value) -> Answer {
        self.call(who, "POST", path, Some(body)).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        request: reqwest::RequestBuilder,
    ) -> Answer {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let content_type = headers
            .get("content-type")
            .map_or("", |v| v.to_str().unwrap())
            .to_owned();
        assert!(headers.contains_key("x-request-id"), "{method} {path}");
        let text = match content_type.as_str() {
            "text/event-stream" => String::new(),
            _ => response.text().await.unwrap(),
        };
        let mut body = match content_type.as_str() {
            "application/json" | "application/problem+json" if method != "HEAD" => {
                serde_json::from_str(&text).unwrap()
            }
            _ => json!(text),
        };
        self.fits(method, path, status, &content_type, &mut body);
        Answer {
            status,
            headers,
            body,
        }
    }

    /// Checks an answer against the document.
    fn fits(&self, method: &str, path: &str, status: u16, content_type: &str, body: &mut Value) {
        let document = self.door.document();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let plain = path.split('?').next().unwrap();
        if status >= 400 && !plain.starts_with("/lambdalink") {
            assert_eq!(content_type, "application/problem+json", "{method} {path}");
            let faults = schema::check(schemas, "Problem", body);
            assert!(faults.is_empty(), "{method} {path}: {faults:?} in {body}");
            assert_eq!(body["status"], status);
        }
        if status >= 400 || method == "HEAD" {
            return;
        }
        let (_, operation) = operation(document, method, plain)
            .unwrap_or_else(|| panic!("{method} {path} is not in the document"));
        let response = &operation["responses"][status.to_string()];
        assert!(
            response.is_object(),
            "{method} {path} answered {status}, which is not in the document"
        );
        let reference = &response["content"]["application/json"]["schema"]["$ref"];
        if let (Some(reference), "application/json") = (reference.as_str(), content_type) {
            let name = reference.strip_prefix(schema::REF).unwrap();
            let faults = schema::check(schemas, name, &mut body.clone());
            assert!(faults.is_empty(), "{method} {path}: {faults:?} in {body}");
        }
    }

    /// A site, an appliance with an implementation, credentials for physics
    /// and biology.
    pub(crate) async fn load(&self) -> Loaded {
        let root = Who::Operator;
        let site = self
            .post(
                root,
                "/sites",
                json!({"name": "here", "api": "sim", "url": "sim:here"}),
            )
            .await
            .expect(201);
        self.post(
            root,
            "/appliances",
            json!({"name": "hadoop", "description": "MapReduce"}),
        )
        .await
        .expect(201);
        let body = json!({"parameters": ["network", "size"], "outputs": {"port": 8080}});
        let implementation = self
            .post(
                root,
                "/implementations",
                json!({"appliance": "hadoop", "site_type": "sim", "media_type": MEDIA_TYPE,
                       "body": body.to_string()}),
            )
            .await
            .expect(201);
        let secret =
            json!({"username": "u", "password": "p", "project_name": "x", "account": "physics"});
        let credential = self
            .post(
                Who::Ann,
                "/credentials",
                json!({"name": "c", "site": "here", "secret": secret}),
            )
            .await
            .expect(201);
        self.post(
            Who::Bob,
            "/credentials",
            json!({"name": "c", "site": "here", "secret": {"account": "biology"}}),
        )
        .await
        .expect(201);
        let id = |v: &Value| v["id"].as_str().unwrap().to_owned();
        Loaded {
            site: id(&site),
            implementation: id(&implementation),
            credential: id(&credential),
        }
    }

    /// A cluster of its own, ready.
    pub(crate) async fn cluster(&self, who: Who, slaves: u32) -> Value {
        self.post(
            who,
            "/clusters",
            json!({"appliance": "hadoop", "slaves": slaves, "reuse": "never"}),
        )
        .await
        .expect(201)
    }

    /// Everything there is, as an operator sees it, and what is at the sites.
    pub(crate) async fn snapshot(&self) -> Value {
        let mut all = serde_json::Map::new();
        for path in [
            "/sites",
            "/credentials",
            "/appliances",
            "/implementations",
            "/images",
            "/clusters?all=true",
        ] {
            let list = self.get(Who::Operator, path).await.expect(200);
            all.insert(path.to_owned(), list["items"].clone());
        }
        let things = self.cloud.everything(self.host.env().now());
        let things: Vec<String> = things
            .iter()
            .filter(|(_, t)| t.exists())
            .map(|(site, t)| format!("{site} {} {}", t.name, t.nodes()))
            .collect();
        all.insert("things".to_owned(), json!(things));
        Value::Object(all)
    }
}

#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) site: String,
    pub(crate) implementation: String,
    pub(crate) credential: String,
}

/// The operation that serves a path, with its template.
pub(crate) fn operation<'a>(
    document: &'a Value,
    method: &str,
    path: &str,
) -> Option<(&'a str, &'a Value)> {
    let given: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    document["paths"]
        .as_object()?
        .iter()
        .find_map(|(template, item)| {
            let wanted: Vec<&str> = template.trim_end_matches('/').split('/').collect();
            let fits = wanted.len() == given.len()
                && wanted
                    .iter()
                    .zip(&given)
                    .all(|(w, g)| w.starts_with('{') || w == g);
            let operation = item.get(method.to_ascii_lowercase())?;
            fits.then_some((template.as_str(), operation))
        })
}

pub(crate) fn role_of(operation: &Value) -> Option<Role> {
    serde_json::from_value(operation["x-role"].clone()).ok()
}
