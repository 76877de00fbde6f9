//! When everything has come to rest, and what must be true then.

use std::collections::BTreeMap;
use std::time::Duration;

use rm_core::backend::Mark;
use rm_core::life::{State, Wanted};
use rm_core::model::ClusterSpec;
use rm_core::record::ResourceRecord;
use rm_core::store::By;
use rm_core::{Kind, ResourceId};

use super::{STUCK, Scene};
use crate::cloud::{Fill, NODES_API};

impl Scene {
    /// Every record there is.
    ///
    /// # Panics
    ///
    /// Where the store cannot be read.
    pub async fn records(&self) -> Vec<ResourceRecord> {
        let mut records = Vec::new();
        let mut after = None;
        loop {
            let page = match self.truth.resources(&By::All, after.as_ref(), 500).await {
                Ok(page) => page,
                Err(e) => unreachable!("a store in memory: {e}"),
            };
            records.extend(page.items.into_iter().map(|row| (*row.record).clone()));
            after = page.next;
            if after.is_none() {
                return records;
            }
        }
    }

    /// What a counter of the store stands at.
    ///
    /// # Panics
    ///
    /// Where the store cannot be read.
    pub async fn counter(&self, name: &str) -> u64 {
        match self.truth.counter(name).await {
            Ok(n) => n,
            Err(e) => unreachable!("a store in memory: {e}"),
        }
    }

    /// What happened to a resource, and what was asked of the cloud for it.
    ///
    /// # Panics
    ///
    /// Where the store cannot be read.
    pub async fn story(&self, id: ResourceId) -> String {
        let events = match self.truth.since(0, Some(id), 10_000).await {
            Ok(events) => events,
            Err(e) => unreachable!("a store in memory: {e}"),
        };
        let mut lines: Vec<(i64, String)> = events
            .iter()
            .map(|e| {
                let line = format!("{} {} {}", e.event.at, e.event.what, e.event.data);
                (e.event.at.millis(), line)
            })
            .collect();
        let things = self.cloud.ever_of(id);
        for call in self.cloud.calls() {
            let about =
                call.what.contains(&id.to_string()) || things.iter().any(|t| t.id.0 == call.what);
            if about {
                let line = format!("{} {call:?}", call.at);
                lines.push((call.at.millis(), line));
            }
        }
        lines.sort_by_key(|(at, _)| *at);
        for thing in things {
            lines.push((i64::MAX, format!("{thing:?}")));
        }
        let lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
        lines.join("\n")
    }

    /// The same of everything there ever was.
    pub(crate) async fn whole_story(&self) -> Vec<String> {
        let events = match self.truth.since(0, None, u32::MAX).await {
            Ok(events) => events,
            Err(e) => unreachable!("a store in memory: {e}"),
        };
        let mut lines: Vec<(i64, String)> = events
            .iter()
            .map(|e| {
                let id = e.event.resource.map(|id| id.to_string());
                let (at, what) = (e.event.at, &e.event.what);
                let line = format!("{at} {what} {} {}", id.unwrap_or_default(), e.event.data);
                (at.millis(), line)
            })
            .collect();
        self.cloud.each_call(|call| {
            lines.push((call.at.millis(), format!("{} {call:?}", call.at)));
        });
        for (at, trouble, when) in self.world.strikes() {
            lines.push((when.millis(), format!("{when} {at:?} {trouble:?}")));
        }
        lines.sort_by_key(|(at, _)| *at);
        let mut lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
        self.cloud
            .each_thing(|site, thing| lines.push(format!("{site}: {thing:?}")));
        for r in self.records().await {
            lines.push(format!("{r:?}"));
        }
        lines
    }

    /// Waits until nothing happens by itself any more. Engines that crashed
    /// meanwhile are started again.
    ///
    /// # Panics
    ///
    /// Where something is still under way after two hours.
    pub async fn rest(&self) {
        let end = self.world.now().plus(STUCK);
        loop {
            self.restart_crashed();
            let busy: Vec<ResourceRecord> = self
                .records()
                .await
                .into_iter()
                .filter(|r| !at_rest(r))
                .collect();
            if busy.is_empty() {
                return;
            }
            assert!(self.world.now() < end, "stuck for ever: {busy:#?}");
            self.world.sleep(Duration::from_millis(500)).await;
        }
    }

    /// Waits until everything is at rest and whatever was late has come, then
    /// answers what is not as it must be: exactly one real thing for each
    /// resource that is wanted and no other of ours, quotas that are the sum
    /// of what is there, and no key that leads nowhere.
    pub async fn faults(&self) -> Vec<String> {
        self.rest().await;
        while self.cloud.is_something_late(self.world.now()) {
            self.world.sleep(Duration::from_secs(1)).await;
        }
        // One sweep after that.
        self.world
            .sleep(self.policy.sweep + Duration::from_secs(5))
            .await;
        self.rest().await;
        self.check().await
    }

    /// The same as it is just now.
    pub(crate) async fn check(&self) -> Vec<String> {
        let records = self.records().await;
        let mut faults = Vec::new();
        let (copies, clusters): (Vec<_>, Vec<_>) =
            records.iter().cloned().partition(|r| r.kind == Kind::IMAGE);
        let (of_nodes, things): (Vec<_>, Vec<_>) = clusters.iter().cloned().partition(is_of_nodes);
        self.check_things(&things, &mut faults);
        check_parts(&of_nodes, &things, &mut faults);
        self.check_copies(&copies, &clusters, &mut faults).await;
        self.check_quotas(&records, &mut faults).await;
        self.check_keys(&records, &mut faults).await;
        faults
    }

    fn check_things(&self, records: &[ResourceRecord], faults: &mut Vec<String>) {
        let by_id: BTreeMap<ResourceId, &ResourceRecord> =
            records.iter().map(|r| (r.id, r)).collect();
        let everything = self.cloud.everything(self.world.now());
        for (site, thing) in &everything {
            let Some(mark) = thing.mark.as_ref() else {
                continue;
            };
            if mark.installation != self.installation {
                continue;
            }
            match by_id.get(&mark.resource) {
                None => faults.push(format!(
                    "leaked: {} of {} at {site} ({:?}) has no record",
                    thing.id, mark.resource, thing.phase
                )),
                Some(r) if r.place.site_name != *site => faults.push(format!(
                    "leaked: {} is at {site} and its record at {}",
                    thing.id, r.place.site_name
                )),
                Some(_) => {}
            }
        }
        for r in records {
            let things: Vec<_> = everything
                .iter()
                .map(|(_, t)| t)
                .filter(|t| {
                    let ours = |m: &Mark| m.resource == r.id && m.installation == self.installation;
                    t.mark.as_ref().is_some_and(ours)
                })
                .collect();
            if things.len() > 1 {
                faults.push(format!("{} has {} real things", r.id, things.len()));
            }
            if r.seen != State::Ready {
                continue;
            }
            let spec: Option<ClusterSpec> = r.place.spec.read().ok();
            let slaves = spec.as_ref().map_or(0, |spec| spec.slaves);
            match things.first() {
                None => faults.push(format!("{} is ready and not there", r.id)),
                Some(thing) if Some(&thing.id) != r.remote.as_ref() => {
                    faults.push(format!("{} is {} and not {:?}", r.id, thing.id, r.remote));
                }
                Some(thing) if thing.slaves != slaves => {
                    faults.push(format!(
                        "{} has {} slaves, and {:?} are wanted",
                        r.id, thing.slaves, spec
                    ));
                }
                Some(_) => {}
            }
        }
    }

    async fn check_copies(
        &self,
        copies: &[ResourceRecord],
        clusters: &[ResourceRecord],
        faults: &mut Vec<String>,
    ) {
        let there = self.cloud.marked_images(self.world.now());
        for (site, resource, image) in &there {
            match copies.iter().find(|r| r.id == *resource) {
                Some(r) if r.place.site_name == *site => {}
                _ => faults.push(format!("leaked: {} at {site}", image.id)),
            }
        }
        for r in copies {
            let own: Vec<_> = there.iter().filter(|(_, of, _)| *of == r.id).collect();
            let whole = own.iter().any(|(_, _, image)| {
                image.fill == Fill::Full && Some(&image.id) == r.remote.as_ref()
            });
            if own.len() > 1 || (r.seen == State::Ready && !whole) {
                faults.push(format!("{} is {} and at the site {own:?}", r.id, r.seen));
            }
            let dropped = u64::from(r.wanted == Wanted::Absent);
            let needed = clusters.iter().filter(|c| c.needs.contains(&r.id)).count() as u64;
            let counted = self.counter(&format!("needs/{}", r.id)).await;
            if counted != needed + dropped {
                faults.push(format!(
                    "{} is needed by {needed} clusters, and {counted} are counted",
                    r.id
                ));
            }
        }
    }

    async fn check_quotas(&self, records: &[ResourceRecord], faults: &mut Vec<String>) {
        for tenant in [&self.alice.tenant, &self.carol.tenant] {
            // What is a part is charged with the whole.
            let own = records
                .iter()
                .filter(|r| r.tenant == *tenant && r.part_of.is_none());
            let (clusters, nodes) = own.fold((0, 0), |(c, n), r| (c + 1, n + r.nodes));
            for (what, is) in [("clusters", clusters), ("nodes", nodes)] {
                let counted = self.counter(&format!("quota/{tenant}/{what}")).await;
                if counted != is {
                    faults.push(format!(
                        "{tenant} has {is} {what}, and {counted} are counted"
                    ));
                }
            }
        }
    }

    async fn check_keys(&self, records: &[ResourceRecord], faults: &mut Vec<String>) {
        let keys = match self.truth.documents("engine.key", None, None, 1000).await {
            Ok(page) => page.items,
            Err(e) => unreachable!("a store in memory: {e}"),
        };
        for key in &keys {
            let id: Option<ResourceId> = key.record.body.read().ok();
            let Some(r) = records.iter().find(|r| Some(r.id) == id) else {
                faults.push(format!("the key {} leads nowhere", key.record.id));
                continue;
            };
            if r.place.key.as_ref() != Some(&key.record.id) {
                faults.push(format!("{} does not know its key {}", r.id, key.record.id));
            }
        }
    }
}

/// Whether it is a cluster whose real things are nodes.
fn is_of_nodes(r: &ResourceRecord) -> bool {
    r.kind == Kind::CLUSTER && r.place.manager == format!("{NODES_API}.clusters")
}

/// Every cluster has the nodes that it is to have, and every node a cluster.
fn check_parts(clusters: &[ResourceRecord], things: &[ResourceRecord], faults: &mut Vec<String>) {
    let parts: Vec<_> = things.iter().filter(|r| r.part_of.is_some()).collect();
    for part in &parts {
        if !clusters.iter().any(|r| part.part_of == Some(r.id)) {
            faults.push(format!("{} is a part of nothing", part.id));
        }
    }
    for r in clusters.iter().filter(|r| r.seen == State::Ready) {
        let own: Vec<_> = parts.iter().filter(|p| p.part_of == Some(r.id)).collect();
        let ready = own.iter().filter(|p| p.seen == State::Ready).count() as u64;
        if ready != r.nodes || own.len() as u64 != r.nodes {
            faults.push(format!(
                "{} is to have {} nodes, and has {}, of which {ready} are ready",
                r.id,
                r.nodes,
                own.len()
            ));
        }
    }
}

/// Whether nothing more will happen to it by itself.
pub(crate) fn at_rest(r: &ResourceRecord) -> bool {
    match r.seen {
        State::Ready => r.seen_generation == r.generation && r.wanted == Wanted::Running,
        State::Failed => r.wanted != Wanted::Absent,
        State::Quarantined => true,
        _ => false,
    }
}
