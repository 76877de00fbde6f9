//! A store that is lost gets clusters made of nodes back from their nodes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lost;

use std::time::Duration;

use futures_util::future::join;
use lost::{LIMIT, anew, image, load_site, lose, rebuild, records, work};
use rm_core::catalog::{NewAppliance, NewImplementation};
use rm_core::clusters::{ClusterRequest, Size};
use rm_core::life::State;
use rm_core::model::Node;
use rm_core::nodes::MEDIA_TYPE;
use rm_core::rebuild::Restored;
use rm_core::{ErrorKind, Host, Kind, RemoteId, ResourceId};
use rm_testkit::{Fault, NODE, NODES_API, Rule, Scene, Thing, Verb};
use serde_json::{Value, json};

fn role(name: &str, count: Value, command: &str) -> Value {
    json!({"name": name, "count": count, "node": {
        "image": "debian", "vcpus": 1, "memory_mib": 128, "boot_commands": [command],
    }})
}

/// A master and slaves that must know its address.
fn body() -> Value {
    json!({
        "roles": [
            role("master", json!(1), "serve"),
            role("slave", json!("slaves"), "join {{master_ip}} as {{index}}"),
        ],
        "master": "master",
        "outputs": {"console": "http://{{master_ip}}:8088"},
    })
}

fn scene(seed: u64) -> Scene {
    let scene = Scene::builder(seed).sites(&[]);
    let scene = scene.node_sites(&["cellar"], &body()).build().unwrap();
    scene.cloud.declare(|c| c.keeps_owner = true);
    scene.start_engine();
    scene
}

/// The catalog, as a person loads it once more: other ids, other revisions.
async fn load(s: &Scene, host: &Host, body: &Value) {
    let (catalog, who) = (host.catalog(), &s.operator);
    load_site(s, host, "cellar", NODES_API).await;
    catalog.add_image(who, image("debian")).await.unwrap();
    let appliance = NewAppliance::new("hadoop");
    catalog.add_appliance(who, appliance).await.unwrap();
    let mut other = body.clone();
    other["outputs"] = json!({"another": "one"});
    for body in [&other, body] {
        let new = NewImplementation::new("hadoop", NODES_API, MEDIA_TYPE, &body.to_string());
        catalog.add_implementation(who, new).await.unwrap();
    }
}

fn things(s: &Scene) -> Vec<Thing> {
    let all = s.cloud.everything(s.world.now());
    all.into_iter().map(|(_, thing)| thing).collect()
}

/// The thing of this role and index, as it tells itself.
fn thing(s: &Scene, role: &str, index: u32) -> RemoteId {
    let is = |thing: &&Thing| {
        let part = thing.owner.as_ref().and_then(|o| o.part.as_ref());
        part.is_some_and(|part| part.role == role && part.index == index)
    };
    things(s).iter().find(is).unwrap().id.clone()
}

/// Alice's cluster of a master and so many slaves, ready.
async fn cluster(s: &Scene, slaves: u32) -> ResourceId {
    let request = ClusterRequest {
        name: Some("the thesis".to_owned()),
        lease: Some(Duration::from_secs(3600)),
        ..s.own(slaves)
    };
    let made = s.clusters().create(&s.alice, &request).await.unwrap();
    let id = made.cluster.id();
    assert!(s.ready(&s.alice, id).await.unwrap().is_ready());
    id
}

#[test]
fn a_cluster_of_nodes_is_given_back_with_its_owner_and_its_lease() {
    scene(1).run(async |s| {
        let longer = Duration::from_secs(2 * 3600);
        let id = cluster(s, 2).await;
        let clusters = s.clusters();
        clusters.resize(&s.alice, id, Size::To(3)).await.unwrap();
        let live = s.ready(&s.alice, id).await.unwrap();
        live.grant(&s.alice, "bob").await.unwrap();
        let renewed = live.renew(&s.alice, None, Some(longer)).await.unwrap();
        s.world.sleep(Duration::from_secs(10)).await;
        let was = renewed.record().clone();
        lose(s).await;
        let before = things(s);
        assert_eq!(before.len(), 4);
        let tells = |thing: &&Thing| {
            let part = thing.owner.as_ref().and_then(|o| o.part.as_ref());
            part.is_some_and(|part| part.whole.spec.is_some())
        };
        // However many there are, the first ones alone say what was wanted.
        assert_eq!(before.iter().filter(tells).count(), 3);
        let creates = s.cloud.count(Verb::Create);

        let (host, store) = anew(s);
        load(s, &host, &body()).await;
        let dry = rebuild(s, &host, false).await;
        assert_eq!(records(&store).await, [], "a dry run");
        let done = rebuild(s, &host, true).await;
        assert_eq!(done, dry);
        assert_eq!((done.left.len(), done.skipped.len()), (0, 0), "{done:#?}");
        assert_eq!(done.restored.len(), 5, "{done:#?}");
        let (whole, parts): (Vec<&Restored>, Vec<_>) =
            done.restored.iter().partition(|r| r.resource == id);
        assert_eq!((&whole[0].kind, whole[0].nodes), (&Kind::CLUSTER, 4));
        assert_eq!(whole[0].until, was.holds[0].until);
        assert!(whole[0].kept && whole[0].but.is_none(), "{done:#?}");
        assert!(parts.iter().all(|r| r.part_of == Some(id) && r.nodes == 0));
        assert_eq!(things(s), before, "nothing is changed at the site");
        let again = rebuild(s, &host, true).await;
        assert_eq!((again.restored.len(), again.known), (0, 5));
        let rows = records(&store).await;
        let r = rows.iter().find(|r| r.id == id).unwrap();
        assert_eq!((&r.tenant, &r.name), (&was.tenant, &was.name));
        assert_eq!((&r.holds, &r.grants), (&was.holds, &was.grants));
        assert_eq!(
            (r.generation, r.incarnation),
            (was.generation, was.incarnation)
        );
        assert_eq!(store.counter("quota/physics/nodes").await.unwrap(), 4);
        assert_eq!(store.counter("quota/physics/clusters").await.unwrap(), 1);

        work(s, &host);
        let live = host.clusters().settled(&s.alice, id, LIMIT).await.unwrap();
        assert_eq!(live.record().seen, State::Ready, "{:#?}", live.record());
        let view = live.view().unwrap();
        assert_eq!(view.hosts.len(), 4);
        let console = format!("http://{}:8088", view.address.unwrap());
        assert_eq!(view.outputs["console"], console);
        assert_eq!(s.cloud.count(Verb::Create), creates, "all are there");
        host.clusters().get(&s.bob, id).await.unwrap();
        let one = Size::To(1);
        host.clusters().resize(&s.alice, id, one).await.unwrap();
        host.clusters().settled(&s.alice, id, LIMIT).await.unwrap();
        s.world.sleep(LIMIT).await;
        assert_eq!(things(s).len(), 2);
        s.world.sleep(longer).await;
        assert_eq!(things(s), [], "its lease is over");
        assert_eq!(records(&store).await, []);
    });
}

/// Wherever in a life the store is lost: what is at the site is found, works,
/// and goes.
#[test]
fn a_store_lost_in_the_middle_of_a_clusters_life_leaks_no_node() {
    for part in ["create", "resize", "delete"] {
        let mut covered = 0;
        for n in 1.. {
            let scene = scene(2);
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
                s.world.sleep(Duration::from_secs(20)).await;
                arm("resize");
                let three = Size::To(3);
                s.clusters().resize(&s.alice, id, three).await.unwrap();
                s.world.sleep(Duration::from_secs(20)).await;
                arm("delete");
                made.cluster.release(&s.alice, None).await.unwrap();
                s.world.sleep(Duration::from_secs(10)).await;
                lose(s).await;
                went_on(s, id, n).await;
            });
            if scene.world.crashed().is_none() || n == 60 {
                break;
            }
            covered += 1;
        }
        println!("{part}: the store lost at each of {covered} points");
        assert!(covered >= 5, "{part}: {covered}");
    }
}

async fn went_on(s: &Scene, id: ResourceId, n: u64) {
    let (host, store) = anew(s);
    load(s, &host, &body()).await;
    let done = rebuild(s, &host, true).await;
    assert_eq!(done.left.len(), 0, "point {n}: {done:#?}");
    work(s, &host);
    let clusters = host.clusters();
    if done.restored.iter().any(|r| r.resource == id) {
        clusters.resize(&s.alice, id, Size::To(2)).await.unwrap();
        let live = clusters.settled(&s.alice, id, LIMIT).await.unwrap();
        assert_eq!(live.record().seen, State::Ready, "point {n}: {live:?}");
        assert_eq!(live.view().unwrap().hosts.len(), 3, "point {n}");
        live.release(&s.alice, None).await.unwrap();
        assert!(clusters.gone(&s.alice, id, LIMIT).await.unwrap());
    }
    // Nodes whose master was gone are their tenant's own.
    let nodes = host.managers().serving::<Node>(&NODE).unwrap();
    let alone = done.restored.iter().filter(|r| r.part_of.is_none());
    for r in alone.filter(|r| r.resource != id) {
        let node = nodes[0].get(&s.alice, r.resource).await.unwrap();
        node.release(&s.alice, None).await.unwrap();
    }
    s.world.sleep(LIMIT).await;
    assert_eq!(things(s), [], "point {n}");
    assert_eq!(records(&store).await, [], "point {n}");
    assert_eq!(store.counter("quota/physics/nodes").await.unwrap(), 0);
}

#[test]
fn what_is_missing_of_a_cluster_is_said_and_made_anew() {
    scene(3).run(async |s| {
        let id = cluster(s, 2).await;
        lose(s).await;
        s.cloud
            .vanish("cellar", &thing(s, "slave", 1), s.world.now());

        // The missing one may be where nobody could look.
        s.cloud.password("biology", "another");
        let (host, store) = anew(s);
        load(s, &host, &body()).await;
        let none = rebuild(s, &host, true).await;
        assert_eq!((none.restored.len(), none.left.len()), (0, 2), "{none:#?}");
        assert!(none.left[0].why.contains("1 other nodes"), "{none:#?}");
        assert_eq!(records(&store).await, []);

        s.cloud.password("biology", "right");
        let done = rebuild(s, &host, true).await;
        assert_eq!((done.restored.len(), done.left.len()), (3, 0), "{done:#?}");
        let whole = done.restored.iter().find(|r| r.resource == id).unwrap();
        let but = whole.but.as_ref().unwrap();
        assert!(but.contains("1 of its nodes were not found"), "{but}");
        work(s, &host);
        let live = host.clusters().settled(&s.alice, id, LIMIT).await.unwrap();
        assert_eq!(live.record().seen, State::Ready, "{:#?}", live.record());
        assert_eq!(live.view().unwrap().hosts.len(), 3);
        assert_eq!(things(s).len(), 3);
    });
}

#[test]
fn a_node_that_could_not_be_asked_leaves_its_cluster_for_the_next_time() {
    scene(5).run(async |s| {
        cluster(s, 2).await;
        lose(s).await;
        let (host, _) = anew(s);
        load(s, &host, &body()).await;
        let before = s.cloud.count(Verb::Observe);
        rebuild(s, &host, false).await;
        let calls = s.cloud.count(Verb::Observe) - before;
        // The last ones ask the three nodes, one by one: the master and slaves.
        for nth in calls - 2..=calls {
            let (host, store) = anew(s);
            load(s, &host, &body()).await;
            let fault = Fault::Refused(ErrorKind::Unavailable);
            s.cloud.inject(Rule::next(Verb::Observe, fault).nth(nth));
            let none = rebuild(s, &host, true).await;
            assert_eq!((none.restored.len(), none.left.len()), (0, 3), "{none:#?}");
            assert_eq!(records(&store).await, []);
            let done = rebuild(s, &host, true).await;
            assert_eq!((done.restored.len(), done.left.len()), (4, 0), "{done:#?}");
        }
    });
}

#[test]
fn a_cluster_waits_until_its_implementation_is_loaded() {
    scene(6).run(async |s| {
        cluster(s, 1).await;
        lose(s).await;
        let (host, store) = anew(s);
        let mut other = body();
        other["outputs"] = json!({});
        load(s, &host, &other).await;
        let none = rebuild(s, &host, true).await;
        assert_eq!((none.restored.len(), none.left.len()), (0, 2), "{none:#?}");
        let why = &none.left[0].why;
        assert!(why.contains("no implementation of \"hadoop\""), "{why}");
        assert_eq!(records(&store).await, []);

        let text = body().to_string();
        let new = NewImplementation::new("hadoop", NODES_API, MEDIA_TYPE, &text);
        let catalog = host.catalog();
        catalog.add_implementation(&s.operator, new).await.unwrap();
        let done = rebuild(s, &host, true).await;
        assert_eq!((done.restored.len(), done.left.len()), (3, 0), "{done:#?}");
    });
}

#[test]
fn of_two_rebuilds_at_once_one_restores_and_neither_tells_of_orphans() {
    for seed in 7..12 {
        scene(seed).run(async |s| {
            cluster(s, 2).await;
            lose(s).await;
            let (host, store) = anew(s);
            load(s, &host, &body()).await;
            let (a, b) = join(rebuild(s, &host, true), rebuild(s, &host, true)).await;
            let restored = a.restored.len() + b.restored.len();
            assert_eq!(restored, 4, "seed {seed}: {a:#?} {b:#?}");
            assert_eq!((a.left.len(), b.left.len()), (0, 0), "{a:#?} {b:#?}");
            assert_eq!(records(&store).await.len(), 4);
        });
    }
}

#[test]
fn nodes_of_a_cluster_without_a_master_are_resources_of_their_own_with_its_lease() {
    scene(4).run(async |s| {
        let id = cluster(s, 1).await;
        let live = s.clusters().get(&s.alice, id).await.unwrap();
        let until = live.record().holds[0].until;
        assert!(until.is_some());
        lose(s).await;
        s.cloud
            .vanish("cellar", &thing(s, "master", 1), s.world.now());
        let (host, store) = anew(s);
        load(s, &host, &body()).await;
        let done = rebuild(s, &host, true).await;
        assert_eq!((done.restored.len(), done.left.len()), (1, 0), "{done:#?}");
        let lone = &done.restored[0];
        let but = lone.but.as_ref().unwrap();
        assert!(but.contains(&id.to_string()), "{but}");
        assert!(but.contains("its master was not found"), "{but}");
        assert_eq!((&lone.tenant, lone.part_of), (&s.alice.tenant, None));
        assert_eq!((&lone.user, lone.until), (&s.alice.user, until));
        work(s, &host);
        s.world.sleep(LIMIT).await;
        let node = records(&store).await.remove(0);
        assert_eq!((node.seen, node.nodes), (State::Ready, 1));
        let told = things(s).remove(0).owner.unwrap();
        assert_eq!((told.part, told.holds), (None, node.holds));
    });
}
