//! Very many clusters at once, on a cloud that has nothing else to do.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rm_core::ResourceId;
use rm_core::policy::Policy;

use crate::own::OwnCloud;

const MANY: usize = 100;

/// How often Heat was asked what, as its own access log has it.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    creates: usize,
    outputs: usize,
    /// Of many at once.
    lists: usize,
    /// Anything else, a redirect or what was refused.
    other: Vec<(String, String, u16)>,
}

impl Asked {
    /// Since the log had so many lines, when all of these creates and outputs
    /// are in it: a line is written after its answer.
    async fn since(cloud: &OwnCloud, line: usize, each: usize) -> Self {
        let mut asked = Self::default();
        for _ in 0..100 {
            asked = Self::default();
            for call in cloud.asked().split_off(line) {
                let (path, query) = call.1.split_once('?').unwrap_or((&call.1, ""));
                // v1, the project, stacks, and then the stack's own names.
                let names = path.split('/').filter(|p| !p.is_empty()).count();
                match (call.0.as_str(), names, call.2) {
                    ("POST", 3, 201) => asked.creates += 1,
                    ("GET", 3, 200) => asked.lists += 1,
                    ("GET", 5, 200) if query.is_empty() => asked.outputs += 1,
                    _ => asked.other.push(call),
                }
            }
            if asked.creates >= each && asked.outputs >= each {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        asked
    }
}

/// The lines of the log when it has come to rest: what was asked before is in it.
async fn at_rest(cloud: &OwnCloud) -> usize {
    let mut lines = cloud.asked().len();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = cloud.asked().len();
        if now == lines {
            break;
        }
        lines = now;
    }
    lines
}

/// How many looks there may be in so long at the most, where one alone is looked
/// at: the first after a moment, each of the others after a pause that grows.
fn looks_in(policy: &Policy, time: Duration) -> usize {
    let (mut pause, mut past, mut looks) = (policy.first_look, Duration::ZERO, 1);
    while past < time {
        past += pause;
        pause = pause.mul_f64(1.5).min(policy.slowest_look);
        looks += 1;
    }
    looks
}

/// What costs a cloud least.
const SMALL: &str = "{heat_template_version: 2018-08-31, \
    resources: {one: {type: OS::Heat::RandomString}}, \
    outputs: {master_ip: {value: 10.77.0.1}}}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_clusters_at_once_are_one_stack_each() {
    let Some(cloud) = OwnCloud::up("a_hundred_clusters_at_once", &[]) else {
        return;
    };
    let lab = cloud.host().await;
    lab.appliance("small", SMALL).await;
    let clusters = lab.host.clusters();
    let request = lab.another("small");
    // One, with a token in hand.
    let first = clusters.create(&lab.user, &request).await.unwrap();
    lab.ready(first.cluster.id()).await;
    let at = at_rest(&cloud).await;
    let begun = Instant::now();
    let one = clusters.create(&lab.user, &request).await.unwrap();
    lab.ready(one.cluster.id()).await;
    let at_most = looks_in(lab.host.policy(), begun.elapsed());
    let asked = Asked::since(&cloud, at, 1).await;
    assert_eq!((asked.creates, asked.outputs), (1, 1), "{asked:?}");
    assert!(asked.lists <= at_most, "of {at_most}: {asked:?}");
    assert_eq!(asked.other, [], "{asked:?}");
    for id in [first.cluster.id(), one.cluster.id()] {
        lab.delete(id).await;
    }

    let at = at_rest(&cloud).await;
    let begun = Instant::now();
    let asked = (0..MANY).map(|_| clusters.create(&lab.user, &request));
    let ids: Vec<ResourceId> = join_all(asked)
        .await
        .into_iter()
        .map(|made| made.unwrap().cluster.id())
        .collect();
    for id in &ids {
        lab.ready(*id).await;
    }
    // A look at many at once is one list, and seldom.
    let at_most = 10 + usize::try_from(begun.elapsed().as_secs()).unwrap() / 8;
    let asked = Asked::since(&cloud, at, MANY).await;
    assert_eq!((asked.creates, asked.outputs), (MANY, MANY), "{asked:?}");
    assert!(asked.lists <= at_most, "of {at_most}: {asked:?}");
    // A cloud may stumble under so many, but nothing was asked amiss.
    let amiss = asked.other.iter().filter(|call| call.2 < 500);
    assert_eq!(amiss.count(), 0, "{asked:?}");
    assert_eq!(lab.each(&ids).await, vec![1; MANY]);
    assert_eq!(lab.marked().await.len(), MANY, "and none beside");

    for id in &ids {
        let cluster = clusters.get(&lab.user, *id).await.unwrap();
        cluster.release(&lab.user, None).await.unwrap();
    }
    for id in &ids {
        let limit = Duration::from_secs(400);
        assert!(clusters.gone(&lab.user, *id, limit).await.unwrap());
    }
    assert!(lab.marked().await.is_empty(), "none is left over");
}
