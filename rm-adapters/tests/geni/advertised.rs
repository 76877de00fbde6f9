//! Appliances in advertisements.

use std::collections::BTreeMap;
use std::sync::Arc;

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
#[derive(Debug)]
struct AtTheDoor;

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
            return Ok(vec![Offer::room(None)]);
        }
        Err(
            Error::invalid("it needs a value for its parameter \"door\"")
                .code("missing-parameter")
                .advice("give it with the request"),
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appliance_to_which_a_request_must_say_more_is_listed_with_what_that_is() {
    let adapters = |all: &mut Registries| {
        register(all).unwrap();
        let serves = Serves {
            kind: rm_core::Kind::CLUSTER,
            api: "house".to_owned(),
            media: vec!["text/at-the-door".to_owned()],
        };
        all.backend::<Cluster>("house", serves, Arc::new(AtTheDoor))
            .unwrap();
        all.media(Arc::new(AtTheDoor)).unwrap();
    };
    let lab = lab_of("cluster-lacks", adapters, |door| door).await;
    appliance(&lab, "web").await;
    let operator = Caller::operator("root", "ops");
    let catalog = lab.host.catalog();
    let site = NewSite::new("house", "house", "sim://house");
    catalog.add_site(&operator, site).await.unwrap();
    let means = NewCredential {
        tenant: Some(Tenant("lab:one".to_owned())),
        ..NewCredential::new("house", "house", serde_json::json!({"account": "geni"}))
    };
    catalog.add_credential(&operator, means).await.unwrap();
    let keyed = NewAppliance::new("keyed");
    catalog.add_appliance(&operator, keyed).await.unwrap();
    let new = NewImplementation::new("keyed", "house", "text/at-the-door", "any");
    catalog.add_implementation(&operator, new).await.unwrap();

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
    assert!(reason.contains("its parameter \"door\""), "{reason}");
    assert_eq!(at("rack").attribute("available"), None);
    // Who says it has it, and who does not is told the same.
    let slice = Slice::of(&lab, "s");
    let without = "appliance=\"keyed\"/>";
    let answer = slice.allocate(&request(&cluster("b", without))).await;
    assert_eq!(code(&answer), 1, "{answer:?}");
    value(&slice.allocate(&given("keyed", "door", "back")).await);
}
