//! Moments at random, which their seed repeats.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::number;

/// A sequence of numbers that its seed repeats.
pub(crate) struct Dice(u64);

impl Dice {
    /// That of this run, its seed told.
    pub(crate) fn of_this_run(kills: u64) -> Self {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = number("RM_SEED", clock.as_secs()).max(1);
        println!("{kills} kills, moments by RM_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// How long something has been under way, in words for a table.
pub(crate) fn age(since: Duration) -> &'static str {
    match since.as_millis() {
        0..=299 => "under 0.3 s",
        300..=999 => "0.3 to 1 s",
        1000..=2999 => "1 to 3 s",
        3000..=9999 => "3 to 10 s",
        _ => "over 10 s",
    }
}
