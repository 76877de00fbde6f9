//! What cannot be undone without paying for it is bought when somebody asks,
//! and never once more.

use rm_core::backend::Resize;
use rm_core::model::Model;

use super::check::{Check, Declared, Verdict, checks, ensure};
use super::faulty::Mishap;
use super::life::Life;
use super::stage::Stage;
use super::troubles::{pair, vanished};
use crate::cloud::Verb;

pub(super) fn all<M: Model>() -> Vec<Check<M>> {
    checks! {
        "faults/others/paid-once" (faulty) Safe I6 "Hostinger: a create is a purchase" billed => paid_once;
        "faults/paid/a-lost-request-is-not-sent-again" (faulty) Safe I6 "Hostinger: bought once more for an answer that was lost" billed_without_key => sent_once;
        "faults/paid/gone-is-not-bought-again" (faulty) Safe I6 "Hostinger: repaired, and paid for twice" billed => not_repaired;
        "faults/paid/another-size-buys-nothing" Basic I8 "Hostinger: resized, and paid for twice" billed_and_replaced => not_replaced;
    }
}

impl Declared {
    fn billed(&self) -> bool {
        self.cap.billing_commit
    }

    fn billed_without_key(&self) -> bool {
        self.billed() && !self.keyed()
    }

    fn billed_and_replaced(&self) -> bool {
        self.billed() && self.cap.resize == Resize::Replace && self.sizes
    }
}

/// What cannot be undone without paying is not made twice, whatever is lost.
async fn paid_once<M: Model>(s: &Stage<M>) -> Verdict {
    let done = pair(
        s,
        &[
            (Verb::Create, Mishap::LostAfter),
            (Verb::Observe, Mishap::LostBefore),
            (Verb::Observe, Mishap::CrashAfter),
        ],
    )
    .await;
    let made = s.faulty.made();
    ensure!(made.len() == 1, "asked for one, and paid for {made:?}");
    done
}

/// A create is lost on its way, and nothing would make a second one harmless:
/// a person says whether there is to be another one.
async fn sent_once<M: Model>(s: &Stage<M>) -> Verdict {
    let done = pair(s, &[(Verb::Create, Mishap::LostBefore)]).await;
    let asked = s.faulty.asked(Verb::Create);
    ensure!(
        asked == 1,
        "nobody knows whether it is paid for, and it was asked for {asked} times"
    );
    done
}

/// The policy makes again what is gone; but not what is a purchase.
async fn not_repaired<M: Model>(s: &Stage<M>) -> Verdict {
    vanished(s).await
}

/// What could only be replaced stays as it is, and its owner is told why.
async fn not_replaced<M: Model>(s: &Stage<M>) -> Verdict {
    s.play(1, async {
        let mut life = Life::begin(s).await?;
        life.there().await?;
        life.grow().await?;
        s.pass(s.policy.sweep * 2).await;
        let record = life.record().await?;
        let told = record.and_then(|r| r.taken_back().map(str::to_owned));
        ensure!(
            told.is_some_and(|why| why.contains("buy")),
            "another size was asked for, and nobody was told that it would be a purchase"
        );
        let asked = (s.faulty.asked(Verb::Create), s.faulty.asked(Verb::Destroy));
        ensure!(
            asked == (1, 0),
            "asked for another size, it was made and destroyed so often: {asked:?}"
        );
        life.end().await?;
        life.verdict()
    })
    .await
}
