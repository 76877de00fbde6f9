//! What comes to a node over a link: slowly, late, or refused where the kernel
//! cannot do that.

use rm_core::ErrorKind;
use rm_core::model::{Action, Interface, NodeSpec, Shaping};
use rm_vm::driver::Driver;
use rm_vm::lxc::Lxc;

use crate::lab::{Lab, Program};

/// A node that is the end of a link.
fn on(lab: &Lab, link: &str, address: &str, shaping: Shaping) -> NodeSpec {
    let end = Interface {
        link: Some(link.to_owned()),
        addresses: vec![address.parse().unwrap()],
        shaping: Some(shaping),
        ..Interface::default()
    };
    NodeSpec {
        interfaces: vec![Interface::default(), end],
        ..lab.spec()
    }
}

/// How long a packet of this size takes to another node and back, at the least
/// of three times, in milliseconds.
fn round_trip(lab: &Lab, from: &str, to: &str, bytes: u32) -> f64 {
    let said = lab.inside(from, &format!("ping -c 3 -W 5 -s {bytes} {to}"));
    let times = said.lines().filter_map(|line| {
        let (_, time) = line.split_once("time=")?;
        time.split_whitespace().next()?.parse::<f64>().ok()
    });
    times
        .min_by(f64::total_cmp)
        .unwrap_or_else(|| panic!("{from} does not reach {to}: {said}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_over_a_link_comes_no_faster_than_was_asked_for() {
    let Some(lab) = Lab::find("what_comes_over_a_link_comes_no_faster") else {
        return;
    };
    // Of its own, so that nobody else counts its bridges.
    let lab = lab.apart("slow");
    let p = Program::on(&lab).await;
    let slow = Shaping {
        capacity_kbps: Some(1000),
        ..Shaping::default()
    };
    let (a, first) = p
        .node(on(&lab, "wide", "10.9.1.1/24", Shaping::default()))
        .await;
    let (b, _) = p
        .node(on(&lab, "wide", "10.9.1.2/24", Shaping::default()))
        .await;
    let (c, third) = p.node(on(&lab, "thin", "10.9.1.1/24", slow)).await;
    let (d, _) = p.node(on(&lab, "thin", "10.9.1.2/24", slow)).await;
    let wide = || round_trip(&lab, &first, "10.9.1.2", 20_000);
    let thin = || round_trip(&lab, &third, "10.9.1.2", 20_000);
    // 20,000 bytes, of which some come at once, at 125,000 a second, both ways.
    assert!(wide() < 100.0, "{} ms", wide());
    assert!(thin() > 200.0, "{} ms", thin());
    let view = p.get(c).await.view().unwrap();
    assert_eq!(view.interfaces[1].shaping, Some(slow));

    // So it stays where the wire is made anew.
    let ask = |spec: &mut NodeSpec| spec.ask(Action::Reboot, 0).map(drop);
    p.get(c).await.change(&p.user, ask).await.unwrap();
    p.ready(c).await;
    assert!(thin() > 200.0, "{} ms", thin());
    for id in [a, b, c, d] {
        p.end(id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_come_late_does_or_is_refused_where_the_kernel_cannot() {
    let test = "what_is_to_come_late_does";
    let Some(lab) = Lab::find(test) else {
        return;
    };
    let lab = lab.apart("late");
    let p = Program::on(&lab).await;
    let late = Shaping {
        latency_us: Some(50_000),
        ..Shaping::default()
    };
    if !Lxc::at(&lab.path, 64).unwrap().features().delays {
        for asked in [
            late,
            Shaping {
                loss_ppm: Some(10_000),
                ..Shaping::default()
            },
        ] {
            let asked = p.ask(on(&lab, "late", "10.9.2.1/24", asked), false).await;
            let refused = asked.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unsupported);
            assert_eq!(refused.stable_code(), Shaping::UNSUPPORTED);
        }
        needs::skipped(
            test,
            "the kernel has no netem: only that it is refused was seen",
        );
        return;
    }
    let (a, first) = p.node(on(&lab, "late", "10.9.2.1/24", late)).await;
    let (b, _) = p.node(on(&lab, "late", "10.9.2.2/24", late)).await;
    // There, and back again.
    let took = round_trip(&lab, &first, "10.9.2.2", 56);
    assert!((100.0..500.0).contains(&took), "{took} ms");
    for id in [a, b] {
        p.end(id).await;
    }
}
