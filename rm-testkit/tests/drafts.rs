//! Verbs that are written into a batch of the caller's: all of it happens, or
//! nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rm_core::life::{State, Wanted};
use rm_core::manager::{Terms, Want};
use rm_core::model::{Node, NodeSpec};
use rm_core::resource::Resource;
use rm_core::store::{Batch, Outcome};
use rm_core::{ErrorKind, ResourceId};
use rm_testkit::{NODE, Scene};
use serde_json::json;

fn scene() -> Scene {
    let body = json!({
        "roles": [{"name": "master", "count": 1, "node": {
            "image": "debian", "vcpus": 1, "memory_mib": 128,
        }}],
        "master": "master",
    });
    let scene = Scene::builder(1).sites(&[]).node_sites(&["cellar"], &body);
    let scene = scene.build().unwrap();
    scene.start_engine();
    scene
}

/// Two nodes of alice's, reserved in one commit.
async fn reserved(s: &Scene) -> [ResourceId; 2] {
    let catalog = s.door.catalog();
    let site = catalog.site("cellar").await.unwrap();
    let credentials = catalog.credentials_for(&s.alice, site.id).await.unwrap();
    let image = catalog.image("debian").await.unwrap();
    let spec: NodeSpec = serde_json::from_value(json!({
        "image": {"name": image.name, "sha256": image.sha256},
        "vcpus": 1, "memory_mib": 128, "power": "stopped",
    }))
    .unwrap();
    let manager = s.door.managers().serving::<Node>(&NODE).unwrap().remove(0);
    let want = Want {
        site,
        credential: credentials[0].id,
        spec,
        key: None,
        asking: None,
    };
    let offers = manager.offers(&s.alice, &want).await.unwrap();
    let mut batch = Batch::default();
    let ids = ["a", "b"].map(|name| {
        let terms = Terms {
            name: name.to_owned(),
            until: Some(s.world.now().plus(Duration::from_secs(600))),
            needs: Vec::new(),
            reserve: true,
        };
        let made = manager.prepare(&s.alice, &offers, &terms, &mut batch);
        made.unwrap().0
    });
    let outcome = s.door.commit(batch).await.unwrap();
    assert!(matches!(outcome, Outcome::Done(_)));
    ids
}

async fn node(s: &Scene, id: ResourceId) -> Resource<Node> {
    let managers = s.door.managers().serving::<Node>(&NODE).unwrap();
    managers[0].get(&s.alice, id).await.unwrap()
}

async fn write(s: &Scene, drafts: impl FnOnce(&mut Batch)) -> Outcome {
    let mut batch = Batch::default();
    drafts(&mut batch);
    s.door.commit(batch).await.unwrap()
}

#[test]
fn what_is_reserved_is_made_and_does_not_run_before_it_is_started() {
    scene().run(async |s| {
        let ids = reserved(s).await;
        s.world.sleep(Duration::from_secs(60)).await;
        assert_eq!(s.cloud.everything(s.world.now()), []);
        let (a, b) = (node(s, ids[0]).await, node(s, ids[1]).await);
        let outcome = write(s, |batch| {
            for one in [&a, &b] {
                let mut draft = one.draft(&s.alice);
                draft.make().unwrap();
                let e = draft.make().unwrap_err();
                assert_eq!(e.kind(), ErrorKind::Busy);
                draft.put(batch);
            }
        })
        .await;
        assert!(matches!(outcome, Outcome::Done(_)));
        s.world.sleep(Duration::from_secs(60)).await;
        assert_eq!(s.cloud.everything(s.world.now()).len(), 2);
        for id in ids {
            let r = node(s, id).await;
            assert_eq!(r.record().wanted, Wanted::Stopped);
            assert_eq!(r.record().seen, State::Ready);
        }
        let (a, b) = (node(s, ids[0]).await, node(s, ids[1]).await);
        write(s, |batch| {
            for one in [&a, &b] {
                let mut draft = one.draft(&s.alice);
                assert!(draft.stop().is_err());
                draft.start().unwrap();
                draft.put(batch);
            }
        })
        .await;
        s.rest().await;
        assert!(node(s, ids[0]).await.is_ready() && node(s, ids[1]).await.is_ready());
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn of_several_drafts_all_or_none_is_written() {
    scene().run(async |s| {
        let ids = reserved(s).await;
        s.world.sleep(Duration::from_secs(60)).await;
        let (a, b) = (node(s, ids[0]).await, node(s, ids[1]).await);
        // Somebody else changes one of them meanwhile.
        b.grant(&s.alice, "carol").await.unwrap();
        let release = |batch: &mut Batch, of: [&Resource<Node>; 2]| {
            for one in of {
                let mut draft = one.draft(&s.alice);
                draft.release(one.record().holds[0].id).unwrap();
                draft.put(batch);
            }
        };
        let outcome = write(s, |batch| release(batch, [&a, &b])).await;
        assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
        assert_eq!(node(s, ids[0]).await.record(), a.record());
        let b = node(s, ids[1]).await;
        let outcome = write(s, |batch| release(batch, [&a, &b])).await;
        assert!(matches!(outcome, Outcome::Done(_)));
        s.rest().await;
        assert_eq!(s.records().await, []);
        assert_eq!(s.counter("quota/physics/nodes").await, 0);
    });
}

#[test]
fn a_verb_that_is_refused_leaves_the_draft_as_it_was() {
    scene().run(async |s| {
        let ids = reserved(s).await;
        let a = node(s, ids[0]).await;
        let hold = a.record().holds[0].id;
        let mut draft = a.draft(&s.alice);
        assert!(draft.renew(hold, s.world.now()).is_err(), "it is over");
        assert!(
            draft
                .change(|_| Err(rm_core::Error::invalid("no")))
                .is_err()
        );
        assert_eq!(draft.record(), a.record());
        let end = s.world.now().plus(Duration::from_secs(3600));
        draft.renew(hold, end).unwrap();
        assert_eq!(draft.record().holds[0].until, Some(end));
        let mut batch = Batch::default();
        let mut others = a.draft(&s.carol);
        let e = others.release(hold).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Forbidden);
        others.put(&mut batch);
        assert!(batch.resources.is_empty() && batch.expect.is_empty());
        draft.put(&mut batch);
        s.door.commit(batch).await.unwrap();
        assert_eq!(node(s, ids[0]).await.record().first_end(), Some(end));
    });
}
