//! What was promised, beside what was measured.

use serde_json::{Value, json};

/// One promise. A goal that is missed is told, and fails nothing.
#[derive(Debug)]
pub struct Goal {
    what: String,
    goal: String,
    measured: f64,
    is_met: bool,
}

impl Goal {
    /// Met where so much was measured or less.
    pub fn at_most(what: impl Into<String>, limit: f64, measured: f64) -> Self {
        Self {
            what: what.into(),
            goal: format!("<= {limit}"),
            measured,
            is_met: measured <= limit,
        }
    }

    /// Met where so much was measured or more.
    pub fn at_least(what: impl Into<String>, limit: f64, measured: f64) -> Self {
        Self {
            what: what.into(),
            goal: format!(">= {limit}"),
            measured,
            is_met: measured >= limit,
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({"what": self.what, "goal": self.goal, "measured": self.measured, "met": self.is_met})
    }
}

/// For people, with a head.
pub fn rows(goals: &[Goal]) -> Vec<Vec<String>> {
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
