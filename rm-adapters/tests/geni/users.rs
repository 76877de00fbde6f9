//! Who logs in to what runs.

use std::sync::atomic::Ordering;

use rm_adapters::geni::register;
use rm_adapters::geni::xmlrpc::Value;
use rm_core::backend::{Resize, Serves};
use rm_core::catalog::NewSite;
use rm_core::model::Node;
use rm_core::registry::Registries;
use rm_core::{Caller, ErrorKind, Kind};
use rm_testkit::{Fault, Rule, SimCloud, SimConfig, Verb};

use super::clusters::node;
use super::lab::{code, lab, lab_of, options, sfa};
use super::slice::{Slice, manifest, nodes, none, request, slivers, value};

const KEY: &str = "ssh-ed25519 BBBB bob@x";

/// That bob alone logs in, with these keys.
fn bob(keys: Vec<Value>) -> Value {
    let bob = Value::of([
        ("urn", Value::text("urn:publicid:IDN+lab:one+user+bob")),
        ("keys", Value::Array(keys)),
    ]);
    Value::of([("geni_users", Value::Array(vec![bob]))])
}

async fn update(slice: &Slice<'_>, options: Value) -> Value {
    let word = Value::text("geni_update_users");
    let arguments = vec![slice.urns(), slice.proof(), word, options];
    slice.call(3, "PerformOperationalAction", arguments).await
}

/// Who logs in to each node, as the manifest tells.
async fn users(slice: &Slice<'_>) -> Vec<String> {
    let described = value(&slice.all("Describe").await);
    let told = manifest(described.get("geni_rspec").unwrap());
    let logins = told.nodes.iter().flat_map(|n| &n.services[0].logins);
    logins
        .map(|login| login.username.as_deref().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_in_to_a_running_node_is_changed_where_its_host_can() {
    let lab = lab("update-users").await;
    lab.evening.2.store(20, Ordering::SeqCst);
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    value(&slice.create(&request(&node("a"))).await);
    slice.comes_to("geni_ready").await;
    let update = async |options: Value| update(&slice, options).await;
    let key = || vec![Value::text(KEY)];
    // This host cannot.
    let answer = update(bob(key())).await;
    assert_eq!(code(&answer), 13, "{answer:?}");
    let offered = async || {
        let mine = Value::Array(vec![sfa(&lab.user_credential(&lab.alice))]);
        let arguments = vec![mine, options(vec![])];
        let answer = lab.call(&lab.alice, 3, "ListResources", arguments).await;
        value(&answer)
            .as_text()
            .unwrap()
            .contains("geni_update_users")
    };
    assert!(!offered().await);

    // Nor where another change would make another node of it.
    lab.cloud.declare(|capability| {
        capability.users = true;
        capability.resize = Resize::Replace;
    });
    assert_eq!(code(&update(bob(key())).await), 13);
    assert!(!offered().await);

    // And now it can.
    lab.cloud
        .declare(|capability| capability.resize = Resize::InPlace);
    assert!(offered().await);
    assert_eq!(code(&update(none()).await), 1);
    assert_eq!(code(&update(bob(vec![Value::Int(1)])).await), 1);
    assert_eq!(code(&update(bob(vec![Value::text("x")])).await), 1);
    let updating = slivers(&value(&update(bob(key())).await));
    assert_eq!(updating[0].operational, "geni_updating_users");
    let status = slice.call(2, "SliverStatus", vec![slice.urn(), slice.proof(), none()]);
    let status = value(&status.await);
    assert_eq!(status.get("geni_status"), Some(&Value::text("ready")));
    slice.comes_to("geni_ready").await;
    let described = value(&slice.all("Describe").await);
    let told = manifest(described.get("geni_rspec").unwrap());
    let logins = &told.nodes[0].services[0].logins;
    assert_eq!(logins.len(), 1);
    assert_eq!(logins[0].username.as_deref(), Some("bob"));
    // What its host refuses is taken back, and told.
    let refuses = Fault::Refused(ErrorKind::Invalid);
    lab.cloud.inject(Rule::next(Verb::Change, refuses));
    value(&update(bob(vec![Value::text("ssh-ed25519 CCCC bob@x")])).await);
    lab.until("it is taken back", async || {
        let told = slivers(&value(&slice.all("Status").await)).remove(0);
        told.operational == "geni_ready" && told.error.contains("was refused")
    })
    .await;
    // Only what runs can be changed like that.
    value(&slice.act("geni_stop").await);
    slice.comes_to("geni_notready").await;
    assert_eq!(code(&update(bob(key())).await), 13);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_one_guest_does_not_take_who_logs_in_that_is_told_and_can_be_asked_again() {
    let lab = lab("update-some").await;
    lab.evening.2.store(20, Ordering::SeqCst);
    lab.cloud.declare(|capability| capability.users = true);
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    value(&slice.create(&nodes(&["a", "b"])).await);
    slice.comes_to("geni_ready").await;
    let refuses = Fault::Refused(ErrorKind::Invalid);
    lab.cloud.inject(Rule::next(Verb::Change, refuses));
    value(&update(&slice, bob(vec![Value::text(KEY)])).await);
    let told = slivers(&value(&slice.comes_to("geni_ready").await));
    let errors: Vec<&str> = told
        .iter()
        .map(|s| &*s.error)
        .filter(|e| !e.is_empty())
        .collect();
    let [error] = errors[..] else {
        panic!("{told:?}")
    };
    // Nobody can say what the guest has done of it: what to do is told.
    assert!(error.contains("was refused"), "{error}");
    assert!(
        error.contains("ask for the same users once more"),
        "{error}"
    );
    let mut who = users(&slice).await;
    who.sort_unstable();
    assert_eq!(who, ["alice", "bob"]);

    value(&update(&slice, bob(vec![Value::text(KEY)])).await);
    let told = slivers(&value(&slice.comes_to("geni_ready").await));
    assert!(told.iter().all(|s| s.error.is_empty()), "{told:?}");
    assert_eq!(users(&slice).await, ["bob", "bob"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_who_logs_in_is_taken_back_while_it_is_under_way_and_only_then() {
    let lab = lab("update-cancel").await;
    lab.evening.2.store(20, Ordering::SeqCst);
    lab.cloud.declare(|capability| capability.users = true);
    lab.start_engine();
    let slice = Slice::of(&lab, "s");
    value(&slice.create(&nodes(&["a"])).await);
    slice.comes_to("geni_ready").await;
    let cancel = async || slice.act("geni_updating_users_cancel").await;
    // There is nothing to take back.
    assert_eq!(code(&cancel().await), 13);
    let away = Fault::Refused(ErrorKind::Unavailable);
    lab.cloud.inject(Rule::next(Verb::Change, away).times(2));
    let updating = value(&update(&slice, bob(vec![Value::text(KEY)])).await);
    assert_eq!(slivers(&updating)[0].operational, "geni_updating_users");
    let told = slivers(&value(&cancel().await)).remove(0);
    assert_ne!(told.operational, "geni_updating_users");
    slice.comes_to("geni_ready").await;
    assert_eq!(users(&slice).await, ["alice"]);
    assert_eq!(code(&cancel().await), 13);
    // Nor before it is made.
    let slice = Slice::of(&lab, "t");
    value(&slice.allocate(&nodes(&["a"])).await);
    let answer = slice.act("geni_updating_users_cancel").await;
    assert_eq!(code(&answer), 13, "{answer:?}");
}

/// What is told of a type is told of it at every component.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_users_can_be_changed_is_told_where_every_site_of_the_type_can() {
    let adapters = |all: &mut Registries| {
        register(all).unwrap();
        let serves = Serves {
            kind: Kind::from_static("vm.lxc"),
            api: "simx".to_owned(),
            media: Vec::new(),
        };
        let cloud = SimCloud::new(SimConfig::default());
        all.backend::<Node>("simx", serves, cloud as _).unwrap();
    };
    let lab = lab_of("update-sites", adapters, |door| door).await;
    lab.cloud.declare(|capability| capability.users = true);
    let told = async || {
        let mine = Value::Array(vec![sfa(&lab.user_credential(&lab.alice))]);
        let arguments = vec![mine, options(vec![])];
        let answer = lab.call(&lab.alice, 3, "ListResources", arguments).await;
        let text = value(&answer).as_text().unwrap().to_owned();
        ["geni_update_users", "geni_updating_users_cancel"].map(|word| text.contains(word))
    };
    assert_eq!(told().await, [true, true]);
    let operator = Caller::operator("root", "ops");
    let site = NewSite::new("metal", "simx", "https://metal.example.org");
    lab.host.catalog().add_site(&operator, site).await.unwrap();
    assert_eq!(told().await, [false, false]);
}
