//! I15: who listens misses nothing, however short it was.

use rm_core::ResourceId;
use rm_core::clusters::Size;
use rm_testkit::Scene;

use crate::support::{ask, goes, is_there, let_go, scene, secs};

async fn states(s: &Scene, id: ResourceId) -> Vec<String> {
    let events = s.truth.since(0, Some(id), 10_000).await.unwrap();
    let to = |e: &rm_core::event::Event| e.event.data["to"].as_str().map(str::to_owned);
    let mut states: Vec<String> = events.iter().filter_map(to).collect();
    states.dedup();
    states
}

/// <https://github.com/aws/aws-toolkit-azure-devops/issues/100>: polling missed a
/// short state and waited for ever.
#[test]
fn aws_toolkit_100() {
    let scene = Scene::builder(1)
        .config(|c| {
            c.build_ms = 1;
            c.change_ms = 1;
            c.delete_ms = 1;
        })
        .build()
        .unwrap();
    scene.start_engine();
    scene.run(async |s| {
        let mut told = s.door.subscribe(Some(0)).await.unwrap();
        let id = ask(s, 1).await;
        let mut heard = told.next().await.unwrap();
        is_there(s, id, 1).await;
        heard.extend(told.next().await.unwrap());
        s.clusters()
            .resize(&s.alice, id, Size::To(2))
            .await
            .unwrap();
        heard.extend(told.next().await.unwrap());
        is_there(s, id, 2).await;
        heard.extend(told.next().await.unwrap());
        // Who listens meanwhile hears each event once, in their order.
        let all = s.truth.since(0, None, 10_000).await.unwrap();
        assert!(heard.len() > 4 && all.starts_with(&heard), "{heard:?}");
        let seen = states(s, id).await;
        assert_eq!(seen, ["building", "ready", "changing", "ready"]);
    });
}

/// gCube: a session that took longer than ten minutes was lost, and with it
/// the report.
#[test]
fn gcube_session_lost() {
    let scene = scene(1);
    scene.run(async |s| {
        let id = ask(s, 1).await;
        is_there(s, id, 1).await;
        let cursor = s.truth.newest().await.unwrap();
        s.world.sleep(secs(24 * 3600)).await;
        let_go(s, &s.alice, id).await;
        goes(s, id).await;
        // Whoever comes back a day later goes on where it was.
        let mut told = s.door.subscribe(Some(cursor)).await.unwrap();
        let mut heard = Vec::new();
        while !heard.contains(&"cluster.gone".to_owned()) {
            let news = told.next().await.unwrap().into_iter();
            let of_it = news.filter(|e| e.event.resource == Some(id));
            heard.extend(of_it.map(|e| e.event.what));
        }
        assert_eq!(heard[0], "cluster.released");
        assert!(heard.contains(&"cluster.releasing".to_owned()));
    });
}
