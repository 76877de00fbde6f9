//! Uploads: a stream in the other direction.

use rm_libvirt::{Client, Effect, Error, Volume};
use tokio::net::TcpStream;

use crate::server::{
    CONTINUE, ERROR, Line, Message, OK, REMOTE, STREAM, Server, error, text, words,
};

const UPLOAD: u32 = 208;

async fn volume(client: &Client, line: &mut Line<TcpStream>) -> Volume {
    let serve = async {
        let call = line.call(84).await;
        let pool = [text("images"), vec![5; 16]].concat();
        line.write(&call.answer(OK, &pool)).await;
        let call = line.call(95).await;
        assert_eq!(call.payload, [pool, text("a")].concat());
        let volume = [text("images"), text("a"), text("/images/a")].concat();
        line.write(&call.answer(OK, &volume)).await;
    };
    let find = async {
        let pool = client.pool_by_name("images").await.unwrap();
        client.volume_by_name(&pool, "a").await.unwrap()
    };
    tokio::join!(find, serve).0
}

fn piece(serial: u32, status: u32, bytes: &[u8]) -> Message {
    Message {
        header: [REMOTE, 1, UPLOAD, STREAM, serial, status],
        payload: bytes.to_vec(),
    }
}

#[tokio::test]
async fn the_size_of_a_volume_is_what_a_machine_sees_of_it() {
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.welcome().await;
    let volume = volume(&client, &mut line).await;
    let serve = async {
        let call = line.call(98).await;
        let named = [text("images"), text("a"), text("/images/a")].concat();
        assert_eq!(call.payload, named);
        // A file of 12288 bytes that takes none of its room.
        let answer = words(&[0, 0, 12288, 0, 0]);
        line.write(&call.answer(OK, &answer)).await;
    };
    let (size, ()) = tokio::join!(client.volume_capacity(&volume), serve);
    assert_eq!(size.unwrap(), 12288);
}

#[tokio::test]
async fn the_room_of_a_pool_is_what_it_has_left() {
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.welcome().await;
    let serve = async {
        let pool = [text("images"), vec![5; 16]].concat();
        let call = line.call(84).await;
        line.write(&call.answer(OK, &pool)).await;
        let call = line.call(87).await;
        assert_eq!(call.payload, pool);
        // It runs, and has 4096 bytes left of 16384.
        let answer = words(&[2, 0, 16384, 0, 12288, 0, 4096]);
        line.write(&call.answer(OK, &answer)).await;
    };
    let ask = async {
        let pool = client.pool_by_name("images").await.unwrap();
        client.pool_available(&pool).await
    };
    let (left, ()) = tokio::join!(ask, serve);
    assert_eq!(left.unwrap(), 4096);
}

#[tokio::test]
async fn bytes_arrive_whole_and_their_end_is_confirmed() {
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.welcome().await;
    let volume = volume(&client, &mut line).await;
    let bytes: Vec<u8> = (0..1_000_000u32).map(|n| n.to_be_bytes()[3]).collect();
    let serve = async {
        let call = line.call(UPLOAD).await;
        assert!(call.payload.ends_with(&words(&[0, 0, 0, 0, 0])));
        line.write(&call.answer(OK, &[])).await;
        let mut arrived = Vec::new();
        loop {
            let message = line.read().await.unwrap();
            match message.header[5] {
                CONTINUE => arrived.extend(message.payload),
                status => break assert_eq!(status, OK),
            }
        }
        line.write(&piece(call.serial(), OK, &[])).await;
        arrived
    };
    let uploaded = client.upload_volume(&volume, &bytes[..]);
    let (uploaded, arrived) = tokio::join!(uploaded, serve);
    uploaded.unwrap();
    assert!(arrived == bytes, "{} bytes arrived", arrived.len());
}

#[tokio::test]
async fn a_full_disk_ends_an_upload() {
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.welcome().await;
    let volume = volume(&client, &mut line).await;
    let serve = async {
        let call = line.call(UPLOAD).await;
        line.write(&call.answer(OK, &[])).await;
        let full = error(38, "No space left on device");
        line.write(&piece(call.serial(), ERROR, &full)).await;
        // Nothing is said about what has ended.
        while let Some(message) = line.read().await {
            assert_ne!(message.header[5], ERROR);
        }
    };
    let upload = async {
        let uploaded = client.upload_volume(&volume, &vec![0; 1_000_000][..]).await;
        drop(client);
        uploaded
    };
    let (uploaded, ()) = tokio::join!(upload, serve);
    let error = uploaded.unwrap_err();
    assert!(matches!(error, Error::Remote { .. }), "{error}");
    assert_eq!(error.effect(), Effect::Unknown);
    assert!(error.to_string().contains("No space"), "{error}");
}
