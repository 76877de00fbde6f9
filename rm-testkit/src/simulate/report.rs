//! What came of it, for people and for programs.

use std::fmt;

use serde_json::{Value, json};

use super::exhaustive::{Class, Exhaustive};
use super::harm::{Found, Harm};
use super::kind::Kind;
use super::many::Random;
use super::trial::Part;

/// So many failures are told in full.
const TOLD: usize = 20;

/// Parts of a hundred, with one decimal.
fn percent(part: u64, all: u64) -> String {
    let mille = (part * 1000 + all / 2).checked_div(all).unwrap_or(0);
    format!("{}.{} %", mille / 10, mille % 10)
}

fn tell(f: &mut fmt::Formatter<'_>, what: &str, found: &[Found]) -> fmt::Result {
    writeln!(f, "{what}")?;
    for Found { harm, text } in found {
        writeln!(f, "    {}: {text}", harm.as_str())?;
    }
    Ok(())
}

impl fmt::Display for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.schedules;
        writeln!(f, "{:28} {:>10}  {:>10}", "fault", "schedules", "times")?;
        for kind in Kind::ALL {
            writeln!(
                f,
                "{:28} {:>10}  {:>10}",
                kind.as_str(),
                percent(self.within.of(kind), n),
                self.times.of(kind)
            )?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "{:28} {:>10}  {:>10}",
            "boundary", "passed", "struck there"
        )?;
        for (name, (passed, struck)) in &self.boundaries {
            writeln!(f, "{name:28} {passed:>10}  {struck:>10}")?;
        }
        let hit = self.boundaries.values().filter(|(_, n)| *n > 0).count();
        writeln!(
            f,
            "engines crashed or stalled at {hit} of {} kinds of boundary",
            self.boundaries.len()
        )?;
        writeln!(f)?;
        for (seed, found) in self.failed.iter().take(TOLD) {
            tell(
                f,
                &format!("seed {seed}: `cargo xtask simulate --seed {seed}`"),
                found,
            )?;
        }
        if self.failed.len() > TOLD {
            writeln!(f, "... and {} more", self.failed.len() - TOLD)?;
        }
        writeln!(
            f,
            "{n} random schedules: {} engines, {} requests, {} resources, {} faults suffered, {} leases ended, {} in quarantine when the faults were over, {} polls",
            self.engines,
            self.operations,
            self.resources,
            self.times.total(),
            self.leases,
            self.quarantined,
            self.polls
        )?;
        let harms = Harm::ALL.map(|h| format!("{} {}", self.harm(h), h.as_str()));
        write!(f, "{}", harms.join(", "))
    }
}

impl Random {
    /// The same for programs.
    pub fn to_json(&self) -> Value {
        let faults = Kind::ALL.map(|kind| {
            json!({
                "fault": kind.as_str(),
                "schedules": self.within.of(kind),
                "times": self.times.of(kind),
            })
        });
        let boundaries = self.boundaries.iter().map(
            |(name, (passed, struck))| json!({"boundary": name, "passed": passed, "struck": struck}),
        );
        let failed = self.failed.iter().map(|(seed, found)| {
            let found = found.iter().map(harm).collect::<Vec<_>>();
            json!({"seed": seed, "found": found})
        });
        json!({
            "schedules": self.schedules,
            "engines": self.engines,
            "requests": self.operations,
            "resources": self.resources,
            "leases_ended": self.leases,
            "quarantined": self.quarantined,
            "polls": self.polls,
            "faults": faults,
            "boundaries": boundaries.collect::<Vec<_>>(),
            "harm": Harm::ALL.map(|h| json!({"harm": h.as_str(), "times": self.harm(h)})),
            "failed": failed.collect::<Vec<_>>(),
        })
    }
}

fn harm(found: &Found) -> Value {
    json!({"harm": found.harm.as_str(), "text": found.text})
}

impl fmt::Display for Exhaustive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:28} {:>13} {:>13} {:>13}",
            "crashes at boundaries", "create", "resize", "delete"
        )?;
        for class in Class::ALL {
            let cells = Part::ALL.map(|part| {
                let at = self.coverage.get(&(part, class)).copied();
                let (there, hit) = at.unwrap_or_default();
                format!("{hit}/{there}")
            });
            writeln!(
                f,
                "{:28} {:>13} {:>13} {:>13}",
                class.as_str(),
                cells[0],
                cells[1],
                cells[2]
            )?;
        }
        for (what, counts) in [("single faults", &self.singles), ("pairs", &self.pairs)] {
            let cells = Part::ALL.map(|part| counts.get(&part).copied().unwrap_or_default());
            writeln!(
                f,
                "{what:28} {:>13} {:>13} {:>13}",
                cells[0], cells[1], cells[2]
            )?;
        }
        writeln!(f)?;
        for (faults, found) in self.failed.iter().take(TOLD) {
            tell(
                f,
                &format!("`cargo xtask simulate --trial '{faults}'`"),
                found,
            )?;
        }
        if self.failed.len() > TOLD {
            writeln!(f, "... and {} more", self.failed.len() - TOLD)?;
        }
        write!(
            f,
            "{} trials, {} of them with harm; {} idle boundaries left out as equal to another; {} first faults carried on into later parts; {} trials in which somebody had to ask again",
            self.trials(),
            self.failed.len(),
            self.idle,
            self.carried,
            self.asked_again
        )
    }
}

impl Exhaustive {
    /// Whether an engine crashed at every boundary there is.
    pub fn is_covered(&self) -> bool {
        self.coverage.values().all(|(there, hit)| there == hit)
    }

    /// The same for programs.
    pub fn to_json(&self) -> Value {
        let coverage = self.coverage.iter().map(|((part, class), (there, hit))| {
            json!({"part": part.as_str(), "boundaries": class.as_str(), "there": there, "hit": hit})
        });
        let by_part = |counts: &std::collections::BTreeMap<Part, u64>| {
            let rows = counts
                .iter()
                .map(|(part, n)| json!({"part": part.as_str(), "trials": n}));
            rows.collect::<Vec<_>>()
        };
        let failed = self.failed.iter().map(|(faults, found)| {
            let found = found.iter().map(harm).collect::<Vec<_>>();
            json!({"trial": faults, "found": found})
        });
        json!({
            "coverage": coverage.collect::<Vec<_>>(),
            "single_faults": by_part(&self.singles),
            "pairs": by_part(&self.pairs),
            "idle": self.idle,
            "carried": self.carried,
            "asked_again": self.asked_again,
            "failed": failed.collect::<Vec<_>>(),
        })
    }
}
