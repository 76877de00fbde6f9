//! The records that are made anew, and what is said of them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{Found, Rebuild, Restored};
use crate::caller::Caller;
use crate::catalog::Credential;
use crate::copies;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{HoldId, Kind, RemoteId};
use crate::life::State;
use crate::manager::key_document;
use crate::model::{ImageSpec, Json};
use crate::owner::Owner;
use crate::quota::counts;
use crate::record::{Hold, Place, ResourceRecord};
use crate::store::{Batch, Due, Expect, Key, Outcome};
use crate::survey::name_of;

impl Rebuild<'_> {
    /// What is said of a record that is made anew, `but` and what else is not as
    /// it should be.
    pub(super) async fn told(
        &self,
        record: &ResourceRecord,
        credential: &Credential,
        kept: bool,
        mut but: Vec<String>,
    ) -> Result<Restored> {
        let core = &**self.core;
        let until = Owner::of(record).until();
        if credential.tenant != record.tenant && record.kind != Kind::IMAGE {
            but.push(format!("{} has no credential for this site", record.tenant));
        }
        if until.is_some_and(|until| until <= core.env.now()) {
            but.push("its lease is over, so it goes as soon as an engine works".to_owned());
        }
        let quota = core.policy.quota(&record.tenant);
        let used = |what: &str| format!("quota/{}/{what}", record.tenant);
        let nodes = core.store.counter(&used("nodes")).await? + record.nodes;
        let clusters = core.store.counter(&used("clusters")).await? + u64::from(record.nodes > 0);
        let over = quota.nodes.is_some_and(|most| nodes > most)
            || quota.clusters.is_some_and(|most| clusters > most);
        // A node of a cluster takes nothing of its own.
        if over && record.part_of.is_none() {
            but.push(format!(
                "{} has more than its quota allows: {clusters} clusters, {nodes} nodes",
                record.tenant
            ));
        }
        Ok(Restored {
            resource: record.id,
            kind: record.kind.clone(),
            site_name: record.place.site_name.clone(),
            credential_name: name_of(credential),
            remote: record.remote.clone().unwrap_or(RemoteId(String::new())),
            tenant: record.tenant.clone(),
            user: record
                .holds
                .first()
                .map(|h| h.user.clone())
                .unwrap_or_default(),
            until,
            kept,
            part_of: record.part_of,
            nodes: record.nodes,
            but: (!but.is_empty()).then(|| but.join("; ")),
        })
    }

    /// The record of what was found: what a mark and the thing itself tell, and
    /// otherwise as something that was made and not looked at yet.
    pub(super) fn record(
        &self,
        found: &Found,
        spec: Json,
        credential: &Credential,
        owner: Option<&Owner>,
    ) -> Result<ResourceRecord> {
        let core = &**self.core;
        let (account, sight, mark) = (&found.account, &found.sight, &found.mark);
        let kind = self.kind(found);
        let mut user = credential.user.clone();
        let mut tenant = owner.map_or(&credential.tenant, |o| &o.tenant).clone();
        let mut key = None;
        if kind == Kind::IMAGE {
            let image: ImageSpec = spec.read()?;
            tenant = copies::owner(image.image);
            user.clone_from(&tenant.0);
            key = Some(copies::key(image.image, account.site.id, credential.id));
        }
        // What bytes an image has is no generation.
        let generation = match mark.generation {
            0 | u64::MAX => 1,
            generation => generation,
        };
        let now = core.env.now();
        let nodes = account.driver.nodes(&spec)?;
        let place = Place {
            manager: account.manager.clone(),
            site: account.site.id,
            site_name: account.site.name.clone(),
            credential: credential.id,
            spec: spec.clone(),
            key,
        };
        let holds = owner.map(|o| o.holds.clone()).filter(|h| !h.is_empty());
        let holds = holds.unwrap_or_else(|| {
            vec![Hold {
                id: HoldId::new(&*core.env),
                user,
                tenant: tenant.clone(),
                until: None,
                since: now,
            }]
        });
        let name = owner.map_or(&sight.name, |o| &o.name).clone();
        Ok(ResourceRecord {
            wanted: account.driver.wanted(&spec)?,
            generation,
            fits_from: generation,
            seen: State::Unknown,
            reason: "made anew from its mark".to_owned(),
            seen_spec: Some(spec),
            seen_mark: mark.generation,
            remote: Some(sight.id.clone()),
            incarnation: mark.incarnation.max(1),
            deadline: Some(now.plus(account.cap.patience.max(Duration::from_secs(60)))),
            holds,
            grants: owner.map(|o| o.grants.clone()).unwrap_or_default(),
            noted: owner.cloned(),
            nodes,
            ..ResourceRecord::new(mark.resource, kind, tenant, name, place, now)
        })
    }

    /// Writes a record that is made anew.
    pub(super) async fn write(&self, who: &Caller, record: ResourceRecord) -> Result<()> {
        let mut batch = Batch::default();
        self.put(who, record, &mut batch).await?;
        self.commit(batch).await
    }

    /// Puts a record that is made anew into a batch, with what it is charged
    /// with.
    pub(super) async fn put(
        &self,
        who: &Caller,
        mut record: ResourceRecord,
        batch: &mut Batch,
    ) -> Result<()> {
        let core = &**self.core;
        batch.expect.push(Expect::Absent(Key::Resource(record.id)));
        if let Some(key) = record.place.key.take() {
            let document = key_document(&key, record.id)?;
            let place = Key::Document(document.space.clone(), key.clone());
            // Where another copy has the key, this one goes without.
            if core.store.document(&document.space, &key).await?.is_none() {
                batch.expect.push(Expect::Absent(place));
                batch.documents.push(document);
                record.place.key = Some(key);
            }
        }
        if record.part_of.is_none() {
            let needed = copies::still_needed(core, &record.place).await?;
            needed.put(batch);
            record.needs = needed.ids;
        }
        let nodes = i64::try_from(record.nodes).unwrap_or(i64::MAX);
        if nodes > 0 {
            let all = counts(&record.tenant.0, 1, nodes, None, None);
            batch.counts.extend(all);
        }
        let hold = record.holds.first().map(|h| (h.id, h.user.clone()));
        let (hold, user) = hold.unzip();
        batch.events.push(core.event(
            &record,
            "restored",
            json!({
                "by": who.user, "hold": hold, "of": user, "site": record.place.site_name,
                "to": record.seen, "wanted": record.wanted, "generation": record.generation,
                "incarnation": record.incarnation, "remote": record.remote, "nodes": nodes,
                "reason": record.reason,
            }),
        ));
        let now = core.env.now();
        batch.resources.push((Arc::new(record), Due::At(now)));
        Ok(())
    }

    /// Writes a batch of such records, or refuses what somebody else has written.
    pub(super) async fn commit(&self, batch: Batch) -> Result<()> {
        match self.core.commit(batch).await? {
            Outcome::Done(_) => Ok(()),
            Outcome::Refused(_) => Err(Error::new(
                ErrorKind::Conflict,
                "somebody made a record of it at the same moment",
            )),
        }
    }
}
