//! An appliance made of containers: core's clusters of nodes over this crate's
//! nodes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rm_core::catalog::{NewAppliance, NewCredential, NewImplementation, NewSite, Script};
use rm_core::clusters::{ClusterRequest, Reuse, Size};
use rm_core::life::State;
use rm_core::model::ClusterView;
use rm_core::nodes::MEDIA_TYPE;
use rm_core::store::By;
use rm_core::{ErrorKind, ResourceId};
use rm_vm::plugin::LXC_API;
use serde_json::{Value, json};

use crate::lab::{Lab, Program};

const MINUTE: Duration = Duration::from_secs(60);

/// What a web server says.
fn page(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect((address, 80)).unwrap();
    stream.set_read_timeout(Some(MINUTE)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    body.trim().to_owned()
}

async fn ready(program: &Program, id: ResourceId) -> ClusterView {
    let clusters = program.host.clusters();
    let cluster = clusters.settled(&program.user, id, MINUTE).await.unwrap();
    assert_eq!(
        cluster.record().seen,
        State::Ready,
        "{:#?}",
        cluster.record()
    );
    cluster.view().unwrap()
}

/// The names of the containers of a cluster.
async fn containers(program: &Program, id: ResourceId) -> Vec<String> {
    let store = program.host.store();
    let page = store.resources(&By::All, None, 100).await.unwrap();
    let parts = page
        .items
        .iter()
        .filter(|row| row.record.part_of == Some(id));
    parts
        .filter_map(|row| Some(row.record.remote.clone()?.0))
        .collect()
}

/// The appliance `web`: what answers at port 80, and says where its master is.
async fn load(program: &Program) {
    let catalog = program.host.catalog();
    let appliance = NewAppliance::new("web");
    catalog
        .add_appliance(&program.operator, appliance)
        .await
        .unwrap();
    let role = |name: &str, count: Value, command: &str| {
        json!({"name": name, "count": count, "node": {
            "image": "small", "vcpus": 1, "memory_mib": 64, "hostname": "{{role}}{{index}}",
            "boot_commands": ["mkdir -p /srv/www", command],
        }})
    };
    let body = json!({
        "roles": [
            role("master", json!(1), "echo here > /srv/www/found"),
            role("slave", json!("slaves"), "echo {{master_ip}} > /srv/www/found"),
        ],
        "master": "master",
        "ready_port": 80,
    });
    let new = NewImplementation::new("web", LXC_API, MEDIA_TYPE, &body.to_string());
    catalog
        .add_implementation(&program.operator, new)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appliance_becomes_containers_that_serve_shrink_and_go() {
    let Some(lab) = Lab::find("an_appliance_becomes_containers_that_serve_shrink_and_go") else {
        return;
    };
    let program = Program::on(&lab).await;
    load(&program).await;

    let request = ClusterRequest {
        reuse: Reuse::Never,
        ..ClusterRequest::of("web", 2)
    };
    let clusters = program.host.clusters();
    let made = clusters.create(&program.user, &request).await.unwrap();
    let id = made.cluster.id();
    let view = ready(&program, id).await;
    let master = view.address.unwrap();
    assert_eq!(view.hosts.len(), 3);
    assert_eq!(page(&master, "/cgi-bin/whoami"), "master1");
    assert_eq!(page(&master, "/found"), "here");
    for slave in &view.hosts[1..] {
        assert_eq!(slave.role, "slave");
        let found = lab_page(slave.address.as_deref().unwrap()).await;
        assert_eq!(found, master, "a slave knows its master");
    }
    let before = containers(&program, id).await;
    assert_eq!(before.len(), 3);

    clusters
        .resize(&program.user, id, Size::To(1))
        .await
        .unwrap();
    let view = ready(&program, id).await;
    assert_eq!(view.address.as_deref(), Some(&*master));
    assert_eq!(view.hosts.len(), 2);
    assert_eq!(page(&master, "/found"), "here");

    let cluster = clusters.get(&program.user, id).await.unwrap();
    cluster.release(&program.user, None).await.unwrap();
    assert!(clusters.gone(&program.user, id, MINUTE).await.unwrap());
    for name in before {
        assert!(!lab.path.join(&name).exists(), "{name} is left");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_store_gets_an_appliance_back_from_its_containers() {
    let Some(lab) = Lab::find("a_lost_store_gets_an_appliance_back_from_its_containers") else {
        return;
    };
    let first = Program::on(&lab).await;
    load(&first).await;
    let request = ClusterRequest {
        reuse: Reuse::Never,
        name: Some("the thesis".to_owned()),
        lease: Some(60 * MINUTE),
        ..ClusterRequest::of("web", 1)
    };
    let clusters = first.host.clusters();
    let made = clusters.create(&first.user, &request).await.unwrap();
    let id = made.cluster.id();
    let was = ready(&first, id).await;
    let mut before = containers(&first, id).await;
    let installation = first.installation.clone();
    drop(first);

    let second = Program::of(&lab, &installation).await;
    load(&second).await;
    let rebuild = second.host.rebuild();
    let rebuilt = rebuild.run(&second.operator, true).await.unwrap();
    assert_eq!(
        (rebuilt.restored.len(), rebuilt.left.len()),
        (3, 0),
        "{rebuilt:#?}"
    );
    let whole = rebuilt.restored.iter().find(|r| r.resource == id).unwrap();
    assert_eq!(whole.until, made.cluster.record().holds[0].until);
    let now = ready(&second, id).await;
    assert_eq!((&now.address, &now.hosts), (&was.address, &was.hosts));
    let mut after = containers(&second, id).await;
    before.sort();
    after.sort();
    assert_eq!(after, before, "none is made anew");

    let clusters = second.host.clusters();
    let cluster = clusters.get(&second.user, id).await.unwrap();
    assert_eq!(cluster.record().name, "the thesis");
    cluster.release(&second.user, None).await.unwrap();
    assert!(clusters.gone(&second.user, id, MINUTE).await.unwrap());
    for name in before {
        assert!(!lab.path.join(&name).exists(), "{name} is left");
    }
}

/// What a slave says it found, as soon as it serves.
async fn lab_page(address: &str) -> String {
    for _ in 0..100 {
        if TcpStream::connect((address, 80)).is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    page(address, "/found")
}

/// Waits until a node tells that at that path.
async fn until_told(address: &str, path: &str, wanted: &str) {
    let mut told = String::new();
    for _ in 0..600 {
        if TcpStream::connect((address, 80)).is_ok() {
            told = page(address, path);
        }
        if told == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{address} tells {told:?} and not {wanted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_run_in_containers_with_the_environment_that_the_software_declares() {
    let Some(lab) = Lab::find("scripts_run_in_containers_with_the_environment") else {
        return;
    };
    let program = Program::on(&lab).await;
    let catalog = program.host.catalog();
    let new = NewAppliance::new("scripted");
    let appliance = catalog.add_appliance(&program.operator, new).await.unwrap();
    let role = |name: &str, count: Value| {
        let node = json!({"image": "small", "vcpus": 1, "memory_mib": 64});
        json!({"name": name, "count": count, "node": node})
    };
    let body = json!({
        "roles": [role("master", json!(1)), role("slave", json!("slaves"))],
        "master": "master", "ready_port": 80,
    });
    let script = |name: &str, action: &str, code: &str| Script {
        name: name.to_owned(),
        action: action.to_owned(),
        code: code.to_owned(),
    };
    let mut new = NewImplementation::new("scripted", LXC_API, MEDIA_TYPE, &body.to_string());
    new.scripts = vec![
        script(
            "tell it",
            "configure_node",
            "echo \"$PYTHON|$MASTER|$OPTIONS|$WHO\" > /srv/www/told\necho \"told\" >> $STEPS\n",
        ),
        script(
            "room.sh",
            "prepare_node",
            "#!/bin/sh\nmkdir -p /srv/www\necho 'made room' >> $STEPS\nexit 1\n",
        ),
    ];
    for (name, value) in [
        ("PYTHON", json!("3.12 isn't \"2\"")),
        ("MASTER", json!("{{master_ip}}")),
        ("OPTIONS", json!({"a": [1]})),
        ("WHO", json!("{{role}} {{index}}")),
        ("STEPS", json!("/srv/www/steps")),
    ] {
        new.environment.insert(name.to_owned(), value);
    }

    let mut late = new.clone();
    late.scripts
        .push(script("join.sh", "update_master_node", "true"));
    let e = catalog.add_implementation(&program.operator, late).await;
    assert_eq!(e.unwrap_err().stable_code(), "script-never-runs");
    let kept = catalog.implementations_of(appliance.id).await.unwrap();
    assert!(kept.is_empty(), "{kept:?}");
    catalog
        .add_implementation(&program.operator, new)
        .await
        .unwrap();

    let clusters = program.host.clusters();
    let request = ClusterRequest::of("scripted", 1);
    let made = clusters.create(&program.user, &request).await.unwrap();
    let id = made.cluster.id();
    for slaves in [1, 2] {
        clusters
            .resize(&program.user, id, Size::To(slaves))
            .await
            .unwrap();
        let view = ready(&program, id).await;
        let master = view.address.unwrap();
        assert_eq!(view.hosts.len(), 1 + slaves as usize);
        for (at, host) in view.hosts.iter().enumerate() {
            let address = host.address.as_deref().unwrap();
            let (known, who) = match at {
                0 => ("", "master 1".to_owned()),
                n => (&*master, format!("slave {n}")),
            };
            let told = format!("3.12 isn't \"2\"|{known}|{{\"a\":[1]}}|{who}");
            until_told(address, "/told", &told).await;
            until_told(address, "/steps", "made room\ntold").await;
        }
    }
    let cluster = clusters.get(&program.user, id).await.unwrap();
    cluster.release(&program.user, None).await.unwrap();
    assert!(clusters.gone(&program.user, id, MINUTE).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hosts_the_one_with_room_is_chosen_and_none_is_given_away_twice() {
    let Some(lab) = Lab::find("of_two_hosts_the_one_with_room_is_chosen") else {
        return;
    };
    // One address here, and three at the other.
    let (here, there) = (lab.apart("rm-here"), lab.apart("rm-there"));
    let mut place = here.place().with_last([251, 251]);
    let other = there.place().with_last([252, 254]);
    place.section["sites"]["there"] = other.section["sites"]["lab"].clone();
    let program = Program::on(place).await;
    let catalog = program.host.catalog();
    let site = NewSite::new("there", LXC_API, &other.url);
    catalog.add_site(&program.operator, site).await.unwrap();
    let means = NewCredential::new("there", "there", json!({}));
    catalog.add_credential(&program.user, means).await.unwrap();
    load(&program).await;

    let clusters = program.host.clusters();
    let ask = async |slaves: u32| {
        let request = ClusterRequest {
            reuse: Reuse::Never,
            ..ClusterRequest::of("web", slaves)
        };
        clusters.create(&program.user, &request).await
    };
    let two = ask(1).await.unwrap();
    let told = &two.considered;
    assert_eq!(told[0].site, "there", "{told:?}");
    let passed = told.iter().find(|c| c.site == "lab").unwrap();
    assert_eq!(passed.verdict, "refused", "{told:?}");
    assert!(passed.why.contains("room for 1"), "{told:?}");
    let two = two.cluster.id();
    ready(&program, two).await;

    // One more finds room at each, whichever is asked first.
    let (first, second) = tokio::join!(ask(0), ask(0));
    let mut all = vec![two];
    let mut at = Vec::new();
    for one in [first.unwrap(), second.unwrap()] {
        let id = one.cluster.id();
        ready(&program, id).await;
        let record = clusters.get(&program.user, id).await.unwrap();
        at.push(record.record().place.site_name.clone());
        all.push(id);
    }
    at.sort_unstable();
    assert_eq!(at, ["lab", "there"]);
    let full = ask(0).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::NoCapacity, "{full}");
    assert_eq!((here.marked().len(), there.marked().len()), (1, 3));
    for id in all {
        let cluster = clusters.get(&program.user, id).await.unwrap();
        cluster.release(&program.user, None).await.unwrap();
    }
    let gone = async {
        while here.marked().len() + there.marked().len() > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(MINUTE, gone).await.unwrap();
}
