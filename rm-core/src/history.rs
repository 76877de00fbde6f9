//! The history of a resource: what was believed of it when, which step did
//! what, and why it went. Read from its events, so it outlives the resource.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::caller::Caller;
use crate::env::Timestamp;
use crate::error::Result;
use crate::event::{Event, Events};
use crate::host::Core;
use crate::id::{HoldId, Kind, RemoteId, ResourceId};
use crate::life::{State, Wanted};
use crate::visible::missing;

/// The histories of resources.
#[derive(Debug, Clone, Copy)]
pub struct History<'a> {
    core: &'a Arc<Core>,
}

/// What happened to one resource until a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// What happened, in order.
    pub entries: Vec<Entry>,
    /// What was believed at the end of it; absent before it was asked for.
    pub believed: Option<Believed>,
    /// False where its beginning is no longer kept: then the holders that it
    /// had from there are not known.
    pub whole: bool,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The number of its event.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What, as the event says it: `cluster.ready`.
    pub what: String,
    /// Who asked for it; absent for what the engine did.
    pub by: Option<String>,
    /// In words.
    pub text: String,
}

/// What was believed of a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Believed {
    /// Since when.
    pub at: Timestamp,
    /// What was wanted.
    pub wanted: Wanted,
    /// What was seen.
    pub seen: State,
    /// The generation of what was wanted.
    pub generation: u64,
    /// Which of the real things begun for it.
    pub incarnation: u64,
    /// How many nodes it stood for.
    pub nodes: Option<u64>,
    /// The site's name.
    pub site: Option<String>,
    /// How the site named it.
    pub remote: Option<RemoteId>,
    /// Why it was so, in words.
    pub reason: String,
    /// Why it was to go, where it was.
    pub let_go: Option<String>,
    /// Who held it.
    pub holders: Vec<Holder>,
    /// It had ended: it was gone, or given up.
    pub ended: bool,
}

/// One who held it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The hold.
    pub hold: HoldId,
    /// Whose.
    pub user: String,
    /// Until when.
    pub until: Option<String>,
}

impl<'a> History<'a> {
    pub(crate) fn new(core: &'a Arc<Core>) -> Self {
        Self { core }
    }

    /// What happened to a resource until `at`, or until now, as far as the
    /// caller may hear of it: its tenant and operators hear of it whole, also
    /// when it is gone.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::NotFound`] for what the caller may not hear of, and
    /// for what is gone for so long that its events are no longer kept.
    pub async fn of(&self, who: &Caller, id: ResourceId, at: Option<Timestamp>) -> Result<Told> {
        let events = Events::new(self.core);
        let heard = events.after(who, Some(id), 0, usize::MAX).await?.events;
        let Some(first) = heard.first() else {
            return Err(missing(&Kind::CLUSTER, id));
        };
        let mut told = Told {
            entries: Vec::new(),
            believed: None,
            whole: first.is_beginning(),
        };
        for event in &heard {
            if at.is_some_and(|at| event.event.at > at) {
                break;
            }
            told.entries.push(entry(event));
            // It is of no time, and nobody knows what it said.
            if event.is_unreadable() {
                continue;
            }
            let believed = told.believed.get_or_insert_with(|| Believed::begin(event));
            believed.learn(event);
        }
        Ok(told)
    }
}

/// A member of an event's data.
fn get<T: DeserializeOwned>(event: &Event, key: &str) -> Option<T> {
    serde_json::from_value(event.event.data.get(key)?.clone()).ok()
}

fn verb(event: &Event) -> &str {
    let what = &event.event.what;
    what.rsplit_once('.').map_or(what, |(_, verb)| verb)
}

impl Believed {
    fn begin(event: &Event) -> Self {
        Self {
            at: event.event.at,
            wanted: Wanted::Running,
            seen: State::Nothing,
            generation: 0,
            incarnation: 0,
            nodes: None,
            site: None,
            remote: None,
            reason: String::new(),
            let_go: None,
            holders: Vec::new(),
            ended: false,
        }
    }

    fn learn(&mut self, event: &Event) {
        self.at = event.event.at;
        self.ended = event.is_end();
        if let Some(wanted) = get(event, "wanted") {
            self.wanted = wanted;
        }
        self.generation = get(event, "generation").unwrap_or(self.generation);
        self.incarnation = get(event, "incarnation").unwrap_or(self.incarnation);
        self.nodes = get(event, "nodes").or(self.nodes);
        self.site = get(event, "site").or_else(|| self.site.take());
        // Of these two it is a user and a site.
        let to = (!matches!(verb(event), "granted" | "moved")).then(|| get(event, "to"));
        if let Some(seen) = to.flatten() {
            self.seen = seen;
            self.reason = get(event, "reason").unwrap_or_default();
            let remote = get(event, "remote");
            // Who adopts or lets go does not say how the site names it.
            if event.event.data.get("from").is_some() || remote.is_some() {
                self.remote = remote;
            }
        }
        match verb(event) {
            "requested" | "joined" => self.held(event, "by"),
            "restored" => self.held(event, "of"),
            "renewed" => {
                let hold: Option<HoldId> = get(event, "hold");
                let until = get(event, "until");
                if let Some(holder) = self.holders.iter_mut().find(|h| Some(h.hold) == hold) {
                    holder.until = until;
                }
            }
            "released" | "expired" => {
                let hold: Option<HoldId> = get(event, "hold");
                self.holders.retain(|h| Some(h.hold) != hold);
            }
            "retried" => {
                self.seen = match self.wanted {
                    Wanted::Absent => State::Releasing,
                    _ => State::Nothing,
                };
            }
            "moved" => {
                self.site = get(event, "to");
                self.seen = State::Nothing;
            }
            // The intent; what is seen of it later says where it comes from.
            "releasing" if event.event.data.get("from").is_none() => {
                self.let_go = Some(self.reason.clone());
            }
            "gone" | "abandoned" => {
                self.reason = get(event, "reason").unwrap_or_default();
                self.holders.clear();
            }
            _ => {}
        }
    }

    fn held(&mut self, event: &Event, by: &str) {
        if let (Some(hold), Some(user)) = (get(event, "hold"), get(event, by)) {
            let until = get(event, "until");
            self.holders.push(Holder { hold, user, until });
        }
    }
}

fn entry(event: &Event) -> Entry {
    Entry {
        seq: event.seq,
        at: event.event.at,
        what: event.event.what.clone(),
        by: get(event, "by"),
        text: words(event),
    }
}

/// What an event says, for people.
fn words(event: &Event) -> String {
    let text = |key: &str| get::<String>(event, key).unwrap_or_default();
    let number = |key: &str| get::<u64>(event, key).unwrap_or_default();
    let until = || match get::<String>(event, "until") {
        Some(until) => format!("until {until}"),
        None => "without end".to_owned(),
    };
    let mut parts = vec![match verb(event) {
        "requested" => format!(
            "asked for at {}, {} nodes, {}",
            text("site"),
            number("nodes"),
            until()
        ),
        "joined" => format!("held by one more, {}", until()),
        "renewed" => format!("the hold lasts {}", until()),
        "released" => format!("a hold was given up; {} left", number("left")),
        "expired" => format!(
            "the lease of {} is over; {} holds left",
            text("of"),
            number("left")
        ),
        "granted" => format!("shown to {}", text("to")),
        "revoked" => format!("no longer shown to {}", text("from")),
        "change-requested" => format!("{} nodes are wanted", number("nodes")),
        "change-refused" => "the site refused the change; it stays as it was".to_owned(),
        "retried" => "to be tried again".to_owned(),
        "adopted" => format!("{} at the site is taken for it", text("remote")),
        "moved" => format!("moved from {} to {}", text("from"), text("to")),
        "drifted" => "changed behind our back".to_owned(),
        "unreadable" => "what happened then cannot be read any more".to_owned(),
        "repairing" => format!("to be as it was again, for time {}", number("times")),
        "abandoned" => "given up, whatever is left of it at the site".to_owned(),
        "restored" => format!("found at {} when the store was made anew", text("site")),
        "gone" => "seen to be gone".to_owned(),
        "progress" => return progress(&event.event.data),
        _ => text("to"),
    }];
    if let (Some(effect), Some(outcome)) = (
        get::<String>(event, "effect"),
        get::<String>(event, "outcome"),
    ) {
        parts.push(match outcome.as_str() {
            "begun" => format!("{effect} begins"),
            "accepted" => format!("the site has accepted the {effect}"),
            "refused" => format!("the site has refused the {effect}"),
            _ => format!("nobody knows what came of the {effect}"),
        });
    }
    let remote = text("remote");
    if !remote.is_empty() && verb(event) != "adopted" {
        parts.push(remote);
    }
    let reason = text("reason");
    if !reason.is_empty() {
        parts.push(reason);
    }
    parts.retain(|part| !part.is_empty());
    parts.join("; ")
}

fn progress(data: &Value) -> String {
    match &data["total"] {
        Value::Null => format!("{} so far", data["done"]),
        total => format!("{} of {total}", data["done"]),
    }
}
