//! A project that a real Nova has no room left for.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rm_core::ResourceId;
use rm_core::clusters::{ClusterRequest, Considered, Plan};
use rm_core::env::Env;
use rm_core::life::State;
use rm_core::policy::Policy;
use rm_openstack::client::clouds::{CloudProfile, Clouds};
use rm_openstack::client::heat::StackFilter;
use rm_openstack::client::{Auth, Heat, Project, Service, Session};
use serde_json::{Value, json};

use crate::lab::{Lab, RealEnv, is_of};

const SERVERS: &str = include_str!("../../../lab/openstack/templates/cluster.yaml");

#[tokio::test]
async fn a_site_whose_nova_is_full_is_passed_over_and_fails_in_novas_words_where_it_must_be_taken()
{
    let Some(clouds) = needs::lab("a_site_whose_nova_is_full", "RM_LAB_FULL_CLOUDS") else {
        return;
    };
    let lab = Lab::at(&clouds, Policy::default()).await;
    let project = OwnProject::of(clouds, 2).await;
    let outcome = AssertUnwindSafe(fill(&lab, &project)).catch_unwind().await;
    project.remove().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

/// A master and a slave are all that the site `a-full` has room for; the site
/// `lab` has plenty.
async fn fill(lab: &Lab, project: &OwnProject) {
    let mut secret = lab.secret.clone();
    secret["project_name"] = json!(project.name);
    lab.site_of("a-full", &lab.url, secret).await;
    lab.appliance("servers", SERVERS).await;
    let clusters = lab.host.clusters();
    let at = |sites: &[&str]| ClusterRequest {
        slaves: Some(1),
        sites: sites.iter().map(|s| (*s).to_owned()).collect(),
        ..lab.another("servers")
    };
    let plan = async |sites: &[&str]| clusters.plan(&lab.user, &at(sites)).await.unwrap();

    let only = plan(&["a-full"]).await;
    assert_eq!(verdict(&only, "a-full"), "chosen");
    assert!(only.considered[0].why.contains("room for 2 "), "{only:?}");
    let first = clusters.create(&lab.user, &at(&["a-full"])).await.unwrap();
    let first = first.cluster.id();
    lab.ready(first).await;

    let mut both = plan(&[]).await;
    for _ in 0..20 {
        // On a busy machine it may not be told in time.
        let late = |c: &Considered| c.why.contains("did not answer within");
        if both.considered.iter().any(late) {
            both = plan(&[]).await;
        }
    }
    assert_eq!(both.considered[0].site, "lab");
    assert_eq!(verdict(&both, "lab"), "chosen");
    assert_eq!(verdict(&both, "a-full"), "refused");
    assert_eq!(
        both.considered[1].why,
        "it is full: room for 0 nodes, 2 are needed"
    );
    let second = clusters.create(&lab.user, &at(&[])).await.unwrap();
    let considered: Vec<_> = second.considered.iter().map(told).collect();
    assert_eq!(considered, [("lab", "chosen"), ("a-full", "refused")]);
    let second = second.cluster.id();
    lab.ready(second).await;
    assert_eq!(lab.stacks(second).await.len(), 1);
    assert_eq!(project.stacks(second).await, 0);

    // Who insists gets Nova's own reason, and what was there stays.
    let third = clusters.create(&lab.user, &at(&["a-full"])).await.unwrap();
    let third = third.cluster.id();
    let cluster = lab.settled(third).await;
    let reason = &cluster.record().reason;
    assert_eq!(cluster.record().seen, State::Failed, "{reason}");
    for words in ["resources.", "Quota exceeded for instances", "2 of 2"] {
        assert!(reason.contains(words), "{reason}");
    }
    assert_eq!(project.stacks(third).await, 1, "it stays to be looked at");
    lab.delete(third).await;
    assert_eq!(project.stacks(third).await, 0);
    assert!(lab.settled(first).await.is_ready());

    // Room that was given back is offered again.
    lab.delete(first).await;
    let only = plan(&["a-full"]).await;
    assert!(only.considered[0].why.contains("room for 2 "), "{only:?}");
    lab.delete(second).await;
}

fn told(considered: &Considered) -> (&str, &str) {
    (&considered.site, &considered.verdict)
}

fn verdict<'a>(plan: &'a Plan, site: &str) -> &'a str {
    let mut all = plan.considered.iter().map(told);
    all.find(|(of, _)| *of == site).unwrap().1
}

/// A project of the lab's user that nobody else has, so that its quota can be
/// anything.
struct OwnProject {
    name: String,
    id: String,
    admin: Admin,
    /// The project with other credentials than the host's.
    heat: Heat,
}

impl OwnProject {
    /// One in which Nova makes so many servers.
    async fn of(clouds: PathBuf, servers: u32) -> Self {
        let admin = Admin::log_in(&clouds).await;
        let keystone = Service::Identity;
        let name = format!("room-{:016x}", RealEnv.random());
        let new = json!({"project": {"name": name, "domain_id": "default"}});
        let made = admin.call("POST", keystone, "/projects", new).await;
        let id = made["project"]["id"].as_str().unwrap().to_owned();
        let user = admin.find("users", "demo").await;
        let role = admin.find("roles", "member").await;
        let grant = format!("/projects/{id}/users/{user}/roles/{role}");
        admin.call("PUT", keystone, &grant, Value::Null).await;
        let quota = json!({"quota_set": {"instances": servers}});
        let place = format!("/os-quota-sets/{id}");
        admin.call("PUT", Service::Compute, &place, quota).await;

        let mut config = profile(&clouds, "oslab").session_config(clock()).unwrap();
        if let Auth::Password { project, .. } = &mut config.auth {
            *project = Project::Id(id.clone());
        }
        let heat = Heat::new(Session::new(config).unwrap());
        Self {
            name,
            id,
            admin,
            heat,
        }
    }

    /// How many stacks a cluster has here.
    async fn stacks(&self, id: ResourceId) -> usize {
        let stacks = self.heat.list(&StackFilter::default()).await.unwrap();
        let there = stacks.iter().filter(|s| !s.status.is_deleted());
        there.filter(|stack| is_of(stack, id)).count()
    }

    /// The project with all that is in it, also what a check that failed left.
    async fn remove(self) {
        for _ in 0..240 {
            let left = self.heat.list(&StackFilter::default()).await.unwrap();
            if left.is_empty() {
                break;
            }
            for stack in left {
                let _ = self.heat.delete(&stack.reference()).await;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        for (service, place) in [
            (Service::Compute, format!("/os-quota-sets/{}", self.id)),
            (Service::Identity, format!("/projects/{}", self.id)),
        ] {
            self.admin
                .call("DELETE", service, &place, Value::Null)
                .await;
        }
    }
}

/// The cloud's administrator: what no client of the host's has calls for.
struct Admin {
    session: Session,
    http: reqwest::Client,
    token: String,
}

impl Admin {
    async fn log_in(clouds: &Path) -> Self {
        let profile = profile(clouds, "oslab-admin");
        let Auth::Password { password, .. } = &profile.auth else {
            panic!("the lab's administrator has a password");
        };
        let default = json!({"id": "default"});
        let user = json!({"name": "admin", "domain": default, "password": password.expose()});
        let login = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "admin", "domain": default}},
        }});
        let http = reqwest::Client::new();
        let ask = http.post(format!("{}/auth/tokens", profile.auth_url));
        let answer = ask.json(&login).send().await.unwrap();
        let token = answer.headers()["x-subject-token"].to_str().unwrap();
        Self {
            token: token.to_owned(),
            http,
            session: Session::new(profile.session_config(clock()).unwrap()).unwrap(),
        }
    }

    async fn call(&self, method: &str, service: Service, path: &str, body: Value) -> Value {
        let base = self.session.endpoint(service).await.unwrap();
        let url = format!("{}{path}", base.as_str().trim_end_matches('/'));
        let mut ask = self.http.request(method.parse().unwrap(), url);
        ask = ask.header("x-auth-token", &self.token);
        if !body.is_null() {
            ask = ask.json(&body);
        }
        let answer = ask.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The id of what has a name in Keystone.
    async fn find(&self, all: &str, name: &str) -> String {
        let path = format!("/{all}?name={name}");
        let found = self
            .call("GET", Service::Identity, &path, Value::Null)
            .await;
        found[all][0]["id"].as_str().unwrap().to_owned()
    }
}

fn profile(clouds: &Path, name: &str) -> CloudProfile {
    Clouds::load(clouds).unwrap().cloud(name).unwrap()
}

fn clock() -> rm_openstack::client::Clock {
    Arc::new(|| RealEnv.now().millis())
}
