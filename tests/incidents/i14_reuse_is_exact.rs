//! I14: what is reused is what was asked for, works, and is the tenant's own.

use rm_core::ErrorKind;
use rm_core::clusters::Size;
use rm_core::life::State;
use rm_testkit::{Fault, Scene, Verb};

use crate::support::{goes, is_there, next, scene, secs, sound, with};

/// DIBBS: find-or-create looked at the appliance's name only: another user's
/// cluster of another size was handed out.
#[test]
fn dibbs_find_or_create() {
    let scene = scene(1);
    scene.run(async |s| {
        let alices = s.clusters().create(&s.alice, &s.request(2)).await.unwrap();
        let carols = s.clusters().create(&s.carol, &s.request(2)).await.unwrap();
        assert!(!carols.reused, "never across tenants");
        assert_ne!(alices.cluster.id(), carols.cluster.id());
        s.ready(&s.alice, alices.cluster.id()).await.unwrap();
        let e = s
            .clusters()
            .create(&s.bob, &s.request(5))
            .await
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Conflict, "too small, and said so");
        let same = s.clusters().create(&s.bob, &s.request(2)).await.unwrap();
        assert!(same.reused);
        sound(s).await;
    });
}

/// <https://github.com/testflows/TestFlows-GitHub-Hetzner-Runners/issues/14>:
/// servers that were switched off were counted and never used.
#[test]
fn testflows_14() {
    let scene = scene(1);
    scene.run(async |s| {
        next(s, Verb::Create, Fault::FailsLater);
        let broken = s.clusters().create(&s.alice, &s.request(1)).await.unwrap();
        let broken = broken.cluster.id();
        let failed = s.ready(&s.alice, broken).await.unwrap();
        assert_eq!(failed.record().seen, State::Failed);
        let fresh = s.clusters().create(&s.bob, &s.request(1)).await.unwrap();
        assert!(!fresh.reused);
        assert_ne!(fresh.cluster.id(), broken);
        s.ready(&s.bob, fresh.cluster.id()).await.unwrap();
        failed.release(&s.alice, None).await.unwrap();
        goes(s, broken).await;
        is_there(s, fresh.cluster.id(), 1).await;
        sound(s).await;
    });
}

/// <https://github.com/xiaods/k8e/pull/500>: pods that were still booting were
/// claimed as warm, and runtimes were mixed up.
#[test]
fn k8e_500() {
    let scene = scene(1);
    scene.run(async |s| {
        next(s, Verb::Create, Fault::Hangs(secs(60)));
        let first = s.clusters().create(&s.alice, &s.request(1)).await.unwrap();
        let second = s.clusters().create(&s.bob, &s.request(1)).await.unwrap();
        assert!(second.reused);
        assert_eq!(second.cluster.id(), first.cluster.id());
        assert!(!second.cluster.is_ready(), "and it does not say that it is");
        is_there(s, first.cluster.id(), 1).await;
        sound(s).await;
    });
}

/// <https://github.com/kunobi-ninja/kobe/issues/289>: the lease was healthy and the
/// runner behind it dead.
#[test]
fn kobe_289() {
    let scene = with(Scene::builder(1).ready_port(22));
    scene.run(async |s| {
        s.world.open_port(22, false);
        let made = s.clusters().create(&s.alice, &s.request(1)).await.unwrap();
        let id = made.cluster.id();
        s.world.sleep(secs(60)).await;
        let now = s.clusters().get(&s.alice, id).await.unwrap();
        assert!(!now.is_ready(), "its port does not answer");
        s.world.open_port(22, true);
        is_there(s, id, 1).await;
        let real = s.cloud.of(id, s.world.now()).remove(0);
        s.cloud
            .fail("north", &real.id, "the master is dead", s.world.now());
        s.world.sleep(secs(120)).await;
        let next = s.clusters().create(&s.bob, &s.request(1)).await.unwrap();
        assert!(!next.reused, "what is broken is given to nobody");
    });
}

/// <https://github.com/xorbitsai/xagent/pull/779>: what came of attaching to an
/// existing sandbox was ignored.
#[test]
fn xagent_779() {
    let scene = scene(1);
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.request(1)).await.unwrap();
        let id = made.cluster.id();
        is_there(s, id, 1).await;
        let real = s.cloud.of(id, s.world.now()).remove(0);
        s.cloud.vanish("north", &real.id, s.world.now());
        s.world.sleep(secs(120)).await;
        let e = made.cluster.join(&s.bob, None, |_| Ok(())).await;
        assert!(e.is_err(), "what is gone cannot be joined");
        let e = s.clusters().resize(&s.carol, id, Size::To(2)).await;
        assert_eq!(e.unwrap_err().kind(), ErrorKind::NotFound);
        let fresh = s.clusters().create(&s.bob, &s.request(1)).await.unwrap();
        assert!(!fresh.reused);
        is_there(s, fresh.cluster.id(), 1).await;
    });
}
