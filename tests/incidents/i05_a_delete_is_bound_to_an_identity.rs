//! I5: a delete means one thing, not whatever bears its name by now.

use rm_core::backend::Mark;
use rm_core::clusters::Size;
use rm_core::life::State;
use rm_testkit::{Fault, Verb};

use crate::support::{goes, have, is_there, let_go, next, scene, secs, sound};

/// <https://github.com/NVIDIA/NemoClaw/pull/10867>: A was deleted and B created
/// under the same name between the check and the delete.
#[test]
fn nemoclaw_10867() {
    let scene = scene(1);
    scene.run(async |s| {
        let id = have(s, 1).await;
        let real = s.cloud.of(id, s.world.now()).remove(0);
        s.cloud.vanish("north", &real.id, s.world.now());
        let b = s
            .cloud
            .plant("north", "physics", &real.name, None, s.world.now());
        let_go(s, &s.alice, id).await;
        assert!(s.gone(&s.alice, id).await.unwrap());
        let left = s.cloud.things("north", s.world.now());
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].id, b);
    });
}

/// <https://github.com/kunobi-ninja/kobe/issues/79>: a teardown was not bound to
/// the identity that it had been asked for.
#[test]
fn kobe_79() {
    let scene = scene(1);
    scene.run(async |s| {
        let id = have(s, 1).await;
        let real = s.cloud.of(id, s.world.now()).remove(0);
        // Somebody replaces it by another one with our mark upon it.
        s.cloud.vanish("north", &real.id, s.world.now());
        let copy = Mark {
            installation: "elsewhere".to_owned(),
            ..real.mark.unwrap()
        };
        let b = s
            .cloud
            .plant("north", "physics", &real.name, Some(copy), s.world.now());
        let_go(s, &s.alice, id).await;
        s.world.sleep(secs(3600)).await;
        let left = s.cloud.things("north", s.world.now());
        assert!(left.iter().any(|t| t.id == b), "not ours to destroy");
    });
}

/// <https://github.com/omnigent-ai/omnigent/pull/6127>: an id that was pending
/// termination was armed again by a request that came late.
#[test]
fn omnigent_6127() {
    let scene = scene(1);
    scene.run(async |s| {
        let id = have(s, 1).await;
        next(s, Verb::Destroy, Fault::Hangs(secs(60)));
        let live = s.clusters().get(&s.alice, id).await.unwrap();
        live.release(&s.alice, None).await.unwrap();
        s.world.sleep(secs(5)).await;
        let e = s.clusters().resize(&s.alice, id, Size::To(3)).await;
        assert!(e.unwrap_err().what().contains("being deleted"));
        let e = live.renew(&s.alice, None, Some(secs(60))).await;
        assert!(e.is_err(), "what goes is not renewed");
        let e = live.join(&s.bob, None, |_| Ok(())).await;
        assert!(e.is_err(), "nor joined");
        // An equal request gets another one.
        let fresh = s.clusters().create(&s.alice, &s.request(1)).await.unwrap();
        assert_ne!(fresh.cluster.id(), id);
        goes(s, id).await;
        is_there(s, fresh.cluster.id(), 1).await;
        sound(s).await;
    });
}

/// Heat: the name is free again as soon as a stack is `DELETE_COMPLETE`, while
/// its id still answers.
#[test]
fn heat_name_reuse_after_delete_complete() {
    let scene = scene(1);
    scene.run(async |s| {
        next(s, Verb::Create, Fault::FailsLater);
        let id = crate::support::ask(s, 1).await;
        let failed = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(failed.record().seen, State::Failed);
        let first = s.cloud.of(id, s.world.now()).remove(0);
        s.cloud.vanish("north", &first.id, s.world.now());
        s.world.sleep(secs(120)).await;
        failed.retry(&s.alice).await.unwrap();
        is_there(s, id, 1).await;
        let second = s.cloud.of(id, s.world.now()).remove(0);
        assert_ne!(second.id, first.id);
        let_go(s, &s.alice, id).await;
        goes(s, id).await;
        sound(s).await;
    });
}
