//! I5: a delete means one thing, not whatever bears its name by now.

use rm_core::backend::{Absence, Mark};
use rm_core::clusters::Size;
use rm_core::life::State;
use rm_testkit::{Fault, SimCall, Verb};

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
    for tried_again in [true, false] {
        let scene = scene(1);
        scene.cloud.declare(|c| c.absence = Absence::Tombstone);
        scene.run(async |s| {
            let id = have(s, 1).await;
            let first = s.cloud.of(id, s.world.now()).remove(0);
            // Somebody deletes it, and makes another of that name.
            s.cloud.vanish("north", &first.id, s.world.now());
            let theirs = s
                .cloud
                .plant("north", "physics", &first.name, None, s.world.now());
            s.world.sleep(secs(120)).await;
            let dead = s.clusters().get(&s.alice, id).await.unwrap();
            assert_eq!(dead.record().seen, State::Failed);
            // Only what still answers says that it is being deleted.
            let why = &dead.record().reason;
            assert!(why.contains("being deleted at the site"), "{why}");
            let mut ours = first.id.clone();
            if tried_again {
                dead.retry(&s.alice).await.unwrap();
                is_there(s, id, 1).await;
                ours = s.cloud.of(id, s.world.now()).remove(0).id;
                assert!(ours != first.id && ours != theirs);
            }
            let_go(s, &s.alice, id).await;
            goes(s, id).await;
            let mut calls = s.cloud.calls();
            calls.retain(|call| call.verb == Verb::Destroy);
            let destroyed = |call: &SimCall| call.what == ours.0;
            assert!(calls.iter().all(destroyed), "{calls:#?}");
            let left = s.cloud.things("north", s.world.now());
            assert_eq!(left.len(), 1);
            assert_eq!((&left[0].id, left[0].stamp), (&theirs, 1), "untouched");
            sound(s).await;
        });
    }
}
