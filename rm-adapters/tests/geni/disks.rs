//! What the slivers of one request take of one disk, whatever they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use rm_adapters::geni::xmlrpc::Value;
use rm_adapters::geni::{ClusterSlivers, GeniSliver, NodeSlivers, register_with};
use rm_core::backend::{Backend, Capability, Cx, Look, Mark, Offer, OnDisk, Seen, Serves};
use rm_core::catalog::{NewCredential, NewImage, NewSite, Site};
use rm_core::model::{Node, NodeSpec};
use rm_core::registry::Registries;
use rm_core::store::{By, Page};
use rm_core::{Caller, Error, ErrorKind, Kind, RemoteId, Result, Tenant};
use rm_testkit::SimConfig;

use super::clusters::{cluster, made_at};
use super::lab::{Lab, lab_at};
use super::slice::{Slice, link, request, value};
use super::table::refused;

/// What a host has of disk, in MiB.
const LEFT: u64 = 3000;

/// A host that has disk for a few containers and enough of all else; nothing is
/// made there.
#[derive(Debug)]
struct Narrow;

#[async_trait]
impl Backend<Node> for Narrow {
    fn capability(&self, _site: &Site) -> Capability {
        let mut cap = Capability::new();
        cap.counts_to_come = true;
        cap
    }

    async fn offers(&self, _cx: &Cx<'_>, want: &NodeSpec) -> Result<Vec<Offer>> {
        let (each_mib, once) = match &*want.image.name {
            "huge" => (2900, 0),
            "big" => (1400, 0),
            "new" => (100, 1700),
            _ => (1000, 0),
        };
        let disk = OnDisk {
            left_mib: LEFT,
            each_mib,
            to_bring: match once {
                0 => BTreeMap::new(),
                once => BTreeMap::from([(want.image.sha256.clone(), once)]),
            },
            image: want.image.sha256.clone(),
        };
        Ok(vec![Offer {
            disk: vec![disk],
            ..Offer::room(Some((LEFT - once) / each_mib))
        }])
    }

    async fn observe(&self, _cx: &Cx<'_>, _look: Look<'_, NodeSpec>) -> Result<Page<Seen<Node>>> {
        Err(nothing())
    }

    async fn create(&self, _cx: &Cx<'_>, _mark: &Mark, _spec: &NodeSpec) -> Result<RemoteId> {
        Err(nothing())
    }

    async fn change(
        &self,
        _cx: &Cx<'_>,
        _mark: &Mark,
        _seen: &Seen<Node>,
        _spec: &NodeSpec,
    ) -> Result<()> {
        Err(nothing())
    }

    async fn destroy(&self, _cx: &Cx<'_>, _seen: &Seen<Node>) -> Result<()> {
        Err(nothing())
    }
}

fn nothing() -> Error {
    Error::new(ErrorKind::Unsupported, "nothing is made there")
}

/// The only site is such a host; the adapters are asked in this order.
async fn narrow(name: &str, clusters_first: bool) -> Lab {
    let adapters = |all: &mut Registries| {
        let nodes: Arc<dyn GeniSliver> = Arc::new(NodeSlivers::default());
        let clusters: Arc<dyn GeniSliver> = Arc::new(ClusterSlivers::default());
        let adapters = match clusters_first {
            true => [clusters, nodes],
            false => [nodes, clusters],
        };
        register_with(all, adapters).unwrap();
        let serves = Serves {
            kind: Kind::from_static("vm.xen"),
            api: "narrow".to_owned(),
            media: Vec::new(),
        };
        all.backend::<Node>("narrow", serves, Arc::new(Narrow))
            .unwrap();
    };
    let lab = lab_at(name, SimConfig::default(), adapters, |door| door).await;
    let operator = Caller::operator("root", "ops");
    let catalog = lab.host.catalog();
    let site = NewSite::new("metal", "narrow", "sim://metal");
    catalog.add_site(&operator, site).await.unwrap();
    let means = NewCredential {
        tenant: Some(Tenant("lab:one".to_owned())),
        ..NewCredential::new("metal", "metal", serde_json::json!({"account": "geni"}))
    };
    catalog.add_credential(&operator, means).await.unwrap();
    for (name, digit) in [("small", "1"), ("big", "2"), ("new", "3"), ("huge", "4")] {
        let image = NewImage {
            name: name.to_owned(),
            source: format!("file:/images/{name}"),
            sha256: digit.repeat(64),
            disk_format: "tar".to_owned(),
        };
        catalog.add_image(&operator, image).await.unwrap();
        let parameters = serde_json::json!({"greeting": "hello"});
        made_at(&lab, "narrow", name, name, &parameters).await;
    }
    lab
}

/// A node of an image.
fn node(name: &str, image: &str) -> String {
    format!(
        "<node client_id=\"{name}\"><sliver_type name=\"xen\"><disk_image name=\"{image}\"/>\
         </sliver_type><interface client_id=\"{name}:0\"/></node>"
    )
}

/// A cluster whose hosts are of an image.
fn hosts(name: &str, image: &str, slaves: u32) -> String {
    cluster(
        name,
        &format!("appliance=\"{image}\" slaves=\"{slaves}\"/>"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clusters_and_nodes_of_one_request_share_the_disk_of_a_host() {
    for clusters_first in [false, true] {
        let lab = narrow(&format!("disk-{clusters_first}"), clusters_first).await;
        let slice = Slice::of(&lab, "s");
        for (what, rspec) in [
            (
                "a node more",
                format!("{}{}", hosts("c", "big", 1), node("a", "small")),
            ),
            (
                "another cluster",
                format!("{}{}", hosts("c", "big", 1), hosts("d", "small", 0)),
            ),
            (
                "the image itself",
                format!("{}{}", hosts("c", "new", 0), node("a", "big")),
            ),
            (
                "two clusters and a node",
                format!(
                    "{}{}{}",
                    hosts("c", "big", 0),
                    node("a", "small"),
                    hosts("d", "new", 0)
                ),
            ),
        ] {
            let answer = slice.allocate(&request(&rspec)).await;
            refused(&format!("{what}, {clusters_first}"), &answer, 26);
            let kept = lab.host.store().resources(&By::All, None, 10).await;
            assert_eq!(kept.unwrap().items, [], "{what}");
        }
        // What there is disk for is granted.
        let all = [
            format!("{}{}", hosts("c", "new", 1), node("a", "small")),
            format!("{}{}", hosts("c", "big", 0), node("a", "small")),
            format!(
                "{}{}{}",
                hosts("c", "new", 1),
                hosts("d", "new", 2),
                node("a", "new")
            ),
        ];
        for (n, rspec) in all.iter().enumerate() {
            let slice = Slice::of(&lab, &format!("t{n}"));
            value(&slice.allocate(&request(rspec)).await);
            value(&slice.all("Delete").await);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_linked_nodes_that_find_no_disk_as_many_are_told_as_would_find_some() {
    let lab = narrow("disk-linked", false).await;
    let slice = Slice::of(&lab, "s");
    for (images, wanted) in [
        (["huge", "small", "small"], 2),
        (["small", "huge", "small"], 2),
        (["huge", "huge", "huge"], 1),
        (["big", "big", "small"], 2),
    ] {
        let all = ["a", "b", "c"].iter().zip(images);
        let all: String = all.map(|(name, image)| node(name, image)).collect();
        let rspec = request(&format!("{all}{}", link("l", &["a:0", "b:0", "c:0"])));
        let answer = slice.allocate(&rspec).await;
        let hint = refused("linked", &answer, 26);
        assert_eq!(hint.get("requested"), Some(&Value::Int(3)), "{images:?}");
        assert_eq!(
            hint.get("available"),
            Some(&Value::Int(wanted)),
            "{images:?}"
        );
    }
}
