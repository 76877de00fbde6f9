//! Many trivial stacks at once, none of them shared.

use std::time::Instant;

use serde_json::{Value, json};

use super::lab::{Call, Lab, Purpose};
use super::minimal::Minimal;
use super::ours::Ours;
use crate::Result;
use benches::numbers::{Samples, count};

#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) wall: Samples,
    pub(super) calls: Samples,
    creates: Samples,
    lists: Samples,
    looks: Samples,
    outputs: Samples,
    redirects: Samples,
}

impl Side {
    fn add(&mut self, seconds: f64, calls: &[Call]) {
        let of = |purpose| count(calls.iter().filter(|c| c.purpose() == purpose).count());
        self.wall.push(seconds);
        self.calls.push(count(calls.len()));
        self.creates.push(of(Purpose::Create));
        self.lists.push(of(Purpose::List));
        self.looks.push(of(Purpose::Look));
        self.outputs.push(of(Purpose::Outputs));
        self.redirects.push(of(Purpose::Redirect));
    }

    fn json(&self) -> Value {
        json!({
            "median_seconds": self.wall.median(),
            "seconds": self.wall,
            "calls": self.calls,
            "creates": self.creates,
            "lists": self.lists,
            "looks": self.looks,
            "outputs": self.outputs,
            "redirects": self.redirects,
        })
    }

    fn row(&self, name: &str) -> Vec<String> {
        let most = |samples: &Samples| format!("{}", samples.max());
        vec![
            name.to_owned(),
            format!("{:.2}", self.wall.median()),
            format!("{:.2}", self.wall.min()),
            format!("{:.2}", self.wall.max()),
            most(&self.calls),
            most(&self.creates),
            most(&self.lists),
            most(&self.looks),
            most(&self.outputs),
            most(&self.redirects),
        ]
    }
}

#[derive(Debug, Default)]
pub(super) struct Crowd {
    pub(super) size: u32,
    pub(super) ours: Side,
    pub(super) minimal: Side,
    delete: Samples,
    /// Why rounds were measured again.
    disturbed: Vec<String>,
}

/// How many rounds may be measured again because the cloud failed in them.
const DISTURBED: usize = 5;

/// What one contender needed in one round.
struct Took {
    seconds: f64,
    calls: Vec<Call>,
}

/// One round, all of which counts or nothing.
struct Round {
    ours: Took,
    minimal: Took,
    delete: f64,
}

pub(super) async fn measure(
    lab: &Lab,
    ours: &Ours,
    minimal: &Minimal,
    rounds: u32,
    size: u32,
    say: &impl Fn(&str),
) -> Result<Crowd> {
    let mut all = Crowd {
        size,
        ..Crowd::default()
    };
    let mut round = 1;
    while round <= rounds {
        match measure_round(lab, ours, minimal, round, size).await {
            Ok(took) => {
                all.ours.add(took.ours.seconds, &took.ours.calls);
                all.minimal.add(took.minimal.seconds, &took.minimal.calls);
                all.delete.push(took.delete);
                say(&format!(
                    "{size} at once, round {round} of {rounds}: ours {:.1} s and {} calls \
                     ({:.1} s to delete), minimal {:.1} s and {} calls",
                    took.ours.seconds,
                    took.ours.calls.len(),
                    took.delete,
                    took.minimal.seconds,
                    took.minimal.calls.len(),
                ));
                round += 1;
            }
            // The minimal client has no second try, and neither has ours for
            // what a cloud refuses: a cloud that stumbles is nobody's time.
            Err(e) if all.disturbed.len() < DISTURBED => {
                say(&format!("{size} at once, round {round}: {e}; once more"));
                all.disturbed.push(e.to_string());
                ours.clear().await?;
                minimal.clear().await?;
            }
            Err(e) => return Err(e),
        }
    }
    Ok(all)
}

async fn measure_round(
    lab: &Lab,
    ours: &Ours,
    minimal: &Minimal,
    round: u32,
    size: u32,
) -> Result<Round> {
    // Who comes first changes.
    if round.is_multiple_of(2) {
        let (took, delete) = with_ours(lab, ours, minimal, round, size).await?;
        minimal.until_none().await?;
        Ok(Round {
            ours: took,
            minimal: with_minimal(lab, minimal, round, size).await?,
            delete,
        })
    } else {
        let theirs = with_minimal(lab, minimal, round, size).await?;
        let (took, delete) = with_ours(lab, ours, minimal, round, size).await?;
        minimal.until_none().await?;
        Ok(Round {
            ours: took,
            minimal: theirs,
            delete,
        })
    }
}

async fn with_ours(
    lab: &Lab,
    ours: &Ours,
    minimal: &Minimal,
    round: u32,
    size: u32,
) -> Result<(Took, f64)> {
    let names = names("ours", round, size);
    let mark = lab.mark(minimal.heat()).await?;
    let began = Instant::now();
    let ids = ours.many(&names).await?;
    let took = Took {
        seconds: began.elapsed().as_secs_f64(),
        calls: lab.since(mark).await?,
    };
    let began = Instant::now();
    ours.delete(&ids).await?;
    Ok((took, began.elapsed().as_secs_f64()))
}

async fn with_minimal(lab: &Lab, minimal: &Minimal, round: u32, size: u32) -> Result<Took> {
    let names = names("minimal", round, size);
    let mark = lab.mark(minimal.heat()).await?;
    let began = Instant::now();
    let stacks = minimal.many(&names).await?;
    let took = Took {
        seconds: began.elapsed().as_secs_f64(),
        calls: lab.since(mark).await?,
    };
    minimal.delete(&stacks).await?;
    Ok(took)
}

fn names(who: &str, round: u32, size: u32) -> Vec<String> {
    (0..size)
        .map(|n| format!("bench-{who}-{round}-{n}"))
        .collect()
}

impl Crowd {
    pub(super) fn json(&self) -> Value {
        json!({
            "size": self.size,
            "rounds": self.ours.wall.count(),
            "ours": self.ours.json(),
            "minimal": self.minimal.json(),
            "ours_to_minimal": self.ours.wall.ratio(&self.minimal.wall),
            "delete_seconds": self.delete,
            "measured_again": self.disturbed,
        })
    }

    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let head = [
            "",
            "median s",
            "min",
            "max",
            "calls (most)",
            "POST",
            "lists",
            "looks",
            "outputs",
            "redirects",
        ];
        vec![
            head.map(str::to_owned).to_vec(),
            self.ours.row("ours"),
            self.minimal.row("minimal"),
        ]
    }
}
