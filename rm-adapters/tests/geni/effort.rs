//! As much as possible, where one sliver refuses what the others take.

use std::sync::Arc;

use async_trait::async_trait;
use rm_adapters::geni::rspec::{Node, Rspec};
use rm_adapters::geni::states::{Family, Standing};
use rm_adapters::geni::xmlrpc::Value;
use rm_adapters::geni::{
    Components, Deed, GeniSliver, Joined, NodeSlivers, Refusal, Sliver, SliverTerms, Urn,
    register_with,
};
use rm_core::record::ResourceRecord;
use rm_core::registry::{Adapter, Registries};
use rm_core::store::Batch;
use rm_core::{Call, Caller, Error, ErrorKind, Kind, Result};

use super::lab::lab_of;
use super::slice::{Slice, nodes, none, slivers, value};
use super::table::refused;

/// Nodes, of which those that are called so are not let go.
#[derive(Debug, Default)]
struct Stubborn(NodeSlivers);

/// One of them.
#[derive(Debug)]
struct One(Box<dyn Sliver>);

#[async_trait]
impl Sliver for One {
    fn record(&self) -> &ResourceRecord {
        self.0.record()
    }

    fn family(&self) -> Family {
        self.0.family()
    }

    async fn again(&self, who: &Caller) -> Result<Box<dyn Sliver>> {
        Ok(Box::new(Self(self.0.again(who).await?)))
    }

    fn write(
        &self,
        who: &Caller,
        deed: &Deed<'_>,
        into: &mut Batch,
    ) -> Result<Arc<ResourceRecord>> {
        if matches!(deed, Deed::Release) && self.record().name == "stubborn" {
            return Err(Error::new(ErrorKind::Unsupported, "it is not let go"));
        }
        self.0.write(who, deed, into)
    }
}

impl Adapter for Stubborn {
    fn name(&self) -> &'static str {
        "stubborn"
    }

    fn kinds(&self) -> &[Kind] {
        self.0.kinds()
    }
}

#[async_trait]
impl GeniSliver for Stubborn {
    async fn advertise(
        &self,
        call: &Call<'_>,
        there: &Components,
        available: bool,
        into: &mut Rspec,
    ) -> Result<()> {
        self.0.advertise(call, there, available, into).await
    }

    fn sliver_types(&self, call: &Call<'_>) -> Vec<&'static str> {
        self.0.sliver_types(call)
    }

    async fn prepare(
        &self,
        call: &Call<'_>,
        nodes: &[&Node],
        links: &[Joined<'_>],
        terms: &SliverTerms<'_>,
        into: &mut Batch,
    ) -> Result<Vec<Arc<ResourceRecord>>, Refusal> {
        self.0.prepare(call, nodes, links, terms, into).await
    }

    async fn held(&self, call: &Call<'_>) -> Result<Vec<Box<dyn Sliver>>> {
        let held = self.0.held(call).await?.into_iter();
        Ok(held
            .map(|one| Box::new(One(one)) as Box<dyn Sliver>)
            .collect())
    }

    fn standing(&self, record: &ResourceRecord) -> Standing {
        self.0.standing(record)
    }

    fn tell(&self, record: &ResourceRecord, aggregate: &Urn, ends: &[usize], node: &mut Node) {
        self.0.tell(record, aggregate, ends, node);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delete_lets_go_of_all_or_with_best_effort_of_those_that_can_be() {
    let adapters = |all: &mut Registries| {
        let stubborn: Arc<dyn GeniSliver> = Arc::new(Stubborn::default());
        register_with(all, [stubborn]).unwrap();
    };
    let lab = lab_of("effort", adapters, |door| door).await;
    let slice = Slice::of(&lab, "s");
    value(&slice.create(&nodes(&["a", "stubborn", "b"])).await);
    let before = slivers(&value(&slice.all("Status").await));
    refused("all or nothing", &slice.all("Delete").await, 13);
    assert_eq!(slivers(&value(&slice.all("Status").await)), before);
    let best = Value::of([("geni_best_effort", Value::Bool(true))]);
    let arguments = vec![slice.urns(), slice.proof(), best];
    let told = slivers(&value(&slice.call(3, "Delete", arguments).await));
    for (at, gone) in [(0, true), (1, false), (2, true)] {
        let (sliver, was) = (&told[at], &before[at]);
        assert_eq!((&sliver.urn, &sliver.expires), (&was.urn, &was.expires));
        if gone {
            assert_eq!(sliver.allocation, "geni_unallocated");
            assert_eq!(sliver.error, "");
        } else {
            assert_eq!(sliver.allocation, "geni_provisioned");
            assert!(sliver.error.contains("not let go"), "{sliver:?}");
        }
    }
    let left = slivers(&value(&slice.all("Status").await));
    assert_eq!(left, before[1..2]);
    // Version 2 knows no part of a slice.
    let arguments = vec![slice.urn(), slice.proof(), none()];
    let answer = slice.call(2, "DeleteSliver", arguments).await;
    refused("DeleteSliver", &answer, 13);
}
