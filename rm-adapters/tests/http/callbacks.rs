//! Callbacks: a receiver that fails twice gets every event, in order.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use rm_core::event::Event;
use rm_core::signal::{Deliver, not_delivered};
use serde_json::json;

use crate::support::{Service, Who};

/// Refuses the first two deliveries.
#[derive(Debug, Default)]
struct Receiver(Mutex<(u32, Vec<(u64, String)>)>);

#[async_trait]
impl Deliver for Receiver {
    async fn deliver(&self, url: &str, event: &Event) -> rm_core::Result<()> {
        assert_eq!(url, "http://127.0.0.1:9/hook");
        let mut inner = self.0.lock().unwrap();
        inner.0 += 1;
        if inner.0 <= 2 {
            return Err(not_delivered(503));
        }
        inner.1.push((event.seq, event.event.what.clone()));
        Ok(())
    }
}

#[tokio::test]
async fn a_receiver_that_fails_at_first_gets_every_event_in_order() {
    let s = Service::start().await;
    s.load().await;
    let hook = json!({"url": "http://127.0.0.1:9/hook", "prefix": "cluster."});
    s.post(Who::Ann, "/callbacks", hook).await.expect(201);
    let request = json!({"appliance": "hadoop", "slaves": 1});
    let cluster = s.post(Who::Ann, "/clusters", request).await.expect(201);
    let receiver = Receiver::default();
    let outbox = s.host.outbox();
    let all = async {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let inner = receiver.0.lock().unwrap();
            if inner.1.iter().any(|(_, what)| what == "cluster.ready") {
                return;
            }
        }
    };
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, outbox.run(&receiver, all))
        .await
        .unwrap();
    let got: Vec<u64> = {
        let inner = receiver.0.lock().unwrap();
        inner.1.iter().map(|(seq, _)| *seq).collect()
    };
    let id = cluster["id"].as_str().unwrap().parse().unwrap();
    let sent = s.host.store().since(0, Some(id), 100).await.unwrap();
    let sent: Vec<u64> = sent.iter().map(|e| e.seq).take(got.len()).collect();
    assert_eq!(got, sent, "each once, in commit order");
    let listed = s
        .call(Who::Ann, "GET", "/callbacks", None)
        .await
        .expect(200);
    assert_eq!(listed["items"][0]["failures"], 0);
    let others = s
        .call(Who::Cat, "GET", "/callbacks", None)
        .await
        .expect(200);
    assert_eq!(others["items"].as_array().unwrap().len(), 0);
}
