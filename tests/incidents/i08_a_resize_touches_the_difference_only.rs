//! I8: a resize touches what is different and nothing else.

use rm_core::ErrorKind;
use rm_core::clusters::Size;
use rm_core::life::State;
use rm_testkit::{Fault, Verb};

use crate::support::{have, is_there, next, scene, secs, sound};

/// <https://github.com/gc3-uzh-ch/elasticluster/issues/128>: a resize that
/// failed deleted the cluster.
#[test]
fn elasticluster_128() {
    let scene = scene(1);
    scene.run(async |s| {
        let id = have(s, 3).await;
        let before = s.cloud.of(id, s.world.now()).remove(0);
        next(s, Verb::Change, Fault::Refused(ErrorKind::NoCapacity));
        let bigger = s.clusters().resize(&s.alice, id, Size::To(9)).await;
        let generation = bigger.unwrap().record().generation;
        let after = s.ready(&s.alice, id).await.unwrap();
        assert!(after.record().refusal(generation).is_some());
        is_there(s, id, 3).await;
        assert_eq!(s.cloud.of(id, s.world.now())[0].id, before.id);
        assert_eq!(s.cloud.count(Verb::Destroy), 0);
        sound(s).await;
    });
}

/// <https://github.com/Qovery/terraform-provider-qovery/issues/23>: "never
/// delete resources if something goes wrong".
#[test]
fn qovery_23() {
    let scene = scene(1);
    scene.run(async |s| {
        let id = have(s, 1).await;
        next(s, Verb::Change, Fault::FailsLater);
        s.clusters()
            .resize(&s.alice, id, Size::To(4))
            .await
            .unwrap();
        let failed = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(failed.record().seen, State::Failed);
        s.world.sleep(secs(3 * 3600)).await;
        assert_eq!(s.cloud.of(id, s.world.now()).len(), 1, "broken, and there");
        assert_eq!(s.cloud.count(Verb::Destroy), 0);
        failed.retry(&s.alice).await.unwrap();
        is_there(s, id, 4).await;
        sound(s).await;
    });
}
