//! What the door does with what is no proper request.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rm_adapters::door::{Access, Dialect, JsonContract, Method, Reply, Request, Route};
use rm_adapters::lambdalink::{self, LambdaLinkOptions};
use rm_adapters::rest::{self, RestOptions};
use rm_adapters::{Door, DoorOptions, Parts, Tokens, TokioEnv};
use rm_core::registry::Adapter;
use rm_core::{Call, Host, Kind};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Answer, Service, Who};

async fn raw(s: &Service, content_type: Option<&str>, body: impl Into<reqwest::Body>) -> Answer {
    let mut request = s.request(Who::Operator, "POST", "/sites").body(body);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    s.send("POST", "/sites", request).await
}

#[tokio::test]
async fn what_is_not_json_is_told_where() {
    let s = Service::start().await;
    let json = Some("application/json");
    let before = s.snapshot().await;
    for (body, told) in [
        ("{\"name\": \"x\",\n  oops}", "line 2, column 3"),
        ("{\"name\": ", "it ends too soon at line 1"),
        ("\u{0}\u{1}", "line 1"),
        ("hunter2", "line 1"),
        (&"[".repeat(100_000), "line 1"),
    ] {
        let answer = raw(&s, json, body.to_owned()).await;
        assert_eq!((answer.status, answer.code()), (400, "not-json"));
        assert!(
            answer.body["detail"].as_str().unwrap().contains(told),
            "{}",
            answer.body
        );
        assert!(!answer.body.to_string().contains("hunter2"));
    }
    let bytes = raw(&s, json, vec![0xff, 0xfe, 0x7b]).await;
    assert_eq!(bytes.code(), "not-json");
    let site = json!({"name": "x", "api": "sim", "url": "sim:x"}).to_string();
    for content_type in ["application/x-www-form-urlencoded", "text/json", ""] {
        let answer = raw(&s, Some(content_type), site.clone()).await;
        assert_eq!((answer.status, answer.code()), (415, "media-type"));
    }
    assert_eq!(s.snapshot().await, before);
    raw(&s, Some("Application/JSON; charset=utf-8"), site.clone())
        .await
        .expect(201);
    assert_eq!(raw(&s, None, site).await.code(), "exists");
}

#[tokio::test]
async fn a_body_has_a_limit_and_the_client_hears_of_it() {
    let s = Service::with(|_, options| options.body_limit = 1000).await;
    let json = Some("application/json");
    for size in [1001, 7999, 5_000_000] {
        let answer = raw(&s, json, "x".repeat(size)).await;
        assert_eq!((answer.status, answer.code()), (413, "too-large"), "{size}");
        assert_eq!(answer.body["advice"], "1000 bytes are the most");
    }
    // Without an announced length, too.
    let chunks = futures_util::stream::iter(
        (0..20).map(|_| Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b' '; 100]))),
    );
    let answer = raw(&s, json, reqwest::Body::wrap_stream(chunks)).await;
    assert_eq!(answer.code(), "too-large");
    let long = json!({"name": "x".repeat(900), "api": "sim", "url": "sim:x"});
    assert_eq!(
        s.post(Who::Operator, "/sites", long).await.code(),
        "too-long"
    );
}

#[tokio::test]
async fn what_is_a_mebibyte_long_is_taken_or_refused_in_few_words() {
    let s = Service::start().await;
    s.load().await;
    let before = s.snapshot().await;
    let long = "x".repeat(1 << 20);
    let named = |name: &str| {
        let mut parameters = serde_json::Map::new();
        parameters.insert(name.to_owned(), json!(1));
        json!({"appliance": "hadoop", "parameters": parameters})
    };
    for (body, code, told) in [
        (json!({"appliance": long}), "too-long", "100 is the most"),
        (
            json!({"appliance": "hadoop", "name": long}),
            "too-long",
            "100 is the most",
        ),
        (named(&long), "invalid", "has 1048576 bytes"),
        (json!({ &*long: 1 }), "missing-key", "there is no key"),
    ] {
        let answer = s.post(Who::Ann, "/clusters", body).await;
        assert_eq!((answer.status, answer.code()), (400, code));
        let text = answer.body.to_string();
        assert!(text.contains(told) && text.len() < 2000, "{text:.4000}");
    }
    let twice = json!({"appliance": "hadoop", "parameters": {"size": format!("{long}{long}")}});
    let answer = s.post(Who::Ann, "/clusters", twice).await;
    assert_eq!((answer.status, answer.code()), (413, "too-large"));
    assert_eq!(answer.body["advice"], "2097152 bytes are the most");
    assert_eq!(s.snapshot().await, before);

    // What is declared may be as long as a body.
    let once = json!({"appliance": "hadoop", "parameters": {"size": long}});
    let made = s.post(Who::Ann, "/clusters", once).await.expect(201);
    assert_eq!(made["state"], "ready");
}

async fn talk(s: &Service, text: &str) -> String {
    let mut line = TcpStream::connect(s.address).await.unwrap();
    line.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = line.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(5), read)
        .await
        .expect("it hangs");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn who_is_slow_or_speaks_no_http_is_cut_off() {
    let s = Service::with(|_, options: &mut DoorOptions| {
        options.body_time = Duration::from_millis(300);
        options.header_time = Duration::from_millis(300);
    })
    .await;
    let begun = "POST /sites HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token-of-root\r\n";
    // Headers that never end.
    let answer = talk(&s, begun).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
    // A body that never comes.
    let answer = talk(&s, &format!("{begun}Content-Length: 10\r\n\r\n{{")).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("\"code\":\"too-slow\""), "{answer}");
    assert!(talk(&s, "hello\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    let large = format!("{begun}X: {}\r\n\r\n", "x".repeat(3_000_000));
    let answer = talk(&s, &large).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    // And everybody else is served all the same.
    s.get(Who::Nobody, "/health/live").await.expect(200);
}

#[tokio::test]
async fn more_connections_than_allowed_wait_their_turn() {
    let s = Service::with(|_, options| options.connections = 2).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut line = TcpStream::connect(s.address).await.unwrap();
        line.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut some = [0; 12];
        line.read_exact(&mut some).await.unwrap();
        assert_eq!(&some, b"HTTP/1.1 200");
        held.push(line);
    }
    let asked = s.request(Who::Nobody, "GET", "/health/live").send();
    let mut asked = std::pin::pin!(asked);
    // Those that are in are served all the while.
    let mut answer = [0; 4096];
    for n in 0..20 {
        let line = &mut held[n % 2];
        let ask = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
        line.write_all(ask).await.unwrap();
        let read = tokio::select! {
            _ = &mut asked => panic!("a third was served"),
            read = line.read(&mut answer) => read.unwrap(),
        };
        assert!(read > 0);
    }
    held.pop();
    assert_eq!(asked.await.unwrap().status(), 200);
}

#[tokio::test]
async fn lines_that_say_nothing_keep_nobody_out() {
    let s = Service::with(|_, options| options.connections = 4).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(s.address).await.unwrap());
    }
    s.get(Who::Nobody, "/health/live").await.expect(200);
    // They gave way to who came later; they were not waited for.
    let mut some = [0; 1];
    assert_eq!(silent[0].read(&mut some).await.unwrap(), 0);
    assert_eq!(silent[1].read(&mut some).await.unwrap(), 0);
}

#[tokio::test]
async fn a_line_that_says_nothing_does_not_hold_up_the_end() {
    let s = Service::with(|_, options| {
        options.header_time = Duration::from_secs(3600);
        options.grace = Duration::from_secs(3600);
    })
    .await;
    let mut silent = TcpStream::connect(s.address).await.unwrap();
    s.get(Who::Nobody, "/health/live").await.expect(200);
    s.stop();
    let mut some = [0; 1];
    assert_eq!(silent.read(&mut some).await.unwrap(), 0);
}

#[tokio::test]
async fn every_answer_carries_the_id_of_its_request() {
    let s = Service::start().await;
    let ask = async |id: &str| {
        let request = s
            .request(Who::Nobody, "GET", "/sites")
            .header("x-request-id", id);
        s.send("GET", "/sites", request).await
    };
    let own = ask("job-17.a:b").await;
    assert_eq!(own.headers["x-request-id"], "job-17.a:b");
    assert_eq!(own.body["request_id"], "job-17.a:b");
    assert_eq!(own.headers["www-authenticate"], "Bearer");
    assert_eq!(own.headers["cache-control"], "no-store");
    let long = "x".repeat(129);
    for bad in ["with blank", "<script>", &long, ""] {
        let answer = ask(bad).await;
        let made = answer.headers["x-request-id"].to_str().unwrap();
        assert_eq!(made.len(), 16, "{made}");
        assert_eq!(answer.body["request_id"], made);
    }
}

#[tokio::test]
async fn a_path_says_which_methods_it_has() {
    let s = Service::start().await;
    for (method, path, allow) in [
        ("PUT", "/clusters", "GET, HEAD, POST"),
        ("OPTIONS", "/clusters/x", "DELETE, GET, HEAD, PATCH"),
        ("TRACE", "/health/live", "GET, HEAD"),
        ("POST", "/lambdalink/clusters/x/monitor/", "GET, HEAD"),
    ] {
        let answer = s.call(Who::Nobody, method, path, None).await;
        assert_eq!(answer.status, 405);
        assert_eq!(answer.headers["allow"], allow);
    }
}

#[tokio::test]
async fn a_token_may_be_sent_in_one_way_only() {
    let s = Service::start().await;
    let with = async |path: &str, name: &str, value: &str| {
        let request = s.request(Who::Nobody, "GET", path).header(name, value);
        s.send("GET", path, request).await.status
    };
    assert_eq!(
        with("/sites", "authorization", "bearer  token-of-ann").await,
        200
    );
    assert_eq!(with("/sites", "authorization", "token-of-ann").await, 401);
    assert_eq!(
        with("/sites", "authorization", "Basic token-of-ann").await,
        401
    );
    assert_eq!(with("/sites", "authorization", "Bearer ").await, 401);
    assert_eq!(
        with("/sites", "dibbs-authorization", "token-of-ann").await,
        401
    );
    let theirs = "/lambdalink/sites/";
    assert_eq!(
        with(theirs, "dibbs-authorization", "token-of-ann").await,
        200
    );
    assert_eq!(
        with(theirs, "authorization", "Bearer token-of-ann").await,
        403
    );
}

/// An adapter with a defect.
#[derive(Debug)]
struct Broken {
    name: &'static str,
    dialect: Dialect,
    routes: &'static [Route],
}

static ROUTES: &[Route] = &[
    Route::new(Method::Get, "/panic", "panic", "Panics", &[(200, None)]).access(Access::Public),
    Route::new(
        Method::Get,
        "/forgotten",
        "forgotten",
        "Nobody serves it",
        &[(200, None)],
    )
    .access(Access::Public),
];
static OTHERS: &[Route] = &[Route::new(
    Method::Get,
    "/panic",
    "other",
    "Clashes",
    &[(200, None)],
)];
static NO_SCHEMA: &[Route] = &[Route::new(
    Method::Post,
    "/x",
    "x",
    "Takes what nobody knows",
    &[(200, None)],
)
.takes("None")];
static NO_PATH: &[Route] = &[Route::new(Method::Get, "/{id}x", "y", "No template", &[])];

impl Adapter for Broken {
    fn name(&self) -> &'static str {
        self.name
    }

    fn kinds(&self) -> &[Kind] {
        &[]
    }
}

#[async_trait]
impl JsonContract for Broken {
    fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    fn routes(&self) -> &'static [Route] {
        self.routes
    }

    fn schemas(&self) -> serde_json::Map<String, serde_json::Value> {
        serde_json::Map::new()
    }

    async fn serve(&self, _call: &Call<'_>, request: Request) -> rm_core::Result<Reply> {
        match request.operation {
            "panic" => panic!("on purpose"),
            other => Err(rm_core::Error::new(rm_core::ErrorKind::Internal, other)),
        }
    }
}

fn broken(name: &'static str, prefix: &str, routes: &'static [Route]) -> Arc<dyn JsonContract> {
    Arc::new(Broken {
        name,
        dialect: Dialect {
            prefix: prefix.to_owned(),
            ..Dialect::plain()
        },
        routes,
    })
}

fn door(adapters: Vec<Arc<dyn JsonContract>>, options: DoorOptions) -> rm_core::Result<Door> {
    let mut builder = Host::builder(Arc::new(TokioEnv::new()));
    for adapter in adapters {
        builder.registries().adapter::<dyn JsonContract>(adapter)?;
    }
    Door::new(Arc::new(builder.build()?), Tokens::default(), options)
}

#[tokio::test]
async fn a_defect_of_an_adapter_is_one_answer_and_not_the_end() {
    let door = door(vec![broken("broken", "", ROUTES)], DoorOptions::default()).unwrap();
    let (listener, address) = rm_adapters::door::listen("127.0.0.1:0").await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let driven = async {
        for path in ["/panic", "/forgotten", "/panic"] {
            let answer = client
                .get(format!("http://{address}{path}"))
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), 500);
            let text = answer.text().await.unwrap();
            assert!(!text.contains("on purpose"), "{text}");
            assert!(text.contains("\"code\":\"internal\""), "{text}");
        }
    };
    door.serve(listener, driven).await;
}

#[tokio::test]
async fn tables_that_contradict_each_other_are_refused_when_the_door_is_made() {
    let refused = |adapters: Vec<Arc<dyn JsonContract>>, told: &str| {
        let e = door(adapters, DoorOptions::default()).unwrap_err();
        assert!(e.to_string().contains(told), "{e}");
    };
    refused(
        vec![broken("one", "", ROUTES), broken("two", "", OTHERS)],
        "GET /panic is served by \"one\" and by \"two\"",
    );
    refused(
        vec![broken("one", "", ROUTES), broken("two", "/two", ROUTES)],
        "another operation \"panic\"",
    );
    refused(vec![broken("one", "", NO_SCHEMA)], "no schema \"None\"");
    refused(vec![broken("one", "", NO_PATH)], "the path \"/{id}x\"");
    refused(
        vec![broken("one", "no-slash", ROUTES)],
        "cannot be the prefix",
    );
    let fine = vec![broken("one", "", ROUTES), broken("two", "/two", OTHERS)];
    assert!(door(fine, DoorOptions::default()).is_ok());
    let only = DoorOptions {
        only: Some(vec!["three".to_owned()]),
        ..DoorOptions::default()
    };
    let e = door(vec![broken("one", "", ROUTES)], only).unwrap_err();
    assert_eq!(
        e.to_string(),
        "there is no adapter \"three\"; there are: one"
    );
}

#[tokio::test]
async fn the_two_parts_can_be_two_processes() {
    let with = |parts: Parts| {
        let mut builder = Host::builder(Arc::new(TokioEnv::new()));
        rest::register(builder.registries(), parts, RestOptions::default()).unwrap();
        let options = LambdaLinkOptions::default();
        lambdalink::register(builder.registries(), parts, options).unwrap();
        let host = Arc::new(builder.build().unwrap());
        let door = Door::new(host, Tokens::default(), DoorOptions::default()).unwrap();
        let paths = door.document()["paths"].as_object().unwrap().clone();
        move |path: &str| paths.contains_key(path)
    };
    let (catalog, resources) = (with(Parts::CATALOG), with(Parts::RESOURCES));
    for path in [
        "/sites",
        "/credentials",
        "/lambdalink/sites/",
        "/lambdalink/implementations/",
    ] {
        assert!(catalog(path) && !resources(path), "{path}");
    }
    for path in [
        "/clusters",
        "/events",
        "/lambdalink/credentials/",
        "/lambdalink/resources/",
    ] {
        assert!(resources(path) && !catalog(path), "{path}");
    }
    assert!(catalog("/health/live") && resources("/openapi.json"));
}
