//! The agent of a cluster: the program on its master that makes accounts.

use std::time::Duration;

use async_trait::async_trait;
use axum::http::{Request, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
pub use rm_core::accounts::{Agent, NewAccount};
use rm_core::secret::Secret;
use rm_core::{Error, ErrorKind, Result};
use serde::Deserialize;

/// The longest answer that is read.
const LONGEST: usize = 64 * 1024;

/// The agent of the LambdaLink appliances: `POST /new_account/` over HTTP.
#[derive(Debug, Clone, Copy)]
pub struct HttpAgent {
    /// The port it listens on; by its specification 80.
    pub port: u16,
    /// How long it may take.
    pub timeout: Duration,
}

impl Default for HttpAgent {
    fn default() -> Self {
        Self {
            port: 80,
            timeout: Duration::from_secs(15),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    username: String,
    password: String,
}

#[async_trait]
impl Agent for HttpAgent {
    async fn new_account(&self, address: &str) -> Result<NewAccount> {
        // It comes from the outputs of a template: only what can be a host is
        // connected to.
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
        if address.is_empty() || address.len() > 253 || !address.chars().all(plain) {
            return Err(silent("has an address that cannot be one"));
        }
        match tokio::time::timeout(self.timeout, self.ask(address)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::new(
                ErrorKind::Timeout,
                "the agent of the cluster did not answer in time",
            )
            .effect_unknown()),
        }
    }
}

impl HttpAgent {
    async fn ask(&self, address: &str) -> Result<NewAccount> {
        let line = tokio::net::TcpStream::connect((address, self.port))
            .await
            .map_err(|e| silent("cannot be reached").because(e))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake::<_, Empty<Bytes>>(TokioIo::new(line))
                .await
                .map_err(|e| silent("does not speak HTTP").because(e))?;
        let host = match address.contains(':') {
            true => format!("[{address}]:{}", self.port),
            false => format!("{address}:{}", self.port),
        };
        let request = Request::post("/new_account/")
            .header(header::HOST, host)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_LENGTH, "0")
            .body(Empty::new())
            .map_err(|e| Error::new(ErrorKind::Internal, "no request").because(e))?;
        let answer = async {
            let response = sender
                .send_request(request)
                .await
                .map_err(|e| silent("broke off").because(e).effect_unknown())?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LONGEST)
                .collect()
                .await
                .map_err(|e| silent("broke off").because(e).effect_unknown())?
                .to_bytes();
            if !status.is_success() {
                return Err(Error::new(
                    ErrorKind::Failed,
                    format!(
                        "the agent of the cluster refused, with HTTP {}",
                        status.as_u16()
                    ),
                ));
            }
            // What it said is not told: it may hold a password.
            let made: Answer = serde_json::from_slice(&body).map_err(|_| {
                Error::new(
                    ErrorKind::Failed,
                    "the agent of the cluster answered something else than username and password",
                )
            })?;
            Ok(NewAccount {
                username: made.username,
                password: Secret::new(made.password),
            })
        };
        // The connection is driven here, so that nothing outlives the call.
        tokio::select! {
            biased;
            answer = answer => answer,
            _ = async { let _ = connection.await; std::future::pending::<()>().await } => {
                Err(silent("broke off").effect_unknown())
            }
        }
    }
}

fn silent(what: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("the agent of the cluster {what}"),
    )
    .advice("does the appliance run one, and may this host reach it?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn agent_that_says(answer: &'static str) -> HttpAgent {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut line, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let n = line.read(&mut asked).await.unwrap();
            assert!(asked[..n].starts_with(b"POST /new_account/ HTTP/1.1\r\n"));
            line.write_all(answer.as_bytes()).await.unwrap();
        });
        HttpAgent {
            port,
            timeout: Duration::from_secs(5),
        }
    }

    #[tokio::test]
    async fn an_account_is_read_whatever_the_framing() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 36\r\n\r\n{\"username\": \"u1\", \"password\": \"p1\"}",
            "HTTP/1.0 201 Created\r\n\r\n{\"username\": \"u1\", \"password\": \"p1\"}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n24\r\n{\"username\": \"u1\", \"password\": \"p1\"}\r\n0\r\n\r\n",
        ] {
            let agent = agent_that_says(answer).await;
            let made = agent.new_account("127.0.0.1").await.unwrap();
            assert_eq!(made.username, "u1");
            assert_eq!(made.password.expose(), "p1");
        }
    }

    #[tokio::test]
    async fn what_is_no_account_is_an_error_that_does_not_repeat_it() {
        for (answer, kind) in [
            (
                "HTTP/1.1 500 No\r\nContent-Length: 7\r\n\r\nhunter2",
                ErrorKind::Failed,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nhunter2",
                ErrorKind::Failed,
            ),
            ("hunter2\r\n\r\n", ErrorKind::Unavailable),
            ("", ErrorKind::Unavailable),
        ] {
            let agent = agent_that_says(answer).await;
            let e = agent.new_account("127.0.0.1").await.unwrap_err();
            assert_eq!(e.kind(), kind, "{answer:?}");
            assert!(!format!("{e:?}").contains("hunter2"));
        }
        let agent = HttpAgent::default();
        for address in ["", "a/b", "user@host", "host\r\nx"] {
            assert!(agent.new_account(address).await.is_err());
        }
    }
}
