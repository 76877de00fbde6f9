//! Glance, Nova and Neutron, as far as the client uses them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests, and what they share"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rm_openstack::client::glance::{ImageSource, NewImage};
use rm_openstack::client::{Effect, Glance, Neutron, Nova, Service, Session, Usage};
use serde_json::{Value, json};
use support::replay::{Answer, Recording, Server};
use support::{config, demo};

const SHA256_OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const SHA512_OF_ABC: &str = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

async fn full_cloud(server: &Server, reference: &std::path::Path) -> (Session, String) {
    let login = Recording::load(reference, "full/001-ks-auth-full-catalog");
    server.play(&login);
    let project = login.body["token"]["project"]["id"].as_str().unwrap();
    let session = Session::new(config(&server.base, demo())).unwrap();
    (session, project.to_owned())
}

/// A cloud of nothing but Glance, which needs no recordings.
async fn glance() -> (Server, Glance) {
    let server = Server::start().await;
    let endpoint = json!({"interface": "public", "region": "RegionOne", "url": server.base});
    let token = json!({"token": {
        "issued_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-01T01:00:00Z",
        "user": {"id": "u"}, "project": {"id": "p"},
        "catalog": [{"type": "image", "endpoints": [endpoint]}]}});
    let login = Answer::json(201, &token).with("X-Subject-Token", "t");
    server.on("POST", "/v3/auth/tokens", login);
    let glance = Glance::new(Session::new(config(&server.base, demo())).unwrap());
    (server, glance)
}

fn image(size: u64, digest: &str) -> Value {
    json!({"id": "i", "name": "abc", "status": "active", "size": size,
        "os_hash_algo": "sha512", "os_hash_value": digest})
}

#[tokio::test]
async fn nova_limits() {
    let Some(reference) = needs::reference("nova_limits") else {
        return;
    };
    let server = Server::start().await;
    let (session, _) = full_cloud(&server, &reference).await;
    server.play(&Recording::load(&reference, "full/012-nova-limits"));
    let limits = Nova::new(session.clone()).limits().await.unwrap();
    assert_eq!(limits.instances.left(), Some(997));
    assert_eq!(limits.cores.left(), Some(997));
    assert_eq!(limits.ram.left(), Some(999_808));
    assert_eq!(session.calls().of(Service::Compute), 1);
    let unlimited =
        json!({"limits": {"absolute": {"maxTotalInstances": -1, "maxTotalCores": "x"}}});
    let (server, _) = (Server::start().await, ());
    let (session, _) = full_cloud(&server, &reference).await;
    server.on("GET", "/v2.1/limits", Answer::json(200, &unlimited));
    let limits = Nova::new(session).limits().await.unwrap();
    assert_eq!(limits.instances.left(), None);
}

#[tokio::test]
async fn neutron_ports() {
    let Some(reference) = needs::reference("neutron_ports") else {
        return;
    };
    let server = Server::start().await;
    let (session, project) = full_cloud(&server, &reference).await;
    let quotas = Recording::load(&reference, "full/016-neutron-quotas");
    let missing = Recording::load(&reference, "full/021-neutron-404");
    let detailed = format!("/v2.0/quotas/{project}/details.json");
    server
        .on("GET", &detailed, missing.answer())
        .on("GET", &format!("/v2.0/quotas/{project}"), quotas.answer())
        .on(
            "GET",
            "/v2.0/ports",
            Answer::json(200, &json!({"ports": [{"id": "a"}, {"id": "b"}]})),
        );
    let neutron = Neutron::new(session);
    let counted = neutron.ports().await.unwrap();
    assert_eq!(
        counted,
        Usage {
            limit: Some(2000),
            used: Some(2)
        }
    );
    assert_eq!(counted.left(), Some(1998));

    let server = Server::start().await;
    let (session, _) = full_cloud(&server, &reference).await;
    let details = json!({"quota": {"port": {"limit": -1, "used": 7, "reserved": 1}}});
    server.on("GET", &detailed, Answer::json(200, &details));
    let told = Neutron::new(session).ports().await.unwrap();
    assert_eq!(
        told,
        Usage {
            limit: None,
            used: Some(8)
        }
    );
    assert_eq!(told.left(), None);
}

#[tokio::test]
async fn images_are_found_by_their_exact_name() {
    let Some(reference) = needs::reference("images_are_found_by_their_exact_name") else {
        return;
    };
    let server = Server::start().await;
    let (session, _) = full_cloud(&server, &reference).await;
    let images = Recording::load(&reference, "full/014-glance-images");
    server.play(&images);
    let glance = Glance::new(session);
    let found = glance.find("cirros").await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].is_active() && found[0].size == Some(1024));
    assert!(glance.find("in:cirros,x").await.unwrap().is_empty());
}

#[tokio::test]
async fn an_image_is_brought_from_a_file() {
    let (server, glance) = glance().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "abc").unwrap();
    server
        .on(
            "POST",
            "/v2/images",
            Answer::json(201, &json!({"id": "i", "status": "queued"})),
        )
        .on("PUT", "/v2/images/i/file", Answer::json(204, &Value::Null))
        .on(
            "GET",
            "/v2/images/i",
            Answer::json(200, &image(3, SHA512_OF_ABC)),
        )
        .on("DELETE", "/v2/images/i", Answer::json(204, &Value::Null))
        .on("DELETE", "/v2/images/gone", Answer::json(404, &Value::Null));
    let made = glance.create(&NewImage::new("abc", "raw")).await.unwrap();
    assert!(!made.is_active());
    let told = Arc::new(Mutex::new(Vec::new()));
    let progress = {
        let told = Arc::clone(&told);
        Arc::new(move |sent, total| told.lock().unwrap().push((sent, total)))
    };
    let brought = glance
        .upload(
            "i",
            &ImageSource::File(file.path().to_owned()),
            Some(&SHA256_OF_ABC.to_uppercase()),
            Some(progress),
            Duration::from_secs(5),
        )
        .await
        .unwrap();
    assert_eq!((brought.size, &*brought.sha256), (3, SHA256_OF_ABC));
    assert_eq!(*told.lock().unwrap(), [(3, Some(3))]);
    let put = server
        .seen()
        .into_iter()
        .find(|seen| seen.method == "PUT")
        .unwrap();
    assert_eq!(put.body, b"abc");
    assert_eq!(put.headers["content-length"], "3");
    assert_eq!(put.headers["content-type"], "application/octet-stream");
    assert!(glance.delete("i").await.unwrap());
    assert!(!glance.delete("gone").await.unwrap());
}

#[tokio::test]
async fn an_image_is_brought_from_an_address_without_the_token() {
    let (server, glance) = glance().await;
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[1]).collect();
    let source = Server::start().await;
    let redirect = Answer::json(302, &Value::Null).with("Location", "/image");
    source.on("GET", "/old", redirect).on(
        "GET",
        "/image",
        Answer::Say {
            status: 200,
            headers: Vec::new(),
            body: bytes.clone(),
        },
    );
    server
        .on("PUT", "/v2/images/i/file", Answer::json(204, &Value::Null))
        .on(
            "GET",
            "/v2/images/i",
            Answer::json(200, &json!({"id": "i", "size": 3_000_000})),
        );
    let from = ImageSource::Http(format!("{}/old?signature=swordfish", source.base));
    assert!(!format!("{from:?}").contains("swordfish"));
    let brought = glance
        .upload("i", &from, None, None, Duration::from_secs(10))
        .await
        .unwrap();
    assert_eq!(brought.size, 3_000_000);
    let put = server
        .seen()
        .into_iter()
        .find(|seen| seen.method == "PUT")
        .unwrap();
    assert!(put.body == bytes);
    assert!(
        source
            .seen()
            .iter()
            .all(|seen| !seen.headers.contains_key("x-auth-token"))
    );

    let gone = ImageSource::Http(format!("{}/gone?signature=swordfish", source.base));
    let error = glance
        .upload("i", &gone, None, None, Duration::from_secs(5))
        .await
        .unwrap_err();
    assert_eq!(error.effect(), Effect::None);
    assert!(!format!("{error} {error:?}").contains("swordfish"));
}

#[tokio::test]
async fn wrong_bytes_never_become_an_image() {
    let (server, glance) = glance().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![b'x'; 700_000]).unwrap();
    server.on("PUT", "/v2/images/i/file", Answer::json(204, &Value::Null));
    let source = ImageSource::File(file.path().to_owned());
    let error = glance
        .upload(
            "i",
            &source,
            Some(SHA256_OF_ABC),
            None,
            Duration::from_secs(5),
        )
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("and should be ba7816bf"),
        "{error}"
    );
    tokio::time::sleep(Duration::from_millis(100)).await;
    let puts: Vec<_> = server
        .seen()
        .into_iter()
        .filter(|seen| seen.method == "PUT")
        .collect();
    assert!(
        puts.iter()
            .all(|put| !put.complete && put.body.len() < 700_000)
    );

    // Glance has other bytes than were sent.
    for stored in [image(4, SHA512_OF_ABC), image(3, "00")] {
        let (server, glance) = self::glance().await;
        std::fs::write(file.path(), "abc").unwrap();
        server
            .on("PUT", "/v2/images/i/file", Answer::json(204, &Value::Null))
            .on("GET", "/v2/images/i", Answer::json(200, &stored));
        let error = glance
            .upload("i", &source, None, None, Duration::from_secs(5))
            .await;
        assert_eq!(error.unwrap_err().effect(), Effect::Unknown);
    }
    let nowhere = ImageSource::File("/nowhere/image".into());
    let error = glance
        .upload("i", &nowhere, None, None, Duration::from_secs(5))
        .await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "image: its file cannot be read: entity not found"
    );
}
