//! Another installation, alive, with a store of its own, on the same accounts.

use std::sync::Arc;

use rm_core::backend::Phase;
use rm_core::store::{Batch, MemoryStore, Store};

use crate::scene::{Scene, host};
use crate::store::SimStore;
use crate::world::TaskId;

/// What its marks bear.
const INSTALLATION: &str = "sibling";

/// It makes one cluster and keeps it.
#[derive(Debug)]
pub(super) struct Sibling {
    engine: TaskId,
}

impl Sibling {
    pub(super) async fn start(s: &Scene) -> Option<Self> {
        let env = s.world.env();
        let truth: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::clone(&env) as _));
        let batch = Batch {
            documents: s.catalog().await.ok()?,
            ..Batch::default()
        };
        truth.commit(batch).await.ok()?;
        let store = SimStore::new(truth, s.world.points());
        let host = host(&env, &s.cloud, &store, s.door.policy(), INSTALLATION).ok()?;
        // Where its credential is not accepted just now it has nothing yet.
        let _ = host.clusters().create(&s.alice, &s.own(1)).await;
        let engine = host.engine();
        let engine = s.world.spawn_by(INSTALLATION, &env, async move {
            let _ = engine.run(std::future::pending()).await;
        });
        Some(Self { engine })
    }

    /// It works no more.
    pub(super) fn stop(&self, s: &Scene) {
        s.world.kill(self.engine);
    }

    /// What of its is not as it left it: it never changes or destroys.
    pub(super) fn touched(&self, s: &Scene) -> Vec<String> {
        let mut broken = Vec::new();
        s.cloud.each_thing(|site, thing| {
            let theirs = thing
                .mark
                .as_ref()
                .is_some_and(|m| m.installation == INSTALLATION);
            let whole = matches!(thing.phase, Phase::Building | Phase::Ready | Phase::Failed);
            if theirs && (!whole || thing.stamp != 1) {
                broken.push(format!(
                    "{} at {site} is a sibling's and was touched",
                    thing.id
                ));
            }
        });
        broken
    }
}
