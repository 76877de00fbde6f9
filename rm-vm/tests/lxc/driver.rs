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
    // Or as soon as somebody asks for them, but for one that is being made.
    let [cut_off, at_work] = [".new-1-1", ".new-1-2"].map(|name| all.join(name));
    for copy in [&cut_off, &at_work] {
        std::fs::create_dir_all(copy.join("delta")).unwrap();
    }
    let maker = std::fs::File::open(&at_work).unwrap();
    maker.lock().unwrap();
    assert_eq!(driver.snapshots("rm-kept").await.unwrap(), ["a"]);
    assert!(!cut_off.exists() && at_work.exists());
    driver.undefine("rm-kept").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_was_cut_off_on_its_way_is_there_when_it_is_done_once_more() {
    let Some(lab) = Lab::find("a_disk_that_was_cut_off_on_its_way_is_there") else {
        return;
    };
    let driver = Lxc::at(&lab.path, 64).unwrap();
    let name = "rm-cut-off";
    let mut new = lab.definition(name);
    new.seed.boot_commands = vec!["echo first > /kept".to_owned()];
    driver.bring(&new.image).await.unwrap();
    driver.define(&new).await.unwrap();
    let kept = async |wanted: &str| {
        driver.start(name).await.unwrap();
        let soon = async {
            while lab.inside(name, "cat /kept") != wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let seen = tokio::time::timeout(Duration::from_secs(20), soon).await;
        assert!(seen.is_ok(), "{}", lab.inside(name, "cat /kept"));
    };
    kept("first").await;
    driver.snapshot(name, "a").await.unwrap();
    lab.inside(name, "echo later > /kept");
    let folder = lab.path.join(name);
    // Killed when the old disk was gone, and the new one not in its place.
    let cut_off = async || {
        driver.stop(name, Duration::ZERO).await.unwrap();
        std::fs::remove_dir_all(folder.join("overlay")).unwrap();
        std::fs::create_dir_all(folder.join(".new-1-1/delta")).unwrap();
    };
    cut_off().await;
    driver.restore(name, "a").await.unwrap();
    assert!(!folder.join(".new-1-1").exists());
    kept("first").await;
    cut_off().await;
    new.seed.boot_commands = vec!["echo anew > /kept".to_owned()];
    driver.reimage(&new).await.unwrap();
    assert!(!folder.join(".new-1-1").exists());
    kept("anew").await;
    driver.stop(name, Duration::ZERO).await.unwrap();
    driver.undefine(name).await.unwrap();
    assert!(!folder.exists());
}
