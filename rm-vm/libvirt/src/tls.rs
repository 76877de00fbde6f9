//! TLS as libvirt does it: certificates on both sides, and one byte by which
//! the server says that it has accepted ours.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::error::{Down, Malformed};

/// The byte that says yes.
const ACCEPTED: u8 = 1;

/// Where the certificates are.
struct Files {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new(pki: Option<&Path>) -> Self {
        match pki {
            Some(dir) => Self {
                authority: dir.join("cacert.pem"),
                certificate: dir.join("clientcert.pem"),
                key: dir.join("clientkey.pem"),
            },
            // Where libvirt's own clients look.
            None => Self {
                authority: "/etc/pki/CA/cacert.pem".into(),
                certificate: "/etc/pki/libvirt/clientcert.pem".into(),
                key: "/etc/pki/libvirt/private/clientkey.pem".into(),
            },
        }
    }
}

/// Whom to believe, and who we are. The files are read for each connection, so
/// that new ones count from the next on.
pub(crate) fn trust(pki: Option<&Path>) -> Result<ClientConfig, Down> {
    let files = Files::new(pki);
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.authority)? {
        roots
            .add(certificate)
            .map_err(|error| bad(&files.authority, &error.to_string()))?;
    }
    let certificate = certificates(&files.certificate)?;
    let key = read(&files.key)?;
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|_| bad(&files.key, "it holds no private key in PEM"))?;
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Down::Untrusted(error.to_string()))?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificate, key)
        .map_err(|error| bad(&files.certificate, &error.to_string()))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Down> {
    let pem = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(bad(file, "it holds no certificate in PEM")),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Down> {
    std::fs::read(file).map_err(|error| bad(file, &error.to_string()))
}

fn bad(file: &Path, why: &str) -> Down {
    Down::Untrusted(format!("{}: {why}", file.display()))
}

/// Both sides prove who they are.
pub(crate) async fn handshake(
    line: TcpStream,
    host: &str,
    trust: ClientConfig,
) -> Result<TlsStream<TcpStream>, Down> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Down::Untrusted(format!("{host:?} can be in no certificate")))?;
    let connector = TlsConnector::from(Arc::new(trust));
    let mut line = connector.connect(name, line).await.map_err(refused)?;
    // In TLS 1.3 a server that refuses our certificate says so only now.
    match line.read_u8().await {
        Ok(ACCEPTED) => Ok(line),
        Ok(_) => Err(Malformed("it did not begin with a one").into()),
        Err(error) => Err(refused(error)),
    }
}

fn refused(error: io::Error) -> Down {
    match error.kind() {
        // rustls: what is wrong with the server's certificate, or what the
        // server says about ours.
        io::ErrorKind::InvalidData => Down::Untrusted(error.to_string()),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => Down::Untrusted(
            "the server ended the handshake; it may not accept our certificate".to_owned(),
        ),
        _ => error.into(),
    }
}
