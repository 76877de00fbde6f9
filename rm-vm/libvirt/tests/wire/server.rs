//! A server that knows how a connection begins, and leaves the rest to a test.

use std::time::Duration;

use rm_libvirt::{Client, Config, Keepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const REMOTE: u32 = 0x2000_8086;
pub(crate) const KEEPALIVE: u32 = 0x6b65_6570;
pub(crate) const REPLY: u32 = 1;
pub(crate) const EVENT: u32 = 2;
pub(crate) const STREAM: u32 = 3;
pub(crate) const OK: u32 = 0;
pub(crate) const ERROR: u32 = 1;
pub(crate) const CONTINUE: u32 = 2;

pub(crate) const HOSTNAME: u32 = 59;
pub(crate) const DESTROY: u32 = 234;

/// A message as it is on the wire, without its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Program, version, procedure, type, serial, status.
    pub(crate) header: [u32; 6],
    pub(crate) payload: Vec<u8>,
}

impl Message {
    pub(crate) fn procedure(&self) -> u32 {
        self.header[2]
    }

    pub(crate) fn serial(&self) -> u32 {
        self.header[4]
    }

    /// The answer to this call.
    pub(crate) fn answer(&self, status: u32, payload: &[u8]) -> Self {
        let [program, version, procedure, _, serial, _] = self.header;
        Self {
            header: [program, version, procedure, REPLY, serial, status],
            payload: payload.to_vec(),
        }
    }

    pub(crate) fn event(procedure: u32, payload: &[u8]) -> Self {
        Self {
            header: [REMOTE, 1, procedure, EVENT, 0, OK],
            payload: payload.to_vec(),
        }
    }
}

pub(crate) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut bytes = words(&[u32::try_from(text.len()).unwrap()]);
    bytes.extend(text.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

pub(crate) fn domain(name: &str) -> Vec<u8> {
    let mut bytes = text(name);
    bytes.extend([7; 16]);
    bytes.extend(words(&[u32::MAX]));
    bytes
}

pub(crate) fn error(code: u32, message: &str) -> Vec<u8> {
    let mut bytes = words(&[code, 12, 1]);
    bytes.extend(text(message));
    bytes.extend(words(&[2, 0, 0, 0, 0, 0, 0, 0]));
    bytes
}

/// One client's connection, seen from the server.
pub(crate) struct Line<S>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    /// The next message of the client; none if it has gone.
    pub(crate) async fn read(&mut self) -> Option<Message> {
        let length = self.0.read_u32().await.ok()? as usize;
        let mut header = [0; 6];
        for word in &mut header {
            *word = self.0.read_u32().await.ok()?;
        }
        let mut payload = vec![0; length - 28];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Message { header, payload })
    }

    /// The next call of this procedure.
    pub(crate) async fn call(&mut self, procedure: u32) -> Message {
        let call = self.read().await.unwrap();
        assert_eq!(call.procedure(), procedure);
        call
    }

    pub(crate) async fn write(&mut self, message: &Message) {
        let length = u32::try_from(28 + message.payload.len()).unwrap();
        let mut bytes = words(&[length]);
        bytes.extend(words(&message.header));
        bytes.extend(&message.payload);
        self.raw(&bytes).await;
    }

    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// How each connection begins.
    pub(crate) async fn welcome(&mut self) {
        let call = self.call(66).await;
        self.write(&call.answer(OK, &words(&[1, 0]))).await;
        let call = self.call(1).await;
        assert!(call.payload.starts_with(&words(&[1, 15])));
        assert!(call.payload[8..].starts_with(b"test:///default"));
        self.write(&call.answer(OK, &[])).await;
        let call = self.call(316).await;
        self.write(&call.answer(OK, &words(&[0]))).await;
    }
}

pub(crate) struct Server(TcpListener);

impl Server {
    pub(crate) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// Of a client that neither asks whether we live nor wants to be asked.
    pub(crate) fn config(&self) -> Config {
        let address = self.0.local_addr().unwrap();
        let uri = format!("test+tcp://{address}/default").parse().unwrap();
        let mut config = Config::new(uri);
        config.keepalive = None;
        config.retry_first = Duration::from_millis(1);
        config
    }

    pub(crate) fn client(&self) -> Client {
        run(self.config())
    }

    /// A client that gives a silent server up soon.
    pub(crate) fn impatient(&self) -> Client {
        let mut config = self.config();
        config.keepalive = Some(Keepalive {
            interval: Duration::from_millis(10),
            count: 2,
        });
        run(config)
    }

    pub(crate) async fn accept(&self) -> Line<TcpStream> {
        Line(self.0.accept().await.unwrap().0)
    }

    pub(crate) async fn welcome(&self) -> Line<TcpStream> {
        let mut line = self.accept().await;
        line.welcome().await;
        line
    }
}

pub(crate) fn run(config: Config) -> Client {
    let (client, connection) = Client::new(config);
    tokio::spawn(connection.run());
    client
}
