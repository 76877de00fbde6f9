//! A way out of quarantine: an operator says that a thing at the site is what
//! nobody could tell.

use serde_json::json;

use super::Resource;
use crate::backend::{Mark, Phase, Resize};
use crate::caller::{Caller, Role};
use crate::driver::Sight;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Core;
use crate::id::{RemoteId, ResourceId};
use crate::life::{State, Verb, Wanted};
use crate::model::Model;
use crate::record::ResourceRecord;
use crate::store::By;
use crate::survey;

impl<M: Model> Resource<M> {
    /// Takes what the site names so for the real thing of a resource in
    /// quarantine, and goes on with it: to what is wanted, or to its end. Only
    /// an operator may, and must say why.
    ///
    /// What bears no mark is marked by the change that makes it as wanted; where
    /// nothing is changed in place, it is taken as it is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] for anybody but an operator;
    /// [`ErrorKind::NotFound`] where the site has no such thing;
    /// [`ErrorKind::Conflict`] where it bears another mark, or is another
    /// resource's, or this one has a thing already.
    pub async fn adopt(&self, who: &Caller, remote: &RemoteId, reason: &str) -> Result<Self> {
        who.need(Role::Operator)?;
        if reason.trim().is_empty() {
            return Err(Error::invalid("to adopt something needs a reason")
                .advice("say by what it is known to be this one"));
        }
        let core = &*self.core;
        let now = self.again(who).await?;
        let r = now.record();
        Verb::Adopt.check(r.wanted, r.seen)?;
        let account =
            survey::open(core, &r.place.manager, r.place.site, r.place.credential).await?;
        let asked = Mark {
            installation: core.installation.clone(),
            resource: r.id,
            incarnation: r.incarnation,
            generation: r.generation,
        };
        let seen = account.again(core, [(asked, remote.clone())]).await?.pop();
        let sight = seen
            .filter(|sight| sight.phase != Phase::Gone)
            .ok_or_else(|| {
                Error::not_found(format!(
                    "{} has nothing that it names {remote}",
                    account.site.name
                ))
                .advice("give the id by which the site knows it")
                .resource(r.id)
            })?;
        nobody_elses(core, r.id, &sight).await?;
        // To make another one in its stead would destroy what is adopted.
        let marks = account.cap.resize == Resize::InPlace;
        self.update(who, Verb::Adopt, |core, r, batch| {
            if r.remote.as_ref().is_some_and(|own| own != remote) {
                return Err(
                    Error::new(ErrorKind::Conflict, "it has a thing at the site already")
                        .advice("retry it, or abandon it and let the other be")
                        .resource(r.id),
                );
            }
            take(r, &sight, marks);
            batch.events.push(core.event(
                r,
                "adopted",
                json!({"by": who.user, "reason": reason, "remote": remote, "to": r.seen, "generation": r.generation}),
            ));
            Ok(())
        })
        .await
    }
}

/// It is the resource's from now on; the engine looks what it is.
fn take(r: &mut ResourceRecord, sight: &Sight, marks: bool) {
    r.remote = Some(sight.id.clone());
    r.incarnation = sight
        .mark
        .as_ref()
        .map_or(r.incarnation.max(1), |m| m.incarnation);
    r.attempt = None;
    r.stamp = None;
    r.tries = 0;
    r.looks = 0;
    r.deadline = None;
    r.reason.clear();
    if r.wanted == Wanted::Absent {
        r.seen = State::Releasing;
        return;
    }
    r.seen = State::Building;
    match &sight.mark {
        Some(_) => {}
        None if marks => r.renew_intent(),
        // It cannot be changed, so it is taken as it is.
        None => r.seen_generation = r.generation,
    }
}

/// Refuses what bears the mark of another, or is the thing of another record.
async fn nobody_elses(core: &Core, id: ResourceId, sight: &Sight) -> Result<()> {
    let other = |whose: String| {
        Error::new(
            ErrorKind::Conflict,
            format!("{} is not adopted: it {whose}", sight.id),
        )
        .resource(id)
    };
    if let Some(mark) = &sight.mark {
        if mark.resource == id && mark.installation == core.installation {
            return Ok(());
        }
        return Err(other(format!(
            "bears the mark of {} of the installation {:?}",
            mark.resource, mark.installation
        ))
        .advice("where that is certainly wrong, take the mark off at the site first"));
    }
    let mut after = None;
    loop {
        let page = core.store.resources(&By::All, after.as_ref(), 500).await?;
        let owner = page
            .items
            .iter()
            .find(|row| row.record.id != id && row.record.remote.as_ref() == Some(&sight.id));
        if let Some(row) = owner {
            let whose = format!("is the thing of {}", row.record.id);
            return Err(other(whose).advice("it has lost its mark, and is known by its id"));
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}
