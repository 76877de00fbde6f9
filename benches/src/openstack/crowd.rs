//! Many trivial stacks at once, none of them shared.

use std::time::Instant;

use serde_json::{Value, json};

use super::lab::{Call, Lab, Purpose};
use super::minimal::Minimal;
use super::ours::Ours;
use crate::Result;
use crate::numbers::{Samples, count};

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
    for round in 1..=rounds {
        let names = |who: &str| -> Vec<String> {
            (0..size)
                .map(|n| format!("bench-{who}-{round}-{n}"))
                .collect()
        };
        for turn in 0..2 {
            let mark = lab.mark().await?;
            let began = Instant::now();
            if (round + turn) % 2 == 0 {
                let ids = ours.many(&names("ours")).await?;
                let took = began.elapsed().as_secs_f64();
                all.ours.add(took, &lab.since(mark).await?);
                let began = Instant::now();
                ours.delete(&ids).await?;
                all.delete.push(began.elapsed().as_secs_f64());
            } else {
                let stacks = minimal.many(&names("minimal")).await?;
                let took = began.elapsed().as_secs_f64();
                all.minimal.add(took, &lab.since(mark).await?);
                minimal.delete(&stacks).await?;
            }
            minimal.until_none().await?;
        }
        say(&format!(
            "{size} at once, round {round} of {rounds}: ours {:.1} s and {} calls ({:.1} s to \
             delete), minimal {:.1} s and {} calls",
            all.ours.wall.last(),
            all.ours.calls.last(),
            all.delete.last(),
            all.minimal.wall.last(),
            all.minimal.calls.last(),
        ));
    }
    Ok(all)
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
