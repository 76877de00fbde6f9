//! Properties of links: what is granted holds, and what cannot hold is refused.

use std::collections::BTreeMap;

use rm_adapters::geni::register;
use rm_core::model::{NodeSpec, Shaping};
use rm_core::store::By;
use rm_testkit::{SimConfig, SimSite};

use super::lab::{Lab, lab, lab_at};
use super::rspec::fits;
use super::slice::{Slice, manifest, request, value};
use super::table::{kept, refused};

fn node(name: &str) -> String {
    format!("<node client_id=\"{name}\"><interface client_id=\"{name}:0\"/></node>")
}

fn property(from: &str, to: &str, says: &str) -> String {
    format!("<property source_id=\"{from}:0\" dest_id=\"{to}:0\" {says}/>")
}

/// Nodes on one link of these properties.
fn linked(names: &[&str], properties: &[String]) -> String {
    let all: String = names.iter().map(|name| node(name)).collect();
    let ends: String = names
        .iter()
        .map(|name| format!("<interface_ref client_id=\"{name}:0\"/>"))
        .collect();
    request(&format!(
        "{all}<link client_id=\"wire\">{ends}{}</link>",
        properties.concat()
    ))
}

/// How what comes over its link is held back, by the name of the node.
async fn held(lab: &Lab) -> BTreeMap<String, Option<Shaping>> {
    let all = lab.host.store().resources(&By::All, None, 10).await;
    let rows = all.unwrap().items.into_iter().map(|row| {
        let spec: NodeSpec = row.record.place.spec.read().unwrap();
        // By the first it is reached, and that is nobody's link.
        assert_eq!(spec.interfaces[0].shaping, None);
        (row.record.name.clone(), spec.interfaces[1].shaping)
    });
    rows.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_end_of_a_link_gets_what_is_said_of_the_way_to_it_and_the_manifest_tells() {
    let lab = lab("shaping").await;
    let slice = Slice::of(&lab, "s");
    let properties = [
        property(
            "a",
            "b",
            "capacity=\"1000\" latency=\"2.5\" packet_loss=\"0.01\"",
        ),
        property("b", "a", "capacity=\"500\" latency=\"0\""),
        property("b", "a", "packet_loss=\"0\""),
    ];
    let made = value(&slice.allocate(&linked(&["a", "b"], &properties)).await);
    let of = |capacity_kbps, latency_us, loss_ppm| {
        Some(Shaping {
            capacity_kbps,
            latency_us,
            loss_ppm,
        })
    };
    let wanted = BTreeMap::from([
        ("a".to_owned(), of(Some(500), None, None)),
        ("b".to_owned(), of(Some(1000), Some(2500), Some(10_000))),
    ]);
    assert_eq!(held(&lab).await, wanted);
    for told in [made, value(&slice.all("Describe").await)] {
        let text = told.get("geni_rspec").unwrap().as_text().unwrap();
        fits("each_end_of_a_link", "manifest.xsd", text);
        let told = manifest(told.get("geni_rspec").unwrap());
        let first = &told.links[0].properties[0];
        assert_eq!(told.links[0].properties.len(), 3);
        assert_eq!(first.source_id.as_deref(), Some("a:0"));
        assert_eq!(first.capacity.as_deref(), Some("1000"));
        assert_eq!(first.latency.as_deref(), Some("2.5"));
        assert_eq!(first.packet_loss.as_deref(), Some("0.01"));
    }
}

/// What is said of the way into the link or out of it, as geni-lib says it of a
/// LAN, whose name stands where an interface is looked for.
fn of_lan(from: &str, to: &str, says: &str) -> String {
    property(from, to, says).replace("wire:0", "wire")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lan_of_geni_lib_is_held_back_as_it_says() {
    let lab = lab("lan").await;
    let of = |capacity_kbps, latency_us| {
        Some(Shaping {
            capacity_kbps,
            latency_us,
            loss_ppm: None,
        })
    };
    // From each end into it: with two of them that is to the other.
    let into = [
        of_lan("a", "wire", "capacity=\"1000\""),
        of_lan("b", "wire", "capacity=\"500\" latency=\"2\""),
    ];
    let slice = Slice::of(&lab, "s");
    let rspec = linked(&["a", "b"], &into);
    assert!(rspec.contains("dest_id=\"wire\""), "{rspec}");
    value(&slice.allocate(&rspec).await);
    let wanted = BTreeMap::from([
        ("a".to_owned(), of(Some(500), Some(2000))),
        ("b".to_owned(), of(Some(1000), None)),
    ]);
    assert_eq!(held(&lab).await, wanted);
    value(&slice.all("Delete").await);
    // What it brings to an end comes from all the others, however many.
    let out = [of_lan("wire", "q", "capacity=\"800\"")];
    let slice = Slice::of(&lab, "t");
    value(&slice.allocate(&linked(&["p", "q", "r"], &out)).await);
    let mut held = held(&lab).await;
    held.retain(|name, _| ["p", "q", "r"].contains(&&**name));
    let wanted = [("p", None), ("q", of(Some(800), None)), ("r", None)];
    assert_eq!(held, wanted.map(|(n, s)| (n.to_owned(), s)).into());
    // What goes into it from one of three would be held back at neither of the others.
    let slice = Slice::of(&lab, "u");
    let answer = slice.allocate(&linked(&["a", "b", "c"], &into)).await;
    refused("into a LAN of three", &answer, 13);
    let reason = answer.get("code").unwrap().get("reason").unwrap();
    assert_eq!(reason.as_text(), Some("link-property"));
    let wrong = [of_lan("wire", "wire", "capacity=\"800\"")];
    let answer = slice.allocate(&linked(&["a", "b"], &wrong)).await;
    refused("from the link into itself", &answer, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn properties_that_cannot_be_are_refused_by_the_name_of_their_link() {
    let lab = lab("shaping-wrong").await;
    let slice = Slice::of(&lab, "s");
    let slow = |from: &str, to: &str| property(from, to, "capacity=\"1000\"");
    for (row, rspec, wanted) in [
        (
            "between two of three",
            linked(&["a", "b", "c"], &[slow("a", "b")]),
            13,
        ),
        (
            "from an end to itself",
            linked(&["a", "b"], &[slow("a", "a")]),
            1,
        ),
        (
            "to no end of the link",
            linked(&["a", "b"], &[slow("a", "c")]),
            1,
        ),
        (
            "one thing and another",
            linked(
                &["a", "b"],
                &[slow("a", "b"), property("a", "b", "capacity=\"2000\"")],
            ),
            1,
        ),
        (
            "more than there can be",
            linked(&["a", "b"], &[property("a", "b", "capacity=\"1e40\"")]),
            1,
        ),
        (
            "more is lost than comes",
            linked(&["a", "b"], &[property("a", "b", "packet_loss=\"1.5\"")]),
            1,
        ),
    ] {
        for answer in [slice.create(&rspec).await, slice.allocate(&rspec).await] {
            refused(row, &answer, wanted);
            let output = answer.get("output").unwrap().as_text().unwrap();
            let named = output.contains("\"wire\"") || output.contains("property");
            assert!(named, "{row}: {output}");
        }
        assert_eq!(kept(&lab).await, (0, 0), "{row}");
    }
    // What says nothing is no property, however many ends there are.
    let nothing = [property("a", "b", "latency=\"0\" packet_loss=\"0.0\"")];
    value(&slice.allocate(&linked(&["a", "b", "c"], &nothing)).await);
    assert_eq!(held(&lab).await.into_values().flatten().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_host_can_hold_a_link_back_its_properties_are_13_and_the_link_is_named() {
    let config = SimConfig {
        sites: BTreeMap::from([(
            "rack".to_owned(),
            SimSite {
                unshaped: true,
                ..SimSite::default()
            },
        )]),
        ..SimConfig::default()
    };
    let lab = lab_at(
        "unshaped",
        config,
        |all| register(all).unwrap(),
        |door| door,
    )
    .await;
    let slice = Slice::of(&lab, "s");
    let late = linked(&["a", "b"], &[property("a", "b", "latency=\"50\"")]);
    for answer in [slice.create(&late).await, slice.allocate(&late).await] {
        refused("latency", &answer, 13);
        let output = answer.get("output").unwrap().as_text().unwrap();
        assert!(
            output.contains("the properties of link \"wire\""),
            "{output}"
        );
        let reason = answer.get("code").unwrap().get("reason").unwrap();
        assert_eq!(reason.as_text(), Some("link-property"));
    }
    assert_eq!(kept(&lab).await, (0, 0));
    value(&slice.allocate(&linked(&["a", "b"], &[])).await);
}
