//! What an experimenter sees of a sliver in quarantine.

use rm_adapters::geni::xmlrpc::Value;
use rm_core::Caller;
use rm_core::backend::CreateKey;
use rm_testkit::{Fault, Rule, Verb};

use super::complaints::{output, reason};
use super::lab::lab;
use super::slice::{Slice, nodes, none, slivers, value};
use super::table::refused;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sliver_in_quarantine_says_so_and_goes_on_when_it_is_led_out() {
    let lab = lab("held").await;
    lab.cloud.declare(|c| c.create_key = CreateKey::None);
    let lost = Rule::next(Verb::Create, Fault::LostBefore);
    lab.cloud.inject(lost);
    lab.start_engine();
    let slice = Slice::of(&lab, "held");
    value(&slice.create(&nodes(&["a"])).await);
    let told = value(&slice.comes_to("geni_failed").await);
    let error = slivers(&told).remove(0).error;
    assert!(error.contains("in quarantine"), "{error}");
    assert!(error.contains("nobody can tell"), "{error}");
    let arguments = vec![slice.urn(), slice.proof(), none()];
    let status = value(&slice.call(2, "SliverStatus", arguments).await);
    let resources = status.get("geni_resources").unwrap().as_array().unwrap();
    let told = resources[0].get("geni_error").unwrap();
    assert_eq!(told.as_text(), Some(&*error));

    let operator = Caller::operator("root", "ops");
    let held = lab.host.quarantine();
    let page = held.list(&operator, None, 10).await.unwrap();
    held.retry(&operator, page.items[0].id).await.unwrap();
    slice.comes_to("geni_ready").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_says_which_sliver_may_still_run_and_is_true_when_the_operator_has_ended_it() {
    let lab = lab("held-shut").await;
    lab.cloud.declare(|c| c.create_key = CreateKey::None);
    let lost = Rule::next(Verb::Create, Fault::LostBefore);
    lab.cloud.inject(lost);
    lab.start_engine();
    let slice = Slice::of(&lab, "held");
    value(&slice.create(&nodes(&["a"])).await);
    let told = value(&slice.comes_to("geni_failed").await);
    let shutdown = async || {
        let arguments = vec![slice.urn(), slice.proof(), none()];
        slice.call(3, "Shutdown", arguments).await
    };
    // As often as it is called, and from the first time on it is shut.
    for _ in 0..2 {
        let answer = shutdown().await;
        refused("Shutdown of what is in quarantine", &answer, 13);
        assert_eq!(reason(&answer), "still-runs");
        assert!(output(&answer).contains(&slivers(&told)[0].urn));
        refused("Delete of what is shut down", &slice.all("Delete").await, 3);
    }

    let operator = Caller::operator("root", "ops");
    let held = lab.host.quarantine();
    let page = held.list(&operator, None, 10).await.unwrap();
    let id = page.items[0].id;
    held.abandon(&operator, id, "looked at").await.unwrap();
    assert_eq!(value(&shutdown().await), Value::Bool(true));
}
