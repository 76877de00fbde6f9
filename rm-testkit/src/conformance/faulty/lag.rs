//! A list that is late: what was made shows later, what was done to it too.

use std::collections::BTreeMap;
use std::time::Duration;

use rm_core::RemoteId;
use rm_core::backend::{Look, Seen};
use rm_core::env::Timestamp;
use rm_core::model::Model;

use super::copy;

pub(super) struct Lag<M: Model> {
    pub(super) by: Duration,
    /// Since when a thing is there.
    since: BTreeMap<RemoteId, Timestamp>,
    /// When something was last done to it, and as what it was shown before.
    before: BTreeMap<RemoteId, (Timestamp, Option<Seen<M>>)>,
    /// As what it was last shown.
    shown: BTreeMap<RemoteId, Seen<M>>,
}

impl<M: Model> Default for Lag<M> {
    fn default() -> Self {
        Self {
            by: Duration::ZERO,
            since: BTreeMap::new(),
            before: BTreeMap::new(),
            shown: BTreeMap::new(),
        }
    }
}

impl<M: Model> Lag<M> {
    pub(super) fn made(&mut self, id: &RemoteId, now: Timestamp) {
        self.since.entry(id.clone()).or_insert(now);
    }

    pub(super) fn touched(&mut self, id: &RemoteId, now: Timestamp) {
        let shown = self.shown.get(id).map(copy);
        self.before.insert(id.clone(), (now, shown));
    }

    /// Makes a true answer as late as it is told to be.
    pub(super) fn show<S>(&mut self, items: &mut Vec<Seen<M>>, look: &Look<'_, S>, now: Timestamp) {
        if self.by.is_zero() {
            return;
        }
        let by = self.by;
        // What nobody knows the beginning of begins when it first shows.
        for seen in items.iter() {
            self.since.entry(seen.id.clone()).or_insert(now);
        }
        items.retain(|seen| self.since[&seen.id].plus(by) <= now);
        for (id, (at, before)) in &self.before {
            let Some(before) = before.as_ref().filter(|_| at.plus(by) > now) else {
                continue;
            };
            items.retain(|seen| seen.id != *id);
            let asked = match look {
                Look::These(targets) => targets.iter().any(|t| {
                    t.remote.as_ref().map_or(
                        before
                            .mark
                            .as_ref()
                            .is_some_and(|m| m.resource == t.mark.resource),
                        |remote| remote == id,
                    )
                }),
                Look::Closely(target, _) => target.remote.as_ref() == Some(id),
                Look::All(_) => true,
            };
            if asked {
                items.push(copy(before));
            }
        }
        for seen in items.iter() {
            self.shown.insert(seen.id.clone(), copy(seen));
        }
    }
}
