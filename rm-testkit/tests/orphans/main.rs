//! What bears our mark and is no record's: found, told apart from what only
//! looks like it, and destroyed when somebody says so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rm_core::backend::{CreateKey, Mark, Phase};
use rm_core::catalog::NewCredential;
use rm_core::clusters::Size;
use rm_core::event::Event;
use rm_core::life::State;
use rm_core::orphans::{Reclaimed, Report, Thing, Verdict};
use rm_core::{Error, ErrorKind, RemoteId, ResourceId, Result, Tenant};
use rm_testkit::{Fault, Rule, Scene, Verb};
use serde_json::json;

mod unsure;

/// How many reports are made beside a few lives.
const REPORTS: usize = 4;
/// A resource that no store ever heard of.
const STRANGER: &str = "0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21";

fn mark(installation: &str, resource: ResourceId, incarnation: u32) -> Mark {
    Mark {
        installation: installation.to_owned(),
        resource,
        incarnation,
        generation: 1,
    }
}

fn plant(s: &Scene, site: &str, mark: Mark) -> RemoteId {
    let name = format!("{}-copy", mark.name());
    s.cloud
        .plant(site, "physics", &name, Some(mark), s.world.now())
}

async fn report(s: &Scene) -> Report {
    s.door.orphans().report(&s.operator).await.unwrap()
}

async fn reclaim(s: &Scene, thing: &Thing) -> Result<Reclaimed> {
    s.door.orphans().reclaim(&s.operator, thing, false).await
}

/// The only one that a report has.
fn only(report: &Report) -> &rm_core::orphans::Orphan {
    assert_eq!(report.orphans.len(), 1, "{report:#?}");
    &report.orphans[0]
}

fn refused(done: Result<Reclaimed>, kind: ErrorKind) -> Error {
    let e = done.unwrap_err();
    assert_eq!(e.kind(), kind, "{e}");
    assert!(e.next().is_some(), "it says what to do");
    e
}

async fn events(s: &Scene, what: &str) -> Vec<Event> {
    let all = s.truth.since(0, None, 100_000).await.unwrap();
    all.into_iter().filter(|e| e.event.what == what).collect()
}

/// A cluster that would not go and was given up: its thing is left over.
async fn abandoned(s: &Scene) -> (ResourceId, RemoteId) {
    let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
    let id = made.cluster.id();
    let live = s.ready(&s.alice, id).await.unwrap();
    let remote = live.record().remote.clone().unwrap();
    s.cloud
        .inject(Rule::next(Verb::Destroy, Fault::FailsLater).always());
    live.release(&s.alice, None).await.unwrap();
    assert!(!s.gone(&s.alice, id).await.unwrap());
    let held = s.clusters().get(&s.alice, id).await.unwrap();
    held.abandon(&s.operator, "the site is odd").await.unwrap();
    s.cloud.calm();
    (id, remote)
}

fn scene(seed: u64) -> Scene {
    Scene::builder(seed)
        .policy(|p| p.destroy_tries = 2)
        .build()
        .unwrap()
}

#[test]
fn what_was_given_up_is_found_and_destroyed_and_seen_to_be_gone() {
    let scene = scene(1);
    scene.start_engine();
    scene.run(async |s| {
        let (id, remote) = abandoned(s).await;
        let before = report(s).await;
        let orphan = only(&before);
        assert_eq!(orphan.verdict, Verdict::Orphan, "{orphan:?}");
        assert!(orphan.why.contains("abandoned"), "{}", orphan.why);
        assert_eq!(orphan.thing.remote, remote);
        assert_eq!(orphan.thing.mark, mark("lab", id, 1));
        assert_eq!(orphan.site_name, "north");
        assert_eq!(orphan.credential_name, "physics/physics-north");
        assert_eq!(orphan.phase, Phase::DeleteFailed);
        assert!(orphan.stamp.is_some());
        assert_eq!(s.cloud.things("north", s.world.now()).len(), 1, "dry run");
        let thing = orphan.thing.clone();
        assert_eq!(reclaim(s, &thing).await.unwrap(), Reclaimed::Accepted);
        // Accepted is not gone.
        assert_eq!(only(&report(s).await).verdict, Verdict::Going);
        s.world.sleep(Duration::from_secs(10)).await;
        assert_eq!(report(s).await, Report::default());
        assert_eq!(s.cloud.everything(s.world.now()), []);
        assert_eq!(reclaim(s, &thing).await.unwrap(), Reclaimed::Gone);

        let told = events(s, "orphan.reclaimed").await;
        assert_eq!(told.len(), 1);
        let data = &told[0].event.data;
        assert_eq!(data["by"], "root");
        assert_eq!(data["id"], json!(remote));
        assert_eq!(data["resource"], json!(id));
        assert_eq!(events(s, "orphan.reclaiming").await.len(), 1);
    });
}

#[test]
fn only_operators_may_look_for_orphans_and_destroy_them() {
    let scene = scene(2);
    scene.start_engine();
    scene.run(async |s| {
        abandoned(s).await;
        let thing = only(&report(s).await).thing.clone();
        let orphans = s.door.orphans();
        let e = orphans.report(&s.alice).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Forbidden);
        let e = orphans.reclaim(&s.alice, &thing, true).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Forbidden);
        assert_eq!(s.cloud.things("north", s.world.now()).len(), 1);
    });
}

#[test]
fn a_sibling_on_the_same_account_is_counted_and_never_touched() {
    let scene = scene(3);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        let theirs = plant(s, "north", mark("another", STRANGER.parse().unwrap(), 1));
        plant(s, "north", mark("another", id, 2));
        let found = report(s).await;
        assert_eq!(found.orphans, []);
        assert_eq!((found.owned, found.foreign), (1, 2));

        let own = s.clusters().get(&s.alice, id).await.unwrap();
        let mut thing = Thing {
            manager: own.record().place.manager.clone(),
            site: own.record().place.site,
            credential: own.record().place.credential,
            remote: theirs,
            mark: mark("another", STRANGER.parse().unwrap(), 1),
        };
        refused(reclaim(s, &thing).await, ErrorKind::Forbidden);
        // Nor under a mark that says it is ours.
        thing.mark.installation = "lab".to_owned();
        refused(reclaim(s, &thing).await, ErrorKind::Conflict);
        // What is in use is no orphan, whoever asks.
        thing.remote = own.record().remote.clone().unwrap();
        thing.mark = mark("lab", id, 1);
        let done = s.door.orphans().reclaim(&s.operator, &thing, true).await;
        refused(done, ErrorKind::Conflict);
        s.world.sleep(Duration::from_secs(10)).await;
        assert_eq!(s.cloud.things("north", s.world.now()).len(), 3);
        assert_eq!(s.cloud.count(Verb::Destroy), 0);
    });
}

#[test]
fn what_this_store_never_heard_of_needs_a_word_more() {
    let scene = scene(4);
    scene.start_engine();
    scene.run(async |s| {
        plant(s, "north", mark("lab", STRANGER.parse().unwrap(), 1));
        let found = report(s).await;
        let unheard = only(&found);
        assert_eq!(unheard.verdict, Verdict::Unheard);
        assert!(unheard.why.contains("lost"), "{}", unheard.why);
        let e = refused(reclaim(s, &unheard.thing).await, ErrorKind::Conflict);
        assert!(e.what().contains("knows nothing"), "{e}");
        assert_eq!(s.cloud.count(Verb::Destroy), 0);
        let orphans = s.door.orphans();
        let done = orphans.reclaim(&s.operator, &unheard.thing, true).await;
        assert_eq!(done.unwrap(), Reclaimed::Accepted);
        s.world.sleep(Duration::from_secs(10)).await;
        assert_eq!(s.cloud.everything(s.world.now()), []);
    });
}

#[test]
fn what_a_record_may_still_mean_is_reported_and_never_destroyed() {
    let scene = Scene::builder(5)
        .sites(&["north", "south"])
        .build()
        .unwrap();
    scene.start_engine();
    scene.run(async |s| {
        let mut request = s.own(1);
        request.sites = vec!["north".to_owned()];
        let made = s.clusters().create(&s.alice, &request).await.unwrap();
        let id = made.cluster.id();
        s.ready(&s.alice, id).await.unwrap();
        // At another site than its record says.
        let elsewhere = plant(s, "south", mark("lab", id, 1));
        // A second one of the same try.
        let double = plant(s, "north", mark("lab", id, 1));
        // Of a record that names no thing: nobody knows what its create made.
        s.cloud.declare(|c| c.create_key = CreateKey::None);
        s.cloud.inject(Rule::next(Verb::Create, Fault::LostBefore));
        let lost = s.clusters().create(&s.alice, &request).await.unwrap();
        let lost = s.ready(&s.alice, lost.cluster.id()).await.unwrap();
        assert_eq!(lost.record().seen, State::Quarantined);
        let late = plant(s, "north", mark("lab", lost.id(), 1));

        let found = report(s).await;
        assert_eq!(found.owned, 1);
        assert_eq!(found.orphans.len(), 3, "{found:#?}");
        for (remote, why) in [
            (elsewhere, "its record is at \"north\""),
            (double, "the same try"),
            (late, "not known yet"),
        ] {
            let mut all = found.orphans.iter();
            let one = all.find(|o| o.thing.remote == remote).unwrap();
            assert_eq!(one.verdict, Verdict::Ambiguous);
            assert!(one.why.contains(why), "{why}: {}", one.why);
            let orphans = s.door.orphans();
            let done = orphans.reclaim(&s.operator, &one.thing, true).await;
            refused(done, ErrorKind::Conflict);
        }
        assert_eq!(s.cloud.count(Verb::Destroy), 0);
    });
}

#[test]
fn what_an_earlier_try_left_behind_is_an_orphan() {
    let scene = scene(6);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
        let id = made.cluster.id();
        let live = s.ready(&s.alice, id).await.unwrap();
        let remote = live.record().remote.clone().unwrap();
        s.cloud.vanish("north", &remote, s.world.now());
        s.world.sleep(Duration::from_secs(70)).await;
        live.retry(&s.alice).await.unwrap();
        let live = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(live.record().seen, State::Ready);
        assert_eq!(live.record().incarnation, 2);
        // The first one comes back, as it does where a site forgets a delete.
        let first = plant(s, "north", mark("lab", id, 1));
        let found = report(s).await;
        let orphan = only(&found);
        assert_eq!(orphan.verdict, Verdict::Orphan);
        assert!(orphan.why.contains("earlier try"), "{}", orphan.why);
        assert_eq!(orphan.thing.remote, first);
        reclaim(s, &orphan.thing).await.unwrap();
        s.world.sleep(Duration::from_secs(70)).await;
        assert_eq!(s.faults().await, Vec::<String>::new());
        let live = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(live.record().seen, State::Ready);
    });
}

#[test]
fn what_is_not_as_the_report_said_is_left_alone() {
    let scene = scene(7);
    scene.start_engine();
    scene.run(async |s| {
        let (id, remote) = abandoned(s).await;
        let thing = only(&report(s).await).thing.clone();
        for edit in [
            |m: &mut Mark| m.generation += 1,
            |m: &mut Mark| m.incarnation += 1,
            |m: &mut Mark| m.resource = STRANGER.parse().unwrap(),
        ] {
            let mut other = thing.clone();
            edit(&mut other.mark);
            refused(reclaim(s, &other).await, ErrorKind::Conflict);
        }
        // Another thing of the name, with the same mark: ids tell them apart.
        let other = plant(s, "north", mark("lab", id, 1));
        s.cloud.vanish("north", &remote, s.world.now());
        assert_eq!(reclaim(s, &thing).await.unwrap(), Reclaimed::Gone);
        // Somebody takes the mark off.
        let next = only(&report(s).await).thing.clone();
        assert_eq!(next.remote, other);
        s.cloud.unmark("north", &other, s.world.now());
        refused(reclaim(s, &next).await, ErrorKind::Conflict);
        assert_eq!(s.cloud.things("north", s.world.now()).len(), 1);
    });
}

#[test]
fn what_cannot_be_looked_at_is_named() {
    let scene = Scene::builder(8)
        .sites(&["north", "south"])
        .build()
        .unwrap();
    scene.run(async |s| {
        plant(s, "north", mark("lab", STRANGER.parse().unwrap(), 1));
        s.cloud.down("south", true);
        let found = report(s).await;
        only(&found);
        let down: Vec<_> = found.skipped.iter().map(|k| &k.site_name).collect();
        // Clusters and images, by two credentials.
        assert_eq!(down, vec!["south"; 4], "{found:#?}");
        assert!(found.skipped[0].why.contains("nobody answers at south"));
        s.cloud.down("south", false);
        assert_eq!(report(s).await.skipped, []);

        s.cloud.declare(|c| c.list_by_owner = false);
        let found = report(s).await;
        assert_eq!(found.orphans, []);
        let mut skipped = found.skipped.iter();
        assert!(skipped.any(|k| k.why.contains("cannot list")));
        assert_eq!(found.skipped.len(), 4, "images are looked at");
    });
}

#[test]
fn a_thing_that_two_credentials_show_is_one_thing() {
    let scene = scene(9);
    scene.run(async |s| {
        let again = NewCredential {
            name: "again".to_owned(),
            site: "north".to_owned(),
            user: Some("alice".to_owned()),
            tenant: Some(Tenant("physics".to_owned())),
            secret: json!({"account": "physics", "password": "right"}),
        };
        let catalog = s.door.catalog();
        catalog.add_credential(&s.operator, again).await.unwrap();
        plant(s, "north", mark("lab", STRANGER.parse().unwrap(), 1));
        plant(s, "north", mark("another", STRANGER.parse().unwrap(), 1));
        let found = report(s).await;
        only(&found);
        assert_eq!(found.foreign, 1);
    });
}

/// Whatever the lists of a site show late.
#[test]
fn a_list_that_lags_makes_no_orphans() {
    for seconds in [0, 5, 30] {
        let scene = Scene::new(10);
        scene.cloud.lag("north", Duration::from_secs(seconds), true);
        scene.start_engine();
        scene.run(async |s| {
            let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
            let id = made.cluster.id();
            s.ready(&s.alice, id).await.unwrap();
            made.cluster.release(&s.alice, None).await.unwrap();
            let end = s.world.now().plus(Duration::from_secs(200));
            while s.world.now() < end {
                quiet(&report(s).await);
                s.world.sleep(Duration::from_millis(700)).await;
            }
            assert_eq!(s.records().await, []);
        });
    }
}

/// Nothing that is called an orphan, or might be.
fn quiet(report: &Report) {
    let mut all = report.orphans.iter();
    assert!(all.all(|o| o.verdict == Verdict::Going), "{report:#?}");
}

/// A report is stopped at each of its points in turn while clusters are made,
/// changed and destroyed; and the other way round.
#[test]
fn what_is_made_or_destroyed_meanwhile_is_never_called_an_orphan() {
    for who in ["reporter", "engine"] {
        let mut points = 0;
        for n in 1.. {
            let scene = Scene::new(11);
            scene.start_engine();
            scene.run(async |s| lives(s, who, n).await);
            if scene.world.crashed().is_none() {
                break;
            }
            points += 1;
        }
        assert!(points >= 10, "{points}");
    }
}

async fn lives(s: &Scene, stalls: &str, n: u64) {
    let first = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
    s.ready(&s.alice, first.cluster.id()).await.unwrap();
    s.world.stall_at(stalls, n);
    let told = Arc::new(Mutex::new(Vec::new()));
    let (door, who, into) = (Arc::clone(&s.door), s.operator.clone(), Arc::clone(&told));
    let pause = s.world.env();
    s.world.spawn("reporter", async move {
        for _ in 0..REPORTS {
            let report = door.orphans().report(&who).await;
            into.lock().unwrap().push(report.unwrap());
            rm_core::env::Env::sleep(&*pause, Duration::from_millis(1500)).await;
        }
    });
    let second = s.clusters().create(&s.alice, &s.own(2)).await.unwrap();
    let clusters = s.clusters();
    let resize = clusters.resize(&s.alice, first.cluster.id(), Size::To(3));
    resize.await.unwrap();
    s.world.sleep(Duration::from_secs(2)).await;
    first.cluster.release(&s.alice, None).await.unwrap();
    second.cluster.release(&s.alice, None).await.unwrap();
    s.world.sleep(Duration::from_secs(4)).await;
    if let Some(stopped) = s.world.struck() {
        s.world.resume(stopped);
    }
    s.world.disarm();
    s.world.sleep(Duration::from_secs(60)).await;
    s.rest().await;
    let told = told.lock().unwrap().clone();
    assert_eq!(told.len(), REPORTS);
    told.iter().for_each(quiet);
    assert_eq!(report(s).await, Report::default());
}

#[test]
fn what_is_found_is_told_once_and_left_alone_unless_the_policy_says_otherwise() {
    let scene = scene(12);
    scene.start_engine();
    scene.start_engine();
    scene.run(async |s| {
        abandoned(s).await;
        plant(s, "north", mark("lab", STRANGER.parse().unwrap(), 1));
        s.world.sleep(Duration::from_secs(6 * 3600)).await;
        let told = events(s, "orphan.found").await;
        assert_eq!(told.len(), 2, "{told:#?}");
        let verdicts: Vec<_> = told.iter().map(|e| &e.event.data["verdict"]).collect();
        assert!(verdicts.contains(&&json!("orphan")) && verdicts.contains(&&json!("unheard")));
        assert_eq!(s.cloud.things("north", s.world.now()).len(), 2);
        // What goes and comes again is told again.
        let (_, remote) = abandoned(s).await;
        s.world.sleep(Duration::from_secs(3600)).await;
        assert_eq!(events(s, "orphan.found").await.len(), 3);
        s.cloud.vanish("north", &remote, s.world.now());
        s.world.sleep(Duration::from_secs(3600)).await;
        let left = report(s).await.orphans;
        let ages = left.iter().map(|o| o.age(s.world.now()).unwrap().as_secs());
        // Since the first search, whatever the site's stamps say.
        let ages: Vec<_> = ages.map(|age| age / 3600).collect();
        assert!(ages.iter().all(|hours| (7..9).contains(hours)), "{ages:?}");
        assert_eq!(left.len(), 2);
        assert_eq!(s.cloud.count(Verb::Destroy), 4, "two tries of each");
    });
}

#[test]
fn a_policy_reclaims_what_has_been_an_orphan_for_so_long() {
    let scene = Scene::builder(13)
        .policy(|p| {
            p.destroy_tries = 2;
            p.orphan_scan = Some(Duration::from_secs(600));
            p.reclaim_orphans_after = Some(Duration::from_secs(3600));
        })
        .build()
        .unwrap();
    scene.start_engine();
    scene.start_engine();
    scene.run(async |s| {
        abandoned(s).await;
        let stays = plant(s, "north", mark("lab", STRANGER.parse().unwrap(), 1));
        s.world.sleep(Duration::from_secs(3000)).await;
        assert_eq!(s.cloud.things("north", s.world.now()).len(), 2, "too early");
        s.world.sleep(Duration::from_secs(2400)).await;
        let left = s.cloud.things("north", s.world.now());
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].id, stays, "a person must say what it is");
        let told = events(s, "orphan.reclaimed").await;
        assert_eq!(told.len(), 1, "by one engine, once");
        assert_eq!(told[0].event.data["by"], "policy");
    });
}

#[test]
fn of_all_engines_one_searches_each_turn_or_none() {
    // Two credentials, two managers, and a last look at what was found.
    for (every, looks) in [(None, 0), (Some(Duration::from_secs(3600)), 6 * 5)] {
        let scene = Scene::builder(14).policy(|p| p.orphan_scan = every);
        let scene = scene.build().unwrap();
        scene.start_engine();
        scene.start_engine();
        scene.run(async |s| {
            plant(s, "north", mark("lab", STRANGER.parse().unwrap(), 1));
            s.world.sleep(Duration::from_secs(6 * 3600 + 60)).await;
            let told = events(s, "orphan.found").await.len();
            assert_eq!(told, usize::from(every.is_some()));
            assert_eq!(s.cloud.count(Verb::Observe), looks);
        });
    }
}
