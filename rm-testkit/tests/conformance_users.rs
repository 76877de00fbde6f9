//! Who logs in to a node that runs: what the suite asks of backends that
//! declare it, and which mistakes it catches.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::FutureExt;
use rm_core::backend::{
    Absence, Backend, Capability, Cx, Look, Mark, Offer, Phase, Recalled, Resize, Seen,
};
use rm_core::catalog::{Catalog, Site};
use rm_core::model::{Node, NodeSpec, NodeUser, Power};
use rm_core::store::Page;
use rm_core::{Caller, Error, ErrorKind, RemoteId, Result};
use rm_testkit::conformance::{
    Ground, Level, Outcome, Scorecard, SimNodes, SimSubject, Specs, Subject, suite,
};

fn run(subject: impl Subject) -> Scorecard {
    let card = suite(subject).into_future().now_or_never();
    card.expect("simulated time needs no executor")
}

/// Of the checks about users, those with a fault and those without.
fn about_users(card: &Scorecard) -> (usize, usize) {
    let all = card.checks.iter().map(|c| c.about);
    let all = all.filter(|about| matches!(about.group(), "users" | "faults/users"));
    let faults = all.clone().filter(|about| about.faults).count();
    (faults, all.count() - faults)
}

#[test]
fn users_are_asked_for_only_where_they_are_declared() {
    let card = run(SimNodes::default());
    println!("{card}");
    assert_eq!(about_users(&card), (13, 7));
    card.assert(Level::Exact);

    for card in [
        run(SimNodes::declaring(|c| c.users = false)),
        // Users of clusters are what their hosts are born with.
        run(SimSubject::new("sim").declaring(|c| c.users = true)),
    ] {
        assert_eq!(about_users(&card), (0, 0), "{card}");
        let told = |name: &&&str| name.contains("users/");
        assert_eq!(card.not_applicable.iter().filter(told).count(), 20);
        card.assert(Level::Exact);
    }
}

#[test]
fn what_nobody_looks_into_is_believed_by_its_own_words() {
    let card = run(SimNodes::default().blind());
    assert_eq!(about_users(&card), (13, 7));
    card.assert(Level::Exact);
}

#[test]
fn users_of_what_is_not_changed_in_place_are_a_wrong_declaration() {
    for resize in [Resize::None, Resize::Replace] {
        let card = run(SimNodes::declaring(move |c| c.resize = resize));
        let failed: Vec<&str> = card
            .with(Outcome::Failed)
            .map(|check| check.about.name)
            .collect();
        assert_eq!(failed, ["declaration/users-are-changed-in-place"], "{card}");
        assert_eq!(card.level, None);
        assert_eq!(about_users(&card), (0, 0), "the engine changes none there");
    }
}

#[test]
fn a_person_looks_where_nobody_tells_who_can_log_in() {
    let card = card(Bug::NobodyTells, "users/");
    let held: Vec<&str> = card
        .with(Outcome::Held)
        .map(|check| check.about.name)
        .collect();
    assert_eq!(held, ["users/are-told-by-somebody"], "{card}");
    assert_eq!(card.level, Some(Level::Safe), "{card}");
}

#[test]
fn what_a_guest_lets_in_by_itself_is_no_fault_of_its_backend() {
    card(Bug::GuestsOwn, "users/").assert(Level::Exact);
}

#[test]
fn what_is_not_shown_to_be_gone_is_not_changed_as_if_it_were() {
    let nodes = SimNodes::declaring(|c| c.absence = Absence::None);
    let card = suite(nodes).only("users/").into_future().now_or_never();
    let card = card.unwrap();
    assert_eq!(card.not_applicable, ["users/of-what-is-gone-make-nothing"]);
    assert_eq!(card.with(Outcome::Failed).count(), 0, "{card}");
}

/// What a backend gets wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// Nothing.
    None,
    /// A change is accepted, and who logs in stays as it was.
    Ignores,
    /// Who was let in once stays.
    NeverTakesOut,
    /// The node stands still afterwards.
    Stops,
    /// What is so already is refused.
    RefusesTheSame,
    /// What is gone lets in.
    RaisesTheDead,
    /// Nothing is wrong, and nobody tells who logs in.
    NobodyTells,
    /// Nothing is wrong; the guest has an account of its own, and keeps no
    /// comments.
    GuestsOwn,
}

#[derive(Debug)]
struct Buggy {
    below: Arc<dyn Backend<Node>>,
    bug: Bug,
    changes: AtomicU64,
}

impl Buggy {
    async fn known(&self, cx: &Cx<'_>, seen: &Seen<Node>) -> Vec<NodeUser> {
        let recalled = self.below.recall(cx, seen).await.ok().flatten();
        recalled.map(|r| r.spec.users).unwrap_or_default()
    }
}

#[async_trait]
impl Backend<Node> for Buggy {
    fn capability(&self, site: &Site) -> Capability {
        self.below.capability(site)
    }

    async fn offers(&self, cx: &Cx<'_>, want: &NodeSpec) -> Result<Vec<Offer>> {
        self.below.offers(cx, want).await
    }

    async fn observe(&self, cx: &Cx<'_>, look: Look<'_, NodeSpec>) -> Result<Page<Seen<Node>>> {
        let mut page = self.below.observe(cx, look).await?;
        let changed = self.changes.load(Ordering::Relaxed) > 0;
        for view in page.items.iter_mut().filter_map(|seen| seen.view.as_mut()) {
            if self.bug == Bug::Stops && changed {
                view.power = Power::Stopped;
            }
        }
        Ok(page)
    }

    async fn create(&self, cx: &Cx<'_>, mark: &Mark, spec: &NodeSpec) -> Result<RemoteId> {
        self.below.create(cx, mark, spec).await
    }

    async fn change(
        &self,
        cx: &Cx<'_>,
        mark: &Mark,
        seen: &Seen<Node>,
        spec: &NodeSpec,
    ) -> Result<()> {
        self.changes.fetch_add(1, Ordering::Relaxed);
        let mut spec = spec.clone();
        let known = self.known(cx, seen).await;
        match self.bug {
            Bug::Ignores => spec.users = known,
            Bug::NeverTakesOut => {
                let stay = known.into_iter().filter(|user| !spec.users.contains(user));
                let stay: Vec<_> = stay.collect();
                spec.users.extend(stay);
            }
            Bug::RefusesTheSame if known == spec.users => {
                return Err(Error::new(ErrorKind::Conflict, "they can log in already"));
            }
            _ => {}
        }
        match self.below.change(cx, mark, seen, &spec).await {
            Err(_) if self.bug == Bug::RaisesTheDead && seen.phase == Phase::Ready => {
                self.below.create(cx, mark, &spec).await.map(|_| ())
            }
            done => done,
        }
    }

    async fn destroy(&self, cx: &Cx<'_>, seen: &Seen<Node>) -> Result<()> {
        self.below.destroy(cx, seen).await
    }

    async fn recall(&self, cx: &Cx<'_>, seen: &Seen<Node>) -> Result<Option<Recalled<NodeSpec>>> {
        let mut told = self.below.recall(cx, seen).await?;
        match (self.bug, &mut told) {
            (Bug::NobodyTells, told) => *told = None,
            (Bug::GuestsOwn, Some(told)) => {
                let keys = told.spec.users.iter_mut().flat_map(|u| &mut u.ssh_keys);
                for key in keys {
                    *key = key.rsplit_once(' ').unwrap().0.to_owned();
                }
                told.spec.users.push(NodeUser {
                    name: "debian".to_owned(),
                    ssh_keys: vec!["ssh-rsa AAAAB3NzaC1yc2E its@own".to_owned()],
                });
            }
            _ => {}
        }
        Ok(told)
    }
}

struct Twisted(Bug);

#[async_trait]
impl Subject for Twisted {
    type Model = Node;

    fn name(&self) -> String {
        format!("{:?}", self.0)
    }

    async fn fresh(&self) -> Result<Ground<Node>> {
        let bug = self.0;
        let nodes = match bug {
            Bug::NobodyTells | Bug::GuestsOwn => SimNodes::default().blind(),
            _ => SimNodes::default(),
        };
        Ok(nodes.fresh().await?.through(|below| Buggy {
            below,
            bug,
            changes: AtomicU64::new(0),
        }))
    }

    async fn specs(&self, catalog: &Catalog, who: &Caller) -> Result<Specs<Node>> {
        SimNodes::default().specs(catalog, who).await
    }
}

fn card(bug: Bug, only: &str) -> Scorecard {
    let suite = suite(Twisted(bug)).only(only);
    suite.into_future().now_or_never().unwrap()
}

#[test]
fn each_defect_is_caught_by_the_check_that_is_for_it() {
    card(Bug::None, "users/").assert(Level::Exact);
    for (bug, check) in [
        (Bug::Ignores, "users/are-changed-in-what-runs"),
        (Bug::Ignores, "faults/users/answer-lost"),
        (Bug::NeverTakesOut, "users/who-is-taken-out-is-out"),
        (Bug::Stops, "users/are-changed-and-nothing-else"),
        (Bug::RefusesTheSame, "users/to-the-same-is-harmless"),
        (Bug::RaisesTheDead, "users/of-what-is-gone-make-nothing"),
    ] {
        let healthy = card(Bug::None, check);
        assert_eq!(healthy.checks.len(), 1, "{check}");
        assert_eq!(healthy.with(Outcome::Failed).count(), 0, "{healthy}");
        let broken = card(bug, check);
        assert_eq!(broken.with(Outcome::Failed).count(), 1, "{bug:?}: {broken}");
        assert!(broken.level < Some(Level::Exact), "{broken}");
    }
}
