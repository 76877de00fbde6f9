//! Things of whose record nobody knows whether it has ended.

use std::time::Duration;

use rm_core::ErrorKind;
use rm_core::event::NewEvent;
use rm_core::orphans::{Reclaimed, Verdict};
use rm_core::store::{Batch, Key};
use rm_testkit::{Scene, Verb};

use super::{only, refused, report};

/// A record of which nothing is found, and whose end was never told, is not
/// over: its id may have changed on the disk.
#[test]
fn what_is_wanted_is_never_reclaimed_where_only_its_record_is_not_found() {
    let scene = Scene::builder(15)
        .policy(|p| {
            p.orphan_scan = Some(Duration::from_secs(600));
            p.reclaim_orphans_after = Some(Duration::from_secs(3600));
        })
        .build()
        .unwrap();
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        let batch = Batch {
            delete: vec![Key::Resource(id)],
            ..Batch::default()
        };
        s.truth.commit(batch).await.unwrap();
        s.world.sleep(Duration::from_secs(3 * 3600)).await;
        let found = report(s).await;
        let left = only(&found);
        assert_eq!(left.verdict, Verdict::Ambiguous, "{left:?}");
        assert!(left.why.contains("(ready)"), "{}", left.why);
        for unheard in [false, true] {
            let orphans = s.door.orphans();
            let done = orphans.reclaim(&s.operator, &left.thing, unheard).await;
            refused(done, ErrorKind::Conflict);
        }
        assert_eq!(s.cloud.count(Verb::Destroy), 0);
        assert_eq!(s.cloud.things("north", s.world.now()).len(), 1);
    });
}

/// Nobody knows whether it has ended: only a person may say so.
#[test]
fn what_ended_with_an_event_that_is_damaged_is_reclaimed_by_who_says_that_nobody_means_it() {
    let scene = Scene::builder(16).policy(|p| {
        p.orphan_scan = Some(Duration::from_secs(600));
        p.reclaim_orphans_after = Some(Duration::from_secs(3600));
    });
    let scene = scene.build().unwrap();
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        let batch = Batch {
            delete: vec![Key::Resource(id)],
            events: vec![NewEvent::unreadable(Some(id))],
            ..Batch::default()
        };
        s.truth.commit(batch).await.unwrap();
        s.world.sleep(Duration::from_secs(3 * 3600)).await;
        let found = report(s).await;
        let left = only(&found);
        assert_eq!(left.verdict, Verdict::Unheard, "{left:?}");
        let orphans = s.door.orphans();
        let unasked = orphans.reclaim(&s.operator, &left.thing, false).await;
        refused(unasked, ErrorKind::Conflict);
        assert_eq!(s.cloud.count(Verb::Destroy), 0);
        let asked = orphans.reclaim(&s.operator, &left.thing, true).await;
        assert_eq!(asked.unwrap(), Reclaimed::Accepted);
        s.world.sleep(Duration::from_secs(60)).await;
        assert!(s.cloud.things("north", s.world.now()).is_empty());
    });
}
