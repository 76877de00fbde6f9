//! Several adapters and one request.

use std::sync::Arc;

use async_trait::async_trait;
use rm_adapters::geni::rspec::{Node, Rspec};
use rm_adapters::geni::states::Standing;
use rm_adapters::geni::{GeniSliver, Joined, Refusal, Sliver, SliverTerms, Urn, register};
use rm_core::record::ResourceRecord;
use rm_core::registry::{Adapter, Registries};
use rm_core::store::{Batch, By};
use rm_core::{Call, Error, ErrorKind, Kind, Result};

use super::lab::{code, lab_of};
use super::slice::{Slice, link, request, value};

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
        _aggregate: &Urn,
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

    fn tell(&self, _record: &ResourceRecord, _aggregate: &Urn, _node: &mut Node) {}
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
