use std::time::Duration;

use proptest::prelude::*;

use super::Timestamp;

#[test]
fn what_is_printed_is_utc_in_milliseconds() {
    let at = Timestamp::from_millis(1_700_000_000_007);
    assert_eq!(at.to_string(), "2023-11-14T22:13:20.007Z");
    assert_eq!(format!("{at:?}"), at.to_string());
}

#[test]
fn a_zone_is_taken_into_account() {
    let at = |text| Timestamp::parse(text).map(Timestamp::millis);
    assert_eq!(at("1970-01-01T01:00:01+01:00"), Some(1000));
    assert_eq!(at("1970-01-01T00:00:00.0019Z"), Some(1));
    // Without a zone nobody knows when that is.
    assert_eq!(at("1970-01-01T00:00:00"), None);
    assert_eq!(at("yesterday"), None);
    assert_eq!(at(""), None);
}

#[test]
fn the_end_of_time_is_not_passed() {
    let last = Timestamp::from_millis(i64::MAX);
    assert_eq!(last.plus(Duration::from_secs(1)), last);
    assert_eq!(Timestamp::default().plus(Duration::MAX), last);
    // It has no date, and is printed all the same.
    assert_eq!(last.to_string(), "9223372036854775807 ms");
}

#[test]
fn nothing_is_negative_time_ago() {
    let (early, late) = (Timestamp::from_millis(-5), Timestamp::from_millis(5));
    assert_eq!(late.since(early), Duration::from_millis(10));
    assert_eq!(early.since(late), Duration::ZERO);
    let ends = Timestamp::from_millis(i64::MAX).since(Timestamp::from_millis(i64::MIN));
    assert_eq!(ends, Duration::from_millis(i64::MAX.unsigned_abs()));
}

proptest! {
    #[test]
    fn what_is_printed_can_be_read(millis in -2_000_000_000_000_i64..200_000_000_000_000) {
        let at = Timestamp::from_millis(millis);
        prop_assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
    }

    #[test]
    fn later_is_later(millis in any::<i64>(), d in any::<u64>()) {
        let at = Timestamp::from_millis(millis);
        let later = at.plus(Duration::from_millis(d));
        prop_assert!(later >= at);
        prop_assert!(later.since(at) <= Duration::from_millis(d));
    }
}
