//! Accounts on clusters: one for each user of each real thing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use rm_core::accounts::{Account, Agent, NewAccount};
use rm_core::env::Env;
use rm_core::model::Cluster;
use rm_core::policy::Repair;
use rm_core::resource::Resource;
use rm_core::secret::Secret;
use rm_core::{Caller, Error, ErrorKind, ResourceId, Result};
use rm_testkit::Scene;
use serde_json::json;

/// Makes one account after the other, and takes its time.
#[derive(Debug)]
struct Busy {
    env: Arc<dyn Env>,
    made: AtomicU32,
    takes: Duration,
}

impl Busy {
    fn new(s: &Scene, takes: Duration) -> Self {
        Self {
            env: Arc::clone(s.door.env()),
            made: AtomicU32::new(0),
            takes,
        }
    }

    fn made(&self) -> u32 {
        self.made.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Agent for Busy {
    async fn new_account(&self, _address: &str) -> Result<NewAccount> {
        let n = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        self.env.sleep(self.takes).await;
        Ok(NewAccount {
            username: format!("user{n}"),
            password: Secret::new(format!("password{n}")),
        })
    }
}

async fn ask(s: &Scene, agent: &dyn Agent, who: &Caller, id: ResourceId) -> Result<Account> {
    let cluster = s.clusters().get(who, id).await?;
    let accounts = s.door.accounts();
    Ok(accounts.find_or_make(who, Some(agent), &cluster).await?.0)
}

async fn kept(s: &Scene, who: &Caller, cluster: &Resource<Cluster>) -> Option<String> {
    let found = s.door.accounts().find(who, cluster).await.unwrap();
    found.map(|account| account.username)
}

async fn made(s: &Scene) -> ResourceId {
    let made = s.clusters().create(&s.alice, &s.request(1)).await.unwrap();
    s.ready(&s.alice, made.cluster.id()).await.unwrap();
    made.cluster.id()
}

#[test]
fn a_cluster_that_was_made_anew_is_asked_anew() {
    let scene = Scene::new(1);
    scene.start_engine();
    scene.run(async |s| {
        let agent = Busy::new(s, Duration::ZERO);
        let id = made(s).await;
        for _ in 0..2 {
            let account = ask(s, &agent, &s.alice, id).await.unwrap();
            assert_eq!(account.username, "user1");
        }
        // Somebody deletes it at the site, and its owner lets it be made again.
        let there = s.clusters().get(&s.alice, id).await.unwrap();
        let (r, now) = (there.record(), s.world.now());
        s.cloud
            .vanish(&r.place.site_name, r.remote.as_ref().unwrap(), now);
        let failed = loop {
            let cluster = s.clusters().get(&s.alice, id).await.unwrap();
            match cluster.record().seen {
                rm_core::life::State::Failed => break cluster,
                _ => s.world.sleep(Duration::from_secs(5)).await,
            }
        };
        failed.retry(&s.alice).await.unwrap();
        let anew = s.ready(&s.alice, id).await.unwrap();
        assert!(anew.is_ready());
        assert_eq!(kept(s, &s.alice, &anew).await, None);
        let account = ask(s, &agent, &s.alice, id).await.unwrap();
        assert_eq!(account.username, "user2");
        assert_eq!(account.password.expose(), "password2");
        assert_eq!(agent.made(), 2);
    });
}

/// At its address there is another machine then.
#[test]
fn a_master_that_was_made_anew_is_asked_anew() {
    let body = json!({
        "roles": [{"name": "master", "count": 1, "node": {
            "image": "debian", "vcpus": 1, "memory_mib": 128,
        }}],
        "master": "master",
    });
    let scene = Scene::builder(5)
        .sites(&[])
        .node_sites(&["cellar"], &body)
        .policy(|p| p.repair = Repair::Recreate)
        .build()
        .unwrap();
    scene.start_engine();
    scene.run(async |s| {
        let agent = Busy::new(s, Duration::ZERO);
        let made = s.clusters().create(&s.alice, &s.request(0)).await.unwrap();
        let id = made.cluster.id();
        s.rest().await;
        ask(s, &agent, &s.alice, id).await.unwrap();
        let mut records = s.records().await;
        records.retain(|r| r.part_of == Some(id));
        let (master, now) = (&records[0], s.world.now());
        s.cloud
            .vanish("cellar", master.remote.as_ref().unwrap(), now);
        let anew = loop {
            s.world.sleep(Duration::from_secs(10)).await;
            let cluster = s.clusters().get(&s.alice, id).await.unwrap();
            let records = s.records().await;
            let master = records.iter().find(|r| r.id == master.id).unwrap();
            if cluster.is_ready() && master.incarnation == 2 {
                break cluster;
            }
        };
        assert_eq!(kept(s, &s.alice, &anew).await, None);
        let account = ask(s, &agent, &s.alice, id).await.unwrap();
        assert_eq!(account.username, "user2");
    });
}

#[test]
fn who_lets_go_of_a_cluster_leaves_no_account_behind() {
    let scene = Scene::new(2);
    scene.start_engine();
    scene.run(async |s| {
        let agent = Busy::new(s, Duration::ZERO);
        let id = made(s).await;
        let again = s.clusters().create(&s.alice, &s.request(1)).await.unwrap();
        let first = again.cluster.record().holds[0].id;
        let cluster = again.cluster.grant(&s.alice, "bob").await.unwrap();
        ask(s, &agent, &s.alice, id).await.unwrap();
        ask(s, &agent, &s.bob, id).await.unwrap();
        // One of two holds is not the end.
        cluster.release(&s.alice, Some(first)).await.unwrap();
        assert_eq!(kept(s, &s.alice, &cluster).await.unwrap(), "user1");
        assert_eq!(kept(s, &s.bob, &cluster).await.unwrap(), "user2");
        cluster.revoke(&s.alice, "bob").await.unwrap();
        assert_eq!(kept(s, &s.bob, &cluster).await, None);
        cluster.release(&s.alice, None).await.unwrap();
        assert_eq!(kept(s, &s.alice, &cluster).await, None);
        assert_eq!(s.door.accounts().tidy().await.unwrap(), 0);
    });
}

#[test]
fn a_lease_that_is_over_takes_the_account_along() {
    let scene = Scene::new(3);
    scene.start_engine();
    scene.run(async |s| {
        let agent = Busy::new(s, Duration::ZERO);
        let id = made(s).await;
        let leased = rm_core::clusters::ClusterRequest {
            lease: Some(Duration::from_secs(60)),
            ..s.request(1)
        };
        let joined = s.clusters().create(&s.bob, &leased).await.unwrap();
        assert_eq!(joined.cluster.id(), id);
        ask(s, &agent, &s.bob, id).await.unwrap();
        s.world.sleep(Duration::from_secs(70)).await;
        assert_eq!(kept(s, &s.bob, &joined.cluster).await, None);
    });
}

#[test]
fn requests_of_one_user_at_the_same_moment_ask_once() {
    for seed in 0..100 {
        let scene = Scene::new(seed);
        scene.start_engine();
        scene.run(async |s| {
            let agent = Busy::new(s, Duration::from_secs(2));
            let id = made(s).await;
            let asked = (0..4).map(|_| ask(s, &agent, &s.alice, id));
            for account in join_all(asked).await {
                assert_eq!(account.unwrap().username, "user1", "seed {seed}");
            }
            assert_eq!(agent.made(), 1, "seed {seed}");
        });
    }
}

/// Fails at first.
#[derive(Debug)]
struct Moody(AtomicU32);

#[async_trait]
impl Agent for Moody {
    async fn new_account(&self, _address: &str) -> Result<NewAccount> {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Error::new(ErrorKind::Unavailable, "it is not there yet")),
            _ => Ok(NewAccount {
                username: "user".to_owned(),
                password: Secret::new("password"),
            }),
        }
    }
}

/// Never answers in time.
#[derive(Debug)]
struct Deaf(AtomicU32);

#[async_trait]
impl Agent for Deaf {
    async fn new_account(&self, _address: &str) -> Result<NewAccount> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err(Error::new(ErrorKind::Timeout, "no answer").effect_unknown())
    }
}

/// Each could leave one more account on the cluster.
#[test]
fn an_agent_that_does_not_answer_is_not_asked_at_each_list() {
    let scene = Scene::new(6);
    scene.start_engine();
    scene.run(async |s| {
        let id = made(s).await;
        let deaf = Deaf(AtomicU32::new(0));
        let cluster = s.clusters().get(&s.alice, id).await.unwrap();
        let accounts = s.door.accounts();
        let mut said = Vec::new();
        for _ in 0..20 {
            let e = accounts.find_or_try(&s.alice, Some(&deaf), &cluster).await;
            said.push(e.unwrap_err().kind());
            s.world.sleep(Duration::from_secs(60)).await;
            accounts.tidy().await.unwrap();
        }
        assert_eq!(said[0], ErrorKind::Timeout);
        assert_eq!(said[1..], [ErrorKind::Busy; 19]);
        assert_eq!(deaf.0.load(Ordering::SeqCst), 1);
        // Who asks for the account itself asks at once, and lists show it then.
        let agent = Busy::new(s, Duration::ZERO);
        ask(s, &agent, &s.alice, id).await.unwrap();
        let found = accounts.find_or_try(&s.alice, None, &cluster).await;
        assert_eq!(found.unwrap().username, "user1");
    });
}

#[test]
fn a_list_waits_for_no_other_request() {
    let scene = Scene::new(7);
    scene.start_engine();
    scene.run(async |s| {
        let id = made(s).await;
        let agent = Busy::new(s, Duration::from_secs(10));
        let cluster = s.clusters().get(&s.alice, id).await.unwrap();
        let listed = async {
            s.world.sleep(Duration::from_secs(1)).await;
            let accounts = s.door.accounts();
            let found = accounts.find_or_try(&s.alice, Some(&agent), &cluster).await;
            (found.unwrap_err().kind(), s.world.now())
        };
        let begun = s.world.now();
        let (asked, (kind, at)) =
            futures_util::future::join(ask(s, &agent, &s.alice, id), listed).await;
        assert_eq!(asked.unwrap().username, "user1");
        assert_eq!((kind, at.since(begun).as_secs()), (ErrorKind::Busy, 1));
        assert_eq!(agent.made(), 1);
    });
}

#[test]
fn who_failed_to_ask_or_died_while_asking_keeps_nobody_from_it() {
    let scene = Scene::new(4);
    scene.start_engine();
    scene.run(async |s| {
        let id = made(s).await;
        let moody = Moody(AtomicU32::new(0));
        let e = ask(s, &moody, &s.alice, id).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Unavailable);
        let begun = s.world.now();
        ask(s, &moody, &s.alice, id).await.unwrap();
        assert_eq!(s.world.now(), begun, "nobody had to wait");

        // It is as if the host died while the agent worked.
        let slow = Arc::new(Busy::new(s, Duration::from_secs(3600)));
        s.clusters().create(&s.bob, &s.request(1)).await.unwrap();
        let mut asking = Box::pin(ask(s, &*slow, &s.bob, id));
        let begun = s.world.sleep(Duration::from_secs(1));
        futures_util::future::select(&mut asking, begun).await;
        drop(asking);
        assert_eq!(slow.made(), 1);
        let quick = Busy::new(s, Duration::ZERO);
        let e = ask(s, &quick, &s.bob, id).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Busy);
        s.world.sleep(Duration::from_secs(60)).await;
        ask(s, &quick, &s.bob, id).await.unwrap();
        assert_eq!(quick.made(), 1);
    });
}
