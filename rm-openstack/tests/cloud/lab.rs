//! A host on the lab's cloud, and eyes of its own at the cloud.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures_util::future::{BoxFuture, FutureExt};
use rm_core::catalog::{NewAppliance, NewCredential, NewImplementation, NewSite, Site};
use rm_core::clusters::{ClusterRequest, Reuse};
use rm_core::env::{Env, Timestamp};
use rm_core::model::Cluster;
use rm_core::policy::Policy;
use rm_core::resource::Resource;
use rm_core::{Caller, Host, ResourceId};
use rm_openstack::client::clouds::Clouds;
use rm_openstack::client::heat::{ResourceQuery, Stack, StackFilter};
use rm_openstack::client::{Glance, Heat, Session};
use serde_json::{Value, json};

#[derive(Debug)]
pub(crate) struct RealEnv;

#[async_trait]
impl Env for RealEnv {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
    }

    fn sleep(&self, d: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(d).boxed()
    }

    fn random(&self) -> u64 {
        use std::hash::{BuildHasher, Hasher};
        std::hash::RandomState::new().build_hasher().finish()
    }

    async fn reaches(&self, address: &str, port: u16) -> bool {
        tokio::net::TcpStream::connect((address, port))
            .await
            .is_ok()
    }
}

/// Which of the labs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cloud {
    /// Keystone and Heat.
    Minimal,
    /// With Nova, Neutron, Glance and Placement.
    Full,
}

impl Cloud {
    /// The lab's files, or a line that says that the test was skipped.
    fn clouds(self, test: &str) -> Option<PathBuf> {
        match self {
            Self::Minimal => needs::lab(test, "RM_LAB_CLOUDS"),
            Self::Full => needs::lab(test, "RM_LAB_FULL_CLOUDS"),
        }
    }
}

/// A host with the lab's cloud as its site `lab`, the user's credential for
/// it, and an appliance `cluster`.
pub(crate) struct Lab {
    pub(crate) host: Arc<Host>,
    pub(crate) operator: Caller,
    pub(crate) user: Caller,
    /// The cloud with other credentials than the host's.
    pub(crate) eyes: Heat,
    /// Its images, with the same credentials.
    pub(crate) images: Glance,
    pub(crate) secret: Value,
    pub(crate) url: String,
    engine: tokio::task::JoinHandle<rm_core::Result<()>>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.engine.abort();
    }
}

pub(crate) const MINIMAL: &str = include_str!("../../../lab/openstack/templates/minimal.yaml");

impl Lab {
    pub(crate) async fn open(test: &str) -> Option<Self> {
        Self::open_with(test, Cloud::Minimal, Policy::default()).await
    }

    pub(crate) async fn open_with(test: &str, cloud: Cloud, policy: Policy) -> Option<Self> {
        Some(Self::at(&cloud.clouds(test)?, policy).await)
    }

    /// One whose clusters may take so long and no longer.
    pub(crate) async fn patient(test: &str, seconds: u64) -> Option<Self> {
        let section = json!({"patience_seconds": seconds});
        let clouds = Cloud::Minimal.clouds(test)?;
        Some(Self::with(&clouds, Policy::default(), Some(&section)).await)
    }

    pub(crate) async fn at(clouds: &Path, policy: Policy) -> Self {
        Self::with(clouds, policy, None).await
    }

    async fn with(clouds: &Path, policy: Policy, section: Option<&Value>) -> Self {
        let clouds = Clouds::load(clouds).unwrap();
        let profile = clouds.cloud("oslab").unwrap();
        let now = Arc::new(|| RealEnv.now().millis());
        let session = Session::new(profile.session_config(now).unwrap()).unwrap();
        let images = Glance::new(session.clone());
        let eyes = Heat::new(session);
        let env: Arc<dyn Env> = Arc::new(RealEnv);
        let mut builder = Host::builder(env)
            .policy(policy)
            .installation(format!("t{}", &format!("{:016x}", RealEnv.random())[..12]));
        builder
            .registries()
            .install(&rm_openstack::PLUGIN, section)
            .unwrap();
        let host = Arc::new(builder.build().unwrap());
        let engine = host.engine();
        let engine = tokio::spawn(async move { engine.run(std::future::pending()).await });
        let lab = Self {
            host,
            operator: Caller::operator("op", "ops"),
            user: Caller::user("ada", "physics"),
            eyes,
            images,
            secret: json!({
                "username": "demo",
                "password": "oslab-user",
                "project_name": "demo",
            }),
            url: profile.auth_url.clone(),
            engine,
        };
        lab.site("lab", &lab.url.clone()).await;
        lab.appliance("cluster", MINIMAL).await;
        lab
    }

    pub(crate) async fn site(&self, name: &str, url: &str) -> Site {
        self.site_of(name, url, self.secret.clone()).await
    }

    /// A site with the credential `my-NAME`, which has this secret.
    pub(crate) async fn site_of(&self, name: &str, url: &str, secret: Value) -> Site {
        let new: NewSite = serde_json::from_value(json!({
            "name": name, "api": "openstack", "url": url, "region": "RegionOne",
        }))
        .unwrap();
        let site = self
            .host
            .catalog()
            .add_site(&self.operator, new)
            .await
            .unwrap();
        self.credential(&format!("my-{name}"), name, secret).await;
        site
    }

    pub(crate) async fn credential(&self, name: &str, site: &str, secret: Value) {
        let new = NewCredential {
            name: name.to_owned(),
            site: site.to_owned(),
            user: None,
            tenant: None,
            secret,
        };
        self.host
            .catalog()
            .add_credential(&self.user, new)
            .await
            .unwrap();
    }

    pub(crate) async fn appliance(&self, name: &str, template: &str) {
        self.appliance_of(json!({"name": name}), template).await;
    }

    pub(crate) async fn appliance_of(&self, new: Value, template: &str) {
        let new: NewAppliance = serde_json::from_value(new).unwrap();
        let name = new.name.clone();
        self.host
            .catalog()
            .add_appliance(&self.operator, new)
            .await
            .unwrap();
        let new: NewImplementation = serde_json::from_value(json!({
            "appliance": name,
            "site_type": "openstack",
            "media_type": "application/vnd.openstack.heat+yaml",
            "body": template,
        }))
        .unwrap();
        self.host
            .catalog()
            .add_implementation(&self.operator, new)
            .await
            .unwrap();
    }

    pub(crate) fn request(&self, slaves: u32) -> ClusterRequest {
        ClusterRequest {
            appliance: "cluster".to_owned(),
            slaves: Some(slaves),
            ..ClusterRequest::default()
        }
    }

    pub(crate) fn another(&self, appliance: &str) -> ClusterRequest {
        ClusterRequest {
            appliance: appliance.to_owned(),
            reuse: Reuse::Never,
            ..ClusterRequest::default()
        }
    }

    /// As it is when it has settled.
    pub(crate) async fn settled(&self, id: ResourceId) -> Resource<Cluster> {
        self.host
            .clusters()
            .settled(&self.user, id, Duration::from_secs(400))
            .await
            .unwrap()
    }

    pub(crate) async fn ready(&self, id: ResourceId) -> Resource<Cluster> {
        let cluster = self.settled(id).await;
        assert!(cluster.is_ready(), "{:#?}", cluster.record());
        cluster
    }

    pub(crate) async fn delete(&self, id: ResourceId) {
        let clusters = self.host.clusters();
        let cluster = clusters.get(&self.user, id).await.unwrap();
        cluster.release(&self.user, None).await.unwrap();
        assert!(
            clusters
                .gone(&self.user, id, Duration::from_secs(120))
                .await
                .unwrap()
        );
    }

    /// All stacks of ours and of other tests, as Heat lists them. For a moment,
    /// it still lists what is DELETE_COMPLETE.
    pub(crate) async fn marked(&self) -> Vec<Stack> {
        let filter = StackFilter {
            tags: vec!["resource-manager".to_owned()],
            ..StackFilter::default()
        };
        let mut stacks = self.eyes.list(&filter).await.unwrap();
        stacks.retain(|stack| !stack.status.is_deleted());
        stacks
    }

    /// The stacks of this cluster.
    pub(crate) async fn stacks(&self, id: ResourceId) -> Vec<Stack> {
        let mut stacks = self.marked().await;
        stacks.retain(|stack| is_of(stack, id));
        stacks
    }

    /// How many stacks each of these has, by one list.
    pub(crate) async fn each(&self, ids: &[ResourceId]) -> Vec<usize> {
        let stacks = self.marked().await;
        let of = |id: &ResourceId| stacks.iter().filter(|s| is_of(s, *id)).count();
        ids.iter().map(of).collect()
    }

    /// How many slaves there are in Heat's own nested list.
    pub(crate) async fn slaves(&self, stack: &Stack) -> usize {
        let query = ResourceQuery {
            nested_depth: 2,
            ..ResourceQuery::default()
        };
        let resources = self
            .eyes
            .resources(&stack.reference(), &query)
            .await
            .unwrap();
        resources
            .iter()
            .filter(|r| r.parent_resource.as_deref() == Some("slave_group"))
            .count()
    }

    /// Waits for a condition, looking now and then.
    pub(crate) async fn until<F: Future<Output = bool>>(
        &self,
        what: &str,
        mut check: impl FnMut() -> F,
    ) {
        for _ in 0..600 {
            if check().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("not within a minute: {what}");
    }

    pub(crate) async fn events(&self, id: ResourceId) -> Vec<String> {
        let events = self.host.store().since(0, Some(id), 1000).await.unwrap();
        events.into_iter().map(|e| e.event.what).collect()
    }
}

/// Whether a stack bears the mark of this cluster.
pub(crate) fn is_of(stack: &Stack, id: ResourceId) -> bool {
    let id = format!("/{id}/");
    stack.tags.iter().any(|tag| tag.contains(&id))
}
