//! Streams of events: replay, news, who hears what, and their end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use rm_core::Tenant;
use rm_core::env::Timestamp;
use rm_core::event::NewEvent;
use rm_core::store::Batch;
use serde_json::{Value, json};

use crate::support::{Service, Who};

/// One open stream.
struct Line {
    bytes: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
}

#[derive(Debug, Clone, PartialEq)]
struct Event {
    id: u64,
    what: String,
    data: Value,
}

impl Line {
    async fn open(s: &Service, who: Who, path: &str, after: Option<u64>) -> Self {
        let mut request = s
            .request(who, "GET", path)
            .header("accept", "text/event-stream");
        if let Some(after) = after {
            request = request.header("last-event-id", after.to_string());
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            bytes: response.bytes_stream().boxed(),
            text: String::new(),
        }
    }

    /// The next event; none where the stream has ended.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|l| l.strip_prefix(name))
                        .map(str::to_owned)
                };
                if let (Some(id), Some(what), Some(data)) =
                    (field("id: "), field("event: "), field("data: "))
                {
                    return Some(Event {
                        id: id.parse().unwrap(),
                        what,
                        data: serde_json::from_str(&data).unwrap(),
                    });
                }
                continue;
            }
            let more = tokio::time::timeout(Duration::from_secs(60), self.bytes.next());
            match more.await.expect("nothing comes any more") {
                Some(Ok(bytes)) => self.text.push_str(std::str::from_utf8(&bytes).unwrap()),
                _ => return None,
            }
        }
    }

    async fn until(&mut self, what: &str) -> Vec<Event> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            let over = event.what == what;
            all.push(event);
            if over {
                return all;
            }
        }
        panic!("{what} never came, but {all:?}");
    }
}

#[tokio::test]
async fn a_stream_tells_what_was_and_what_comes_and_can_be_taken_up_again() {
    let s = Service::start().await;
    s.load().await;
    let mut live = Line::open(&s, Who::Ann, "/events", None).await;
    // Only what comes from now on: the stream is open before the cluster.
    let made = s.cluster(Who::Ann, 0).await;
    let heard = live.until("cluster.ready").await;
    let mut told = words(&heard);
    told.retain(|what| *what != "cluster.step");
    assert_eq!(
        told,
        ["cluster.requested", "cluster.building", "cluster.ready"]
    );
    assert!(heard.windows(2).all(|w| w[0].id < w[1].id));
    assert_eq!(heard[0].data["resource"], made["id"]);
    assert_eq!(heard[0].data["seq"], heard[0].id);

    // A second line takes up where the first one was.
    let again = Line::open(&s, Who::Ann, "/events", Some(heard[0].id)).await;
    let path = format!("/events?after={}", heard[0].id);
    let by_query = Line::open(&s, Who::Ann, &path, None).await;
    let path = format!("/clusters/{}/events", made["id"].as_str().unwrap());
    let of_it = Line::open(&s, Who::Ann, &path, None).await;
    for (mut line, expected) in [
        (again, &heard[1..]),
        (by_query, &heard[1..]),
        (of_it, &heard[..]),
    ] {
        assert_eq!(line.until("cluster.ready").await, expected);
    }

    // As a list, page by page.
    let list = async |path: String| {
        let request = s
            .request(Who::Ann, "GET", &path)
            .header("accept", "application/json");
        s.send("GET", &path, request).await.expect(200)
    };
    let mut seqs = Vec::new();
    let mut after = 0;
    loop {
        let page = list(format!("{path}?limit=2&after={after}")).await;
        seqs.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|e| e["seq"].as_u64().unwrap()),
        );
        match page["next"].as_str() {
            Some(next) => after = next.parse().unwrap(),
            None => break,
        }
    }
    assert_eq!(seqs, heard.iter().map(|e| e.id).collect::<Vec<_>>());
}

/// Something that everybody of the tenant hears: what was not heard before it
/// is not heard at all.
async fn mark(s: &Service, who: Who) {
    let hook = json!({"url": "http://127.0.0.1:9/"});
    s.post(who, "/callbacks", hook).await.expect(201);
}

fn words(events: &[Event]) -> Vec<&str> {
    events.iter().map(|e| e.what.as_str()).collect()
}

#[tokio::test]
async fn everybody_hears_only_of_what_they_may_see() {
    let s = Service::start().await;
    s.load().await;
    let [mut root, mut amy, mut bob] = [
        Line::open(&s, Who::Operator, "/events", None).await,
        Line::open(&s, Who::Amy, "/events", None).await,
        Line::open(&s, Who::Bob, "/events", None).await,
    ];
    let mut cat = Line::open(&s, Who::Cat, "/events?after=0", None).await;
    let made = s.cluster(Who::Ann, 0).await;
    let path = format!("/clusters/{}", made["id"].as_str().unwrap());
    let grant = format!("{path}/grants/bob");
    s.call(Who::Ann, "PUT", &grant, None).await.expect(200);
    let site = json!({"name": "x", "api": "sim", "url": "sim:x"});
    s.post(Who::Operator, "/sites", site).await.expect(201);
    assert_eq!(
        amy.until("cluster.granted").await.last().unwrap().data["data"]["to"],
        "bob"
    );
    root.until("catalog.site.added").await;
    s.call(Who::Ann, "DELETE", &grant, None).await.expect(200);
    amy.until("cluster.revoked").await;
    mark(&s, Who::Bob).await;
    mark(&s, Who::Cat).await;
    let heard = bob.until("callback.added").await;
    assert_eq!(words(&heard), ["cluster.granted", "callback.added"]);
    assert_eq!(
        words(&cat.until("callback.added").await),
        ["callback.added"]
    );
}

#[tokio::test]
async fn who_was_granted_a_cluster_hears_of_its_end() {
    let s = Service::start().await;
    s.load().await;
    let made = s.cluster(Who::Ann, 0).await;
    let path = format!("/clusters/{}", made["id"].as_str().unwrap());
    let grant = format!("{path}/grants/bob");
    s.call(Who::Ann, "PUT", &grant, None).await.expect(200);
    let mut all = Line::open(&s, Who::Bob, "/events", None).await;
    let mut one = Line::open(&s, Who::Bob, &format!("{path}/events"), None).await;
    s.call(Who::Ann, "DELETE", &path, None).await.expect(200);
    let heard = all.until("cluster.gone").await;
    assert_eq!(heard[0].what, "cluster.released");
    // The stream of the one begins with what was before the grant.
    let whole = one.until("cluster.gone").await;
    assert_eq!(whole[0].what, "cluster.requested");
    assert_eq!(whole[whole.len() - heard.len()..], heard);
}

#[tokio::test]
async fn whoever_was_away_for_too_long_is_told_what_is_lost() {
    let s = Service::idle(|_, _| ()).await;
    let store = Arc::clone(s.host.store());
    let old = |n: u64| NewEvent {
        at: Timestamp::from_millis(0),
        what: format!("toy.{n}"),
        tenant: Some(Tenant("physics".to_owned())),
        audience: Vec::new(),
        resource: None,
        data: Value::Null.into(),
    };
    let batch = Batch {
        events: (1..=9).map(old).collect(),
        ..Batch::default()
    };
    store.commit(batch).await.unwrap();
    // The engine tidies up when it begins; the newest always stays.
    let engine = s.host.engine();
    tokio::spawn(async move { engine.run(std::future::pending()).await });
    while store.since(0, None, 9).await.unwrap().len() > 1 {
        tokio::task::yield_now().await;
    }
    let mut line = Line::open(&s, Who::Ann, "/events", Some(3)).await;
    let lost = line.next().await.unwrap();
    assert_eq!((lost.id, lost.what.as_str()), (8, "events.lost"));
    assert_eq!(lost.data["data"]["code"], "events-lost");
    assert_eq!(lost.data["data"]["after"], 3);
    assert_eq!(line.next().await.unwrap().id, 9);
    // The client's own cursor, and one that was never behind.
    for after in [lost.id, 0] {
        let mut line = Line::open(&s, Who::Ann, "/events", Some(after)).await;
        assert_eq!(line.next().await.unwrap().what, "toy.9");
    }
    let list = async |after: u64| {
        let path = format!("/events?after={after}");
        let request = s
            .request(Who::Ann, "GET", &path)
            .header("accept", "application/json");
        s.send("GET", &path, request).await
    };
    let refused = list(3).await;
    assert_eq!((refused.status, refused.code()), (410, "events-lost"));
    let advice = refused.body["advice"].as_str().unwrap();
    assert!(advice.contains("behind number 8"), "{advice}");
    for after in [0, 8] {
        let items = list(after).await.expect(200);
        assert_eq!(items["items"][0]["seq"], 9);
    }
}

#[tokio::test]
async fn streams_and_waits_end_when_the_service_stops() {
    let s = Service::start().await;
    s.load().await;
    let mut line = Line::open(&s, Who::Ann, "/events", None).await;
    // A create that takes long is answered with what is known by then.
    s.cloud.inject(rm_testkit::Rule::next(
        rm_testkit::Verb::Create,
        rm_testkit::Fault::Slow(Duration::from_secs(30)),
    ));
    let waiting = async {
        s.post(Who::Ann, "/clusters", json!({"appliance": "hadoop"}))
            .await
    };
    let stopping = async {
        line.until("cluster.requested").await;
        s.stop();
    };
    let (answer, ()) = tokio::join!(waiting, stopping);
    assert_eq!(answer.expect(202)["operation"]["state"], "running");
    while let Some(event) = line.next().await {
        assert!(event.what.starts_with("cluster."));
    }
    // Nobody listens any more.
    let listens = async || {
        let live = s.request(Who::Nobody, "GET", "/health/live");
        live.send().await.is_ok()
    };
    while listens().await {
        tokio::task::yield_now().await;
    }
}
