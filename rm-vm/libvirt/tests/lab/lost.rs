//! A libvirtd that is killed, in the middle of what it does.

use std::time::Duration;

use rm_libvirt::{CreateFlags, Effect, Error, Event, ListFlags};

use crate::lab::{OwnLab, guest, next};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_libvirtd_leaves_doubt_and_comes_back() {
    let Some(lab) = OwnLab::start("killed") else {
        return;
    };
    let lab = &lab.0;
    let client = lab.client("test");
    let mut events = client.events();
    next(&mut events, |event| matches!(event, Event::Connected)).await;
    let domain = client.define_xml(&guest("killed")).await.unwrap();

    // It stands still with the calls in its hands, and is killed so.
    lab.daemon("pause");
    let (started, listed, ()) = tokio::join!(
        client.create(&domain, CreateFlags::default()),
        client.list_domains(ListFlags::default()),
        async {
            // Calls are sent in their order; that this one may have had an
            // effect shows that all were sent.
            let hasty = client.within(Duration::from_millis(100));
            let late = hasty.suspend(&domain).await.unwrap_err();
            assert!(matches!(late, Error::Deadline { .. }), "{late}");
            assert_eq!(late.effect(), Effect::Unknown);
            lab.daemon("kill");
        }
    );
    let started = started.unwrap_err();
    assert!(matches!(started, Error::Lost { .. }), "{started}");
    assert_eq!(started.effect(), Effect::Unknown);
    let listed = listed.unwrap_err();
    assert!(matches!(listed, Error::Lost { .. }), "{listed}");
    assert_eq!(listed.effect(), Effect::None);
    next(&mut events, |event| matches!(event, Event::Disconnected(_))).await;

    // While it is away, calls say so.
    let away = client.hostname().await.unwrap_err();
    assert!(matches!(away, Error::Unreachable(_)), "{away}");
    assert_eq!(away.effect(), Effect::None);

    // It comes back, which is told, and everything is listed again: the test
    // driver has forgotten what it had.
    lab.daemon("start");
    next(&mut events, |event| matches!(event, Event::Connected)).await;
    let listed = client.list_domains(ListFlags::default()).await.unwrap();
    assert!(listed.iter().all(|domain| domain.name != "killed"));
    client.define_xml(&guest("killed")).await.unwrap();
    let again = next(&mut events, |event| matches!(event, Event::Lifecycle(_))).await;
    assert!(matches!(again, Event::Lifecycle(life) if life.domain.name == "killed"));
}
