//! Several interfaces of one node: each on a bridge, in a VLAN, or on a link.

use rm_core::ErrorKind;
use rm_core::life::State;
use rm_core::model::{Interface, NodeSpec, Power};

use crate::lab::{Lab, Program};

/// An interface in this VLAN.
fn in_vlan(number: u16) -> Interface {
    Interface {
        vlan: Some(number),
        ..Interface::default()
    }
}

fn with(lab: &Lab, interfaces: Vec<Interface>) -> NodeSpec {
    NodeSpec {
        interfaces,
        ..lab.spec()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_knows_the_addresses_of_all_its_interfaces_before_it_starts() {
    let Some(lab) = Lab::find("a_node_knows_the_addresses_of_all_its_interfaces") else {
        return;
    };
    let p = Program::on(lab.place_with_vlans()).await;
    let link = Interface {
        link: Some("lan".to_owned()),
        addresses: vec!["10.9.0.7/24".parse().unwrap()],
        ..Interface::default()
    };
    let mut spec = with(&lab, vec![Interface::default(), in_vlan(10), link]);
    spec.power = Power::Stopped;
    let id = p.ask(spec, false).await.unwrap();
    let view = p.ready(id).await.view().unwrap();
    assert_eq!(lab.state(&view.name), "STOPPED");
    let [usual, vlan, link] = &view.interfaces[..] else {
        panic!("{view:#?}");
    };
    assert_eq!((&*usual.bridge, usual.vlan), (lab.fact("/bridge"), None));
    assert_eq!(
        (&*vlan.bridge, vlan.vlan),
        (lab.fact("/vlans/10"), Some(10))
    );
    assert_eq!(usual.addresses.len(), 2, "one of each family");
    assert!(vlan.addresses[0].to_string().starts_with("10.76.10."));
    assert_eq!(link.addresses[0].to_string(), "10.9.0.7/24");

    p.get(id).await.start(&p.user).await.unwrap();
    let started = p.ready(id).await.view().unwrap();
    assert_eq!(started.interfaces, view.interfaces);
    for (at, nic) in view.interfaces.iter().enumerate() {
        let inside = lab.inside(&view.name, &format!("ip address show dev eth{at}"));
        assert!(inside.contains(&nic.mac), "{inside}");
        for address in &nic.addresses {
            assert!(inside.contains(&address.to_string()), "{inside}");
        }
    }
    p.end(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_one_vlan_reaches_nobody_in_another_one() {
    let Some(lab) = Lab::find("who_is_in_one_vlan_reaches_nobody_in_another_one") else {
        return;
    };
    let p = Program::on(lab.place_with_vlans()).await;
    let both = with(&lab, vec![Interface::default(), in_vlan(10)]);
    let (first, name) = p.node(both).await;
    let (second, beside) = p.node(with(&lab, vec![in_vlan(10)])).await;
    let address = p.get(first).await.view().unwrap().interfaces[1].addresses[0];
    // In the other VLAN, and with an address of this one's network, which its own
    // root takes: it is given to nobody.
    let (third, other) = p.node(with(&lab, vec![in_vlan(20)])).await;
    let takes = "ip address flush dev eth0; ip address add 10.76.10.251/24 dev eth0";
    assert_eq!(lab.inside(&other, takes), "");
    let mut astray = in_vlan(20);
    astray.addresses = vec!["10.76.10.251/24".parse().unwrap()];
    let refused = p.ask(with(&lab, vec![astray]), false).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    let reaches = |from: &str, wait: u8| {
        let ping = format!("ping -c 1 -W {wait} {} >/dev/null 2>&1", address.ip);
        lab.inside(from, &format!("{ping} && echo yes || echo no"))
    };
    assert_eq!(reaches(&beside, 5), "yes");
    assert_eq!(reaches(&other, 1), "no");
    assert_eq!(lab.state(&name), "RUNNING");
    for id in [first, second, third] {
        p.end(id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bridges_and_vlans_that_the_host_does_not_give_are_refused_before_anything_exists() {
    let Some(lab) = Lab::find("bridges_and_vlans_that_the_host_does_not_give") else {
        return;
    };
    let lab = lab.apart("rm-bridges");
    let p = Program::on(lab.place_with_vlans()).await;
    // That of loopback is there, and nobody gave it out.
    let lo = Interface {
        bridge: Some("lo".to_owned()),
        ..Interface::default()
    };
    for (interface, told) in [(in_vlan(30), "10, 20"), (lo, lab.fact("/bridge"))] {
        let spec = with(&lab, vec![Interface::default(), interface]);
        let refused = p.ask(spec, false).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
        let advice = refused.next().unwrap();
        assert!(advice.contains(told), "{advice}");
    }
    assert_eq!(lab.marked(), []);

    // Of a VLAN whose addresses are all given the rest of a node is not made.
    let mut place = lab.place_with_vlans();
    let pools = &mut place.section["sites"]["lab"]["pools"];
    pools[2]["last"] = pools[2]["first"].clone();
    let p = Program::on(place).await;
    let both = || with(&lab, vec![Interface::default(), in_vlan(10)]);
    let (id, _) = p.node(both()).await;
    let full = p.ask(both(), false).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::NoCapacity, "{full}");
    let (usual, _) = p.node(lab.spec()).await;
    assert_eq!(p.get(usual).await.record().seen, State::Ready);
    p.end(id).await;
    p.end(usual).await;
}
