//! One real thing of the simulated cloud.

use std::collections::BTreeMap;
use std::time::Duration;

use rm_core::RemoteId;
use rm_core::backend::{Mark, Phase, Seen};
use rm_core::env::Timestamp;
use rm_core::model::{Cluster, ClusterHost, ClusterView};
use rm_core::owner::Owner;
use serde_json::Value;

/// One real thing: a master and some slaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Thing {
    /// How the site names it; never used again.
    pub id: RemoteId,
    /// Its name; free again when it is gone.
    pub name: String,
    /// The account it belongs to.
    pub account: String,
    /// Whose it is.
    pub mark: Option<Mark>,
    /// To whom it belongs, where that was told.
    pub owner: Option<Owner>,
    /// What it is doing.
    pub phase: Phase,
    /// Why.
    pub reason: String,
    /// How many slaves it has.
    pub slaves: u32,
    /// The images that it is made of.
    pub images: Vec<RemoteId>,
    /// Counts what was done to it.
    pub stamp: u64,
    /// Since when it is in this phase.
    pub since: Timestamp,
    /// Since when it exists.
    pub created: Timestamp,
    pub(super) ends: Option<(Timestamp, Phase)>,
    pub(super) before: Option<(Phase, Option<Mark>)>,
    pub(super) outputs: BTreeMap<String, Value>,
    pub(super) number: u64,
}

impl Thing {
    /// Whether it is there at all.
    pub fn exists(&self) -> bool {
        self.phase != Phase::Gone
    }

    /// Something that it was told when it was made, and gives out.
    pub fn output(&self, name: &str) -> &Value {
        self.outputs.get(name).unwrap_or(&Value::Null)
    }

    /// How many nodes it takes.
    pub fn nodes(&self) -> u64 {
        if self.exists() {
            1 + u64::from(self.slaves)
        } else {
            0
        }
    }

    /// The mark it bore before the last thing that was done to it.
    pub(super) fn marked(&self) -> Option<&Mark> {
        self.before.as_ref().and_then(|(_, mark)| mark.as_ref())
    }

    pub(super) fn enter(&mut self, phase: Phase, at: Timestamp, reason: &str) {
        self.before = Some((self.phase, self.mark.clone()));
        self.phase = phase;
        self.since = at;
        reason.clone_into(&mut self.reason);
    }

    /// Lets it get where it is by this time.
    pub(super) fn advance(&mut self, now: Timestamp) {
        while let Some((at, phase)) = self.ends
            && at <= now
        {
            self.ends = None;
            let reason = match phase {
                Phase::Failed => "a node could not be started",
                Phase::DeleteFailed => "a volume is still in use",
                _ => "",
            };
            self.enter(phase, at, reason);
        }
    }

    /// What a list that is so late shows of it; nothing where it does not show
    /// it at all. Its mark is there `marks` after it is.
    pub(super) fn shown(
        &self,
        now: Timestamp,
        lag: Duration,
        marks: Duration,
        closely: bool,
    ) -> Option<Seen<Cluster>> {
        if self.created.plus(lag) > now {
            return None;
        }
        let (phase, mark) = match &self.before {
            Some((phase, mark)) if self.since.plus(lag) > now => (*phase, mark.clone()),
            _ => (self.phase, self.mark.clone()),
        };
        let mark = mark.filter(|_| self.created.plus(marks) <= now);
        Some(Seen {
            id: self.id.clone(),
            name: self.name.clone(),
            mark,
            phase,
            reason: self.reason.clone(),
            stamp: Some(self.stamp.to_string()),
            view: closely.then(|| self.view()),
        })
    }

    fn view(&self) -> ClusterView {
        let n = self.number;
        let net = format!("10.{}.{}", (n >> 8) & 0xff, n & 0xff);
        let host = |i: u32| {
            let (role, name) = match i {
                0 => ("master", format!("{}-master", self.name)),
                i => ("slave", format!("{}-slave-{i}", self.name)),
            };
            ClusterHost {
                name,
                role: role.to_owned(),
                address: Some(format!("{net}.{}", (i + 10) % 256)),
            }
        };
        ClusterView {
            address: Some(format!("{net}.10")),
            hosts: (0..=self.slaves).map(host).collect(),
            outputs: self.outputs.clone(),
        }
    }
}
