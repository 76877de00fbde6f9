//! The rows of the table of bad input that ask for more than there is.

use rm_adapters::geni::register;
use rm_adapters::geni::xmlrpc::Value;
use rm_testkit::{SimConfig, Verb};

use super::kinds::told_together;
use super::lab::{code, lab, lab_at};
use super::slice::{Slice, nodes, slivers, value};
use super::table::{ask, kept, refused};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_too_many_nodes_is_told_with_counts() {
    let small = SimConfig {
        nodes: Some(2),
        ..SimConfig::default()
    };
    let lab = lab_at("row-many", small, |all| register(all).unwrap(), |door| door).await;
    let slice = Slice::of(&lab, "s");
    for answer in ask(&slice, &nodes(&["a", "b", "c"])).await {
        let hint = refused("too many nodes", &answer, 26);
        assert_eq!(hint.get("requested"), Some(&Value::Int(3)));
        assert_eq!(hint.get("available"), Some(&Value::Int(2)));
    }
    assert_eq!(kept(&lab).await, (0, 0));
    // What is allocated has its room, although nothing is made yet.
    value(&slice.allocate(&nodes(&["a"])).await);
    let other = Slice::of(&lab, "t");
    for answer in ask(&other, &nodes(&["a", "b"])).await {
        let hint = refused("too many nodes", &answer, 26);
        assert_eq!(hint.get("available"), Some(&Value::Int(1)));
    }
    assert_eq!(code(&other.create(&nodes(&["a"])).await), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_are_told_of_the_same_room_one_gets_it_and_the_other_is_told_what_is_left() {
    let small = SimConfig {
        nodes: Some(3),
        ..SimConfig::default()
    };
    let lab = lab_at("row-raced", small.clone(), told_together(2), |door| door).await;
    let slices = ["s", "t"].map(|name| Slice::of(&lab, name));
    let rspec = nodes(&["a", "b"]);
    let asked = slices.iter().map(|slice| slice.allocate(&rspec));
    let mut answers = futures_util::future::join_all(asked).await;
    answers.sort_by_key(code);
    value(&answers[0]);
    let hint = refused("given to another", &answers[1], 26);
    assert_eq!(hint.get("requested"), Some(&Value::Int(2)));
    assert_eq!(hint.get("available"), Some(&Value::Int(1)));
    // Who asks for no more than is left is not refused because of others.
    let lab = lab_at("row-raced-both", small, told_together(2), |door| door).await;
    let (two, one) = (Slice::of(&lab, "s"), Slice::of(&lab, "t"));
    let one_node = nodes(&["a"]);
    let (two, one) = tokio::join!(two.allocate(&rspec), one.allocate(&one_node));
    assert_eq!([code(&two), code(&one)], [0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_more_than_the_quota_allows_is_told_with_the_counts() {
    let lab = lab("row-quota").await;
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&nodes(&["here"])).await);
    let names: Vec<String> = (0..1000).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let asked = lab.cloud.count(Verb::Offers);
    let answer = slice.allocate(&nodes(&names)).await;
    // No site is asked for what may not be had.
    assert_eq!(lab.cloud.count(Verb::Offers), asked);
    assert_eq!(code(&answer), 6, "{answer:?}");
    let told = answer.get("value").unwrap();
    assert_eq!(told.get("limit"), Some(&Value::Int(1000)));
    assert_eq!(told.get("used"), Some(&Value::Int(1)));
    let output = answer.get("output").unwrap().as_text().unwrap();
    assert!(output.contains("1000 resources"), "{output}");
    assert_eq!(slivers(&value(&slice.all("Status").await)).len(), 1);
}
