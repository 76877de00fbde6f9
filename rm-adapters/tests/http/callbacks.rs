//! Callbacks: a receiver that fails at first gets every event, in order, and
//! whoever looks sees how it fares.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use rm_core::event::Event;
use rm_core::outbox::{Deliver, not_delivered};
use serde_json::json;
use tokio::sync::Notify;

use crate::support::{Service, Who};

/// Refuses the first two deliveries.
#[derive(Debug, Default)]
struct Receiver {
    inner: Mutex<(u32, Vec<(u64, String)>)>,
    refused: Notify,
    ready: Notify,
}

#[async_trait]
impl Deliver for Receiver {
    async fn deliver(&self, url: &str, event: &Event) -> rm_core::Result<()> {
        assert_eq!(url, "http://127.0.0.1:9/hook");
        let mut inner = self.inner.lock().unwrap();
        inner.0 += 1;
        if inner.0 <= 2 {
            self.refused.notify_one();
            return Err(not_delivered(503));
        }
        inner.1.push((event.seq, event.event.what.clone()));
        if event.event.what == "cluster.ready" {
            self.ready.notify_one();
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_receiver_that_fails_at_first_gets_every_event_in_order() {
    let s = Service::start().await;
    s.load().await;
    let hook = json!({"url": "http://127.0.0.1:9/hook", "prefix": "cluster."});
    let made = s.post(Who::Ann, "/callbacks", hook).await.expect(201);
    assert_eq!(made["state"], "active");
    let request = json!({"appliance": "hadoop", "slaves": 1});
    let cluster = s.post(Who::Ann, "/clusters", request).await.expect(201);
    let receiver = Receiver::default();
    let outbox = s.host.outbox();
    let listed = async |state: &str| loop {
        let list = s.get(Who::Ann, "/callbacks").await.expect(200);
        let one = list["items"][0].clone();
        if one["state"] == state {
            return one;
        }
        tokio::task::yield_now().await;
    };
    let all = async {
        receiver.refused.notified().await;
        let failing = listed("failing").await;
        let why = "the receiver answered with status 503";
        assert_eq!(failing["last_error"], why);
        assert!(failing["failing_since"].is_string());
        receiver.ready.notified().await;
        let active = listed("active").await;
        assert_eq!(active["failures"], 0);
        assert!(active.get("last_error").is_none());
    };
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, outbox.run(&receiver, all))
        .await
        .unwrap();
    let got: Vec<u64> = {
        let inner = receiver.inner.lock().unwrap();
        inner.1.iter().map(|(seq, _)| *seq).collect()
    };
    let id = cluster["id"].as_str().unwrap().parse().unwrap();
    let ann = Who::Ann.caller();
    let sent = s.host.events().after(&ann, Some(id), 0, 100).await.unwrap();
    let sent: Vec<u64> = sent.events.iter().map(|e| e.seq).take(got.len()).collect();
    assert_eq!(got, sent, "each once, in commit order");
    let others = s.get(Who::Cat, "/callbacks").await.expect(200);
    assert_eq!(others["items"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_tenant_may_have_so_many() {
    let s = Service::with(|policy, _| policy.callbacks = 1).await;
    let hook = json!({"url": "http://127.0.0.1:9/hook"});
    let made = s
        .post(Who::Ann, "/callbacks", hook.clone())
        .await
        .expect(201);
    let more = s.post(Who::Amy, "/callbacks", hook.clone()).await;
    assert_eq!((more.status, more.code()), (403, "too-many-callbacks"));
    s.post(Who::Bob, "/callbacks", hook.clone())
        .await
        .expect(201);
    let path = format!("/callbacks/{}", made["id"].as_str().unwrap());
    s.call(Who::Amy, "DELETE", &path, None).await.expect(204);
    s.post(Who::Amy, "/callbacks", hook).await.expect(201);
}
