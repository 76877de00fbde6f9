//! What can go wrong, when, and what did.

use std::collections::BTreeMap;
use std::time::Duration;

use rm_core::env::Timestamp;
use rm_core::{Error, ErrorKind};

use crate::rng::Rng;

/// The calls there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// What there is room for.
    Offers,
    /// A look.
    Observe,
    /// Make.
    Create,
    /// Change.
    Change,
    /// Destroy.
    Destroy,
}

impl Verb {
    /// Every value.
    pub const ALL: [Self; 5] = [
        Self::Offers,
        Self::Observe,
        Self::Create,
        Self::Change,
        Self::Destroy,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offers => "offers",
            Self::Observe => "observe",
            Self::Create => "create",
            Self::Change => "change",
            Self::Destroy => "destroy",
        }
    }
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The request is lost: nothing is done, and the caller cannot know.
    LostBefore,
    /// The answer is lost: it is done, and the caller cannot know.
    LostAfter,
    /// The caller is told at once that nobody knows, and it is done so much
    /// later.
    Late(Duration),
    /// It is done at once and answered so much later.
    Slow(Duration),
    /// It is refused: certainly nothing was done.
    Refused(ErrorKind),
    /// Too many requests: come again after so long.
    TooMany(Duration),
    /// It is accepted, takes its time, and ends in failure.
    FailsLater,
    /// It is accepted and takes so much longer.
    Hangs(Duration),
    /// It is done, and the request arrives once more so much later.
    Twice(Duration),
    /// It is done, and the answer says that it cannot be: there is one
    /// already, or it is busy.
    Denied,
    /// It is not done, and the answer says that it is.
    Forgotten,
}

impl Fault {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LostBefore => "lost before",
            Self::LostAfter => "lost after",
            Self::Late(_) => "late",
            Self::Slow(_) => "slow",
            Self::Refused(_) => "refused",
            Self::TooMany(_) => "too many",
            Self::FailsLater => "fails later",
            Self::Hangs(_) => "hangs",
            Self::Twice(_) => "twice",
            Self::Denied => "denied",
            Self::Forgotten => "forgotten",
        }
    }

    /// What the caller is told instead of an answer.
    pub(super) fn error(self, verb: Verb, site: &str) -> Option<Error> {
        let e = match self {
            Self::LostBefore | Self::LostAfter => {
                Error::new(ErrorKind::Unavailable, "the connection broke").effect_unknown()
            }
            Self::Late(_) => {
                Error::new(ErrorKind::Timeout, "the gateway did not get an answer").effect_unknown()
            }
            Self::Refused(kind) => {
                Error::new(kind, format!("the site refuses it: {}", kind.code()))
            }
            Self::TooMany(after) => {
                Error::new(ErrorKind::RateLimited, "too many requests").retry_after(after)
            }
            Self::Denied if verb == Verb::Create => {
                Error::new(ErrorKind::Exists, "there is one of that name already")
            }
            Self::Denied => Error::new(ErrorKind::Busy, "it is busy").temporary(),
            Self::Slow(_)
            | Self::FailsLater
            | Self::Hangs(_)
            | Self::Twice(_)
            | Self::Forgotten => return None,
        };
        Some(e.site(site))
    }
}

/// A fault, and the calls that suffer it.
#[derive(Debug, Clone)]
pub struct Rule {
    verb: Verb,
    site: Option<String>,
    of: Option<String>,
    skip: u64,
    times: u64,
    fault: Fault,
    /// Which one it is of all that were added.
    number: u64,
}

impl Rule {
    /// The next call of this kind suffers it.
    pub fn next(verb: Verb, fault: Fault) -> Self {
        Self {
            verb,
            site: None,
            of: None,
            skip: 0,
            times: 1,
            fault,
            number: 0,
        }
    }

    /// Call number `n` from now on suffers it, counted from 1.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Self {
        self.skip = n.saturating_sub(1);
        self
    }

    /// So many calls in a row suffer it.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Every call from then on suffers it.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }

    /// Only calls of this site count.
    #[must_use]
    pub fn at(mut self, site: &str) -> Self {
        self.site = Some(site.to_owned());
        self
    }

    /// Only calls count that are made on something of which this is a part of
    /// the name: see [`SimCall::what`].
    #[must_use]
    pub fn of(mut self, what: &str) -> Self {
        self.of = Some(what.to_owned());
        self
    }

    fn fits(&self, verb: Verb, site: &str, what: &str) -> bool {
        let of = self.of.as_ref().is_none_or(|of| what.contains(of));
        of && self.verb == verb && self.site.as_ref().is_none_or(|s| s == site)
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The caller is gone, or has not been answered yet.
    Open,
    /// Yes.
    Done,
    /// No.
    Refused(ErrorKind),
}

/// One call that was made.
#[derive(Debug, Clone)]
pub struct SimCall {
    /// When.
    pub at: Timestamp,
    /// Where.
    pub site: String,
    /// Which.
    pub verb: Verb,
    /// On what: a name, an id, or how many things.
    pub what: String,
    /// Which fault it suffered.
    pub fault: Option<Fault>,
    /// How it ended.
    pub answer: Answer,
    /// Which rule brought the fault; several calls may suffer one.
    pub(crate) rule: Option<u64>,
}

/// How many calls are kept.
const KEPT: usize = 100_000;

/// Faults by chance: dice, how many in a thousand calls, and which.
type Chaos = (Rng, u64, Vec<(Verb, Fault)>);

#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: Vec<Rule>,
    /// How many rules there ever were.
    added: u64,
    chaos: Option<Chaos>,
    pub(super) calls: Vec<SimCall>,
    pub(super) counts: BTreeMap<(String, Verb), u64>,
    pub(super) suffered: BTreeMap<&'static str, u64>,
    pub(super) open_looks: BTreeMap<(String, String), u64>,
    pub(super) most_looks: u64,
}

impl Faults {
    pub(super) fn add(&mut self, rule: Rule) {
        self.added += 1;
        self.rules.push(Rule {
            number: self.added,
            ..rule
        });
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
        self.chaos = None;
    }

    pub(super) fn chaos(&mut self, seed: u64, per_mille: u64, faults: Vec<(Verb, Fault)>) {
        self.chaos = Some((Rng::new(seed), per_mille, faults));
    }

    /// Writes a call down and answers its number and what it suffers.
    pub(super) fn begin(
        &mut self,
        at: Timestamp,
        site: &str,
        verb: Verb,
        what: String,
    ) -> (usize, Option<Fault>) {
        let (mut fault, mut by) = (None, None);
        for rule in &mut self.rules {
            if !rule.fits(verb, site, &what) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if fault.is_none() && rule.times > 0 {
                rule.times = rule.times.saturating_sub(1);
                (fault, by) = (Some(rule.fault), Some(rule.number));
            }
        }
        self.rules.retain(|r| r.times > 0);
        if fault.is_none()
            && let Some((rng, per_mille, faults)) = &mut self.chaos
            && rng.chance(*per_mille)
        {
            let fitting: Vec<Fault> = faults
                .iter()
                .filter(|(v, _)| *v == verb)
                .map(|(_, f)| *f)
                .collect();
            fault = rng.pick(&fitting).copied();
        }
        if let Some(fault) = fault {
            *self.suffered.entry(fault.as_str()).or_default() += 1;
        }
        *self.counts.entry((site.to_owned(), verb)).or_default() += 1;
        if self.calls.len() >= KEPT {
            self.calls.clear();
        }
        self.calls.push(SimCall {
            at,
            site: site.to_owned(),
            verb,
            what,
            fault,
            answer: Answer::Open,
            rule: by,
        });
        (self.calls.len() - 1, fault)
    }

    pub(super) fn open_look(&mut self, account: (String, String)) {
        let open = self.open_looks.entry(account).or_default();
        *open += 1;
        self.most_looks = self.most_looks.max(*open);
    }

    pub(super) fn end(&mut self, number: usize, answer: Answer) {
        if let Some(call) = self.calls.get_mut(number) {
            call.answer = answer;
        }
    }
}
