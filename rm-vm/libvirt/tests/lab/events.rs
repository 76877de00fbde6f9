//! Events of a real libvirtd, and calls that overlap with them.

use rm_libvirt::{Change, CreateFlags, DestroyFlags, Event, Stopped, UndefineFlags};

use crate::lab::{Lab, clear, guest, next, next_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_told_to_who_did_not_do_it() {
    let Some(lab) = Lab::of_this_run("what_happens_is_told_to_who_did_not_do_it") else {
        return;
    };
    let (watcher, doer) = (lab.client("test"), lab.client("test"));
    clear(&doer, "watched").await;
    let mut events = watcher.events();
    next(&mut events, |event| matches!(event, Event::Connected)).await;

    let domain = doer.define_xml(&guest("watched")).await.unwrap();
    assert_eq!(
        next_of(&mut events, "watched").await.change,
        Change::Defined
    );
    doer.create(&domain, CreateFlags::default()).await.unwrap();
    assert_eq!(
        next_of(&mut events, "watched").await.change,
        Change::Started
    );
    doer.suspend(&domain).await.unwrap();
    assert_eq!(
        next_of(&mut events, "watched").await.change,
        Change::Suspended
    );
    doer.resume(&domain).await.unwrap();
    assert_eq!(
        next_of(&mut events, "watched").await.change,
        Change::Resumed
    );
    doer.destroy(&domain, DestroyFlags::default())
        .await
        .unwrap();
    let stopped = next_of(&mut events, "watched").await;
    assert_eq!(stopped.stopped(), Some(Stopped::Destroyed));
    doer.undefine(&domain, UndefineFlags::default())
        .await
        .unwrap();
    let undefined = next_of(&mut events, "watched").await;
    assert_eq!(undefined.change, Change::Undefined);
    assert_eq!(undefined.domain.uuid, domain.uuid);
}
