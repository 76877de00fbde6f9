use serde_json::json;

use super::*;
use crate::catalog::Script;
use crate::id::CatalogId;
use crate::nodes::NodesBody;
use crate::registry::Media;

fn role(name: &str, count: Value) -> Value {
    json!({"name": name, "count": count, "node": {"image": "i", "vcpus": 1, "memory_mib": 64}})
}

fn usual() -> Value {
    json!({"roles": [role("slave", json!("slaves")), role("master", json!(1))], "master": "master"})
}

fn read(body: &Value) -> Result<Body> {
    Body::read(&body.to_string())
}

/// Refused, with these words.
#[track_caller]
fn refused(body: &Value, words: &str) {
    let e = read(body).unwrap_err();
    assert!(e.to_string().contains(words), "{e}");
    assert!(e.next().is_some(), "{e} says nothing of what to do");
}

fn spec(slaves: u32) -> ClusterSpec {
    ClusterSpec {
        appliance: "a".to_owned(),
        implementation: CatalogId(uuid::Uuid::nil()),
        revision: 1,
        slaves,
        others: 0,
        users: Vec::new(),
        parameters: BTreeMap::new(),
        ready_port: None,
        images: BTreeMap::new(),
    }
}

fn image() -> NodeImage {
    NodeImage {
        name: "i".to_owned(),
        sha256: "00".to_owned(),
    }
}

fn slot(role: &str, index: u32) -> Slot {
    Slot {
        role: role.to_owned(),
        index,
    }
}

#[test]
fn the_master_comes_first_and_slaves_as_many_as_are_asked_for() {
    let body = read(&usual()).unwrap();
    let slots = body.slots(2).unwrap();
    assert_eq!(
        slots,
        [slot("master", 1), slot("slave", 1), slot("slave", 2)]
    );
    assert_eq!(body.slots(0).unwrap(), [slot("master", 1)]);
    assert_eq!(body.others(), 0);
}

#[test]
fn counts_are_numbers_slaves_or_both() {
    for count in [json!("1 + slaves"), json!("slaves+1")] {
        let body = json!({"roles": [role("n", count), role("db", json!(2))], "master": "n"});
        let body = read(&body).unwrap();
        assert_eq!(body.slots(3).unwrap().len(), 6);
        assert_eq!(body.others(), 2);
    }
    for count in [
        json!("2 slaves"),
        json!("slaves + slaves"),
        json!(-1),
        json!(null),
    ] {
        let body = json!({"roles": [role("n", count)], "master": "n"});
        refused(&body, "a count is a number");
    }
}

#[test]
fn what_could_never_become_a_cluster_is_refused_and_says_why() {
    let with = |at: &str, value: Value| {
        let mut body = usual();
        *body.pointer_mut(at).unwrap() = value;
        body
    };
    refused(
        &with("/master", json!("boss")),
        "no role is called \"boss\"",
    );
    refused(&with("/roles/1/count", json!(0)), "may have no node");
    refused(&with("/roles/0/count", json!(0)), "it has no node");
    refused(
        &with("/roles/1/count", json!("1 + slaves")),
        "two roles have as many",
    );
    refused(
        &with("/roles/1/count", json!(501)),
        "501 nodes, and 500 are the most",
    );
    refused(
        &with("/roles/0/name", json!("master")),
        "two roles are called",
    );
    refused(&with("/roles/0/node/vcpus", json!(0)), "needs a processor");
    refused(&json!({"roles": [], "master": "m"}), "no role is called");
    let mut unknown = usual();
    unknown["roles"][0]["node"]["memory_mb"] = json!(3);
    refused(&unknown, "unknown field `memory_mb`");
    let mut two = usual();
    two["roles"][0]["node"]["interfaces"] = json!([{"addresses": ["10.0.0.5/24"]}]);
    refused(&two, "one address");
    let mut none = json!({"roles": [role("m", json!(1))], "master": "m", "default_slaves": 1});
    refused(&none, "no role has slaves");
    none["default_slaves"] = json!(null);
    let e = read(&none).unwrap().slots(1).unwrap_err();
    assert!(e.to_string().contains("this appliance has none"), "{e}");
    assert!(Body::read("[[], \"m\"]").is_err());
}

#[test]
fn references_are_checked_when_the_body_is_uploaded() {
    let with = |role: usize, command: &str| {
        let mut body = usual();
        body["parameters"] = json!({"greeting": "hello"});
        body["roles"][role]["node"]["boot_commands"] = json!([command]);
        body
    };
    assert!(
        read(&with(
            0,
            "echo {{greeting}} {{master_ip}} {{index}} {{slaves}}"
        ))
        .is_ok()
    );
    refused(&with(0, "echo {{greting}}"), "did you mean {{greeting}}?");
    refused(&with(0, "echo {{master_ip"), "without end");
    refused(
        &with(1, "echo {{master_ip}}"),
        "not known before it is made",
    );
    let mut body = usual();
    body["parameters"] = json!({"index": "1"});
    refused(&body, "a meaning of its own");
}

#[test]
fn texts_are_filled_in_for_each_node() {
    let mut body = usual();
    body["parameters"] = json!({"greeting": "hello"});
    body["ready_port"] = json!(80);
    body["outputs"] = json!({"url": "http://{{master_ip}}/"});
    body["roles"][0]["node"]["hostname"] = json!("s{{index}}");
    body["roles"][0]["node"]["boot_commands"] = json!(["{{greeting}} {{master_ip}} of {{slaves}}"]);
    let body = read(&body).unwrap();
    assert!(body.waits(&slot("slave", 1)) && !body.waits(&slot("master", 1)));
    let mut spec = spec(2);
    let made = |spec: &ClusterSpec| {
        body.node(&slot("slave", 2), spec, image(), Some("10.0.0.1"))
            .unwrap()
    };
    let node = made(&spec);
    assert_eq!(node.hostname.as_deref(), Some("s2"));
    assert_eq!(node.boot_commands, ["hello 10.0.0.1 of 2"]);
    assert_eq!(node.ready_port, None);
    spec.parameters.insert("greeting".to_owned(), json!(7));
    assert_eq!(made(&spec).boot_commands, ["7 10.0.0.1 of 2"]);
    let master = body.node(&slot("master", 1), &spec, image(), None).unwrap();
    assert_eq!(master.ready_port, Some(80));
    let outputs = body.outputs(&spec, Some("10.0.0.1")).unwrap();
    assert_eq!(outputs["url"], "http://10.0.0.1/");
}

#[test]
fn only_declared_parameters_are_accepted() {
    let mut body = usual();
    body["parameters"] = json!({"greeting": "hello"});
    let text = body.to_string();
    let given = |name: &str, value: Value| BTreeMap::from([(name.to_owned(), value)]);
    assert!(
        NodesBody
            .accepts(&text, &given("greeting", json!("x")))
            .is_ok()
    );
    let e = NodesBody
        .accepts(&text, &given("greetin", json!("x")))
        .unwrap_err();
    assert!(e.to_string().contains("did you mean \"greeting\"?"), "{e}");
    let e = NodesBody
        .accepts(&text, &given("greeting", json!([1])))
        .unwrap_err();
    assert!(e.to_string().contains("not one value"), "{e}");
}

#[test]
fn parameters_that_are_too_long_together_are_refused() {
    let mut body = usual();
    body["parameters"] = json!({"a": "", "b": ""});
    let text = body.to_string();
    let given = |bytes: usize| {
        let half = json!("x".repeat(bytes / 2));
        let all = [("a".to_owned(), half.clone()), ("b".to_owned(), half)];
        NodesBody.accepts(&text, &BTreeMap::from(all))
    };
    assert!(given(60 << 10).is_ok());
    for bytes in [64 << 10, 1 << 20] {
        let e = given(bytes).unwrap_err();
        assert_eq!(e.stable_code(), "parameters-too-long");
        assert!(e.next().is_some(), "{e}");
    }
}

#[test]
fn a_parameter_in_the_environment_is_one_word_to_the_shell() {
    let mut body = usual();
    body["parameters"] = json!({"greeting": "hello"});
    body["roles"][0]["node"]["boot_commands"] = json!(["echo \"$GREETING\""]);
    let body = with(&body, &[], json!({"GREETING": "{{greeting}}"}));
    let mut spec = spec(1);
    let mean = json!("'; reboot; $(id)");
    spec.parameters.insert("greeting".to_owned(), mean);
    let node = body.node(&slot("slave", 1), &spec, image(), None).unwrap();
    assert_eq!(
        node.boot_commands,
        [
            r"export GREETING=''\''; reboot; $(id)'",
            "echo \"$GREETING\""
        ]
    );
}

fn script(name: &str, action: &str) -> Script {
    Script {
        name: name.to_owned(),
        action: action.to_owned(),
        code: format!("echo {name}"),
    }
}

fn with(body: &Value, scripts: &[Script], environment: Value) -> Body {
    let environment = serde_json::from_value(environment).unwrap();
    let text = body.to_string();
    NodesBody.takes(&text, scripts, &environment).unwrap();
    Body {
        software: Software::new(scripts, &environment),
        ..read(body).unwrap()
    }
}

#[test]
fn a_node_is_born_with_the_environment_then_its_own_commands_then_the_scripts() {
    let mut body = usual();
    body["roles"][0]["node"]["boot_commands"] = json!(["own"]);
    let scripts = [script("b", "configure_node"), script("a", "user_data")];
    let told = json!({"WHO": "{{role}} {{index}}", "N": 3});
    let body = with(&body, &scripts, told);
    let commands = |role: &str| {
        let node = body.node(&slot(role, 1), &spec(1), image(), Some("10.0.0.1"));
        node.unwrap().boot_commands
    };
    let said = commands("slave");
    assert_eq!(said[..3], ["export N='3'", "export WHO='slave 1'", "own"]);
    assert!(said[3].contains("user_data-a") && said[3].contains("'echo a'"));
    assert!(said[4].contains("configure_node-b"), "{said:?}");
    assert_eq!(said.len(), 5);
    assert_eq!(commands("master").len(), 4);
}

#[test]
fn a_node_that_runs_nothing_is_told_nothing() {
    let body = with(&usual(), &[], json!({"MASTER": "{{master_ip}}"}));
    let node = body.node(&slot("slave", 1), &spec(1), image(), None);
    assert!(node.unwrap().boot_commands.is_empty());
    assert!(!body.waits(&slot("slave", 1)));
}

#[test]
fn where_the_environment_names_the_master_all_others_wait_for_it() {
    let body = json!({"roles": [role("n", json!("1 + slaves"))], "master": "n"});
    let told = json!({"MASTER": "{{master_ip}}"});
    let body = with(&body, &[script("a", "prepare_node")], told);
    let first = |index: u32, ip: Option<&str>| {
        let node = body.node(&slot("n", index), &spec(1), image(), ip);
        node.unwrap().boot_commands.remove(0)
    };
    assert!(!body.waits(&slot("n", 1)) && body.waits(&slot("n", 2)));
    assert_eq!(first(2, Some("10.0.0.1")), "export MASTER='10.0.0.1'");
    assert_eq!(first(1, Some("10.0.0.1")), "export MASTER=''");
}

#[test]
fn a_role_says_for_which_moments_it_runs_scripts() {
    let mut body = usual();
    body["roles"][1]["scripts"] = json!(["head", "prepare_node"]);
    let scripts = [script("a", "prepare_node"), script("b", "head")];
    let own = with(&body, &scripts, json!({}));
    let commands = |role: &str| {
        let node = own.node(&slot(role, 1), &spec(1), image(), None);
        node.unwrap().boot_commands
    };
    assert!(commands("master")[0].contains("head-b"));
    assert!(commands("master")[1].contains("prepare_node-a"));
    assert_eq!(commands("slave").len(), 1);

    let none = BTreeMap::new();
    let refused = |body: &Value, scripts: &[Script], fault: &str| {
        let e = NodesBody.takes(&body.to_string(), scripts, &none);
        let e = e.unwrap_err();
        assert!(e.what().contains(fault), "{e}");
        assert!(e.next().is_some(), "{e}");
    };
    refused(
        &body,
        &scripts[..1],
        "the role \"master\": it runs scripts for \"head\", and there is none",
    );
    refused(&usual(), &scripts, "\"head\", which no role runs");
}

#[test]
fn references_of_the_environment_are_checked_when_it_is_uploaded() {
    let environment = BTreeMap::from([("A".to_owned(), json!("{{mastre_ip}}"))]);
    let e = NodesBody
        .takes(&usual().to_string(), &[], &environment)
        .unwrap_err();
    assert!(e.to_string().contains("did you mean {{master_ip}}?"), "{e}");
}
