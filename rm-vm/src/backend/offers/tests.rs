use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rm_core::backend::Serves;
use rm_core::catalog::{NewCredential, NewImage, NewSite};
use rm_core::manager::{Asking, ResourceManager, Terms, Want};
use rm_core::model::Node;
use rm_core::record::{Document, ResourceRecord};
use rm_core::store::{Batch, By, Cursor, MemoryStore, Outcome, Page, Store, Versioned};
use rm_core::{Caller, CatalogId, ErrorKind, ResourceId};
use rm_testkit::{Around, Between, World};
use serde_json::{Value, json};

use super::*;
use crate::backend::LXC;
use crate::config::Config;
use crate::driver::{
    self, Definition, Domain, Driver, Features, Image, Result as Done, Size, State,
};

/// The domains of every host there is here.
static THERE: Mutex<Vec<(CatalogId, String)>> = Mutex::new(Vec::new());

/// A host of 1000 MiB on which nothing comes to be by itself.
#[derive(Debug)]
struct Bare(CatalogId);

#[async_trait]
impl Driver for Bare {
    fn name(&self) -> &'static str {
        "bare"
    }

    fn features(&self) -> Features {
        Features::default()
    }

    async fn host(&self) -> Done<driver::Host> {
        Ok(driver::Host {
            cpus: 2,
            memory_mib: 1000,
            free_memory_mib: 1000,
            free_disk_mib: Some(3000),
        })
    }

    async fn list(&self) -> Done<Vec<Domain>> {
        let all = THERE.lock().unwrap().clone().into_iter();
        let names = all.filter_map(|(host, name)| (host == self.0).then_some(name));
        let domain = |name| Domain {
            name,
            state: State::Running,
            ran: true,
            boot: None,
            size: Size {
                vcpus: 1,
                memory_mib: 600,
            },
            metadata: None,
        };
        Ok(names.map(domain).collect())
    }

    async fn these(&self, _: &[String]) -> Done<Vec<Domain>> {
        Ok(Vec::new())
    }

    async fn takes(&self, image: &Image) -> Done<Disk> {
        let each_mib = match image.name.as_str() {
            "big" => 1400,
            _ => 1,
        };
        Ok(Disk {
            once_mib: 0,
            each_mib,
        })
    }

    async fn bring(&self, _: &Image) -> Done<()> {
        Err(self.cannot("bring an image"))
    }

    async fn define(&self, _: &Definition) -> Done<()> {
        Err(self.cannot("define"))
    }

    async fn annotate(&self, _: &str, _: &str) -> Done<()> {
        Err(self.cannot("annotate"))
    }

    async fn start(&self, _: &str) -> Done<()> {
        Err(self.cannot("start"))
    }

    async fn stop(&self, _: &str, _: Duration) -> Done<()> {
        Err(self.cannot("stop"))
    }

    async fn undefine(&self, _: &str) -> Done<()> {
        Err(self.cannot("undefine"))
    }

    async fn resize(&self, _: &str, _: Size) -> Done<()> {
        Err(self.cannot("resize"))
    }
}

/// Counts the lists that are read, of documents and of resources.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

#[async_trait]
impl Between for Counting {
    async fn resources(
        &self,
        store: &dyn Store,
        by: &By,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<ResourceRecord>>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        store.resources(by, after, limit).await
    }

    async fn documents(
        &self,
        store: &dyn Store,
        space: &str,
        index: Option<(&str, &str)>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<Document>>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        store.documents(space, index, after, limit).await
    }
}

/// A program whose engine does nothing: what was asked for is on its way for ever.
struct Program {
    host: rm_core::Host,
    users: [Caller; 2],
    store: Arc<Around<Counting>>,
}

impl Program {
    /// With so many addresses; the ids of each world are others.
    async fn with(seed: u64, addresses: u8) -> Self {
        let world = World::new(seed);
        let inside = MemoryStore::new(world.env());
        let store = Around::new(Arc::new(inside), Counting::default());
        let kept: Arc<dyn Store> = Arc::<Around<Counting>>::clone(&store);
        let mut builder = rm_core::Host::builder(world.env()).store(kept);
        let site = json!({"bridge": "br0", "pools": [
            {"first": "10.0.0.1", "last": format!("10.0.0.{addresses}"), "prefix": 24},
        ]});
        let config: Config = serde_json::from_value(json!({"sites": {"lab": site}})).unwrap();
        let serves = Serves {
            kind: LXC,
            api: "bare".to_owned(),
            media: Vec::new(),
        };
        let nodes = Nodes::new(config, |cx, _| Ok(Arc::new(Bare(cx.site.id))));
        let registries = builder.registries();
        registries
            .backend::<Node>("vm.bare", serves, Arc::new(nodes))
            .unwrap();
        let host = builder.build().unwrap();
        let catalog = host.catalog();
        let operator = Caller::operator("op", "ops");
        let site = NewSite::new("lab", "bare", "file:/none");
        catalog.add_site(&operator, site).await.unwrap();
        let users = [
            Caller::user("ada", "physics"),
            Caller::user("bob", "biology"),
        ];
        for user in &users {
            let means = NewCredential::new("mine", "lab", json!({}));
            catalog.add_credential(user, means).await.unwrap();
        }
        for (name, digit) in [("small", "1"), ("big", "2")] {
            let image = NewImage {
                name: name.to_owned(),
                source: "file:/none".to_owned(),
                sha256: digit.repeat(64),
                disk_format: "rootfs".to_owned(),
            };
            catalog.add_image(&operator, image).await.unwrap();
        }
        Self { host, users, store }
    }

    fn manager(&self) -> Arc<dyn ResourceManager<Node>> {
        self.host
            .managers()
            .serving::<Node>(&LXC)
            .unwrap()
            .remove(0)
    }

    async fn offers(&self, who: &Caller, image: &str, memory_mib: u64) -> Result<Vec<Offer>> {
        let want = self.want(who, image, memory_mib).await?;
        self.manager().offers(who, &want).await
    }

    async fn want(&self, who: &Caller, image: &str, memory_mib: u64) -> Result<Want<Node>> {
        let catalog = self.host.catalog();
        let digit = if image == "big" { "2" } else { "1" };
        let spec: Value = json!({
            "image": {"name": image, "sha256": digit.repeat(64)},
            "vcpus": 1, "memory_mib": memory_mib,
        });
        Ok(Want {
            site: catalog.site("lab").await?,
            credential: catalog.credential(who, "mine").await?.id,
            spec: serde_json::from_value(spec).unwrap(),
            key: None,
            asking: None,
        })
    }

    /// How many lists are read meanwhile.
    async fn reads<T>(&self, call: impl Future<Output = T>) -> usize {
        let before = self.store.0.load(Ordering::SeqCst);
        call.await;
        self.store.0.load(Ordering::SeqCst) - before
    }

    /// How many the host says it has room for.
    async fn left(&self, who: &Caller, image: &str, memory_mib: u64) -> u64 {
        match self.offers(who, image, memory_mib).await {
            Ok(offers) => offers[0].nodes_left.unwrap(),
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::NoCapacity, "{e}");
                0
            }
        }
    }

    async fn take(&self, who: &Caller, offers: &[Offer], reserve: bool) -> Result<ResourceId> {
        let terms = Terms {
            reserve,
            ..Terms::default()
        };
        let mut batch = Batch::default();
        let (id, _) = self.manager().prepare(who, offers, &terms, &mut batch)?;
        let done = self.host.commit(batch).await?;
        assert!(matches!(done, Outcome::Done(_)));
        Ok(id)
    }
}

#[tokio::test]
async fn of_two_who_are_told_of_the_last_room_at_the_same_moment_one_gets_it() {
    let p = Program::with(1, 100).await;
    let [ada, bob] = &p.users;
    let first = p.offers(ada, "small", 600).await.unwrap();
    let second = p.offers(bob, "small", 600).await.unwrap();
    assert_eq!(
        [first[0].nodes_left, second[0].nodes_left],
        [Some(1), Some(1)]
    );
    p.take(ada, &first, false).await.unwrap();
    let e = p.take(bob, &second, false).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NoCapacity, "{e}");
    assert!(e.is_temporary() && e.next().is_some(), "{e}");
    // Who asks again is told what is left, and gets that.
    assert_eq!(p.left(bob, "small", 600).await, 0);
    let less = p.offers(bob, "small", 400).await.unwrap();
    p.take(bob, &less, false).await.unwrap();
    assert_eq!(p.left(ada, "small", 1).await, 0);
}

#[tokio::test]
async fn who_leaves_enough_to_others_is_in_nobodys_way() {
    let p = Program::with(2, 100).await;
    let [ada, bob] = &p.users;
    let first = p.offers(ada, "small", 300).await.unwrap();
    let second = p.offers(bob, "small", 300).await.unwrap();
    let third = p.offers(bob, "small", 300).await.unwrap();
    let fourth = p.offers(ada, "small", 300).await.unwrap();
    for (who, offers) in [(ada, first), (bob, second), (bob, third)] {
        p.take(who, &offers, false).await.unwrap();
    }
    let e = p.take(ada, &fourth, false).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NoCapacity, "{e}");
}

#[tokio::test]
async fn what_only_keeps_its_place_takes_memory_disk_and_addresses() {
    let p = Program::with(3, 3).await;
    let [ada, bob] = &p.users;
    assert_eq!(p.left(bob, "small", 100).await, 3);
    let offers = p.offers(ada, "big", 600).await.unwrap();
    assert!(offers[0].why.contains("by its memory"), "{}", offers[0].why);
    p.take(ada, &offers, true).await.unwrap();
    // One address, 600 MiB of memory and 1400 of the disk are taken, by
    // whatever credential.
    for who in [ada, bob] {
        assert_eq!(p.left(who, "small", 100).await, 2);
        assert_eq!(p.left(who, "small", 201).await, 1);
        assert_eq!(p.left(who, "small", 401).await, 0);
        assert_eq!(p.left(who, "big", 10).await, 1);
    }
    let offers = p.offers(bob, "big", 10).await.unwrap();
    assert!(offers[0].why.contains("by its disks"), "{}", offers[0].why);
    let [disk] = &offers[0].disk[..] else {
        panic!("{offers:?}");
    };
    assert_eq!(
        (disk.left_mib, disk.each_mib, disk.to_bring.len()),
        (1600, 1400, 0)
    );
    p.take(bob, &offers, true).await.unwrap();
    let full = p.offers(ada, "big", 10).await.unwrap_err();
    assert!(full.what().contains("MiB of disk are free"), "{full}");
    assert_eq!(p.left(ada, "small", 10).await, 1);
}

#[tokio::test]
async fn what_is_being_made_takes_its_room_once() {
    let p = Program::with(4, 100).await;
    let [ada, bob] = &p.users;
    let offers = p.offers(ada, "small", 600).await.unwrap();
    let id = p.take(ada, &offers, false).await.unwrap();
    assert_eq!(p.left(bob, "small", 100).await, 4);
    // It is there, and its record does not say so yet.
    let site = p.host.catalog().site("lab").await.unwrap().id;
    THERE.lock().unwrap().push((site, format!("rm-{id}")));
    assert_eq!(p.left(bob, "small", 100).await, 4);
}

#[tokio::test]
async fn what_is_to_come_is_read_of_the_site_alone_and_once_for_a_call() {
    let p = Program::with(5, 100).await;
    let [ada, bob] = &p.users;
    let one = p.reads(p.offers(ada, "small", 10)).await;
    // More than a page of credentials for another site make no difference.
    let operator = Caller::operator("op", "ops");
    let catalog = p.host.catalog();
    let site = NewSite::new("far", "bare", "file:/far");
    catalog.add_site(&operator, site).await.unwrap();
    for n in 0..250 {
        let means = NewCredential::new(&format!("far-{n}"), "far", json!({}));
        catalog.add_credential(bob, means).await.unwrap();
    }
    assert_eq!(p.reads(p.offers(ada, "small", 10)).await, one);
    // Nor do more sizes in one call.
    let asking = Asking::default();
    let asked = async |memory_mib| {
        let mut want = p.want(ada, "small", memory_mib).await.unwrap();
        want.asking = Some(asking.clone());
        p.manager().offers(ada, &want).await.unwrap()
    };
    assert_eq!(p.reads(asked(600)).await, one);
    // What somebody else is given meanwhile is not overlooked.
    let given = p.offers(bob, "small", 600).await.unwrap();
    p.take(bob, &given, true).await.unwrap();
    let mut late = Vec::new();
    // The credentials there, and what each of the two has, are not read again.
    assert_eq!(p.reads(async { late = asked(501).await }).await, one - 3);
    let e = p.take(ada, &late, true).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NoCapacity, "{e}");
    // Who asks anew is told what is left.
    assert_eq!(p.left(ada, "small", 400).await, 1);
}
