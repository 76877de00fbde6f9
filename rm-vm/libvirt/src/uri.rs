//! Which libvirt to talk to, and by which way: libvirt's URIs.
//!
//! ```text
//! test+unix:///default?socket=/run/lab/libvirt-sock
//! qemu:///system
//! xen+tcp://127.0.0.1:16510/
//! qemu+tls://host.example.org/system?pkipath=/etc/pki/host
//! ```

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::Error;

/// Where a system's libvirt listens when the URI does not say.
const SOCKET: &str = "/run/libvirt/libvirt-sock";

/// A parsed URI.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uri {
    /// The driver: `test`, `lxc`, `qemu`, `xen`.
    pub driver: String,
    /// The way to the daemon.
    pub transport: Transport,
    /// What the driver is asked to open, such as `/system`.
    pub path: String,
    /// The parameter `name`: what the daemon is asked to open, in the place of
    /// what driver and path say.
    pub name: Option<String>,
}

/// The way to the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A socket on this machine.
    Unix {
        /// Its path.
        socket: PathBuf,
    },
    /// Plain TCP: nobody proves anything, everybody can read.
    Tcp {
        /// The name or address of the host.
        host: String,
        /// 16509 unless said otherwise.
        port: u16,
    },
    /// TLS; both sides prove who they are.
    Tls {
        /// The name or address of the host, as in its certificate.
        host: String,
        /// 16514 unless said otherwise.
        port: u16,
        /// The folder with `cacert.pem`, `clientcert.pem` and `clientkey.pem`;
        /// without it, they are where libvirt keeps them, below `/etc/pki`.
        pki: Option<PathBuf>,
    },
}

impl Uri {
    /// What the daemon is asked to open.
    pub(crate) fn remote_name(&self) -> String {
        match &self.name {
            Some(name) => name.clone(),
            None => format!("{}://{}", self.driver, self.path),
        }
    }
}

/// The same libvirt and the same way, without the paths of local files.
impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { driver, path, .. } = self;
        match &self.transport {
            Transport::Unix { .. } => write!(f, "{driver}+unix://{path}"),
            Transport::Tcp { host, port } => write!(f, "{driver}+tcp://{host}:{port}{path}"),
            Transport::Tls { host, port, .. } => write!(f, "{driver}+tls://{host}:{port}{path}"),
        }
    }
}

impl FromStr for Uri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |what: &str| Err(Error::Config(format!("the libvirt URI {what}")));
        let Some((scheme, rest)) = text.split_once("://") else {
            return refuse("has no \"://\"; it looks like qemu+unix:///system");
        };
        let (driver, transport) = match scheme.split_once('+') {
            None => (scheme, None),
            Some((driver, transport)) => (driver, Some(transport)),
        };
        if driver.is_empty() || !driver.chars().all(|c| c.is_ascii_alphanumeric()) {
            return refuse("names no driver; there are test, lxc, qemu, xen and others");
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        let given = Parameters::parse(query)?;
        // As libvirt reads it: on this machine by a socket, elsewhere by TLS.
        let transport = transport.unwrap_or(if authority.is_empty() { "unix" } else { "tls" });
        let transport = match transport {
            "unix" if !authority.is_empty() => {
                return refuse("names a host, and unix is a way on this machine");
            }
            "unix" => Transport::Unix {
                socket: given.socket.unwrap_or_else(|| SOCKET.into()),
            },
            "tcp" => {
                let (host, port) = host_and_port(authority, 16509)?;
                Transport::Tcp { host, port }
            }
            "tls" => {
                let (host, port) = host_and_port(authority, 16514)?;
                Transport::Tls {
                    host,
                    port,
                    pki: given.pkipath,
                }
            }
            _ => return refuse("asks for a way that is not known; there are unix, tcp and tls"),
        };
        Ok(Self {
            driver: driver.to_owned(),
            transport,
            path: decoded(path)?,
            name: given.name,
        })
    }
}

#[derive(Default)]
struct Parameters {
    socket: Option<PathBuf>,
    pkipath: Option<PathBuf>,
    name: Option<String>,
}

impl Parameters {
    fn parse(query: &str) -> Result<Self, Error> {
        let mut given = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value)?;
            match key {
                "socket" => given.socket = Some(value.into()),
                "pkipath" => given.pkipath = Some(value.into()),
                "name" => given.name = Some(value),
                _ => {
                    return Err(Error::Config(format!(
                        "the libvirt URI has the parameter {key:?}, which is not known; \
                         there are name, pkipath and socket"
                    )));
                }
            }
        }
        Ok(given)
    }
}

fn host_and_port(authority: &str, usual: u16) -> Result<(String, u16), Error> {
    let refuse = |what: &str| Err(Error::Config(format!("the libvirt URI {what}")));
    if authority.contains('@') {
        return refuse("names a user, and these ways know none");
    }
    // An IPv6 address stands in brackets, because it has colons itself.
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) => (host, port),
            None => return refuse("has a \"[\" without \"]\""),
        },
        None => match authority.find(':') {
            Some(colon) => authority.split_at(colon),
            None => (authority, ""),
        },
    };
    if host.is_empty() {
        return refuse("names no host");
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => usual,
        Some(digits) if digits.parse::<u16>().is_ok_and(|port| port > 0) => {
            digits.parse().unwrap_or(usual)
        }
        _ => return refuse("has a port that is none"),
    };
    Ok((host.to_owned(), port))
}

/// `%2F` is a slash.
fn decoded(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = rest.get(..2).and_then(|pair| str::from_utf8(pair).ok());
        let Some(byte) = digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) else {
            return Err(bad_escape());
        };
        bytes.push(byte);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| bad_escape())
}

fn bad_escape() -> Error {
    Error::Config(
        "the libvirt URI has a \"%\" without two hexadecimal digits of UTF-8 behind it".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn the_ways() {
        let uri = parsed("test+unix:///default?socket=/a%20b/sock");
        assert_eq!(uri.remote_name(), "test:///default");
        let socket = PathBuf::from("/a b/sock");
        assert_eq!(uri.transport, Transport::Unix { socket });
        assert_eq!(uri.to_string(), "test+unix:///default");

        let uri = parsed("lxc:///");
        assert_eq!(uri.remote_name(), "lxc:///");
        let socket = PathBuf::from(SOCKET);
        assert_eq!(uri.transport, Transport::Unix { socket });

        let uri = parsed("xen+tcp://127.0.0.1:16510/");
        assert_eq!(uri.remote_name(), "xen:///");
        let host = "127.0.0.1".to_owned();
        assert_eq!(uri.transport, Transport::Tcp { host, port: 16510 });
        assert_eq!(uri.to_string(), "xen+tcp://127.0.0.1:16510/");

        let uri = parsed("qemu://[::1]/system?pkipath=/pki&name=qemu:///x");
        assert_eq!(uri.remote_name(), "qemu:///x");
        let (host, pki) = ("::1".to_owned(), Some("/pki".into()));
        let port = 16514;
        assert_eq!(uri.transport, Transport::Tls { host, port, pki });
    }

    #[test]
    fn what_is_refused_says_why() {
        for (text, why) in [
            ("qemu", "\"://\""),
            ("+tcp://h/", "no driver"),
            ("qemu+ssh://h/system", "unix, tcp and tls"),
            ("qemu+unix://h/system", "names a host"),
            ("xen+tcp:///", "no host"),
            ("xen+tcp://h:0/", "port"),
            ("xen+tcp://h:70000/", "port"),
            ("xen+tcp://[::1/", "]"),
            ("xen+tcp://[::1]1/", "port"),
            ("xen+tls://me@h/", "user"),
            ("qemu:///system?no_verify=1", "no_verify"),
            ("qemu:///system?socket=%zz", "%"),
            ("qemu:///system?socket=%ff", "UTF-8"),
        ] {
            let error = text.parse::<Uri>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn anything_can_be_given(text in ".{0,40}", rest in ".{0,40}") {
            let _ = text.parse::<Uri>();
            let _ = format!("qemu+tcp://{rest}").parse::<Uri>();
        }
    }
}
