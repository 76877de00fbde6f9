//! Progress on standard error: a bar where somebody watches, plain lines where
//! the output goes to a file, nothing where a program asked for JSON.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::{Output, note};

/// One thing that takes a while.
#[derive(Debug)]
pub(super) enum Bar {
    Quiet,
    /// With the tenth that was told last.
    Lines(AtomicU64),
    Drawn(ProgressBar),
}

impl Bar {
    /// Something of which nobody knows how long it takes.
    pub(super) fn spinner(out: Output, what: &str) -> Self {
        let this = Self::kind(out);
        if let Self::Drawn(bar) = &this {
            bar.set_style(
                ProgressStyle::with_template("{spinner} {prefix}  {elapsed}  {wide_msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.set_prefix(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        this
    }

    /// So many bytes.
    pub(super) fn bytes(out: Output, total: u64) -> Self {
        let this = match Self::kind(out) {
            Self::Lines(_) => Self::Quiet,
            other => other,
        };
        if let Self::Drawn(bar) = &this {
            bar.set_style(
                ProgressStyle::with_template(
                    "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
                )
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_length(total);
        }
        this
    }

    fn kind(out: Output) -> Self {
        if out.json {
            Self::Quiet
        } else if std::io::stderr().is_terminal() {
            Self::Drawn(ProgressBar::no_length())
        } else {
            Self::Lines(AtomicU64::new(0))
        }
    }

    /// A line that stays.
    pub(super) fn line(&self, text: &str) {
        match self {
            Self::Quiet => {}
            Self::Lines(_) => note(text),
            Self::Drawn(bar) => {
                bar.println(text);
                bar.set_message(text.to_owned());
            }
        }
    }

    /// How far something is; in files a line each tenth.
    pub(super) fn part(&self, what: &str, done: u64, total: u64) {
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(0);
        match self {
            Self::Quiet => {}
            Self::Lines(told) => {
                let tenth = percent / 10;
                if told.fetch_max(tenth, Ordering::Relaxed) < tenth {
                    note(&format!("{what}: {percent} %"));
                }
            }
            Self::Drawn(bar) => bar.set_message(format!("{what}: {percent} %")),
        }
    }

    /// So many bytes more.
    pub(super) fn grew(&self, by: u64) {
        if let Self::Drawn(bar) = self {
            bar.inc(by);
        }
    }

    /// It is over; what was drawn goes away.
    pub(super) fn done(&self) {
        if let Self::Drawn(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.done();
    }
}
