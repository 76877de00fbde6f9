//! Who sees what, and who may do what.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rm_core::clusters::Size;
use rm_core::{Caller, ErrorKind, ResourceId};
use rm_testkit::Scene;

async fn listed(s: &Scene, who: &Caller, all: bool) -> Vec<ResourceId> {
    let page = s.clusters().list(who, all, None, 100).await.unwrap();
    page.items
        .iter()
        .map(rm_core::resource::Resource::id)
        .collect()
}

#[test]
fn everybody_sees_what_is_theirs_and_nothing_else() {
    let scene = Scene::new(1);
    scene.start_engine();
    scene.run(async |s| {
        let of_physics = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        s.world.sleep(std::time::Duration::from_millis(5)).await;
        let of_biology = s.clusters().create(&s.carol, &s.own(1)).await.unwrap();
        let (p, b) = (of_physics.cluster.id(), of_biology.cluster.id());
        assert_eq!(listed(s, &s.alice, false).await, [p]);
        assert_eq!(listed(s, &s.bob, false).await, [p], "of the same tenant");
        assert_eq!(listed(s, &s.carol, false).await, [b]);
        assert_eq!(listed(s, &s.operator, false).await, [], "owns nothing");
        assert_eq!(listed(s, &s.operator, true).await, [p, b]);
        let e = s
            .clusters()
            .list(&s.alice, true, None, 100)
            .await
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Forbidden);

        // What is somebody else's is missing, as what never was.
        let never: ResourceId = "0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21".parse().unwrap();
        let strange = s.clusters().get(&s.carol, p).await.unwrap_err();
        let missing = s.clusters().get(&s.carol, never).await.unwrap_err();
        for e in [&strange, &missing] {
            assert_eq!(e.kind(), ErrorKind::NotFound);
        }
        assert_eq!(
            strange.to_string().replace(&p.to_string(), ""),
            missing.to_string().replace(&never.to_string(), "")
        );
        let e = s
            .clusters()
            .resize(&s.carol, p, Size::To(2))
            .await
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NotFound);
        let e = of_physics
            .cluster
            .release(&s.carol, None)
            .await
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NotFound);
        assert_eq!(s.clusters().get(&s.operator, p).await.unwrap().id(), p);
    });
}

#[test]
fn who_holds_nothing_changes_nothing() {
    let scene = Scene::new(2);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        let cluster = s.ready(&s.bob, id).await.unwrap();
        let refusals = [
            cluster.release(&s.bob, None).await.unwrap_err(),
            cluster.renew(&s.bob, None, None).await.unwrap_err(),
            cluster.grant(&s.bob, "carol").await.unwrap_err(),
            s.clusters()
                .resize(&s.bob, id, Size::To(2))
                .await
                .unwrap_err(),
        ];
        for e in refusals {
            assert_eq!(e.kind(), ErrorKind::Forbidden, "{e}");
            assert!(e.next().is_some());
        }
        assert_eq!(s.records().await[0].generation, 1);
    });
}

#[test]
fn a_grant_lets_somebody_see_it_until_it_is_taken_back() {
    let scene = Scene::new(3);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        let cluster = s.ready(&s.alice, id).await.unwrap();
        cluster.grant(&s.alice, "carol").await.unwrap();
        assert_eq!(listed(s, &s.carol, false).await, [id]);
        let seen = s.clusters().get(&s.carol, id).await.unwrap();
        assert!(seen.view().unwrap().address.is_some());
        let e = seen.release(&s.carol, None).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Forbidden);
        cluster.revoke(&s.alice, "carol").await.unwrap();
        assert_eq!(listed(s, &s.carol, false).await, []);
        let e = s.clusters().get(&s.carol, id).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NotFound);
        let e = cluster.revoke(&s.alice, "carol").await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_list_is_read_page_by_page_to_its_end() {
    let scene = Scene::new(4);
    scene.start_engine();
    scene.run(async |s| {
        let mut granted = Vec::new();
        for _ in 0..7 {
            s.clusters().create(&s.carol, &s.own(0)).await.unwrap();
            let made = s.clusters().create(&s.alice, &s.own(0)).await.unwrap();
            let id = made.cluster.id();
            s.ready(&s.alice, id).await.unwrap();
            granted.push(made.cluster.grant(&s.alice, "carol").await.unwrap().id());
        }
        for limit in [1, 2, 3, 7, 14, 50] {
            let mut ids = Vec::new();
            let mut after = None;
            loop {
                let page = s
                    .clusters()
                    .list(&s.carol, false, after.as_ref(), limit)
                    .await
                    .unwrap();
                // Full, unless the list ends with it.
                match page.next {
                    Some(_) => assert_eq!(page.items.len(), limit as usize),
                    None => assert!((1..=limit as usize).contains(&page.items.len())),
                }
                ids.extend(page.items.iter().map(rm_core::resource::Resource::id));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(ids.len(), 14, "limit {limit}");
            let mut once = ids.clone();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), 14, "none twice");
            assert!(granted.iter().all(|id| ids.contains(id)));
        }
    });
}

#[test]
fn only_an_operator_loads_the_catalog() {
    let scene = Scene::new(5);
    scene.run(async |s| {
        let e = s
            .door
            .catalog()
            .remove_appliance(&s.alice, "hadoop")
            .await
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Forbidden);
        assert!(e.next().unwrap().contains("operator"));
        // And what is used stays.
        let e = s
            .door
            .catalog()
            .remove_appliance(&s.operator, "hadoop")
            .await
            .unwrap_err();
        assert_eq!(e.stable_code(), "in-use");
    });
}
