//! Who logs in to what runs, where its guest does not take it, or only a part.

use std::time::Duration;

use rm_core::ResourceId;
use rm_core::model::{Action, NodeSpec, NodeUser, Power, Request};

use crate::lab::{Lab, Program};

fn user(name: &str, key: &str) -> NodeUser {
    NodeUser {
        name: name.to_owned(),
        ssh_keys: vec![format!("ssh-ed25519 {key}")],
    }
}

/// A node into which ann is let in with the key `old`, and how it is called.
async fn with_ann(lab: &Lab, p: &Program) -> (ResourceId, String) {
    let mut spec = lab.spec();
    spec.users = vec![user("ann", "old")];
    p.node(spec).await
}

async fn ask(p: &Program, id: ResourceId, users: &[NodeUser]) {
    let change = |spec: &mut NodeSpec| {
        spec.users = users.to_vec();
        Ok(())
    };
    p.get(id).await.change(&p.user, change).await.unwrap();
}

/// All keys that let in, and what lies beside them.
fn keys(lab: &Lab, name: &str) -> String {
    let all = "for f in /home/*/.ssh/*; do echo \"$f: $(cat \"$f\")\"; done";
    let told = lab.inside(name, all);
    told.replace("/.ssh/authorized_keys", "")
        .replace("/home/", "")
        .replace("ssh-ed25519 ", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn users_that_a_guest_cannot_take_are_refused_as_a_whole_with_what_to_do() {
    let Some(lab) = Lab::find("users_that_a_guest_cannot_take_are_refused") else {
        return;
    };
    let p = Program::on(&lab).await;
    let (id, name) = with_ann(&lab, &p).await;
    let now = [user("ann", "new"), user("bob", "k3"), user("cid", "k4")];
    let full = "mkdir -p /home/bob && mount -t tmpfs -o size=4k tmpfs /home/bob && \
                mkdir /home/bob/.ssh; echo 1 > /home/bob/full";
    let only = "mount --bind /etc /etc && mount -o remount,ro,bind /etc";
    for (fault, reason, advice, cure) in [
        (
            full,
            "has no room on its disk",
            "delete something in it, and ask again",
            "umount /home/bob; rmdir /home/bob",
        ),
        (
            only,
            "does not let /etc or a user's home be written",
            "make them writable in it",
            "umount /etc",
        ),
        (
            "mv /etc/passwd /etc/away",
            "there is no /etc/passwd",
            "use another image",
            "mv /etc/away /etc/passwd",
        ),
    ] {
        assert_eq!(lab.inside(&name, fault), "");
        ask(&p, id, &now).await;
        let node = p.settled(id).await;
        let told = &node.record().reason;
        assert!(told.contains(reason) && told.contains(advice), "{told}");
        // What was there is wanted again, and it is all that is there.
        assert!(node.is_ready(), "{node:?}");
        assert_eq!(node.spec().unwrap().users, [user("ann", "old")]);
        assert_eq!(lab.inside(&name, cure), "");
        assert_eq!(keys(&lab, &name), "ann: old");
        assert_eq!(lab.inside(&name, "grep -c bob /etc/passwd"), "0");
    }
    ask(&p, id, &now).await;
    let node = p.ready(id).await;
    assert_eq!(node.record().reason, "");
    assert_eq!(keys(&lab, &name), "ann: new\nbob: k3\ncid: k4");
    p.end(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_whom_a_part_came_in_are_all_let_in_later_or_go_again() {
    let Some(lab) = Lab::find("users_of_whom_a_part_came_in") else {
        return;
    };
    let p = Program::on(&lab).await;
    for goes_back in [false, true] {
        let (id, name) = with_ann(&lab, &p).await;
        // The last of all steps fails: nothing takes the place of what is mounted.
        let fault = "cd /home; mkdir -p bob/.ssh; cd bob/.ssh; touch authorized_keys; \
                     mount --bind authorized_keys authorized_keys";
        assert_eq!(lab.inside(&name, fault), "");
        ask(&p, id, &[user("ann", "new"), user("bob", "k3")]).await;
        let told = async {
            loop {
                let node = p.get(id).await;
                if node.record().reason.contains("a part at most") {
                    return node;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let soon = Duration::from_secs(30);
        let node = tokio::time::timeout(soon, told).await.unwrap();
        assert_eq!(node.spec().unwrap().users.len(), 2, "it stays wanted");
        assert!(!node.is_ready(), "{node:?}");
        assert!(keys(&lab, &name).starts_with("ann: new\n"));
        let whole = match goes_back {
            true => {
                ask(&p, id, &[user("ann", "old")]).await;
                "ann: old\nbob:"
            }
            false => "ann: new\nbob: k3",
        };
        assert_eq!(
            lab.inside(&name, "umount /home/bob/.ssh/authorized_keys"),
            ""
        );
        p.ready(id).await;
        assert_eq!(keys(&lab, &name), whole);
        let record = std::fs::read_to_string(lab.path.join(&name).join("rm.json")).unwrap();
        assert!(!record.contains("maybe"), "{record}");
        p.end(id).await;
    }
}

/// Asks for another power, and waits until it has that.
async fn bring(p: &Program, id: ResourceId, power: Power) {
    let change = |spec: &mut NodeSpec| {
        spec.power = power;
        Ok(())
    };
    p.get(id).await.change(&p.user, change).await.unwrap();
    let node = p.ready(id).await;
    assert_eq!(node.view().unwrap().power, power);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_a_node_stops_it_whoever_was_to_log_in() {
    let Some(lab) = Lab::find("who_stops_a_node_stops_it_whoever_was_to_log_in") else {
        return;
    };
    let p = Program::on(&lab).await;
    let (id, name) = with_ann(&lab, &p).await;
    for (power, state, old, new) in [
        (Power::Stopped, "STOPPED", "old", "new"),
        (Power::Suspended, "FROZEN", "new", "newer"),
    ] {
        // Others are wanted, and before they are let in it is to stand still.
        let change = |spec: &mut NodeSpec| {
            spec.users = vec![user("ann", new)];
            spec.power = power;
            Ok(())
        };
        p.get(id).await.change(&p.user, change).await.unwrap();
        let node = p.ready(id).await;
        assert_eq!(node.spec().unwrap().users, [user("ann", new)]);
        assert_eq!(lab.state(&name), state);
        // They are let in with the next start, and the others out.
        bring(&p, id, Power::Running).await;
        assert_eq!(keys(&lab, &name), format!("ann: {new}"), "after {old}");
    }
    // Of those who are half let in neither.
    let fault = "cd /home; mkdir -p bob/.ssh; cd bob/.ssh; touch authorized_keys; \
                 mount --bind authorized_keys authorized_keys";
    assert_eq!(lab.inside(&name, fault), "");
    ask(&p, id, &[user("ann", "last"), user("bob", "k3")]).await;
    let half = async {
        while !p.get(id).await.record().reason.contains("a part at most") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let soon = Duration::from_secs(30);
    tokio::time::timeout(soon, half).await.unwrap();
    bring(&p, id, Power::Stopped).await;
    assert_eq!(lab.state(&name), "STOPPED");
    // What was mounted is not any more.
    bring(&p, id, Power::Running).await;
    assert_eq!(keys(&lab, &name), "ann: last\nbob: k3");
    p.end(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_back_to_a_snapshot_lets_nobody_in_again() {
    let Some(lab) = Lab::find("who_goes_back_to_a_snapshot_lets_nobody_in_again") else {
        return;
    };
    let p = Program::on(&lab).await;
    let (id, name) = with_ann(&lab, &p).await;
    let act = async |number, action: Action| {
        let change = |spec: &mut NodeSpec| {
            let action = action.clone();
            spec.requests.push(Request { number, action });
            Ok(())
        };
        p.get(id).await.change(&p.user, change).await.unwrap();
        p.ready(id).await;
    };
    act(1, Action::Snapshot("s".to_owned())).await;
    for users in [
        vec![user("ann", "new"), user("bob", "k1")],
        vec![user("ann", "newer")],
    ] {
        ask(&p, id, &users).await;
        p.ready(id).await;
    }
    act(2, Action::Snapshot("t".to_owned())).await;
    ask(&p, id, &[user("cid", "k2")]).await;
    p.ready(id).await;
    for (number, snapshot) in [(3, "s"), (4, "t"), (5, "s")] {
        act(number, Action::Restore(snapshot.to_owned())).await;
        let keys = keys(&lab, &name);
        let all = keys.lines().map(str::trim_end);
        let let_in: Vec<&str> = all.filter(|line| !line.ends_with(':')).collect();
        assert_eq!(let_in, ["cid: k2"], "{snapshot}");
    }
    p.end(id).await;
}
