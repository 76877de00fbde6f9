//! Clusters as slivers, beside nodes and by both versions.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rm_adapters::geni::rspec::Rspec;
use rm_adapters::geni::xmlrpc::Value;
use rm_adapters::geni::{CLUSTER, ClusterSlivers, Element, GeniSliver, NodeSlivers, register_with};
use rm_core::Caller;
use rm_core::catalog::{NewAppliance, NewImplementation};
use rm_core::nodes::MEDIA_TYPE;
use rm_core::store::{Batch, By, Key};

use super::complaints::{output, reason};
use super::lab::{Lab, code, lab, options};
use super::rspec::fits;
use super::slice::{Slice, manifest, none, request, slivers, states, value};
use super::table::refused;

/// An appliance of a master and slaves that are told where it is.
pub(super) async fn appliance(lab: &Lab, name: &str) {
    made_of(
        lab,
        name,
        "debian",
        &serde_json::json!({"greeting": "hello"}),
    )
    .await;
}

/// The same of another image, and with other parameters.
pub(super) async fn made_of(lab: &Lab, name: &str, image: &str, parameters: &serde_json::Value) {
    made_at(lab, "sim", name, image, parameters).await;
}

/// The same at sites of another type.
pub(super) async fn made_at(
    lab: &Lab,
    api: &str,
    name: &str,
    image: &str,
    parameters: &serde_json::Value,
) {
    let operator = Caller::operator("root", "ops");
    let catalog = lab.host.catalog();
    let new = NewAppliance {
        description: "a small web".to_owned(),
        ..NewAppliance::new(name)
    };
    catalog.add_appliance(&operator, new).await.unwrap();
    let node = |more: &[&str]| serde_json::json!({"image": image, "vcpus": 1, "memory_mib": 64, "boot_commands": more});
    let body = serde_json::json!({
        "roles": [
            {"name": "master", "count": 1, "node": node(&[])},
            {"name": "slave", "count": "slaves",
             "node": node(&["echo {{master_ip}} {{greeting}} > /srv/master"])},
        ],
        "master": "master",
        "default_slaves": 1,
        "parameters": parameters,
        "outputs": {"console": "http://{{master_ip}}/"},
    });
    let new = NewImplementation::new(name, api, MEDIA_TYPE, &body.to_string());
    catalog.add_implementation(&operator, new).await.unwrap();
}

pub(super) async fn with_web(name: &str) -> Lab {
    let lab = lab(name).await;
    lab.evening.2.store(20, Ordering::SeqCst);
    appliance(&lab, "web").await;
    lab
}

pub(super) fn node(name: &str) -> String {
    format!("<node client_id=\"{name}\"><sliver_type name=\"lxc\"/></node>")
}

pub(super) fn cluster(name: &str, said: &str) -> String {
    format!(
        "<node client_id=\"{name}\"><sliver_type name=\"cluster\"/>\
         <c:cluster xmlns:c=\"{CLUSTER}\" {said}</node>"
    )
}

pub(super) fn web(name: &str, slaves: u32) -> String {
    cluster(name, &format!("appliance=\"web\" slaves=\"{slaves}\"/>"))
}

/// A cluster of an appliance that is given this parameter.
pub(super) fn given(appliance: &str, name: &str, to: &str) -> String {
    request(&cluster(
        "b",
        &format!(
            "appliance=\"{appliance}\"><c:parameter xmlns:c=\"{CLUSTER}\" name=\"{name}\" \
             value=\"{to}\"/></c:cluster>"
        ),
    ))
}

/// How many nodes a slice is charged with.
pub(super) async fn charged(slice: &Slice<'_>) -> u64 {
    let counter = format!("quota/{}/nodes", slice.party.urn.as_str());
    let store = slice.lab.host.store();
    store.counter(&counter).await.unwrap()
}

/// What a manifest says of the cluster of this name.
fn made(told: &Rspec, name: &str) -> Element {
    let is = |n: &&rm_adapters::geni::rspec::Node| n.client_id.as_deref() == Some(name);
    let node = told.nodes.iter().find(is).unwrap();
    node.extra.element(CLUSTER, "made").unwrap().clone()
}

fn hosts(made: &Element) -> Vec<(String, String)> {
    let said = |e: &Element, name: &str| e.attribute(name).unwrap_or_default().to_owned();
    made.elements()
        .filter(|e| e.name.is(CLUSTER, "host"))
        .map(|e| (said(e, "role"), said(e, "address")))
        .collect()
}

/// Lets time pass until the site has so many things.
async fn site_has(lab: &Lab, things: usize) {
    let what = format!("the site has {things}");
    let has = async || lab.cloud.everything(lab.host.env().now()).len() == things;
    lab.until(&what, has).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_and_a_node_live_in_one_slice_by_version_3() {
    let lab = with_web("cluster-v3").await;
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    let asked = request(&format!("{}{}", node("a"), web("b", 2)));
    let allocated = value(&slice.allocate(&asked).await);
    let reserved = (
        "geni_allocated".to_owned(),
        "geni_pending_allocation".to_owned(),
    );
    assert_eq!(states(&allocated), [reserved.clone(), reserved]);
    // All of it is charged, and nothing is made.
    assert_eq!(charged(&slice).await, 4);
    assert_eq!(lab.cloud.everything(lab.host.env().now()), []);
    let text = allocated.get("geni_rspec").unwrap();
    fits("cluster-allocated", "manifest.xsd", text.as_text().unwrap());
    let told = manifest(text);
    assert_eq!(made(&told, "b").attribute("slaves"), Some("2"));
    assert_eq!(
        told.nodes[1].component_id.as_deref(),
        Some("urn:publicid:IDN+lab:one+node+rack")
    );

    // A cluster runs as soon as it is made, a node when it is started.
    let provisioned = slivers(&value(&slice.all("Provision").await));
    assert_eq!(provisioned[0].operational, "geni_notready");
    assert_eq!(provisioned[1].operational, "geni_configuring");
    assert_eq!(provisioned[1].expires, "2026-11-28T07:42:26.000Z");
    value(&slice.act("geni_start").await);
    slice.comes_to("geni_ready").await;
    site_has(&lab, 4).await;
    // And it is started again with the slice as a whole.
    let one = |at: usize| Value::Array(vec![Value::text(provisioned[at].urn.clone())]);
    let act = async |at: usize, word: &str, options: Value| {
        let arguments = vec![one(at), slice.proof(), Value::text(word), options];
        slice.call(3, "PerformOperationalAction", arguments).await
    };
    let started = slivers(&value(&act(1, "geni_start", none()).await));
    assert_eq!(started[0].operational, "geni_ready");

    let described = value(&slice.all("Describe").await);
    let text = described.get("geni_rspec").unwrap();
    fits("cluster-described", "manifest.xsd", text.as_text().unwrap());
    let told = manifest(text);
    let web_node = &told.nodes[1];
    let is = made(&told, "b");
    let address = is.attribute("address").unwrap();
    let roles: Vec<String> = hosts(&is).into_iter().map(|(role, _)| role).collect();
    assert_eq!(roles, ["master", "slave", "slave"]);
    assert_eq!(hosts(&is)[0].1, address);
    let output = is
        .elements()
        .find(|e| e.name.is(CLUSTER, "output"))
        .unwrap();
    assert_eq!(output.text(), format!("http://{address}/"));
    assert_eq!(web_node.hosts[0].name.as_deref(), Some(address));
    let login = &web_node.services[0].logins[0];
    assert_eq!(login.hostname.as_deref(), Some(address));
    assert_eq!(login.username.as_deref(), Some("alice"));
    // What was asked for stands in it as it came.
    let asked = web_node.extra.element(CLUSTER, "cluster").unwrap();
    assert_eq!(asked.attribute("appliance"), Some("web"));

    // Its nodes are no slivers of their own, and let in the experimenter.
    assert_eq!(slivers(&described).len(), 2);
    let kept = lab
        .host
        .store()
        .resources(&By::All, None, 20)
        .await
        .unwrap();
    let parts = kept.items.iter().filter(|r| r.record.part_of.is_some());
    for part in parts {
        let spec: rm_core::model::NodeSpec = part.record.place.spec.read().unwrap();
        assert_eq!(spec.users[0].name, "alice");
    }

    // What a cluster cannot do is refused, and so it is for a whole slice.
    for word in ["geni_stop", "geni_restart", "geni_update_users"] {
        let answer = act(1, word, super::slice::with_users()).await;
        assert_eq!(code(&answer), 13, "{word}: {answer:?}");
        let answer = slice.act(word).await;
        assert!([1, 13].contains(&code(&answer)), "{word}: {answer:?}");
    }
    let size = |n: Value| Value::of([("cluster_slaves", n)]);
    assert_eq!(code(&act(1, "cluster_resize", none()).await), 1);
    assert_eq!(
        code(&act(1, "cluster_resize", size(Value::Int(-1))).await),
        1
    );
    assert_eq!(
        code(&act(1, "cluster_resize", size(Value::Int(5000))).await),
        1
    );
    assert_eq!(
        code(&act(0, "cluster_resize", size(Value::Int(1))).await),
        13
    );
    let grown = slivers(&value(&act(1, "cluster_resize", size(Value::Int(3))).await));
    assert_eq!(grown[0].operational, "geni_ready_busy");
    assert_eq!(charged(&slice).await, 5);
    slice.comes_to("geni_ready").await;
    site_has(&lab, 5).await;
    let described = value(&slice.all("Describe").await);
    let told = manifest(described.get("geni_rspec").unwrap());
    assert_eq!(hosts(&made(&told, "b")).len(), 4);

    let renewed = Value::text("2026-11-25T20:00:00Z");
    let arguments = vec![one(1), slice.proof(), renewed, none()];
    let renewed = slivers(&value(&slice.call(3, "Renew", arguments).await));
    assert_eq!(renewed[0].expires, "2026-11-25T20:00:00.000Z");
    let arguments = vec![one(1), slice.proof(), none()];
    let deleted = slivers(&value(&slice.call(3, "Delete", arguments).await));
    assert_eq!(deleted[0].allocation, "geni_unallocated");
    site_has(&lab, 1).await;
    assert_eq!(slivers(&value(&slice.all("Status").await)).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_and_a_node_live_in_one_slice_by_version_2() {
    let lab = with_web("cluster-v2").await;
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    let made_of = cluster(
        "b",
        &format!(
            "appliance=\"web\"><c:parameter xmlns:c=\"{CLUSTER}\" name=\"greeting\" value=\"hi\"/>\
             </c:cluster>"
        ),
    );
    let created = value(
        &slice
            .create(&request(&format!("{made_of}{}", node("a"))))
            .await,
    );
    fits(
        "cluster-created",
        "manifest.xsd",
        created.as_text().unwrap(),
    );
    let proof = || vec![slice.urn(), slice.proof(), none()];
    lab.until("all of it is ready", async || {
        let status = value(&slice.call(2, "SliverStatus", proof()).await);
        status.get("geni_status") == Some(&Value::text("ready"))
    })
    .await;
    // As many slaves as the appliance has where nobody says.
    site_has(&lab, 3).await;
    let only = options(vec![("geni_slice_urn", slice.urn())]);
    let listed = slice
        .call(2, "ListResources", vec![slice.proof(), only])
        .await;
    let told = manifest(&value(&listed));
    assert_eq!(hosts(&made(&told, "b")).len(), 2);
    assert_eq!(
        told.nodes[0].services[0].logins[0].username.as_deref(),
        Some("alice")
    );
    let deleted = slice.call(2, "DeleteSliver", proof()).await;
    assert_eq!(value(&deleted), Value::Bool(true));
    site_has(&lab, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clusters_that_are_not_offered_any_more_are_still_their_slices() {
    let mut lab = with_web("cluster-not-offered").await;
    let before = {
        let slice = Slice::of(&lab, "s");
        value(&slice.allocate(&request(&web("b", 1))).await);
        slivers(&value(&slice.all("Status").await))
    };
    let store = Arc::clone(lab.host.store());
    lab.restart_with(store, |all| {
        let nodes: Arc<dyn GeniSliver> = Arc::new(NodeSlivers::default());
        let clusters = Arc::new(ClusterSlivers::new(false));
        register_with(all, [nodes, clusters]).unwrap();
    })
    .await;
    let slice = Slice::of(&lab, "s");
    assert_eq!(slivers(&value(&slice.all("Status").await)), before);
    assert_eq!(code(&slice.allocate(&request(&web("c", 1))).await), 13);
    value(&slice.all("Delete").await);
    assert_eq!(code(&slice.all("Status").await), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_ends_with_its_slices_time_and_a_shutdown_leaves_it_and_says_so() {
    let lab = with_web("cluster-ends").await;
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&request(&web("b", 1))).await);
    lab.later(Duration::from_secs(601));
    let over = async || code(&slice.all("Status").await) == 12;
    lab.until("it is over", over).await;
    let free = async || charged(&slice).await == 0;
    lab.until("nothing is charged", free).await;

    let asked = request(&format!("{}{}", node("a"), web("b", 1)));
    value(&slice.create(&asked).await);
    slice.comes_to("geni_ready").await;
    site_has(&lab, 3).await;
    let arguments = || vec![slice.urn(), slice.proof(), none()];
    let answer = slice.call(3, "Shutdown", arguments()).await;
    refused("Shutdown of what cannot stand still", &answer, 13);
    assert_eq!(reason(&answer), "still-runs");
    // The node is stopped all the same, and the answer names the cluster alone.
    let told = slivers(&value(&slice.all("Status").await));
    assert!(!output(&answer).contains(&told[0].urn), "{answer:?}");
    assert!(output(&answer).contains(&told[1].urn), "{answer:?}");
    assert!(output(&answer).contains("cluster delete"), "{answer:?}");
    lab.until("the node stands still", async || {
        let told = slivers(&value(&slice.all("Status").await));
        told[0].operational == "geni_notready" && told[1].operational == "geni_ready"
    })
    .await;
    site_has(&lab, 3).await;
    assert_eq!(code(&slice.allocate(&request(&web("c", 1))).await), 3);
    assert_eq!(code(&slice.all("Delete").await), 3);

    // The operator ends it, who has its id from its name.
    let operator = Caller::operator("root", "ops");
    let (_, id) = told[1].urn.rsplit_once('+').unwrap();
    let clusters = lab.host.clusters();
    let cluster = clusters.get(&operator, id.parse().unwrap()).await.unwrap();
    cluster.release(&operator, None).await.unwrap();
    let answer = slice.call(3, "Shutdown", arguments()).await;
    assert_eq!(value(&answer), Value::Bool(true));
    site_has(&lab, 1).await;
    assert_eq!(slivers(&value(&slice.all("Status").await)).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slice_whose_document_is_lost_still_has_its_cluster_and_not_its_nodes() {
    let lab = with_web("cluster-lost").await;
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    value(&slice.create(&request(&web("b", 2))).await);
    slice.comes_to("geni_ready").await;
    let urn = slice.party.urn.as_str().to_owned();
    let lost = Batch {
        delete: vec![Key::Document("geni.slice".to_owned(), urn)],
        ..Batch::default()
    };
    lab.host.commit(lost).await.unwrap();
    assert_eq!(slivers(&value(&slice.all("Status").await)).len(), 1);
    value(&slice.all("Delete").await);
    site_has(&lab, 0).await;
}
