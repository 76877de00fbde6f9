//! The machine that is measured on.

use serde_json::{Value, json};

/// What the numbers depend on.
pub fn machine() -> Value {
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .map(|l| l.trim_start_matches([':', '\t', ' ']));
    json!({
        "processors": std::thread::available_parallelism().map_or(0, usize::from),
        "model": model,
        "load_at_the_end": load(),
        "optimised": !cfg!(debug_assertions),
    })
}

/// What else it does: the average of a minute, of five, of fifteen.
pub fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace()
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}
