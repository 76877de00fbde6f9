//! What no libvirt says: the connection is given up, nobody waits for ever,
//! nothing panics, and the next connection is a good one.

use rm_libvirt::{DestroyFlags, Domain, Down, Effect, Error, ListFlags, Uuid};

use crate::server::{
    CONTINUE, DESTROY, ERROR, HOSTNAME, KEEPALIVE, Message, OK, REMOTE, REPLY, STREAM, Server,
    domain, text, words,
};

/// Frames for the place of an answer to a call of this serial.
fn frames(serial: u32) -> Vec<Vec<u8>> {
    let framed = |header: [u32; 6], payload: &[u8]| {
        let length = u32::try_from(28 + payload.len()).unwrap();
        [words(&[length]), words(&header), payload.to_vec()].concat()
    };
    vec![
        words(&[0]),
        words(&[27]),
        words(&[u32::MAX]),
        words(&[32 * 1024 * 1024 + 5]),
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        framed([0xdead_beef, 1, DESTROY, REPLY, serial, OK], &[]),
        framed([REMOTE, 2, DESTROY, REPLY, serial, OK], &[]),
        framed([REMOTE, 1, DESTROY, 0, serial, OK], &[]),
        framed([REMOTE, 1, DESTROY, 9, serial, OK], &[]),
        framed([REMOTE, 1, DESTROY, REPLY, serial, 9], &[]),
        framed([REMOTE, 1, DESTROY, REPLY, serial, CONTINUE], &[]),
        framed([REMOTE, 1, HOSTNAME, REPLY, serial, OK], &[]),
        framed([REMOTE, 1, DESTROY, REPLY, serial + 1, OK], &[]),
        framed(
            [REMOTE, 1, DESTROY, REPLY, serial, ERROR],
            &words(&[1, 1, 1, 99]),
        ),
        framed([REMOTE, 1, 318, 2, 0, OK], &words(&[0, u32::MAX])),
        framed([KEEPALIVE, 1, 1, REPLY, serial, OK], &[]),
    ]
}

#[tokio::test]
async fn nonsense_ends_the_connection_and_nothing_else() {
    let guest = Domain::new("guest", Uuid([7; 16]));
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.welcome().await;
    let count = frames(1).len();
    for n in 0..count {
        let serve = async {
            let call = line.call(DESTROY).await;
            line.raw(&frames(call.serial())[n]).await;
            server.welcome().await
        };
        let destroyed = client.destroy(&guest, DestroyFlags::default());
        let (destroyed, next) = tokio::join!(destroyed, serve);
        line = next;
        let error = destroyed.unwrap_err();
        let Error::Lost { why, .. } = &error else {
            panic!("frame {n}: {error}");
        };
        assert!(matches!(**why, Down::Malformed(_)), "frame {n}: {error}");
        assert_eq!(error.effect(), Effect::Unknown);
    }
}

#[tokio::test]
async fn half_a_message_is_no_message() {
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.welcome().await;
    let serve = async {
        let call = line.call(HOSTNAME).await;
        // It announces 32 MiB and brings nothing.
        line.raw(&words(&[32 * 1024 * 1024, REMOTE, 1, call.procedure()]))
            .await;
        drop(line);
    };
    let (name, ()) = tokio::join!(client.hostname(), serve);
    assert!(matches!(name, Err(Error::Lost { .. })));
}

#[tokio::test]
async fn an_answer_of_another_shape_is_unreadable() {
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.welcome().await;
    let long = [domain("a"), words(&[0])].concat();
    let endless = words(&[u32::MAX]);
    let no_utf8 = [words(&[1]), vec![0xff, 0, 0, 0]].concat();
    for answer in [Vec::new(), endless, no_utf8, long] {
        let serve = async {
            let call = line.call(273).await;
            line.write(&call.answer(OK, &answer)).await;
            let call = line.call(11).await;
            line.write(&call.answer(OK, &answer)).await;
            // The connection itself is in order.
            let call = line.call(HOSTNAME).await;
            line.write(&call.answer(OK, &text("host"))).await;
        };
        let asked = async {
            let listed = client.list_domains(ListFlags::default()).await;
            let error = listed.unwrap_err();
            assert!(matches!(error, Error::Unreadable { .. }), "{error}");
            assert_eq!(error.effect(), Effect::None);
            let defined = client.define_xml("<domain/>").await;
            let error = defined.unwrap_err();
            assert!(matches!(error, Error::Unreadable { .. }), "{error}");
            assert_eq!(error.effect(), Effect::Unknown);
            assert_eq!(client.hostname().await.unwrap(), "host");
        };
        tokio::join!(asked, serve);
    }
}

#[tokio::test]
async fn pieces_of_streams_that_nobody_opened_are_let_pass() {
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.welcome().await;
    let serve = async {
        let call = line.call(HOSTNAME).await;
        let stray = Message {
            header: [REMOTE, 1, 201, STREAM, 99, CONTINUE],
            payload: b"what?".to_vec(),
        };
        line.write(&stray).await;
        line.write(&Message::event(4711, b"new")).await;
        line.write(&call.answer(OK, &text("host"))).await;
    };
    let (name, ()) = tokio::join!(client.hostname(), serve);
    assert_eq!(name.unwrap(), "host");
}
