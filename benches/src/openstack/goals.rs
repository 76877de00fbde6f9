//! What was promised, and what was measured.

use super::crowd::Crowd;
use super::single::Single;
use benches::goal::Goal;

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
