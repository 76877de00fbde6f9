use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use rm_core::ResourceId;
use rm_testkit::World;
use serde_json::json;

use super::*;
use crate::driver::{Domain, Driver, Features, Result as Done};

/// A host on which everything is done at once, and counted.
#[derive(Debug, Default)]
struct Counts {
    defined: AtomicU32,
}

#[async_trait]
impl Driver for Counts {
    fn name(&self) -> &'static str {
        "counts"
    }

    fn features(&self) -> Features {
        Features::default()
    }

    async fn host(&self) -> Done<driver::Host> {
        Err(driver::Error::invalid("nobody asks"))
    }

    async fn list(&self) -> Done<Vec<Domain>> {
        Ok(Vec::new())
    }

    async fn these(&self, _: &[String]) -> Done<Vec<Domain>> {
        Ok(Vec::new())
    }

    async fn bring(&self, _: &Image) -> Done<()> {
        Ok(())
    }

    async fn define(&self, _: &Definition) -> Done<()> {
        self.defined.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn annotate(&self, _: &str, _: &str) -> Done<()> {
        Ok(())
    }

    async fn start(&self, _: &str) -> Done<()> {
        Ok(())
    }

    async fn stop(&self, _: &str, _: Duration) -> Done<()> {
        Ok(())
    }

    async fn undefine(&self, _: &str) -> Done<()> {
        Ok(())
    }

    async fn resize(&self, _: &str, _: Size) -> Done<()> {
        Ok(())
    }
}

/// Makes a node that somebody waits for so long, and tells how often a domain
/// was defined.
async fn made(waits: i64) -> (Result<()>, u32) {
    let env = World::new(1).env();
    let driver = Arc::new(Counts::default());
    let spec = json!({"image": {"name": "a", "sha256": "a"}, "vcpus": 1, "memory_mib": 1});
    let until = Timestamp::from_millis(env.now().millis() + waits);
    let make = Make {
        owner: None,
        host: Arc::new(Host::of(Arc::clone(&driver) as Arc<dyn Driver>)),
        image: Image {
            name: "a".to_owned(),
            source: "file:/none".to_owned(),
            sha256: "a".to_owned(),
            format: "raw".to_owned(),
        },
        mark: Mark {
            installation: "lab".to_owned(),
            resource: ResourceId::new(&*env),
            incarnation: 1,
            generation: 1,
        },
        spec: serde_json::from_value(spec).unwrap(),
        env,
        until,
    };
    let done = make.run().await;
    (done, driver.defined.load(Ordering::Relaxed))
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_begun() {
    let (done, defined) = made(1000).await;
    done.unwrap();
    assert_eq!(defined, 1);
    let (done, defined) = made(-1).await;
    let late = done.unwrap_err();
    assert!(late.is_temporary(), "{late}");
    assert_eq!(late.effect(), rm_core::error::Effect::None);
    assert_eq!(defined, 0);
}
