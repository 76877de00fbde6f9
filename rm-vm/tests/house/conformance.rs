//! What the conformance suite is told about nodes of a place.

use std::sync::Arc;

use async_trait::async_trait;
use rm_core::backend::Serves;
use rm_core::catalog::Catalog;
use rm_core::model::Node;
use rm_core::{Caller, Result};
use rm_testkit::conformance::{Eyes, Ground, Outcome, Scorecard, Specs, Subject, Time};
use rm_vm::backend::Nodes;
use rm_vm::config::Config;
use serde_json::json;

use super::{Place, RealEnv};

/// In a call that is never answered somebody waits so long, and by the clock.
const CALL_SECONDS: u64 = 40;

/// Nodes of a place, and who looks at them by other means.
pub(crate) struct Stand {
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    pub(crate) nodes: fn(Config) -> Nodes,
    pub(crate) eyes: Arc<dyn Eyes>,
}

#[async_trait]
impl Subject for Stand {
    type Model = Node;

    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn time(&self) -> Time {
        Time::Real {
            env: Arc::new(RealEnv),
            speed: 10,
        }
    }

    async fn fresh(&self) -> Result<Ground<Node>> {
        let mut section = self.place.section.clone();
        section["call_timeout_seconds"] = json!(CALL_SECONDS);
        let config = serde_json::from_value(section).unwrap();
        let nodes = (self.nodes)(config);
        let serves = Serves {
            kind: self.place.kind.clone(),
            api: self.place.api.to_owned(),
            media: Vec::new(),
        };
        let ground = Ground::new(Arc::new(nodes)).serves(serves);
        let ground = ground.site(self.place.site(), json!({}));
        Ok(ground.eyes(Arc::clone(&self.eyes)))
    }

    async fn specs(&self, catalog: &Catalog, who: &Caller) -> Result<Specs<Node>> {
        self.place.load(catalog, who).await?;
        let sample = self.place.spec();
        let mut bigger = sample.clone();
        bigger.memory_mib *= 2;
        Ok(Specs {
            sample,
            bigger: Some(bigger),
        })
    }
}

/// How many checks passed.
pub(crate) fn passed(card: &Scorecard) -> usize {
    card.with(Outcome::Passed).count()
}
