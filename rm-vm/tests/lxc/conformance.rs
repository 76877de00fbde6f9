//! The conformance suite on real containers: the same checks and the same
//! faults as in the simulated world, faster than by the clock.

use std::sync::Arc;

use async_trait::async_trait;
use rm_core::backend::Serves;
use rm_core::catalog::Catalog;
use rm_core::env::Timestamp;
use rm_core::model::Node;
use rm_core::{Caller, RemoteId, Result};
use rm_testkit::conformance::{Eyes, Ground, Level, Outcome, Real, Specs, Subject, Time, suite};
use rm_vm::backend::{LXC, Nodes};
use rm_vm::plugin::LXC_API;
use serde_json::json;

use crate::lab::{Lab, RealEnv};

#[async_trait]
impl Subject for Lab {
    type Model = Node;

    fn name(&self) -> String {
        "native LXC of the lab".to_owned()
    }

    fn time(&self) -> Time {
        Time::Real {
            env: Arc::new(RealEnv),
            speed: 10,
        }
    }

    async fn fresh(&self) -> Result<Ground<Node>> {
        let eyes: Arc<dyn Eyes> = Arc::new(self.clone());
        Ok(
            Ground::new(Arc::new(Nodes::new(self.config(), rm_vm::lxc::open)))
                .serves(Serves {
                    kind: LXC,
                    api: LXC_API.to_owned(),
                    media: Vec::new(),
                })
                .site(self.site(), json!({}))
                .eyes(eyes),
        )
    }

    async fn specs(&self, catalog: &Catalog, who: &Caller) -> Result<Specs<Node>> {
        self.image(catalog, who).await?;
        let sample = self.spec();
        let mut bigger = sample.clone();
        bigger.memory_mib *= 2;
        Ok(Specs {
            sample,
            bigger: Some(bigger),
        })
    }
}

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
    let card = suite(lab).at_once(32).await;
    println!("{card}");
    let passed = card
        .checks
        .iter()
        .filter(|c| c.outcome == Outcome::Passed)
        .count();
    assert!(passed >= 80, "only {passed} checks passed");
    card.assert(Level::Exact);
}
