//! What can be done with domains, and what is refused by which code.

use rm_libvirt::{
    Affect, Client, Code, CreateFlags, DestroyFlags, Effect, Error, ListFlags, RevertFlags,
    SaveFlags, ShutdownFlags, SnapshotDeleteFlags, SnapshotFlags, State, StatsFlags, UndefineFlags,
    Uuid, Value, XmlFlags,
};

use crate::lab::{Lab, clear, guest};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_says_what_it_is() {
    let Some(lab) = Lab::of_this_run("the_host_says_what_it_is") else {
        return;
    };
    let client = lab.client("test");
    assert_eq!(client.driver_type().await.unwrap(), "TEST");
    assert!(client.lib_version().await.unwrap().major >= 6);
    assert!(client.version().await.is_ok());
    assert!(!client.hostname().await.unwrap().is_empty());
    let capabilities = client.capabilities().await.unwrap();
    assert!(capabilities.contains("<capabilities>"), "{capabilities}");
    let node = client.node_info().await.unwrap();
    // The test driver's host is made up: 2 nodes of 2 sockets of 2 cores of 2 threads.
    assert_eq!((node.model.as_str(), node.cpus), ("i686", 16));
    assert_eq!((node.nodes, node.threads), (2, 2));
    assert_eq!(node.memory_kib, 3 * 1024 * 1024);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_domains_in_one_list() {
    let Some(lab) = Lab::of_this_run("a_thousand_domains_in_one_list") else {
        return;
    };
    let client = lab.client("test");
    clear(&client, "thousand-").await;
    // All at once; as many as allowed are with the server.
    let mut defined = tokio::task::JoinSet::new();
    for n in 0..1000 {
        let client = client.clone();
        defined.spawn(async move { client.define_xml(&guest(&format!("thousand-{n}"))).await });
    }
    let mut uuids = std::collections::BTreeSet::new();
    while let Some(domain) = defined.join_next().await {
        uuids.insert(domain.unwrap().unwrap().uuid);
    }
    let listed = client.list_domains(ListFlags::INACTIVE).await.unwrap();
    let listed = listed.iter().filter(|d| d.name.starts_with("thousand-"));
    assert_eq!(
        listed
            .map(|d| d.uuid)
            .collect::<std::collections::BTreeSet<_>>(),
        uuids
    );
    assert_eq!(uuids.len(), 1000);
    clear(&client, "thousand-").await;
}

async fn refused<T: std::fmt::Debug>(
    call: impl Future<Output = Result<T, Error>>,
    code: Code,
) -> Error {
    let error = call.await.unwrap_err();
    assert_eq!(error.code(), Some(code), "{error}");
    assert_eq!(error.effect(), Effect::None, "{error}");
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_has_libvirt_s_code() {
    let Some(lab) = Lab::of_this_run("what_is_refused_has_libvirt_s_code") else {
        return;
    };
    let client = lab.client("test");
    clear(&client, "refused").await;
    let error = refused(client.domain_by_name("no such"), Code::NO_DOMAIN).await;
    assert!(error.to_string().contains("Domain not found"), "{error}");
    refused(client.domain_by_uuid(Uuid([9; 16])), Code::NO_DOMAIN).await;
    refused(client.define_xml("<domain"), Code::XML_DETAIL).await;
    refused(client.define_xml("<domain type='test'/>"), Code::NO_NAME).await;

    let domain = client.define_xml(&guest("refused")).await.unwrap();
    let destroyed = client.destroy(&domain, DestroyFlags::default());
    refused(destroyed, Code::OPERATION_INVALID).await;
    let other = format!(
        "<domain type='test'><name>refused</name><uuid>{}</uuid><memory>1024</memory>\
         <os><type>hvm</type></os></domain>",
        Uuid([3; 16])
    );
    let error = client.define_xml(&other).await.unwrap_err();
    assert!(
        matches!(error.code(), Some(Code::OPERATION_FAILED | Code::DOM_EXIST)),
        "{error}"
    );
    let metadata = client.metadata(&domain, "urn:none", Affect::default());
    refused(metadata, Code::NO_DOMAIN_METADATA).await;
    let snapshot = client.snapshot_by_name(&domain, "none");
    refused(snapshot, Code::NO_DOMAIN_SNAPSHOT).await;
    clear(&client, "refused").await;
}

async fn state(client: &Client, name: &str) -> State {
    let domain = client.domain_by_name(name).await.unwrap();
    client.state(&domain).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_life_of_a_domain() {
    let Some(lab) = Lab::of_this_run("the_life_of_a_domain") else {
        return;
    };
    let client = lab.client("test");
    clear(&client, "life").await;
    let domain = client.define_xml(&guest("life")).await.unwrap();
    assert_eq!(domain.id, None);
    assert_eq!(state(&client, "life").await, State::Shutoff);

    let running = client.create(&domain, CreateFlags::default()).await;
    assert!(running.unwrap().id.is_some());
    client.suspend(&domain).await.unwrap();
    assert_eq!(state(&client, "life").await, State::Paused);
    client.resume(&domain).await.unwrap();
    assert_eq!(state(&client, "life").await, State::Running);
    client
        .reboot(&domain, ShutdownFlags::default())
        .await
        .unwrap();

    client
        .set_memory(&domain, 98_304, Affect::LIVE)
        .await
        .unwrap();
    client.set_vcpus(&domain, 3, Affect::LIVE).await.unwrap();
    let info = client.info(&domain).await.unwrap();
    assert_eq!((info.state, info.vcpus), (State::Running, 3));
    assert_eq!((info.memory_kib, info.max_memory_kib), (98_304, 131_072));
    let stats = client
        .all_stats(StatsFlags::STATE, ListFlags::ACTIVE)
        .await
        .unwrap();
    let stats = stats
        .iter()
        .find(|stats| stats.domain.name == "life")
        .unwrap();
    assert_eq!(stats.get("state.state"), Some(&Value::Int(1)));

    client
        .managed_save(&domain, SaveFlags::default())
        .await
        .unwrap();
    assert!(client.has_managed_save(&domain).await.unwrap());
    assert_eq!(state(&client, "life").await, State::Shutoff);
    client
        .create(&domain, CreateFlags::default())
        .await
        .unwrap();
    assert!(!client.has_managed_save(&domain).await.unwrap());

    client
        .shutdown(&domain, ShutdownFlags::default())
        .await
        .unwrap();
    assert_eq!(state(&client, "life").await, State::Shutoff);
    client
        .undefine(&domain, UndefineFlags::default())
        .await
        .unwrap();
    let gone = client.domain_by_name("life").await.unwrap_err();
    assert_eq!(gone.code(), Some(Code::NO_DOMAIN));

    let transient = client
        .create_xml(&guest("life"), CreateFlags::default())
        .await;
    let transient = transient.unwrap();
    let end = client.destroy(&transient, DestroyFlags::default());
    end.await.unwrap();
    assert!(client.domain_by_name("life").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_stays_with_its_domain() {
    let Some(lab) = Lab::of_this_run("metadata_stays_with_its_domain") else {
        return;
    };
    let client = lab.client("test");
    clear(&client, "metadata").await;
    let domain = client.define_xml(&guest("metadata")).await.unwrap();
    let uri = "urn:example:mark";
    for text in ["one", "&lt;two&gt; &#10; \u{fc}"] {
        let element = format!("<mark>{text}</mark>");
        let set = client.set_metadata(&domain, uri, "m", Some(&element), Affect::CONFIG);
        set.await.unwrap();
        let found = client.metadata(&domain, uri, Affect::CONFIG).await.unwrap();
        assert!(found.contains("mark>"), "{found}");
        let xml = client.xml(&domain, XmlFlags::INACTIVE).await.unwrap();
        assert!(xml.contains("xmlns:m=\"urn:example:mark\""), "{xml}");
    }
    let set = client.set_metadata(&domain, uri, "m", None, Affect::CONFIG);
    set.await.unwrap();
    let gone = client
        .metadata(&domain, uri, Affect::CONFIG)
        .await
        .unwrap_err();
    assert_eq!(gone.code(), Some(Code::NO_DOMAIN_METADATA));
    clear(&client, "metadata").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_are_made_and_gone_back_to() {
    let Some(lab) = Lab::of_this_run("snapshots_are_made_and_gone_back_to") else {
        return;
    };
    let client = lab.client("test");
    clear(&client, "snapshots").await;
    let domain = client.define_xml(&guest("snapshots")).await.unwrap();
    let xml = "<domainsnapshot><name>before</name></domainsnapshot>";
    let before = client
        .create_snapshot(&domain, xml, SnapshotFlags::default())
        .await;
    let before = before.unwrap();
    assert_eq!(before.name, "before");
    client
        .create(&domain, CreateFlags::default())
        .await
        .unwrap();
    let all = client.list_snapshots(&domain).await.unwrap();
    assert_eq!(
        all,
        [client.snapshot_by_name(&domain, "before").await.unwrap()]
    );

    let reverted = client.revert_to_snapshot(&before, RevertFlags::default());
    reverted.await.unwrap();
    assert_eq!(state(&client, "snapshots").await, State::Shutoff);
    let deleted = client.delete_snapshot(&before, SnapshotDeleteFlags::default());
    deleted.await.unwrap();
    assert_eq!(client.list_snapshots(&domain).await.unwrap(), []);
    clear(&client, "snapshots").await;
}
