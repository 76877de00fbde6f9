//! I3: what is destroyed is seen to be gone.

use rm_core::ErrorKind;
use rm_core::life::{State, Wanted};
use rm_testkit::{Fault, Scene, StoreFault, Verb};

use crate::support::{always, goes, have, let_go, next, scene, secs, seen, sound, with};

/// <https://github.com/kunobi-ninja/kobe/issues/80>: "delete accepted" was taken
/// for "gone".
#[test]
fn kobe_80() {
    let scene = scene(1);
    scene.run(async |s| {
        let id = have(s, 1).await;
        next(s, Verb::Destroy, Fault::Hangs(secs(300)));
        let_go(s, &s.alice, id).await;
        s.world.sleep(secs(200)).await;
        assert_eq!(seen(s, id).await, State::Releasing);
        assert_eq!(s.counter("quota/physics/clusters").await, 1);
        assert_eq!(s.cloud.of(id, s.world.now()).len(), 1);
        goes(s, id).await;
        assert_eq!(s.counter("quota/physics/clusters").await, 0);
        sound(s).await;
    });
}

/// <https://github.com/openclaw/crabbox/issues/1691>: a cleanup that was still
/// pending was shown as stopped.
#[test]
fn crabbox_1691() {
    let scene = scene(1);
    scene.run(async |s| {
        let id = have(s, 1).await;
        s.cloud.down("north", true);
        let_go(s, &s.alice, id).await;
        s.world.sleep(secs(600)).await;
        let cluster = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(cluster.record().seen, State::Releasing, "and nothing else");
        let why = &cluster.record().reason;
        assert!(why.contains("nobody answers"), "{why}");
        s.cloud.down("north", false);
        goes(s, id).await;
        sound(s).await;
    });
}

/// <https://github.com/dstackai/dstack/issues/1551>: instances ran on after
/// their termination had failed.
#[test]
fn dstack_1551() {
    let scene = with(Scene::builder(1).policy(|p| p.destroy_tries = 3));
    scene.run(async |s| {
        let id = have(s, 1).await;
        always(s, Verb::Destroy, Fault::FailsLater);
        let_go(s, &s.alice, id).await;
        assert!(!s.gone(&s.alice, id).await.unwrap());
        assert_eq!(seen(s, id).await, State::Quarantined, "told, not dropped");
        assert_eq!(s.counter("quota/physics/clusters").await, 1);
        s.cloud.calm();
        let held = s.clusters().get(&s.operator, id).await.unwrap();
        held.retry(&s.operator).await.unwrap();
        goes(s, id).await;
        sound(s).await;
    });
}

/// <https://github.com/MaterializeInc/materialize/pull/14901>: what a failed
/// drop left behind was never found again.
#[test]
fn materialize_14901() {
    let scene = scene(1);
    scene.run(async |s| {
        let id = have(s, 1).await;
        next(s, Verb::Destroy, Fault::Forgotten);
        let_go(s, &s.alice, id).await;
        goes(s, id).await;
        assert!(s.cloud.count(Verb::Destroy) > 1, "it was looked at again");
        sound(s).await;
    });
}

/// <https://github.com/iii-hq/iii/pull/1544>: the error of a stop was dropped,
/// and the record with it.
#[test]
fn iii_1544() {
    let scene = scene(1);
    scene.run(async |s| {
        let id = have(s, 1).await;
        always(s, Verb::Destroy, Fault::Refused(ErrorKind::Unavailable));
        let_go(s, &s.alice, id).await;
        s.world.sleep(secs(300)).await;
        let cluster = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(cluster.record().wanted, Wanted::Absent);
        assert!(cluster.record().reason.contains("unavailable"));
        s.cloud.calm();
        goes(s, id).await;
        sound(s).await;
    });
}

/// <https://github.com/brekkylab/ailoy/pull/391>: the removal of something was
/// answered before it had happened.
#[test]
fn ailoy_391() {
    let scene = scene(1);
    scene.run(async |s| {
        let id = have(s, 1).await;
        s.cloud.lag("north", secs(20), true);
        let_go(s, &s.alice, id).await;
        goes(s, id).await;
        sound(s).await;
    });
}

/// GRAM: a delete answered success whatever the hypervisor had said.
#[test]
fn gram_delete() {
    let scene = with(Scene::builder(1).policy(|p| p.destroy_tries = 2));
    scene.run(async |s| {
        let id = have(s, 1).await;
        always(s, Verb::Destroy, Fault::Refused(ErrorKind::Forbidden));
        let_go(s, &s.alice, id).await;
        assert!(!s.gone(&s.alice, id).await.unwrap());
        let held = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(held.record().seen, State::Quarantined);
        assert!(held.record().reason.contains("forbidden"));
    });
}

/// DIBBS: the row was removed first, the stack afterwards, or never.
#[test]
fn dibbs_row_removal() {
    let scene = scene(1);
    scene.run(async |s| {
        let id = have(s, 1).await;
        let engine = s.engines().remove(0);
        for n in 1..=3 {
            engine.store.fail(n, StoreFault::Unavailable);
        }
        let_go(s, &s.alice, id).await;
        goes(s, id).await;
        sound(s).await;
    });
}
