//! Orphans: what bears our mark at a site and is no record's real thing.
//!
//! An intent is written down before anything is made, and a record is removed
//! only when its thing is seen to be gone. So what bears our mark and has no
//! record *after* it was listed came late, was abandoned, or is of a lost
//! store. Nothing is kept of orphans: they can always be found again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::backend::{Mark, Phase};
use crate::caller::{Caller, Role};
use crate::driver::Sight;
use crate::engine::found_before;
use crate::env::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::event::NewEvent;
use crate::host::Core;
use crate::id::{CatalogId, RemoteId};
use crate::operations::last_event;
use crate::record::ResourceRecord;
use crate::store::{Batch, Expect, Key, Outcome, Versioned};
use crate::survey::{self, Account, Survey, name_of};

pub use crate::survey::Skipped;

/// One real thing, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thing {
    /// The name of the manager that sees it.
    pub manager: String,
    /// Where.
    pub site: CatalogId,
    /// By whose means.
    pub credential: CatalogId,
    /// How the site names it.
    pub remote: RemoteId,
    /// The mark it bears.
    pub mark: Mark,
}

/// What is thought of a thing that is no record's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing will ever need it: it can be reclaimed.
    Orphan,
    /// The store has never heard of its resource, or has forgotten it: it may
    /// be of a store that was lost. It is reclaimed only where somebody says
    /// that this is meant.
    Unheard,
    /// It may still be a record's: it is never reclaimed.
    Ambiguous,
    /// It is going already.
    Going,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Orphan, Self::Unheard, Self::Ambiguous, Self::Going];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Orphan => "orphan",
            Self::Unheard => "unheard",
            Self::Ambiguous => "ambiguous",
            Self::Going => "going",
        }
    }
}

/// A thing that is no record's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The thing.
    pub thing: Thing,
    /// The site's name.
    pub site_name: String,
    /// The credential's tenant and name.
    pub credential_name: String,
    /// How the site calls it for people.
    pub name: String,
    /// What it is doing.
    pub phase: Phase,
    /// The site's own stamp of its last change.
    pub stamp: Option<String>,
    /// When an engine's search found it first; absent for what none has found
    /// yet.
    pub since: Option<Timestamp>,
    /// What is thought of it.
    pub verdict: Verdict,
    /// Why, in words.
    pub why: String,
}

impl Orphan {
    /// Since its last change at the site, where the site's stamp is a moment;
    /// else since an engine found it first.
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        let changed = self.stamp.as_deref().and_then(Timestamp::parse);
        changed.or(self.since).map(|at| now.since(at))
    }
}

/// What a survey of all sites has shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// What bears our mark and is no record's, by site and id.
    pub orphans: Vec<Orphan>,
    /// How many things bear our mark and are their record's.
    pub owned: u64,
    /// How many things bear another installation's mark. They are never
    /// touched.
    pub foreign: u64,
    /// What was not looked at, and why: the report says nothing of it.
    pub skipped: Vec<Skipped>,
}

/// What came of reclaiming something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reclaimed {
    /// The site has taken it on. That it is gone shows in the next report.
    Accepted,
    /// There was nothing left to destroy.
    Gone,
}

/// Orphans, for operators.
#[derive(Debug, Clone, Copy)]
pub struct Orphans<'a> {
    core: &'a Arc<Core>,
}

impl<'a> Orphans<'a> {
    pub(crate) fn new(core: &'a Arc<Core>) -> Self {
        Self { core }
    }

    /// Looks at every account that can list what bears our mark. Changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] for anybody but an operator. A site that
    /// cannot be asked is no error: it is named in the report.
    pub async fn report(&self, who: &Caller) -> Result<Report> {
        who.need(Role::Operator)?;
        report(self.core).await
    }

    /// Destroys an orphan, after a last look: its id, its whole mark, and that
    /// no record means it must be as the report said. `unheard` says that what
    /// the store has never heard of is meant, too.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] for anybody but an operator, and for what
    /// another installation has made; [`ErrorKind::Conflict`] where it is no
    /// orphan any more, or was none; what the site says.
    pub async fn reclaim(&self, who: &Caller, thing: &Thing, unheard: bool) -> Result<Reclaimed> {
        who.need(Role::Operator)?;
        reclaim(self.core, &who.user, thing, unheard).await
    }
}

/// What [`Orphans::report`] answers.
pub(crate) async fn report(core: &Core) -> Result<Report> {
    let mut report = Report::default();
    let mut survey = Survey::begin(core).await?;
    while let Some((account, page)) = survey.next().await {
        if let Err(e) = report.add(core, &account, page).await {
            survey.skip(&account, &e);
        }
    }
    report.skipped = survey.skipped;
    let found = found_before(core).await?;
    for orphan in &mut report.orphans {
        orphan.since = found.get(&name(&orphan.thing)).copied();
    }
    let order = |o: &Orphan| (o.site_name.clone(), o.thing.clone());
    report.orphans.sort_by_cached_key(order);
    Ok(report)
}

impl Report {
    async fn add(&mut self, core: &Core, account: &Account, page: Vec<Sight>) -> Result<()> {
        let mut suspects = Vec::new();
        for sight in page {
            match &sight.mark {
                Some(mark) if mark.installation == core.installation => {
                    // The record is read after the list: what was made
                    // meanwhile has one.
                    match judge(core, account, &sight, mark).await?.verdict {
                        Some(_) => suspects.push((mark.clone(), sight.id.clone())),
                        None => self.owned += 1,
                    }
                }
                Some(_) => self.foreign += 1,
                None => {}
            }
        }
        // A list may be older than the end of a record.
        for sight in account.again(core, suspects).await? {
            let ours = |m: &Mark| m.installation == core.installation;
            let Some(mark) = sight.mark.clone().filter(ours) else {
                continue;
            };
            if sight.phase == Phase::Gone {
                continue;
            }
            if let Some((verdict, why)) = judge(core, account, &sight, &mark).await?.verdict {
                self.orphans.push(Orphan {
                    thing: Thing {
                        manager: account.manager.clone(),
                        site: account.site.id,
                        credential: account.credential.id,
                        remote: sight.id,
                        mark,
                    },
                    site_name: account.site.name.clone(),
                    credential_name: name_of(&account.credential),
                    name: sight.name,
                    phase: sight.phase,
                    stamp: sight.stamp,
                    since: None,
                    verdict,
                    why,
                });
            }
        }
        Ok(())
    }
}

/// What is thought of a thing, and the record that this rests on.
struct Judged {
    record: Option<Versioned<ResourceRecord>>,
    /// Absent for what is its record's own.
    verdict: Option<(Verdict, String)>,
}

async fn judge(core: &Core, account: &Account, sight: &Sight, mark: &Mark) -> Result<Judged> {
    let record = core.store.resource(mark.resource).await?;
    let verdict = match &record {
        Some(row) => beside(&row.record, account, &sight.id, mark),
        None => Some(without(core, account, sight, mark).await?),
    };
    Ok(Judged { record, verdict })
}

/// Of what has no record.
async fn without(
    core: &Core,
    account: &Account,
    sight: &Sight,
    mark: &Mark,
) -> Result<(Verdict, String)> {
    if sight.phase == Phase::Deleting {
        return Ok((Verdict::Going, "it is being destroyed".to_owned()));
    }
    let Some(last) = last_event(core, mark.resource).await? else {
        let why = "this store knows nothing of its resource: was a store lost?";
        return Ok((Verdict::Unheard, why.to_owned()));
    };
    if last.is_unreadable() {
        let why = "the last that happened to its resource cannot be read: was the store damaged?";
        return Ok((Verdict::Unheard, why.to_owned()));
    }
    let verb = last.event.what.rsplit('.').next().unwrap_or_default();
    // A record goes with an event that says so. One that went without may be
    // there under an id that changed on the disk, and mean it still.
    if !last.is_end() {
        let at = last.event.at;
        let why = format!("nothing tells that its record, last heard of {at} ({verb}), has ended");
        return Ok((Verdict::Ambiguous, why));
    }
    let why = format!("its record ended {} ({verb})", last.event.at);
    // What was seen to be gone may be listed for a little longer.
    Ok(
        match core.env.now().since(last.event.at) < account.cap.visibility {
            true => (Verdict::Going, format!("{why}; the list may be late")),
            false => (Verdict::Orphan, why),
        },
    )
}

/// Of what has a record.
fn beside(
    r: &ResourceRecord,
    account: &Account,
    id: &RemoteId,
    mark: &Mark,
) -> Option<(Verdict, String)> {
    let ambiguous = |why: String| Some((Verdict::Ambiguous, why));
    if r.place.manager != account.manager || r.place.site != account.site.id {
        return ambiguous(format!("its record is at {:?}", r.place.site_name));
    }
    match (&r.remote, &r.attempt) {
        (Some(own), _) if own == id => None,
        // It is being made, and its id is not written down yet.
        (None, Some(_)) if r.incarnation == mark.incarnation && !r.seen.is_settled() => None,
        (_, Some(attempt)) => ambiguous(format!(
            "a {:?} is under way whose outcome is not known yet",
            attempt.effect
        )),
        (None, None) => ambiguous(format!("its record names no thing and is {}", r.seen)),
        (Some(own), None) if mark.incarnation < r.incarnation => Some((
            Verdict::Orphan,
            format!("it is of an earlier try; its record's thing is {own}"),
        )),
        (Some(own), None) => ambiguous(format!("it is of the same try as its record's {own}")),
    }
}

/// What [`Orphans::reclaim`] does, on behalf of somebody or of a policy.
pub(crate) async fn reclaim(
    core: &Core,
    by: &str,
    thing: &Thing,
    unheard: bool,
) -> Result<Reclaimed> {
    let mark = &thing.mark;
    if mark.installation != core.installation {
        return Err(Error::new(
            ErrorKind::Forbidden,
            format!(
                "{} belongs to the installation {:?}",
                thing.remote, mark.installation
            ),
        )
        .advice("only what this installation has made is destroyed here"));
    }
    let account = survey::open(core, &thing.manager, thing.site, thing.credential).await?;
    let asked = [(mark.clone(), thing.remote.clone())];
    let found = account.again(core, asked).await?.pop();
    let Some(sight) = found.filter(|sight| sight.phase != Phase::Gone) else {
        return Ok(Reclaimed::Gone);
    };
    if sight.mark.as_ref() != Some(mark) {
        return Err(refused(
            thing,
            "it does not bear the mark that was reported",
        ));
    }
    let judged = judge(core, &account, &sight, mark).await?;
    match judged.verdict {
        Some((Verdict::Orphan, _)) => {}
        Some((Verdict::Unheard, _)) if unheard => {}
        Some((Verdict::Going, _)) => return Ok(Reclaimed::Accepted),
        Some((_, why)) => return Err(refused(thing, &why)),
        None => return Err(refused(thing, "it is its record's own")),
    }
    // The record must still be as it was judged by when this is written down.
    let key = Key::Resource(mark.resource);
    let mut batch = Batch::default();
    batch.expect.push(match &judged.record {
        Some(row) => Expect::Version(key, row.version),
        None => Expect::Absent(key),
    });
    batch.events.push(event(core, "reclaiming", thing, by));
    if let Outcome::Refused(_) = core.commit(batch).await? {
        return Err(refused(thing, "its record has changed at the same moment"));
    }
    let cx = account.cx(core);
    let call = account.driver.destroy(&cx, sight);
    core.timed("destroy", account.cap.call_timeout, call)
        .await?;
    let mut batch = Batch::default();
    batch.events.push(event(core, "reclaimed", thing, by));
    core.commit(batch).await?;
    Ok(Reclaimed::Accepted)
}

fn refused(thing: &Thing, why: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("{} is not reclaimed: {why}", thing.remote),
    )
    .code("not-an-orphan")
    .advice("ask for a report again, and look at the thing at its site")
}

/// An event about a thing, for operators. It is none of the resource's: whose
/// history ends with its record.
pub(crate) fn event(core: &Core, verb: &str, thing: &Thing, by: &str) -> NewEvent {
    let mut data = told(thing);
    data["by"] = json!(by);
    NewEvent {
        at: core.env.now(),
        what: format!("orphan.{verb}"),
        tenant: None,
        audience: Vec::new(),
        resource: None,
        data: data.into(),
    }
}

/// A thing and its mark, for events.
fn told(thing: &Thing) -> Value {
    json!({
        "manager": thing.manager,
        "site": thing.site,
        "credential": thing.credential,
        "id": thing.remote,
        "installation": thing.mark.installation,
        "resource": thing.mark.resource,
        "incarnation": thing.mark.incarnation,
        "generation": thing.mark.generation,
    })
}

/// Things by where they are and how they are named there.
pub(crate) fn by_name(orphans: &[Orphan]) -> BTreeMap<String, &Orphan> {
    orphans.iter().map(|o| (name(&o.thing), o)).collect()
}

fn name(t: &Thing) -> String {
    format!("{}/{}/{}", t.manager, t.site, t.remote)
}
