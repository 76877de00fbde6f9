//! One call of a life goes wrong, in every way that is known.

use std::time::Duration;

use rm_core::ErrorKind;
use rm_core::model::Model;

use super::check::Check;
use super::faulty::Mishap::{
    self, Blind, CrashAfter, CrashBefore, CrashDuring, Late, LostAfter, LostBefore, Refused,
    Repeats, Slow, StallAfter, StallBefore, TooMany, Twice, TwiceHeardLast,
};
use super::life::{life, replaced};

pub(super) const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Longer than any call may take, and than any claim lasts.
pub(super) const FOREVER: Duration = seconds(3600);

pub(super) const AWAY: Mishap = Refused(ErrorKind::Unavailable);
const ASKED: Mishap = TooMany(seconds(20));

/// Lives in which one call suffers: name, invariant, incident, when, which
/// call, what, how often, and how many engines there are. All of them are
/// played by the same function.
macro_rules! lives {
    ($life:ident; $($name:literal $invariant:ident $incident:literal $when:ident => $verb:ident $mishap:expr, $times:literal, $engines:literal;)+) => {
        vec![$($crate::conformance::check::Check::new(
            $crate::conformance::check::About {
                name: $name,
                faults: true,
                level: $crate::conformance::check::Level::Safe,
                invariant: $crate::conformance::check::Invariant::$invariant,
                incident: $incident,
            },
            $crate::conformance::check::Declared::$when,
            |stage| Box::pin($life(stage, $crate::conformance::life::Plan {
                verb: $crate::cloud::Verb::$verb,
                mishap: $mishap,
                times: $times,
                engines: $engines,
            })),
        )),+]
    };
}
pub(super) use lives;

pub(super) fn all<M: Model>() -> Vec<Check<M>> {
    let mut all = of_create();
    all.extend(of_change());
    all.extend(of_replacement());
    all.extend(of_destroy());
    all.extend(of_looks());
    all.extend(of_processes());
    all
}

fn of_create<M: Model>() -> Vec<Check<M>> {
    lives! {
        life;
        "faults/create/request-lost" I2 "steno#66: unknown taken for failed" always => Create LostBefore, 1, 1;
        "faults/create/request-lost-three-times" I2 "sky#1496: each try an unknown one" always => Create LostBefore, 3, 1;
        "faults/create/answer-lost" I1 "crabbox#1575: accepted, and the answer lost" always => Create LostAfter, 1, 1;
        "faults/create/answer-lost-twice" I1 "open-instruct#1887: cut by the gateway, again and again" always => Create LostAfter, 2, 1;
        "faults/create/arrives-soon-after" I1 "open-instruct#1887: the gateway gave up, the site did not" always => Create Late(seconds(3)), 1, 1;
        "faults/create/arrives-long-after" I1 "crabbox#1575: found only by who looks long enough" always => Create Late(seconds(50)), 1, 1;
        "faults/create/answers-slowly" I1 "yugabyte#7316: slow is not lost" always => Create Slow(seconds(3)), 1, 1;
        "faults/create/never-answers" I1 "crossplane#3037: cut off in the middle of a create" always => Create Slow(FOREVER), 1, 1;
        "faults/create/delivered-twice" I1 "agent-sandbox#1215: one asked, several made" always => Create Twice, 1, 1;
        "faults/create/delivered-twice-and-refused" I1 "omicron#10695: an error after the commit" always => Create TwiceHeardLast, 1, 1;
        "faults/create/site-away" I7 "sky#4392: a site that is away for a while" always => Create AWAY, 3, 1;
        "faults/create/too-many-requests" I9 "terraform-provider-openstack#1365: 429 not retried" always => Create ASKED, 2, 1;
        "faults/create/crash-before" I1 "tf#20718: the state is kept only at the end" always => Create CrashBefore, 1, 1;
        "faults/create/crash-after" I1 "temper#431: created, and died before that was kept" always => Create CrashAfter, 1, 1;
        "faults/create/crash-after-twice" I1 "opta#674: died, and died again" always => Create CrashAfter, 2, 1;
        "faults/create/cut-at-its-first-wait" I1 "upjet-aws#1482: killed in the middle" always => Create CrashDuring(1), 1, 1;
        "faults/create/cut-at-its-second-wait" I1 "upjet-aws#1482: killed in the middle" always => Create CrashDuring(2), 1, 1;
        "faults/create/cut-at-its-third-wait" I1 "upjet-aws#1482: killed in the middle" always => Create CrashDuring(3), 1, 1;
        "faults/offers/no-answer" I2 "pycloudlib#359: not known is not none" always => Offers LostBefore, 1, 1;
        "faults/offers/too-many-requests" I9 "wr#38: the limit is met while asking" always => Offers ASKED, 1, 1;
    }
}

fn of_change<M: Model>() -> Vec<Check<M>> {
    lives! {
        life;
        "faults/change/request-lost" I2 "steno#26: an action of which nobody knows" in_place => Change LostBefore, 1, 1;
        "faults/change/request-lost-three-times" I2 "steno#138: each try an unknown one" in_place => Change LostBefore, 3, 1;
        "faults/change/answer-lost" I2 "omicron#2094: an action run twice" in_place => Change LostAfter, 1, 1;
        "faults/change/arrives-soon-after" I8 "elasticluster#155: a resize that comes late" in_place => Change Late(seconds(3)), 1, 1;
        "faults/change/arrives-long-after" I8 "elasticluster#155: a resize that comes late" in_place => Change Late(seconds(50)), 1, 1;
        "faults/change/answers-slowly" I2 "yugabyte#7316: slow is not lost" in_place => Change Slow(seconds(3)), 1, 1;
        "faults/change/never-answers" I2 "crossplane#3037: cut off in the middle" in_place => Change Slow(FOREVER), 1, 1;
        "faults/change/delivered-twice" I8 "elasticluster#128: resized twice" in_place => Change Twice, 1, 1;
        "faults/change/delivered-twice-and-refused" I8 "omicron#10695: an error after the commit" in_place => Change TwiceHeardLast, 1, 1;
        "faults/change/site-away" I7 "sky#4392: a site that is away for a while" in_place => Change AWAY, 3, 1;
        "faults/change/too-many-requests" I9 "terraform-provider-openstack#1365: 429 not retried" in_place => Change ASKED, 2, 1;
        "faults/change/crash-before" I8 "tf#20718: the state is kept only at the end" in_place => Change CrashBefore, 1, 1;
        "faults/change/crash-after" I8 "omicron#6070: done, and done again after a crash" in_place => Change CrashAfter, 1, 1;
        "faults/change/cut-at-its-first-wait" I8 "upjet-aws#1482: killed in the middle" in_place => Change CrashDuring(1), 1, 1;
        "faults/change/cut-at-its-second-wait" I8 "upjet-aws#1482: killed in the middle" in_place => Change CrashDuring(2), 1, 1;
    }
}

/// A call goes wrong while another thing is made in the stead of the first.
fn of_replacement<M: Model>() -> Vec<Check<M>> {
    lives! {
        replaced;
        "faults/replace/destroy-lost" I8 "elasticluster#494: replaced, and the old one left" replaces => Destroy LostBefore, 1, 1;
        "faults/replace/destroy-not-answered" I8 "elasticluster#128: a resize that deleted the cluster" replaces => Destroy LostAfter, 1, 1;
        "faults/replace/destroy-arrives-long-after" I8 "elasticluster#155: a resize that comes late" replaces => Destroy Late(seconds(50)), 1, 1;
        "faults/replace/destroy-never-answers" I2 "crossplane#3037: cut off in the middle" replaces => Destroy Slow(FOREVER), 1, 1;
        "faults/replace/destroy-delivered-twice" I5 "omnigent#6127: a late request destroys the newer" replaces => Destroy Twice, 1, 1;
        "faults/replace/destroy-refused-and-done" I8 "omicron#10695: an error after the commit" replaces => Destroy TwiceHeardLast, 1, 1;
        "faults/replace/destroy-refused-for-good" I8 "cloudbreak#1051: it may create and not delete" replaces => Destroy Refused(ErrorKind::Forbidden), 6, 1;
        "faults/replace/destroy-site-away" I7 "sky#4392: a site that is away for a while" replaces => Destroy AWAY, 3, 1;
        "faults/replace/crash-before-destroy" I8 "tf#20718: the state is kept only at the end" replaces => Destroy CrashBefore, 1, 1;
        "faults/replace/crash-after-destroy" I8 "omicron#6070: done, and done again after a crash" replaces => Destroy CrashAfter, 1, 1;
        "faults/replace/create-lost" I1 "steno#66: unknown taken for failed" replaces => Create LostBefore, 1, 1;
        "faults/replace/create-not-answered" I1 "crabbox#1575: accepted, and the answer lost" replaces => Create LostAfter, 1, 1;
        "faults/replace/create-arrives-long-after" I1 "crabbox#1575: found only by who looks long enough" replaces => Create Late(seconds(50)), 1, 1;
        "faults/replace/crash-before-create" I1 "tf#20718: the state is kept only at the end" replaces => Create CrashBefore, 1, 1;
        "faults/replace/crash-after-create" I1 "temper#431: created, and died before that was kept" replaces => Create CrashAfter, 1, 1;
        "faults/replace/two-engines-and-a-lost-destroy" I10 "tinker-cookbook#302: two that act on one" replaces => Destroy LostAfter, 1, 2;
        "faults/replace/stopped-before-the-destroy" I5 "omnigent#6127: a late process destroys the newer" replaces => Destroy StallBefore(FOREVER), 1, 2;
        "faults/replace/stopped-before-the-create" I10 "crabbox#1291: who comes back acts on what is another's" replaces => Create StallBefore(FOREVER), 1, 2;
    }
}

fn of_destroy<M: Model>() -> Vec<Check<M>> {
    lives! {
        life;
        "faults/destroy/request-lost" I3 "iii#1544: the stop's error dropped, the record removed" always => Destroy LostBefore, 1, 1;
        "faults/destroy/request-lost-three-times" I3 "capo#1404: each try an unknown one" always => Destroy LostBefore, 3, 1;
        "faults/destroy/answer-lost" I3 "ailoy#391: gone, and nobody was told" always => Destroy LostAfter, 1, 1;
        "faults/destroy/arrives-soon-after" I3 "GRAM delete: it comes late" always => Destroy Late(seconds(3)), 1, 1;
        "faults/destroy/arrives-long-after" I3 "GRAM delete: it comes late" always => Destroy Late(seconds(50)), 1, 1;
        "faults/destroy/answers-slowly" I3 "yugabyte#7316: slow is not lost" always => Destroy Slow(seconds(3)), 1, 1;
        "faults/destroy/never-answers" I3 "dstack#1551: terminated, it was said, and never was" always => Destroy Slow(FOREVER), 1, 1;
        "faults/destroy/delivered-twice" I3 "treat 404 as failure: stuck deleting" always => Destroy Twice, 1, 1;
        "faults/destroy/delivered-twice-and-refused" I3 "treat 404 as failure: stuck deleting" always => Destroy TwiceHeardLast, 1, 1;
        "faults/destroy/site-away" I7 "capo#2618: deleted while the site is away" always => Destroy AWAY, 3, 1;
        "faults/destroy/too-many-requests" I9 "terraform-provider-openstack#1365: 429 not retried" always => Destroy ASKED, 2, 1;
        "faults/destroy/crash-before" I3 "DIBBS row-removal: the row went first" always => Destroy CrashBefore, 1, 1;
        "faults/destroy/crash-after" I3 "materialize#14901: died while it cleaned up" always => Destroy CrashAfter, 1, 1;
        "faults/destroy/cut-at-its-first-wait" I3 "catapult#179: kill -9, then locked" always => Destroy CrashDuring(1), 1, 1;
        "faults/destroy/cut-at-its-second-wait" I3 "catapult#179: kill -9, then locked" always => Destroy CrashDuring(2), 1, 1;
    }
}

fn of_looks<M: Model>() -> Vec<Check<M>> {
    lives! {
        life;
        "faults/look/no-answer" I2 "DIBBS: HTTPBadRequest taken for failure" always => Observe LostBefore, 3, 1;
        "faults/look/never-answers" I7 "kobe#162: waits for ever for one answer" always => Observe Slow(FOREVER), 1, 1;
        "faults/look/site-away" I2 "sky#4443: not reached is not gone" always => Observe AWAY, 6, 1;
        "faults/look/too-many-requests" I9 "hcloud-go#79: polling eats the rate limit" always => Observe ASKED, 2, 1;
        "faults/look/shows-things-twice" I14 "k8e#500: one counted twice" always => Observe Repeats, 10_000, 1;
        "faults/look/shows-no-view" I14 "kobe#289: ready, and nothing to reach" always => Observe Blind, 4, 1;
        "faults/look/crash-before" I1 "jos#310: died before the first look" always => Observe CrashBefore, 1, 1;
        "faults/look/crash-after" I1 "garm#160: died after the first look" always => Observe CrashAfter, 1, 1;
        "faults/look/cut-at-its-first-wait" I1 "upjet-aws#1482: killed in the middle" always => Observe CrashDuring(1), 1, 1;
    }
}

fn of_processes<M: Model>() -> Vec<Check<M>> {
    lives! {
        life;
        "faults/engines/two-and-an-answer-lost" I10 "crabbox#1291: two that act on one" always => Create LostAfter, 1, 2;
        "faults/engines/two-and-a-crash" I10 "tinker-cookbook#302: two that act on one" always => Create CrashAfter, 1, 2;
        "faults/engines/two-and-a-late-change" I10 "elasticluster#155: a resize that comes late" in_place => Change Late(seconds(50)), 1, 2;
        "faults/engines/two-and-a-lost-destroy" I10 "GRAM renew-lost: two that act on one" always => Destroy LostAfter, 1, 2;
        "faults/engines/stopped-before-a-create" I10 "crabbox#1291: who comes back acts on what is another's" always => Create StallBefore(FOREVER), 1, 2;
        "faults/engines/stopped-after-a-create" I10 "crabbox#1291: who comes back acts on what is another's" always => Create StallAfter(FOREVER), 1, 2;
        "faults/engines/stopped-before-a-change" I10 "crabbox#1291: who comes back acts on what is another's" in_place => Change StallBefore(FOREVER), 1, 2;
        "faults/engines/stopped-before-a-destroy" I10 "omnigent#6127: a late process destroys the newer" always => Destroy StallBefore(FOREVER), 1, 2;
    }
}
