//! A daemon that is stopped for longer than its claims last, while another one
//! takes over, and wakes up in the middle of what it was doing.

use std::time::Duration;

use tokio::time::sleep;

use crate::daemon::Daemon;
use crate::eyes::Eyes;
use crate::ground::Ground;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wakes_up_late_is_fenced() {
    let Some(ground) = Ground::heat("who_wakes_up_late") else {
        return;
    };
    let folder = tempfile::TempDir::new().unwrap();
    let late = Daemon::first(folder.path(), &ground).await;
    let eyes = Eyes::open(&ground);
    let client = late.client();
    let (bigger, dying) = (client.create().await, client.create().await);
    for id in [&bigger, &dying] {
        client.ready(id).await;
    }

    // All three operations are under way, the creates at different stages.
    client.resize(&bigger, 3).await;
    client.delete(&dying).await;
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(client.create().await);
        sleep(Duration::from_millis(150)).await;
    }
    late.signal("STOP");
    let other = late.second().await;
    let client = other.client();
    for id in made.iter().chain([&bigger]) {
        client.ready(id).await;
    }
    client.gone(&dying).await;

    late.signal("CONT");
    late.up().await;
    // It works again, alone: what it still had in hand is behind it by then.
    drop(other);
    let client = late.client();
    let fresh = client.create().await;
    client.ready(&fresh).await;
    for id in made.iter().chain([&fresh]) {
        assert_eq!(eyes.sizes(id).await, [1]);
        assert_eq!(client.ready(id).await["slaves"], 1);
    }
    assert_eq!(eyes.sizes(&bigger).await, [3]);
    assert_eq!(eyes.sizes(&dying).await, [0; 0]);
    for id in made.iter().chain([&fresh, &bigger]) {
        client.delete(id).await;
        client.gone(id).await;
        assert_eq!(eyes.sizes(id).await, [0; 0]);
    }
}
