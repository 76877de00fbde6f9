//! What a world gives to core and backends, and where it interrupts them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use rm_core::env::{Env, Timestamp};

use super::inner::Inner;

/// Time, randomness and reach of a [`World`](super::World).
#[derive(Debug)]
pub struct SimEnv {
    inner: Arc<Inner>,
    skew: i64,
}

impl SimEnv {
    pub(super) fn new(inner: Arc<Inner>, skew: i64) -> Self {
        Self { inner, skew }
    }
}

#[async_trait]
impl Env for SimEnv {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.inner.now().millis().saturating_add(self.skew))
    }

    fn sleep(&self, d: Duration) -> BoxFuture<'static, ()> {
        Inner::sleep(&self.inner, d)
    }

    fn random(&self) -> u64 {
        self.inner.random()
    }

    async fn reaches(&self, _address: &str, port: u16) -> bool {
        self.inner.reaches(port)
    }
}

/// Where tasks can be interrupted: each one passed lets others run first, and
/// may be where its task crashes. Outside a world nothing happens there.
#[derive(Debug, Clone, Default)]
pub struct Points(Option<Arc<Inner>>);

impl Points {
    /// Points of no world.
    pub const fn none() -> Self {
        Self(None)
    }

    pub(super) fn of(inner: Arc<Inner>) -> Self {
        Self(Some(inner))
    }

    /// Passes one. Its name says in counts and reports where it is.
    pub async fn pass(&self, name: &'static str) {
        let Some(inner) = &self.0 else { return };
        if inner.pass(name) {
            std::future::pending::<()>().await;
        }
        Yield(false).await;
    }
}

struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
