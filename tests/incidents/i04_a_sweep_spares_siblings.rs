//! I4: whatever is swept, nothing is touched that is not provably ours.

use rm_core::backend::Mark;
use rm_core::catalog::NewCredential;
use rm_core::id::RemoteId;
use rm_core::life::State;
use rm_core::orphans::Verdict;
use rm_core::{ErrorKind, ResourceId, Tenant};
use rm_testkit::{Scene, Verb};
use serde_json::json;

use crate::support::{ask, goes, have, let_go, orphans, scene, secs, seen, sound};

const STRANGER: &str = "0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21";

fn mark(installation: &str, resource: ResourceId) -> Mark {
    Mark {
        installation: installation.to_owned(),
        resource,
        incarnation: 1,
        generation: 1,
    }
}

fn plant(s: &Scene, name: &str, mark: Option<Mark>) -> RemoteId {
    s.cloud.plant("north", "physics", name, mark, s.world.now())
}

fn is_left(s: &Scene, id: &RemoteId) {
    let things = s.cloud.things("north", s.world.now());
    assert!(things.iter().any(|t| t.id == *id), "{id} was destroyed");
}

/// <https://github.com/NousResearch/hermes-agent/issues/39434>: a sweep could
/// not tell its own sandboxes from those of another installation.
#[test]
fn hermes_agent_39434() {
    let scene = scene(1);
    scene.run(async |s| {
        let sibling = plant(
            s,
            "rm-sibling",
            Some(mark("other", STRANGER.parse().unwrap())),
        );
        let report = orphans(s).await;
        assert_eq!((report.orphans.len(), report.foreign), (0, 1));
        s.world.sleep(secs(3 * 3600)).await;
        is_left(s, &sibling);
        assert_eq!(s.cloud.count(Verb::Destroy), 0);
    });
}

/// <https://github.com/kortix-ai/suna/pull/3571>: about 85 orphans in an
/// organisation that several environments shared.
#[test]
fn suna_3571() {
    let scene = scene(1);
    scene.run(async |s| {
        let id = have(s, 1).await;
        let mut theirs = Vec::new();
        for n in 0..85 {
            let resource = format!("0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d{n:02}");
            let resource = resource.parse().unwrap();
            let whose = if n < 40 { "other" } else { "lab" };
            theirs.push((
                whose,
                plant(s, &format!("x{n}"), Some(mark(whose, resource))),
            ));
        }
        let report = orphans(s).await;
        assert_eq!((report.owned, report.foreign), (1, 40));
        assert_eq!(report.orphans.len(), 45, "ours, and no record's");
        for orphan in &report.orphans {
            let unheard = orphan.verdict == Verdict::Unheard;
            let done = s.door.orphans();
            done.reclaim(&s.operator, &orphan.thing, unheard)
                .await
                .unwrap();
        }
        s.world.sleep(secs(60)).await;
        assert_eq!(orphans(s).await.orphans, []);
        for (whose, id) in &theirs {
            if *whose == "other" {
                is_left(s, id);
            }
        }
        assert_eq!(s.cloud.of(id, s.world.now()).len(), 1);
    });
}

/// <https://github.com/fp7-ofelia/ocf/issues/168>: the expiry of one slice
/// destroyed the machines of another.
#[test]
fn ocf_168() {
    let scene = scene(1);
    scene.run(async |s| {
        let (one, other) = (have(s, 1).await, have(s, 1).await);
        let_go(s, &s.alice, one).await;
        goes(s, one).await;
        assert_eq!(seen(s, other).await, State::Ready);
        assert_eq!(s.cloud.of(other, s.world.now()).len(), 1);
        assert_eq!(s.cloud.count(Verb::Destroy), 1);
    });
}

/// <https://github.com/kubernetes-sigs/cluster-api-provider-openstack/issues/668>:
/// what somebody else had made beforehand was deleted with the cluster.
#[test]
fn capo_668() {
    let scene = scene(1);
    scene.run(async |s| {
        let unmarked = plant(s, "somebody's own", None);
        let id = have(s, 1).await;
        let_go(s, &s.alice, id).await;
        goes(s, id).await;
        is_left(s, &unmarked);
        assert_eq!(orphans(s).await.orphans, [], "nor is it called ours");
    });
}

/// <https://github.com/ray-project/ray/issues/14264>: taking down one cluster
/// killed all nodes.
#[test]
fn ray_14264() {
    let scene = scene(1);
    scene.run(async |s| {
        let mut ids = Vec::new();
        for _ in 0..10 {
            ids.push(have(s, 1).await);
        }
        let down = ids.remove(4);
        let_go(s, &s.alice, down).await;
        goes(s, down).await;
        for id in ids {
            assert_eq!(s.cloud.of(id, s.world.now()).len(), 1);
        }
        sound(s).await;
    });
}

/// <https://github.com/mithril-studio/software-factory/issues/83>: a thing of
/// our name and another's making was taken for ours and removed.
#[test]
fn software_factory_83() {
    let scene = scene(1);
    scene.run(async |s| {
        s.cloud.down("north", true);
        let id = ask(s, 1).await;
        let theirs = plant(s, &mark("lab", id).name(), None);
        s.cloud.down("north", false);
        let held = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(held.record().seen, State::Quarantined);
        let_go(s, &s.alice, id).await;
        s.world.sleep(secs(3600)).await;
        is_left(s, &theirs);
        assert_eq!(s.cloud.count(Verb::Destroy), 0);
    });
}

/// <https://github.com/ai-dynamo/dynamo/pull/13499>: a sweep by a label that
/// several owners used.
#[test]
fn dynamo_13499() {
    let scene = scene(1);
    scene.run(async |s| {
        // Another tenant's credential reaches the same account.
        let shared = NewCredential {
            name: "shared".to_owned(),
            site: "north".to_owned(),
            user: None,
            tenant: Some(Tenant("biology".to_owned())),
            secret: json!({"account": "physics", "password": "right"}),
        };
        let catalog = s.door.catalog();
        catalog
            .remove_credential(&s.carol, "biology-north")
            .await
            .unwrap();
        catalog.add_credential(&s.operator, shared).await.unwrap();
        let id = have(s, 1).await;
        let theirs = s.clusters().create(&s.carol, &s.own(1)).await.unwrap();
        let theirs = theirs.cluster.id();
        s.ready(&s.carol, theirs).await.unwrap();
        assert_eq!(orphans(s).await.orphans, [], "seen twice, owned once");
        let e = s.clusters().get(&s.carol, id).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NotFound);
        let_go(s, &s.alice, id).await;
        goes(s, id).await;
        assert_eq!(s.cloud.of(theirs, s.world.now()).len(), 1);
        sound(s).await;
    });
}
