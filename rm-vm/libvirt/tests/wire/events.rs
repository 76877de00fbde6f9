//! Events, gaps in them, and whether the other side is alive.

use rm_libvirt::{Change, Down, Error, Event, Stopped};

use crate::server::{EVENT, HOSTNAME, KEEPALIVE, Message, OK, Server, domain, run, text, words};

fn stopped(name: &str) -> Message {
    Message::event(318, &[words(&[0]), domain(name), words(&[5, 1])].concat())
}

#[tokio::test]
async fn what_happens_is_told_and_so_are_gaps() {
    let server = Server::start().await;
    let client = server.client();
    let mut events = client.events();
    let mut line = server.welcome().await;
    assert!(matches!(events.next().await, Some(Event::Connected)));

    line.write(&stopped("a")).await;
    let Some(Event::Lifecycle(life)) = events.next().await else {
        panic!("no event");
    };
    assert_eq!((&*life.domain.name, life.change), ("a", Change::Stopped));
    assert_eq!(life.stopped(), Some(Stopped::Destroyed));

    drop(line);
    let Some(Event::Disconnected(why)) = events.next().await else {
        panic!("the end is not told");
    };
    assert!(matches!(*why, Down::Closed), "{why}");
    let _line = server.welcome().await;
    assert!(matches!(events.next().await, Some(Event::Connected)));

    // Whoever comes later hears first that there is a connection.
    assert!(matches!(
        client.events().next().await,
        Some(Event::Connected)
    ));
}

#[tokio::test]
async fn a_slow_subscriber_hears_that_it_missed_something() {
    let server = Server::start().await;
    let mut config = server.config();
    config.events_kept = 2;
    let client = run(config);
    let mut line = server.welcome().await;
    client.ready().await.unwrap();
    let mut events = client.events();
    assert!(matches!(events.next().await, Some(Event::Connected)));
    let serve = async {
        for _ in 0..9 {
            line.write(&stopped("a")).await;
        }
        let call = line.call(HOSTNAME).await;
        line.write(&call.answer(OK, &text("host"))).await;
    };
    let (name, ()) = tokio::join!(client.hostname(), serve);
    // The answer came after the events.
    name.unwrap();
    loop {
        match events.next().await {
            // It may have heard of its beginning again.
            Some(Event::Connected) => {}
            Some(Event::Missed(count)) => break assert!(count >= 7, "{count}"),
            other => panic!("{other:?}"),
        }
    }
    for _ in 0..2 {
        assert!(matches!(events.next().await, Some(Event::Lifecycle(_))));
    }
}

#[tokio::test]
async fn a_server_that_asks_is_answered() {
    let server = Server::start().await;
    let _client = server.client();
    let mut line = server.welcome().await;
    let ping = Message {
        header: [KEEPALIVE, 1, 1, EVENT, 0, OK],
        payload: Vec::new(),
    };
    line.write(&ping).await;
    let pong = line.read().await.unwrap();
    assert_eq!(pong.header, [KEEPALIVE, 1, 2, EVENT, 0, OK]);
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let server = Server::start().await;
    let client = server.impatient();
    let mut line = server.accept().await;
    line.welcome().await;
    let feature = line.call(60).await;
    assert_eq!(feature.payload, words(&[10]));
    line.write(&feature.answer(OK, &words(&[1]))).await;
    let serve = async {
        let mut pings = 0;
        while let Some(message) = line.read().await {
            pings += usize::from(message.header == [KEEPALIVE, 1, 1, EVENT, 0, OK]);
        }
        pings
    };
    let (name, pings) = tokio::join!(client.hostname(), serve);
    let error = name.unwrap_err();
    assert!(
        matches!(&error, Error::Lost { why, .. } if matches!(**why, Down::Silent(_))),
        "{error}"
    );
    assert_eq!(pings, 2);
}
