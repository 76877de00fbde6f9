//! One simulated site: what is there, and what is still on its way.

use std::collections::BTreeMap;
use std::time::Duration;

use rm_core::backend::{CreateKey, Mark, Phase, Resize};
use rm_core::env::Timestamp;
use rm_core::owner::Owner;
use rm_core::{Error, ErrorKind, RemoteId, Result};
use serde_json::Value;

use super::config::SimSite;
use super::images::{Order, SimImage, Wanted};
use super::tell::Happening;
use super::thing::Thing;

#[derive(Debug)]
pub(super) struct Site {
    pub(super) nodes: Option<u64>,
    pub(super) cost: f64,
    pub(super) down: bool,
    pub(super) lag: Duration,
    /// How much later than a thing its mark is there.
    pub(super) marks: Duration,
    pub(super) things: BTreeMap<RemoteId, Thing>,
    pub(super) images: BTreeMap<RemoteId, SimImage>,
    pub(super) late: Vec<(Timestamp, Effect)>,
    /// When the first of the things gets where it is on its way to, or before.
    next: Option<Timestamp>,
    /// What has happened and was not told yet.
    pub(super) happened: Vec<Happening>,
}

/// Something that is asked of a site.
#[derive(Debug, Clone)]
pub(super) enum Effect {
    Create {
        account: String,
        mark: Mark,
        owner: Option<Owner>,
        slaves: u32,
        outputs: BTreeMap<String, Value>,
        images: Vec<Wanted>,
        number: u64,
        fails: bool,
        takes: Duration,
        key: CreateKey,
    },
    Change {
        id: RemoteId,
        mark: Mark,
        owner: Option<Owner>,
        slaves: u32,
        tells: BTreeMap<String, Value>,
        fails: bool,
        takes: Duration,
        how: Resize,
    },
    Destroy {
        id: RemoteId,
        fails: bool,
        takes: Duration,
    },
    Image(Order),
}

impl Effect {
    /// Makes it take so much longer.
    pub(super) fn delay(&mut self, longer: Duration) {
        match self {
            Self::Create { takes, .. }
            | Self::Change { takes, .. }
            | Self::Destroy { takes, .. } => *takes += longer,
            // It is done at once.
            Self::Image(_) => {}
        }
    }

    /// What the site answers that says yes and does nothing.
    pub(super) fn forgotten(self) -> RemoteId {
        match self {
            Self::Create { number, .. } => RemoteId(format!("nothing-{number:06}")),
            Self::Change { id, .. } | Self::Destroy { id, .. } => id,
            Self::Image(order) => order.id(),
        }
    }
}

impl Site {
    pub(super) fn new(config: SimSite) -> Self {
        Self {
            nodes: config.nodes,
            cost: config.cost,
            down: config.down,
            lag: Duration::ZERO,
            marks: Duration::ZERO,
            things: BTreeMap::new(),
            images: BTreeMap::new(),
            late: Vec::new(),
            next: None,
            happened: Vec::new(),
        }
    }

    /// How many nodes more there is room for.
    pub(super) fn room(&self) -> Option<u64> {
        let nodes = self.nodes?;
        let used: u64 = self.things.values().map(Thing::nodes).sum();
        Some(nodes.saturating_sub(used))
    }

    /// Lets everything get where it is by this time.
    pub(super) fn advance(&mut self, now: Timestamp) {
        while let Some(at) = self
            .late
            .iter()
            .enumerate()
            .filter(|(_, (at, _))| *at <= now)
            .min_by_key(|(i, (at, _))| (*at, *i))
            .map(|(i, _)| i)
        {
            let (at, effect) = self.late.remove(at);
            self.advance_things(at);
            // Nobody is there any more to be told of a refusal.
            let _ = self.apply(effect, at);
        }
        self.advance_things(now);
    }

    /// A site remembers what it once had, and is called far more often than
    /// something gets anywhere.
    fn advance_things(&mut self, now: Timestamp) {
        if self.next.is_none_or(|next| next > now) {
            return;
        }
        for thing in self.things.values_mut() {
            thing.advance(now);
        }
        let ends = self.things.values().filter_map(|t| t.ends);
        self.next = ends.map(|(at, _)| at).min();
    }

    pub(super) fn postpone(&mut self, until: Timestamp, effect: Effect) {
        self.late.push((until, effect));
    }

    /// Something happens to a thing now, and where that is known already, at the
    /// end of what it does.
    pub(super) fn happens(&mut self, id: &RemoteId, now: Timestamp) {
        let Some(thing) = self.things.get(id) else {
            return;
        };
        if let Some((ends, _)) = thing.ends {
            self.next = Some(self.next.map_or(ends, |next| next.min(ends)));
        }
        let Some(mark) = thing.mark.as_ref().or(thing.marked()) else {
            return;
        };
        for at in [Some(now), thing.ends.map(|(at, _)| at)]
            .into_iter()
            .flatten()
        {
            self.happened.push(Happening {
                at,
                account: thing.account.clone(),
                resource: mark.resource,
            });
        }
    }

    /// Does it.
    pub(super) fn apply(&mut self, effect: Effect, now: Timestamp) -> Result<RemoteId> {
        let done = self.carry(effect, now);
        if let Ok(id) = &done {
            self.happens(id, now);
        }
        done
    }

    fn carry(&mut self, effect: Effect, now: Timestamp) -> Result<RemoteId> {
        match effect {
            Effect::Create { .. } => self.create(effect, now),
            Effect::Image(order) => self.carry_out(order),
            Effect::Change {
                id,
                mark,
                owner,
                slaves,
                tells,
                fails,
                takes,
                how,
            } => {
                let room = self.room();
                let thing = self
                    .things
                    .get_mut(&id)
                    .filter(|t| t.exists())
                    .ok_or_else(|| gone(&id))?;
                if !matches!(
                    thing.phase,
                    Phase::Ready | Phase::Failed | Phase::DeleteFailed
                ) {
                    return Err(Error::new(
                        ErrorKind::Busy,
                        format!("{id} is {:?} and cannot be changed now", thing.phase),
                    )
                    .temporary());
                }
                if how != Resize::InPlace {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        "the site cannot give a thing another size",
                    ));
                }
                let more = u64::from(slaves.saturating_sub(thing.slaves));
                check_room(room, more)?;
                let ends = if fails { Phase::Failed } else { Phase::Ready };
                thing.slaves = slaves;
                thing.stamp += 1;
                thing.enter(Phase::Changing, now, "");
                thing.mark = Some(mark);
                thing.owner = owner;
                thing.outputs.extend(tells);
                thing.ends = Some((now.plus(takes), ends));
                Ok(id)
            }
            Effect::Destroy { id, fails, takes } => {
                if let Some(thing) = self.things.get_mut(&id)
                    && !matches!(thing.phase, Phase::Gone | Phase::Deleting)
                {
                    let ends = if fails {
                        Phase::DeleteFailed
                    } else {
                        Phase::Gone
                    };
                    thing.stamp += 1;
                    thing.enter(Phase::Deleting, now, "");
                    thing.ends = Some((now.plus(takes), ends));
                }
                Ok(id)
            }
        }
    }

    fn create(&mut self, effect: Effect, now: Timestamp) -> Result<RemoteId> {
        let Effect::Create {
            account,
            mark,
            owner,
            slaves,
            outputs,
            images,
            number,
            fails,
            takes,
            key,
        } = effect
        else {
            return Err(Error::new(ErrorKind::Internal, "not a create"));
        };
        let name = mark.name();
        // A token is remembered for longer than what was made by it.
        let known = self.things.values().find(|t| {
            let ours = |m: &Mark| {
                (&m.installation, m.resource, m.incarnation)
                    == (&mark.installation, mark.resource, mark.incarnation)
            };
            t.account == account
                && match key {
                    CreateKey::ClientToken => t.mark.as_ref().is_some_and(ours),
                    _ => t.name == name && t.exists(),
                }
        });
        match (key, known) {
            (CreateKey::UniqueName | CreateKey::ClientUuid, Some(known)) => {
                return Err(Error::new(
                    ErrorKind::Exists,
                    format!("there is a {name} already: {}", known.id),
                ));
            }
            (CreateKey::ClientToken, Some(known)) => return Ok(known.id.clone()),
            _ => {}
        }
        check_room(self.room(), 1 + u64::from(slaves))?;
        let mut of = Vec::with_capacity(images.len());
        for image in &images {
            of.push(self.usable(&account, image)?);
        }
        let id = RemoteId(match key {
            CreateKey::ClientUuid => name.clone(),
            _ => format!("thing-{number:06}"),
        });
        let ends = if fails { Phase::Failed } else { Phase::Ready };
        self.things.insert(
            id.clone(),
            Thing {
                id: id.clone(),
                name,
                account,
                owner,
                mark: Some(mark),
                phase: Phase::Building,
                reason: String::new(),
                slaves,
                stamp: 1,
                since: now,
                created: now,
                ends: Some((now.plus(takes), ends)),
                before: None,
                outputs,
                images: of,
                number,
            },
        );
        Ok(id)
    }
}

fn gone(id: &RemoteId) -> Error {
    Error::not_found(format!("there is no {id} at the site"))
}

fn check_room(room: Option<u64>, needed: u64) -> Result<()> {
    match room {
        Some(room) if room < needed => Err(Error::new(
            ErrorKind::NoCapacity,
            format!("the site has room for {room} nodes, and {needed} are needed"),
        )),
        _ => Ok(()),
    }
}
