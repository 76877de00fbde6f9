//! The store is lost, and made anew from what a host's domains say of themselves.

use std::time::Duration;

use rm_core::ResourceId;
use rm_core::env::Env as _;
use rm_core::life::State;
use rm_core::model::{NodeSpec, NodeView, Power};
use rm_core::record::ResourceRecord;
use rm_vm::driver::Driver;
use serde_json::{Value, json};

use super::{Place, Program, RealEnv};

/// As long as machines take that are emulated.
const SOON: Duration = Duration::from_secs(120);

async fn soon(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let done = tokio::time::timeout(SOON, wait).await;
    assert!(done.is_ok(), "not within {SOON:?}: {what}");
}

/// What a domain says of itself, and which boot it is in.
async fn says(driver: &dyn Driver, name: &str) -> (Value, Option<String>) {
    let found = driver.these(&[name.to_owned()]).await.unwrap();
    let domain = found.into_iter().next().unwrap();
    let text = domain.metadata.unwrap();
    (serde_json::from_str(&text).unwrap(), domain.boot)
}

/// What a user knows of a node.
fn known(record: &ResourceRecord) -> Value {
    json!([
        record.tenant,
        record.name,
        record.holds,
        record.grants,
        record.wanted,
        record.seen,
    ])
}

struct Before {
    id: ResourceId,
    known: Value,
    spec: NodeSpec,
    view: NodeView,
    boot: Option<String>,
}

/// One that runs, with a lease and a grant, one that is stopped and one that is
/// suspended get back their records, and go on as if nothing had been. `beside`
/// looks at the host by a connection of its own.
pub(crate) async fn comes_back(place: Place, beside: &dyn Driver) {
    let installation = format!("t{:012x}", RealEnv.random() >> 16);
    let stranger = Program::on(place.clone()).await;
    let mut idle = place.spec();
    idle.power = Power::Stopped;
    let foreign = stranger.ask(idle, false).await.unwrap();
    ready(&stranger, foreign).await;

    let first = Program::of(place.clone(), &installation).await;
    let mut nodes = Vec::new();
    for power in [Power::Running, Power::Stopped, Power::Suspended] {
        let spec = NodeSpec {
            power,
            hostname: Some("kept".to_owned()),
            ..place.spec()
        };
        nodes.push(first.ask(spec, false).await.unwrap());
    }
    for id in &nodes {
        ready(&first, *id).await;
    }
    let leased = nodes[0];
    let hour = Some(Duration::from_secs(3600));
    let node = first.get(leased).await;
    node.grant(&first.user, "bob").await.unwrap();
    let node = node.renew(&first.user, None, hour).await.unwrap();
    let holds = json!(node.record().holds);
    let name = node.view().unwrap().name;
    soon("the renewal is noted", async || {
        let (told, _) = says(beside, &name).await;
        told["owner"]["holds"] == holds && told["new"].is_null()
    })
    .await;
    let mut before = Vec::new();
    for id in nodes {
        let node = first.get(id).await;
        let view = node.view().unwrap();
        before.push(Before {
            id,
            known: known(node.record()),
            spec: node.spec().unwrap(),
            boot: says(beside, &view.name).await.1,
            view,
        });
    }
    drop(first);

    let second = Program::of(place, &installation).await;
    let rebuild = second.host.rebuild();
    // To ask changes nothing.
    for apply in [false, true] {
        let rebuilt = rebuild.run(&second.operator, apply).await.unwrap();
        let why = format!("{rebuilt:#?}");
        assert_eq!((rebuilt.known, rebuilt.restored.len()), (0, 3), "{why}");
        assert!(
            rebuilt.left.is_empty() && rebuilt.skipped.is_empty(),
            "{why}"
        );
        assert!(rebuilt.restored.iter().all(|r| r.kept), "{why}");
        assert!(rebuilt.foreign >= 1, "{why}");
        let of = |id| rebuilt.restored.iter().find(|r| r.resource == id);
        assert_eq!(json!(of(leased).unwrap().until), holds[0]["until"], "{why}");
    }
    for b in &before {
        ready(&second, b.id).await;
        let node = second.get(b.id).await;
        assert_eq!(known(node.record()), b.known);
        assert_eq!(node.spec().unwrap(), b.spec);
        assert_eq!(node.view().unwrap(), b.view);
        let (_, boot) = says(beside, &b.view.name).await;
        assert_eq!(boot, b.boot, "it went on all the time");
    }
    let again = rebuild.run(&second.operator, true).await.unwrap();
    assert_eq!((again.known, again.restored.len()), (3, 0), "{again:#?}");
    // The lease ends as it would have, and what is known can be changed.
    let moment = Some(Duration::from_millis(500));
    let node = second.get(leased).await;
    node.renew(&second.user, None, moment).await.unwrap();
    let store = second.host.store();
    soon("its lease is over", async || {
        store.resource(leased).await.unwrap().is_none()
    })
    .await;
    for b in &before[1..] {
        let node = second.get(b.id).await;
        node.start(&second.user).await.unwrap();
        ready(&second, b.id).await;
        let view = second.get(b.id).await.view().unwrap();
        assert_eq!(view.power, Power::Running);
        second.end(b.id).await;
    }
    for b in before {
        let left = beside.these(std::slice::from_ref(&b.view.name)).await;
        assert_eq!(left.unwrap(), []);
    }
    ready(&stranger, foreign).await;
    stranger.end(foreign).await;
}

async fn ready(p: &Program, id: ResourceId) {
    soon("ready", async || {
        let node = p.get(id).await;
        let r = node.record();
        assert_ne!(r.seen, State::Failed, "{r:#?}");
        r.seen == State::Ready && r.seen_generation == r.generation
    })
    .await;
}
