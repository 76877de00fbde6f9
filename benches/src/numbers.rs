//! Samples and their medians.

use serde::{Deserialize, Serialize};

/// What was measured of one thing, in the order in which it was measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// One more.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The newest one.
    pub fn last(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// The least.
    pub fn min(&self) -> f64 {
        self.sorted().first().copied().unwrap_or(f64::NAN)
    }

    /// The most.
    pub fn max(&self) -> f64 {
        self.sorted().last().copied().unwrap_or(f64::NAN)
    }

    /// As many are less as are more.
    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    /// What so many of a hundred do not exceed.
    pub fn percentile(&self, percent: u32) -> f64 {
        let sorted = self.sorted();
        let percent = usize::try_from(percent).unwrap_or(100);
        let rank = (sorted.len() * percent).div_ceil(100);
        sorted
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or(f64::NAN)
    }

    /// The median of this over the other, round by round: what slows a whole
    /// round down does not count.
    pub fn ratio(&self, other: &Self) -> f64 {
        let pairs = self.0.iter().zip(&other.0).map(|(a, b)| a / b);
        Self(pairs.collect()).median()
    }
}

/// A count as a sample.
pub fn count(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert!(Samples::default().median().is_nan());
        assert_eq!(Samples(vec![3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(Samples(vec![4.0, 1.0, 2.0, 3.0]).median(), 2.5);
    }

    #[test]
    fn percentiles() {
        let hundred = Samples((1..=100).map(f64::from).collect());
        assert_eq!(hundred.percentile(99), 99.0);
        assert_eq!(hundred.percentile(50), 50.0);
        assert_eq!(Samples(vec![7.0]).percentile(99), 7.0);
        assert!(Samples::default().percentile(99).is_nan());
    }

    #[test]
    fn a_slow_round_does_not_count() {
        let ours = Samples(vec![1.0, 10.0, 1.1]);
        let theirs = Samples(vec![1.0, 10.0, 1.0]);
        assert_eq!(ours.ratio(&theirs), 1.0);
    }
}
