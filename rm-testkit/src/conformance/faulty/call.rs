//! One call and what it suffers.

use std::future::Future;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rm_core::backend::{Cx, Mark};
use rm_core::model::Model;
use rm_core::{Error, RemoteId, Result};

use super::{Faulty, Mishap, Strike};

impl<M: Model> Faulty<M> {
    /// Makes a call, or two, or none, and answers what the engine gets to
    /// hear. `note` is told what really came of it.
    pub(super) async fn suffer<'a, T: Send + 'a>(
        &self,
        cx: &Cx<'_>,
        mishap: Option<Mishap>,
        call: impl Fn() -> BoxFuture<'a, Result<T>> + Send + Sync,
        note: impl Fn(&Result<T>) + Send + Sync,
    ) -> Result<T> {
        let Some(mishap) = mishap else {
            let done = call().await;
            note(&done);
            return done;
        };
        if let Some(strike) = mishap.before() {
            self.struck(strike).await;
        }
        if let (true, Some(e)) = (mishap.is_deaf(), mishap.error()) {
            return Err(e);
        }
        let mut done = match mishap {
            Mishap::CrashDuring(polls) => self.until(polls, call()).await,
            _ => call().await,
        };
        note(&done);
        if matches!(mishap, Mishap::Twice | Mishap::TwiceHeardLast) {
            let second = call().await;
            note(&second);
            if mishap == Mishap::TwiceHeardLast {
                done = second;
            }
        }
        if let Mishap::Slow(d) = mishap {
            cx.env.sleep(d).await;
        }
        if let Some(strike) = mishap.after() {
            self.struck(strike).await;
        }
        match mishap.error() {
            Some(e) => Err(e),
            None => done,
        }
    }

    /// Lets the request arrive later, and answers what is heard at once.
    pub(super) fn postpone(
        &self,
        cx: &Cx<'_>,
        after: Duration,
        request: impl Future<Output = Option<(RemoteId, Mark)>> + Send + 'static,
    ) -> Error {
        let sleep = cx.env.sleep(after);
        let mut state = self.lock();
        state.open += 1;
        state.late.push(Box::pin(async move {
            sleep.await;
            request.await
        }));
        match Mishap::Late(after).error() {
            Some(e) => e,
            None => unreachable!("who is late is told so"),
        }
    }

    /// The driver has carried a late request to its end.
    pub(in crate::conformance) fn arrived(&self, made: Option<(RemoteId, Mark)>) {
        let mut state = self.lock();
        state.open = state.open.saturating_sub(1);
        state.made.extend(made);
    }

    /// Gives way to whoever crashes or stops the process, and goes on if it is
    /// only stopped.
    async fn struck(&self, strike: Strike) {
        self.strike(strike);
        if strike == Strike::Crash {
            return std::future::pending().await;
        }
        let mut once = false;
        std::future::poll_fn(|cx| {
            if std::mem::replace(&mut once, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Polls a call so often and then strikes, if it has not ended by then.
    async fn until<T>(&self, polls: u32, mut call: BoxFuture<'_, T>) -> T {
        let mut polled = 0;
        std::future::poll_fn(|cx| {
            let now = call.as_mut().poll(cx);
            polled += 1;
            if now.is_pending() && polled == polls {
                self.strike(Strike::Crash);
            }
            now
        })
        .await
    }
}
