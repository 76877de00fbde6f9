//! Slices as they are written down: by earlier versions, and after their end.

use std::sync::Arc;
use std::time::Duration;

use rm_adapters::geni::xmlrpc::Value;
use rm_adapters::geni::{lift_shutdown, shut_slices};
use rm_core::Caller;
use rm_core::model::Json;
use rm_core::record::Document;
use rm_core::store::Batch;
use serde_json::{Value as Any, json};

use super::lab::{Lab, code, lab};
use super::slice::{Slice, manifest, nodes, none, slivers, value};

/// What a document says, where there is one.
async fn said(lab: &Lab, space: &str, id: &str) -> Option<(Document, Any)> {
    let found = lab.host.store().document(space, id).await.unwrap()?;
    let said = found.record.body.read().unwrap();
    Some(((*found.record).clone(), said))
}

async fn write(lab: &Lab, document: Document) {
    let batch = Batch {
        documents: vec![Arc::new(document)],
        ..Batch::default()
    };
    lab.host.commit(batch).await.unwrap();
}

/// Lets time pass for the engine until the slice has so many slivers.
async fn comes_to_have(slice: &Slice<'_>, wanted: usize) {
    let has = async || {
        let answer = slice.all("Status").await;
        let have = match code(&answer) {
            12 => 0,
            _ => slivers(&value(&answer)).len(),
        };
        have == wanted
    };
    let what = format!("the slice has {wanted}");
    slice.lab.until(&what, has).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slice_that_an_earlier_version_wrote_is_read_and_stays_shut_where_it_was() {
    let lab = lab("older").await;
    let operator = Caller::operator("root", "ops");
    for shut in [false, true] {
        let slice = Slice::of(&lab, if shut { "shut" } else { "open" });
        let rspec = nodes(&["a"]).replace("</rspec>", "<o:of xmlns:o=\"urn:others\"/></rspec>");
        value(&slice.allocate(&rspec).await);
        let id = slice.party.urn.as_str().to_owned();
        let (document, now) = said(&lab, "geni.slice", &id).await.unwrap();
        // The text was in the slice's document, and whether it was shut down a
        // word; nothing was found by that.
        let slivers = &now["requests"][0]["slivers"];
        let then = json!({
            "urn": now["urn"],
            "shut": shut,
            "requests": [{"rspec": rspec, "slivers": slivers}],
        });
        let body = Json::of(&then).unwrap();
        write(&lab, Document { body, ..document }).await;

        let described = value(&slice.all("Describe").await);
        let told = described.get("geni_rspec").unwrap();
        assert_eq!(manifest(told).nodes.len(), 1);
        assert!(told.as_text().unwrap().contains("urn:others"));
        let wanted = if shut { 3 } else { 0 };
        assert_eq!(code(&slice.allocate(&nodes(&["b"])).await), wanted);
        assert_eq!(lab.door.tidy().await.unwrap(), 0);
        let described = value(&slice.all("Describe").await);
        let told = described.get("geni_rspec").unwrap();
        assert!(told.as_text().unwrap().contains("urn:others"));
        assert_eq!(code(&slice.all("Delete").await), wanted);
    }
    // Found by the operator, too, by now.
    let told = shut_slices(&lab.host, &operator).await.unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!((&*told[0].by, told[0].slivers), ("", 1));
    assert!(told[0].slice.ends_with("+slice+shut"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_expired_of_a_slice_is_not_looked_for_again() {
    let lab = lab("expired").await;
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    let made = slivers(&value(&slice.allocate(&nodes(&["a", "b"])).await));
    let one = Value::Array(vec![Value::text(made[0].urn.clone())]);
    let later = Value::text("2026-11-21T21:00:00Z");
    let arguments = vec![one, slice.proof(), later, none()];
    value(&slice.call(3, "Renew", arguments).await);
    lab.later(Duration::from_secs(11 * 60));
    comes_to_have(&slice, 1).await;
    assert_eq!(lab.door.tidy().await.unwrap(), 0);
    let (_, now) = said(&lab, "geni.slice", slice.party.urn.as_str())
        .await
        .unwrap();
    let listed = now["requests"][0]["slivers"].as_array().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["client_id"], "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_slice_that_was_shut_down_the_mark_alone_stays_until_the_operator_lifts_it() {
    let lab = lab("shut-long").await;
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&nodes(&["a"])).await);
    let arguments = vec![slice.urn(), slice.proof(), none()];
    value(&slice.call(3, "Shutdown", arguments).await);
    lab.later(Duration::from_secs(11 * 60));
    comes_to_have(&slice, 0).await;
    assert_eq!(lab.door.tidy().await.unwrap(), 0);
    let store = lab.host.store();
    let texts = store
        .documents("geni.request", None, None, 10)
        .await
        .unwrap();
    assert_eq!(texts.items, []);
    let operator = Caller::operator("root", "ops");
    let told = shut_slices(&lab.host, &operator).await.unwrap();
    assert_eq!((told.len(), told[0].slivers), (1, 0));

    // The credential by which it was shut down ends after a week, and the slice
    // was renewed.
    let day = Duration::from_secs(24 * 3600);
    let long = Slice::until(&lab, "s", "2027-11-21T20:00:00Z");
    for days in [36, 2, 200] {
        lab.later(day * days);
        assert_eq!(lab.door.tidy().await.unwrap(), 0);
        let answer = long.allocate(&nodes(&["a"])).await;
        assert_eq!(code(&answer), 3, "{answer:?}");
    }
    let urn = &long.party.urn;
    lift_shutdown(&lab.host, &operator, urn).await.unwrap();
    value(&long.allocate(&nodes(&["a"])).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_that_an_earlier_version_gave_an_end_has_none_any_more() {
    let lab = lab("shut-older").await;
    let slice = Slice::of(&lab, "s");
    let arguments = vec![slice.urn(), slice.proof(), none()];
    value(&slice.call(3, "Shutdown", arguments).await);
    let id = slice.party.urn.as_str().to_owned();
    let (document, mut now) = said(&lab, "geni.slice", &id).await.unwrap();
    now["shut"]["until"] = now["shut"]["at"].clone();
    let body = Json::of(&now).unwrap();
    write(&lab, Document { body, ..document }).await;
    lab.later(Duration::from_secs(60 * 24 * 3600));
    assert_eq!(lab.door.tidy().await.unwrap(), 0);
    let long = Slice::until(&lab, "s", "2027-11-21T20:00:00Z");
    assert_eq!(code(&long.allocate(&nodes(&["a"])).await), 3);
}
