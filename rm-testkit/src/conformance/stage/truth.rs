//! What is really there: by other eyes where the subject has them, else by
//! everything the backend can be asked.

use std::collections::BTreeMap;
use std::time::Duration;

use rm_core::backend::{Mark, Phase, Seen, Target};
use rm_core::model::{Model, NodeUser};
use rm_core::{RemoteId, ResourceId};

use super::Stage;
use super::direct::target;
use crate::conformance::check::Verdict;
use crate::conformance::subject::Real;

/// How many things one after the other are looked for under one mark.
const INCARNATIONS: u32 = 4;

impl<M: Model> Stage<M> {
    /// A resource whose things are looked for by their marks, too.
    pub(in crate::conformance) fn expect(&self, id: ResourceId) {
        self.known().resources.insert(id);
    }

    /// Every real thing of this check, its sibling's included; where nobody else
    /// is, everything.
    pub(in crate::conformance) async fn real(&self) -> Verdict<Vec<Real>> {
        let alone = self.declared.alone;
        let ours = |mark: &Mark| alone || mark.installation.starts_with(&self.installation);
        if let Some(eyes) = &self.eyes {
            let mut all = eyes.everything(self.env.now()).await?;
            all.retain(|real| ours(&real.mark));
            return Ok(all);
        }
        let made: BTreeMap<RemoteId, Mark> = {
            let known = self.known();
            let heard = self.faulty.made();
            known.made.iter().cloned().chain(heard).collect()
        };
        let mut targets: Vec<Target> = made.iter().map(|(id, m)| target(m, Some(id))).collect();
        if self.declared.findable() {
            targets.extend(self.marks().iter().map(|mark| target(mark, None)));
        }
        let mut shown: Vec<Seen<M>> = Vec::new();
        let page = usize::try_from(self.cap().page).unwrap_or(1).max(1);
        for targets in targets.chunks(page) {
            shown.extend(self.these(targets).await?);
        }
        if self.declared.lists() {
            shown.extend(self.list().await?);
        }
        let mut real: BTreeMap<RemoteId, Mark> = BTreeMap::new();
        for seen in shown {
            if let Some(mark) = seen.mark.as_ref().or_else(|| made.get(&seen.id))
                && ours(mark)
                && seen.phase != Phase::Gone
            {
                real.insert(seen.id.clone(), mark.clone());
            }
        }
        Ok(real
            .into_iter()
            .map(|(id, mark)| Real { id, mark })
            .collect())
    }

    /// Under which marks there may be something.
    fn marks(&self) -> Vec<Mark> {
        let known = self.known();
        let mut marks: Vec<Mark> = known.marks.iter().cloned().collect();
        for resource in &known.resources {
            marks.extend((1..=INCARNATIONS).map(|incarnation| Mark {
                installation: self.installation.clone(),
                resource: *resource,
                incarnation,
                generation: 1,
            }));
        }
        marks
    }

    /// The real things of one resource.
    pub(in crate::conformance) async fn real_of(&self, id: ResourceId) -> Verdict<Vec<Real>> {
        let mut real = self.real().await?;
        real.retain(|r| r.mark.resource == id && r.mark.installation == self.installation);
        Ok(real)
    }

    /// Who can log in to a thing, where the subject's eyes tell.
    pub(in crate::conformance) async fn logins(
        &self,
        id: &RemoteId,
    ) -> Verdict<Option<Vec<NodeUser>>> {
        match &self.eyes {
            Some(eyes) => Ok(eyes.users(id, self.env.now()).await?),
            None => Ok(None),
        }
    }

    /// Whether all of these can be listed by their owner, so that they are
    /// found although no record knows them.
    pub(in crate::conformance) async fn are_listed(&self, real: &[Real]) -> Verdict<bool> {
        if !self.declared.lists() {
            return Ok(false);
        }
        let list = self.list().await?;
        Ok(real.iter().all(|r| {
            let mut same = list.iter().filter(|seen| seen.id == r.id);
            same.any(|seen| seen.mark.as_ref() == Some(&r.mark))
        }))
    }

    /// Leaves nothing behind at a site that outlives the check; answers how
    /// much would not go.
    pub(in crate::conformance) async fn clean(&self) -> Verdict<usize> {
        const ROUNDS: u32 = 20;
        for _ in 0..ROUNDS {
            let real = self.real().await?;
            if real.is_empty() {
                return Ok(0);
            }
            for Real { id, mark } in &real {
                if let Some(seen) = self.look(mark, Some(id)).await?
                    && seen.phase != Phase::Deleting
                {
                    let _ = self.destroy(&seen).await;
                }
            }
            self.pass(Duration::from_secs(5)).await;
        }
        Ok(self.real().await?.len())
    }
}
