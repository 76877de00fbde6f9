//! What came of it: a table for people, JSON for programs.

use std::fmt;

use rm_core::backend::Capability;
use serde::Serialize;

use super::check::{About, Level};

/// What a suite has shown of a backend.
#[derive(Debug, Clone, Serialize)]
pub struct Scorecard {
    /// The backend.
    pub subject: String,
    /// What it declares, in words.
    pub declared: String,
    /// The level it has reached; none where it is not even Basic.
    pub level: Option<Level>,
    /// The seed: the same gives the same run in simulated time.
    pub seed: u64,
    /// Every check that was made.
    pub checks: Vec<Scored>,
    /// Checks that what is declared leaves no room for.
    pub not_applicable: Vec<&'static str>,
    /// Checks that would have fitted and were not made.
    pub left_out: Vec<&'static str>,
}

/// One check and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Scored {
    /// The check.
    #[serde(flatten)]
    pub about: About,
    /// What came of it.
    pub outcome: Outcome,
    /// Why, where it did not pass.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is as it must be.
    Passed,
    /// Nothing is lost, and a person must decide.
    Held,
    /// It is not as it must be.
    Failed,
}

impl Scorecard {
    pub(super) fn new(subject: String, declared: &Capability, seed: u64) -> Self {
        Self {
            subject,
            declared: words(declared),
            level: None,
            seed,
            checks: Vec::new(),
            not_applicable: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// Derives the level from the checks.
    pub(super) fn rated(mut self) -> Self {
        let failed = |level| {
            let at_most = |c: &&Scored| c.about.level <= level;
            let mut counting = self.checks.iter().filter(at_most);
            counting.any(|c| c.outcome == Outcome::Failed)
        };
        let held = self.checks.iter().any(|c| c.outcome == Outcome::Held);
        self.level = if self.checks.is_empty() || failed(Level::Basic) {
            None
        } else if failed(Level::Safe) {
            Some(Level::Basic)
        } else if held || failed(Level::Exact) {
            Some(Level::Safe)
        } else {
            Some(Level::Exact)
        };
        self
    }

    /// Checks that came out so.
    pub fn with(&self, outcome: Outcome) -> impl Iterator<Item = &Scored> {
        self.checks.iter().filter(move |c| c.outcome == outcome)
    }

    /// How many checks made something go wrong.
    pub fn faults(&self) -> usize {
        self.checks.iter().filter(|c| c.about.faults).count()
    }

    /// Refuses a backend that has not reached the level.
    ///
    /// # Panics
    ///
    /// With the scorecard, where it has not.
    #[track_caller]
    pub fn assert(&self, level: Level) {
        assert!(
            self.level >= Some(level),
            "{} is not {level}:\n{self}",
            self.subject
        );
    }
}

/// What is declared, in words.
fn words(cap: &Capability) -> String {
    let list = if cap.list_by_owner {
        "lists by owner"
    } else {
        "does not list"
    };
    let bill = if cap.billing_commit {
        ", a create is a purchase"
    } else {
        ""
    };
    format!(
        "create key {:?}, absence {:?}, resize {:?}, {list}, visible after {:?}{bill}",
        cap.create_key, cap.absence, cap.resize, cap.visibility
    )
}

impl fmt::Display for Scorecard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Some(level) => level.to_string(),
            None => "none".to_owned(),
        };
        writeln!(f, "{}: level {level}", self.subject)?;
        writeln!(f, "  declared: {}", self.declared)?;
        writeln!(
            f,
            "  {} checks, {} of them with faults; {} not applicable, {} left out; seed {}",
            self.checks.len(),
            self.faults(),
            self.not_applicable.len(),
            self.left_out.len(),
            self.seed
        )?;
        writeln!(
            f,
            "  {:<16} {:>7} {:>7} {:>7} {:>7}",
            "group", "checks", "passed", "held", "failed"
        )?;
        let mut groups: Vec<&str> = self.checks.iter().map(|c| c.about.group()).collect();
        groups.dedup();
        for group in groups {
            let count = |outcome: Option<Outcome>| {
                let here = self.checks.iter().filter(|c| c.about.group() == group);
                here.filter(|c| outcome.is_none_or(|o| c.outcome == o))
                    .count()
            };
            writeln!(
                f,
                "  {group:<16} {:>7} {:>7} {:>7} {:>7}",
                count(None),
                count(Some(Outcome::Passed)),
                count(Some(Outcome::Held)),
                count(Some(Outcome::Failed)),
            )?;
        }
        for c in self.with(Outcome::Failed) {
            writeln!(
                f,
                "  FAILED {} (needed for {}, {:?}, seed {})\n    {}\n    resembles {}",
                c.about.name, c.about.level, c.about.invariant, self.seed, c.why, c.about.incident
            )?;
        }
        for c in self.with(Outcome::Held) {
            writeln!(f, "  held   {}: {}", c.about.name, c.why)?;
        }
        Ok(())
    }
}
