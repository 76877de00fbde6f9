//! What a kind of host cannot do, asked of a node on it.

use rm_core::ErrorKind;
use rm_core::life::State;
use rm_core::model::{Action, Interface, NodeSpec, Power, Request, Shaping};

use crate::house::Program;
use crate::lab::{Lab, storage};

type Edit = fn(&mut NodeSpec);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_containers_of_libvirt_cannot_do_is_refused_and_what_runs_goes_on() {
    let Some(lab) = Lab::of_this_run("what_containers_of_libvirt_cannot_do_is_refused") else {
        return;
    };
    let folder = storage(&lab);
    let p = Program::on(lab.place("lxc", folder.path(), [75, 79])).await;
    let (id, _) = p.node(p.place.spec()).await;
    let asks: [Edit; 4] = [
        |s| {
            s.requests = vec![Request {
                number: 1,
                action: Action::Snapshot("a".to_owned()),
            }]
        },
        |s| {
            s.interfaces = vec![Interface {
                link: Some("lan".to_owned()),
                shaping: Some(Shaping {
                    capacity_kbps: Some(1000),
                    ..Shaping::default()
                }),
                ..Interface::default()
            }]
        },
        |s| {
            s.interfaces = vec![Interface {
                vlan: Some(10),
                ..Interface::default()
            }]
        },
        |s| s.disk_gib = Some(1),
    ];
    for (at, edit) in asks.iter().enumerate() {
        let mut spec = p.place.spec();
        edit(&mut spec);
        let refused = p.ask(spec, false).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported, "{at}: {refused}");
        assert!(refused.next().is_some(), "{at}: {refused}");
    }
    let node = p.get(id).await;
    let more = |power: Power| {
        move |spec: &mut NodeSpec| {
            spec.vcpus = 2;
            spec.power = power;
            Ok(())
        }
    };
    node.change(&p.user, more(Power::Running)).await.unwrap();
    let node = p.settled(id).await;
    let r = node.record();
    assert_eq!(r.seen, State::Ready, "{r:#?}");
    assert!(r.reason.contains("processors of what runs"), "{}", r.reason);
    assert!(node.is_ready(), "it runs as before");
    node.change(&p.user, more(Power::Stopped)).await.unwrap();
    let view = p.ready(id).await.view().unwrap();
    assert_eq!((view.vcpus, view.power), (2, Power::Stopped));
    p.end(id).await;
}
