//! The suite catches what authors of backends get wrong: each defect is put
//! into a wrapper around the simulated cloud.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use rm_core::backend::{Backend, Capability, Cx, Hint, Hints, Look, Mark, Offer, Phase, Seen};
use rm_core::catalog::{Catalog, Site};
use rm_core::model::{Cluster, ClusterSpec};
use rm_core::store::Page;
use rm_core::{Caller, Error, ErrorKind, RemoteId, Result};
use rm_testkit::conformance::{
    Ground, Level, Outcome, Scorecard, SimSubject, Specs, Subject, suite,
};

/// What a backend gets wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// Nothing.
    None,
    /// A create that exists already is answered as if it were made.
    AnswersExisting,
    /// What exists is told as a failure that may have had an effect.
    ExistsUnknown,
    /// The mark says generation 1 for ever.
    ForgetsGeneration,
    /// The installation is not read back.
    ForgetsInstallation,
    /// The newest of a name is destroyed, whatever id is given.
    DestroysByName,
    /// To destroy what is gone is an error.
    GoneIsAnError,
    /// What is being deleted is not shown any more.
    DeletingIsGone,
    /// A look at what never was is an error.
    AbsentIsAnError,
    /// The list of all ends after its first page.
    OnePage,
    /// The list of all leaves siblings out.
    HidesSiblings,
    /// A change is accepted and not carried out.
    IgnoresChanges,
    /// The error tells the secret.
    TellsSecrets,
    /// A lock is kept by a call that is given up.
    KeepsALock,
    /// A question makes a thing.
    OffersMake,
    /// Events are declared and only the beginning is told.
    TellsNothing,
    /// What is told begins without a word.
    BeginsSilently,
}

#[derive(Debug)]
struct Buggy {
    below: Arc<dyn Backend<Cluster>>,
    bug: Bug,
    busy: Mutex<bool>,
}

impl Buggy {
    fn twisted(&self, mut seen: Seen<Cluster>) -> Option<Seen<Cluster>> {
        let mark = seen.mark.as_mut();
        match (self.bug, mark) {
            (Bug::ForgetsGeneration, Some(mark)) => mark.generation = 1,
            (Bug::ForgetsInstallation, Some(mark)) => mark.installation = "ours".to_owned(),
            (Bug::DeletingIsGone, _) if seen.phase == Phase::Deleting => return None,
            _ => {}
        }
        Some(seen)
    }
}

#[async_trait]
impl Backend<Cluster> for Buggy {
    fn capability(&self, site: &Site) -> Capability {
        let mut cap = self.below.capability(site);
        if self.bug == Bug::OnePage {
            cap.page = 2;
        }
        cap
    }

    async fn watch(&self, cx: &Cx<'_>) -> Result<Hints> {
        let told = self.below.watch(cx).await?;
        let bug = self.bug;
        let passes = move |hint: &Hint| {
            std::future::ready(match bug {
                Bug::TellsNothing => *hint == Hint::LookAtAll,
                Bug::BeginsSilently => *hint != Hint::LookAtAll,
                _ => true,
            })
        };
        Ok(told.filter(passes).boxed())
    }

    async fn offers(&self, cx: &Cx<'_>, want: &ClusterSpec) -> Result<Vec<Offer>> {
        if self.bug == Bug::OffersMake && !cx.quick {
            let mark = Mark {
                installation: "ours".to_owned(),
                resource: rm_core::ResourceId::new(&**cx.env),
                incarnation: 1,
                generation: 1,
            };
            self.below.create(cx, &mark, want).await?;
        }
        self.below.offers(cx, want).await
    }

    async fn observe(
        &self,
        cx: &Cx<'_>,
        look: Look<'_, ClusterSpec>,
    ) -> Result<Page<Seen<Cluster>>> {
        if self.bug == Bug::KeepsALock {
            if *self.busy.lock().unwrap() {
                return Err(Error::new(ErrorKind::Busy, "somebody is looking"));
            }
            *self.busy.lock().unwrap() = true;
        }
        let all = matches!(look, Look::All(_));
        let asked = matches!(&look, Look::These(targets) if !targets.is_empty());
        let mut page = self.below.observe(cx, look).await?;
        *self.busy.lock().unwrap() = false;
        page.items = page
            .items
            .into_iter()
            .filter_map(|seen| self.twisted(seen))
            .collect();
        match self.bug {
            Bug::OnePage if all => {
                page.items.truncate(2);
                page.next = None;
            }
            Bug::HidesSiblings if all => {
                let sibling = |s: &Seen<Cluster>| {
                    let mark = s.mark.as_ref();
                    mark.is_some_and(|m| m.installation.ends_with("sibling"))
                };
                page.items.retain(|seen| !sibling(seen));
            }
            Bug::AbsentIsAnError if asked && page.items.is_empty() => {
                return Err(Error::not_found("404"));
            }
            _ => {}
        }
        Ok(page)
    }

    async fn create(&self, cx: &Cx<'_>, mark: &Mark, spec: &ClusterSpec) -> Result<RemoteId> {
        let made = self.below.create(cx, mark, spec).await;
        match (self.bug, made) {
            (Bug::AnswersExisting, Err(e)) if e.kind() == ErrorKind::Exists => {
                Ok(RemoteId("thing-000001".to_owned()))
            }
            (Bug::ExistsUnknown, Err(e)) if e.kind() == ErrorKind::Exists => {
                Err(Error::new(ErrorKind::Failed, "409").effect_unknown())
            }
            (Bug::TellsSecrets, _) => Err(Error::new(
                ErrorKind::Credential,
                format!("refused for {}", cx.secret.expose()),
            )),
            (_, made) => made,
        }
    }

    async fn change(
        &self,
        cx: &Cx<'_>,
        mark: &Mark,
        seen: &Seen<Cluster>,
        spec: &ClusterSpec,
    ) -> Result<()> {
        let mut spec = spec.clone();
        if self.bug == Bug::IgnoresChanges {
            spec.slaves = 1;
        }
        self.below.change(cx, mark, seen, &spec).await
    }

    async fn destroy(&self, cx: &Cx<'_>, seen: &Seen<Cluster>) -> Result<()> {
        if !matches!(self.bug, Bug::DestroysByName | Bug::GoneIsAnError) {
            return self.below.destroy(cx, seen).await;
        }
        let all = self.below.observe(cx, Look::All(None)).await?.items;
        let by_name = self.bug == Bug::DestroysByName;
        let found = all.into_iter().rev().find(|s| match by_name {
            true => s.name == seen.name,
            false => s.id == seen.id,
        });
        match found {
            Some(found) => self.below.destroy(cx, &found).await,
            None if by_name => Ok(()),
            None => Err(Error::not_found("404")),
        }
    }
}

struct Twisted(Bug, SimSubject);

#[async_trait]
impl Subject for Twisted {
    type Model = Cluster;

    fn name(&self) -> String {
        format!("{:?}", self.0)
    }

    async fn fresh(&self) -> Result<Ground<Cluster>> {
        let bug = self.0;
        Ok(self.1.fresh().await?.through(|below| Buggy {
            below,
            bug,
            busy: Mutex::default(),
        }))
    }

    async fn specs(&self, catalog: &Catalog, who: &Caller) -> Result<Specs<Cluster>> {
        self.1.specs(catalog, who).await
    }
}

fn card(bug: Bug, only: &str) -> Scorecard {
    let sim = SimSubject::new("sim").declaring(|c| c.events = true);
    let suite = suite(Twisted(bug, sim)).only(only);
    suite.into_future().now_or_never().unwrap()
}

#[test]
fn a_wrapper_that_changes_nothing_is_as_good_as_what_it_wraps() {
    card(Bug::None, "").assert(Level::Exact);
}

#[test]
fn each_defect_is_caught_by_the_check_that_is_for_it() {
    for (bug, check) in [
        (Bug::AnswersExisting, "create/twice-says-what-is-declared"),
        (Bug::ExistsUnknown, "create/twice-says-what-is-declared"),
        (Bug::ForgetsGeneration, "create/tells-its-generation"),
        (Bug::ForgetsGeneration, "change/bears-the-new-generation"),
        (Bug::ForgetsInstallation, "create/tells-its-installation"),
        (Bug::DestroysByName, "destroy/goes-by-id-not-by-name"),
        (Bug::GoneIsAnError, "destroy/of-what-is-gone-is-done"),
        (Bug::DeletingIsGone, "destroy/leaves-nothing"),
        (Bug::AbsentIsAnError, "look/at-what-never-was-is-no-error"),
        (Bug::OnePage, "look/all-is-complete"),
        (Bug::HidesSiblings, "look/all-shows-siblings'-marks"),
        (Bug::IgnoresChanges, "change/makes-it-another-size"),
        (Bug::TellsSecrets, "secrets/of-a-create"),
        (Bug::KeepsALock, "faults/dropped/look"),
        (Bug::OffersMake, "offers/change-nothing"),
        (Bug::TellsNothing, "events/tell-what-is-made-and-destroyed"),
        (Bug::BeginsSilently, "events/begin-with-a-look-at-all"),
    ] {
        let healthy = card(Bug::None, check);
        assert_eq!(healthy.with(Outcome::Failed).count(), 0, "{healthy}");
        let broken = card(bug, check);
        assert_eq!(broken.checks.len(), 1, "{broken}");
        assert_eq!(broken.with(Outcome::Failed).count(), 1, "{bug:?}: {broken}");
        assert!(broken.level < Some(Level::Safe), "{broken}");
    }
}

#[test]
fn a_failure_says_what_why_and_what_it_resembles() {
    let card = card(Bug::DestroysByName, "destroy/goes-by-id");
    let text = card.to_string();
    for word in [
        "FAILED destroy/goes-by-id-not-by-name",
        "I5",
        "seed 1",
        "NemoClaw#10867",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let json = serde_json::to_value(&card).unwrap();
    assert_eq!(json["checks"][0]["outcome"], "failed");
    assert_eq!(json["level"], "basic");
    let refused = std::panic::catch_unwind(|| card.assert(Level::Safe));
    assert!(refused.is_err());
}
