//! What waits for a person, from the command line: how it got there for real,
//! how it is shown, and each way out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, and what they share"
)]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Home, PATIENCE, Stage, row};

/// A person must decide after one refusal, and what is settled is looked at
/// each second.
const POLICY: [(&str, &str); 2] = [
    ("RM_POLICY__DESTROY_TRIES", "1"),
    ("RM_POLICY__SWEEP", "1s"),
];

fn serve(home: &Home) -> support::Daemon {
    home.start("daemon", home.daemon("daemon").envs(POLICY))
}

fn open() -> Stage {
    let home = Home::new();
    let daemon = serve(&home);
    let stage = Stage { home, daemon };
    stage.load();
    stage
}

/// A cluster of the user's own, ready.
fn cluster(stage: &Stage, name: &str) -> String {
    let words = ["cluster", "create", "hadoop", "--reuse", "never", "--name"];
    let made = stage.user(&[&words[..], &[name, "--json"]].concat());
    made.good().json()["id"].as_str().unwrap().to_owned()
}

/// Gives the user's credential another secret: the site accepts any password
/// but `wrong`.
fn rotate(stage: &Stage, password: &str) {
    let all = stage.user(&["credential", "list", "--json"]).good().json();
    let id = all[0]["id"].as_str().unwrap();
    let secret = json!({"password": password}).to_string();
    stage
        .operator_reading(&["credential", "rotate", id], &secret)
        .good();
}

/// A cluster that was to go while its site refused the credential: it is in
/// quarantine, and its thing is still there.
fn refused(stage: &Stage) -> String {
    let id = cluster(stage, "stuck");
    rotate(stage, "wrong");
    let why = "does not accept the credential";
    stage
        .user(&["cluster", "delete", &id])
        .bad(1, &["it will not go", why]);
    rotate(stage, "CANARY-another");
    id
}

/// Clusters whose things are others' by now. A simulated site lives as long as
/// its daemon: the next one finds nothing there, and names what it makes as the
/// first one did. Answers those that are in quarantine, and to each the cluster
/// that has its thing.
fn overtaken(names: &[&str]) -> (Stage, Vec<(String, String)>) {
    let stage = open();
    let lost: Vec<String> = names.iter().map(|name| cluster(&stage, name)).collect();
    let Stage { home, daemon } = stage;
    assert_eq!(daemon.stop().0, 0);
    let daemon = serve(&home);
    let stage = Stage { home, daemon };
    let new: Vec<String> = names
        .iter()
        .map(|name| cluster(&stage, &format!("new-{name}")))
        .collect();
    until(|| held(&stage).len() == names.len());
    (stage, lost.into_iter().zip(new).collect())
}

/// What the user is told is in quarantine.
fn held(stage: &Stage) -> Vec<Value> {
    let list = stage.user(&["quarantine", "list", "--json"]).good().json();
    list.as_array().unwrap().clone()
}

#[track_caller]
fn until(mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "it does not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How the site names the thing of a cluster: operators are told.
fn thing(stage: &Stage, id: &str) -> String {
    let shown = stage.operator(&["quarantine", "show", id, "--json"]).good();
    shown.json()["remote"].as_str().unwrap().to_owned()
}

/// The words by which a cluster is given this thing.
fn adopt<'a>(id: &'a str, remote: &'a str) -> [&'a str; 8] {
    let reason = "the site's list has it";
    [
        "quarantine",
        "adopt",
        id,
        "--remote",
        remote,
        "--reason",
        reason,
        "--json",
    ]
}

fn state(stage: &Stage, id: &str) -> Value {
    let shown = stage.user(&["cluster", "show", id, "--json"]).good();
    shown.json()["state"].clone()
}

/// The one entry of a history that says this, as programs read it.
#[track_caller]
fn entry(stage: &Stage, id: &str, what: &str) -> Value {
    let told = stage.user(&["history", id, "--json"]).good().json();
    let items = told["items"].as_array().unwrap();
    let mut said = items.iter().filter(|e| e["what"] == what);
    match (said.next(), said.next()) {
        (Some(one), None) => one.clone(),
        _ => panic!("{what} is not said once in: {told}"),
    }
}

/// The data of the one event of a cluster that says this.
#[track_caller]
fn event(stage: &Stage, id: &str, what: &str) -> Value {
    let all = stage.user(&["events", "--json"]).good().json();
    let of = |e: &&Value| e["resource"] == id && e["what"] == what;
    let mut said = all.as_array().unwrap().iter().filter(of);
    match (said.next(), said.next()) {
        (Some(one), None) => one["data"].clone(),
        _ => panic!("{what} is not said once in: {all}"),
    }
}

#[test]
fn only_what_is_in_quarantine_is_led_out_and_only_by_operators() {
    let stage = Stage::new();
    stage.load();
    let id = cluster(&stage, "hadoop");
    for said in [
        stage.user(&["quarantine", "list"]).good().out,
        stage.operator(&["quarantine", "list"]).good().out,
    ] {
        assert!(said.contains("Nothing is in quarantine."), "{said}");
    }
    let shown = stage.user(&["quarantine", "show", &id]).good().out;
    assert!(
        shown.contains("cluster") && shown.contains("ready"),
        "{shown}"
    );
    let retry = ["quarantine", "retry", &id];
    stage.user(&retry).bad(1, &["nothing to try again"]);
    let adopt = ["--remote", "thing-000001", "--reason", "it is ours"];
    let adopt = [&["quarantine", "adopt", &id][..], &adopt].concat();
    stage
        .operator(&adopt)
        .bad(1, &["only what is in quarantine"]);
    let abandon = ["quarantine", "abandon", &id, "--reason", "it is gone"];
    stage
        .operator(&abandon)
        .bad(1, &["only what is in quarantine"]);
    stage.user(&abandon).bad(1, &["may not", "operator"]);
    stage
        .operator(&["quarantine", "retry", "hadoop"])
        .bad(2, &["not an id", "quarantine list"]);
    let words = ["quarantine", "abandon", &id];
    stage.operator(&words).bad(2, &["--reason"]);
}

#[test]
fn what_is_in_quarantine_is_shown_with_the_reason() {
    let stage = open();
    let id = refused(&stage);
    let why = "it will not go, after 1 refusals";
    for said in [
        stage.user(&["quarantine", "list"]).good().out,
        stage.operator(&["quarantine", "list"]).good().out,
    ] {
        let heading = [
            "ID", "KIND", "NAME", "TENANT", "SITE", "WANTED", "SINCE", "WHY",
        ];
        assert_eq!(row(&said, "WANTED"), heading);
        let cells = [id.as_str(), "cluster", "stuck", "user", "here", "absent"];
        assert_eq!(row(&said, &id)[..6], cells);
        assert!(said.contains(why), "{said}");
    }
    let listed = held(&stage);
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["id"], id.as_str());
    assert_eq!(listed[0]["state"], "quarantined");
    assert!(listed[0]["reason"].as_str().unwrap().contains(why));

    let shown = stage.operator(&["quarantine", "show", &id]).good().out;
    assert_eq!(row(&shown, "state"), ["state", "quarantined"]);
    assert_eq!(row(&shown, "thing"), ["thing", "thing-000001"]);
    let shown = stage.user(&["quarantine", "show", &id]).good().out;
    assert!(!shown.contains("thing-"), "users do not see it: {shown}");
    assert_eq!(
        event(&stage, &id, "cluster.quarantined")["to"],
        "quarantined"
    );
}

#[test]
fn what_is_adopted_goes_where_it_was_to_go() {
    let stage = open();
    let id = refused(&stage);
    let remote = thing(&stage, &id);
    let words = adopt(&id, &remote);
    stage.user(&words).bad(1, &["may not", "operator"]);
    stage
        .operator(&adopt(&id, "thing-000017"))
        .bad(1, &["here has nothing that it names thing-000017"]);
    assert_eq!(held(&stage).len(), 1, "as it was");

    let adopted = stage.operator(&words).good().json();
    assert_eq!(adopted["id"], id.as_str());
    assert_eq!(adopted["state"], "releasing");
    until(|| stage.user(&["cluster", "show", &id]).code != 0);
    assert_eq!(held(&stage), Vec::<Value>::new());
    let said = entry(&stage, &id, "cluster.adopted");
    assert_eq!(said["by"], "operator");
    let text = said["text"].as_str().unwrap();
    for words in [
        "thing-000001 at the site is taken for it",
        "the site's list has it",
    ] {
        assert!(text.contains(words), "{words:?} is not in: {text}");
    }
    let table = stage.user(&["history", &id]).good().out;
    let line = table.lines().find(|l| l.contains("cluster.adopted"));
    assert!(line.is_some_and(|l| l.contains("operator")), "{table}");
    assert!(table.contains("seen to be gone"), "{table}");
    let data = event(&stage, &id, "cluster.adopted");
    assert_eq!(data["remote"], "thing-000001");
    let orphans = stage.operator(&["orphans", "--json"]).good().json();
    assert_eq!(
        (&orphans["items"], &orphans["owned"]),
        (&json!([]), &json!(0))
    );
}

#[test]
fn what_is_left_of_what_was_abandoned_is_an_orphan() {
    let stage = open();
    let id = refused(&stage);
    let remote = thing(&stage, &id);
    let words = [
        "quarantine",
        "abandon",
        &id,
        "--reason",
        "the project is over",
    ];
    let done = stage.operator(&words).good().out;
    assert!(done.contains("is forgotten"), "{done}");
    stage.operator(&words).bad(1, &["there is no resource"]);
    let list = stage.user(&["quarantine", "list"]).good().out;
    assert!(list.contains("Nothing is in quarantine."), "{list}");

    let said = entry(&stage, &id, "cluster.abandoned");
    assert_eq!(said["by"], "operator");
    let text = said["text"].as_str().unwrap();
    assert!(text.contains("the project is over"), "{text}");
    let table = stage.user(&["history", &id]).good().out;
    assert!(
        table.contains("given up, whatever is left of it"),
        "{table}"
    );
    let events = stage.user(&["events"]).good().out;
    let line = events.lines().find(|l| l.contains("cluster.abandoned"));
    let told = line.is_some_and(|l| l.contains(&id) && l.contains("the project is over"));
    assert!(told, "{events}");
    assert_eq!(
        event(&stage, &id, "cluster.abandoned")["remote"],
        remote.as_str()
    );

    let left = stage.operator(&["orphans", "--json"]).good().json();
    assert_eq!(left["items"][0]["id"], remote.as_str(), "{left}");
    assert_eq!(left["items"][0]["verdict"], "orphan", "{left}");
    let done = stage.operator(&["orphans", "--reclaim", "--json"]).good();
    assert_eq!(done.json()["done"][0]["result"], "accepted");
    until(|| {
        let left = stage.operator(&["orphans", "--json"]).good().json();
        left["items"] == json!([])
    });
}

#[test]
fn what_is_anothers_by_now_is_not_adopted_and_may_be_abandoned_or_tried_again() {
    let (stage, both) = overtaken(&["one", "two"]);
    let [(one, its), (two, other)] = both.as_slice() else {
        panic!("{both:?}");
    };
    let shown = held(&stage);
    for (id, whose) in &both {
        let of = shown.iter().find(|r| r["id"] == id.as_str()).unwrap();
        assert_eq!(of["wanted"], "running");
        let why = of["reason"].as_str().unwrap();
        assert!(why.contains("bears our name and not our mark"), "{why}");
        let remote = thing(&stage, id);
        assert_eq!(remote, thing(&stage, whose));
        stage
            .operator(&adopt(id, &remote))
            .bad(1, &["is not adopted: it bears the mark of", whose]);
    }
    let retry = ["quarantine", "retry", two];
    stage.user(&retry).bad(1, &["may not", "operator"]);
    let words = [
        "quarantine",
        "abandon",
        one,
        "--reason",
        "its site was lost",
        "--json",
    ];
    let done = stage.operator(&words).good().json();
    assert_eq!(done, json!({"abandoned": true}));
    assert_eq!(state(&stage, its), "ready", "nothing was done to its thing");

    // While the thing is another's, to look again finds the same.
    stage.operator(&retry).good();
    until(|| held(&stage).len() == 1 && held(&stage)[0]["id"] == two.as_str());
    stage.user(&["cluster", "delete", other]).good();
    let again = stage.operator(&["quarantine", "retry", two, "--json"]);
    assert_eq!(again.good().json()["state"], "nothing");
    until(|| state(&stage, two) == "ready");
    assert_eq!(held(&stage), Vec::<Value>::new());
    assert_eq!(thing(&stage, two), "thing-000003", "another one was made");

    let table = stage.user(&["history", two]).good().out;
    for words in ["bears our name and not our mark", "to be tried again"] {
        assert!(table.contains(words), "{words:?} is not in: {table}");
    }
    let last = table.lines().rfind(|l| !l.trim().is_empty());
    assert!(last.is_some_and(|l| l.contains("cluster.ready")), "{table}");
    let told = stage.user(&["history", two, "--json"]).good().json();
    let items = told["items"].as_array().unwrap();
    let retried = items.iter().filter(|e| e["what"] == "cluster.retried");
    let by: Vec<&Value> = retried.map(|e| &e["by"]).collect();
    assert_eq!(by, ["operator", "operator"]);
    let events = stage.user(&["cluster", "events", two]).good().out;
    let line = events.lines().find(|l| l.contains("cluster.retried"));
    assert!(line.is_some_and(|l| l.contains("by=operator")), "{events}");
}
