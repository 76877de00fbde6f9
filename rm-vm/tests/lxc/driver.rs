//! What the driver tells by itself.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use rm_vm::driver::{Definition, Driver, Error, Event, State};
use rm_vm::lxc::Lxc;

use crate::lab::{Lab, Program};

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_a_container_is_told_as_it_happens() {
    let Some(lab) = Lab::find("what_happens_to_a_container_is_told_as_it_happens") else {
        return;
    };
    let driver = Lxc::at(&lab.path, 64).unwrap();
    let mut events = driver.events().await.unwrap();
    assert_eq!(events.next().await, Some(Event::Listening));
    let p = Program::on(&lab).await;
    let (id, name) = p.node(lab.spec()).await;
    let soon = Duration::from_secs(20);
    lab.tool("lxc-stop", &name, &["-k"]);
    let told = async {
        loop {
            let stopped = Event::Domain {
                name: name.clone(),
                state: Some(State::Stopped),
            };
            if events.next().await.unwrap() == stopped {
                return;
            }
        }
    };
    tokio::time::timeout(soon, told).await.unwrap();
    p.end(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_mean_something_elsewhere_reach_nothing() {
    let Some(lab) = Lab::find("names_that_mean_something_elsewhere_reach_nothing") else {
        return;
    };
    let driver = Lxc::at(&lab.path, 64).unwrap();
    for name in ["../x", "a/b", "a\nb", "'", "\"", "-n", ""] {
        let names = [name.to_owned()];
        let refused = |done: Result<(), Error>| matches!(done, Err(Error::Invalid(_)));
        assert!(refused(driver.start(name).await), "{name:?}");
        assert!(refused(driver.stop(name, Duration::ZERO).await), "{name:?}");
        assert!(refused(driver.undefine(name).await), "{name:?}");
        assert!(refused(driver.annotate(name, "x").await), "{name:?}");
        assert!(refused(driver.these(&names).await.map(|_| ())), "{name:?}");
    }
    for path in ["relative", "/a b", "/a/../b", "/a\n"] {
        assert!(Lxc::at(path.as_ref(), 64).is_err(), "{path:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_too_late_is_not_there() {
    let Some(lab) = Lab::find("what_is_made_too_late_is_not_there") else {
        return;
    };
    let driver = Lxc::at(&lab.path, 64).unwrap();
    let new = |name: &str, by| Definition {
        by,
        ..lab.definition(name)
    };
    driver.bring(&new("x", None).image).await.unwrap();
    for (name, by, made) in [
        ("rm-late", Some(Instant::now()), false),
        (
            "rm-soon",
            Some(Instant::now() + Duration::from_secs(60)),
            true,
        ),
    ] {
        let done = driver.define(&new(name, by)).await;
        let there = driver.these(&[name.to_owned()]).await.unwrap();
        assert_eq!(there.len(), usize::from(made), "{done:?}");
        if made {
            driver.undefine(name).await.unwrap();
        } else {
            assert!(matches!(done, Err(Error::Late(_))), "{done:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_snapshot_left_goes_with_the_next_one() {
    let Some(lab) = Lab::find("what_a_killed_snapshot_left_goes_with_the_next_one") else {
        return;
    };
    let driver = Lxc::at(&lab.path, 64).unwrap();
    let new = lab.definition("rm-kept");
    driver.bring(&new.image).await.unwrap();
    driver.define(&new).await.unwrap();
    let all = lab.path.join("rm-kept/snapshots");
    std::fs::create_dir_all(all.join(".new-1-1/delta")).unwrap();
    let newer = "{\"a\": 1}";
    // What somebody else has written meanwhile is not written over.
    assert!(driver.annotate_over("rm-kept", "{}", newer).await.unwrap());
    assert!(!driver.annotate_over("rm-kept", "{}", "{}").await.unwrap());
    let there = driver.these(&["rm-kept".to_owned()]).await.unwrap();
    assert_eq!(there[0].metadata.as_deref(), Some(newer));
    driver.snapshot("rm-kept", "a").await.unwrap();
    let left: Vec<_> = std::fs::read_dir(&all).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    driver.undefine("rm-kept").await.unwrap();
}
