//! The conformance suite on a real Keystone and Heat: the same checks and the
//! same faults as in the simulated world, ten times as fast as by the clock.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rm_core::backend::{Mark, Serves};
use rm_core::catalog::{Catalog, NewImplementation, NewSite};
use rm_core::env::{Env, Timestamp};
use rm_core::model::Cluster;
use rm_core::{Caller, Kind, RemoteId, Result};
use rm_openstack::backend::Stacks;
use rm_openstack::client::clouds::Clouds;
use rm_openstack::client::heat::StackFilter;
use rm_openstack::client::{Heat, Session};
use rm_openstack::config::Config;
use rm_openstack::media::{HEAT_TEMPLATE, HeatTemplate};
use rm_openstack::plugin::API;
use rm_testkit::conformance::{Eyes, Ground, Level, Real, Specs, Subject, Time, clusters, suite};
use serde_json::json;

use crate::lab::RealEnv;

/// As little as makes Heat work: one value, and its size to be seen. Many
/// stacks of it cost what one with computers does.
const SMALL: &str = "\
heat_template_version: 2018-08-31
parameters: {slaves: {type: number, default: 1}}
resources:
  master:
    type: OS::Heat::Value
    properties: {type: json, value: {address: 10.77.0.1, slaves: {get_param: slaves}}}
outputs:
  master_ip: {value: {get_attr: [master, value, address]}}
  slaves: {value: {get_attr: [master, value, slaves]}}
";

/// The lab's cloud, for which each check has an installation of its own.
struct LabHeat {
    url: String,
    eyes: Arc<HeatEyes>,
}

impl LabHeat {
    fn at(clouds: &Path) -> Self {
        let clouds = Clouds::load(clouds).unwrap();
        let profile = clouds.cloud("oslab").unwrap();
        let now = Arc::new(|| RealEnv.now().millis());
        let session = Session::new(profile.session_config(now).unwrap()).unwrap();
        Self {
            url: profile.auth_url.clone(),
            eyes: Arc::new(HeatEyes(session)),
        }
    }
}

#[async_trait]
impl Subject for LabHeat {
    type Model = Cluster;

    fn name(&self) -> String {
        "Heat of the lab".to_owned()
    }

    fn time(&self) -> Time {
        Time::Real {
            env: Arc::new(RealEnv),
            speed: 10,
        }
    }

    async fn fresh(&self) -> Result<Ground<Cluster>> {
        let mut site = NewSite::new("lab", API, &self.url);
        site.region = Some("RegionOne".to_owned());
        let secret = json!({
            "username": "demo",
            "password": "oslab-user",
            "project_name": "demo",
        });
        let eyes: Arc<dyn Eyes> = Arc::clone(&self.eyes) as _;
        Ok(Ground::new(Arc::new(Stacks::alone(Config::default())?))
            .serves(Serves {
                kind: Kind::CLUSTER,
                api: API.to_owned(),
                media: vec![HEAT_TEMPLATE.to_owned()],
            })
            .media(Arc::new(HeatTemplate))
            .site(site, secret)
            .eyes(eyes))
    }

    async fn specs(&self, catalog: &Catalog, who: &Caller) -> Result<Specs<Cluster>> {
        let new = NewImplementation::new("small", API, HEAT_TEMPLATE, SMALL);
        clusters(catalog, who, new, (1, 2)).await
    }
}

/// What Heat itself lists, by a session of its own.
struct HeatEyes(Session);

#[async_trait]
impl Eyes for HeatEyes {
    async fn everything(&self, _now: Timestamp) -> Result<Vec<Real>> {
        let filter = StackFilter {
            tags: vec!["resource-manager".to_owned()],
            ..StackFilter::default()
        };
        let token = self.0.token().await.unwrap();
        let project = token.project_id().unwrap();
        let stacks = Heat::new(self.0.clone()).list(&filter).await.unwrap();
        let there = stacks.iter().filter(|stack| !stack.status.is_deleted());
        Ok(there
            .filter_map(|stack| {
                Some(Real {
                    id: RemoteId(format!("{project}/{}/{}", stack.name, stack.id)),
                    mark: stack.tags.iter().find_map(|tag| read(tag))?,
                })
            })
            .collect())
    }
}

fn read(tag: &str) -> Option<Mark> {
    let parts: Vec<&str> = tag.strip_prefix("rm=")?.split('/').collect();
    let [installation, resource, incarnation, generation] = parts.as_slice() else {
        return None;
    };
    Some(Mark {
        installation: (*installation).to_owned(),
        resource: resource.parse().ok()?,
        incarnation: incarnation.parse().ok()?,
        generation: generation.parse().ok()?,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heat_is_exact() {
    let Some(clouds) = needs::lab("conformance::heat_is_exact", "RM_LAB_CLOUDS") else {
        return;
    };
    let card = suite(LabHeat::at(&clouds)).at_once(12).await;
    println!("{card}");
    card.assert(Level::Exact);
}
