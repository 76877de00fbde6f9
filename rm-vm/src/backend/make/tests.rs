use std::sync::atomic::{AtomicU32, Ordering};

use rm_core::ResourceId;
use rm_testkit::World;
use serde_json::json;
use tokio::sync::Barrier;

use super::*;
use crate::backend::bring::Bring;
use crate::backend::{noted_whole, with_record};
use crate::driver::{Domain, Driver, State};

mod counts;

use counts::Counts;

/// A node that somebody waits for so long.
fn make(host: &Arc<Host>, world: &World, power: Power, waits: i64) -> Make {
    let env = world.env();
    let spec = json!({"image": {"name": "a", "sha256": "a"}, "vcpus": 1, "memory_mib": 1});
    let spec: NodeSpec = serde_json::from_value(spec).unwrap();
    let until = Timestamp::from_millis(env.now().millis() + waits);
    Make {
        owner: None,
        host: Arc::clone(host),
        image: Image {
            name: "a".to_owned(),
            source: "file:/none".to_owned(),
            sha256: "a".to_owned(),
            format: "raw".to_owned(),
        },
        mark: Mark {
            installation: "lab".to_owned(),
            resource: ResourceId::new(&*env),
            incarnation: 1,
            generation: 1,
        },
        spec: NodeSpec { power, ..spec },
        env,
        until,
    }
}

fn host(driver: &Arc<Counts>) -> Host {
    Host::of(Arc::clone(driver) as Arc<dyn Driver>)
}

/// One with so many addresses, from 10.0.0.1 on.
fn pooled(driver: &Arc<Counts>, addresses: u8) -> Arc<Host> {
    let mut host = host(driver);
    let last = format!("10.0.0.{addresses}");
    let pool = json!({"first": "10.0.0.1", "last": last, "prefix": 24});
    let site = json!({"bridge": "br0", "pools": [pool]});
    host.site = serde_json::from_value(site).unwrap();
    Arc::new(host)
}

fn address(of: Domain) -> std::net::IpAddr {
    let record = with_record(of).1.unwrap();
    record.nics[0].addresses[0].ip
}

/// What goes on from where this one is cut off.
fn bring(of: &Make) -> Bring {
    Bring {
        host: Arc::clone(&of.host),
        image: None,
        grace: Duration::ZERO,
        name: of.mark.name(),
        mark: of.mark.clone(),
        spec: of.spec.clone(),
        owner: None,
    }
}

fn failed() -> driver::Error {
    driver::Error::Failed("no".to_owned())
}

fn unclear() -> driver::Error {
    driver::Error::Unclear("who knows".to_owned())
}

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_begun() {
    let world = World::new(1);
    for (waits, defined) in [(1000, 1), (-1, 0)] {
        let driver = Arc::new(Counts::default());
        let host = Arc::new(host(&driver));
        let done = make(&host, &world, Power::Running, waits).run().await;
        assert_eq!(driver.defined.load(Ordering::Relaxed), defined);
        if defined == 1 {
            done.unwrap();
            continue;
        }
        let late = done.unwrap_err();
        assert!(late.is_temporary(), "{late}");
        assert_eq!(late.effect(), rm_core::error::Effect::None);
    }
}

#[tokio::test]
async fn who_defines_something_is_told_until_when_it_may_appear() {
    let world = World::new(1);
    let driver = Arc::new(Counts::default());
    let host = Arc::new(host(&driver));
    for (waits, left) in [(0, LATE / 2), (5000, LATE / 2 + Duration::from_secs(5))] {
        let make = make(&host, &world, Power::Running, waits);
        make.run().await.unwrap();
        let by = driver.by.lock().unwrap().take().unwrap();
        let told = by.saturating_duration_since(Instant::now());
        assert!(left - SOON / 30 <= told && told <= left, "{told:?}");
    }
}

#[test]
fn what_takes_too_long_to_define_is_left_to_whoever_looks() {
    let world = World::new(1);
    world.block_on(async {
        for (time, state) in [(LATE / 3, State::Running), (LATE, State::Stopped)] {
            let driver = Arc::new(Counts::default());
            let host = Arc::new(host(&driver));
            let make = make(&host, &world, Power::Running, 0);
            let goes_on = bring(&make);
            *driver.takes.lock().unwrap() = Some((Arc::clone(&make.env), time));
            let done = make.run().await;
            assert_eq!(driver.all()[0].state, state);
            let Err(late) = done else { continue };
            assert!(late.is_temporary(), "{late}");
            assert_eq!(late.effect(), rm_core::error::Effect::Unknown);
            goes_on.run().await.unwrap();
            assert_eq!(driver.all()[0].state, State::Running);
        }
    });
}

#[tokio::test]
async fn a_create_ends_with_the_start_and_that_it_is_whole_is_noted_later_and_once() {
    let world = World::new(1);
    let driver = Arc::new(Counts::default());
    let host = Arc::new(host(&driver));
    let new = make(&host, &world, Power::Running, 1000);
    let name = new.mark.name();
    new.run().await.unwrap();
    let seen = || with_record(driver.all().remove(0)).1.unwrap();
    let noted = || driver.noted.load(Ordering::Relaxed);
    let mark = seen().mark;
    assert_eq!((mark.generation, seen().new, noted()), (1, true, 0));
    // It is not touched while something else is done with it, nor where it was
    // changed since.
    let turn = host.turn(&name).await;
    noted_whole(&host, &name, &mark).await;
    drop(turn);
    let older = Mark {
        generation: 0,
        ..mark.clone()
    };
    noted_whole(&host, &name, &older).await;
    assert_eq!((noted(), seen().new), (0, true));
    for _ in 0..2 {
        noted_whole(&host, &name, &mark).await;
        assert_eq!((noted(), seen().mark.generation, seen().new), (1, 1, false));
    }
}

#[tokio::test]
async fn what_is_cut_off_between_two_calls_is_seen_to_be_half_made() {
    let world = World::new(1);
    for (power, defined, started) in [
        (Power::Running, 0, 1),
        // More is to follow than the start.
        (Power::Suspended, 0, 0),
        (Power::Stopped, 1, 1),
    ] {
        let driver = Arc::new(Counts::default());
        let host = Arc::new(host(&driver));
        let new = make(&host, &world, power, 1000);
        let name = new.mark.name();
        let generation = || {
            let (_, record) = with_record(driver.all().remove(0));
            record.unwrap().mark.generation
        };
        new.define(&name).await.unwrap();
        assert_eq!(generation(), defined, "{power:?}");
        driver.start(&name).await.unwrap();
        assert_eq!(generation(), started, "{power:?}");
    }
    let driver = Arc::new(Counts::default());
    let host = Arc::new(host(&driver));
    let new = make(&host, &world, Power::Suspended, 1000);
    new.run().await.unwrap();
    let (domain, record) = with_record(driver.all().remove(0));
    assert_eq!(domain.state, State::Suspended);
    assert_eq!(record.unwrap().mark.generation, 1);
}

#[tokio::test]
async fn nobody_waits_for_the_define_of_another_and_no_two_are_given_one_address() {
    let world = World::new(1);
    let driver = Arc::new(Counts {
        together: Some(Barrier::new(2)),
        ..Counts::default()
    });
    let host = pooled(&driver, 2);
    let one = make(&host, &world, Power::Running, 1000).run();
    let other = make(&host, &world, Power::Running, 1000).run();
    let both = async { tokio::join!(one, other) };
    // Where one waits for the other neither ends.
    let (one, other) = tokio::time::timeout(SOON, both).await.unwrap();
    one.unwrap();
    other.unwrap();
    let given: std::collections::BTreeSet<_> = driver.all().into_iter().map(address).collect();
    assert_eq!(given.len(), 2, "{given:?}");
    // A third finds none, and is told of which pool.
    let third = make(&host, &world, Power::Running, 1000).run();
    let third = tokio::time::timeout(SOON, third).await.unwrap();
    let full = third.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::NoCapacity);
    assert!(full.what().starts_with("lab: "), "{full}");
    assert!(full.what().contains("10.0.0.1 to 10.0.0.2"), "{full}");
}

#[tokio::test]
async fn who_finds_another_with_his_addresses_takes_others() {
    let world = World::new(1);
    let driver = Arc::new(Counts {
        rivals: AtomicU32::new(2),
        ..Counts::default()
    });
    let host = pooled(&driver, 3);
    let new = make(&host, &world, Power::Running, 1000);
    let name = new.mark.name();
    new.run().await.unwrap();
    assert_eq!(driver.defined.load(Ordering::Relaxed), 3);
    let all = driver.all();
    let runs = all.iter().filter(|d| d.state == State::Running);
    assert_eq!(runs.map(|d| &d.name).collect::<Vec<_>>(), [&name]);
    let given: std::collections::BTreeSet<_> = all.into_iter().map(address).collect();
    assert_eq!(given.len(), 3, "{given:?}");
    assert_eq!(host.promised(""), []);
}

#[tokio::test]
async fn what_could_not_be_taken_away_is_not_started_beside_who_has_its_address() {
    let world = World::new(1);
    for power in [Power::Running, Power::Stopped] {
        let driver = Arc::new(Counts {
            rivals: AtomicU32::new(1),
            ..Counts::default()
        });
        let host = pooled(&driver, 3);
        let new = make(&host, &world, power, 1000);
        let name = new.mark.name();
        let started = || {
            let mut bring = bring(&new);
            bring.spec.power = Power::Running;
            bring.run()
        };
        let (first, second, third) = (started(), started(), started());
        driver.comes("undefine", Some(failed()));
        let left = new.run().await.unwrap_err();
        assert_eq!(left.effect(), rm_core::error::Effect::Unknown);
        for started in [first, second] {
            let refused = started.await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Conflict);
            assert_eq!(refused.effect(), rm_core::error::Effect::None);
            assert!(refused.is_temporary(), "{refused}");
            assert!(refused.what().contains("the address 10.0.0."), "{refused}");
        }
        let of = || with_record(driver.domains.lock().unwrap()[&name].clone());
        assert_eq!(of().0.state, State::Stopped);
        driver.undefine("rival-0").await.unwrap();
        third.await.unwrap();
        let (domain, record) = of();
        assert_eq!(domain.state, State::Running);
        let record = record.unwrap();
        assert_eq!((record.mark.generation, record.new), (1, false));
    }
}

#[tokio::test]
async fn what_may_yet_be_defined_keeps_its_addresses_and_who_names_one_may_try_again() {
    let world = World::new(1);
    let driver = Arc::new(Counts::default());
    let host = pooled(&driver, 3);
    let named = || {
        let mut named = make(&host, &world, Power::Running, 1000);
        named.spec.interfaces = vec![Interface {
            addresses: vec!["10.0.0.2/24".parse().unwrap()],
            ..Interface::default()
        }];
        named
    };
    driver.comes("define", Some(unclear()));
    let first = named();
    let late = bring(&first).name;
    let left = first.run().await.unwrap_err();
    assert_eq!(left.effect(), rm_core::error::Effect::Unknown);
    assert_eq!(host.promised("").len(), 1);
    // It may come to be free again.
    let refused = named().run().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.is_temporary(), "{refused}");
    // Whose name it is has it, and then it is his.
    let mut again = named();
    again.mark.resource = Mark::resource_named(&late).unwrap();
    again.run().await.unwrap();
    let taken = named().run().await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Conflict);
    assert!(!taken.is_temporary(), "{taken}");
    assert_eq!(host.promised(""), []);
}

#[tokio::test]
async fn what_may_have_run_and_does_not_go_is_gone_on_from() {
    let world = World::new(1);
    let driver = Arc::new(Counts::default());
    let host = pooled(&driver, 3);
    let new = make(&host, &world, Power::Running, 1000);
    let go_on = bring(&new);
    driver.comes("start", Some(unclear()));
    driver.comes("undefine", Some(failed()));
    let left = new.run().await.unwrap_err();
    assert_eq!(left.effect(), rm_core::error::Effect::Unknown);
    let of = || with_record(driver.all().remove(0));
    let (domain, record) = of();
    assert!(domain.ran && domain.state == State::Stopped);
    assert_eq!(record.unwrap().mark.generation, 0);
    go_on.run().await.unwrap();
    let (domain, record) = of();
    assert_eq!(domain.state, State::Running);
    assert_eq!(record.unwrap().mark.generation, 1);
}

#[tokio::test]
async fn what_fails_in_the_middle_leaves_neither_a_domain_nor_a_promise() {
    let world = World::new(1);
    for (calls, power) in [
        (&["notes"][..], Power::Running),
        (&["", "notes"][..], Power::Running),
        (&["define"][..], Power::Running),
        (&["start"][..], Power::Running),
        (&["start"][..], Power::Suspended),
    ] {
        let driver = Arc::new(Counts::default());
        let host = pooled(&driver, 3);
        for call in calls {
            match *call {
                "" => driver.comes("notes", None),
                call => driver.comes(call, Some(failed())),
            }
        }
        let new = make(&host, &world, power, 1000).run().await;
        let e = new.unwrap_err();
        assert_eq!(e.effect(), rm_core::error::Effect::None, "{calls:?}: {e}");
        assert_eq!(driver.all(), [], "{calls:?}");
        assert_eq!(host.promised(""), [], "{calls:?}");
    }
}
