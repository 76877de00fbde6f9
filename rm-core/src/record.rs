//! The records of the engine: what the store keeps of a resource.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::caller::Tenant;
use crate::env::Timestamp;
use crate::id::{CatalogId, HoldId, Kind, RemoteId, ResourceId};
use crate::life::{State, Wanted};
use crate::model::Json;
use crate::owner::{Owner, Part};

/// One reserved thing, whole: intent, what is seen, who holds it.
///
/// Its holds and grants travel in the row, so that one expectation on one
/// version decides every race about it: two requests that want to share it, a
/// renewal against an expiry, a resize against a delete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceRecord {
    /// Its id; marks at the site are derived from it.
    pub id: ResourceId,
    /// Which variety.
    pub kind: Kind,
    /// Who owns it; quotas and reuse never cross tenants.
    pub tenant: Tenant,
    /// A name for people; not unique.
    pub name: String,
    /// Where it is, and by whose means.
    pub place: Place,
    /// Where else it could be made, best first, while nothing was tried yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<Place>,
    /// The resource that it is a part of: it goes with that one, is charged
    /// with it, and takes no verb of a user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<ResourceId>,
    /// What it tells of that one when the store is lost, where its backend keeps
    /// such things.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Box<Part>>,
    /// Resources that must be ready before this one is made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<ResourceId>,
    /// What is wanted.
    pub wanted: Wanted,
    /// Counts the changes of what is wanted.
    pub generation: u64,
    /// What is seen.
    pub seen: State,
    /// A real thing whose mark bears this generation or a newer one is as
    /// wanted: the newest generation, or an older one where later changes were
    /// refused and taken back.
    #[serde(default)]
    pub fits_from: u64,
    /// Changes that the site refused, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
    /// The generation that what is seen reflects.
    pub seen_generation: u64,
    /// Why it is in that state, in words; empty where nothing needs saying.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The spec that what is seen reflects: where a change is refused, it is
    /// what remains wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_spec: Option<Json>,
    /// The generation that the real thing bears where it is of that spec.
    #[serde(default)]
    pub seen_mark: u64,
    /// The site's own stamp of the last state that we brought about; another
    /// one later means that somebody else changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<String>,
    /// What the model shows of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<Json>,
    /// How the site names it, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteId>,
    /// When it was made, at the latest. Until lists must show it, it may be
    /// there and not be listed, even where it was listed once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Timestamp>,
    /// How many real things were begun for it, one after the other.
    pub incarnation: u32,
    /// The real thing has been given another spec since it was made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed: bool,
    /// The effect that was begun and whose outcome is not written down yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// A change of which nobody knows what came, and behind which there was
    /// another try: whatever came of that one, this one may still take effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<Attempt>,
    /// Steps in a row that did not get further; drives the backoff.
    #[serde(default)]
    pub tries: u32,
    /// It was in quarantine: what is there may be somebody else's, and is looked
    /// at before it is destroyed, as what was never in doubt is not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doubted: bool,
    /// Looks in a row that saw it still under way; drives the pace.
    #[serde(default)]
    pub looks: u32,
    /// Whose it is as the thing itself says, where its backend keeps that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noted: Option<Owner>,
    /// What the site has told of it and nobody has looked at since, as a
    /// number of times.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub told: u32,
    /// How often it was brought back since it worked for long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repairs: Option<Repairs>,
    /// Until when the current change of state must have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Until when it waits for what it needs while nobody can tell where that
    /// is. Not to be made yet takes nothing of the time for making it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unheard: Option<Timestamp>,
    /// Who holds it.
    pub holds: Vec<Hold>,
    /// Who else may see and use it, by the owner's grant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
    /// What it takes of the tenant's quota: what is wanted, or what was there
    /// before where that is more and may still be there.
    pub nodes: u64,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Where a resource is, and by whose means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The name of the manager that serves it.
    pub manager: String,
    /// The site.
    pub site: CatalogId,
    /// The site's name, for messages.
    pub site_name: String,
    /// The credential.
    pub credential: CatalogId,
    /// What is wanted there, in the model's own shape.
    pub spec: Json,
    /// The key by which an equal request finds this one; absent where it must
    /// not be shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// How often something was brought back by policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repairs {
    /// So often.
    pub times: u32,
    /// The last time.
    pub last: Timestamp,
    /// It works, and was changed once more since: it waits for its turn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
}

/// A change that the site refused. It was taken back by a generation of its
/// own, the one after `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The first generation that was not carried out.
    pub from: u64,
    /// The last one.
    pub to: u64,
    /// What the site said.
    pub reason: String,
}

/// An effect that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which effect.
    pub effect: Effect,
    /// For which generation.
    pub generation: u64,
    /// When it was over; until then, when it will be at the latest: no later
    /// than the claim does the request leave.
    pub at: Timestamp,
    /// The site said yes; whether it is done is still to be seen.
    #[serde(default)]
    pub accepted: bool,
    /// What a change is to make of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Json>,
}

/// The effects there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Make the real thing.
    Create,
    /// Give it another spec.
    Change,
    /// Destroy it, so that one of another spec can be made in its stead.
    Replace,
    /// Destroy it.
    Destroy,
}

/// One caller's claim on a resource. A resource lives while it has a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its id.
    pub id: HoldId,
    /// Whose.
    pub user: String,
    /// For whom.
    pub tenant: Tenant,
    /// When it ends by itself; never where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Since when.
    pub since: Timestamp,
}

/// Lets somebody who holds nothing see and use a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// To whom.
    pub user: String,
    /// By whom.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
}

impl ResourceRecord {
    /// One that is asked for now, and of which nothing is seen: held by
    /// nobody yet, and standing for no node.
    pub fn new(
        id: ResourceId,
        kind: Kind,
        tenant: Tenant,
        name: String,
        place: Place,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            kind,
            tenant,
            name,
            place,
            fallbacks: Vec::new(),
            part_of: None,
            part: None,
            needs: Vec::new(),
            wanted: Wanted::Running,
            generation: 1,
            fits_from: 1,
            refused: Vec::new(),
            seen: State::Nothing,
            seen_generation: 0,
            reason: String::new(),
            seen_spec: None,
            seen_mark: 0,
            stamp: None,
            view: None,
            remote: None,
            made: None,
            incarnation: 0,
            changed: false,
            attempt: None,
            earlier: None,
            tries: 0,
            doubted: false,
            looks: 0,
            noted: None,
            told: 0,
            repairs: None,
            deadline: None,
            unheard: None,
            holds: Vec::new(),
            grants: Vec::new(),
            nodes: 0,
            created: now,
            updated: now,
        }
    }

    /// A new thing is wanted of it: the next generation, and only what bears
    /// that one is as wanted.
    pub(crate) fn renew_intent(&mut self) {
        self.generation += 1;
        self.fits_from = self.generation;
        self.repairs = None;
    }

    /// The last change was refused: what is there, which bears the generation
    /// `there`, is what is wanted again. That is an intent of its own, so that
    /// generations only grow and each tells one caller's outcome.
    pub(crate) fn take_back(&mut self, there: u64, reason: String) {
        const KEPT: usize = 16;
        let from = self.seen_generation.max(there) + 1;
        self.refused.push(Refused {
            from: from.min(self.generation),
            to: self.generation,
            reason,
        });
        let old = self.refused.len().saturating_sub(KEPT);
        self.refused.drain(..old);
        self.generation += 1;
        self.fits_from = there;
        self.seen_generation = self.generation;
    }

    /// Why what was wanted as of a generation was refused, if it was. Of many
    /// refusals only the newest are known.
    pub fn refusal(&self, generation: u64) -> Option<&str> {
        self.refused
            .iter()
            .find(|r| (r.from..=r.to).contains(&generation))
            .map(|r| r.reason.as_str())
    }

    /// Whether a real thing of this generation is as wanted. What was refused
    /// can have been carried out all the same: a request may arrive twice.
    pub(crate) fn fits(&self, generation: u64) -> bool {
        generation >= self.fits_from && self.refusal(generation).is_none()
    }

    /// Why the newest intent is to keep what is there, where it is that.
    pub fn taken_back(&self) -> Option<&str> {
        self.refused
            .last()
            .filter(|r| r.to + 1 == self.generation)
            .map(|r| r.reason.as_str())
    }

    /// The attempt is over, or makes room for the next one. What may still come
    /// of a change is not forgotten with it.
    pub(crate) fn put_by(&mut self) {
        let attempt = self.attempt.take();
        let Some(open) = attempt.filter(|a| a.effect == Effect::Change && !a.accepted) else {
            return;
        };
        let at = self.earlier.as_ref().map_or(open.at, |a| a.at.max(open.at));
        self.earlier = Some(Attempt { at, ..open });
    }

    /// Changes of which nobody knows what came and which may still take effect,
    /// the newest first; `late` is how long one may.
    pub(crate) fn open_changes(
        &self,
        late: Duration,
        now: Timestamp,
    ) -> impl Iterator<Item = &Attempt> {
        let open =
            move |a: &&Attempt| a.effect == Effect::Change && !a.accepted && now < a.at.plus(late);
        self.attempt.iter().chain(&self.earlier).filter(open)
    }

    /// What is there is on its way out, and another one will be made in its
    /// stead once it is gone.
    pub(crate) fn is_replaced(&self) -> bool {
        let begun = |a: &Attempt| a.effect == Effect::Replace;
        self.wanted != Wanted::Absent && self.attempt.as_ref().is_some_and(begun)
    }

    /// When the first of its holds ends, while it is wanted.
    pub fn first_end(&self) -> Option<Timestamp> {
        match self.wanted {
            Wanted::Absent => None,
            _ => self.holds.iter().filter_map(|h| h.until).min(),
        }
    }

    /// It is in quarantine: a person must decide.
    pub fn is_held(&self) -> bool {
        self.seen == State::Quarantined
    }

    /// Users who may see it: its holders and those it was granted to.
    pub fn parties(&self) -> Vec<&str> {
        let mut users: Vec<&str> = self
            .holds
            .iter()
            .map(|h| h.user.as_str())
            .chain(self.grants.iter().map(|g| g.user.as_str()))
            .collect();
        users.sort_unstable();
        users.dedup();
        users
    }
}

/// A record of a plugin or of the catalog: a document in a space of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// The space, named after who keeps it (`catalog.site`, `vm.addresses`).
    pub space: String,
    /// Its id within the space.
    pub id: String,
    /// What is searched, by the index's name; kept in an index table.
    #[serde(default)]
    pub indexes: Vec<(String, String)>,
    /// What it says.
    pub body: Json,
}
