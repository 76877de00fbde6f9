//! Consoles: pieces of a stream beside the calls.

use rm_libvirt::{Client, Console, ConsoleFlags, Domain, Error, Uuid};
use tokio::net::TcpStream;

use crate::server::{
    CONTINUE, ERROR, HOSTNAME, Line, Message, OK, REMOTE, STREAM, Server, domain, error, text,
    words,
};

const OPEN_CONSOLE: u32 = 201;

struct Open {
    line: Line<TcpStream>,
    serial: u32,
}

impl Open {
    async fn send(&mut self, status: u32, bytes: &[u8]) {
        let piece = Message {
            header: [REMOTE, 1, OPEN_CONSOLE, STREAM, self.serial, status],
            payload: bytes.to_vec(),
        };
        self.line.write(&piece).await;
    }

    /// What the client says about the stream.
    async fn hears(&mut self, status: u32) {
        let said = self.line.read().await.unwrap();
        let expected = [REMOTE, 1, OPEN_CONSOLE, STREAM, self.serial, status];
        assert_eq!(said.header, expected);
    }

    /// A call that is served after all that was sent before it.
    async fn after_this(&mut self, client: &Client) {
        let serve = async {
            let call = self.line.call(HOSTNAME).await;
            self.line.write(&call.answer(OK, &text("host"))).await;
        };
        let (name, ()) = tokio::join!(client.hostname(), serve);
        name.unwrap();
    }
}

async fn open() -> (Client, Open, Console) {
    open_after(&[]).await
}

/// Opened by an answer that comes after these pieces.
async fn open_after(pieces: &[&[u8]]) -> (Client, Open, Console) {
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.welcome().await;
    let guest = Domain::new("guest", Uuid([7; 16]));
    let serve = async {
        let call = line.call(OPEN_CONSOLE).await;
        assert_eq!(call.payload, [domain("guest"), words(&[0, 1])].concat());
        let serial = call.serial();
        let mut open = Open { line, serial };
        for piece in pieces {
            open.send(CONTINUE, piece).await;
        }
        open.line.write(&call.answer(OK, &[])).await;
        open
    };
    let opened = client.open_console(&guest, None, ConsoleFlags::FORCE);
    let (console, open) = tokio::join!(opened, serve);
    (client, open, console.unwrap())
}

#[tokio::test]
async fn output_comes_in_pieces_until_its_end() {
    let (client, mut open, mut console) = open().await;
    open.send(CONTINUE, b"Booting").await;
    open.send(CONTINUE, b" Linux").await;
    assert_eq!(console.read().await.unwrap().unwrap(), b"Booting");
    open.after_this(&client).await;
    open.send(CONTINUE, b"").await;
    // An end is confirmed, and the confirmation is confirmed.
    open.hears(OK).await;
    open.send(OK, b"").await;
    assert_eq!(console.read().await.unwrap().unwrap(), b" Linux");
    assert_eq!(console.read().await.unwrap(), None);
    assert_eq!(console.read().await.unwrap(), None);
    open.after_this(&client).await;
}

#[tokio::test]
async fn what_comes_before_the_console_is_said_to_be_open_is_not_lost() {
    let (client, mut open, mut console) = open_after(&[b"Booting"]).await;
    open.send(CONTINUE, b" Linux").await;
    assert_eq!(console.read().await.unwrap().unwrap(), b"Booting");
    assert_eq!(console.read().await.unwrap().unwrap(), b" Linux");
    open.after_this(&client).await;

    // Nor is its end, or a reader would wait for more without end.
    let (_client, mut open, mut console) = open_after(&[b"Bye", b""]).await;
    open.hears(OK).await;
    assert_eq!(console.read().await.unwrap().unwrap(), b"Bye");
    assert_eq!(console.read().await.unwrap(), None);
}

#[tokio::test]
async fn a_console_that_is_refused_leaves_nothing_behind() {
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.welcome().await;
    let guest = Domain::new("guest", Uuid([7; 16]));
    let serve = async {
        let call = line.call(OPEN_CONSOLE).await;
        let serial = call.serial();
        line.write(&call.answer(ERROR, &error(55, "not running")))
            .await;
        Open { line, serial }
    };
    let opened = client.open_console(&guest, None, ConsoleFlags::default());
    let (refused, mut open) = tokio::join!(opened, serve);
    let code = refused.unwrap_err().code();
    assert_eq!(code.map(|code| code.0), Some(55));
    // What comes for it now is nobody's.
    open.send(CONTINUE, b"").await;
    open.after_this(&client).await;
}

#[tokio::test]
async fn a_console_that_fails_says_so() {
    let (_client, mut open, mut console) = open().await;
    open.send(ERROR, &error(38, "cannot read")).await;
    let error = console.read().await.unwrap_err();
    assert_eq!(error.code().map(|code| code.0), Some(38));
}

#[tokio::test]
async fn closing_a_console_is_told_to_the_server() {
    let (client, mut open, console) = open().await;
    drop(console);
    open.hears(ERROR).await;
    open.send(CONTINUE, b"too late").await;
    open.after_this(&client).await;
}

#[tokio::test]
async fn a_slow_reader_stops_its_console_and_no_call() {
    let (client, mut open, mut console) = open().await;
    for _ in 0..100 {
        open.send(CONTINUE, b"x").await;
    }
    open.hears(ERROR).await;
    open.after_this(&client).await;
    let mut read = 0;
    let error = loop {
        match console.read().await {
            Ok(Some(piece)) => read += piece.len(),
            Ok(None) => panic!("it is not complete"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Overrun), "{error}");
    assert!(read < 100, "{read}");
}

#[tokio::test]
async fn a_console_ends_with_its_connection() {
    let (_client, open, mut console) = open().await;
    drop(open);
    assert!(matches!(console.read().await, Err(Error::Lost { .. })));
}
