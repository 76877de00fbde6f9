//! Who waits for an engine, in which queue, and until when nobody else has it.

use std::collections::BTreeSet;

use super::{Inner, Row};
use crate::env::Timestamp;
use crate::id::{CatalogId, ResourceId};
use crate::store::{Account, Queue};

/// Who waits in the same queue for the same account.
pub(super) type Line = (Queue, CatalogId, CatalogId);

/// When which resource can next be claimed.
pub(super) type Turn = (Timestamp, ResourceId);

impl Row {
    pub(super) fn turn(&self) -> Option<(Line, Turn)> {
        let due = self.due?;
        let at = self.leased.map_or(due, |until| due.max(until));
        let place = &self.record.place;
        Some((
            (self.queue, place.site, place.credential),
            (at, self.record.id),
        ))
    }
}

impl Inner {
    /// Puts a resource where it is found when it is due.
    pub(super) fn schedule(&mut self, before: Option<(Line, Turn)>, after: Option<(Line, Turn)>) {
        if before == after {
            return;
        }
        if let Some((line, turn)) = after {
            self.due.entry(line).or_default().insert(turn);
        }
        if let Some((line, turn)) = before
            && let Some(turns) = self.due.get_mut(&line)
        {
            turns.remove(&turn);
            if turns.is_empty() {
                self.due.remove(&line);
            }
        }
    }

    pub(super) fn lease(&mut self, id: ResourceId, until: Timestamp, claimed: bool) -> Option<u64> {
        let row = self.resources.get_mut(&id)?;
        let before = row.turn();
        row.leased = Some(until);
        if claimed {
            row.epoch += 1;
        }
        let (epoch, after) = (row.epoch, row.turn());
        self.schedule(before, after);
        Some(epoch)
    }

    /// The turns of each account in a queue, but of these accounts.
    pub(super) fn turns(
        &self,
        queue: Queue,
        except: &[Account],
    ) -> impl Iterator<Item = &BTreeSet<Turn>> {
        let nil = CatalogId(uuid::Uuid::nil());
        let of_queue = self.due.range((queue, nil, nil)..);
        let of_queue = of_queue.take_while(move |((q, ..), _)| *q == queue);
        of_queue
            .filter(|((_, site, credential), _)| !except.contains(&(*site, *credential)))
            .map(|(_, turns)| turns)
    }

    /// So many of a queue that are due, the oldest first, but of these accounts.
    pub(super) fn due(
        &self,
        queue: Queue,
        now: Timestamp,
        max: usize,
        except: &[Account],
    ) -> Vec<ResourceId> {
        let mut due: Vec<Turn> = Vec::new();
        for turns in self.turns(queue, except) {
            due.extend(turns.iter().take_while(|(at, _)| *at <= now).take(max));
        }
        due.sort_unstable();
        due.truncate(max);
        due.into_iter().map(|(_, id)| id).collect()
    }
}
