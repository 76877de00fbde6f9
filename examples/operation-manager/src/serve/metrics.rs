//! The host's own numbers for `/metrics`, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rm_core::Host;
use rm_core::life::State;
use rm_core::store::By;
use tokio::time::{Instant, sleep};

/// The shortest pause between two counts.
const PAUSE: Duration = Duration::from_secs(5);

/// Counting may take this part of the time at the most: one in so many.
const SHARE: u32 = 20;

/// How many rows are read at once.
const PAGE: u32 = 500;

/// What was counted last.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    // By kind and state.
    resources: BTreeMap<(String, &'static str), u64>,
    // By what happened, since this process began.
    events: BTreeMap<String, u64>,
    seq: u64,
}

impl Numbers {
    /// The text of a scrape. What costs reads of the store is as old as the
    /// last count.
    pub(super) fn text(&self) -> String {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        head(
            &mut text,
            "rm_resources",
            "gauge",
            "Resources by kind and by what is seen of them.",
        );
        for ((kind, state), n) in &counted.resources {
            let _ = writeln!(
                text,
                "rm_resources{{kind=\"{kind}\",state=\"{state}\"}} {n}"
            );
        }
        head(
            &mut text,
            "rm_events_total",
            "counter",
            "Events since the process began.",
        );
        for (what, n) in &counted.events {
            let _ = writeln!(text, "rm_events_total{{event=\"{what}\"}} {n}");
        }
        if let Some(bytes) = resident() {
            head(
                &mut text,
                "process_resident_memory_bytes",
                "gauge",
                "Memory of this process.",
            );
            let _ = writeln!(text, "process_resident_memory_bytes {bytes}");
        }
        head(
            &mut text,
            "rm_build_info",
            "gauge",
            "The version that runs.",
        );
        let _ = writeln!(
            text,
            "rm_build_info{{version=\"{}\"}} 1",
            env!("CARGO_PKG_VERSION")
        );
        text
    }

    /// Counts whenever something has happened, for ever. Another process may
    /// have made it happen, so the store is asked.
    pub(super) async fn keep(self: Arc<Self>, host: Arc<Host>) {
        let mut newest = host.store().newest().await.unwrap_or_default();
        self.with(|c| c.seq = newest);
        let mut due = true;
        loop {
            let begun = Instant::now();
            if due && let Err(e) = self.count(&host).await {
                tracing::warn!(error = %e, "the store cannot be counted");
            }
            sleep(PAUSE.max(begun.elapsed() * SHARE)).await;
            let now = host.store().newest().await.unwrap_or(newest);
            due = now != newest;
            newest = now;
        }
    }

    async fn count(&self, host: &Host) -> rm_core::Result<()> {
        // Every state is told, so that what has gone to zero shows as zero.
        let mut resources: BTreeMap<(String, &'static str), u64> = State::ALL
            .iter()
            .map(|state| (("cluster".to_owned(), state.as_str()), 0))
            .collect();
        let mut after = None;
        loop {
            let page = host
                .store()
                .resources(&By::All, after.as_ref(), PAGE)
                .await?;
            for row in &page.items {
                let key = (label(row.record.kind.as_str()), row.record.seen.as_str());
                *resources.entry(key).or_default() += 1;
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        self.with(|c| c.resources = resources);
        loop {
            let seq = self.with(|c| c.seq);
            let events = host.store().since(seq, None, PAGE).await?;
            let Some(last) = events.last() else {
                return Ok(());
            };
            let last = last.seq;
            self.with(|c| {
                for event in &events {
                    *c.events.entry(label(&event.event.what)).or_default() += 1;
                }
                c.seq = last;
            });
        }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Counted) -> T) -> T {
        f(&mut self.counted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

pub(super) fn label(word: &str) -> String {
    word.chars()
        .map(|c| {
            if c.is_ascii_graphic() && c != '"' && c != '\\' {
                c
            } else {
                '_'
            }
        })
        .collect()
}

/// The resident memory of this process.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_has_the_memory_and_a_help_for_everything() {
        let text = Numbers::default().text();
        assert!(text.contains("process_resident_memory_bytes "));
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(text.contains(&format!("# TYPE {name} ")), "{line}");
        }
    }
}
