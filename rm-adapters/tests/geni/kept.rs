//! What is kept of a slice: beside its slivers, beyond the process, and how much.

use std::sync::Arc;
use std::time::Duration;

use rm_adapters::geni::xmlrpc::Value;
use rm_core::model::Json;
use rm_core::record::Document;
use rm_core::store::{Batch, Key};

use super::lab::{code, lab, options};
use super::slice::{Slice, manifest, nodes, none, request, slivers, value};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_and_their_ends_outlast_the_process() {
    let mut lab = lab("restart").await;
    let before = {
        let slice = Slice::of(&lab, "s");
        value(&slice.allocate(&nodes(&["a", "b"])).await);
        let soon = Value::text("2026-11-21T20:30:00Z");
        let arguments = vec![slice.urns(), slice.proof(), soon, none()];
        value(&slice.call(3, "Renew", arguments).await);
        slivers(&value(&slice.all("Status").await))
    };
    assert_eq!(before[0].expires, "2026-11-21T20:30:00.000Z");
    lab.restart().await;
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    assert_eq!(slivers(&value(&slice.all("Status").await)), before);
    assert_eq!(code(&slice.allocate(&nodes(&["a"])).await), 17);
    lab.later(Duration::from_secs(29 * 60));
    assert_eq!(slivers(&value(&slice.all("Status").await)), before);
    lab.later(Duration::from_secs(61));
    let over = async || code(&slice.all("Status").await) == 12;
    lab.until("it is over", over).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slice_whose_document_is_lost_still_has_its_slivers() {
    let lab = lab("lost").await;
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&nodes(&["a", "b"])).await);
    let mut before = slivers(&value(&slice.all("Status").await));
    let urn = slice.party.urn.as_str().to_owned();
    let lost = Batch {
        delete: vec![Key::Document("geni.slice".to_owned(), urn)],
        ..Batch::default()
    };
    lab.host.commit(lost).await.unwrap();
    let mut after = slivers(&value(&slice.all("Status").await));
    before.sort_by(|a, b| a.urn.cmp(&b.urn));
    after.sort_by(|a, b| a.urn.cmp(&b.urn));
    assert_eq!(after, before);
    assert_eq!(code(&slice.allocate(&nodes(&["b"])).await), 17);
    value(&slice.allocate(&nodes(&["c"])).await);
    let provisioned = value(&slice.all("Provision").await);
    assert_eq!(
        manifest(provisioned.get("geni_rspec").unwrap()).nodes.len(),
        3
    );
    assert_eq!(slivers(&value(&slice.all("Delete").await)).len(), 3);
    assert_eq!(code(&slice.all("Status").await), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_slice_that_cannot_be_read_does_not_keep_the_others_from_being_forgotten() {
    let lab = lab("unreadable").await;
    let unreadable = Document {
        space: "geni.slice".to_owned(),
        // Before all others.
        id: "a".to_owned(),
        indexes: Vec::new(),
        body: Json::of(&"no slice").unwrap(),
    };
    let batch = Batch {
        documents: vec![Arc::new(unreadable)],
        ..Batch::default()
    };
    lab.host.commit(batch).await.unwrap();
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&nodes(&["a"])).await);
    lab.later(Duration::from_secs(601));
    let forgotten = async || lab.door.tidy().await.unwrap() == 1;
    lab.until("it is forgotten", forgotten).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_of_a_slice_has_a_bound() {
    let lab = lab("long").await;
    let slice = Slice::of(&lab, "s");
    let long = |name: &str| {
        let more = "x".repeat(6 << 20);
        let node = format!("<node client_id=\"{name}\"><sliver_type name=\"lxc\"/></node>");
        request(&format!("{node}<o:of xmlns:o=\"urn:others\">{more}</o:of>"))
    };
    for (name, wanted) in [("a", 0), ("b", 0), ("c", 6)] {
        let answer = slice.allocate(&long(name)).await;
        assert_eq!(code(&answer), wanted, "{name}");
    }
    assert_eq!(slivers(&value(&slice.all("Delete").await)).len(), 2);
    value(&slice.allocate(&nodes(&["c"])).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slice_is_told_as_it_was_first_written_whatever_a_call_names() {
    let lab = lab("written").await;
    let slice = Slice::of(&lab, "s");
    let written = slice.party.urn.as_str().replace("lab:one", "LAB:One");
    let rspec = Value::text(nodes(&["a"]));
    let arguments = vec![Value::text(written.clone()), slice.proof(), rspec, none()];
    let made = value(&slice.call(3, "Allocate", arguments).await);
    let sliver = Value::text(slivers(&made)[0].urn.clone());
    let options = || options(vec![]);
    for urns in [Value::Array(vec![sliver]), slice.urns()] {
        for method in ["Status", "Describe"] {
            let arguments = vec![urns.clone(), slice.proof(), options()];
            let told = value(&slice.call(3, method, arguments).await);
            let told = told.get("geni_urn").unwrap().as_text();
            assert_eq!(told, Some(written.as_str()), "{method}");
        }
    }
}
