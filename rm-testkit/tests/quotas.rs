//! What a tenant may have is never overrun, and always given back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use futures_util::future::join_all;
use rm_core::ErrorKind;
use rm_core::clusters::Size;
use rm_core::life::State;
use rm_core::policy::Quota;
use rm_testkit::{Fault, Rule, Scene, Verb};

fn scene(seed: u64, clusters: u64, nodes: u64) -> Scene {
    let scene = Scene::builder(seed)
        .policy(|p| {
            p.quota = Quota {
                clusters: Some(clusters),
                nodes: Some(nodes),
                lease_seconds: None,
            };
        })
        .build()
        .unwrap();
    scene.start_engine();
    scene
}

#[test]
fn requests_at_the_same_moment_never_overrun_a_quota() {
    for seed in 0..100 {
        let (clusters, nodes) = if seed % 2 == 0 { (3, 1000) } else { (1000, 10) };
        let scene = scene(seed, clusters, nodes);
        scene.run(async |s| {
            let request = s.own(2);
            let clusters = s.clusters();
            let asked = (0..10).map(|_| clusters.create(&s.alice, &request));
            let answers: Vec<_> = join_all(asked).await;
            let granted = answers.iter().filter(|a| a.is_ok()).count();
            assert_eq!(granted, 3, "3 of 3, or 9 of 10 nodes");
            for e in answers.into_iter().filter_map(Result::err) {
                assert_eq!(e.kind(), ErrorKind::Quota);
                assert_eq!(e.stable_code(), "quota-exceeded");
            }
            // The other tenant has its own.
            s.clusters().create(&s.carol, &request).await.unwrap();
            assert_eq!(s.faults().await, Vec::<String>::new());
            assert_eq!(s.cloud.everything(s.world.now()).len(), 4);
        });
    }
}

#[test]
fn what_is_gone_is_given_back_and_what_is_going_is_not() {
    let scene = scene(1, 1, 100);
    scene.run(async |s| {
        let first = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = first.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        first.cluster.release(&s.alice, None).await.unwrap();
        let e = s.clusters().create(&s.alice, &s.own(1)).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Quota, "it is still there");
        assert!(s.gone(&s.alice, id).await.unwrap());
        s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
    });
}

#[test]
fn another_size_is_charged_before_it_is_made() {
    let scene = scene(2, 10, 6);
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        let e = s
            .clusters()
            .resize(&s.alice, id, Size::To(6))
            .await
            .unwrap_err();
        assert_eq!(e.stable_code(), "quota-exceeded");
        assert!(e.what().contains('6') && e.what().contains('3'), "{e}");
        s.clusters()
            .resize(&s.alice, id, Size::To(5))
            .await
            .unwrap();
        assert_eq!(s.counter("quota/physics/nodes").await, 6);
        s.ready(&s.alice, id).await.unwrap();
        s.clusters()
            .resize(&s.alice, id, Size::To(0))
            .await
            .unwrap();
        assert_eq!(s.counter("quota/physics/nodes").await, 6, "it is there");
        s.ready(&s.alice, id).await.unwrap();
        assert_eq!(s.counter("quota/physics/nodes").await, 1);
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn a_change_that_the_site_refuses_leaves_the_old_size_and_gives_the_quota_back() {
    let scene = scene(3, 10, 100);
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        s.cloud
            .inject(Rule::next(Verb::Change, Fault::Refused(ErrorKind::Invalid)));
        s.clusters()
            .resize(&s.alice, id, Size::To(5))
            .await
            .unwrap();
        assert_eq!(s.counter("quota/physics/nodes").await, 6);
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Ready);
        assert_eq!(now.spec().unwrap().slaves, 2);
        assert!(now.record().reason.contains("the change was refused"));
        assert!(now.record().reason.contains("invalid"), "and by whom");
        assert_eq!(s.counter("quota/physics/nodes").await, 3);
        // It is told until the next change, which works.
        s.world.sleep(std::time::Duration::from_secs(200)).await;
        let now = s.clusters().get(&s.alice, id).await.unwrap();
        assert!(now.record().reason.contains("the change was refused"));
        s.clusters()
            .resize(&s.alice, id, Size::To(4))
            .await
            .unwrap();
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.view().unwrap().hosts.len(), 5);
        assert_eq!(now.record().reason, "");
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn a_change_that_is_refused_while_it_is_made_waits_for_the_view() {
    let scene = scene(4, 10, 100);
    scene.run(async |s| {
        s.cloud
            .inject(Rule::next(Verb::Change, Fault::Refused(ErrorKind::Invalid)));
        let made = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
        let id = made.cluster.id();
        s.clusters()
            .resize(&s.alice, id, Size::To(5))
            .await
            .unwrap();
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Ready, "{:?}", now.record());
        // Where the engine had not begun yet, it was made as asked last.
        let slaves = now.spec().unwrap().slaves;
        assert_eq!(now.view().unwrap().hosts.len(), slaves as usize + 1);
        assert!(now.view().unwrap().address.is_some());
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}
