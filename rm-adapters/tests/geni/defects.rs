//! The defects of the framework whose idea this one is, by their numbers in the
//! reference: each as an experimenter would meet it here, and does not.

use std::io::{ErrorKind as Io, Read as _};
use std::net::TcpListener;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::read::ZlibDecoder;
use rm_adapters::geni::register;
use rm_adapters::geni::rspec::{Rspec, faults};
use rm_adapters::geni::states::OPSTATE;
use rm_adapters::geni::xmlrpc::Value;
use rm_core::backend::Serves;
use rm_core::catalog::{NewCredential, NewSite};
use rm_core::env::Timestamp;
use rm_core::model::Node;
use rm_core::registry::Registries;
use rm_core::store::By;
use rm_core::{Caller, ErrorKind, Kind, Tenant};
use rm_testkit::{Fault, Rule, SimCloud, SimConfig, Verb};

use super::kinds::together;
use super::lab::{Lab, code, lab, lab_of, options, request as call_text};
use super::slice::{
    Slice, all, manifest, nodes, none, request, slivers, states, value, with_users,
};
use super::table::refused;

/// What is in a document that was asked for compressed.
fn unpacked(value: &Value) -> String {
    let packed = BASE64_STANDARD.decode(value.as_text().unwrap()).unwrap();
    let mut text = String::new();
    ZlibDecoder::new(&packed[..])
        .read_to_string(&mut text)
        .unwrap();
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defect_1_what_is_asked_for_compressed_is_the_same_document() {
    let lab = lab("defect-1").await;
    let slice = Slice::of(&lab, "s");
    value(&slice.create(&nodes(&["a"])).await);
    let packed = || ("geni_compressed", Value::Bool(true));
    for version in [2, 3] {
        let list = async |more: Vec<(&'static str, Value)>| {
            let arguments = vec![slice.proof(), options(more)];
            value(&slice.call(version, "ListResources", arguments).await)
        };
        let plain = list(vec![]).await;
        assert_eq!(
            unpacked(&list(vec![packed()]).await),
            plain.as_text().unwrap()
        );
    }
    let of_slice = |more: Vec<(&'static str, Value)>| {
        let more = more.into_iter().chain([("geni_slice_urn", slice.urn())]);
        let arguments = vec![slice.proof(), options(more.collect())];
        slice.call(2, "ListResources", arguments)
    };
    let plain = value(&of_slice(vec![]).await);
    let told = value(&of_slice(vec![packed()]).await);
    assert_eq!(unpacked(&told), plain.as_text().unwrap());
    let plain = value(&slice.all("Describe").await);
    let arguments = vec![slice.urns(), slice.proof(), options(vec![packed()])];
    let told = value(&slice.call(3, "Describe", arguments).await);
    let text = plain.get("geni_rspec").unwrap().as_text().unwrap();
    assert_eq!(unpacked(told.get("geni_rspec").unwrap()), text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defect_2_and_3_describe_and_status_are_structs_of_the_slice() {
    let lab = lab("defect-2").await;
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&nodes(&["a", "b"])).await);
    let described = value(&slice.all("Describe").await);
    let status = value(&slice.all("Status").await);
    for told in [&described, &status] {
        assert_eq!(told.get("geni_urn"), Some(&slice.urn()));
        assert_eq!(slivers(told).len(), 2);
    }
    assert_eq!(
        manifest(described.get("geni_rspec").unwrap()).nodes.len(),
        2
    );
    assert_eq!(status.get("geni_rspec"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defect_4_every_prefix_of_what_we_write_is_declared() {
    let lab = lab("defect-4").await;
    let slice = Slice::of(&lab, "s");
    let listed = slice.call(3, "ListResources", vec![slice.proof(), options(vec![])]);
    let listed = value(&listed.await);
    let there = Rspec::parse(listed.as_text().unwrap()).unwrap();
    assert_eq!(faults(&there, None), []);
    assert!(there.extra.element(OPSTATE, "rspec_opstate").is_some());
    let asked = request("<node client_id=\"a\" dhcp:lease=\"1\"><dhcp:ip/></node>").replace(
        "<rspec ",
        "<rspec xmlns:dhcp=\"http://example.com/dhcp/req.xsd\" ",
    );
    let made = value(&slice.allocate(&asked).await);
    // That reads it, and finds no fault of any kind.
    let told = manifest(made.get("geni_rspec").unwrap());
    let kept = told.nodes[0]
        .extra
        .element("http://example.com/dhcp/req.xsd", "ip");
    assert!(kept.is_some(), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defect_5_get_version_has_numbers_lists_and_whole_addresses() {
    let lab = lab("defect-5").await;
    for version in [2_u8, 3] {
        let told = value(&lab.call(&lab.alice, version, "GetVersion", vec![]).await);
        assert_eq!(told.get("geni_api"), Some(&Value::Int(version.into())));
        let urls = told.get("geni_api_versions").unwrap();
        for api in ["2", "3"] {
            let url = urls.get(api).unwrap().as_text().unwrap();
            assert_eq!(url, format!("{}/xmlrpc/am/{api}.0", lab.base));
        }
        let types = told.get("geni_credential_types").unwrap();
        let types: Vec<(&str, &str)> = types
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let text = |name: &str| one.get(name).unwrap().as_text().unwrap();
                (text("geni_type"), text("geni_version"))
            })
            .collect();
        assert!(types.contains(&("geni_sfa", "3")), "{types:?}");
    }
}

/// The texts of an answer, and what is between them.
async fn raw(lab: &Lab, version: u8, method: &str, arguments: Vec<Value>) -> String {
    let path = format!("/xmlrpc/am/{version}.0");
    let text = call_text(method, arguments);
    lab.post(&lab.alice, &path, text).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defect_6_nothing_is_nil_and_all_is_ascii_in_the_types_of_old_clients() {
    let lab = lab("defect-6").await;
    let slice = Slice::of(&lab, "s");
    let wide = request(
        "<node client_id=\"a\"><x:b xmlns:x=\"urn:x\">gr\u{f6}\u{df}er \u{1f980}</x:b></node>",
    );
    let kept = "gr\u{f6}\u{df}er \u{1f980}";
    let made = value(&slice.allocate(&wide).await);
    let told = manifest(made.get("geni_rspec").unwrap());
    let element = told.nodes[0].extra.element("urn:x", "b").unwrap();
    assert_eq!(element.text(), kept, "and nothing of it is lost");
    let strange = Value::text("gr\u{f6}\u{df}er");
    for (version, method, arguments) in [
        (2, "GetVersion", vec![]),
        (3, "GetVersion", vec![]),
        (3, "ListResources", vec![slice.proof(), options(vec![])]),
        (3, "ListResources", vec![strange.clone(), options(vec![])]),
        (
            3,
            "Describe",
            vec![slice.urns(), slice.proof(), options(vec![])],
        ),
        (3, "Status", vec![slice.urns(), slice.proof(), none()]),
        (2, "SliverStatus", vec![slice.urn(), slice.proof(), none()]),
        (
            2,
            "SliverStatus",
            vec![strange.clone(), slice.proof(), none()],
        ),
        (2, "DeleteSliver", vec![slice.urn(), slice.proof(), none()]),
    ] {
        let text = raw(&lab, version, method, arguments).await;
        assert!(text.is_ascii(), "{method}: {text}");
        assert!(!text.contains("<nil"), "{method}: {text}");
        assert!(!text.contains("dateTime.iso8601"), "{method}: {text}");
        let compact: String = text.split_whitespace().collect();
        assert!(
            compact.contains("<name>output</name><value><string>"),
            "{method}: {text}"
        );
        assert!(
            compact.contains("<name>geni_code</name><value><int>"),
            "{method}: {text}"
        );
    }
    let text = raw(&lab, 3, "GetVersion", vec![]).await;
    let compact: String = text.split_whitespace().collect();
    assert!(
        compact.contains("<name>geni_single_allocation</name><value><int>0</int>"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defect_7_a_version_of_rspec_that_is_missing_is_1() {
    let lab = lab("defect-7").await;
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&nodes(&["a"])).await);
    for (version, method) in [(2, "ListResources"), (3, "ListResources")] {
        let answer = slice.call(version, method, vec![slice.proof(), none()]);
        refused(method, &answer.await, 1);
    }
    for method in ["Describe", "Provision"] {
        let arguments = vec![slice.urns(), slice.proof(), none()];
        refused(method, &slice.call(3, method, arguments).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defect_8_a_wrong_date_is_1_and_every_date_of_ours_has_its_zone() {
    let lab = lab("defect-8").await;
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&nodes(&["a"])).await);
    for wrong in ["", "tomorrow", "2026-13-45T00:00:00Z", "in 5:00 hours"] {
        let end = || Value::of([("geni_end_time", Value::text(wrong))]);
        let (date, rspec) = (Value::text(wrong), Value::text(nodes(&["b"])));
        let arguments = vec![slice.urn(), slice.proof(), date.clone(), none()];
        refused(wrong, &slice.call(2, "RenewSliver", arguments).await, 1);
        let arguments = vec![slice.urns(), slice.proof(), date, none()];
        refused(wrong, &slice.call(3, "Renew", arguments).await, 1);
        // A wish that is empty is none.
        if !wrong.is_empty() {
            let arguments = vec![slice.urn(), slice.proof(), rspec, end()];
            refused(wrong, &slice.call(3, "Allocate", arguments).await, 1);
        }
    }
    // One without a zone is of UTC, as in credentials.
    let time = Value::text("2026-11-21T21:00:00");
    let arguments = vec![slice.urns(), slice.proof(), time, none()];
    let renewed = value(&slice.call(3, "Renew", arguments).await);
    assert_eq!(slivers(&renewed)[0].expires, "2026-11-21T21:00:00.000Z");
    for sliver in slivers(&value(&slice.all("Status").await)) {
        assert!(sliver.expires.ends_with('Z'), "{sliver:?}");
        assert!(Timestamp::parse(&sliver.expires).is_some(), "{sliver:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defect_9_what_is_no_method_of_the_api_cannot_be_called() {
    let lab = lab("defect-9").await;
    for method in [
        "setDelegate",
        "getDelegate",
        "_dispatch",
        "__init__",
        "system.listMethods",
        "getversion",
        "ListConfigKeys",
        "ChangeConfig",
    ] {
        for version in [2, 3] {
            let text = raw(&lab, version, method, vec![]).await;
            assert!(text.contains("<int>-32601</int>"), "{method}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defect_10_nothing_that_a_document_names_is_fetched_and_it_is_checked_all_the_same() {
    let lab = lab("defect-10").await;
    let slice = Slice::of(&lab, "s");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let there = format!("http://{}", listener.local_addr().unwrap());
    let named = |rspec: String| {
        rspec.replace(
            "<rspec ",
            &format!(
                "<rspec xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
                 xsi:schemaLocation=\"http://www.geni.net/resources/rspec/3 {there}/request.xsd\" "
            ),
        )
    };
    let told = slice.allocate(&named(request("<node/>"))).await;
    refused("a node without client_id", &told, 1);
    let typed = format!(
        "<!DOCTYPE rspec SYSTEM \"{there}/rspec.dtd\">{}",
        nodes(&["a"])
    );
    refused("a document type", &slice.allocate(&typed).await, 1);
    value(&slice.allocate(&named(nodes(&["a"]))).await);
    let came = listener.accept().unwrap_err();
    assert_eq!(came.kind(), Io::WouldBlock);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defect_11_who_asks_at_the_same_moment_gets_no_more_than_there_is() {
    let lab = lab_of("defect-11", together(2), |door| door).await;
    let slice = Slice::of(&lab, "s");
    let many = |of: &str| {
        let names: Vec<String> = (0..600).map(|n| format!("{of}{n}")).collect();
        nodes(&names.iter().map(String::as_str).collect::<Vec<_>>())
    };
    // Each of them has looked before the other one has written.
    let (a, b) = (many("a"), many("b"));
    let (one, other) = tokio::join!(slice.allocate(&a), slice.allocate(&b));
    let mut codes = [code(&one), code(&other)];
    codes.sort_unstable();
    assert_eq!(codes, [0, 6]);
    let all = lab.host.store().resources(&By::All, None, 1000).await;
    assert_eq!(all.unwrap().items.len(), 600);
    // Nor does who has something already get more by another call.
    let later = Value::text("2026-11-22T20:00:00Z");
    let arguments = vec![slice.urns(), slice.proof(), later, none()];
    let answer = slice.call(3, "Renew", arguments).await;
    let latest = refused("Renew for longer than there is", &answer, 19);
    assert_eq!(latest, Value::text("2026-11-21T22:00:00.000Z"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defect_12_what_is_over_ends_and_what_is_not_does_not() {
    let lab = lab("defect-12").await;
    lab.start_engine();
    let (over, other) = (Slice::of(&lab, "s"), Slice::of(&lab, "t"));
    value(&over.allocate(&nodes(&["a"])).await);
    value(&other.allocate(&nodes(&["a"])).await);
    value(&other.all("Provision").await);
    lab.later(Duration::from_secs(601));
    let ended = async || code(&over.all("Status").await) == 12;
    lab.until("what is over ends", ended).await;
    refused("what is over", &over.all("Status").await, 12);
    assert_eq!(slivers(&value(&other.all("Status").await)).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defect_13_what_is_allocated_is_told_to_be_and_what_is_deleted_to_be_gone() {
    let lab = lab("defect-13").await;
    let slice = Slice::of(&lab, "s");
    let allocated = value(&slice.allocate(&nodes(&["a"])).await);
    let before = all("geni_allocated", "geni_pending_allocation", 1);
    assert_eq!(states(&allocated), before);
    for method in ["Status", "Describe"] {
        assert_eq!(states(&value(&slice.all(method).await)), before);
    }
    assert_eq!(slivers(&allocated)[0].expires, "2026-11-21T20:10:00.000Z");
    assert_eq!(
        states(&value(&slice.all("Delete").await)),
        all("geni_unallocated", "geni_pending_allocation", 1)
    );
    refused("what was deleted", &slice.all("Status").await, 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defect_14_work_that_fails_is_done_again() {
    let lab = lab("defect-14").await;
    lab.start_engine();
    let refuses = Fault::Refused(ErrorKind::Unavailable);
    lab.cloud.inject(Rule::next(Verb::Create, refuses).times(2));
    let slice = Slice::of(&lab, "s");
    value(&slice.create(&nodes(&["a"])).await);
    let ready = slice.comes_to("geni_ready").await;
    assert_eq!(slivers(&value(&ready))[0].error, "");
    assert_eq!(lab.cloud.everything(lab.host.env().now()).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defect_15_types_of_several_managers_are_made_by_one_request() {
    let adapters = |all: &mut Registries| {
        register(all).unwrap();
        let serves = Serves {
            kind: Kind::from_static("vm.xen"),
            api: "simx".to_owned(),
            media: Vec::new(),
        };
        let cloud = SimCloud::new(SimConfig::default());
        all.backend::<Node>("simx", serves, cloud as _).unwrap();
    };
    let lab = lab_of("defect-15", adapters, |door| door).await;
    let operator = Caller::operator("root", "ops");
    let catalog = lab.host.catalog();
    let site = NewSite::new("metal", "simx", "https://metal.example.org");
    catalog.add_site(&operator, site).await.unwrap();
    let means = NewCredential {
        tenant: Some(Tenant("lab:one".to_owned())),
        ..NewCredential::new("metal", "metal", serde_json::json!({"account": "geni"}))
    };
    catalog.add_credential(&operator, means).await.unwrap();
    let slice = Slice::of(&lab, "s");
    let node = |name: &str, kind: &str| {
        format!("<node client_id=\"{name}\"><sliver_type name=\"{kind}\"/></node>")
    };
    let both = request(&format!("{}{}", node("a", "lxc"), node("b", "xen")));
    let made = value(&slice.allocate(&both).await);
    let told = manifest(made.get("geni_rspec").unwrap());
    let at: Vec<Option<&str>> = told
        .nodes
        .iter()
        .map(|n| n.component_name.as_deref())
        .collect();
    assert_eq!(at, [Some("rack"), Some("metal")]);
    assert_eq!(slivers(&value(&slice.all("Delete").await)).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defect_16_who_calls_is_known_by_the_certificate_and_by_nothing_else() {
    let lab = lab("defect-16").await;
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&nodes(&["a"])).await);
    for (caller, wanted) in [(&lab.alice, 0), (&lab.bob, 22)] {
        for (method, more) in [("Status", none()), ("Provision", with_users())] {
            let arguments = vec![slice.urns(), slice.proof(), more];
            let answer = lab.call(caller, 3, method, arguments).await;
            assert_eq!(code(&answer), wanted, "{}: {answer:?}", caller.urn);
        }
    }
}
