//! TLS: who is believed, and what is said about who is not.

use std::fs;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer,
    KeyPair,
};
use rm_libvirt::{Client, Config};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::server::{HOSTNAME, Line, OK, run, text};

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn signed(name: &str, by: &Issuer<'_, KeyPair>) -> (Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.signed_by(&key, by).unwrap(), key)
}

/// A folder as libvirt's clients have it.
fn pki(authority: &str, client: &(Certificate, KeyPair)) -> TempDir {
    let dir = TempDir::new().unwrap();
    let put = |name, pem: &str| fs::write(dir.path().join(name), pem).unwrap();
    put("cacert.pem", authority);
    put("clientcert.pem", &client.0.pem());
    put("clientkey.pem", &client.1.serialize_pem());
    dir
}

struct Server {
    acceptor: TlsAcceptor,
    listener: TcpListener,
}

impl Server {
    /// One that believes clients of this authority, which is its own.
    async fn start(authority: &CertifiedIssuer<'static, KeyPair>) -> Self {
        let (certificate, key) = signed("127.0.0.1", authority);
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap())
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        }
    }

    fn client(&self, pki: &TempDir) -> Client {
        let address = self.listener.local_addr().unwrap();
        let pki = pki.path().display();
        let uri = format!("test+tls://{address}/default?pkipath={pki}");
        let mut config = Config::new(uri.parse().unwrap());
        config.keepalive = None;
        run(config)
    }
}

#[tokio::test]
async fn both_sides_prove_who_they_are() {
    let authority = authority("ours");
    let server = Server::start(&authority).await;
    let pki = pki(&authority.pem(), &signed("client", &authority));
    let client = server.client(&pki);
    let serve = async {
        let (line, _) = server.listener.accept().await.unwrap();
        let mut line = Line(server.acceptor.accept(line).await.unwrap());
        line.raw(&[1]).await;
        line.welcome().await;
        let call = line.call(HOSTNAME).await;
        line.write(&call.answer(OK, &text("host"))).await;
    };
    let (name, ()) = tokio::join!(client.hostname(), serve);
    assert_eq!(name.unwrap(), "host");
}

/// What a client says that finds this server and has this folder.
async fn refusal(server: &Server, pki: &TempDir, first: u8) -> String {
    let client = server.client(pki);
    let serve = async {
        let (line, _) = server.listener.accept().await.unwrap();
        if let Ok(mut line) = server.acceptor.accept(line).await {
            let _ = line.write_all(&[first]).await;
        }
    };
    let (ready, ()) = tokio::join!(client.ready(), serve);
    ready.unwrap_err().to_string()
}

#[tokio::test]
async fn who_proves_nothing_is_not_believed() {
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let server = Server::start(&theirs).await;

    let known = signed("client", &theirs);
    let said = refusal(&server, &pki(&ours.pem(), &known), 1).await;
    assert!(said.contains("certificate"), "{said}");

    let stranger = signed("client", &ours);
    let said = refusal(&server, &pki(&theirs.pem(), &stranger), 1).await;
    assert!(
        said.contains("UnknownCA") || said.contains("Unknown CA"),
        "{said}"
    );

    // Certificates are in order, and the server does not say that it is content.
    let said = refusal(&server, &pki(&theirs.pem(), &known), 0).await;
    assert!(said.contains("protocol"), "{said}");
}

#[tokio::test]
async fn a_missing_or_broken_file_is_named() {
    let authority = authority("ours");
    let server = Server::start(&authority).await;
    for name in ["cacert.pem", "clientcert.pem", "clientkey.pem"] {
        for broken in [None, Some("no PEM")] {
            let pki = pki(&authority.pem(), &signed("client", &authority));
            match broken {
                None => fs::remove_file(pki.path().join(name)).unwrap(),
                Some(text) => fs::write(pki.path().join(name), text).unwrap(),
            }
            let said = server.client(&pki).ready().await.unwrap_err().to_string();
            assert!(said.contains(name), "{name}: {said}");
        }
    }
}
