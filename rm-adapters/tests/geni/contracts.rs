//! Who fulfils which contract, and which versions are spoken for it.

use rm_core::registry::Registries;

use super::clusters::node;
use super::lab::{code, lab, lab_of};
use super::slice::{Slice, none, request, value};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_version_is_spoken_where_something_fulfils_its_contract() {
    let lab = lab("contracts").await;
    let names = lab.host.adapters().names();
    for contract in ["geni.slice.v2", "geni.slice.v3"] {
        assert!(names.contains(&(contract, "geni.slices")), "{names:?}");
    }
    let slivers = names.iter().filter(|(c, _)| *c == "geni.sliver");
    let slivers: Vec<&str> = slivers.map(|(_, adapter)| *adapter).collect();
    assert_eq!(slivers, ["geni.clusters", "geni.nodes"]);

    let none_of = |_: &mut Registries| {};
    let bare = lab_of("no-contracts", none_of, |door| door).await;
    let version = value(&bare.call(&bare.alice, 3, "GetVersion", vec![]).await);
    assert_eq!(version.get("geni_api_versions"), Some(&none()));
    let slice = Slice::of(&bare, "s");
    let answer = slice.allocate(&request(&node("a"))).await;
    assert_eq!(code(&answer), 13, "{answer:?}");
}
