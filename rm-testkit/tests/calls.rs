//! How often a site is asked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use futures_util::future::join_all;
use rm_core::life::State;
use rm_testkit::{Scene, Verb};

#[test]
fn one_cluster_costs_one_create_at_most_two_looks_and_its_outputs() {
    for build in [0, 100, 400] {
        let scene = Scene::builder(1)
            .config(|c| c.build_ms = build)
            .build()
            .unwrap();
        scene.start_engine_here();
        scene.run(async |s| {
            let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
            let now = s.ready(&s.alice, made.cluster.id()).await.unwrap();
            assert_eq!(now.record().seen, State::Ready);
            let calls = s.cloud.calls();
            let verbs: Vec<_> = calls.iter().map(|c| c.verb).collect();
            // A create that was never attempted needs no look of its own.
            assert_eq!(verbs[0], Verb::Create, "{build}: {verbs:?}");
            let at_most = if build == 400 { 5 } else { 4 };
            assert!(verbs.len() <= at_most, "{build}: {verbs:?}");
            assert_eq!(s.cloud.count(Verb::Create), 1);
            assert_eq!(s.cloud.count(Verb::Offers), 0, "there is one site only");
        });
    }
}

#[test]
fn a_hundred_at_once_share_their_looks() {
    let scene = Scene::builder(2)
        .config(|c| {
            c.build_ms = 1500;
            c.latency_ms = 20;
        })
        .build()
        .unwrap();
    scene.start_engine_here();
    scene.run(async |s| {
        let clusters = s.clusters();
        let request = s.own(0);
        let asked = (0..100).map(|_| clusters.create(&s.alice, &request));
        let ids: Vec<_> = join_all(asked)
            .await
            .into_iter()
            .map(|made| made.unwrap().cluster.id())
            .collect();
        let begun = s.world.now();
        for id in &ids {
            let now = s.ready(&s.alice, *id).await.unwrap();
            assert_eq!(now.record().seen, State::Ready);
        }
        let took = s.world.now().since(begun);
        let looks = s.cloud.count(Verb::Observe);
        let quick = s
            .cloud
            .calls()
            .iter()
            .filter(|c| c.verb == Verb::Observe && c.what.ends_with("things"))
            .count();
        println!("100 clusters in {took:?}: {looks} observations, {quick} of them shared");
        assert_eq!(s.cloud.count(Verb::Create), 100);
        assert!(quick <= 12, "{quick}");
        assert_eq!(looks, quick as u64 + 100, "and each one's view once");
        assert_eq!(s.cloud.most_looks_at_once(), 1);
        assert!(took < Duration::from_secs(12), "{took:?}");
    });
}

#[test]
fn a_site_that_answers_slowly_is_asked_one_thing_at_a_time() {
    let scene = Scene::builder(4)
        .config(|c| c.latency_ms = 3_000)
        .build()
        .unwrap();
    scene.start_engine();
    scene.run(async |s| {
        let mut ids = Vec::new();
        for _ in 0..10 {
            let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
            ids.push(made.cluster.id());
            s.world.sleep(Duration::from_millis(700)).await;
        }
        for id in ids {
            assert!(s.ready(&s.alice, id).await.unwrap().is_ready());
        }
        assert_eq!(s.cloud.most_looks_at_once(), 1);
    });
}

#[test]
fn settled_clusters_are_looked_at_once_a_sweep_and_together() {
    let scene = Scene::new(3);
    scene.start_engine_here();
    scene.run(async |s| {
        for i in 0..30 {
            let made = s.clusters().create(&s.alice, &s.own(0)).await.unwrap();
            s.ready(&s.alice, made.cluster.id()).await.unwrap();
            s.world.sleep(Duration::from_millis(i * 321)).await;
        }
        s.world.sleep(Duration::from_secs(120)).await;
        let before = s.cloud.count(Verb::Observe);
        let commits = s.door_store.commits();
        s.world.sleep(Duration::from_secs(600)).await;
        let looks = s.cloud.count(Verb::Observe) - before;
        println!("30 settled clusters, 10 sweeps: {looks} looks");
        assert!((9..=12).contains(&looks), "{looks}");
        let written = s.door_store.commits() - commits;
        assert!(written <= 10 * 30 + 10, "{written}");
    });
}

/// Of how many things each quick look from this call on was.
fn looked(s: &Scene, from: usize) -> Vec<usize> {
    let calls = s.cloud.calls();
    let of = |what: &str| what.strip_suffix(" things")?.parse().ok();
    calls[from..].iter().filter_map(|c| of(&c.what)).collect()
}

#[test]
fn a_look_asks_for_what_is_active_and_a_sweep_for_a_page_at_most() {
    let scene = Scene::builder(5)
        .policy(|p| p.sweep = Duration::from_secs(3600))
        .config(|c| c.build_ms = 400)
        .build()
        .unwrap();
    scene.start_engine_here();
    scene.run(async |s| {
        let clusters = s.clusters();
        let request = s.own(0);
        let asked = (0..250).map(|_| clusters.create(&s.alice, &request));
        for made in join_all(asked).await {
            s.ready(&s.alice, made.unwrap().cluster.id()).await.unwrap();
        }
        let settled = s.cloud.calls().len();
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        s.ready(&s.alice, made.cluster.id()).await.unwrap();
        let looks = looked(s, settled);
        assert!(
            !looks.is_empty() && looks.iter().all(|n| *n == 1),
            "{looks:?}"
        );
        let settled = s.cloud.calls().len();
        s.world.sleep(Duration::from_secs(3600)).await;
        let looks = looked(s, settled);
        assert_eq!(looks.iter().sum::<usize>(), 251, "{looks:?}");
        assert!(looks.iter().all(|n| *n <= 100), "{looks:?}");
    });
}
