//! What the incidents share.

use std::time::Duration;

use rm_core::life::State;
use rm_core::orphans::Report;
use rm_core::{Caller, ResourceId};
use rm_testkit::{Fault, Rule, Scene, SceneBuilder, Verb};

pub(crate) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A scene with one engine.
pub(crate) fn scene(seed: u64) -> Scene {
    with(Scene::builder(seed))
}

/// The same, put together otherwise.
pub(crate) fn with(builder: SceneBuilder) -> Scene {
    let scene = builder.build().unwrap();
    scene.start_engine();
    scene
}

/// The next call of this kind goes wrong.
pub(crate) fn next(s: &Scene, verb: Verb, fault: Fault) {
    s.cloud.inject(Rule::next(verb, fault));
}

/// Every call of this kind goes wrong.
pub(crate) fn always(s: &Scene, verb: Verb, fault: Fault) {
    s.cloud.inject(Rule::next(verb, fault).always());
}

/// Asks for a cluster of its own.
pub(crate) async fn ask(s: &Scene, slaves: u32) -> ResourceId {
    let made = s.clusters().create(&s.alice, &s.own(slaves)).await;
    made.unwrap().cluster.id()
}

/// Asks for one and waits until it is there.
pub(crate) async fn have(s: &Scene, slaves: u32) -> ResourceId {
    let id = ask(s, slaves).await;
    is_there(s, id, slaves).await;
    id
}

/// It becomes ready, and is exactly one real thing of that size.
pub(crate) async fn is_there(s: &Scene, id: ResourceId, slaves: u32) {
    let cluster = s.ready(&s.alice, id).await.unwrap();
    assert!(cluster.is_ready(), "{:#?}", cluster.record());
    let things = s.cloud.of(id, s.world.now());
    assert_eq!(things.len(), 1, "{things:#?}");
    assert_eq!(things[0].slaves, slaves);
    assert_eq!(cluster.record().remote.as_ref(), Some(&things[0].id));
}

/// Gives up the only hold.
pub(crate) async fn let_go(s: &Scene, who: &Caller, id: ResourceId) {
    let cluster = s.clusters().get(who, id).await.unwrap();
    cluster.release(who, None).await.unwrap();
}

/// It goes, and nothing of it is left.
pub(crate) async fn goes(s: &Scene, id: ResourceId) {
    assert!(s.gone(&s.alice, id).await.unwrap(), "it stays");
    assert_eq!(s.cloud.of(id, s.world.now()), []);
}

pub(crate) async fn seen(s: &Scene, id: ResourceId) -> State {
    let cluster = s.clusters().get(&s.alice, id).await.unwrap();
    cluster.record().seen
}

/// One real thing for every record, no other of ours, quotas that add up.
pub(crate) async fn sound(s: &Scene) {
    assert_eq!(s.faults().await, Vec::<String>::new());
}

/// What an operator is told of things without a record.
pub(crate) async fn orphans(s: &Scene) -> Report {
    s.door.orphans().report(&s.operator).await.unwrap()
}

/// Plays a life once for every boundary that an engine passes in it, and
/// crashes the engine there; another one is started each time. Answers how
/// many there were.
pub(crate) fn crash_everywhere(life: impl AsyncFn(&Scene)) -> u64 {
    for n in 1.. {
        let scene = scene(n);
        scene.run(async |s| {
            s.world.crash_at("engine", n);
            life(s).await;
            s.world.disarm();
            sound(s).await;
        });
        if scene.world.crashed().is_none() {
            return n - 1;
        }
    }
    0
}

/// Starts an engine again as soon as one has crashed, while something else is
/// waited for.
pub(crate) async fn keep_alive(s: &Scene, until: impl AsyncFn(&Scene) -> bool) {
    for _ in 0..7200 {
        s.restart_crashed();
        if until(s).await {
            return;
        }
        s.world.sleep(Duration::from_millis(500)).await;
    }
    panic!("it does not come about");
}
