//! Images that clusters need: brought once, tried again, and a crash at every
//! point while one is on its way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join;
use rm_core::backend::Resize;
use rm_core::catalog::{NewAppliance, NewImage, NewImplementation};
use rm_core::clusters::{ClusterRequest, Size};
use rm_core::life::State;
use rm_core::model::SiteImage;
use rm_core::resource::Resource;
use rm_core::{Caller, ErrorKind, ResourceId};
use rm_testkit::{API, Fault, MEDIA_TYPE, Rule, Scene, Verb};

mod drops;
mod silent;

const IMAGE: &str = "cc7";

/// The SHA-256 of the image that the catalog has.
fn sha256() -> String {
    "5e".repeat(32)
}

/// A scene in which the appliance `imaged` needs the image.
fn scene(seed: u64, sites: &[&str]) -> Scene {
    let scene = Scene::builder(seed).sites(sites).build().unwrap();
    scene.run(async |s| {
        image(s, &sha256()).await;
        appliance(s).await;
    });
    scene
}

async fn image(s: &Scene, sha256: &str) {
    let new = NewImage {
        name: IMAGE.to_owned(),
        source: "file:/cc7".to_owned(),
        sha256: sha256.to_owned(),
        disk_format: "raw".to_owned(),
    };
    s.door.catalog().add_image(&s.operator, new).await.unwrap();
}

async fn appliance(s: &Scene) {
    let catalog = s.door.catalog();
    let mut new = NewAppliance::new("imaged");
    new.images = vec![IMAGE.to_owned()];
    catalog.add_appliance(&s.operator, new).await.unwrap();
    let new = NewImplementation::new("imaged", API, MEDIA_TYPE, "{}");
    catalog.add_implementation(&s.operator, new).await.unwrap();
}

fn imaged(s: &Scene) -> ClusterRequest {
    ClusterRequest {
        appliance: "imaged".to_owned(),
        ..s.own(1)
    }
}

async fn copies(s: &Scene) -> Vec<Resource<SiteImage>> {
    let copies = s.door.copies();
    copies
        .list(&s.operator, IMAGE, None, 100)
        .await
        .unwrap()
        .items
}

async fn only_copy(s: &Scene) -> Resource<SiteImage> {
    let mut all = copies(s).await;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// Asks for a cluster and waits for what becomes of it.
async fn ask(s: &Scene, who: &Caller) -> (ResourceId, State) {
    let made = s.clusters().create(who, &imaged(s)).await.unwrap();
    let id = made.cluster.id();
    (id, s.ready(who, id).await.unwrap().record().seen)
}

async fn delete(s: &Scene, who: &Caller, id: ResourceId) {
    let cluster = s.clusters().get(who, id).await.unwrap();
    cluster.release(who, None).await.unwrap();
    assert!(s.gone(who, id).await.unwrap());
}

async fn dropped(s: &Scene, id: ResourceId) {
    s.door
        .copies()
        .remove(&s.operator, IMAGE, id)
        .await
        .unwrap();
    s.rest().await;
}

/// Everything from a request to the last thing that is removed.
async fn life(s: &Scene, trouble: impl Fn()) {
    // What engines do once when they start is not counted.
    s.world.sleep(Duration::from_secs(1)).await;
    trouble();
    let made = s.clusters().create(&s.alice, &imaged(s)).await.unwrap();
    let id = made.cluster.id();
    s.rest().await;
    let cluster = s.clusters().get(&s.alice, id).await.unwrap();
    assert_eq!(cluster.record().seen, State::Ready, "{}", s.story(id).await);
    let copy = only_copy(s).await;
    assert_eq!(copy.record().seen, State::Ready, "{:?}", copy.record());
    let things = s.cloud.of(id, s.world.now());
    assert_eq!(things.len(), 1);
    assert_eq!(
        things[0].images,
        [copy.record().remote.clone().unwrap()],
        "it is made of the copy"
    );
    assert_eq!(s.cloud.images("north").len(), 1, "only ever one image");

    cluster.release(&s.alice, None).await.unwrap();
    s.rest().await;
    dropped(s, copy.id()).await;
    s.world.disarm();
    assert_eq!(s.faults().await, Vec::<String>::new());
    assert_eq!(s.records().await, []);
    assert_eq!(s.cloud.marked_images(s.world.now()), []);
    assert_eq!(s.counter(&format!("needs/{}", copy.id())).await, 0);
    assert_eq!(s.counter("quota/physics/nodes").await, 0);
}

#[test]
fn a_crash_at_every_point_of_an_upload_and_a_cluster_that_waits_loses_and_leaks_nothing() {
    for engines in [1, 2] {
        let mut covered: BTreeMap<&'static str, u64> = BTreeMap::new();
        for n in 1.. {
            let scene = scene(1, &["north"]);
            for _ in 0..engines {
                scene.start_engine();
            }
            scene.run(async |s| life(s, || s.world.crash_at("engine", n)).await);
            match scene.world.crashed() {
                Some(point) => *covered.entry(point).or_default() += 1,
                None => break,
            }
        }
        let all: u64 = covered.values().sum();
        println!("{engines} engines: a crash at each of {all} points: {covered:?}");
        for point in [
            "before create",
            "after create",
            "before change",
            "within upload",
            "after change",
            "before destroy",
            "after destroy",
        ] {
            assert!(covered.contains_key(point), "{point}");
        }
    }
}

#[test]
fn an_upload_whose_answer_is_lost_or_that_is_cut_ends_in_one_whole_image() {
    for verb in [Verb::Create, Verb::Change] {
        for fault in [
            Fault::LostBefore,
            Fault::LostAfter,
            Fault::TooMany(Duration::from_secs(3)),
        ] {
            let scene = scene(2, &["north"]);
            scene.start_engine();
            scene.cloud.inject(Rule::next(verb, fault));
            scene.run(async |s| life(s, || {}).await);
        }
    }
}

#[test]
fn two_clusters_that_need_an_image_at_once_make_one_copy() {
    let scene = scene(3, &["north"]);
    scene.start_engine();
    scene.run(async |s| {
        let request = imaged(s);
        let clusters = s.clusters();
        let (a, b) = join(
            clusters.create(&s.alice, &request),
            clusters.create(&s.bob, &request),
        )
        .await;
        let (a, b) = (a.unwrap().cluster, b.unwrap().cluster);
        assert_ne!(a.id(), b.id());
        s.rest().await;
        let copy = only_copy(s).await;
        for (who, cluster) in [(&s.alice, a), (&s.bob, b)] {
            let now = cluster.again(who).await.unwrap();
            assert_eq!(now.record().seen, State::Ready);
            assert_eq!(now.record().needs, [copy.id()]);
        }
        assert_eq!(s.door.copies().needed_by(&copy).await.unwrap(), 2);
        assert_eq!(s.cloud.images("north").len(), 1);
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn a_copy_is_nobodys_and_is_not_counted() {
    let scene = scene(4, &["north"]);
    scene.start_engine();
    scene.run(async |s| {
        let (id, _) = ask(s, &s.alice).await;
        let copy = only_copy(s).await;
        assert_eq!(s.counter("quota/physics/clusters").await, 1);
        assert_eq!(s.counter("quota/physics/nodes").await, 2);
        for who in [&s.alice, &s.bob, &s.carol] {
            let e = s
                .door
                .copies()
                .list(who, IMAGE, None, 10)
                .await
                .unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Forbidden);
            // Not by another way either.
            let managers = s.door.managers();
            let images = managers
                .serving::<SiteImage>(&rm_core::Kind::IMAGE)
                .unwrap();
            assert!(images[0].get(who, copy.id()).await.is_err());
            let seen = images[0].find(who, false, None, 10).await.unwrap();
            assert_eq!(seen.items.len(), 0);
        }
        // It stays when its user is gone, and the next one finds it.
        delete(s, &s.alice, id).await;
        let (_, seen) = ask(s, &s.bob).await;
        assert_eq!(seen, State::Ready);
        assert_eq!(only_copy(s).await.id(), copy.id());
        // Another tenant has another account there.
        let (_, seen) = ask(s, &s.carol).await;
        assert_eq!(seen, State::Ready);
        assert_eq!(copies(s).await.len(), 2);
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn a_copy_that_failed_is_tried_again_by_the_next_request_and_by_a_retry() {
    let scene = scene(5, &["north"]);
    scene.start_engine();
    scene.run(async |s| {
        let refused = Fault::Refused(ErrorKind::Failed);
        s.cloud.inject(Rule::next(Verb::Change, refused));
        let (first, seen) = ask(s, &s.alice).await;
        assert_eq!(seen, State::Failed);
        let reason = s.clusters().get(&s.alice, first).await.unwrap();
        let reason = reason.record().reason.clone();
        assert!(
            reason.contains("cc7") && reason.contains("failed"),
            "{reason}"
        );
        let copy = only_copy(s).await;
        assert_eq!(copy.record().seen, State::Failed);

        s.cloud.inject(Rule::next(Verb::Change, refused));
        let (_, seen) = ask(s, &s.bob).await;
        assert_eq!(seen, State::Failed, "it was tried once more");
        let (_, seen) = ask(s, &s.bob).await;
        assert_eq!(seen, State::Ready);
        assert_eq!(only_copy(s).await.id(), copy.id());

        // The image is there now: the first cluster has it, too, when its user
        // tries again.
        let cluster = s.clusters().get(&s.alice, first).await.unwrap();
        cluster.retry(&s.alice).await.unwrap();
        let now = s.ready(&s.alice, first).await.unwrap();
        assert_eq!(now.record().seen, State::Ready);
        assert_eq!(s.cloud.images("north").len(), 1);

        // What vanishes is made anew, under an id of its own.
        s.cloud
            .vanish_image("north", copy.record().remote.as_ref().unwrap());
        s.world.sleep(Duration::from_secs(130)).await;
        assert_eq!(only_copy(s).await.record().seen, State::Failed);
        let (_, seen) = ask(s, &s.alice).await;
        assert_eq!(seen, State::Ready);
        assert_eq!(only_copy(s).await.id(), copy.id());
        assert_eq!(s.cloud.images("north").len(), 2);
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}

#[test]
fn what_is_gone_is_not_counted_although_nothing_can_be_made_in_its_stead() {
    let scene = scene(14, &["north"]);
    scene.start_engine();
    scene.run(async |s| {
        let (id, seen) = ask(s, &s.alice).await;
        assert_eq!(seen, State::Ready);
        assert_eq!(s.counter("quota/physics/nodes").await, 2);
        s.cloud.declare(|c| c.resize = Resize::Replace);
        let while_it_goes = Fault::Hangs(Duration::from_secs(300));
        s.cloud.inject(Rule::next(Verb::Destroy, while_it_goes));
        let size = Size::To(0);
        s.clusters().resize(&s.alice, id, size).await.unwrap();
        while s.cloud.count(Verb::Destroy) == 0 {
            s.world.sleep(Duration::from_millis(10)).await;
        }
        let copy = only_copy(s).await;
        s.cloud
            .vanish_image("north", copy.record().remote.as_ref().unwrap());
        s.world.sleep(Duration::from_secs(600)).await;
        let cluster = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(cluster.record().seen, State::Failed);
        assert_eq!(s.cloud.of(id, s.world.now()), []);
        assert_eq!(s.counter("quota/physics/nodes").await, 1);
    });
}

#[test]
fn a_retried_cluster_tries_the_image_that_it_needs_again() {
    let scene = scene(6, &["north"]);
    scene.start_engine();
    scene.run(async |s| {
        s.cloud.inject(Rule::next(Verb::Change, Fault::FailsLater));
        let (id, seen) = ask(s, &s.alice).await;
        assert_eq!(seen, State::Failed);
        let cluster = s.clusters().get(&s.alice, id).await.unwrap();
        cluster.retry(&s.alice).await.unwrap();
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Ready, "{}", now.record().reason);
        assert_eq!(only_copy(s).await.record().seen, State::Ready);
    });
}

#[test]
fn where_an_upload_fails_the_cluster_goes_to_the_next_site() {
    let scene = scene(7, &["east", "west"]);
    scene.start_engine();
    scene.run(async |s| {
        let refused = Fault::Refused(ErrorKind::Failed);
        s.cloud.inject(Rule::next(Verb::Change, refused).at("east"));
        let made = s.clusters().create(&s.alice, &imaged(s)).await.unwrap();
        let id = made.cluster.id();
        assert_eq!(made.cluster.record().place.site_name, "east");
        let now = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(now.record().seen, State::Ready, "{}", s.story(id).await);
        assert_eq!(now.record().place.site_name, "west");
        assert!(s.story(id).await.contains("cluster.moved"));
        assert_eq!(s.cloud.things("east", s.world.now()), []);
        let found = copies(s).await;
        let at = |site: &str| {
            let mut of = found.iter().filter(|c| c.record().place.site_name == site);
            of.next().unwrap().clone()
        };
        assert_eq!(at("east").record().seen, State::Failed);
        assert_eq!(at("west").record().seen, State::Ready);
        assert_eq!(now.record().needs, [at("west").id()]);
        assert_eq!(s.faults().await, Vec::<String>::new());
        // What nobody needs any more can go, what is needed cannot.
        dropped(s, at("east").id()).await;
        let copies = s.door.copies();
        let e = copies.remove(&s.operator, IMAGE, at("west").id()).await;
        assert_eq!(e.unwrap_err().stable_code(), "image-needed");
    });
}

#[test]
fn a_crash_at_every_point_while_a_cluster_goes_to_the_next_site_loses_and_leaks_nothing() {
    let mut covered: BTreeMap<&'static str, u64> = BTreeMap::new();
    for n in 1.. {
        let scene = scene(8, &["east", "west"]);
        scene.start_engine();
        scene.run(async |s| {
            let refused = Fault::Refused(ErrorKind::Failed);
            s.cloud
                .inject(Rule::next(Verb::Change, refused).always().at("east"));
            s.world.sleep(Duration::from_secs(1)).await;
            s.world.crash_at("engine", n);
            let made = s.clusters().create(&s.alice, &imaged(s)).await.unwrap();
            let id = made.cluster.id();
            s.rest().await;
            s.world.disarm();
            let now = s.clusters().get(&s.alice, id).await.unwrap();
            assert_eq!(now.record().place.site_name, "west");
            assert_eq!(now.record().seen, State::Ready);
            assert_eq!(s.cloud.ever_of(id).len(), 1);
            assert_eq!(s.faults().await, Vec::<String>::new());
        });
        match scene.world.crashed() {
            Some(point) => *covered.entry(point).or_default() += 1,
            None => break,
        }
    }
    let all: u64 = covered.values().sum();
    println!("a crash at each of {all} points: {covered:?}");
    assert!(all > 20);
}

#[test]
fn a_site_whose_images_cannot_be_asked_for_is_passed_over() {
    let scene = scene(9, &["east", "west"]);
    scene.start_engine();
    scene.run(async |s| {
        // The first question is for room, the second for the image.
        let away = Fault::Refused(ErrorKind::Unavailable);
        s.cloud
            .inject(Rule::next(Verb::Offers, away).nth(2).at("east"));
        let made = s.clusters().create(&s.alice, &imaged(s)).await.unwrap();
        assert_eq!(made.cluster.record().place.site_name, "west");
        let said: Vec<_> = made
            .considered
            .iter()
            .map(|c| (c.site.as_str(), c.verdict.as_str()))
            .collect();
        assert_eq!(said, [("west", "chosen"), ("east", "refused")]);
        let now = s.ready(&s.alice, made.cluster.id()).await.unwrap();
        assert_eq!(now.record().seen, State::Ready);
    });
}

#[test]
fn what_the_site_has_is_used_only_where_its_bytes_are_the_same() {
    let scene = scene(10, &["north"]);
    scene.start_engine();
    scene.run(async |s| {
        let theirs = s.cloud.plant_image("north", "biology", IMAGE, &sha256());
        let (id, seen) = ask(s, &s.carol).await;
        assert_eq!(seen, State::Ready);
        assert_eq!(copies(s).await.len(), 0);
        assert_eq!(s.cloud.of(id, s.world.now())[0].images, [theirs]);

        s.cloud
            .plant_image("north", "physics", IMAGE, &"ab".repeat(32));
        let (id, seen) = ask(s, &s.alice).await;
        assert_eq!(seen, State::Ready);
        let copy = only_copy(s).await;
        let ours = copy.record().remote.clone().unwrap();
        assert_eq!(s.cloud.of(id, s.world.now())[0].images, [ours]);
    });
}
