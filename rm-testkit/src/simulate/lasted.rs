//! What lasts for a while is one fault, however many calls run into it.

use std::collections::BTreeSet;

use rm_core::env::Timestamp;

use super::kind::{Kind, Suffered};
use crate::cloud::SimCall;
use crate::scene::Scene;

/// Something was wrong with a site or an account for a while.
#[derive(Debug)]
struct Span {
    kind: Kind,
    /// Where; at all sites where absent.
    site: Option<String>,
    from: Timestamp,
    /// It lasts yet where absent.
    until: Option<Timestamp>,
}

impl Span {
    /// Whether a call that was refused, and had no fault of its own, was so
    /// because of this.
    fn is_met_by(&self, kind: Kind, call: &SimCall) -> bool {
        // A site refuses an old password as it does one that has expired.
        let fits = self.kind == kind || (self.kind, kind) == (Kind::Rotated, Kind::Expired);
        fits && self.site.as_ref().is_none_or(|site| *site == call.site)
            && self.from <= call.at
            && self.until.is_none_or(|until| call.at <= until)
    }
}

/// Everything that lasted for a while, in the order in which it began.
#[derive(Debug, Default)]
pub(super) struct Lasted(Vec<Span>);

impl Lasted {
    /// It begins, at one site or at all; answers its number.
    pub(super) fn begin(&mut self, kind: Kind, site: Option<&str>, from: Timestamp) -> usize {
        self.0.push(Span {
            kind,
            site: site.map(str::to_owned),
            from,
            until: None,
        });
        self.0.len() - 1
    }

    /// It is over.
    pub(super) fn end(&mut self, number: usize, until: Timestamp) {
        if let Some(span) = self.0.get_mut(number) {
            span.until = Some(until);
        }
    }

    /// What calls suffered: one fault for each rule, whoever suffered it, and
    /// one for whatever lasted and was met. Where two of these lasted at the
    /// same moment, a call counts for the first.
    pub(super) fn suffered(&self, s: &Scene) -> Suffered {
        let mut all = Suffered::default();
        let mut rules = BTreeSet::new();
        let mut met = vec![false; self.0.len()];
        s.cloud.each_call(|call| {
            let Some(kind) = Kind::of(call) else { return };
            if call.fault.is_some() {
                let new = call.rule.is_none_or(|rule| rules.insert(rule));
                all.add(kind, u64::from(new));
            } else if let Some(at) = self.0.iter().position(|span| span.is_met_by(kind, call)) {
                met[at] = true;
            }
        });
        // That a password was replaced counts by itself.
        let met = self.0.iter().zip(met).filter(|(_, met)| *met);
        for (span, _) in met.filter(|(span, _)| span.kind != Kind::Rotated) {
            all.add(span.kind, 1);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use rm_core::ErrorKind;
    use rm_core::backend::CreateKey;

    use super::*;
    use crate::cloud::Answer;
    use crate::rng::Rng;
    use crate::simulate::mischief::Mischief;
    use crate::simulate::setting::tuned;

    /// What is counted, and how many calls of the site and the store were
    /// refused, where one fault of this kind befalls a cluster that goes.
    fn one(kind: Kind, seed: u64) -> (Suffered, u64) {
        let scene = Scene::builder(seed).policy(tuned).build().unwrap();
        scene.start_engine();
        scene.start_engine();
        scene.run(async |s| {
            let made = s.clusters().create(&s.alice, &s.own(1)).await.unwrap();
            s.ready(&s.alice, made.cluster.id()).await.unwrap();
            let mut mischief = Mischief::new(Rng::new(seed), &["north"], CreateKey::UniqueName);
            mischief.begin(s, kind).await;
            made.cluster.release(&s.alice, None).await.unwrap();
            for _ in 0..60 {
                s.world.sleep(Duration::from_millis(500)).await;
                mischief.end(s, false).await;
            }
            mischief.end(s, true).await;
            let refused = |call: &SimCall| matches!(call.answer, Answer::Refused(_));
            let calls = s.cloud.calls().iter().filter(|c| refused(c)).count() as u64;
            let engines = s.engines();
            let stores: u64 = engines.iter().map(|e| e.store.refused()).sum();
            (mischief.suffered(s), calls + stores)
        })
    }

    #[test]
    fn one_outage_is_one_fault_however_many_calls_run_into_it() {
        for kind in [
            Kind::Away,
            Kind::CannotDelete,
            Kind::DeleteRefused,
            Kind::StoreAway,
            Kind::Rotated,
            Kind::Expired,
        ] {
            let mut most = 0;
            for seed in 0..12 {
                let (suffered, refused) = one(kind, seed);
                assert_eq!(suffered.total(), suffered.of(kind), "{}", kind.as_str());
                assert!(suffered.total() <= 1, "{} {suffered:?}", kind.as_str());
                most = most.max(refused * suffered.total());
            }
            assert!(most >= 2, "{} met {most} calls", kind.as_str());
        }
    }

    #[test]
    fn a_tenant_runs_into_its_quota_once() {
        let scene = Scene::builder(1).policy(tuned).build().unwrap();
        scene.run(async |s| {
            let mut mischief = Mischief::new(Rng::new(1), &["north"], CreateKey::UniqueName);
            for _ in 0..3 {
                for who in [&s.alice, &s.bob, &s.carol] {
                    let e = s.clusters().create(who, &s.own(30)).await.unwrap_err();
                    assert_eq!(e.kind(), ErrorKind::Quota);
                    mischief.refused(who);
                }
            }
            assert_eq!(mischief.suffered(s).of(Kind::Quota), 2, "of two tenants");
            mischief.crowded(&s.alice);
            assert_eq!(mischief.suffered(s).total(), 3, "on purpose it is another");
        });
    }
}
