//! I2: an unknown outcome is looked up, and no failure.

use rm_core::backend::{Absence, CreateKey};
use rm_core::clusters::Size;
use rm_core::life::State;
use rm_testkit::{Fault, StoreFault, Verb};

use crate::support::{ask, goes, have, is_there, let_go, next, scene, secs, sound};

/// <https://github.com/oxidecomputer/steno/issues/66>: an action that failed
/// with an unknown outcome was not undone, while all others were.
#[test]
fn steno_66() {
    let scene = scene(1);
    scene.run(async |s| {
        for fault in [Fault::LostBefore, Fault::LostAfter, Fault::Late(secs(5))] {
            next(s, Verb::Create, fault);
            let id = ask(s, 1).await;
            is_there(s, id, 1).await;
            next(s, Verb::Change, fault);
            s.clusters()
                .resize(&s.alice, id, Size::To(3))
                .await
                .unwrap();
            is_there(s, id, 3).await;
            next(s, Verb::Destroy, fault);
            let_go(s, &s.alice, id).await;
            goes(s, id).await;
        }
        sound(s).await;
    });
}

/// <https://github.com/oxidecomputer/omicron/issues/10695>: the database gave
/// up *after* it had committed; the undo ran once, failed, and everything
/// hung.
#[test]
fn omicron_10695() {
    for n in 1..=8 {
        let scene = scene(n);
        scene.run(async |s| {
            let engine = s.engines().remove(0);
            engine.store.fail(n, StoreFault::OutcomeLost);
            engine.store.fail(n + 1, StoreFault::Unavailable);
            let id = ask(s, 2).await;
            is_there(s, id, 2).await;
            let_go(s, &s.alice, id).await;
            goes(s, id).await;
            sound(s).await;
        });
    }
}

/// DIBBS: every error of the cloud was answered as 400 and forgotten. Where
/// nobody can find out what came of a create, a person is asked, and nothing is
/// made on a guess.
#[test]
fn dibbs_http_bad_request() {
    let scene = scene(1);
    scene.run(async |s| {
        s.cloud.declare(|cap| {
            cap.create_key = CreateKey::None;
            cap.absence = Absence::None;
        });
        next(s, Verb::Create, Fault::LostBefore);
        let id = ask(s, 1).await;
        let held = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(held.record().seen, State::Quarantined);
        s.world.sleep(secs(3600)).await;
        assert_eq!(s.cloud.count(Verb::Create), 1, "nothing is guessed");
        assert_eq!(s.counter("quota/physics/clusters").await, 1, "and counted");
        // The operator has looked at the site, and says that there is none.
        held.retry(&s.operator).await.unwrap();
        is_there(s, id, 1).await;
        let other = have(s, 0).await;
        assert_ne!(other, id);
    });
}
