//! What must be true of a whole schedule, whatever happened in it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rm_core::ResourceId;
use rm_core::env::Timestamp;
use rm_core::event::Event;
use rm_core::id::HoldId;
use rm_core::record::ResourceRecord;
use rm_core::store::Versioned;

use super::harm::{Found, Harm};
use super::kind::REORDERED;
use super::mischief::{Mischief, SKEW};
use super::setting::QUOTA;
use crate::cloud::{Answer, Fault, Verb};
use crate::scene::Scene;
use crate::world::Trouble;

/// A lease is acted on so soon after its end.
const ON_TIME: Duration = Duration::from_secs(1);

/// What the schedule saw and the records do not tell.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// When each hold was to end at first.
    first: BTreeMap<HoldId, Timestamp>,
    /// When engines that had crashed were started again.
    restarts: Vec<Timestamp>,
}

impl Judge {
    /// Somebody was given holds.
    pub(super) fn holds(&mut self, r: &ResourceRecord) {
        for hold in &r.holds {
            if let Some(until) = hold.until {
                self.first.entry(hold.id).or_insert(until);
            }
        }
    }

    /// So many engines were started again.
    pub(super) fn restarted(&mut self, s: &Scene, engines: usize) {
        if engines > 0 {
            self.restarts.push(s.world.now());
        }
    }

    /// No tenant has more at the sites than it may.
    pub(super) fn overrun(s: &Scene) -> Option<Found> {
        Self::over(s, &BTreeSet::new())?;
        // What a network makes larger by carrying out an old request once more
        // nobody has asked for.
        let mut again = BTreeSet::new();
        s.cloud.each_call(|call| {
            let twice = matches!(call.fault, Some(Fault::Twice(later)) if later >= REORDERED);
            if twice && call.verb == Verb::Change {
                again.insert(call.what.clone());
            }
        });
        Self::over(s, &again)
    }

    fn over(s: &Scene, again: &BTreeSet<String>) -> Option<Found> {
        let mut used: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        let tenants = [&s.alice.tenant.0, &s.carol.tenant.0];
        s.cloud.each_thing(|_, thing| {
            let ours = thing.mark.as_ref().is_some_and(|m| m.installation == "lab");
            if let Some(tenant) = tenants.iter().find(|t| ***t == thing.account)
                && ours
                && thing.exists()
            {
                let (clusters, nodes) = used.entry(tenant.as_str()).or_default();
                *clusters += 1;
                if !again.contains(&thing.id.0) {
                    *nodes += thing.nodes();
                }
            }
        });
        let (most, most_nodes) = (QUOTA.clusters.unwrap_or(0), QUOTA.nodes.unwrap_or(0));
        used.into_iter()
            .find(|(_, (clusters, nodes))| *clusters > most || *nodes > most_nodes)
            .map(|(tenant, (clusters, nodes))| {
                let text = format!("{tenant} has {clusters} clusters with {nodes} nodes");
                Found::new(Harm::Overrun, text)
            })
    }

    /// There never were two real things of one resource at the same moment.
    pub(super) fn doubles(s: &Scene) -> Vec<Found> {
        let mut lives: BTreeMap<ResourceId, Vec<(Timestamp, Option<Timestamp>)>> = BTreeMap::new();
        s.cloud.each_thing(|_, thing| {
            if let Some(mark) = thing.mark.as_ref().filter(|m| m.installation == "lab") {
                let gone = (!thing.exists()).then_some(thing.since);
                let life = lives.entry(mark.resource).or_default();
                life.push((thing.created, gone));
            }
        });
        let mut broken = Vec::new();
        for (id, mut life) in lives {
            life.sort();
            let overlap = |two: &[(Timestamp, Option<Timestamp>)]| {
                two[0].1.is_none_or(|gone| gone > two[1].0)
            };
            if life.windows(2).any(overlap) {
                let text = format!("{id} had two real things at once: {life:?}");
                broken.push(Found::new(Harm::Duplicated, text));
            }
        }
        broken
    }

    /// What came of a create was looked up before there was another.
    pub(super) fn guesses(s: &Scene) -> Vec<Found> {
        let mut broken = Vec::new();
        let mut open: BTreeSet<(String, String)> = BTreeSet::new();
        s.cloud.each_call(|call| match call.verb {
            Verb::Observe if call.answer == Answer::Done => {
                open.retain(|(site, _)| *site != call.site);
            }
            Verb::Create => {
                let what = (call.site.clone(), call.what.clone());
                if open.contains(&what) {
                    let text = format!("{} was created on a guess", call.what);
                    broken.push(Found::new(Harm::Guess, text));
                }
                let unknown = matches!(
                    call.fault,
                    Some(Fault::LostBefore | Fault::LostAfter | Fault::Late(_))
                );
                if unknown || call.answer == Answer::Open {
                    open.insert(what);
                }
            }
            _ => {}
        });
        broken
    }

    /// Each lease was acted on exactly once and on time, and never after
    /// somebody had renewed it. Answers how many ended.
    pub(super) async fn leases(&self, s: &Scene, mischief: &Mischief) -> (u64, Vec<Found>) {
        let events = match s.truth.since(0, None, u32::MAX).await {
            Ok(events) => events,
            Err(e) => unreachable!("a store in memory: {e}"),
        };
        let mut until = self.first.clone();
        let mut ended = BTreeSet::new();
        let mut broken: Vec<String> = Vec::new();
        for event in &events {
            let verb = event.event.what.strip_prefix("cluster.");
            // Only of these it is read what they say.
            let Some(verb @ ("renewed" | "expired")) = verb else {
                continue;
            };
            let Some(hold) = hold_of(event) else { continue };
            match verb {
                "renewed" => {
                    if ended.contains(&hold) {
                        broken.push(format!("{hold} was renewed after it had expired"));
                    }
                    let text = event.event.data["until"].as_str();
                    match text.and_then(Timestamp::parse) {
                        Some(at) => until.insert(hold, at),
                        None => until.remove(&hold),
                    };
                }
                _ => {
                    if !ended.insert(hold) {
                        broken.push(format!("{hold} expired twice"));
                    }
                    let at = event.event.at;
                    match until.get(&hold) {
                        None => broken.push(format!("{hold} expired and had no end")),
                        Some(end) if at < *end => {
                            broken.push(format!("{hold} expired {end:?}, too early, at {at:?}"));
                        }
                        Some(end) if at.since(*end) > ON_TIME => {
                            let excused = self.blocked(s, mischief, *end, at);
                            if at.since(*end) > ON_TIME + excused {
                                broken
                                    .push(format!("{hold} ended at {end:?} and expired at {at:?}"));
                            }
                        }
                        Some(_) => {}
                    }
                }
            }
        }
        let broken = broken.into_iter().map(|text| Found::new(Harm::Lease, text));
        (u64::try_from(ended.len()).unwrap_or(0), broken.collect())
    }

    /// What is over and was not acted on although engines work: by whose
    /// clocks it may be over later, as much as these were set.
    pub(super) fn overdue(
        s: &Scene,
        mischief: &Mischief,
        rows: &[Versioned<ResourceRecord>],
    ) -> Vec<Found> {
        let now = s.world.now();
        let late = match mischief.stepped() {
            true => ON_TIME + Duration::from_millis(u64::try_from(SKEW).unwrap_or(0)),
            false => ON_TIME,
        };
        rows.iter()
            .filter_map(|row| Some((row.record.id, row.record.first_end()?)))
            .filter(|(_, end)| end.plus(late) < now)
            .map(|(id, end)| Found::new(Harm::Lease, format!("{id} is held past {end:?}")))
            .collect()
    }

    /// For how long no engine could have acted, at the most.
    fn blocked(&self, s: &Scene, mischief: &Mischief, end: Timestamp, at: Timestamp) -> Duration {
        let skew = Duration::from_millis(u64::try_from(SKEW).unwrap_or(0));
        let (from, to) = (earlier(end, skew), at.plus(skew));
        let overlap = |a: Timestamp, b: Timestamp| b.min(to).since(a.max(from));
        let mut blocked = Duration::ZERO;
        for (_, a, b) in &mischief.cut {
            blocked += overlap(*a, *b);
        }
        for (_, trouble, when) in s.world.strikes() {
            let over = match trouble {
                Trouble::Crash => self.restarts.iter().find(|r| **r >= when).copied(),
                Trouble::Stall(Some(lasts)) => Some(when.plus(lasts)),
                _ => None,
            };
            blocked += overlap(when, over.unwrap_or(to));
        }
        // A clock that is set forward goes past the end at once.
        match mischief.stepped() {
            true => blocked + skew,
            false => blocked,
        }
    }
}

fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_millis(at.millis() - i64::try_from(by.as_millis()).unwrap_or(0))
}

fn hold_of(event: &Event) -> Option<HoldId> {
    event.event.data["hold"].as_str()?.parse().ok()
}
