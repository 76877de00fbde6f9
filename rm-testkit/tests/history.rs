//! What was believed of a cluster when, which step did what, and why it went.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rm_core::ErrorKind;
use rm_core::backend::Resize;
use rm_core::clusters::Size;
use rm_core::event::NewEvent;
use rm_core::history::Told;
use rm_core::life::{State, Wanted};
use rm_core::record::ResourceRecord;
use rm_core::store::Batch;
use rm_testkit::{Fault, Rule, Scene, Verb};

/// What is told of a record now is what the record says.
fn same(told: &Told, r: &ResourceRecord) {
    let b = told.believed.as_ref().unwrap();
    assert_eq!((b.wanted, b.seen), (r.wanted, r.seen), "{b:#?} {r:#?}");
    assert_eq!(b.generation, r.generation, "{told:#?}");
    assert_eq!(b.incarnation, u64::from(r.incarnation));
    assert_eq!(b.nodes, Some(r.nodes));
    assert_eq!(b.site.as_ref(), Some(&r.place.site_name));
    assert_eq!(b.remote, r.remote, "{told:#?}");
    assert_eq!(b.reason, r.reason);
    let holders: Vec<_> = b.holders.iter().map(|h| (h.hold, &h.user)).collect();
    let holds: Vec<_> = r.holds.iter().map(|h| (h.id, &h.user)).collect();
    assert_eq!(holders, holds);
    assert!(told.whole && !b.ended);
}

#[test]
fn what_was_believed_is_what_the_record_said_at_that_moment() {
    let scene = Scene::new(1);
    scene.start_engine();
    scene.run(async |s| {
        let history = s.door.history();
        let before = s.world.now();
        s.world.sleep(Duration::from_secs(1)).await;
        s.cloud.inject(Rule::next(Verb::Create, Fault::LostAfter));
        let made = s.clusters().create(&s.alice, &s.request(1)).await.unwrap();
        let id = made.cluster.id();
        let mut moments = Vec::new();
        for step in 0..60 {
            match step {
                10 => drop(s.clusters().create(&s.bob, &s.request(1)).await.unwrap()),
                15 => {
                    let own = s.clusters().get(&s.alice, id).await.unwrap();
                    let hour = Some(Duration::from_secs(3600));
                    own.renew(&s.alice, None, hour).await.unwrap();
                    own.grant(&s.alice, "failed").await.unwrap();
                }
                20 => drop(s.clusters().resize(&s.bob, id, Size::To(3)).await.unwrap()),
                35 => {
                    let own = s.clusters().get(&s.alice, id).await.unwrap();
                    own.release(&s.alice, None).await.unwrap();
                }
                _ => {}
            }
            // The two are read one after the other: nothing may come between.
            let (told, record) = loop {
                let before = s.clusters().get(&s.operator, id).await.unwrap();
                let told = history.of(&s.operator, id, None).await.unwrap();
                let after = s.clusters().get(&s.operator, id).await.unwrap();
                if before.version() == after.version() {
                    break (told, after.record().clone());
                }
            };
            same(&told, &record);
            let now = s.world.now();
            if told.entries.last().unwrap().at < now {
                moments.push((now, record));
            }
            s.world.sleep(Duration::from_millis(150)).await;
        }
        assert!(moments.len() > 30);
        // The same is told of each moment later.
        for (at, record) in &moments {
            let told = history.of(&s.alice, id, Some(*at)).await.unwrap();
            same(&told, record);
        }
        let told = history.of(&s.alice, id, Some(before)).await.unwrap();
        assert_eq!((told.entries.len(), told.believed), (0, None));
    });
}

#[test]
fn an_event_that_cannot_be_read_is_shown_and_changes_nothing_of_what_is_believed() {
    let scene = Scene::new(5);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        let live = s.ready(&s.alice, id).await.unwrap();
        let batch = Batch {
            events: vec![NewEvent::unreadable(Some(id))],
            ..Batch::default()
        };
        s.truth.commit(batch).await.unwrap();
        let told = s.door.history().of(&s.alice, id, None).await.unwrap();
        let last = told.entries.last().unwrap();
        assert!(last.text.contains("cannot be read"), "{last:?}");
        same(&told, live.record());
        assert!(told.believed.unwrap().at > last.at);
    });
}

#[test]
fn which_step_did_what_and_why_it_went_is_told_after_it_is_gone() {
    let scene = Scene::new(2);
    scene.start_engine();
    scene.run(async |s| {
        let mut request = s.own(1);
        request.lease = Some(Duration::from_secs(60));
        let made = s.clusters().create(&s.alice, &request).await.unwrap();
        let id = made.cluster.id();
        let live = s.ready(&s.alice, id).await.unwrap();
        let remote = live.record().remote.clone().unwrap();
        s.world.sleep(Duration::from_secs(120)).await;
        assert_eq!(s.records().await, []);

        for who in [&s.alice, &s.bob, &s.operator] {
            let told = s.door.history().of(who, id, None).await.unwrap();
            let text: Vec<_> = told.entries.iter().map(|e| e.text.as_str()).collect();
            let text = text.join("\n");
            for words in [
                "asked for at north, 2 nodes, until ",
                "create begins",
                "the site has accepted the create",
                &remote.0,
                "the lease of alice is over",
                "its last lease is over",
                "destroy begins",
                "the site has accepted the destroy",
                "seen to be gone",
            ] {
                assert!(text.contains(words), "{words:?} is not in:\n{text}");
            }
            assert_eq!(told.entries[0].by.as_deref(), Some("alice"));
            let end = told.believed.unwrap();
            assert!(end.ended && told.whole);
            assert_eq!(end.wanted, Wanted::Absent);
            assert_eq!(end.let_go.as_deref(), Some("its last lease is over"));
            assert_eq!(end.holders, []);
        }
        // Nobody else hears that it ever was.
        let e = s.door.history().of(&s.carol, id, None).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn who_gave_it_up_and_what_failed_is_told() {
    let scene = Scene::builder(3)
        .policy(|p| p.destroy_tries = 2)
        .build()
        .unwrap();
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        s.cloud
            .inject(Rule::next(Verb::Destroy, Fault::FailsLater).always());
        made.cluster.release(&s.alice, None).await.unwrap();
        assert!(!s.gone(&s.alice, id).await.unwrap());
        let told = s.door.history().of(&s.alice, id, None).await.unwrap();
        let held = told.believed.unwrap();
        assert_eq!(held.seen, State::Quarantined);
        let begun = told
            .entries
            .iter()
            .filter(|e| e.text.contains("destroy begins"));
        assert_eq!(begun.count(), 2, "each try");
        let held = s.clusters().get(&s.alice, id).await.unwrap();
        held.abandon(&s.operator, "the site is sold").await.unwrap();
        let told = s.door.history().of(&s.alice, id, None).await.unwrap();
        let last = told.entries.last().unwrap();
        assert_eq!(last.by.as_deref(), Some("root"));
        assert!(last.text.contains("the site is sold"), "{}", last.text);
        assert!(told.believed.unwrap().ended);
    });
}

#[test]
fn what_the_site_refused_is_not_told_as_if_nobody_knew() {
    let scene = Scene::new(4);
    scene.start_engine();
    scene.run(async |s| {
        s.cloud.declare(|c| c.resize = Resize::Replace);
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        let refused = Fault::Refused(ErrorKind::Forbidden);
        s.cloud.inject(Rule::next(Verb::Destroy, refused));
        let size = Size::To(3);
        s.clusters().resize(&s.alice, id, size).await.unwrap();
        s.ready(&s.alice, id).await.unwrap();
        let told = s.door.history().of(&s.alice, id, None).await.unwrap();
        let text: Vec<_> = told.entries.iter().map(|e| e.text.as_str()).collect();
        let text = text.join("\n");
        assert!(text.contains("the site has refused the replace"), "{text}");
        assert!(!text.contains("nobody knows"), "{text}");
    });
}
