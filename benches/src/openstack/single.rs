//! One trivial stack, from request to ready.

use std::time::Instant;

use serde_json::{Value, json};

use super::lab::{Call, Lab, Purpose};
use super::minimal::Minimal;
use super::ours::Ours;
use super::sdk::Sdk;
use crate::Result;
use benches::numbers::{Samples, count};

/// What one contender needed.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) wall: Samples,
    pub(super) calls: Samples,
    pub(super) redirects: Samples,
    pub(super) looks: Samples,
}

impl Side {
    fn add(&mut self, seconds: f64, calls: &[Call]) {
        let of = |purposes: &[Purpose]| {
            let these = calls.iter().filter(|c| purposes.contains(&c.purpose()));
            count(these.count())
        };
        self.wall.push(seconds);
        self.calls.push(count(calls.len()));
        self.redirects.push(of(&[Purpose::Redirect]));
        self.looks.push(of(&[Purpose::Look, Purpose::List]));
    }

    fn json(&self) -> Value {
        json!({
            "median_seconds": self.wall.median(),
            "seconds": self.wall,
            "calls": self.calls,
            "redirects": self.redirects,
            "looks": self.looks,
        })
    }

    fn row(&self, name: &str) -> Vec<String> {
        vec![
            name.to_owned(),
            format!("{:.3}", self.wall.median()),
            format!("{:.3}", self.wall.min()),
            format!("{:.3}", self.wall.max()),
            format!("{}", self.calls.median()),
            format!("{}", self.calls.max()),
            format!("{}", self.looks.median()),
            format!("{}", self.redirects.max()),
        ]
    }
}

/// All contenders.
#[derive(Debug, Default)]
pub(super) struct Single {
    pub(super) ours: Side,
    pub(super) minimal: Side,
    pub(super) sdk: Option<Side>,
}

pub(super) async fn measure(
    lab: &Lab,
    ours: &Ours,
    minimal: &Minimal,
    mut sdk: Option<&mut Sdk>,
    rounds: u32,
    say: &impl Fn(&str),
) -> Result<Single> {
    let mut all = Single {
        sdk: sdk.is_some().then(Side::default),
        ..Single::default()
    };
    for round in 1..=rounds {
        // Who comes first changes, so that nobody always follows the same one.
        for turn in 0..3 {
            match (round + turn) % 3 {
                0 => {
                    let mark = lab.mark(minimal.heat()).await?;
                    let began = Instant::now();
                    let id = ours.one(&format!("bench-ours-{round}")).await?;
                    let took = began.elapsed().as_secs_f64();
                    all.ours.add(took, &lab.since(mark).await?);
                    ours.delete(&[id]).await?;
                }
                1 => {
                    let mark = lab.mark(minimal.heat()).await?;
                    let began = Instant::now();
                    let stack = minimal.one(&format!("bench-minimal-{round}")).await?;
                    let took = began.elapsed().as_secs_f64();
                    all.minimal.add(took, &lab.since(mark).await?);
                    minimal.delete(&[stack]).await?;
                }
                _ => {
                    if let (Some(sdk), Some(side)) = (&mut sdk, &mut all.sdk) {
                        let name = format!("bench-sdk-{round}");
                        let mark = lab.mark(minimal.heat()).await?;
                        let began = Instant::now();
                        sdk.one(&name).await?;
                        let took = began.elapsed().as_secs_f64();
                        side.add(took, &lab.since(mark).await?);
                        minimal.delete(&[minimal.named(&name).await?]).await?;
                    }
                }
            }
            minimal.until_none().await?;
        }
        say(&format!(
            "one stack, round {round} of {rounds}: {}",
            all.last()
        ));
    }
    Ok(all)
}

impl Single {
    fn last(&self) -> String {
        let last = |side: &Side| side.wall.last();
        let sdk = self.sdk.as_ref().map(|s| format!(", sdk {:.2} s", last(s)));
        format!(
            "ours {:.2} s, minimal {:.2} s{}",
            last(&self.ours),
            last(&self.minimal),
            sdk.unwrap_or_default()
        )
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "rounds": self.ours.wall.count(),
            "ours": self.ours.json(),
            "minimal": self.minimal.json(),
            "sdk": self.sdk.as_ref().map(Side::json),
            "ours_to_minimal": self.ours.wall.ratio(&self.minimal.wall),
            "sdk_to_ours": self.sdk.as_ref().map(|s| s.wall.ratio(&self.ours.wall)),
        })
    }

    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let head = [
            "",
            "median s",
            "min",
            "max",
            "calls",
            "most",
            "looks",
            "redirects",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.push(self.ours.row("ours"));
        rows.push(self.minimal.row("minimal"));
        rows.extend(self.sdk.as_ref().map(|s| s.row("sdk")));
        rows
    }
}
