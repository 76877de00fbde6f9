//! Time that goes faster than that of the environment below it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use rm_core::env::{Env, Timestamp};

/// Another environment's time, so many times as fast.
#[derive(Debug)]
pub(super) struct Hurried {
    below: Arc<dyn Env>,
    begin: Timestamp,
    speed: u32,
}

impl Hurried {
    pub(super) fn new(below: Arc<dyn Env>, speed: u32) -> Arc<Self> {
        Arc::new(Self {
            begin: below.now(),
            below,
            speed: speed.max(1),
        })
    }
}

#[async_trait]
impl Env for Hurried {
    fn now(&self) -> Timestamp {
        self.begin
            .plus(self.below.now().since(self.begin) * self.speed)
    }

    fn sleep(&self, d: Duration) -> BoxFuture<'static, ()> {
        self.below.sleep(d / self.speed)
    }

    fn random(&self) -> u64 {
        self.below.random()
    }

    async fn reaches(&self, address: &str, port: u16) -> bool {
        self.below.reaches(address, port).await
    }
}
