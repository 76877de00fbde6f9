//! What a world gives to core and backends, and where it interrupts them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use rm_core::env::{Env, Timestamp};

use super::boundary::{Passed, Trouble};
use super::inner::Inner;

/// Time, randomness and reach of a [`World`](super::World).
#[derive(Debug)]
pub struct SimEnv {
    inner: Arc<Inner>,
    /// How wrong the clock is, in milliseconds.
    skew: Arc<AtomicI64>,
}

impl SimEnv {
    pub(super) fn new(inner: Arc<Inner>, skew: i64) -> Self {
        let skew = Arc::new(AtomicI64::new(skew));
        Self { inner, skew }
    }

    /// Sets the clock forward by so many milliseconds, or back.
    pub fn step(&self, millis: i64) {
        self.skew.fetch_add(millis, Ordering::Relaxed);
    }

    /// How wrong it is by now.
    pub fn wrong(&self) -> i64 {
        self.skew.load(Ordering::Relaxed)
    }

    pub(super) fn clock(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.skew)
    }
}

#[async_trait]
impl Env for SimEnv {
    fn now(&self) -> Timestamp {
        let skew = self.skew.load(Ordering::Relaxed);
        Timestamp::from_millis(self.inner.now().millis().saturating_add(skew))
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

    /// What time it really is.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        Some(self.0.as_ref()?.now())
    }

    /// Ends after `d` of the world's time; at once outside of one.
    pub(crate) async fn sleep(&self, d: Duration) {
        if let Some(inner) = &self.0 {
            Inner::sleep(inner, d).await;
        }
    }

    /// Passes one. Its name says in counts and reports where it is.
    pub async fn pass(&self, name: &'static str) {
        self.meet(name).await;
    }

    /// The same, and what is to happen to the call there.
    pub(crate) async fn meet(&self, name: &'static str) -> Option<Trouble> {
        self.at(name, false).await
    }

    /// The same around a call that only reads.
    pub(crate) async fn meet_reading(&self, name: &'static str) -> Option<Trouble> {
        self.at(name, true).await
    }

    async fn at(&self, name: &'static str, reads: bool) -> Option<Trouble> {
        let inner = self.0.as_ref()?;
        match inner.pass(name, reads) {
            (Passed::Never, _) => std::future::pending().await,
            (Passed::On(trouble), yields) => {
                if yields {
                    Yield(false).await;
                }
                trouble
            }
        }
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
