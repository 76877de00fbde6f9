//! Doors beside the first one: they open before it and close with it.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::failure::{Failure, Result};

/// What a door says for `/metrics`.
type Numbers = Arc<dyn Fn() -> String + Send + Sync>;

/// Those that are open.
pub(super) struct Beside {
    stop: watch::Sender<bool>,
    serving: JoinSet<()>,
    numbers: Vec<Numbers>,
    broke: bool,
}

impl Default for Beside {
    fn default() -> Self {
        Self {
            stop: watch::Sender::new(false),
            serving: JoinSet::new(),
            numbers: Vec::new(),
            broke: false,
        }
    }
}

#[cfg_attr(not(feature = "geni"), expect(dead_code, reason = "there is none yet"))]
impl Beside {
    /// Ends when they are to stop.
    pub(super) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut told = self.stop.subscribe();
        async move {
            // An error means that nobody is left who could say so: stop, too.
            let _ = told.wait_for(|stop| *stop).await;
        }
    }

    /// Serves one more.
    pub(super) fn serve(&mut self, door: impl Future<Output = ()> + Send + 'static) {
        self.serving.spawn(door);
    }

    /// This is said for `/metrics`, too.
    pub(super) fn tell(&mut self, numbers: impl Fn() -> String + Send + Sync + 'static) {
        self.numbers.push(Arc::new(numbers));
    }
}

impl Beside {
    /// What they say for `/metrics`.
    pub(super) fn numbers(&self) -> impl Fn() -> String + Send + Sync + 'static {
        let all = self.numbers.clone();
        move || all.iter().map(|tell| tell()).collect()
    }

    /// Ends when one of them has ended although nobody asked it to.
    pub(super) async fn broken(&mut self) {
        match self.serving.join_next().await {
            Some(_) => self.broke = true,
            None => std::future::pending().await,
        }
    }

    /// Tells them to stop.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until they have. A defect of one must not pass for a clean end.
    pub(super) async fn end(mut self) -> Result<()> {
        while let Some(ended) = self.serving.join_next().await {
            self.broke |= ended.is_err();
        }
        match self.broke {
            true => Err(Failure::refused("a door has broken")),
            false => Ok(()),
        }
    }
}
