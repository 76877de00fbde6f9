//! The conformance suite on real containers: the same checks and the same
//! faults as in the simulated world, faster than by the clock.

use std::sync::Arc;

use async_trait::async_trait;
use rm_core::env::Timestamp;
use rm_core::{RemoteId, Result};
use rm_testkit::conformance::{Eyes, Level, Real, suite};
use rm_vm::backend::Nodes;

use crate::house::conformance::{Stand, passed};
use crate::lab::Lab;

/// What the folders of the containers say.
#[async_trait]
impl Eyes for Lab {
    async fn everything(&self, _now: Timestamp) -> Result<Vec<Real>> {
        let marked = self.marked().into_iter();
        Ok(marked
            .map(|(name, mark)| Real {
                id: RemoteId(name),
                mark,
            })
            .collect())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn native_lxc_is_exact() {
    let Some(lab) = Lab::find("native_lxc_is_exact") else {
        return;
    };
    let stand = Stand {
        name: "native LXC of the lab",
        place: lab.place(),
        nodes: |config| Nodes::new(config, rm_vm::lxc::open).changing_users(),
        eyes: Arc::new(lab),
    };
    let card = suite(stand).at_once(32).await;
    println!("{card}");
    assert!(passed(&card) >= 80, "only {} checks passed", passed(&card));
    card.assert(Level::Exact);
}
