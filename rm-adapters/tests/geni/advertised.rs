//! Appliances in advertisements.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rm_adapters::geni::rspec::{Kind, Rspec, faults};
use rm_adapters::geni::states::OPSTATE;
use rm_adapters::geni::xmlrpc::Value;
use rm_adapters::geni::{CLUSTER, Element, register};
use rm_core::backend::{Backend, Capability, Cx, Look, Mark, Offer, Seen, Serves};
use rm_core::catalog::{NewAppliance, NewCredential, NewImplementation, NewSite, Site};
use rm_core::id::RemoteId;
use rm_core::model::{Cluster, ClusterSpec};
use rm_core::registry::{Media, Registries};
use rm_core::store::Page;
use rm_core::{Caller, Error, ErrorKind, Result, Tenant};

use super::clusters::{appliance, cluster, given, with_web};
use super::lab::{Lab, code, lab_of, options, sfa};
use super::rspec::fits;
use super::slice::{Slice, request, value};

async fn listed(lab: &Lab, more: Vec<(&'static str, Value)>) -> String {
    let mine = Value::Array(vec![sfa(&lab.user_credential(&lab.alice))]);
    let answer = lab
        .call(&lab.alice, 3, "ListResources", vec![mine, options(more)])
        .await;
    value(&answer).as_text().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appliances_are_advertised_where_they_are_made() {
    let lab = with_web("cluster-ad").await;
    for more in [vec![], vec![("geni_available", Value::Bool(true))]] {
        let text = listed(&lab, more).await;
        // Told of both types, each by an element of its own.
        assert_eq!(text.matches("<opstate:rspec_opstate").count(), 2, "{text}");
        fits("cluster-advertised", "ad.xsd", &text);
        let there = Rspec::parse(&text).unwrap();
        assert_eq!(there.kind(), Some(Kind::Advertisement));
        assert_eq!(faults(&there, None), []);
        let [rack] = &there.nodes[..] else {
            panic!("{there:?}")
        };
        let mut types: Vec<&str> = rack
            .sliver_types
            .iter()
            .filter_map(|t| t.name.as_deref())
            .collect();
        types.sort_unstable();
        assert_eq!(types, ["cluster", "lxc"]);
        let web = rack.extra.element(CLUSTER, "appliance").unwrap();
        assert_eq!(web.attribute("name"), Some("web"));
        assert_eq!(web.attribute("slaves"), Some("1"));
        assert_eq!(web.text(), "a small web");
        let of = |name: &str| {
            let all = there.extra.children().iter();
            let all = all.filter_map(|c| match c {
                rm_adapters::geni::Content::Element(e) => Some(e),
                rm_adapters::geni::Content::Text(_) => None,
            });
            let mut states = all.filter(|e| e.name.is(OPSTATE, "rspec_opstate"));
            let is = |e: &&Element| e.elements().any(|t| t.attribute("name") == Some(name));
            states.find(is).unwrap().clone()
        };
        assert_eq!(of("cluster").attribute("start"), Some("geni_configuring"));
        assert_eq!(of("lxc").attribute("start"), Some("geni_notready"));
    }
    let version = lab.call(&lab.alice, 3, "GetVersion", vec![]).await;
    let version = value(&version);
    let requests = version.get("geni_request_rspec_versions").unwrap();
    let first = &requests.as_array().unwrap()[0];
    let extensions = first.get("extensions").unwrap();
    assert_eq!(extensions, &Value::Array(vec![Value::text(CLUSTER)]));
}

/// Makes clusters where a request says at which door.
#[derive(Debug, Default)]
struct AtTheDoor {
    /// How many questions for room are under way.
    asked: AtomicUsize,
    /// How many that were at once, at the most.
    most: AtomicUsize,
}

impl Media for AtTheDoor {
    fn media_type(&self) -> &str {
        "text/at-the-door"
    }

    fn check(&self, _body: &str) -> Result<()> {
        Ok(())
    }

    fn accepts(
        &self,
        _body: &str,
        _parameters: &BTreeMap<String, serde_json::Value>,
    ) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl Backend<Cluster> for AtTheDoor {
    fn capability(&self, _site: &Site) -> Capability {
        Capability::new()
    }

    async fn offers(&self, _cx: &Cx<'_>, want: &ClusterSpec) -> Result<Vec<Offer>> {
        if want.parameters.contains_key("door") {
            let now = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.asked.fetch_sub(1, Ordering::SeqCst);
            return Ok(vec![Offer::room(None)]);
        }
        if want.appliance == "walled" {
            return Err(
                Error::invalid("it needs a value for its parameter \"network\"")
                    .code("missing-surroundings")
                    .advice("give it as a default of the site"),
            );
        }
        Err(
            Error::invalid("it needs a value for its parameter \"door\"")
                .code("missing-parameter")
                .advice("give it with the request, or as a default of the site"),
        )
    }

    async fn observe(
        &self,
        _cx: &Cx<'_>,
        _look: Look<'_, ClusterSpec>,
    ) -> Result<Page<Seen<Cluster>>> {
        Ok(Page::default())
    }

    async fn create(&self, _cx: &Cx<'_>, _mark: &Mark, _spec: &ClusterSpec) -> Result<RemoteId> {
        Err(Error::new(ErrorKind::Unsupported, "nothing is made here"))
    }

    async fn change(
        &self,
        _cx: &Cx<'_>,
        _mark: &Mark,
        _seen: &Seen<Cluster>,
        _spec: &ClusterSpec,
    ) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "nothing is made here"))
    }

    async fn destroy(&self, _cx: &Cx<'_>, _seen: &Seen<Cluster>) -> Result<()> {
        Ok(())
    }
}

/// A lab with a site of that, and two appliances that it makes.
async fn housed(name: &str, door: &Arc<AtTheDoor>) -> Lab {
    let adapters = |all: &mut Registries| {
        register(all).unwrap();
        let serves = Serves {
            kind: rm_core::Kind::CLUSTER,
            api: "house".to_owned(),
            media: vec!["text/at-the-door".to_owned()],
        };
        all.backend::<Cluster>("house", serves, Arc::clone(door) as _)
            .unwrap();
        all.media(Arc::clone(door) as _).unwrap();
    };
    let lab = lab_of(name, adapters, |door| door).await;
    let operator = Caller::operator("root", "ops");
    let catalog = lab.host.catalog();
    let site = NewSite::new("house", "house", "sim://house");
    catalog.add_site(&operator, site).await.unwrap();
    let means = NewCredential {
        tenant: Some(Tenant("lab:one".to_owned())),
        ..NewCredential::new("house", "house", serde_json::json!({"account": "geni"}))
    };
    catalog.add_credential(&operator, means).await.unwrap();
    for name in ["keyed", "walled"] {
        let new = NewAppliance::new(name);
        catalog.add_appliance(&operator, new).await.unwrap();
        let new = NewImplementation::new(name, "house", "text/at-the-door", "any");
        catalog.add_implementation(&operator, new).await.unwrap();
    }
    lab
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_is_not_asked_for_all_the_clusters_of_a_request_at_once() {
    let door = Arc::new(AtTheDoor::default());
    let lab = housed("cluster-asked", &door).await;
    let one = |n: usize| {
        let door = format!(
            "appliance=\"keyed\"><c:parameter xmlns:c=\"{CLUSTER}\" name=\"door\" \
             value=\"{n}\"/></c:cluster>"
        );
        cluster(&format!("c{n}"), &door)
    };
    let all: String = (0..16).map(one).collect();
    value(&Slice::of(&lab, "s").allocate(&request(&all)).await);
    assert_eq!(door.most.load(Ordering::SeqCst), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appliance_to_which_a_request_must_say_more_is_listed_with_what_that_is() {
    let lab = housed("cluster-lacks", &Arc::default()).await;
    appliance(&lab, "web").await;

    let text = listed(&lab, vec![("geni_available", Value::Bool(true))]).await;
    fits("cluster-lacks", "ad.xsd", &text);
    let there = Rspec::parse(&text).unwrap();
    let at = |name: &str| -> Element {
        let mut nodes = there.nodes.iter();
        let node = nodes.find(|n| n.component_name.as_deref() == Some(name));
        let told = node.unwrap().extra.element(CLUSTER, "appliance");
        told.unwrap().clone()
    };
    let keyed = at("house");
    assert_eq!(keyed.attribute("name"), Some("keyed"));
    assert_eq!(keyed.attribute("available"), Some("false"));
    let reason = keyed.attribute("reason").unwrap();
    assert_eq!(reason, "it needs a value for its parameter \"door\"");
    // What no request may say is not told as what one has to.
    assert!(!text.contains("walled"), "{text}");
    assert_eq!(at("rack").attribute("available"), None);
    // Who says it has it, and who does not is told the same.
    let slice = Slice::of(&lab, "s");
    let without = "appliance=\"keyed\"/>";
    let answer = slice.allocate(&request(&cluster("b", without))).await;
    assert_eq!(code(&answer), 1, "{answer:?}");
    value(&slice.allocate(&given("keyed", "door", "back")).await);
}
