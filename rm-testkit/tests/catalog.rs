//! Removing an entry of the catalog while something that refers to it is
//! added: in every order one of the two is refused, and nothing refers to what
//! is not there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rm_core::catalog::{NewAppliance, NewCredential, NewImage, NewImplementation, NewSite};
use rm_core::store::By;
use rm_core::{CatalogId, Error, ErrorKind, Result};
use rm_testkit::{API, MEDIA_TYPE, Scene};
use serde_json::json;

const SEEDS: u64 = 150;

type Job = BoxFuture<'static, Result<()>>;

/// Who won how often.
#[derive(Debug, Default)]
struct Wins {
    adding: u64,
    removing: u64,
}

/// Lets both happen at the same moment, in the order that each seed decides,
/// and looks at what is left.
fn race(jobs: impl Fn(&Scene) -> (Job, Job), after: impl Fn(&Scene, bool)) {
    let mut wins = Wins::default();
    for seed in 0..SEEDS {
        let scene = Scene::new(seed);
        scene.run(spare);
        let (add, remove) = jobs(&scene);
        // What takes fewer steps begins later, so that the two meet everywhere.
        let host = Arc::clone(&scene.door);
        let remove = Box::pin(async move {
            for _ in 0..seed % 25 {
                host.catalog().sites(None, 1).await?;
            }
            remove.await
        });
        let added = spawn(&scene, "add", add);
        let removed = spawn(&scene, "remove", remove);
        scene.run(async |s| s.world.sleep(Duration::from_secs(60)).await);
        let added = added.lock().unwrap().take().expect("it has ended");
        let removed = removed.lock().unwrap().take().expect("it has ended");
        match (&added, &removed) {
            (Ok(()), Err(e)) => {
                assert_eq!(e.kind(), ErrorKind::Conflict, "seed {seed}: {e}");
                assert_eq!(e.stable_code(), "in-use", "seed {seed}: {e}");
                wins.adding += 1;
            }
            (Err(_), Ok(())) => wins.removing += 1,
            both => panic!("seed {seed}: {both:?}"),
        }
        after(&scene, added.is_ok());
    }
    assert!(wins.adding > 0 && wins.removing > 0, "{wins:?}");
}

type Ended = Arc<Mutex<Option<std::result::Result<(), Error>>>>;

fn spawn(scene: &Scene, label: &str, job: Job) -> Ended {
    let ended = Ended::default();
    let write = Arc::clone(&ended);
    scene.world.spawn(label, async move {
        let done = job.await;
        *write.lock().unwrap() = Some(done);
    });
    ended
}

/// Entries to which nothing refers yet.
async fn spare(s: &Scene) {
    let (catalog, op) = (s.door.catalog(), &s.operator);
    let site = NewSite::new("spare", API, "sim:spare");
    catalog.add_site(op, site).await.unwrap();
    let appliance = NewAppliance::new("spark");
    catalog.add_appliance(op, appliance).await.unwrap();
    let image = NewImage {
        name: "debian".to_owned(),
        source: "file:/images/debian".to_owned(),
        sha256: "ab".repeat(32),
        disk_format: "raw".to_owned(),
    };
    catalog.add_image(op, image).await.unwrap();
}

/// What somebody does through the scene's door.
macro_rules! job {
    ($scene:expr, |$host:ident, $who:ident| $call:expr) => {{
        let ($host, $who) = (Arc::clone(&$scene.door), $scene.$who.clone());
        Box::pin(async move { $call.await.map(drop) }) as Job
    }};
}

#[test]
fn a_site_and_a_credential_for_it() {
    race(
        |s| {
            let new = NewCredential::new("mine", "spare", json!({}));
            (
                job!(s, |host, alice| host.catalog().add_credential(&alice, new)),
                job!(s, |host, operator| host
                    .catalog()
                    .remove_site(&operator, "spare")),
            )
        },
        |s, added| {
            let site = s.run(async |s| s.door.catalog().site("spare").await.is_ok());
            let mine = s.run(async |s| s.door.catalog().credential(&s.alice, "mine").await.is_ok());
            assert_eq!((site, mine), (added, added));
        },
    );
}

#[test]
fn a_site_and_an_implementation_for_it() {
    race(
        |s| {
            let mut new = NewImplementation::new("hadoop", API, MEDIA_TYPE, "{}");
            (new.site, new.site_type) = (Some("spare".to_owned()), None);
            (
                job!(s, |host, operator| host
                    .catalog()
                    .add_implementation(&operator, new)),
                job!(s, |host, operator| host
                    .catalog()
                    .remove_site(&operator, "spare")),
            )
        },
        |s, added| assert_eq!(made_for(s, "hadoop").len(), 1 + usize::from(added)),
    );
}

#[test]
fn an_appliance_and_an_implementation_of_it() {
    race(
        |s| {
            let new = NewImplementation::new("spark", API, MEDIA_TYPE, "{}");
            (
                job!(s, |host, operator| host
                    .catalog()
                    .add_implementation(&operator, new)),
                job!(s, |host, operator| host
                    .catalog()
                    .remove_appliance(&operator, "spark")),
            )
        },
        |s, added| {
            let all = s.run(async |s| s.door.catalog().implementations(None, 9).await.unwrap());
            assert_eq!(all.items.len(), 1 + usize::from(added));
        },
    );
}

#[test]
fn an_image_and_an_appliance_that_names_it() {
    race(
        |s| {
            let mut new = NewAppliance::new("flink");
            new.images = vec!["debian".to_owned()];
            (
                job!(s, |host, operator| host
                    .catalog()
                    .add_appliance(&operator, new)),
                job!(s, |host, operator| host
                    .catalog()
                    .remove_image(&operator, "debian")),
            )
        },
        |s, added| {
            let image = s.run(async |s| s.door.catalog().image("debian").await.is_ok());
            assert_eq!(image, added);
        },
    );
}

#[test]
fn a_credential_and_a_cluster_made_by_it() {
    race(
        |s| {
            let request = s.own(1);
            let name = "physics-north";
            (
                job!(s, |host, alice| host.clusters().create(&alice, &request)),
                job!(s, |host, alice| host
                    .catalog()
                    .remove_credential(&alice, name)),
            )
        },
        |s, added| assert_eq!(clusters(s), usize::from(added)),
    );
}

#[test]
fn an_implementation_and_a_cluster_made_by_it() {
    race(
        |s| {
            let request = s.own(1);
            let id = made_for(s, "hadoop")[0];
            (
                job!(s, |host, alice| host.clusters().create(&alice, &request)),
                job!(s, |host, operator| host
                    .catalog()
                    .remove_implementation(&operator, id)),
            )
        },
        |s, added| {
            assert_eq!(clusters(s), usize::from(added));
            // Where it stays, it is chosen for the next one too.
            assert_eq!(made_for(s, "hadoop").len(), usize::from(added));
        },
    );
}

fn made_for(s: &Scene, appliance: &str) -> Vec<CatalogId> {
    s.run(async |s| {
        let catalog = s.door.catalog();
        let appliance = catalog.appliance(appliance).await.unwrap();
        let all = catalog.implementations_of(appliance.id).await.unwrap();
        all.iter().map(|i| i.id).collect()
    })
}

fn clusters(s: &Scene) -> usize {
    s.run(async |s| {
        s.truth
            .resources(&By::All, None, 9)
            .await
            .unwrap()
            .items
            .len()
    })
}

#[test]
fn a_removal_that_was_cut_short_can_be_repeated() {
    for n in 1.. {
        let scene = Scene::new(n);
        let id = made_for(&scene, "hadoop")[0];
        let remove = || {
            job!(scene, |host, operator| host
                .catalog()
                .remove_implementation(&operator, id))
        };
        scene.world.crash_at("remove", n);
        let task = spawn(&scene, "remove", remove());
        scene.run(async |s| s.world.sleep(Duration::from_secs(60)).await);
        if scene.world.crashed().is_none() {
            assert!(n > 5, "it has two commits and looks between them");
            return;
        }
        assert!(task.lock().unwrap().is_none());
        // Whatever was written: an upload goes on, and so does the removal.
        scene.run(async |s| {
            let new = NewImplementation::new("hadoop", API, MEDIA_TYPE, "{}");
            let catalog = s.door.catalog();
            catalog.add_implementation(&s.operator, new).await.unwrap();
        });
        match scene.run(async |_| remove().await) {
            Ok(()) => {}
            Err(e) => assert_eq!(e.kind(), ErrorKind::NotFound, "{e}"),
        }
        assert_eq!(made_for(&scene, "hadoop").len(), 1);
    }
}
