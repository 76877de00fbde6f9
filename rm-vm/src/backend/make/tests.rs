use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use rm_core::ResourceId;
use rm_testkit::World;
use serde_json::json;
use tokio::sync::Barrier;

use super::*;
use crate::backend::{noted_whole, with_record};
use crate::driver::{Domain, Driver, Features, Result as Done, State};

/// A host on which everything is done at once, and counted; or whose defines
/// wait for each other.
#[derive(Debug, Default)]
struct Counts {
    defined: AtomicU32,
    noted: AtomicU32,
    domains: Mutex<BTreeMap<String, Domain>>,
    together: Option<Barrier>,
}

impl Counts {
    fn all(&self) -> Vec<Domain> {
        self.domains.lock().unwrap().values().cloned().collect()
    }

    fn of(&self, name: &str, edit: impl FnOnce(&mut Domain)) {
        edit(self.domains.lock().unwrap().get_mut(name).unwrap());
    }
}

#[async_trait]
impl Driver for Counts {
    fn name(&self) -> &'static str {
        "counts"
    }

    fn features(&self) -> Features {
        Features::default()
    }

    async fn host(&self) -> Done<driver::Host> {
        Err(driver::Error::invalid("nobody asks"))
    }

    async fn list(&self) -> Done<Vec<Domain>> {
        Ok(self.all())
    }

    async fn these(&self, names: &[String]) -> Done<Vec<Domain>> {
        let mut all = self.all();
        all.retain(|domain| names.contains(&domain.name));
        Ok(all)
    }

    async fn bring(&self, _: &Image) -> Done<()> {
        Ok(())
    }

    async fn define(&self, new: &Definition) -> Done<()> {
        if let Some(together) = &self.together {
            together.wait().await;
        }
        self.defined.fetch_add(1, Ordering::Relaxed);
        let domain = Domain {
            name: new.name.clone(),
            state: State::Stopped,
            ran: false,
            boot: None,
            size: new.size,
            metadata: Some(new.metadata.clone()),
        };
        self.domains
            .lock()
            .unwrap()
            .insert(new.name.clone(), domain);
        Ok(())
    }

    async fn annotate(&self, name: &str, metadata: &str) -> Done<()> {
        self.noted.fetch_add(1, Ordering::Relaxed);
        self.of(name, |domain| domain.metadata = Some(metadata.to_owned()));
        Ok(())
    }

    async fn start(&self, name: &str) -> Done<()> {
        self.of(name, |domain| {
            domain.state = State::Running;
            domain.ran = true;
        });
        Ok(())
    }

    async fn stop(&self, _: &str, _: Duration) -> Done<()> {
        Ok(())
    }

    async fn suspend(&self, name: &str) -> Done<()> {
        self.of(name, |domain| domain.state = State::Suspended);
        Ok(())
    }

    async fn undefine(&self, _: &str) -> Done<()> {
        Ok(())
    }

    async fn resize(&self, _: &str, _: Size) -> Done<()> {
        Ok(())
    }
}

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
    let mut host = host(&driver);
    let pool = json!({"first": "10.0.0.1", "last": "10.0.0.2", "prefix": 24});
    let site = json!({"bridge": "br0", "pools": [pool]});
    host.site = serde_json::from_value(site).unwrap();
    let host = Arc::new(host);
    let one = make(&host, &world, Power::Running, 1000).run();
    let other = make(&host, &world, Power::Running, 1000).run();
    let (one, other) = tokio::join!(one, other);
    one.unwrap();
    other.unwrap();
    let given = driver.all().into_iter().map(|domain| {
        let record = with_record(domain).1.unwrap();
        record.nics[0].addresses[0].ip
    });
    let given: std::collections::BTreeSet<_> = given.collect();
    assert_eq!(given.len(), 2, "{given:?}");
    // A third finds none, and is told of which pool.
    let third = make(&host, &world, Power::Running, 1000).run().await;
    let full = third.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::NoCapacity);
    assert!(full.what().starts_with("lab: "), "{full}");
    assert!(full.what().contains("10.0.0.1 to 10.0.0.2"), "{full}");
}
