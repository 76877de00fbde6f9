//! Very many domains of libvirt's driver for tests, and what each of them costs
//! the process that manages them.

use std::time::Instant;

use serde_json::{Value, json};

use super::Options;
use super::lab::Place;
use super::list::{self, Listed};
use super::program::Program;
use benches::Result;

/// After each such part of all the memory is read.
const PARTS: u32 = 10;

/// What was measured.
#[derive(Debug)]
pub(crate) struct Many {
    /// How many there were, and the resident memory of this process in KiB.
    memory: Vec<(u32, f64)>,
    made_s: f64,
    gone_s: f64,
    /// The list of the first part, where there is somebody to compare with.
    pub(crate) listed: Option<Listed>,
}

pub(crate) async fn measure(options: &Options, place: Place) -> Result<Many> {
    let program = Program::start(&options.folder, place).await?;
    let mut all = Vec::new();
    let mut memory = vec![(0, resident()?)];
    let mut listed = None;
    let mut begun = Instant::now();
    let each = (options.domains / PARTS).max(1);
    for part in 1..=PARTS {
        let nodes = program.nodes(each).await?;
        all.extend(nodes.into_iter().map(|(id, _)| id));
        memory.push((each * part, resident()?));
        println!("  {} domains: {:.0} MiB", each * part, resident()? / 1024.0);
        if part == 1
            && let Some(virt) = &options.virt
        {
            let paused = Instant::now();
            listed = Some(list::measure(virt, &program.place().address).await?);
            begun += paused.elapsed();
        }
    }
    let made_s = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    for some in all.chunks(500) {
        program.end(some).await?;
    }
    Ok(Many {
        memory,
        made_s,
        gone_s: begun.elapsed().as_secs_f64(),
        listed,
    })
}

/// KiB of this process in memory.
fn resident() -> Result<f64> {
    Ok(benches::status::resident()? / 1024.0)
}

impl Many {
    /// KiB that each domain takes beyond the first of these parts.
    fn each(&self) -> f64 {
        let (Some((n, most)), Some((first, least))) = (self.memory.last(), self.memory.get(1))
        else {
            return f64::NAN;
        };
        (most - least) / f64::from(n - first)
    }

    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let row = |what: &str, value: String| vec![what.to_owned(), value];
        let memory = |at: Option<&(u32, f64)>| at.map_or(f64::NAN, |(_, kib)| kib / 1024.0);
        vec![
            row("none: MiB", format!("{:.0}", memory(self.memory.first()))),
            row("all: MiB", format!("{:.0}", memory(self.memory.last()))),
            row("each: KiB", format!("{:.2}", self.each())),
            row("made: s", format!("{:.0}", self.made_s)),
            row("gone: s", format!("{:.0}", self.gone_s)),
        ]
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "resident_kib": self.memory,
            "each_kib": self.each(),
            "made_s": self.made_s,
            "gone_s": self.gone_s,
            "list": self.listed.as_ref().map(Listed::json),
        })
    }
}
