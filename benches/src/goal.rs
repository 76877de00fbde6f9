//! What was promised, beside what was measured.

use serde_json::{Value, json};

/// One promise. A goal that is missed is told, and fails nothing.
#[derive(Debug)]
pub struct Goal {
    what: String,
    goal: String,
    measured: f64,
    is_met: bool,
    /// Why nothing was measured.
    left_out: Option<String>,
}

impl Goal {
    /// Met where so much was measured or less.
    pub fn at_most(what: impl Into<String>, limit: f64, measured: f64) -> Self {
        Self {
            what: what.into(),
            goal: format!("<= {limit}"),
            measured,
            is_met: measured <= limit,
            left_out: None,
        }
    }

    /// Not measured, and so not met, with why.
    pub fn left_out(what: impl Into<String>, limit: f64, why: impl Into<String>) -> Self {
        Self {
            left_out: Some(why.into()),
            ..Self::at_most(what, limit, f64::NAN)
        }
    }

    /// Met where so much was measured or more.
    pub fn at_least(what: impl Into<String>, limit: f64, measured: f64) -> Self {
        Self {
            what: what.into(),
            goal: format!(">= {limit}"),
            measured,
            is_met: measured >= limit,
            left_out: None,
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let mut told = json!({
            "what": self.what, "goal": self.goal, "measured": self.measured, "met": self.is_met,
        });
        if let Some(why) = &self.left_out {
            told["left_out"] = json!(why);
        }
        told
    }
}

/// For people, with a head.
pub fn rows(goals: &[Goal]) -> Vec<Vec<String>> {
    let head = ["", "goal", "measured", ""].map(str::to_owned).to_vec();
    let rows = goals.iter().map(|g| {
        let measured = match &g.left_out {
            Some(_) => "-".to_owned(),
            None => format!("{:.2}", g.measured),
        };
        let met = match (&g.left_out, g.is_met) {
            (Some(why), _) => format!("LEFT OUT: {why}"),
            (None, true) => "ok".to_owned(),
            (None, false) => "MISSED".to_owned(),
        };
        vec![g.what.clone(), g.goal.clone(), measured, met]
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
        let left_out = Goal::left_out("x", 1.0, "it is not there");
        assert!(!left_out.is_met);
        assert_eq!(left_out.json()["left_out"], "it is not there");
        let row = rows(&[left_out]).remove(1);
        assert_eq!(row[2..], ["-", "LEFT OUT: it is not there"]);
    }
}
