//! I12: credentials that may create and not delete, and those that change.

use rm_core::life::State;
use rm_testkit::{Scene, Verb};
use serde_json::json;

use crate::support::{goes, have, is_there, let_go, scene, secs, seen, sound, with};

/// <https://github.com/hortonworks/cloudbreak/pull/1051>: the wrong credential
/// could create and not terminate.
#[test]
fn cloudbreak_1051() {
    let scene = with(Scene::builder(1).policy(|p| p.destroy_tries = 3));
    scene.run(async |s| {
        let id = have(s, 1).await;
        s.cloud.forbid("physics", Verb::Destroy, true);
        let_go(s, &s.alice, id).await;
        assert!(!s.gone(&s.alice, id).await.unwrap());
        assert_eq!(seen(s, id).await, State::Quarantined, "visible, counted");
        assert_eq!(s.counter("quota/physics/clusters").await, 1);
        s.cloud.forbid("physics", Verb::Destroy, false);
        let held = s.clusters().get(&s.operator, id).await.unwrap();
        held.retry(&s.operator).await.unwrap();
        goes(s, id).await;
        sound(s).await;
    });
}

/// <https://github.com/BiBiServ/bibigrid/issues/182>: another kind of
/// credential could not take over what the first had made.
#[test]
fn bibigrid_182() {
    let scene = scene(1);
    scene.run(async |s| {
        let id = have(s, 1).await;
        s.cloud.password("physics", "newer");
        s.world.sleep(secs(300)).await;
        let cluster = s.clusters().get(&s.alice, id).await.unwrap();
        assert_ne!(cluster.record().seen, State::Failed, "nothing is concluded");
        let newer = json!({"account": "physics", "password": "newer"});
        s.door
            .catalog()
            .rotate_credential(&s.alice, "physics-north", &newer)
            .await
            .unwrap();
        s.world.sleep(secs(300)).await;
        is_there(s, id, 1).await;
        assert_eq!(s.cloud.ever_of(id).len(), 1, "untouched by the rotation");
        let_go(s, &s.alice, id).await;
        goes(s, id).await;
        sound(s).await;
    });
}
