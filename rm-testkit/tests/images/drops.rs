//! Copies of images that operators drop, and who needs them at that moment.

use std::task::Poll;

use rm_core::life::Wanted;
use rm_testkit::Fill;

use super::*;

#[test]
fn a_copy_that_is_needed_cannot_be_dropped_and_its_image_not_removed() {
    let scene = scene(11, &["north"]);
    scene.start_engine();
    scene.run(async |s| {
        let (id, _) = ask(s, &s.alice).await;
        let copy = only_copy(s).await;
        let copies = s.door.copies();
        let e = copies.remove(&s.operator, IMAGE, copy.id()).await;
        let e = e.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Conflict);
        assert_eq!(e.stable_code(), "image-needed");
        let said = e.to_string();
        assert!(said.contains("cc7") && said.contains("north"), "{said}");
        assert!(said.contains(&id.to_string()), "{said}");
        assert_eq!(
            copy.again(&s.operator).await.unwrap().record().wanted,
            Wanted::Running
        );
        let e = copies.remove(&s.alice, IMAGE, copy.id()).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Forbidden);

        delete(s, &s.alice, id).await;
        // The image is what its copies are found by.
        let catalog = s.door.catalog();
        for implementation in catalog
            .implementations_of(catalog.appliance("imaged").await.unwrap().id)
            .await
            .unwrap()
        {
            let removed = catalog.remove_implementation(&s.operator, implementation.id);
            removed.await.unwrap();
        }
        catalog
            .remove_appliance(&s.operator, "imaged")
            .await
            .unwrap();
        let e = catalog.remove_image(&s.operator, IMAGE).await.unwrap_err();
        assert_eq!(e.stable_code(), "in-use");
        assert!(e.to_string().contains("copies"), "{e}");
        let removed = copies.remove(&s.operator, IMAGE, copy.id()).await.unwrap();
        assert_eq!(removed.record().wanted, Wanted::Absent);
        s.rest().await;
        catalog.remove_image(&s.operator, IMAGE).await.unwrap();
        assert_eq!(s.cloud.marked_images(s.world.now()), []);

        // The same name for other bytes is another image.
        image(s, &"ab".repeat(32)).await;
        appliance(s).await;
        let (_, seen) = ask(s, &s.alice).await;
        assert_eq!(seen, State::Ready);
        let other = only_copy(s).await;
        assert_ne!(other.id(), copy.id());
        assert_eq!(other.spec().unwrap().sha256, "ab".repeat(32));
    });
}

/// Lets the others go on so many times.
async fn turns(n: u64) {
    for _ in 0..n {
        let mut waited = false;
        std::future::poll_fn(|cx| {
            if std::mem::replace(&mut waited, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

#[test]
fn a_request_and_a_drop_at_the_same_moment_have_one_winner() {
    let (mut dropped, mut kept) = (0, 0);
    for seed in 0..40 {
        let scene = scene(seed, &["north"]);
        scene.start_engine();
        scene.run(async |s| {
            let (id, _) = ask(s, &s.alice).await;
            delete(s, &s.alice, id).await;
            let copy = only_copy(s).await;
            let request = imaged(s);
            let clusters = s.clusters();
            let copies = s.door.copies();
            // While somebody else has something to do every read is a moment at
            // which another may go on; the operator comes at another one of
            // the request each time.
            s.world.spawn("bystander", turns(1000));
            let drop = async {
                turns(seed).await;
                copies.remove(&s.operator, IMAGE, copy.id()).await
            };
            let (made, removed) = join(clusters.create(&s.alice, &request), drop).await;
            let id = made.unwrap().cluster.id();
            let now = s.ready(&s.alice, id).await.unwrap();
            assert_eq!(now.record().seen, State::Ready, "{}", now.record().reason);
            match removed {
                Ok(_) => {
                    assert_ne!(now.record().needs, [copy.id()]);
                    dropped += 1;
                }
                Err(e) => {
                    assert_eq!(e.stable_code(), "image-needed");
                    assert_eq!(now.record().needs, [copy.id()]);
                    kept += 1;
                }
            }
            assert_eq!(s.faults().await, Vec::<String>::new());
        });
    }
    println!("dropped {dropped} times, kept {kept} times");
    assert!(dropped > 0 && kept > 0, "dropped {dropped}, kept {kept}");
}

#[test]
fn a_copy_that_will_not_go_can_be_dropped_again_and_abandoned() {
    let scene = scene(12, &["north"]);
    scene.start_engine();
    scene.run(async |s| {
        let (id, _) = ask(s, &s.alice).await;
        delete(s, &s.alice, id).await;
        let copy = only_copy(s).await.id();
        let copies = s.door.copies();
        let e = copies.abandon(&s.operator, IMAGE, copy, "why").await;
        assert_eq!(e.unwrap_err().kind(), ErrorKind::Busy);
        let refused = Fault::Refused(ErrorKind::Conflict);
        s.cloud.inject(Rule::next(Verb::Destroy, refused).always());
        dropped(s, copy).await;
        assert_eq!(only_copy(s).await.record().seen, State::Quarantined);
        // A request makes another one meanwhile.
        let (_, seen) = ask(s, &s.alice).await;
        assert_eq!(seen, State::Ready);
        assert_eq!(
            copies
                .list(&s.operator, IMAGE, None, 9)
                .await
                .unwrap()
                .items
                .len(),
            2
        );
        dropped(s, copy).await;
        let again = copies.get(&s.operator, IMAGE, copy).await.unwrap();
        assert_eq!(again.record().seen, State::Quarantined);
        copies
            .abandon(&s.operator, IMAGE, copy, "it is locked")
            .await
            .unwrap();
        let e = copies.get(&s.operator, IMAGE, copy).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NotFound);
        assert!(s.cloud.images("north").iter().all(|i| i.fill == Fill::Full));
    });
}
