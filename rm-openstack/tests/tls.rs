//! Servers that prove who they are: by an authority of their own, on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests, and what they share"
)]

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{BoxFuture, FutureExt};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rm_core::catalog::{NewAppliance, NewCredential, NewImplementation, NewSite};
use rm_core::clusters::ClusterRequest;
use rm_core::env::{Env, Timestamp};
use rm_core::{Caller, ErrorKind, Host, Result};
use rm_openstack::client::clouds::Clouds;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// What Keystone answers here: that the password is wrong. By that is known
/// that it was asked.
const REFUSAL: &str = r#"{"error": {"code": 401, "title": "Unauthorized", "message": "no"}}"#;

const TEMPLATE: &str = "{heat_template_version: 2018-08-31, outputs: {master_ip: {value: 1}}}";
/// What it needs is asked of the cloud.
const NETWORKED: &str = "{heat_template_version: 2018-08-31, parameters: {network_name: {type: string}}, outputs: {master_ip: {value: 1}}}";

/// A Keystone that lets nobody in, behind TLS; and its authority's certificate.
async fn keystone() -> (String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (line, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not believe us ends the handshake.
                let Ok(mut line) = acceptor.accept(line).await else {
                    return;
                };
                let mut asked = vec![0; 64 * 1024];
                let _ = line.read(&mut asked).await;
                let length = REFUSAL.len();
                let head = "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nConnection: close\r\n";
                let answer = format!("{head}Content-Length: {length}\r\n\r\n{REFUSAL}");
                let _ = line.write_all(answer.as_bytes()).await;
                let _ = line.shutdown().await;
            });
        }
    });
    (format!("https://localhost:{port}/v3"), authority.pem())
}

#[derive(Debug)]
struct TestEnv;

#[async_trait]
impl Env for TestEnv {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_795_262_400_000)
    }

    fn sleep(&self, d: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(d).boxed()
    }

    fn random(&self) -> u64 {
        use std::hash::{BuildHasher, Hasher};
        std::hash::RandomState::new().build_hasher().finish()
    }

    async fn reaches(&self, _address: &str, _port: u16) -> bool {
        false
    }
}

/// What a request for a cluster ends with, at a host with this section
/// `[openstack]` and a credential that says this beside the password.
async fn asked(url: &str, section: Value, beside: Value) -> Result<()> {
    asked_for(TEMPLATE, url, section, beside).await
}

async fn asked_for(template: &str, url: &str, section: Value, beside: Value) -> Result<()> {
    let who = Caller::operator("ann", "physics");
    let mut builder = Host::builder(Arc::new(TestEnv));
    builder
        .registries()
        .install(&rm_openstack::PLUGIN, Some(&section))?;
    let host = builder.build()?;
    let catalog = host.catalog();
    let site = NewSite {
        name: "lab".to_owned(),
        api: "openstack".to_owned(),
        url: url.to_owned(),
        region: None,
        interface: None,
        defaults: Default::default(),
    };
    catalog.add_site(&who, site).await?;
    let mut secret = json!({"username": "u", "password": "p", "project_name": "x"});
    secret
        .as_object_mut()
        .unwrap()
        .extend(beside.as_object().unwrap().clone());
    let credential = NewCredential {
        name: "mine".to_owned(),
        site: "lab".to_owned(),
        user: None,
        tenant: None,
        secret,
    };
    catalog.add_credential(&who, credential).await?;
    let appliance = NewAppliance {
        name: "a".to_owned(),
        description: String::new(),
        ready_port: None,
        images: Vec::new(),
    };
    catalog.add_appliance(&who, appliance).await?;
    let media_type = rm_openstack::media::HEAT_TEMPLATE;
    let implementation = NewImplementation::new("a", "openstack", media_type, template);
    catalog.add_implementation(&who, implementation).await?;
    let request = ClusterRequest {
        appliance: "a".to_owned(),
        ..ClusterRequest::default()
    };
    host.clusters().create(&who, &request).await.map(drop)
}

/// Keystone was asked, and said no: whom it was asked of was believed.
fn was_believed(answer: Result<()>) {
    let e = answer.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Credential, "{e}");
}

#[tokio::test]
async fn a_server_of_an_unknown_authority_is_not_asked_and_the_way_out_is_told() {
    let (url, _) = keystone().await;
    for template in [TEMPLATE, NETWORKED] {
        let e = asked_for(template, &url, json!({}), json!({})).await;
        let e = e.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
        assert!(!e.is_temporary(), "nobody waits for it: {e}");
        assert!(e.what().contains("certificate"), "{e}");
        assert!(e.next().unwrap().contains("cacert"), "{e}");
    }
    // Another authority's certificate does not help.
    let (_, other) = keystone().await;
    let e = asked(&url, json!({}), json!({"cacert": other})).await;
    assert_eq!(e.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_certificate_of_the_credential_or_of_the_configuration_is_trusted() {
    let (url, authority) = keystone().await;
    was_believed(asked(&url, json!({}), json!({"cacert": authority})).await);

    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(authority.as_bytes()).unwrap();
    let section = json!({"cacert": file.path()});
    was_believed(asked(&url, section.clone(), json!({})).await);
    // One does not replace the other.
    let (_, other) = keystone().await;
    was_believed(asked(&url, section, json!({"cacert": other})).await);
}

#[tokio::test]
async fn who_does_not_verify_trusts_anybody() {
    let (url, _) = keystone().await;
    was_believed(asked(&url, json!({"verify": false}), json!({})).await);
    was_believed(asked(&url, json!({}), json!({"verify": false})).await);
}

#[tokio::test]
async fn what_cannot_be_trusted_is_refused_by_the_name_of_its_key() {
    let (url, authority) = keystone().await;
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let large = format!("{}{authority}", "#".repeat(64 * 1024));
    for text in ["", "not a certificate", broken, &large] {
        let e = asked(&url, json!({}), json!({"cacert": text})).await;
        let e = e.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Credential);
        assert!(e.what().contains("cacert"), "{e}");

        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let e = asked(&url, json!({"cacert": file.path()}), json!({})).await;
        let e = e.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid);
        assert!(
            e.what().contains("cacert in the section [openstack]"),
            "{e}"
        );
    }
    for path in ["/nowhere/ca.pem", "ca.pem"] {
        let e = asked(&url, json!({"cacert": path}), json!({})).await;
        assert!(e.unwrap_err().what().contains("cacert"));
    }
}

#[tokio::test]
async fn a_cloud_of_a_file_brings_its_certificates() {
    let (url, authority) = keystone().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(authority.as_bytes()).unwrap();
    let text = format!(
        "clouds: {{own: {{cacert: '{}', auth: {{auth_url: '{url}', token: t}}}}}}",
        file.path().display()
    );
    let cloud = Clouds::parse(&text, None).unwrap().cloud("own").unwrap();
    assert_eq!(cloud.certificates().unwrap(), Some(authority.into_bytes()));
}
