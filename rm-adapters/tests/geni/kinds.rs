//! Several adapters and one request, and several requests at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use rm_adapters::geni::rspec::{Node, Rspec};
use rm_adapters::geni::states::Standing;
use rm_adapters::geni::xmlrpc::Value;
use rm_adapters::geni::{
    Components, GeniSliver, Joined, NodeSlivers, Refusal, Sliver, SliverTerms, Urn, register,
    register_with,
};
use rm_core::record::ResourceRecord;
use rm_core::registry::{Adapter, Registries};
use rm_core::store::{Batch, By};
use rm_core::{Call, Error, ErrorKind, Kind, Result};
use tokio::sync::Barrier;

use super::lab::{code, lab, lab_of};
use super::slice::{Slice, link, nodes, none, request, slivers, value};

/// An adapter that takes a type of its own and finds no room for it.
#[derive(Debug)]
struct Full;

impl Adapter for Full {
    fn name(&self) -> &'static str {
        "zzz full"
    }

    fn kinds(&self) -> &[Kind] {
        &[]
    }
}

#[async_trait]
impl GeniSliver for Full {
    async fn advertise(
        &self,
        _call: &Call<'_>,
        _there: &Components,
        _available: bool,
        _into: &mut Rspec,
    ) -> Result<()> {
        Ok(())
    }

    fn sliver_types(&self, _call: &Call<'_>) -> Vec<&'static str> {
        vec!["odd"]
    }

    async fn prepare(
        &self,
        _call: &Call<'_>,
        _nodes: &[&Node],
        _links: &[Joined<'_>],
        _terms: &SliverTerms<'_>,
        into: &mut Batch,
    ) -> Result<Vec<Arc<ResourceRecord>>, Refusal> {
        assert_eq!(into.resources.len(), 1, "one batch for all kinds");
        Err(Error::new(ErrorKind::NoCapacity, "it is full").into())
    }

    async fn held(&self, _call: &Call<'_>) -> Result<Vec<Box<dyn Sliver>>> {
        Ok(Vec::new())
    }

    fn standing(&self, record: &ResourceRecord) -> Standing {
        Standing::of(record.wanted, record.seen)
    }

    fn tell(&self, _record: &ResourceRecord, _aggregate: &Urn, _ends: &[usize], _node: &mut Node) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kinds_mix_in_one_request_and_all_of_it_is_granted_or_nothing() {
    let adapters = |all: &mut Registries| {
        register(all).unwrap();
        all.adapter::<dyn GeniSliver>(Arc::new(Full)).unwrap();
    };
    let lab = lab_of("mixed", adapters, |door| door).await;
    let slice = Slice::of(&lab, "s");
    let odd =
        "<node client_id=\"b\"><sliver_type name=\"odd\"/><interface client_id=\"b:0\"/></node>";
    let even = "<node client_id=\"a\"><interface client_id=\"a:0\"/></node>";
    for (rspec, wanted) in [
        (request(&format!("{odd}{even}")), 26),
        (
            request(&format!("{odd}{even}{}", link("l", &["a:0", "b:0"]))),
            13,
        ),
    ] {
        for answer in [slice.create(&rspec).await, slice.allocate(&rspec).await] {
            assert_eq!(code(&answer), wanted, "{answer:?}");
        }
        let kept = lab.host.store().resources(&By::All, None, 10).await;
        assert_eq!(kept.unwrap().items, []);
        assert_eq!(code(&slice.all("Status").await), 12);
    }
    value(&slice.allocate(&request(even)).await);
}

/// Nodes, of which so many requests are prepared at the same moment: each has
/// read its slice before the first of them writes, and has been told of the room
/// as well, where that is wanted.
#[derive(Debug)]
struct Together {
    nodes: NodeSlivers,
    all: usize,
    told: bool,
    came: AtomicUsize,
    met: Barrier,
}

impl Adapter for Together {
    fn name(&self) -> &'static str {
        "together"
    }

    fn kinds(&self) -> &[Kind] {
        self.nodes.kinds()
    }
}

#[async_trait]
impl GeniSliver for Together {
    async fn advertise(
        &self,
        call: &Call<'_>,
        there: &Components,
        available: bool,
        into: &mut Rspec,
    ) -> Result<()> {
        self.nodes.advertise(call, there, available, into).await
    }

    fn sliver_types(&self, call: &Call<'_>) -> Vec<&'static str> {
        self.nodes.sliver_types(call)
    }

    async fn prepare(
        &self,
        call: &Call<'_>,
        nodes: &[&Node],
        links: &[Joined<'_>],
        terms: &SliverTerms<'_>,
        into: &mut Batch,
    ) -> Result<Vec<Arc<ResourceRecord>>, Refusal> {
        let meets = self.came.fetch_add(1, Ordering::SeqCst) < self.all;
        if meets && !self.told {
            self.met.wait().await;
        }
        let prepared = self.nodes.prepare(call, nodes, links, terms, into).await;
        if meets && self.told {
            self.met.wait().await;
        }
        prepared
    }

    async fn held(&self, call: &Call<'_>) -> Result<Vec<Box<dyn Sliver>>> {
        self.nodes.held(call).await
    }

    fn standing(&self, record: &ResourceRecord) -> Standing {
        self.nodes.standing(record)
    }

    fn tell(&self, record: &ResourceRecord, aggregate: &Urn, ends: &[usize], node: &mut Node) {
        self.nodes.tell(record, aggregate, ends, node);
    }
}

pub(crate) fn together(all: usize) -> impl FnOnce(&mut Registries) {
    meeting(all, false)
}

/// Where so many requests are told of the room before the first of them takes any.
pub(crate) fn told_together(all: usize) -> impl FnOnce(&mut Registries) {
    meeting(all, true)
}

fn meeting(all: usize, told: bool) -> impl FnOnce(&mut Registries) {
    move |registries| {
        let adapter = Together {
            nodes: NodeSlivers::default(),
            all,
            told,
            came: AtomicUsize::new(0),
            met: Barrier::new(all),
        };
        let adapter: Arc<dyn GeniSliver> = Arc::new(adapter);
        register_with(registries, [adapter]).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_on_one_slice_at_once_are_one_after_the_other() {
    let lab = lab_of("same-at-once", together(4), |door| door).await;
    let slice = Slice::of(&lab, "s");
    let rspec = nodes(&["a", "b"]);
    let same = (0..4).map(|_| slice.allocate(&rspec));
    let answers = futures_util::future::join_all(same).await;
    let mut codes: Vec<i64> = answers.iter().map(code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [0, 17, 17, 17]);
    let kept = lab.host.store().resources(&By::All, None, 10).await;
    assert_eq!(kept.unwrap().items.len(), 2);

    let lab = lab_of("others-at-once", together(4), |door| door).await;
    let slice = Slice::of(&lab, "s");
    let others: Vec<String> = (0..4).map(|n| nodes(&[&*format!("n{n}")])).collect();
    let others = others.iter().map(|rspec| slice.allocate(rspec));
    for answer in futures_util::future::join_all(others).await {
        value(&answer);
    }
    assert_eq!(slivers(&value(&slice.all("Status").await)).len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_on_several_slices_at_once_do_not_wait_for_each_other() {
    let lab = lab_of("slices-at-once", together(3), |door| door).await;
    let slices = ["s", "t", "u"].map(|name| Slice::of(&lab, name));
    let rspec = nodes(&["a"]);
    // None of them is answered before all are under way.
    let calls = slices.iter().map(|slice| slice.create(&rspec));
    for answer in futures_util::future::join_all(calls).await {
        value(&answer);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slivers_of_a_kind_that_is_not_offered_any_more_are_still_their_slices() {
    let mut lab = lab("not-offered").await;
    let before = {
        let slice = Slice::of(&lab, "s");
        value(&slice.allocate(&nodes(&["a", "b"])).await);
        slivers(&value(&slice.all("Status").await))
    };
    let store = Arc::clone(lab.host.store());
    lab.restart_with(Arc::clone(&store), |all| {
        let xen = NodeSlivers::new([(Kind::from_static("vm.xen"), "xen")]);
        let xen: Arc<dyn GeniSliver> = Arc::new(xen);
        register_with(all, [xen]).unwrap();
    })
    .await;
    assert_eq!(lab.door.tidy().await.unwrap(), 0);
    let slice = Slice::of(&lab, "s");
    assert_eq!(slivers(&value(&slice.all("Status").await)), before);
    // No more of them are made.
    assert_eq!(code(&slice.allocate(&nodes(&["c"])).await), 13);
    let soon = Value::text("2026-11-21T20:30:00Z");
    let arguments = vec![slice.urns(), slice.proof(), soon, none()];
    value(&slice.call(3, "Renew", arguments).await);
    assert_eq!(slivers(&value(&slice.all("Delete").await)).len(), 2);
    assert_eq!(code(&slice.all("Status").await), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slice_does_not_forget_slivers_that_nothing_here_translates() {
    let mut lab = lab("out-of-reach").await;
    let before = {
        let slice = Slice::of(&lab, "s");
        value(&slice.allocate(&nodes(&["a", "b"])).await);
        slivers(&value(&slice.all("Status").await))
    };
    let store = Arc::clone(lab.host.store());
    lab.restart_with(store, |all| register_with(all, []).unwrap())
        .await;
    assert_eq!(lab.door.tidy().await.unwrap(), 0);
    let slice = Slice::of(&lab, "s");
    for method in ["Status", "Describe", "Delete"] {
        let answer = slice.all(method).await;
        assert_eq!(code(&answer), 11, "{method}: {answer:?}");
    }
    assert_eq!(code(&slice.allocate(&nodes(&["a"])).await), 11);
    lab.restart().await;
    let slice = Slice::of(&lab, "s");
    assert_eq!(slivers(&value(&slice.all("Status").await)), before);
    assert_eq!(slivers(&value(&slice.all("Delete").await)).len(), 2);
}
