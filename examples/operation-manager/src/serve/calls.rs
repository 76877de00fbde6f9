//! Calls on backends, by site and verb, for `/metrics`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use rm_core::calls::{BackendCall, WatchCalls};

use super::metrics::{head, label};

/// The upper bounds of the histogram, in milliseconds.
const BOUNDS: [u128; 9] = [50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000];

/// How many sites have numbers of their own; those that come later share one
/// name, so that a scrape stays small however long the catalog gets.
const SITES: usize = 100;

/// The name that they share.
const OTHERS: &str = "others";

/// What was counted since the process began.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<BTreeMap<String, BTreeMap<&'static str, Counted>>>);

/// The calls of one verb at one site.
#[derive(Debug, Default)]
struct Counted {
    outcomes: BTreeMap<&'static str, u64>,
    // How many took so long at the most; those that took longer are in the
    // count alone.
    within: [u64; BOUNDS.len()],
    count: u64,
    millis: u128,
}

impl WatchCalls for Calls {
    fn called(&self, call: &BackendCall<'_>) {
        let mut sites = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let site = match sites.contains_key(call.site) || sites.len() < SITES {
            true => call.site,
            false => OTHERS,
        };
        let verbs = match sites.get_mut(site) {
            Some(verbs) => verbs,
            None => sites.entry(site.to_owned()).or_default(),
        };
        let counted = verbs.entry(call.verb).or_default();
        let took = call.took.as_millis();
        *counted.outcomes.entry(call.outcome).or_default() += 1;
        for (within, bound) in counted.within.iter_mut().zip(BOUNDS) {
            *within += u64::from(took <= bound);
        }
        counted.count += 1;
        counted.millis += took;
    }
}

impl Calls {
    /// The text of a scrape.
    pub(super) fn text(&self) -> String {
        let sites = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = || {
            sites.iter().flat_map(|(site, verbs)| {
                let site = label(site);
                verbs.iter().map(move |(verb, counted)| {
                    (format!("site=\"{site}\",verb=\"{verb}\""), counted)
                })
            })
        };
        let mut text = String::new();
        head(
            &mut text,
            "rm_backend_calls_total",
            "counter",
            "Calls on backends by what came of them.",
        );
        for (labels, counted) in all() {
            for (outcome, n) in &counted.outcomes {
                let _ = writeln!(
                    text,
                    "rm_backend_calls_total{{{labels},outcome=\"{outcome}\"}} {n}"
                );
            }
        }
        let name = "rm_backend_call_duration_seconds";
        head(
            &mut text,
            name,
            "histogram",
            "How long calls on backends took.",
        );
        for (labels, counted) in all() {
            for (bound, n) in BOUNDS.iter().zip(counted.within) {
                let bound = seconds(*bound);
                let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {n}");
            }
            let (count, sum) = (counted.count, seconds(counted.millis));
            let _ = writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
            let _ = writeln!(text, "{name}_sum{{{labels}}} {sum}");
            let _ = writeln!(text, "{name}_count{{{labels}}} {count}");
        }
        text
    }
}

fn seconds(millis: u128) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn called(calls: &Calls, site: &str, verb: &'static str, outcome: &'static str, millis: u64) {
        calls.called(&BackendCall {
            backend: "openstack",
            site,
            verb,
            outcome,
            took: Duration::from_millis(millis),
        });
    }

    #[test]
    fn calls_are_counted_by_site_verb_and_outcome_and_their_times_add_up() {
        let calls = Calls::default();
        for (outcome, millis) in [("ok", 40), ("ok", 300), ("timeout", 31_000)] {
            called(&calls, "here", "create", outcome, millis);
        }
        called(&calls, "there", "observe", "ok", 5);
        let text = calls.text();
        for line in [
            "rm_backend_calls_total{site=\"here\",verb=\"create\",outcome=\"ok\"} 2",
            "rm_backend_calls_total{site=\"here\",verb=\"create\",outcome=\"timeout\"} 1",
            "rm_backend_call_duration_seconds_bucket{site=\"here\",verb=\"create\",le=\"0.050\"} 1",
            "rm_backend_call_duration_seconds_bucket{site=\"here\",verb=\"create\",le=\"0.500\"} 2",
            "rm_backend_call_duration_seconds_bucket{site=\"here\",verb=\"create\",le=\"30.000\"} 2",
            "rm_backend_call_duration_seconds_bucket{site=\"here\",verb=\"create\",le=\"+Inf\"} 3",
            "rm_backend_call_duration_seconds_sum{site=\"here\",verb=\"create\"} 31.340",
            "rm_backend_call_duration_seconds_count{site=\"there\",verb=\"observe\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_long_catalog_makes_no_long_scrape_and_a_site_no_broken_one() {
        let calls = Calls::default();
        for n in 0..10 * SITES {
            called(&calls, &format!("site \"{n}\"\n"), "create", "ok", 1);
        }
        let text = calls.text();
        let rest = 10 * SITES - SITES;
        let others = format!("{{site=\"{OTHERS}\",verb=\"create\",outcome=\"ok\"}} {rest}");
        assert!(text.contains(&others), "{text}");
        assert!(!text.contains("\"\""), "{text}");
        let counters = text
            .lines()
            .filter(|l| l.starts_with("rm_backend_calls_total"));
        assert_eq!(counters.count(), SITES + 1);
    }
}
