//! I7: whatever is begun ends: done, failed, or before a person.

use rm_core::ErrorKind;
use rm_core::clusters::ClusterRequest;
use rm_core::life::State;
use rm_testkit::{Fault, Rule, Scene, Verb};

use crate::support::{
    always, ask, goes, have, is_there, let_go, next, orphans, scene, secs, seen, sound, with,
};

/// <https://github.com/kunobi-ninja/kobe/issues/150>: an expired lease was tried
/// again for ever.
#[test]
fn kobe_150() {
    let scene = with(Scene::builder(1).policy(|p| p.destroy_tries = 5));
    scene.run(async |s| {
        always(s, Verb::Destroy, Fault::FailsLater);
        let request = ClusterRequest {
            lease: Some(secs(30)),
            ..s.own(1)
        };
        let made = s.clusters().create(&s.alice, &request).await.unwrap();
        let id = made.cluster.id();
        assert!(!s.gone(&s.alice, id).await.unwrap());
        assert_eq!(seen(s, id).await, State::Quarantined);
        assert_eq!(s.cloud.count(Verb::Destroy), 5);
        s.world.sleep(secs(24 * 3600)).await;
        assert_eq!(s.cloud.count(Verb::Destroy), 5, "and no more by itself");
    });
}

/// <https://github.com/kunobi-ninja/kobe/issues/162>: something stayed in a
/// transitional state because nobody bounded it.
#[test]
fn kobe_162() {
    let scene = scene(1);
    scene.run(async |s| {
        next(s, Verb::Create, Fault::Hangs(secs(100_000)));
        let id = ask(s, 1).await;
        s.world.sleep(secs(3700)).await;
        let failed = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(failed.record().seen, State::Failed);
        assert!(failed.record().reason.contains("not ready in time"));
        let_go(s, &s.alice, id).await;
        goes(s, id).await;
        sound(s).await;
    });
}

/// <https://github.com/fabric-testbed/jupyter-examples/issues/18>: slices that
/// could not be deleted, and blocked what came after.
#[test]
fn fabric_examples_18() {
    let scene = with(Scene::builder(1).policy(|p| p.destroy_tries = 2));
    scene.run(async |s| {
        let stuck = have(s, 1).await;
        let real = s.cloud.of(stuck, s.world.now()).remove(0);
        let refused = Rule::next(Verb::Destroy, Fault::Refused(ErrorKind::Forbidden));
        s.cloud.inject(refused.of(&real.id.0).always());
        let_go(s, &s.alice, stuck).await;
        assert!(!s.gone(&s.alice, stuck).await.unwrap());
        assert_eq!(seen(s, stuck).await, State::Quarantined);
        // What comes after it is made and goes as ever.
        let other = have(s, 1).await;
        let_go(s, &s.alice, other).await;
        goes(s, other).await;
        assert_eq!(seen(s, stuck).await, State::Quarantined, "it waits");
        // A person ends it, and says why.
        let held = s.clusters().get(&s.operator, stuck).await.unwrap();
        let why = "the site's own operators remove it";
        held.abandon(&s.operator, why).await.unwrap();
        assert!(s.gone(&s.alice, stuck).await.unwrap());
        assert_eq!(s.counter("quota/physics/clusters").await, 0);
        let story = s.story(stuck).await;
        assert!(
            story.contains("cluster.abandoned") && story.contains(why),
            "{story}"
        );
        // What is left at the site is told until they have.
        let told = orphans(s).await.orphans;
        assert_eq!(told.len(), 1, "{told:#?}");
        s.cloud.vanish("north", &real.id, s.world.now());
        assert_eq!(orphans(s).await.orphans, []);
        sound(s).await;
    });
}

/// <https://github.com/fp7-ofelia/ocf/issues/198>: a machine in a state that no
/// action led out of.
#[test]
fn ocf_198() {
    let scene = scene(1);
    scene.run(async |s| {
        // Both ways lead out: try again, or let it go.
        for tried_again in [true, false] {
            next(s, Verb::Create, Fault::FailsLater);
            let id = ask(s, 1).await;
            let failed = s.ready(&s.alice, id).await.unwrap();
            assert_eq!(failed.record().seen, State::Failed);
            if tried_again {
                failed.retry(&s.alice).await.unwrap();
                is_there(s, id, 1).await;
            }
            let_go(s, &s.alice, id).await;
            goes(s, id).await;
        }
        sound(s).await;
    });
}

/// <https://github.com/kubernetes-sigs/cluster-api-provider-openstack/issues/1596>:
/// what had never come to be could not be deleted either.
#[test]
fn capo_1596() {
    let scene = scene(1);
    scene.run(async |s| {
        always(s, Verb::Create, Fault::Refused(ErrorKind::Invalid));
        let id = ask(s, 1).await;
        let failed = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(failed.record().seen, State::Failed);
        s.cloud.down("north", true);
        let_go(s, &s.alice, id).await;
        // Nothing was made: nobody needs to be asked.
        goes(s, id).await;
        assert_eq!(s.cloud.count(Verb::Destroy), 0);
        sound(s).await;
    });
}

/// <https://github.com/SUSE/catapult/issues/179>: four hours in a delete, a
/// kill -9, and everything locked afterwards.
#[test]
fn catapult_179() {
    let scene = scene(1);
    scene.run(async |s| {
        let id = have(s, 1).await;
        next(s, Verb::Destroy, Fault::Slow(secs(3600)));
        let engine = s.engines().remove(0);
        let_go(s, &s.alice, id).await;
        s.world.sleep(secs(10)).await;
        s.world.kill(engine.id);
        s.restart_crashed();
        let asked = s.world.now();
        goes(s, id).await;
        assert!(s.world.now().since(asked) < secs(300), "the claim lapses");
        sound(s).await;
    });
}

/// <https://github.com/fp7-ofelia/ocf/issues/114>: the answer came by callback
/// only, and what was lost then was waited for without an end.
#[test]
fn ocf_114() {
    let scene = scene(1);
    scene.run(async |s| {
        for verb in [Verb::Create, Verb::Observe] {
            next(s, verb, Fault::LostAfter);
        }
        let id = ask(s, 1).await;
        is_there(s, id, 1).await;
        next(s, Verb::Destroy, Fault::LostAfter);
        let_go(s, &s.alice, id).await;
        goes(s, id).await;
        sound(s).await;
    });
}
