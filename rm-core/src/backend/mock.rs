//! A backend that is told what to answer, for the tests of programs that are
//! built upon a [`Host`](crate::Host).

use async_trait::async_trait;
use mockall::mock;

use super::{Backend, Capability, Cx, Look, Mark, Offer, Seen, Target};
use crate::catalog::Site;
use crate::error::Result;
use crate::id::RemoteId;
use crate::model::Model;
use crate::store::Page;

mock! {
    /// Answers what it was told, and panics where it was told nothing.
    ///
    /// It has the verbs of a [`Backend`] in the shape that tests write easily:
    /// they do not wait, and of what a call may use they get the site alone.
    /// A look at everything asks for no targets, and all that is seen bears a
    /// view, for the closer looks.
    ///
    /// ```
    /// use rm_core::backend::{Capability, MockBackend};
    /// use rm_core::model::Cluster;
    /// use rm_core::{Error, ErrorKind};
    ///
    /// let mut cloud = MockBackend::<Cluster>::new();
    /// cloud.expect_capability().returning(|_| Capability::new());
    /// cloud.expect_create().returning(|site, _, _| {
    ///     Err(Error::new(ErrorKind::NoCapacity, format!("{} is full", site.name)))
    /// });
    /// ```
    ///
    /// `tests/mock.rs` of this crate tests a program with it.
    #[derive(Debug)]
    pub Backend<M: Model> {
        /// See [`Backend::capability`].
        pub fn capability(&self, site: &Site) -> Capability;
        /// See [`Backend::offers`].
        pub fn offers(&self, site: &Site, want: &M::Spec) -> Result<Vec<Offer>>;
        /// See [`Backend::observe`].
        pub fn observe(&self, site: &Site, targets: &[Target]) -> Result<Vec<Seen<M>>>;
        /// See [`Backend::create`].
        pub fn create(&self, site: &Site, mark: &Mark, spec: &M::Spec) -> Result<RemoteId>;
        /// See [`Backend::change`].
        pub fn change(&self, site: &Site, mark: &Mark, seen: &Seen<M>, spec: &M::Spec) -> Result<()>;
        /// See [`Backend::destroy`].
        pub fn destroy(&self, site: &Site, seen: &Seen<M>) -> Result<()>;
    }
}

#[async_trait]
impl<M: Model> Backend<M> for MockBackend<M> {
    fn capability(&self, site: &Site) -> Capability {
        Self::capability(self, site)
    }

    async fn offers(&self, cx: &Cx<'_>, want: &M::Spec) -> Result<Vec<Offer>> {
        Self::offers(self, cx.site, want)
    }

    async fn observe(&self, cx: &Cx<'_>, look: Look<'_, M::Spec>) -> Result<Page<Seen<M>>> {
        let targets = match look {
            Look::These(targets) => targets,
            Look::Closely(target, _) => std::slice::from_ref(target),
            Look::All(_) => &[],
        };
        Ok(Page {
            items: Self::observe(self, cx.site, targets)?,
            next: None,
        })
    }

    async fn create(&self, cx: &Cx<'_>, mark: &Mark, spec: &M::Spec) -> Result<RemoteId> {
        Self::create(self, cx.site, mark, spec)
    }

    async fn change(&self, cx: &Cx<'_>, mark: &Mark, seen: &Seen<M>, spec: &M::Spec) -> Result<()> {
        Self::change(self, cx.site, mark, seen, spec)
    }

    async fn destroy(&self, cx: &Cx<'_>, seen: &Seen<M>) -> Result<()> {
        Self::destroy(self, cx.site, seen)
    }
}
