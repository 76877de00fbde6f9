//! One kill after the other, at moments spread evenly over each operation.

use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::eyes::Eyes;
use crate::ground::Ground;

/// Kills of each operation.
const KILLS: u32 = 3;

/// Moments spread evenly over an operation that takes `whole`.
fn moment(kill: u32, of: u32, whole: Duration) -> Duration {
    whole * (2 * kill + 1) / (2 * of)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_it_goes_on_with_exactly_one_stack_a_cluster() {
    let Some(ground) = Ground::heat("killed_anywhere_it_goes_on") else {
        return;
    };
    let folder = tempfile::TempDir::new().unwrap();
    let mut daemon = Daemon::first(folder.path(), &ground).await;
    let client = daemon.client();
    let eyes = Eyes::open(&ground);

    // How long each takes when nobody interferes.
    let began = Instant::now();
    let id = client.create().await;
    client.ready(&id).await;
    let create = began.elapsed();
    let began = Instant::now();
    client.resize(&id, 2).await;
    client.ready(&id).await;
    let resize = began.elapsed();
    let began = Instant::now();
    client.delete(&id).await;
    client.gone(&id).await;
    let delete = began.elapsed();
    println!("undisturbed: create {create:.1?}, resize {resize:.1?}, delete {delete:.1?}");

    let mut spread: Vec<String> = Vec::new();
    for kill in 0..KILLS {
        let after = moment(kill, KILLS, create);
        let id = client.create().await;
        tokio::time::sleep(after).await;
        daemon.kill_and_start().await;
        client.ready(&id).await;
        assert_eq!(
            eyes.sizes(&id).await,
            [1],
            "killed {after:.1?} into a create"
        );
        spread.push(format!("create+{after:.1?}"));

        let after = moment(kill, KILLS, resize);
        client.resize(&id, 3).await;
        tokio::time::sleep(after).await;
        daemon.kill_and_start().await;
        let cluster = client.ready(&id).await;
        assert_eq!(cluster["hosts"].as_array().unwrap().len(), 4);
        assert_eq!(
            eyes.sizes(&id).await,
            [3],
            "killed {after:.1?} into a resize"
        );
        spread.push(format!("resize+{after:.1?}"));

        let after = moment(kill, KILLS, delete);
        client.delete(&id).await;
        tokio::time::sleep(after).await;
        daemon.kill_and_start().await;
        client.gone(&id).await;
        assert!(
            eyes.sizes(&id).await.is_empty(),
            "killed {after:.1?} into a delete"
        );
        spread.push(format!("delete+{after:.1?}"));
    }

    // A cluster is given up while it is made: when nobody knows yet what came of
    // the create, and when Heat works on it.
    for is_there in [false, true] {
        let began = Instant::now();
        let id = client.create().await;
        tokio::time::sleep(moment(0, 4 * KILLS, create)).await;
        while is_there && eyes.left(&daemon.installation()).await.is_empty() {
            assert!(
                began.elapsed() < Duration::from_secs(300),
                "no stack of {id:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let after = began.elapsed();
        daemon.kill_and_start().await;
        client.delete(&id).await;
        client.gone(&id).await;
        spread.push(format!("create+{after:.1?} and deleted"));
    }

    let left = eyes.left(&daemon.installation()).await;
    assert_eq!(left, [""; 0], "left over at the site");
    println!("killed at: {}", spread.join(", "));
}
