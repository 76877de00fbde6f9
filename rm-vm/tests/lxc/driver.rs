//! What the driver tells by itself.

use std::time::Duration;

use futures_util::StreamExt;
use rm_vm::driver::{Driver, Error, Event, State};
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
