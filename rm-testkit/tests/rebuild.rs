//! A store that is lost is made anew from the marks at the sites.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lost;

use std::time::Duration;

use lost::{anew, anew_under, image, load_site, lose, rebuild, records, work};
use rm_core::backend::Mark;
use rm_core::catalog::{Catalog, NewAppliance, NewImplementation};
use rm_core::clusters::{ClusterRequest, Size};
use rm_core::life::State;
use rm_core::policy::{Policy, Quota};
use rm_core::{ErrorKind, Host, ResourceId};
use rm_testkit::{API, Fault, MEDIA_TYPE, Rule, Scene, Verb};
use serde_json::json;

/// The catalog, as a person loads it once more.
async fn load(s: &Scene, host: &Host) {
    let (catalog, who) = (host.catalog(), &s.operator);
    load_site(s, host, "north", API).await;
    let appliance = NewAppliance {
        name: "hadoop".to_owned(),
        description: String::new(),
        ready_port: None,
        images: Vec::new(),
    };
    catalog.add_appliance(who, appliance).await.unwrap();
    let body = json!({
        "parameters": ["flavor", "network"],
        "outputs": {"console": "http://10.0.0.10:8088"},
    });
    let body = NewImplementation::new("hadoop", API, MEDIA_TYPE, &body.to_string());
    catalog.add_implementation(who, body).await.unwrap();
}

#[test]
fn what_a_lost_store_held_is_found_resized_and_deleted() {
    let scene = Scene::new(1);
    scene.start_engine();
    scene.run(async |s| {
        let one = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let two = s.clusters().create(&s.carol, &s.own(4)).await.unwrap();
        let (one, two) = (one.cluster.id(), two.cluster.id());
        let live = s.ready(&s.alice, one).await.unwrap();
        s.ready(&s.carol, two).await.unwrap();
        s.clusters()
            .resize(&s.alice, one, Size::To(2))
            .await
            .unwrap();
        s.ready(&s.alice, one).await.unwrap();
        let remote = live.record().remote.clone().unwrap();
        lose(s).await;
        let before = s.cloud.everything(s.world.now());

        let (host, store) = anew(s);
        load(s, &host).await;
        let dry = rebuild(s, &host, false).await;
        assert_eq!(dry.restored.len(), 2, "{dry:#?}");
        assert_eq!(records(&store).await, [], "a dry run");
        let done = rebuild(s, &host, true).await;
        assert_eq!(done, dry);
        assert_eq!((done.left.len(), done.skipped.len()), (0, 0));
        let again = rebuild(s, &host, true).await;
        assert_eq!((again.restored.len(), again.known), (0, 2));
        assert_eq!(s.cloud.everything(s.world.now()), before, "untouched");

        work(s, &host);
        let (limit, clusters) = (Duration::from_secs(600), host.clusters());
        let live = clusters.settled(&s.alice, one, limit).await.unwrap();
        let r = live.record();
        assert_eq!(r.seen, State::Ready, "{r:?}");
        assert_eq!(r.remote, Some(remote));
        assert_eq!((r.generation, r.incarnation), (2, 1), "as the mark says");
        assert_eq!((live.spec().unwrap().slaves, r.nodes), (2, 3));
        assert_eq!(r.holds.len(), 1);
        assert_eq!((&*r.holds[0].user, r.holds[0].until), ("alice", None));
        assert_eq!(store.counter("quota/physics/nodes").await.unwrap(), 3);
        assert_eq!(store.counter("quota/biology/nodes").await.unwrap(), 5);
        let told = host.history().of(&s.alice, one, None).await.unwrap();
        assert!(told.entries[0].text.contains("made anew"), "{told:#?}");
        assert!(!told.whole, "what was before is lost");

        clusters.resize(&s.alice, one, Size::To(5)).await.unwrap();
        let live = clusters.settled(&s.alice, one, limit).await.unwrap();
        assert_eq!(live.view().unwrap().hosts.len(), 6);
        live.release(&s.alice, None).await.unwrap();
        assert!(clusters.gone(&s.alice, one, limit).await.unwrap());
        let other = clusters.get(&s.carol, two).await.unwrap();
        other.release(&s.carol, None).await.unwrap();
        assert!(clusters.gone(&s.carol, two, limit).await.unwrap());
        assert_eq!(s.cloud.everything(s.world.now()), []);
        assert_eq!(store.counter("quota/physics/clusters").await.unwrap(), 0);
    });
}

/// Wherever in a life the store is lost: what is at the site is found, works,
/// and goes.
#[test]
fn a_store_lost_in_the_middle_of_a_life_leaks_nothing() {
    for part in ["create", "resize", "delete"] {
        let mut covered = 0;
        for n in 1.. {
            let scene = Scene::new(2);
            scene.start_engine();
            scene.run(async |s| {
                s.world.sleep(Duration::from_secs(1)).await;
                let arm = |now: &str| {
                    if now == part {
                        s.world.crash_at("engine", n);
                    }
                };
                arm("create");
                let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
                let id = made.cluster.id();
                s.world.sleep(Duration::from_secs(10)).await;
                arm("resize");
                s.clusters()
                    .resize(&s.alice, id, Size::To(3))
                    .await
                    .unwrap();
                s.world.sleep(Duration::from_secs(10)).await;
                arm("delete");
                made.cluster.release(&s.alice, None).await.unwrap();
                s.world.sleep(Duration::from_secs(10)).await;
                lose(s).await;
                went_on(s, id).await;
            });
            if scene.world.crashed().is_none() || n == 40 {
                break;
            }
            covered += 1;
        }
        println!("{part}: the store lost at each of {covered} points");
        assert!(covered >= 5, "{part}: {covered}");
    }
}

async fn went_on(s: &Scene, id: ResourceId) {
    let there = s.cloud.of(id, s.world.now()).len();
    assert!(there <= 1);
    let (host, store) = anew(s);
    load(s, &host).await;
    let done = rebuild(s, &host, true).await;
    assert_eq!(done.restored.len(), there, "{done:#?}");
    work(s, &host);
    let (limit, clusters) = (Duration::from_secs(600), host.clusters());
    if there == 1 {
        clusters.resize(&s.alice, id, Size::To(2)).await.unwrap();
        let live = clusters.settled(&s.alice, id, limit).await.unwrap();
        assert_eq!(live.record().seen, State::Ready, "{:?}", live.record());
        assert_eq!(live.view().unwrap().hosts.len(), 3);
        live.release(&s.alice, None).await.unwrap();
        assert!(clusters.gone(&s.alice, id, limit).await.unwrap());
    }
    assert_eq!(s.cloud.everything(s.world.now()), []);
    assert_eq!(records(&store).await, []);
    assert_eq!(store.counter("quota/physics/nodes").await.unwrap(), 0);
}

/// An image, and the appliance `imaged` that needs it.
async fn load_image(s: &Scene, catalog: &Catalog) {
    catalog.add_image(&s.operator, image("cc7")).await.unwrap();
    let mut appliance = NewAppliance::new("imaged");
    appliance.images = vec!["cc7".to_owned()];
    catalog.add_appliance(&s.operator, appliance).await.unwrap();
    let body = json!({"outputs": {"kind": "imaged"}}).to_string();
    let body = NewImplementation::new("imaged", API, MEDIA_TYPE, &body);
    catalog.add_implementation(&s.operator, body).await.unwrap();
}

#[test]
fn an_image_that_a_restored_cluster_is_made_of_is_needed_as_before() {
    let scene = Scene::new(4);
    scene.start_engine();
    scene.run(async |s| {
        load_image(s, s.door.catalog()).await;
        let request = ClusterRequest {
            appliance: "imaged".to_owned(),
            ..s.own(1)
        };
        let made = s.clusters().create(&s.alice, &request).await.unwrap();
        let id = made.cluster.id();
        assert!(s.ready(&s.alice, id).await.unwrap().is_ready());
        lose(s).await;

        let (host, _) = anew(s);
        load(s, &host).await;
        load_image(s, host.catalog()).await;
        let done = rebuild(s, &host, true).await;
        assert_eq!((done.restored.len(), done.left.len()), (2, 0), "{done:#?}");
        work(s, &host);
        let (limit, clusters) = (Duration::from_secs(600), host.clusters());
        let live = clusters.settled(&s.alice, id, limit).await.unwrap();
        let copies = host.copies();
        let all = copies.list(&s.operator, "cc7", None, 10).await.unwrap();
        let copy = all.items[0].id();
        assert_eq!(live.record().needs, [copy]);
        let e = copies.remove(&s.operator, "cc7", copy).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Conflict, "{e}");
        live.release(&s.alice, None).await.unwrap();
        assert!(clusters.gone(&s.alice, id, limit).await.unwrap());
        copies.remove(&s.operator, "cc7", copy).await.unwrap();
    });
}

#[test]
fn what_cannot_be_restored_is_said() {
    let scene = Scene::new(3);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        // One that was made by something that the catalog does not have; an
        // earlier try beside it; a sibling's; one that is going.
        let mark = |installation: &str, resource: ResourceId, incarnation| Mark {
            installation: installation.to_owned(),
            resource,
            incarnation,
            generation: 1,
        };
        let plant = |name: &str, mark| {
            s.cloud
                .plant("north", "physics", name, Some(mark), s.world.now())
        };
        let strange: ResourceId = "0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21".parse().unwrap();
        let odd = plant("odd", mark("lab", strange, 1));
        let earlier = plant("earlier", mark("lab", id, 0));
        plant("sibling", mark("another", id, 1));
        lose(s).await;

        let policy = Policy {
            quota: Quota {
                nodes: Some(2),
                ..Quota::default()
            },
            ..Policy::default()
        };
        let (host, store) = anew_under(s, policy);
        let e = host.rebuild().run(&s.operator, true).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Conflict);
        assert!(e.next().unwrap().contains("anew first"), "{e}");
        load(s, &host).await;
        let e = host.rebuild().run(&s.alice, true).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Forbidden);

        let done = rebuild(s, &host, true).await;
        assert_eq!(done.restored.len(), 1, "{done:#?}");
        let but = done.restored[0].but.as_ref().unwrap();
        assert!(but.contains("more than its quota"), "{but}");
        assert_eq!(done.foreign, 1);
        let why = |remote| {
            let left = done.left.iter().find(|l| l.remote == remote).unwrap();
            left.why.clone()
        };
        assert!(why(odd).contains("made by"), "{done:#?}");
        assert!(why(earlier).contains("another thing"), "{done:#?}");
        assert_eq!(records(&store).await.len(), 1);

        // A site that does not answer is named, and found the next time.
        let (host, _) = anew(s);
        load(s, &host).await;
        s.cloud.down("north", true);
        let none = rebuild(s, &host, true).await;
        assert_eq!((none.restored.len(), none.skipped.len()), (0, 4));
        s.cloud.down("north", false);
        s.cloud.inject(Rule::next(Verb::Observe, Fault::LostAfter));
        let some = rebuild(s, &host, true).await;
        assert_eq!(some.skipped.len(), 1);
    });
}

/// What keeps its owner says whose it is and for how long, as of the last
/// renewal.
#[test]
fn what_keeps_its_owner_gives_back_owner_lease_and_name() {
    let scene = Scene::new(4);
    scene.cloud.declare(|c| c.keeps_owner = true);
    scene.start_engine();
    scene.run(async |s| {
        let longer = Duration::from_secs(2 * 3600);
        let request = ClusterRequest {
            name: Some("the thesis".to_owned()),
            lease: Some(Duration::from_secs(3600)),
            ..s.own(1)
        };
        let made = s.clusters().create(&s.alice, &request).await.unwrap();
        let id = made.cluster.id();
        let live = s.ready(&s.alice, id).await.unwrap();
        // Bob sees it, carol's is another one; the renewal is only in the store
        // until it is noted.
        live.grant(&s.alice, "bob").await.unwrap();
        let renewed = live.renew(&s.alice, None, Some(longer)).await.unwrap();
        let other = s.clusters().create(&s.carol, &s.own(1)).await.unwrap();
        s.ready(&s.carol, other.cluster.id()).await.unwrap();
        s.world.sleep(Duration::from_secs(5)).await;
        let before = renewed.record().clone();
        lose(s).await;

        let (host, store) = anew(s);
        load(s, &host).await;
        let done = rebuild(s, &host, true).await;
        assert_eq!((done.restored.len(), done.left.len()), (2, 0), "{done:#?}");
        let of = |id| done.restored.iter().find(|r| r.resource == id).unwrap();
        assert!(of(id).kept && of(id).but.is_none(), "{done:#?}");
        assert_eq!(of(id).until, before.holds[0].until);
        assert_eq!(of(other.cluster.id()).tenant, s.carol.tenant);
        let rows = records(&store).await;
        let r = rows.iter().find(|r| r.id == id).unwrap();
        assert_eq!((&r.tenant, &r.name), (&before.tenant, &before.name));
        assert_eq!((&r.holds, &r.grants), (&before.holds, &before.grants));

        work(s, &host);
        let limit = Duration::from_secs(600);
        let live = host.clusters().settled(&s.alice, id, limit).await.unwrap();
        assert_eq!(live.record().seen, State::Ready);
        host.clusters().get(&s.bob, id).await.unwrap();
        s.world.sleep(longer).await;
        assert_eq!(s.cloud.of(id, s.world.now()), [], "its lease is over");
        assert_eq!(
            s.cloud.everything(s.world.now()).len(),
            1,
            "carol's has no end"
        );
    });
}

/// Whatever crashes around a renewal, the thing says what the record says soon
/// after, and nothing else is done to it.
#[test]
fn a_renewal_is_noted_whatever_crashes_and_nothing_else_is_done() {
    let mut covered = 0;
    for n in 1.. {
        let scene = Scene::new(5);
        scene.cloud.declare(|c| c.keeps_owner = true);
        scene.start_engine();
        scene.run(async |s| {
            let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
            let id = made.cluster.id();
            let live = s.ready(&s.alice, id).await.unwrap();
            s.world.sleep(Duration::from_secs(5)).await;
            s.world.crash_at("engine", n);
            let day = Duration::from_secs(24 * 3600);
            live.renew(&s.alice, None, Some(day)).await.unwrap();
            for _ in 0..150 {
                s.world.sleep(Duration::from_secs(1)).await;
                s.restart_crashed();
            }
            s.world.disarm();
            let now = s.clusters().get(&s.alice, id).await.unwrap();
            let things = s.cloud.of(id, s.world.now());
            assert_eq!(things.len(), 1, "point {n}");
            let noted = things[0].owner.as_ref().unwrap();
            assert_eq!(noted.holds, now.record().holds, "point {n}");
            assert_eq!(now.record().seen, State::Ready, "point {n}");
            assert_eq!(now.record().generation, 1);
            assert_eq!((things[0].stamp, s.cloud.count(Verb::Change)), (1, 0));
            assert_eq!(s.faults().await, Vec::<String>::new(), "point {n}");
        });
        if scene.world.crashed().is_none() || n == 40 {
            break;
        }
        covered += 1;
    }
    assert!(covered >= 5, "{covered}");
}
