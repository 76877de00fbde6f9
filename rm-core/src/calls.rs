//! Calls on backends, told to whoever counts them. Core itself keeps no
//! numbers: what they are called and how they are read is the host's business.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::backend::{Capability, Cx, Hints, Look, Mark, Offer, Recalled};
use crate::catalog::Site;
use crate::driver::{Driver, Sight};
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::RemoteId;
use crate::life::Wanted;
use crate::model::Json;
use crate::store::Page;

/// Is told of every call on a backend when it is over, in the middle of the
/// work: it must not wait for anything.
pub trait WatchCalls: fmt::Debug + Send + Sync + 'static {
    /// A call is over.
    fn called(&self, call: &BackendCall<'_>);
}

/// A call on a backend that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackendCall<'a> {
    /// The backend's name.
    pub backend: &'a str,
    /// The site's name.
    pub site: &'a str,
    /// `offers`, `observe`, `create`, `change`, `destroy`, `note`, `console`, or
    /// `watch`, which is over when the site is heard.
    pub verb: &'static str,
    /// `ok`; the code of an [`ErrorKind`](crate::ErrorKind); or `cut-off`
    /// where nobody waits for its end any more: it took too long, or the work
    /// stops.
    pub outcome: &'static str,
    /// How long it took.
    pub took: Duration,
}

/// A driver whose calls are told.
#[derive(Debug)]
pub(crate) struct Observed {
    name: String,
    driver: Arc<dyn Driver>,
    calls: Arc<dyn WatchCalls>,
}

impl Observed {
    pub(crate) fn wrap(
        name: &str,
        driver: Arc<dyn Driver>,
        calls: Arc<dyn WatchCalls>,
    ) -> Arc<dyn Driver> {
        Arc::new(Self {
            name: name.to_owned(),
            driver,
            calls,
        })
    }

    async fn told<T>(
        &self,
        cx: &Cx<'_>,
        verb: &'static str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut under_way = UnderWay {
            observed: self,
            cx,
            verb,
            begun: cx.env.now(),
            outcome: "cut-off",
        };
        let done = call.await;
        under_way.outcome = match &done {
            Ok(_) => "ok",
            Err(e) => e.kind().code(),
        };
        done
    }
}

/// Tells of its call when it is dropped, so that a call that nobody waits for
/// any more is told, too.
struct UnderWay<'a> {
    observed: &'a Observed,
    cx: &'a Cx<'a>,
    verb: &'static str,
    begun: Timestamp,
    outcome: &'static str,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.observed.calls.called(&BackendCall {
            backend: &self.observed.name,
            site: &self.cx.site.name,
            verb: self.verb,
            outcome: self.outcome,
            took: self.cx.env.now().since(self.begun),
        });
    }
}

#[async_trait]
impl Driver for Observed {
    fn model(&self) -> TypeId {
        self.driver.model()
    }

    fn capability(&self, site: &Site) -> Capability {
        self.driver.capability(site)
    }

    fn nodes(&self, spec: &Json) -> Result<u64> {
        self.driver.nodes(spec)
    }

    fn wanted(&self, spec: &Json) -> Result<Wanted> {
        self.driver.wanted(spec)
    }

    async fn offers(&self, cx: &Cx<'_>, spec: &Json) -> Result<Vec<Offer>> {
        let call = self.driver.offers(cx, spec);
        self.told(cx, "offers", call).await
    }

    async fn observe(&self, cx: &Cx<'_>, look: Look<'_, Json>) -> Result<Page<Sight>> {
        let call = self.driver.observe(cx, look);
        self.told(cx, "observe", call).await
    }

    async fn create(&self, cx: &Cx<'_>, mark: &Mark, spec: &Json) -> Result<RemoteId> {
        let call = self.driver.create(cx, mark, spec);
        self.told(cx, "create", call).await
    }

    async fn change(&self, cx: &Cx<'_>, mark: &Mark, seen: Sight, spec: &Json) -> Result<()> {
        let call = self.driver.change(cx, mark, seen, spec);
        self.told(cx, "change", call).await
    }

    async fn destroy(&self, cx: &Cx<'_>, seen: Sight) -> Result<()> {
        let call = self.driver.destroy(cx, seen);
        self.told(cx, "destroy", call).await
    }

    async fn recall(&self, cx: &Cx<'_>, seen: Sight) -> Result<Option<Recalled<Json>>> {
        let call = self.driver.recall(cx, seen);
        self.told(cx, "observe", call).await
    }

    async fn note(&self, cx: &Cx<'_>, seen: Sight) -> Result<()> {
        let call = self.driver.note(cx, seen);
        self.told(cx, "note", call).await
    }

    async fn console(&self, cx: &Cx<'_>, id: &RemoteId, most: usize) -> Result<Vec<u8>> {
        let call = self.driver.console(cx, id, most);
        self.told(cx, "console", call).await
    }

    async fn watch(&self, cx: &Cx<'_>) -> Result<Hints> {
        let call = self.driver.watch(cx);
        self.told(cx, "watch", call).await
    }
}
