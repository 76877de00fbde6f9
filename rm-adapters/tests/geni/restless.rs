//! Calls on a slice while the engine is at work on it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rm_adapters::geni::xmlrpc::Value;
use rm_core::env::Timestamp;
use rm_core::id::InstanceId;
use rm_core::record::Document;
use rm_core::store::{Batch, Due, Expect, Fence, Key, Outcome, Queue, Store, Versioned};
use rm_core::{ResourceId, Result};
use rm_testkit::{Around, Between};

use super::lab::{Evening, Lab, code, lab};
use super::slice::{Slice, all, nodes, none, request, slivers, states, value};

/// Makes a store one in which others are a step ahead: the engine of whoever writes several
/// resources, and another call of whoever writes a slice's document. It counts
/// what is asked of it.
#[derive(Debug)]
pub(super) struct Restless {
    /// Before so many of the batches of several resources some of their rows are
    /// written again.
    left: AtomicUsize,
    /// How many rows that is.
    each: AtomicUsize,
    /// How many of such batches there were.
    tried: AtomicUsize,
    /// Whether an engine is at work that writes all that is due before each such
    /// batch, so that it is due again.
    busy: AtomicBool,
    /// How many milliseconds go by before each such batch is there.
    slow: AtomicU64,
    /// How many rows were set aside.
    aside: AtomicUsize,
    /// Before so many of the batches with a slice that is written again.
    slices: AtomicUsize,
    /// Whether rows can be set aside now; who would do so waits for that.
    aside_is_open: tokio::sync::watch::Sender<bool>,
    /// How much later it is with each batch of several resources, in milliseconds,
    /// by this clock.
    passes: Mutex<Option<(Arc<Evening>, i64)>>,
    /// How many texts of requests were read, are being read, and were at the most
    /// at once.
    pub(super) texts: [AtomicUsize; 3],
}

impl Restless {
    pub(super) fn over(store: &Arc<dyn Store>, times: usize) -> Arc<Around<Self>> {
        let restless = Self {
            left: AtomicUsize::new(times),
            each: AtomicUsize::new(1),
            tried: AtomicUsize::new(0),
            busy: AtomicBool::new(false),
            slow: AtomicU64::new(0),
            aside: AtomicUsize::new(0),
            slices: AtomicUsize::new(0),
            aside_is_open: tokio::sync::watch::Sender::new(true),
            passes: Mutex::default(),
            texts: Default::default(),
        };
        Around::new(Arc::clone(store), restless)
    }

    /// The rows that are written again, others each time.
    fn rows(&self, rows: &[ResourceId]) -> Vec<ResourceId> {
        if rows.is_empty() {
            return Vec::new();
        }
        let Some(left) = one_less(&self.left) else {
            return Vec::new();
        };
        let each = self.each.load(Ordering::SeqCst);
        let places = (0..each).map(|n| (left + n * rows.len() / each) % rows.len());
        places.map(|at| rows[at]).collect()
    }

    /// The slice that is written again.
    fn slice(&self, batch: &Batch) -> Option<String> {
        let slice = batch.expect.iter().find_map(|expect| match expect {
            Expect::Version(Key::Document(space, id), _) if space == "geni.slice" => Some(id),
            _ => None,
        })?;
        one_less(&self.slices).map(|_| slice.clone())
    }
}

/// What an engine does that never comes to an end.
async fn work(store: &dyn Store) -> Result<()> {
    let engine = InstanceId(uuid::Uuid::nil());
    let minute = Duration::from_secs(60);
    for claim in store
        .claim(engine, minute, Queue::Awaited, 1000, &[])
        .await?
    {
        let row = claim.row;
        let fence = Fence {
            resource: row.record.id,
            epoch: claim.epoch,
        };
        let written = Batch {
            fence: vec![fence],
            resources: vec![(row.record, Due::Release(Timestamp::from_millis(0)))],
            ..Batch::default()
        };
        store.commit(written).await?;
    }
    Ok(())
}

/// The resources of a batch that expects more than one as it was.
fn several(batch: &Batch) -> Vec<ResourceId> {
    let rows = batch.expect.iter().filter_map(|expect| match expect {
        Expect::Version(Key::Resource(id), _) => Some(*id),
        _ => None,
    });
    let rows: Vec<ResourceId> = rows.collect();
    match rows.len() {
        0 | 1 => Vec::new(),
        _ => rows,
    }
}

/// Takes one away, where there is one; answers how many there were.
fn one_less(of: &AtomicUsize) -> Option<usize> {
    let less = |left: usize| left.checked_sub(1);
    of.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
        .ok()
}

#[async_trait]
impl Between for Restless {
    async fn document(
        &self,
        store: &dyn Store,
        space: &str,
        id: &str,
    ) -> Result<Option<Versioned<Document>>> {
        if space != "geni.request" {
            return store.document(space, id).await;
        }
        let [all, now, most] = &self.texts;
        all.fetch_add(1, Ordering::SeqCst);
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let found = store.document(space, id).await;
        now.fetch_sub(1, Ordering::SeqCst);
        found
    }

    async fn commit(&self, store: &dyn Store, batch: Batch) -> Result<Outcome> {
        let several = several(&batch);
        if !several.is_empty() {
            self.tried.fetch_add(1, Ordering::SeqCst);
            if let Some((evening, more)) = &*self.passes.lock().unwrap() {
                evening.0.fetch_add(*more, Ordering::SeqCst);
            }
            if self.busy.load(Ordering::SeqCst) {
                work(store).await?;
            }
            let slow = Duration::from_millis(self.slow.load(Ordering::SeqCst));
            tokio::time::sleep(slow).await;
        }
        // Not by who has claimed it.
        if let ([(_, Due::At(_))], [], []) =
            (&batch.resources[..], &batch.documents[..], &batch.fence[..])
        {
            self.aside.fetch_add(1, Ordering::SeqCst);
            let mut open = self.aside_is_open.subscribe();
            open.wait_for(|open| *open).await.unwrap();
        }
        for id in self.rows(&several) {
            let row = store.resource(id).await?.unwrap();
            let faster = Batch {
                expect: vec![Expect::Version(Key::Resource(id), row.version)],
                resources: vec![(row.record, Due::Keep)],
                ..Batch::default()
            };
            let faster = store.commit(faster).await?;
            assert!(matches!(faster, Outcome::Done(_)), "{faster:?}");
        }
        if let Some(slice) = self.slice(&batch) {
            let found = store.document("geni.slice", &slice).await?.unwrap();
            let faster = Batch {
                documents: vec![found.record],
                ..Batch::default()
            };
            store.commit(faster).await?;
        }
        store.commit(batch).await
    }
}

/// The names of so many nodes.
fn many(n: usize) -> String {
    let names: Vec<String> = (0..n).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    nodes(&names)
}

/// The lab once more, over such a store.
async fn restless(lab: &mut Lab, times: usize) -> Arc<Around<Restless>> {
    let store = Restless::over(lab.host.store(), times);
    let kept: Arc<dyn Store> = Arc::<Around<Restless>>::clone(&store);
    lab.restart_with(kept, |all| rm_adapters::geni::register(all).unwrap())
        .await;
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_on_a_slice_go_through_however_often_the_engine_is_faster_on_its_slivers() {
    let mut lab = lab("restless").await;
    value(&Slice::of(&lab, "s").allocate(&many(300)).await);
    let store = restless(&mut lab, 0).await;
    // Of a slice of three hundred, on three at a time.
    store.each.store(3, Ordering::SeqCst);
    let slice = Slice::of(&lab, "s");
    for method in ["Provision", "Delete"] {
        store.left.store(60, Ordering::SeqCst);
        store.tried.store(0, Ordering::SeqCst);
        assert_eq!(slivers(&value(&slice.all(method).await)).len(), 300);
        // As often as somebody was faster, and once more.
        assert_eq!(store.tried.load(Ordering::SeqCst), 61, "{method}");
    }
    assert_eq!(code(&slice.all("Status").await), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_engine_has_not_in_hand_is_not_set_aside_where_the_rest_is_little() {
    let mut lab = lab("restless-few").await;
    value(&Slice::of(&lab, "s").allocate(&many(300)).await);
    let store = restless(&mut lab, 0).await;
    store.each.store(3, Ordering::SeqCst);
    store.left.store(8, Ordering::SeqCst);
    let slice = Slice::of(&lab, "s");
    assert_eq!(slivers(&value(&slice.all("Provision").await)).len(), 300);
    assert_eq!(store.tried.load(Ordering::SeqCst), 9);
    // Three after each of the tries from the fifth to the eighth.
    assert_eq!(store.aside.load(Ordering::SeqCst), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_calls_at_once_on_a_slice_do_not_keep_each_other_from_their_turns() {
    let mut lab = lab("restless-two").await;
    value(&Slice::of(&lab, "s").create(&many(40)).await);
    let store = restless(&mut lab, 0).await;
    store.busy.store(true, Ordering::SeqCst);
    // As on a large slice: much happens between what is read and what is written.
    store.slow.store(50, Ordering::SeqCst);
    let slice = Slice::of(&lab, "s");
    let renew = async |until: &str| {
        let arguments = vec![slice.urns(), slice.proof(), Value::text(until), none()];
        slice.call(3, "Renew", arguments).await
    };
    let answers = tokio::join!(renew("2026-11-25T20:00:00Z"), renew("2026-11-26T20:00:00Z"));
    for answer in [answers.0, answers.1] {
        assert_eq!(slivers(&value(&answer)).len(), 40);
    }
    // A few beside the engine and a few in its turn, and the later one once more.
    let tried = store.tried.load(Ordering::SeqCst);
    assert!(tried < 40, "{tried}");
}

/// One call has its turn on a large slice, and many others wait for theirs: those
/// on another large slice are served meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_turn_keeps_nobody_from_other_large_slices() {
    let mut lab = lab("restless-places").await;
    for name in ["s", "t"] {
        value(&Slice::of(&lab, name).create(&many(70)).await);
    }
    let store = restless(&mut lab, 0).await;
    store.busy.store(true, Ordering::SeqCst);
    store.aside_is_open.send_replace(false);
    let (slice, other) = (Slice::of(&lab, "s"), Slice::of(&lab, "t"));
    let renews = (0..12).map(|n| {
        let until = Value::text(format!("2026-11-25T20:{n:02}:00Z"));
        let arguments = vec![slice.urns(), slice.proof(), until, none()];
        slice.call(3, "Renew", arguments)
    });
    let renews = futures_util::future::join_all(renews);
    let meanwhile = async {
        // As many as there are places have tried it beside the engine.
        for _ in 0..3000 {
            if store.tried.load(Ordering::SeqCst) >= 40 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(store.tried.load(Ordering::SeqCst) >= 40);
        let told = tokio::time::timeout(Duration::from_secs(20), other.all("Status")).await;
        assert_eq!(slivers(&value(&told.unwrap())).len(), 70);
        store.busy.store(false, Ordering::SeqCst);
        store.aside_is_open.send_replace(true);
    };
    let (answers, ()) = tokio::join!(renews, meanwhile);
    for answer in answers {
        assert_eq!(slivers(&value(&answer)).len(), 70);
    }
}

/// However often another call is faster, it is not tried for minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_finds_the_slice_changed_again_and_again_is_given_up_in_time() {
    let mut lab = lab("restless-end").await;
    value(&Slice::of(&lab, "s").create(&many(3)).await);
    let store = restless(&mut lab, 0).await;
    let evening = Arc::clone(&lab.evening);
    *store.passes.lock().unwrap() = Some((evening, 6000));
    store.slices.store(usize::MAX, Ordering::SeqCst);
    let slice = Slice::of(&lab, "s");
    let before = lab.evening.0.load(Ordering::SeqCst);
    let renewed = Value::text("2026-11-25T20:00:00Z");
    let arguments = vec![slice.urns(), slice.proof(), renewed, none()];
    assert_eq!(code(&slice.call(3, "Renew", arguments).await), 14);
    let took = lab.evening.0.load(Ordering::SeqCst) - before;
    assert!(took <= 60_000, "{took} ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_goes_through_while_the_engine_writes_all_that_is_due_without_pause() {
    let mut lab = lab("restless-busy").await;
    value(&Slice::of(&lab, "s").create(&many(40)).await);
    let store = restless(&mut lab, 0).await;
    store.busy.store(true, Ordering::SeqCst);
    let slice = Slice::of(&lab, "s");
    let renewed = Value::text("2026-11-25T20:00:00Z");
    let arguments = vec![slice.urns(), slice.proof(), renewed, none()];
    let renewed = slivers(&value(&slice.call(3, "Renew", arguments).await));
    assert_eq!(renewed.len(), 40);
    let tried = store.tried.swap(0, Ordering::SeqCst);
    assert!((2..10).contains(&tried), "{tried}");
    assert_eq!(slivers(&value(&slice.act("geni_stop").await)).len(), 40);
    // What was set aside for that is worked on as ever.
    store.busy.store(false, Ordering::SeqCst);
    lab.start_engine();
    slice.comes_to("geni_notready").await;
    assert_eq!(slivers(&value(&slice.all("Delete").await)).len(), 40);
    assert_eq!(code(&slice.all("Status").await), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_binds_even_where_nothing_can_be_stopped_yet() {
    let mut lab = lab("restless-shut").await;
    value(&Slice::of(&lab, "s").create(&many(5)).await);
    let store = restless(&mut lab, usize::MAX).await;
    let slice = Slice::of(&lab, "s");
    let arguments = || vec![slice.urn(), slice.proof(), none()];
    assert_eq!(code(&slice.call(3, "Shutdown", arguments()).await), 14);
    // It is given up, and not tried for ever.
    assert!(store.tried.load(Ordering::SeqCst) <= 100);
    assert_eq!(code(&slice.allocate(&nodes(&["more"])).await), 3);
    assert_eq!(code(&slice.all("Delete").await), 3);

    store.left.store(0, Ordering::SeqCst);
    let answer = slice.call(3, "Shutdown", arguments()).await;
    assert_eq!(value(&answer), Value::Bool(true));
    lab.start_engine();
    let stopped = slice.comes_to("geni_notready").await;
    assert_eq!(
        states(&value(&stopped)),
        all("geni_provisioned", "geni_notready", 5)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_keeps_a_shutdown_from_its_mark_by_calls_on_the_slice() {
    let mut lab = lab("renewed-shut").await;
    value(&Slice::of(&lab, "s").allocate(&many(2)).await);
    let store = restless(&mut lab, 0).await;
    store.slices.store(60, Ordering::SeqCst);
    let slice = Slice::of(&lab, "s");
    let arguments = vec![slice.urn(), slice.proof(), none()];
    let answer = slice.call(3, "Shutdown", arguments).await;
    assert_eq!(value(&answer), Value::Bool(true));
    assert_eq!(store.slices.load(Ordering::SeqCst), 0);
    assert_eq!(code(&slice.all("Delete").await), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_for_is_read_for_manifests_alone_and_of_large_slices_by_few_at_once() {
    let mut lab = lab("large").await;
    let more = "x".repeat(300 * 1024);
    let node = "<node client_id=\"a\"><sliver_type name=\"lxc\"/></node>";
    let more = format!("{node}<o:of xmlns:o=\"urn:others\">{more}</o:of>");
    value(&Slice::of(&lab, "s").allocate(&request(&more)).await);
    let store = restless(&mut lab, 0).await;
    let slice = Slice::of(&lab, "s");
    let [read, _, most] = &store.texts;
    let at_once = async |method: &'static str| {
        let calls = (0..16).map(|_| slice.all(method));
        for answer in futures_util::future::join_all(calls).await {
            assert_eq!(slivers(&value(&answer)).len(), 1, "{method}");
        }
    };
    at_once("Status").await;
    assert_eq!(read.load(Ordering::SeqCst), 0);
    at_once("Describe").await;
    assert_eq!(read.load(Ordering::SeqCst), 16);
    assert!(most.load(Ordering::SeqCst) <= 8, "{store:?}");
    let told = value(&slice.all("Describe").await);
    let told = told.get("geni_rspec").unwrap().as_text().unwrap().len();
    assert!(told > 300 * 1024, "what is others' is repeated");
    // It goes with the last sliver.
    value(&slice.all("Delete").await);
    let texts = store
        .documents("geni.request", None, None, 10)
        .await
        .unwrap();
    assert_eq!(texts.items, []);
}
