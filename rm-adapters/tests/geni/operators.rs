//! What operators of other aggregates had to live with, each by the aggregate
//! that it was read in.

use std::sync::Arc;
use std::time::Duration;

use rm_adapters::geni::register;
use rm_adapters::geni::xmlrpc::Value;
use rm_core::ErrorKind;
use rm_core::model::NodeSpec;
use rm_core::store::By;
use rm_testkit::{Fault, Rule, Verb};

use super::complaints::{output, reason};
use super::lab::lab;
use super::slice::{AM, Slice, manifest, nodes, none, request, slivers, states, value};
use super::table::refused;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_gram_a_renewal_outlasts_the_process_and_a_new_one_deletes_nothing() {
    let mut lab = lab("gram-restart").await;
    lab.start_engine();
    let before = {
        let slice = Slice::of(&lab, "s");
        value(&slice.create(&nodes(&["a", "b"])).await);
        slice.comes_to("geni_ready").await;
        let time = Value::text("2026-11-25T20:00:00Z");
        let arguments = vec![slice.urns(), slice.proof(), time, none()];
        value(&slice.call(3, "Renew", arguments).await);
        slivers(&value(&slice.all("Status").await))
    };
    let things = lab.cloud.everything(lab.host.env().now()).len();
    lab.restart().await;
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    lab.later(Duration::from_secs(120));
    slice.comes_to("geni_ready").await;
    assert_eq!(slivers(&value(&slice.all("Status").await)), before);
    assert_eq!(before[0].expires, "2026-11-25T20:00:00.000Z");
    assert_eq!(lab.cloud.everything(lab.host.env().now()).len(), things);
    assert_eq!(lab.cloud.count(Verb::Destroy), 0);
}

/// The host was started again while the aggregate was away: of two things one is
/// not there any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_gram_what_is_not_as_it_is_known_after_a_restart_costs_nothing_else() {
    let mut lab = lab("gram-mismatch").await;
    lab.start_engine();
    let before = {
        let slice = Slice::of(&lab, "s");
        value(&slice.create(&nodes(&["a", "b"])).await);
        slice.comes_to("geni_ready").await;
        slivers(&value(&slice.all("Status").await))
    };
    let now = lab.host.env().now();
    let things = lab.cloud.things("rack", now);
    let (lost, stays) = (&things[0], &things[1]);
    lab.stop.send_replace(true);
    lab.cloud.vanish("rack", &lost.id, now);
    lab.restart().await;
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    lab.later(Duration::from_secs(120));
    // What is lost is told to be, and the other is let alone.
    let told = async || {
        let mut told = slivers(&value(&slice.all("Status").await));
        assert_eq!(told.len(), 2, "{told:?}");
        told.sort_by(|a, b| a.operational.cmp(&b.operational));
        told
    };
    lab.until("one is told to have failed", async || {
        told().await[0].operational == "geni_failed"
    })
    .await;
    let after = told().await;
    assert!(!after[0].error.is_empty(), "{after:?}");
    assert_eq!(after[1].operational, "geni_ready");
    assert!(before.contains(&after[1]), "{after:?}");
    let now = lab.cloud.things("rack", lab.host.env().now());
    assert!(now.iter().any(|thing| thing.id == stays.id), "{now:?}");
    assert_eq!(lab.cloud.count(Verb::Destroy), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_gram_what_cannot_be_ended_does_not_keep_others_from_ending() {
    let lab = lab("gram-expiry").await;
    lab.start_engine();
    let (first, second) = (Slice::of(&lab, "s"), Slice::of(&lab, "t"));
    for slice in [&first, &second] {
        value(&slice.create(&nodes(&["a"])).await);
        slice.comes_to("geni_ready").await;
        let soon = Value::text("2026-11-21T21:00:00Z");
        let arguments = vec![slice.urns(), slice.proof(), soon, none()];
        value(&slice.call(3, "Renew", arguments).await);
    }
    let refuses = Fault::Refused(ErrorKind::Unavailable);
    lab.cloud.inject(Rule::next(Verb::Destroy, refuses));
    lab.later(Duration::from_secs(2 * 3600));
    let gone = async || lab.cloud.everything(lab.host.env().now()).is_empty();
    lab.until("nothing is left at the site", gone).await;
    for slice in [&first, &second] {
        refused("what is over", &slice.all("Status").await, 12);
    }
}

/// Delete writes down what is wanted and is answered at once: it is no sliver any
/// more. What will not go is told by Status, which says why, and to the operator,
/// and it counts as long as it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_gram_what_cannot_be_deleted_is_seen_by_all_it_concerns_until_it_is_gone() {
    let lab = lab("gram-delete").await;
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    value(&slice.create(&nodes(&["a"])).await);
    slice.comes_to("geni_ready").await;
    let refuses = Fault::Refused(ErrorKind::Forbidden);
    lab.cloud
        .inject(Rule::next(Verb::Destroy, refuses).always());
    let deleted = value(&slice.all("Delete").await);
    assert_eq!(
        states(&deleted),
        super::slice::all("geni_unallocated", "geni_pending_allocation", 1)
    );
    refused("what was deleted", &slice.all("Status").await, 12);
    let operator = rm_core::Caller::operator("root", "ops");
    let held = async || {
        let page = lab.host.quarantine().list(&operator, None, 10).await;
        page.unwrap().items
    };
    lab.until("the operator sees it", async || held().await.len() == 1)
        .await;
    assert_eq!(lab.cloud.everything(lab.host.env().now()).len(), 1);
    assert_eq!(super::clusters::charged(&slice).await, 1);

    // Its owner sees it, by both versions, of the slice and by its name.
    let urn = slivers(&deleted)[0].urn.clone();
    let by_name = vec![
        Value::Array(vec![Value::text(urn.as_str())]),
        slice.proof(),
        none(),
    ];
    for answer in [
        slice.all("Status").await,
        slice.call(3, "Status", by_name.clone()).await,
    ] {
        let told = slivers(&value(&answer));
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].urn, urn);
        assert_eq!(told[0].allocation, "geni_unallocated");
        assert_eq!(told[0].operational, "geni_failed");
        assert!(
            told[0].expires.ends_with('Z'),
            "clients read a date: {told:?}"
        );
        let error = &told[0].error;
        assert!(error.contains("deleted and does not go"), "{error}");
        assert!(error.contains("an operator"), "{error}");
    }
    let status = vec![slice.urn(), slice.proof(), none()];
    let told = value(&slice.call(2, "SliverStatus", status).await);
    assert_eq!(told.get("geni_status"), Some(&Value::text("failed")));
    // It is nothing that anything can be done with, and keeps no name.
    refused("Delete again", &slice.all("Delete").await, 12);
    refused(
        "Delete by name",
        &slice.call(3, "Delete", by_name.clone()).await,
        12,
    );
    value(&slice.create(&nodes(&["a"])).await);
    let told = slivers(&value(&slice.all("Status").await));
    assert_eq!((told.len(), &told[1].urn), (2, &urn));
    // Another slice's is told to nobody else.
    let other = Slice::of(&lab, "t");
    refused("another slice", &other.all("Status").await, 12);
    // When the operator has ended it, it is gone for all of them.
    let id = held().await[0].id;
    let quarantine = lab.host.quarantine();
    quarantine.abandon(&operator, id, "by hand").await.unwrap();
    let gone = async || slivers(&value(&slice.all("Status").await)).len() == 1;
    lab.until("it is gone", gone).await;
    let answer = slice.call(3, "Status", by_name).await;
    refused("what is gone", &answer, 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_gram_shutdown_can_be_called_and_what_it_stops_is_not_deleted() {
    let lab = lab("gram-shutdown").await;
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    value(&slice.create(&nodes(&["a"])).await);
    slice.comes_to("geni_ready").await;
    let arguments = vec![slice.urn(), slice.proof(), none()];
    let answer = slice.call(3, "Shutdown", arguments).await;
    assert_eq!(value(&answer), Value::Bool(true));
    slice.comes_to("geni_notready").await;
    assert_eq!(lab.cloud.everything(lab.host.env().now()).len(), 1);
    refused("Delete of what is shut down", &slice.all("Delete").await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_gram_failures_of_the_site_have_codes_of_their_own() {
    let lab = super::clusters::with_web("gram-codes").await;
    let slice = Slice::of(&lab, "s");
    let web = request(&super::clusters::web("b", 1));
    for (fault, wanted) in [
        (Fault::Refused(ErrorKind::Unavailable), 11),
        (Fault::Refused(ErrorKind::NoCapacity), 26),
        (Fault::Refused(ErrorKind::RateLimited), 14),
        (Fault::Refused(ErrorKind::Credential), 2),
        (Fault::Refused(ErrorKind::Unsupported), 13),
    ] {
        lab.cloud.inject(Rule::next(Verb::Offers, fault));
        refused(
            fault.as_str(),
            &slice.allocate(&nodes(&["a"])).await,
            wanted,
        );
        lab.cloud.inject(Rule::next(Verb::Offers, fault));
        refused(fault.as_str(), &slice.allocate(&web).await, wanted);
    }
    value(&slice.allocate(&nodes(&["a"])).await);
    refused("POA", &slice.act("geni_start").await, 13);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_gram_what_a_request_says_is_one_word_of_a_command() {
    let lab = lab("gram-shell").await;
    let slice = Slice::of(&lab, "s");
    let hostile = "/tmp/x'; rm -rf / #";
    let rspec = request(&format!(
        "<node client_id=\"a\"><services><install url=\"{hostile}\" install_path=\"{hostile}\"/>\
         <execute shell=\"sh\" command=\"{hostile}\"/></services></node>"
    ));
    value(&slice.allocate(&rspec).await);
    let all = lab.host.store().resources(&By::All, None, 10).await;
    let spec: NodeSpec = all.unwrap().items[0].record.place.spec.read().unwrap();
    let quoted = "'/tmp/x'\\''; rm -rf / #'";
    for command in &spec.boot_commands {
        let rest = command.replace(quoted, "WORD");
        assert!(!rest.contains("rm -rf"), "{command}");
    }
    assert_eq!(spec.boot_commands[1], format!("sh -c {quoted}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_gram_a_login_tells_the_address_and_nobody_is_asked_for_its_name() {
    let lab = lab("gram-login").await;
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    value(&slice.create(&nodes(&["a"])).await);
    slice.comes_to("geni_ready").await;
    let described = value(&slice.all("Describe").await);
    for node in manifest(described.get("geni_rspec").unwrap()).nodes {
        let login = &node.services[0].logins[0];
        let address = login.hostname.as_deref().unwrap();
        assert!(address.parse::<std::net::IpAddr>().is_ok(), "{address}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_docker_am_a_component_manager_that_is_mistyped_is_named() {
    let lab = lab("docker-am").await;
    let slice = Slice::of(&lab, "s");
    let rspec = request(&format!(
        "<node client_id=\"a\" component_manager_id=\"{AM}x\"/>"
    ));
    let answer = slice.allocate(&rspec).await;
    refused("a typing error", &answer, 1);
    assert_eq!(reason(&answer), "nothing-for-us");
    assert!(output(&answer).contains(&format!("component_manager_id={AM:?}")));
    // And the slice is not stuck.
    refused("nothing here", &slice.all("Delete").await, 12);
    value(&slice.allocate(&nodes(&["a"])).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_docker_am_what_was_asked_for_outlasts_the_process() {
    let mut lab = lab("docker-am-lost").await;
    {
        let slice = Slice::of(&lab, "s");
        value(&slice.allocate(&nodes(&["a"])).await);
    }
    let store = Arc::clone(lab.host.store());
    lab.restart_with(store, |all| register(all).unwrap()).await;
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    value(&slice.all("Provision").await);
    value(&slice.act("geni_start").await);
    slice.comes_to("geni_ready").await;
    assert_eq!(states(&value(&slice.all("Status").await)).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_ocf_114_166_184_198_what_breaks_is_told_and_can_be_deleted() {
    let lab = lab("ocf-114").await;
    lab.start_engine();
    lab.cloud
        .inject(Rule::next(Verb::Create, Fault::FailsLater));
    let slice = Slice::of(&lab, "s");
    value(&slice.create(&nodes(&["a"])).await);
    // It is not "creating..." for ever.
    let told = slice.comes_to("geni_failed").await;
    let told = slivers(&value(&told));
    assert!(!told[0].error.is_empty(), "{told:?}");
    let arguments = vec![slice.urn(), slice.proof(), none()];
    let status = value(&slice.call(2, "SliverStatus", arguments.clone()).await);
    assert_eq!(status.get("geni_status"), Some(&Value::text("failed")));
    let deleted = slice.call(2, "DeleteSliver", arguments).await;
    assert_eq!(value(&deleted), Value::Bool(true));
    let gone = async || lab.cloud.everything(lab.host.env().now()).is_empty();
    lab.until("nothing is left at the site", gone).await;
    value(&slice.create(&nodes(&["a"])).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_ocf_114_a_site_that_is_away_for_a_while_leaves_nothing_stuck() {
    let lab = lab("ocf-away").await;
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&nodes(&["a"])).await);
    lab.cloud.down("rack", true);
    value(&slice.all("Provision").await);
    lab.later(Duration::from_secs(5));
    tokio::time::sleep(Duration::from_millis(100)).await;
    lab.cloud.down("rack", false);
    slice.comes_to("geni_notready").await;
    value(&slice.act("geni_start").await);
    slice.comes_to("geni_ready").await;
}
