//! Whatever is done to both, SQLite answers what the store in memory answers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use rm_core::env::Env;
use rm_core::life::State;
use rm_core::store::{
    Account, Batch, By, Claim, Count, Cursor, Due, Expect, Fence, Key, MemoryStore, Outcome, Queue,
    Store, Version,
};
use rm_store::SqliteStore;
use support::{TestEnv, catalog_id, document, engine, event, record, resource_id};

mod support;

const NAMES: [&str; 4] = ["", "a", "a\0", "é"];

/// One part of a batch.
#[derive(Debug, Clone)]
enum Part {
    Put(u128, usize, Vec<usize>, u128, Wish),
    Keep(usize, usize, Vec<(usize, usize)>),
    Drop(u128),
    Discard(usize, usize),
    Count(usize, i64, Option<u64>),
    Expect(u128, Option<u64>),
    ExpectDocument(usize, usize, Option<u64>),
    ExpectNoDocument(usize, usize, usize),
    ExpectNoResource(usize),
    Fence(Index),
    Prolong(Index, u64),
    Event(Option<u128>),
    Forget(u64),
}

#[derive(Debug, Clone)]
enum Wish {
    Keep,
    At(u64),
    Release(u64),
    Sweep(u64),
    Rest,
}

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Part>),
    Claim(u128, u64, Queue, u32, Vec<u128>),
    Wait(u64),
}

fn name() -> impl Strategy<Value = usize> {
    0..NAMES.len()
}

fn version() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), (1..4_u64).prop_map(Some)]
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        Just(Wish::Keep),
        (0..40_u64).prop_map(Wish::At),
        (0..40_u64).prop_map(Wish::Release),
        (0..40_u64).prop_map(Wish::Sweep),
        Just(Wish::Rest),
    ]
}

fn part() -> impl Strategy<Value = Part> {
    let put = (
        1..5_u128,
        name(),
        prop::collection::vec(name(), 0..3),
        0..2_u128,
        wish(),
    );
    let indexes = prop::collection::vec((name(), name()), 0..3);
    prop_oneof![
        6 => put.prop_map(|(n, tenant, users, site, due)| Part::Put(n, tenant, users, site, due)),
        4 => (name(), name(), indexes).prop_map(|(space, id, ix)| Part::Keep(space, id, ix)),
        1 => (1..5_u128).prop_map(Part::Drop),
        1 => (name(), name()).prop_map(|(space, id)| Part::Discard(space, id)),
        2 => (name(), -4..5_i64, prop::option::of(0..6_u64))
            .prop_map(|(c, by, most)| Part::Count(c, by, most)),
        1 => (1..5_u128, version()).prop_map(|(n, v)| Part::Expect(n, v)),
        1 => (name(), name(), version())
            .prop_map(|(space, id, v)| Part::ExpectDocument(space, id, v)),
        1 => (name(), name(), name())
            .prop_map(|(space, index, value)| Part::ExpectNoDocument(space, index, value)),
        1 => name().prop_map(Part::ExpectNoResource),
        1 => any::<Index>().prop_map(Part::Fence),
        2 => (any::<Index>(), 0..40_u64).prop_map(|(i, ttl)| Part::Prolong(i, ttl)),
        2 => prop::option::of(1..5_u128).prop_map(Part::Event),
        1 => (0..9_u64).prop_map(Part::Forget),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => prop::collection::vec(part(), 0..6).prop_map(Step::Commit),
        2 => (0..3_u128, 1..30_u64, 0..2_usize, 0..4_u32, prop::collection::vec(0..3_u128, 0..3))
            .prop_map(|(owner, ttl, of, max, but)| {
                Step::Claim(owner, ttl, Queue::ALL[of], max, but)
            }),
        1 => (0..30_u64).prop_map(Step::Wait),
    ]
}

fn batch(parts: Vec<Part>, claims: &[Claim], env: &TestEnv) -> Batch {
    let mut b = Batch::default();
    let at = |seconds: u64| env.now().plus(Duration::from_secs(seconds));
    // A claim of earlier on, or one that nobody ever had.
    let fence = |index: Index| match claims {
        [] => Fence {
            resource: resource_id(1),
            epoch: 0,
        },
        _ => {
            let claim = index.get(claims);
            Fence {
                resource: claim.row.record.id,
                epoch: claim.epoch,
            }
        }
    };
    let key = |space: usize, id: usize| Key::Document(NAMES[space].into(), NAMES[id].into());
    let expect = |key: Key, version: Option<u64>| match version {
        None => Expect::Absent(key),
        Some(v) => Expect::Version(key, Version(v)),
    };
    for part in parts {
        match part {
            Part::Put(n, tenant, users, site, due) => {
                let users: Vec<&str> = users.iter().map(|u| NAMES[*u]).collect();
                let mut r = record(n, NAMES[tenant], &users);
                r.place.site = catalog_id(site);
                r.updated = env.now();
                if users.len() == 1 {
                    r.seen = State::Quarantined;
                }
                let due = match due {
                    Wish::Keep => Due::Keep,
                    Wish::At(s) => Due::At(at(s)),
                    Wish::Release(s) => Due::Release(at(s)),
                    Wish::Sweep(s) => Due::Sweep(at(s)),
                    Wish::Rest => Due::Rest,
                };
                b.resources.push((Arc::new(r), due));
            }
            Part::Keep(space, id, indexes) => {
                let indexes: Vec<_> = indexes
                    .iter()
                    .map(|(n, v)| (NAMES[*n], NAMES[*v]))
                    .collect();
                let body = env.now().to_string();
                b.documents
                    .push(document(NAMES[space], NAMES[id], &indexes, &body));
            }
            Part::Drop(n) => b.delete.push(Key::Resource(resource_id(n))),
            Part::Discard(space, id) => b.delete.push(key(space, id)),
            Part::Count(name, by, at_most) => b.counts.push(Count {
                counter: NAMES[name].to_owned(),
                by,
                at_most,
            }),
            Part::Expect(n, v) => b.expect.push(expect(Key::Resource(resource_id(n)), v)),
            Part::ExpectDocument(space, id, v) => b.expect.push(expect(key(space, id), v)),
            Part::ExpectNoDocument(space, index, value) => b.expect.push(Expect::NoDocument {
                space: NAMES[space].to_owned(),
                index: NAMES[index].to_owned(),
                value: NAMES[value].to_owned(),
            }),
            Part::ExpectNoResource(user) => {
                let by = guest(NAMES[user], "");
                b.expect.push(Expect::NoResource(by));
            }
            Part::Fence(index) => b.fence.push(fence(index)),
            Part::Prolong(index, ttl) => b.prolong.push((fence(index), Duration::from_secs(ttl))),
            Part::Event(n) => b.events.push(event("e", n.map(resource_id))),
            Part::Forget(seq) => b.forget.push(seq),
        }
    }
    b
}

fn guest(user: &str, but: &str) -> By {
    By::Guest {
        user: user.to_owned(),
        but: but.to_owned(),
    }
}

/// Those of the sites 0 and 1 have something.
fn account(site: u128) -> Account {
    (catalog_id(site), catalog_id(2))
}

macro_rules! same {
    ($one:expr, $two:expr) => {
        prop_assert_eq!($one.await.unwrap(), $two.await.unwrap())
    };
}

async fn compare(one: &dyn Store, two: &dyn Store) -> Result<(), TestCaseError> {
    for but in [
        &[][..],
        &[account(0)],
        &[account(1)],
        &[account(1), account(0)],
    ] {
        for of in Queue::ALL {
            same!(one.next_due(of, but), two.next_due(of, but));
        }
    }
    same!(one.newest(), two.newest());
    for seq in [0, 2] {
        same!(one.since(seq, None, 99), two.since(seq, None, 99));
        let of = Some(resource_id(1));
        same!(one.since(seq, of, 2), two.since(seq, of, 2));
    }
    let mut by = vec![By::All, By::Held(None)];
    for name in NAMES {
        by.push(By::Held(Some(name.to_owned())));
        by.push(By::Tenant(name.to_owned()));
        by.push(guest(name, ""));
        by.extend(NAMES.map(|but| guest(name, but)));
        same!(one.counter(name), two.counter(name));
    }
    for site in 0..2 {
        let (site, credential) = account(site);
        by.push(By::Account(site, credential));
    }
    for by in by {
        let mut after: Option<Cursor> = None;
        loop {
            let page = one.resources(&by, after.as_ref(), 2).await.unwrap();
            let same = two.resources(&by, after.as_ref(), 2).await.unwrap();
            prop_assert_eq!(&page, &same, "{:?}", by);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    for space in NAMES {
        for id in NAMES {
            same!(one.document(space, id), two.document(space, id));
            for value in NAMES {
                let index = Some((id, value));
                same!(
                    one.documents(space, index, None, 1),
                    two.documents(space, index, None, 1)
                );
            }
        }
        let after = Cursor("a".to_owned());
        same!(
            one.documents(space, None, Some(&after), 9),
            two.documents(space, None, Some(&after), 9)
        );
        same!(
            one.documents(space, None, None, 9),
            two.documents(space, None, None, 9)
        );
    }
    Ok(())
}

async fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let env = TestEnv::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let memory = MemoryStore::new(env.clone());
    let sqlite = SqliteStore::open(&path, env.clone()).unwrap();
    let mut claims: Vec<Claim> = Vec::new();
    for step in steps {
        match step {
            Step::Wait(seconds) => env.forward(Duration::from_secs(seconds)),
            Step::Claim(owner, ttl, of, max, but) => {
                let ttl = Duration::from_secs(ttl);
                let but: Vec<Account> = but.into_iter().map(account).collect();
                let owner = engine(owner);
                let one = memory.claim(owner, ttl, of, max, &but).await.unwrap();
                let two = sqlite.claim(owner, ttl, of, max, &but).await.unwrap();
                prop_assert_eq!(&one, &two);
                claims.extend(one);
            }
            Step::Commit(parts) => {
                let batch = batch(parts, &claims, &env);
                let one = memory.commit(batch.clone()).await.unwrap();
                let two = sqlite.commit(batch).await.unwrap();
                prop_assert_eq!(&one, &two);
                if matches!(one, Outcome::Refused(_)) {
                    continue;
                }
            }
        }
        compare(&memory, &sqlite).await?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_answer_the_same(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(steps))?;
    }
}
