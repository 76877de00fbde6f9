//! Engines beside a check: they are polled with it, crash, and are stopped.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rm_core::model::Model;

use super::Stage;
use crate::conformance::faulty::{Late, Strike};

/// One engine's process.
struct Process {
    engine: BoxFuture<'static, ()>,
    /// Until when it is stopped.
    stopped: Option<BoxFuture<'static, ()>>,
}

/// The engine beside the checks that play none, for backends whose things are
/// resources.
#[derive(Default)]
pub(super) struct Helper(Mutex<Option<Process>>, AtomicBool);

/// While it is there, a check plays its own engines.
struct Playing<'a>(&'a AtomicBool);

impl Drop for Playing<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl<M: Model> Stage<M> {
    /// Lets time pass.
    pub(in crate::conformance) async fn pass(&self, d: Duration) {
        let mut sleep = self.env.sleep(d);
        let Helper(engine, playing) = &self.helper;
        if self.beside.is_none() || playing.load(Ordering::Relaxed) {
            return sleep.await;
        }
        std::future::poll_fn(|cx| {
            let mut engine = engine.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(process) = engine.as_mut() {
                self.step(process, cx);
            } else {
                *engine = self.process();
            }
            let over = sleep.as_mut().poll(cx);
            if over.is_pending()
                && let Some(process) = engine.as_mut()
            {
                self.step(process, cx);
            }
            over
        })
        .await;
    }

    /// Plays `body` while so many engines work. What they own is dropped with
    /// them; what is on its way to the site arrives as long as `body` lasts.
    pub(in crate::conformance) async fn play<T>(
        &self,
        engines: usize,
        body: impl Future<Output = T>,
    ) -> T {
        let playing = &self.helper.1;
        playing.store(true, Ordering::Relaxed);
        let _playing = Playing(playing);
        let mut body = pin!(body);
        let mut processes: Vec<Process> = (0..engines).filter_map(|_| self.process()).collect();
        let mut late: Vec<Late> = Vec::new();
        std::future::poll_fn(|cx| {
            loop {
                if let Poll::Ready(done) = body.as_mut().poll(cx) {
                    return Poll::Ready(done);
                }
                let mut again = false;
                for process in &mut processes {
                    again |= self.step(process, cx);
                }
                let new = self.faulty.take_late();
                again |= !new.is_empty();
                late.extend(new);
                late.retain_mut(|request| match request.as_mut().poll(cx) {
                    Poll::Ready(made) => {
                        self.faulty.arrived(made);
                        false
                    }
                    Poll::Pending => true,
                });
                if !again {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    fn process(&self) -> Option<Process> {
        // Built once before: it cannot be refused now.
        let engine = self.another_host().ok()?.engine();
        Some(Process {
            engine: Box::pin(async move {
                let _ = engine.run(std::future::pending()).await;
            }),
            stopped: None,
        })
    }

    /// Lets a process work; true where it was struck.
    fn step(&self, process: &mut Process, cx: &mut Context<'_>) -> bool {
        if let Some(pause) = &mut process.stopped {
            if pause.as_mut().poll(cx).is_pending() {
                return false;
            }
            process.stopped = None;
        }
        let _ = process.engine.as_mut().poll(cx);
        match self.faulty.take_strike() {
            Some(Strike::Crash) => {
                if let Some(other) = self.process() {
                    *process = other;
                }
                true
            }
            Some(Strike::Stall(d)) => {
                process.stopped = Some(self.env.sleep(d));
                true
            }
            None => false,
        }
    }
}
