//! What was promised, and what was measured.

use serde_json::{Value, json};

use super::crowd::Crowd;
use super::single::Single;

/// Calls for one stack: POST, two observations, outputs.
const CALLS: f64 = 4.0;
/// Our time for one stack over the minimal client's.
const TO_MINIMAL: f64 = 1.3;
/// openstacksdk's time for one stack over ours.
const SDK_TO_OURS: f64 = 3.0;
/// Shared lists beside a POST and a read of outputs for each of many.
const LISTS: u32 = 10;
/// Our time for many over the minimal client's: no slower.
const CROWD_TO_MINIMAL: f64 = 1.0;
/// The whole daemon's resident memory at its peak.
const PEAK_MIB: f64 = 40.0;

#[derive(Debug)]
pub(super) struct Goal {
    what: String,
    goal: String,
    measured: f64,
    is_met: bool,
}

impl Goal {
    fn at_most(what: impl Into<String>, limit: f64, measured: f64) -> Self {
        Self {
            what: what.into(),
            goal: format!("<= {limit}"),
            measured,
            is_met: measured <= limit,
        }
    }

    fn at_least(what: impl Into<String>, limit: f64, measured: f64) -> Self {
        Self {
            what: what.into(),
            goal: format!(">= {limit}"),
            measured,
            is_met: measured >= limit,
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({"what": self.what, "goal": self.goal, "measured": self.measured, "met": self.is_met})
    }
}

pub(super) fn judge(single: &Single, crowd: Option<&Crowd>, peak: Option<f64>) -> Vec<Goal> {
    let ours = &single.ours;
    let mut goals = vec![
        Goal::at_most("one stack: calls, median", CALLS, ours.calls.median()),
        Goal::at_most("one stack: calls, most", CALLS, ours.calls.max()),
        Goal::at_most("one stack: redirects", 0.0, ours.redirects.max()),
        Goal::at_most(
            "one stack: ours / minimal",
            TO_MINIMAL,
            ours.wall.ratio(&single.minimal.wall),
        ),
    ];
    goals.extend(single.sdk.as_ref().map(|sdk| {
        Goal::at_least(
            "one stack: sdk / ours",
            SDK_TO_OURS,
            sdk.wall.ratio(&ours.wall),
        )
    }));
    if let Some(crowd) = crowd {
        let size = crowd.size;
        goals.push(Goal::at_most(
            format!("{size} at once: calls, most"),
            f64::from(2 * size + LISTS),
            crowd.ours.calls.max(),
        ));
        goals.push(Goal::at_most(
            format!("{size} at once: ours / minimal"),
            CROWD_TO_MINIMAL,
            crowd.ours.wall.ratio(&crowd.minimal.wall),
        ));
    }
    goals.extend(peak.map(|mib| Goal::at_most("daemon: most memory ever, MiB", PEAK_MIB, mib)));
    goals
}

pub(super) fn rows(goals: &[Goal]) -> Vec<Vec<String>> {
    let head = ["", "goal", "measured", ""].map(str::to_owned).to_vec();
    let rows = goals.iter().map(|g| {
        vec![
            g.what.clone(),
            g.goal.clone(),
            format!("{:.2}", g.measured),
            if g.is_met { "ok" } else { "MISSED" }.to_owned(),
        ]
    });
    std::iter::once(head).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_not_met() {
        assert!(!Goal::at_most("x", 1.0, f64::NAN).is_met);
        assert!(Goal::at_most("x", 1.0, 1.0).is_met);
        assert!(!Goal::at_least("x", 3.0, 2.9).is_met);
    }
}
