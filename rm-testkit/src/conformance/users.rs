//! Where it is declared that who logs in to a node can be changed while it
//! runs: that it is, and that nothing else is.

use std::collections::BTreeSet;

use rm_core::Effect;
use rm_core::backend::{Mark, Resize, Seen};
use rm_core::life::State;
use rm_core::model::{Model, NodeUser, NodeView};
use serde_json::Value;

use super::check::{Check, Declared, Finding, Verdict, checks, ensure};
use super::faults::{AWAY, FOREVER, lives, seconds};
use super::faulty::Mishap::{
    CrashAfter, CrashBefore, CrashDuring, Late, LostAfter, LostBefore, Slow, StallBefore, Twice,
    TwiceHeardLast,
};
use super::life::{Life, Plan};
use super::stage::Stage;

pub(super) fn all<M: Model>() -> Vec<Check<M>> {
    let mut all: Vec<Check<M>> = checks! {
        "users/are-told-by-somebody" Exact I8 "accepted, and nobody looked" lets_in => told_by_somebody;
        "users/are-changed-in-what-runs" Basic I8 "accepted and not done: who was let in stands before the door" lets_in => changed;
        "users/who-is-taken-out-is-out" Basic I8 "a key that was taken away and still opens" lets_in => taken_out;
        "users/are-changed-and-nothing-else" Basic I8 "elasticluster#128: a change that destroyed what it changed" lets_in => nothing_else;
        "users/to-the-same-is-harmless" Basic I2 "steno#26: an action run twice" lets_in => twice;
        "users/of-another-stay" Safe I8 "elasticluster#155: members that were not in the delta" lets_in => of_another;
        "users/of-what-is-gone-make-nothing" Safe I5 "omnigent#6127: a dead id armed again" lets_in_and_dies => of_the_gone;
    };
    all.extend(lives! {
        life;
        "faults/users/request-lost" I2 "steno#26: an action of which nobody knows" lets_in => Change LostBefore, 1, 1;
        "faults/users/request-lost-three-times" I2 "steno#138: each try an unknown one" lets_in => Change LostBefore, 3, 1;
        "faults/users/answer-lost" I2 "omicron#2094: an action run twice" lets_in => Change LostAfter, 1, 1;
        "faults/users/arrives-long-after" I8 "elasticluster#155: a change that comes late" lets_in => Change Late(seconds(50)), 1, 1;
        "faults/users/never-answers" I2 "crossplane#3037: cut off in the middle" lets_in => Change Slow(FOREVER), 1, 1;
        "faults/users/delivered-twice" I8 "elasticluster#128: changed twice" lets_in => Change Twice, 1, 1;
        "faults/users/delivered-twice-and-refused" I8 "omicron#10695: an error after the commit" lets_in => Change TwiceHeardLast, 1, 1;
        "faults/users/site-away" I7 "sky#4392: a site that is away for a while" lets_in => Change AWAY, 3, 1;
        "faults/users/crash-before" I8 "tf#20718: the state is kept only at the end" lets_in => Change CrashBefore, 1, 1;
        "faults/users/crash-after" I8 "omicron#6070: done, and done again after a crash" lets_in => Change CrashAfter, 1, 1;
        "faults/users/cut-at-its-first-wait" I8 "upjet-aws#1482: killed in the middle" lets_in => Change CrashDuring(1), 1, 1;
        "faults/users/two-engines-and-an-answer-lost" I10 "tinker-cookbook#302: two that act on one" lets_in => Change LostAfter, 1, 2;
        "faults/users/stopped-before" I10 "crabbox#1291: who comes back acts on what is another's" lets_in => Change StallBefore(FOREVER), 1, 2;
    });
    all
}

impl Declared {
    /// Only what is changed in place can be changed while it runs; that this is
    /// declared with it is a check of its own.
    fn lets_in(&self) -> bool {
        self.users && self.cap.resize == Resize::InPlace
    }

    fn lets_in_and_dies(&self) -> bool {
        self.lets_in() && self.dies()
    }
}

/// Under which name a spec says who can log in.
const USERS: &str = "users";

/// Who is let in beside the sample's users.
const NAMES: [&str; 3] = ["ann", "bob", "eve"];

/// The sample's users, and these besides.
fn and<M: Model>(s: &Stage<M>, names: &[&str]) -> Vec<NodeUser> {
    let mut users = of_spec::<M>(&s.specs.sample).unwrap_or_default();
    users.extend(names.iter().map(|name| NodeUser {
        name: (*name).to_owned(),
        ssh_keys: vec![key(name)],
    }));
    users
}

/// A key as people have it, another one for each name. Before the name it says in
/// base64 of which type it is, and that 32 bytes follow; whoever reads keys takes
/// it for one.
fn key(name: &str) -> String {
    let own: String = name.chars().cycle().take(42).collect();
    format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA{own} {name}@suite")
}

/// The sample, where these can log in.
fn with<M: Model>(s: &Stage<M>, users: &[NodeUser]) -> Verdict<M::Spec> {
    let read = || {
        let mut spec = serde_json::to_value(&s.specs.sample).ok()?;
        let users = serde_json::to_value(users).ok()?;
        spec.as_object_mut()?.insert(USERS.to_owned(), users);
        serde_json::from_value(spec).ok()
    };
    read().ok_or_else(|| Finding::Broken("its spec has no place for users".to_owned()))
}

/// Who can log in by this spec.
fn of_spec<M: Model>(spec: &M::Spec) -> Option<Vec<NodeUser>> {
    let mut spec = serde_json::to_value(spec).ok()?;
    match spec.get_mut(USERS).map(Value::take) {
        None => Some(Vec::new()),
        Some(users) => serde_json::from_value(users).ok(),
    }
}

/// Who can log in, as far as anybody tells: other eyes, else the thing itself,
/// which says what it was made to be.
async fn told<M: Model>(s: &Stage<M>, seen: &Seen<M>) -> Verdict<Option<Vec<NodeUser>>> {
    if let Some(told) = s.logins(&seen.id).await? {
        return Ok(Some(told));
    }
    let cx = s.cx();
    let recalled = s.call("recall", s.backend.recall(&cx, seen)).await?;
    Ok(recalled.and_then(|recalled| of_spec::<M>(&recalled.spec)))
}

/// Nobody but these can log in, as far as anybody tells. What else a guest lets in
/// is its own: accounts that the suite does not name, by keys that it does not
/// give.
async fn are<M: Model>(s: &Stage<M>, seen: &Seen<M>, users: &[NodeUser]) -> Verdict {
    let Some(told) = told(s, seen).await? else {
        return Ok(());
    };
    let every = and(s, &NAMES);
    let ours = logins(&every);
    let mut there = logins(&told);
    there.retain(|(name, key)| ours.iter().any(|(n, k)| n == name || k == key));
    ensure!(
        there == logins(users),
        "{} is to let in {users:?}, and lets in {told:?}",
        seen.id
    );
    Ok(())
}

/// Each account with each key that opens it. A key is its type and what follows
/// that: the comment behind it opens nothing.
fn logins(users: &[NodeUser]) -> BTreeSet<(&str, Vec<&str>)> {
    let mut all = BTreeSet::new();
    for user in users {
        for key in &user.ssh_keys {
            all.insert((&*user.name, key.split_whitespace().take(2).collect()));
        }
    }
    all
}

/// Lets in these besides the sample's, and nobody else, and waits until that
/// is so.
async fn let_in<M: Model>(
    s: &Stage<M>,
    (mark, seen): &(Mark, Seen<M>),
    names: &[&str],
) -> Verdict<(Mark, Seen<M>)> {
    let users = and(s, names);
    let mark = next(mark);
    s.change(&mark, seen, &with(s, &users)?).await?;
    let seen = s.ready(&mark, &seen.id).await?;
    are(s, &seen, &users).await?;
    Ok((mark, seen))
}

fn next(mark: &Mark) -> Mark {
    Mark {
        generation: mark.generation + 1,
        ..mark.clone()
    }
}

/// Where nobody tells, whatever is accepted passes below: a person must look.
async fn told_by_somebody<M: Model>(s: &Stage<M>) -> Verdict {
    let (_, seen) = s.made().await?;
    match told(s, &seen).await? {
        Some(_) => Ok(()),
        None => Err(Finding::Held(
            "nobody tells who can log in: no other eyes, and not the thing itself".to_owned(),
        )),
    }
}

async fn changed<M: Model>(s: &Stage<M>) -> Verdict {
    let made = s.made().await?;
    are(s, &made.1, &and(s, &[])).await?;
    let (mark, seen) = let_in(s, &made, &["ann"]).await?;
    ensure!(
        seen.mark.as_ref() == Some(&mark),
        "marked {:?}, not {mark:?}",
        seen.mark
    );
    Ok(())
}

async fn taken_out<M: Model>(s: &Stage<M>) -> Verdict {
    let mut made = s.made().await?;
    for names in [&["ann", "bob"][..], &["bob"], &["bob", "eve"], &[]] {
        made = let_in(s, &made, names).await?;
    }
    Ok(())
}

async fn nothing_else<M: Model>(s: &Stage<M>) -> Verdict {
    let made = s.made().await?;
    let (mark, before) = &made;
    let before = s.closely(mark, &before.id, &s.specs.sample).await?;
    let (mark, seen) = let_in(s, &made, &["ann"]).await?;
    let spec = with(s, &and(s, &["ann"]))?;
    let after = s.closely(&mark, &seen.id, &spec).await?;
    let (before, after) = (view(before), view(after));
    ensure!(
        is_as_before(&before, &after),
        "only who logs in was changed, and it was {before:?} and is {after:?}"
    );
    let real = s.real_of(mark.resource).await?;
    ensure!(
        real.iter().map(|real| &real.id).eq([&seen.id]),
        "{} was changed while it runs, and there is {real:?}",
        seen.id
    );
    Ok(())
}

/// What is seen of a node.
fn view<M: Model>(seen: Option<Seen<M>>) -> NodeView {
    let view = seen.and_then(|seen| serde_json::to_value(seen.view?).ok());
    let view = view.and_then(|view| serde_json::from_value(view).ok());
    view.unwrap_or_default()
}

/// Whether it runs as it did, as large as it was, where it was, and is reached as
/// it was. An address that came meanwhile has nothing to do with a change.
fn is_as_before(before: &NodeView, after: &NodeView) -> bool {
    let rest = |view: &NodeView| (view.power, view.vcpus, view.memory_mib, view.host.clone());
    let reached = |view: &NodeView| -> BTreeSet<_> {
        let interfaces = view.interfaces.iter();
        interfaces.flat_map(|i| i.addresses.clone()).collect()
    };
    rest(before) == rest(after) && reached(before).is_subset(&reached(after))
}

async fn twice<M: Model>(s: &Stage<M>) -> Verdict {
    let made = s.made().await?;
    let (mark, seen) = let_in(s, &made, &["ann"]).await?;
    let users = and(s, &["ann"]);
    s.change(&mark, &seen, &with(s, &users)?).await?;
    let seen = s.ready(&mark, &seen.id).await?;
    ensure!(seen.mark.as_ref() == Some(&mark), "marked {:?}", seen.mark);
    are(s, &seen, &users).await
}

async fn of_another<M: Model>(s: &Stage<M>) -> Verdict {
    let other = s.made().await?;
    let (other, before) = let_in(s, &other, &["bob"]).await?;
    let made = s.made().await?;
    let_in(s, &made, &["ann"]).await?;
    let after = s.ready(&other, &before.id).await?;
    ensure!(
        (&after.mark, &after.stamp) == (&before.mark, &before.stamp),
        "another was changed with it: {:?} {:?}",
        after.mark,
        after.stamp
    );
    are(s, &after, &and(s, &["bob"])).await
}

async fn of_the_gone<M: Model>(s: &Stage<M>) -> Verdict {
    let (mark, seen) = s.made().await?;
    s.unmade(&mark, &seen).await?;
    let (cx, newer) = (s.cx(), next(&mark));
    let spec = with(s, &and(s, &["ann"]))?;
    let call = s.backend.change(&cx, &newer, &seen, &spec);
    match s.call("change", call).await {
        Ok(()) => ensure!(false, "somebody was let in to what is gone"),
        Err(e) => ensure!(
            e.effect() == Effect::None,
            "what lets somebody in to what is gone may have had an effect: {e}"
        ),
    }
    s.pass(s.visible()).await;
    let real = s.real_of(mark.resource).await?;
    ensure!(real.is_empty(), "letting in to what is gone made {real:?}");
    Ok(())
}

/// Made, somebody let in, destroyed; and one call suffers that lets in.
async fn life<M: Model>(s: &Stage<M>, plan: Plan) -> Verdict {
    s.play(plan.engines, async {
        let mut life = Life::begin(s).await?;
        life.there().await?;
        s.suffer(plan);
        life.want(&with(s, &and(s, &["ann"]))?).await?;
        life.there().await?;
        as_told(&life).await?;
        life.end().await?;
        ensure!(
            s.faulty.calm(),
            "nothing went wrong: the check shows nothing"
        );
        life.verdict()
    })
    .await
}

/// Where it is ready, those can log in of whom its record says so: those that
/// were wanted, or those before where the site would not.
async fn as_told<M: Model>(life: &Life<'_, M>) -> Verdict {
    let s = life.s;
    let Some(r) = life.record().await? else {
        return Ok(());
    };
    let (State::Ready, Some(id)) = (r.seen, &r.remote) else {
        return Ok(());
    };
    let mark = Mark {
        installation: s.installation.clone(),
        resource: r.id,
        incarnation: r.incarnation,
        generation: r.generation,
    };
    let seen = s.look(&mark, Some(id)).await?;
    let seen = seen.ok_or_else(|| Finding::Broken(format!("ready, and {id} is not listed")))?;
    let spec: M::Spec = r.place.spec.read()?;
    let users = of_spec::<M>(&spec).unwrap_or_default();
    ensure!(
        !r.refused.is_empty() || users == and(s, &["ann"]),
        "nobody refused it, and its record says {users:?}"
    );
    are(s, &seen, &users).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written in base64 without padding.
    fn decoded(text: &str) -> Vec<u8> {
        let six = |c: char| -> u32 {
            match c {
                'A'..='Z' => u32::from(c) - u32::from('A'),
                'a'..='z' => u32::from(c) - u32::from('a') + 26,
                '0'..='9' => u32::from(c) - u32::from('0') + 52,
                '+' => 62,
                '/' => 63,
                other => panic!("{other:?} is no base64"),
            }
        };
        let sixes: Vec<u32> = text.chars().map(six).collect();
        assert_eq!(sixes.len() % 4, 0);
        let fours = sixes.chunks(4);
        let bytes = fours.map(|four| four.iter().fold(0, |all, six| (all << 6) | six));
        bytes
            .flat_map(|three: u32| three.to_be_bytes()[1..].to_vec())
            .collect()
    }

    #[test]
    fn the_suites_keys_are_keys_to_who_reads_them() {
        let mut all = BTreeSet::new();
        for name in NAMES {
            let key = key(name);
            let [kind, blob, comment] = key.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{key}")
            };
            assert_eq!((kind, comment), ("ssh-ed25519", &*format!("{name}@suite")));
            // Its type, then 32 bytes, each with its length before it, and no more.
            let blob = decoded(blob);
            let (head, point) = blob.split_at(19);
            assert_eq!(head, b"\0\0\0\x0bssh-ed25519\0\0\0\x20");
            assert_eq!(point.len(), 32);
            all.insert(point.to_vec());
        }
        assert_eq!(all.len(), NAMES.len());
    }

    #[test]
    fn what_comes_late_is_no_change_and_a_comment_is_no_key() {
        let with = |vcpus: u32, addresses: &[&str]| -> NodeView {
            let interface = serde_json::json!({"bridge": "b", "mac": "m", "addresses": addresses});
            let view = serde_json::json!({
                "name": "n", "host": "h", "vcpus": vcpus, "memory_mib": 64,
                "power": "running", "done": 0, "interfaces": [interface],
            });
            serde_json::from_value(view).unwrap()
        };
        let (none, one) = (with(1, &[]), with(1, &["10.0.0.5/24"]));
        let two = with(1, &["10.0.0.5/24", "fd00::5/64"]);
        assert!(is_as_before(&none, &one) && is_as_before(&one, &two));
        assert!(!is_as_before(&two, &one) && !is_as_before(&one, &none));
        assert!(!is_as_before(&one, &with(2, &["10.0.0.5/24"])));

        let user = |key: &str| {
            [NodeUser {
                name: "ann".to_owned(),
                ssh_keys: vec![key.to_owned()],
            }]
        };
        let plain = user("ssh-ed25519 AAAA");
        assert_eq!(logins(&plain), logins(&user("ssh-ed25519 AAAA ann@x")));
        assert_ne!(logins(&plain), logins(&user("ssh-ed25519 AAAB")));
    }
}
