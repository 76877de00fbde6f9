//! The life of a node, as its owner and somebody at the host see it.

use std::time::Duration;

use rm_core::env::Env;
use rm_core::life::{State, Wanted};
use rm_core::model::{Action, Interface, NodeUser, Power};
use rm_core::{Caller, ErrorKind};

use crate::house;
use crate::lab::{Lab, Program, RealEnv};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_made_stopped_started_changed_and_destroyed() {
    let Some(lab) = Lab::find("a_node_is_made_stopped_started_changed_and_destroyed") else {
        return;
    };
    let p = Program::on(&lab).await;
    let mut spec = lab.spec();
    spec.hostname = Some("first".to_owned());
    spec.ready_port = Some(80);
    let (id, name) = p.node(spec).await;
    let view = p.get(id).await.view().unwrap();
    let address = view.interfaces[0].addresses[0];
    assert_eq!(lab.state(&name), "RUNNING");
    assert_eq!(lab.inside(&name, "hostname"), "first");
    let inside = lab.inside(&name, "ip address show dev eth0");
    assert!(inside.contains(&address.to_string()), "{inside}");
    assert!(inside.contains(&view.interfaces[0].mac), "{inside}");
    assert!(RealEnv.reaches(&address.ip.to_string(), 80).await);

    let node = p.get(id).await.stop(&p.user).await.unwrap();
    assert_eq!(node.record().wanted, Wanted::Stopped);
    let node = p.ready(id).await;
    assert_eq!(lab.state(&name), "STOPPED");
    assert_eq!(node.view().unwrap().power, Power::Stopped);
    assert!(!node.is_ready(), "what is stopped is of no use");
    let twice = node.stop(&p.user).await.unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Busy);

    node.start(&p.user).await.unwrap();
    let node = p.ready(id).await;
    assert_eq!(lab.state(&name), "RUNNING");
    assert_eq!(
        node.view().unwrap().interfaces,
        view.interfaces,
        "it keeps its addresses"
    );

    let grow = |spec: &mut rm_core::model::NodeSpec| {
        spec.memory_mib = 128;
        spec.vcpus = 2;
        Ok(())
    };
    let pid = lab.tool("lxc-info", &name, &["-p", "-H"]);
    node.change(&p.user, grow).await.unwrap();
    let node = p.ready(id).await;
    assert_eq!(node.view().unwrap().memory_mib, 128);
    assert_eq!(
        lab.tool("lxc-info", &name, &["-p", "-H"]),
        pid,
        "changed while it ran"
    );
    let key = if std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        "memory.max"
    } else {
        "memory.limit_in_bytes"
    };
    assert_eq!(
        lab.tool("lxc-cgroup", &name, &[key]).trim(),
        (128 << 20).to_string()
    );

    p.end(id).await;
    assert!(!lab.path.join(&name).exists());
    assert!(!lab.marked().iter().any(|(_, mark)| mark.resource == id));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_reserved_is_made_when_it_is_started() {
    let Some(lab) = Lab::find("what_is_reserved_is_made_when_it_is_started") else {
        return;
    };
    let p = Program::on(&lab).await;
    let id = p.ask(lab.spec(), true).await.unwrap();
    let (other, _) = p.node(lab.spec()).await;
    let node = p.get(id).await;
    assert_eq!(
        (node.record().wanted, node.record().seen),
        (Wanted::Reserved, State::Nothing)
    );
    assert!(!lab.marked().iter().any(|(_, mark)| mark.resource == id));
    node.start(&p.user).await.unwrap();
    let node = p.ready(id).await;
    assert_eq!(lab.state(&node.view().unwrap().name), "RUNNING");
    p.end(id).await;
    p.end(other).await;
    let kept = p.ask(lab.spec(), true).await.unwrap();
    p.end(kept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_born_with_users_keys_commands_and_an_address_that_was_asked_for() {
    let Some(lab) = Lab::find("a_node_is_born_with_users_keys_commands") else {
        return;
    };
    let p = Program::on(&lab).await;
    let (first, name) = p.node(lab.spec()).await;
    let taken = p.get(first).await.view().unwrap().interfaces[0].addresses[0];
    let mut spec = lab.spec();
    spec.interfaces = vec![Interface {
        addresses: vec![taken],
        ..Interface::default()
    }];
    let refused = p.ask(spec.clone(), false).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    p.end(first).await;
    assert!(!lab.path.join(name).exists());

    spec.users = vec![NodeUser {
        name: "ann".to_owned(),
        ssh_keys: vec!["ssh-ed25519 AAAAC3 ann@example".to_owned()],
    }];
    spec.boot_commands = vec!["echo it is \"$(hostname)\" > /born".to_owned()];
    spec.hostname = Some("born".to_owned());
    spec.user_data = "#!/bin/sh\necho 'its own: <&\"> ' >/its-own\n".to_owned();
    let own = spec.user_data.clone();
    let (id, name) = p.node(spec).await;
    assert_eq!(
        p.get(id).await.view().unwrap().interfaces[0].addresses,
        [taken]
    );
    assert_eq!(
        lab.inside(&name, "cat /home/ann/.ssh/authorized_keys"),
        "ssh-ed25519 AAAAC3 ann@example"
    );
    assert_eq!(
        lab.inside(&name, "stat -c %U:%a /home/ann/.ssh/authorized_keys"),
        "ann:600"
    );
    let born = "for i in $(seq 100); do [ -s /born ] && break; sleep 0.3; done; cat /born";
    assert_eq!(lab.inside(&name, born), "it is born");
    let seed = "/var/lib/cloud/seed/nocloud";
    let there = lab.inside(&name, &format!("cat {seed}/user-data"));
    assert_eq!(there, own.trim());
    let meta = lab.inside(&name, &format!("cat {seed}/meta-data"));
    assert!(meta.contains("local-hostname: born"), "{meta}");
    let ran = "for i in $(seq 100); do [ -s /its-own ] && break; sleep 0.3; done; cat /its-own";
    assert_eq!(lab.inside(&name, ran), "its own: <&\">");
    p.end(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_logs_in_to_a_node_is_changed_while_it_runs() {
    let Some(lab) = Lab::find("who_logs_in_to_a_node_is_changed_while_it_runs") else {
        return;
    };
    let p = Program::on(&lab).await;
    let user = |name: &str, key: &str| NodeUser {
        name: name.to_owned(),
        ssh_keys: vec![format!("ssh-ed25519 {key} {name}@example")],
    };
    let mut spec = lab.spec();
    spec.users = vec![user("ann", "AAAA")];
    let (id, name) = p.node(spec).await;
    let pid = lab.tool("lxc-info", &name, &["-p", "-H"]);
    lab.inside(&name, "echo own >> /home/ann/.ssh/authorized_keys");
    let now = [user("ann", "BBBB"), user("bob", "CCCC")];
    let change = |spec: &mut rm_core::model::NodeSpec| {
        spec.users = now.to_vec();
        Ok(())
    };
    p.get(id).await.change(&p.user, change).await.unwrap();
    let node = p.ready(id).await;
    assert_eq!(node.record().reason, "");
    let keys = |of: &str| lab.inside(&name, &format!("cat /home/{of}/.ssh/authorized_keys"));
    assert_eq!(keys("ann"), "own\nssh-ed25519 BBBB ann@example");
    assert_eq!(keys("bob"), "ssh-ed25519 CCCC bob@example");
    assert_eq!(
        lab.inside(&name, "stat -c %U:%a /home/bob/.ssh/authorized_keys"),
        "bob:600"
    );
    assert_eq!(lab.tool("lxc-info", &name, &["-p", "-H"]), pid);
    // What is to stop stops, whoever is to log in to it then.
    let stopped = |spec: &mut rm_core::model::NodeSpec| {
        spec.users = Vec::new();
        spec.power = Power::Stopped;
        Ok(())
    };
    p.get(id).await.change(&p.user, stopped).await.unwrap();
    let node = p.ready(id).await;
    assert_eq!(node.spec().unwrap().users, []);
    assert_eq!(lab.state(&name), "STOPPED");
    p.end(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_once_is_done_once_and_told() {
    let Some(lab) = Lab::find("what_is_asked_for_once_is_done_once_and_told") else {
        return;
    };
    let p = Program::on(&lab).await;
    let (id, name) = p.node(lab.spec()).await;
    let ask = |action: Action| {
        let p = &p;
        async move {
            let node = p.get(id).await;
            let done = node.view().unwrap().done;
            let ask =
                |spec: &mut rm_core::model::NodeSpec| spec.ask(action.clone(), done).map(|_| ());
            node.change(&p.user, ask).await.unwrap();
            p.settled(id).await
        }
    };
    let pid = || lab.tool("lxc-info", &name, &["-p", "-H"]);
    lab.inside(&name, "echo one > /file");
    let before = pid();
    assert_eq!(ask(Action::Reboot).await.view().unwrap().done, 1);
    assert_ne!(pid(), before);
    assert_eq!(lab.inside(&name, "cat /file"), "one");

    let node = ask(Action::Snapshot("clean".to_owned())).await;
    assert_eq!(node.view().unwrap().snapshots, ["clean"]);
    lab.inside(&name, "echo two > /file; echo more > /other");
    ask(Action::Restore("clean".to_owned())).await;
    assert_eq!(
        lab.inside(&name, "cat /file; ls /other >/dev/null 2>&1 || echo none"),
        "one\nnone"
    );
    let node = ask(Action::Reimage).await;
    assert_eq!(node.view().unwrap().done, 4);
    assert_eq!(
        lab.inside(&name, "ls /file >/dev/null 2>&1 || echo none"),
        "none"
    );
    assert_eq!(lab.state(&name), "RUNNING");

    // A request that cannot be is refused, and what is there stays.
    let node = ask(Action::Restore("never".to_owned())).await;
    assert_eq!(node.record().seen, State::Ready);
    assert!(
        node.record().reason.contains("no snapshot"),
        "{}",
        node.record().reason
    );
    assert_eq!(node.view().unwrap().done, 4);
    p.end(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_node_stands_still_and_goes_on() {
    let Some(lab) = Lab::find("a_suspended_node_stands_still_and_goes_on") else {
        return;
    };
    let p = Program::on(&lab).await;
    let (id, name) = p.node(lab.spec()).await;
    let turn = |power: Power| {
        move |spec: &mut rm_core::model::NodeSpec| {
            spec.power = power;
            Ok(())
        }
    };
    p.get(id)
        .await
        .change(&p.user, turn(Power::Suspended))
        .await
        .unwrap();
    let node = p.ready(id).await;
    assert_eq!(lab.state(&name), "FROZEN");
    assert_eq!(node.view().unwrap().power, Power::Suspended);
    node.start(&p.user).await.unwrap();
    p.ready(id).await;
    assert_eq!(lab.state(&name), "RUNNING");
    p.get(id)
        .await
        .change(&p.user, turn(Power::Suspended))
        .await
        .unwrap();
    p.ready(id).await;
    // What stands still can be destroyed.
    p.end(id).await;
    assert!(!lab.path.join(&name).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_behind_our_back_is_seen_and_mended_when_asked() {
    let Some(lab) = Lab::find("what_happens_behind_our_back_is_seen_and_mended_when_asked") else {
        return;
    };
    let p = Program::on(&lab).await;
    let (id, name) = p.node(lab.spec()).await;
    lab.tool("lxc-stop", &name, &["-k"]);
    let failed = async {
        loop {
            let node = p.get(id).await;
            if node.record().seen == State::Failed {
                return node;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let node = tokio::time::timeout(std::time::Duration::from_secs(30), failed)
        .await
        .unwrap();
    assert!(
        node.record().reason.contains("not by our doing"),
        "{}",
        node.record().reason
    );
    node.retry(&p.user).await.unwrap();
    p.ready(id).await;
    assert_eq!(lab.state(&name), "RUNNING");
    p.end(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_of_one_link_reach_each_other_and_nobody_else_does() {
    let Some(lab) = Lab::find("the_nodes_of_one_link_reach_each_other") else {
        return;
    };
    // Of its own, so that nobody else's bridges are counted.
    let lab = lab.apart("linked");
    let p = Program::on(&lab).await;
    let on = |link: &str, address: &str| {
        let mut spec = lab.spec();
        let end = Interface {
            link: Some(link.to_owned()),
            addresses: vec![address.parse().unwrap()],
            ..Interface::default()
        };
        spec.interfaces = vec![Interface::default(), end];
        spec
    };
    let (first, a) = p.node(on("slice lan", "10.9.0.1/24")).await;
    let (second, _) = p.node(on("slice lan", "10.9.0.2/24")).await;
    let (third, c) = p.node(on("slice other", "10.9.0.2/24")).await;
    let reaches = |from: &str, to: &str| {
        let ping = format!("ping -c 1 -W 5 {to} >/dev/null 2>&1 && echo yes || echo no");
        lab.inside(from, &ping)
    };
    assert_eq!(reaches(&a, "10.9.0.2"), "yes");
    assert_eq!(reaches(&c, "10.9.0.1"), "no");
    let refused = p.ask(on("slice lan", "10.9.0.2/24"), false).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(bridges(&lab.path).len(), 2);
    p.end(second).await;
    assert_eq!(bridges(&lab.path).len(), 2, "one is still on the link");
    p.end(first).await;
    p.end(third).await;
    assert_eq!(bridges(&lab.path), [] as [String; 0]);
}

/// The bridges of this machine that say that they are of this path.
fn bridges(path: &std::path::Path) -> Vec<String> {
    let own = format!("resource-manager:{}", path.display());
    let all = std::fs::read_dir("/sys/class/net").unwrap();
    let named = all.filter_map(|e| e.unwrap().file_name().into_string().ok());
    let said = |name: &String| std::fs::read_to_string(format!("/sys/class/net/{name}/ifalias"));
    named
        .filter(|name| said(name).is_ok_and(|alias| alias.trim() == own))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_holder_reads_the_console_of_a_node_and_nobody_else() {
    let Some(lab) = Lab::find("its_holder_reads_the_console_of_a_node") else {
        return;
    };
    let p = Program::on(&lab).await;
    let (id, name) = p.node(lab.spec()).await;
    let node = p.get(id).await;
    let said = async |most| {
        let said = node.console(&p.user, most).await.unwrap();
        String::from_utf8_lossy(&said).into_owned()
    };
    let ready = async {
        while !said(4096).await.contains(&format!("{name} is ready")) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let soon = Duration::from_secs(20);
    tokio::time::timeout(soon, ready).await.unwrap();
    assert_eq!(said(5).await.len(), 5, "no more than was asked for");
    let beside = Caller::user("bob", "physics");
    let refused = node.console(&beside, 4096).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Forbidden);
    let stranger = Caller::user("eve", "chemistry");
    let hidden = node.console(&stranger, 4096).await.unwrap_err();
    assert_eq!(hidden.kind(), ErrorKind::NotFound);
    p.end(id).await;
}

/// A guest that ends by itself when it is asked to leaves word of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_asked_to_stop_before_it_is_stopped_hard() {
    let Some(lab) = Lab::find("a_guest_is_asked_to_stop_before_it_is_stopped_hard") else {
        return;
    };
    let p = Program::on(&lab).await;
    let mut spec = lab.spec();
    spec.ready_port = Some(80);
    // From its second start on.
    spec.boot_commands = vec![house::TELLS.to_owned()];
    let (id, name) = p.node(spec).await;
    let told = lab.path.join(&name).join("overlay/delta/told");
    p.get(id).await.stop(&p.user).await.unwrap();
    p.ready(id).await;
    p.get(id).await.start(&p.user).await.unwrap();
    p.ready(id).await;
    let _ = std::fs::remove_file(&told);
    p.get(id).await.stop(&p.user).await.unwrap();
    p.ready(id).await;
    assert_eq!(lab.state(&name), "STOPPED");
    assert!(told.exists(), "it was not asked");
    p.end(id).await;
}
