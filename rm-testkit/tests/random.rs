//! Random schedules: whatever happens, there is one real thing for each
//! resource, and none without one. `cargo xtask simulate` runs many more.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rm_testkit::simulate::{Kind, random, replay};

#[test]
fn whatever_happens_there_is_one_real_thing_for_each_resource() {
    let all = random(0, 150, &mut |_| {});
    assert!(all.failed.is_empty(), "{all}");
    assert_eq!(all.schedules, 150);
    assert!(all.engines >= 300 && all.resources >= 450, "{all}");
    assert!(all.operations >= 3_000 && all.times.total() >= 600, "{all}");
    for kind in Kind::ALL {
        let within = all.within.of(kind);
        assert!(within >= 2, "{} in {within} of 150", kind.as_str());
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..10 {
        let (one, other) = (replay(seed, false), replay(seed, false));
        assert_eq!(one.to_json(), other.to_json(), "{seed}");
    }
}
