//! Brings events to the callbacks of tenants: one POST each, in commit order,
//! tried again by core until the receiver has it.

use std::error::Error as _;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rm_adapters::networks::Networks;
use rm_adapters::rest::callback_body;
use rm_core::event::Event;
use rm_core::outbox::{Deliver, not_delivered};
use rm_core::{Error, ErrorKind, Result};

/// POST of an event as JSON to an address in the permitted networks. What a
/// receiver answers beside its status is not read, and no redirect is followed.
pub(super) struct Post {
    networks: Arc<Networks>,
    client: OnceLock<reqwest::Client>,
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Post")
    }
}

impl Post {
    pub(super) fn new(networks: Networks) -> Self {
        Self {
            networks: Arc::new(networks),
            client: OnceLock::new(),
        }
    }

    // Made with the first delivery: most hosts have no callbacks, and a client
    // with its certificates is megabytes.
    fn client(&self) -> Result<&reqwest::Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(10))
            .pool_max_idle_per_host(1)
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would look the name up itself, and call what it finds.
            .no_proxy()
            .dns_resolver(Arc::new(Permitted(Arc::clone(&self.networks))))
            .build()
            .map_err(|_| Error::new(ErrorKind::Internal, "no HTTP client can be made"))?;
        Ok(self.client.get_or_init(|| client))
    }
}

#[async_trait]
impl Deliver for Post {
    async fn deliver(&self, url: &str, event: &Event) -> Result<()> {
        let url: Url = url
            .parse()
            .map_err(|_| Error::invalid("the address of the receiver cannot be read"))?;
        // What is written as an address is not looked up.
        let host = url.host_str().unwrap_or_default();
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
        if literal.is_ok_and(|address| !self.networks.permit(address)) {
            return Err(refused());
        }
        let answer = self
            .client()?
            .post(url)
            .json(&callback_body(event))
            .send()
            .await
            .map_err(|e| silent(&e))?;
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(not_delivered(answer.status().as_u16()))
        }
    }
}

/// The address may hold a secret of the receiver's: reqwest's own message,
/// which repeats it, is not told.
fn silent(e: &reqwest::Error) -> Error {
    let mut below = e.source();
    while let Some(e) = below {
        if e.is::<Refused>() {
            return refused();
        }
        below = e.source();
    }
    Error::new(ErrorKind::Unavailable, "the receiver does not answer")
}

fn refused() -> Error {
    Error::new(ErrorKind::Forbidden, Refused.to_string())
        .advice("an operator can allow its network in [callbacks] allow")
}

/// None of the addresses of a name may be called.
#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the receiver's address is not a public one")
    }
}

impl std::error::Error for Refused {}

/// Looks names up, and leaves out what may not be called: what is connected to
/// is what was looked at.
struct Permitted(Arc<Networks>);

impl Resolve for Permitted {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let good: Vec<SocketAddr> = found.filter(|a| networks.permit(a.ip())).collect();
            if good.is_empty() {
                return Err(Refused.into());
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use rm_core::caller::Tenant;
    use rm_core::env::Timestamp;
    use rm_core::event::NewEvent;
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn event() -> Event {
        Event {
            seq: 7,
            event: NewEvent {
                at: Timestamp::from_millis(0),
                what: "cluster.ready".to_owned(),
                tenant: Some(Tenant("physics".to_owned())),
                audience: vec!["ann".to_owned()],
                resource: None,
                data: json!({"a": 1}).into(),
            },
        }
    }

    fn loopback() -> Networks {
        Networks::allowing(vec!["127.0.0.0/8".parse().unwrap()])
    }

    /// Answers one request, and tells what it was; nothing where none came
    /// before the listener went.
    async fn receive(listener: &TcpListener, answer: &str) -> String {
        let (mut line, _) = listener.accept().await.unwrap();
        let mut got = Vec::new();
        let mut some = [0; 4096];
        loop {
            let n = line.read(&mut some).await.unwrap();
            got.extend_from_slice(&some[..n]);
            let text = String::from_utf8_lossy(&got);
            if n == 0 || text.ends_with('}') {
                break;
            }
        }
        line.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(got).unwrap()
    }

    #[tokio::test]
    async fn a_receiver_gets_what_the_stream_of_events_has() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let post = Post::new(loopback());
        let (url, event) = (format!("http://127.0.0.1:{port}/hook"), event());
        let ok = "HTTP/1.1 204 Fine\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let (done, got) = tokio::join!(post.deliver(&url, &event), receive(&listener, ok));
        done.unwrap();
        assert!(got.starts_with("POST /hook HTTP/1.1\r\n"), "{got}");
        let body: Value = serde_json::from_str(got.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(
            body,
            json!({"seq": 7, "at": "1970-01-01T00:00:00.000Z", "what": "cluster.ready",
                   "tenant": "physics", "data": {"a": 1}})
        );
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let post = Post::new(loopback());
        let (url, event) = (format!("http://127.0.0.1:{port}/"), event());
        let moved = format!(
            "HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:{}/\r\nContent-Length: 0\r\n\r\n",
            elsewhere.local_addr().unwrap().port()
        );
        let call = async {
            tokio::select! {
                done = post.deliver(&url, &event) => done.unwrap_err(),
                _ = elsewhere.accept() => panic!("it went there"),
            }
        };
        let (e, _) = tokio::join!(call, receive(&listener, &moved));
        assert_eq!(e.to_string(), "the receiver answered with status 307");
    }

    #[tokio::test]
    async fn what_is_not_public_is_not_called_however_it_is_written() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let post = Post::new(Networks::default());
        let event = event();
        for host in [
            "127.0.0.1",
            "localhost",
            "2130706433",
            "0x7f.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "169.254.169.254",
        ] {
            let url = format!("http://{host}:{port}/");
            let e = tokio::select! {
                done = post.deliver(&url, &event) => done.unwrap_err(),
                _ = listener.accept() => panic!("{host} was called"),
            };
            assert_eq!(e.kind(), ErrorKind::Forbidden, "{host}: {e}");
            assert!(e.next().unwrap().contains("callbacks"));
        }
    }
}
