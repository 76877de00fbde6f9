//! The steps of a run: all are taken, and all that failed are named at the end.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::run::{minutes, say};

#[derive(Debug, Default)]
pub(crate) struct Steps(Vec<Step>);

#[derive(Debug)]
struct Step {
    name: &'static str,
    took: Duration,
    error: Option<Error>,
}

impl Steps {
    /// What the step gave, unless it failed.
    pub(crate) fn take<T>(
        &mut self,
        name: &'static str,
        act: impl FnOnce() -> Result<T>,
    ) -> Option<T> {
        say(format!("== {name}"));
        let began = Instant::now();
        let (given, error) = match act() {
            Ok(given) => (Some(given), None),
            Err(error) => (None, Some(error)),
        };
        let took = began.elapsed();
        match &error {
            None => say(format!("== {name}: ok ({})", minutes(took))),
            Some(error) => say(format!("== {name}: FAILED ({}): {error}", minutes(took))),
        }
        self.0.push(Step { name, took, error });
        given
    }

    pub(crate) fn summary(self) -> Result<()> {
        let mut failed = Vec::new();
        for Step { name, took, error } in &self.0 {
            let word = if error.is_some() { "FAILED" } else { "ok" };
            println!("{name:16} {word:6} {:>6}", minutes(*took));
            failed.extend(error.is_some().then_some(*name));
        }
        if failed.is_empty() {
            return Ok(());
        }
        Err(Error::new(format!("failed: {}", failed.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_kept_to_the_end() {
        let mut steps = Steps::default();
        assert_eq!(steps.take("one", || Ok(1)), Some(1));
        assert_eq!(steps.take("two", || Err::<(), _>(Error::new("no"))), None);
        assert_eq!(steps.take("three", || Ok(3)), Some(3));
        let error = steps.summary().unwrap_err();
        assert_eq!(error.to_string(), "failed: two");
    }
}
