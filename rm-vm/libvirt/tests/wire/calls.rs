//! Calls: which answer is whose, how many at once, how long, and what became of them.

use std::time::Duration;

use rm_libvirt::{
    Client, DestroyFlags, Domain, Down, Effect, Error, Event, ListFlags, StatsFlags, Uuid, Value,
};

use crate::server::{
    DESTROY, ERROR, HOSTNAME, Line, Message, OK, Server, domain, error, run, text, words,
};

fn guest() -> Domain {
    Domain::new("guest", Uuid([7; 16]))
}

async fn destroy(client: &Client) -> Error {
    let destroyed = client.destroy(&guest(), DestroyFlags::default()).await;
    destroyed.unwrap_err()
}

#[tokio::test]
async fn each_caller_gets_its_own_answer() {
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.welcome().await;
    let serve = async {
        let first = line.read().await.unwrap();
        let second = line.read().await.unwrap();
        for call in [second, first] {
            let answer = match call.procedure() {
                HOSTNAME => text("host"),
                _ => words(&[0, 9_000_001]),
            };
            line.write(&call.answer(OK, &answer)).await;
        }
    };
    let (name, version, ()) = tokio::join!(client.hostname(), client.lib_version(), serve);
    assert_eq!(name.unwrap(), "host");
    assert_eq!(version.unwrap().to_string(), "9.0.1");
}

#[tokio::test]
async fn no_more_calls_at_once_than_allowed() {
    let server = Server::start().await;
    let mut config = server.config();
    config.in_flight = 2;
    let client = run(config);
    let mut line = server.welcome().await;
    let serve = async {
        let mut open = vec![line.read().await.unwrap(), line.read().await.unwrap()];
        let mut served = 0;
        while let Some(call) = open.pop() {
            // With two of them open, nothing more has been sent.
            let more = tokio::time::timeout(Duration::from_millis(20), line.read()).await;
            assert!(more.is_err(), "{more:?}");
            line.write(&call.answer(OK, &text("host"))).await;
            served += 1;
            if served < 4 {
                open.push(line.read().await.unwrap());
            }
        }
        served
    };
    let (a, b, c, d, e, served) = tokio::join!(
        client.hostname(),
        client.hostname(),
        client.hostname(),
        client.hostname(),
        client.hostname(),
        serve
    );
    for name in [a, b, c, d, e] {
        assert_eq!(name.unwrap(), "host");
    }
    assert_eq!(served, 5);
}

#[tokio::test]
async fn after_its_deadline_a_call_may_have_been_done() {
    let server = Server::start().await;
    let mut config = server.config();
    config.in_flight = 1;
    let client = run(config);
    let mut line = server.welcome().await;
    let hasty = client.within(Duration::from_millis(20));
    let error = destroy(&hasty).await;
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
    assert_eq!(error.effect(), Effect::Unknown);

    // The server still works on it, so the next one is not sent.
    let error = destroy(&hasty).await;
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
    assert_eq!(error.effect(), Effect::None);

    // An answer that nobody waits for any more is no error, and makes room.
    let late = line.call(DESTROY).await;
    line.write(&late.answer(OK, &[])).await;
    let serve = async {
        let call = line.call(HOSTNAME).await;
        line.write(&call.answer(OK, &text("host"))).await;
    };
    let (name, ()) = tokio::join!(client.hostname(), serve);
    assert_eq!(name.unwrap(), "host");
}

#[tokio::test]
async fn a_question_has_no_effect_whatever_becomes_of_it() {
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.welcome().await;
    let serve = async {
        line.call(HOSTNAME).await;
        drop(line);
    };
    let (name, ()) = tokio::join!(client.hostname(), serve);
    let error = name.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error}");
    assert_eq!(error.effect(), Effect::None);
}

#[tokio::test]
async fn a_lost_connection_leaves_an_order_in_doubt_and_is_made_again() {
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.welcome().await;
    let serve = async {
        line.call(DESTROY).await;
        drop(line);
        server.welcome().await
    };
    let (error, mut line) = tokio::join!(destroy(&client), serve);
    assert!(matches!(error, Error::Lost { .. }), "{error}");
    assert_eq!(error.effect(), Effect::Unknown);
    let serve = async {
        let call = line.call(HOSTNAME).await;
        line.write(&call.answer(OK, &text("host"))).await;
    };
    let (name, ()) = tokio::join!(client.hostname(), serve);
    assert_eq!(name.unwrap(), "host");
}

#[tokio::test]
async fn libvirt_s_own_errors() {
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.welcome().await;
    for (code, effect) in [
        (42, Effect::None),
        (55, Effect::None),
        (1, Effect::Unknown),
        (38, Effect::Unknown),
        (4711, Effect::Unknown),
    ] {
        let serve = async {
            let call = line.call(DESTROY).await;
            let refusal = error(code, "Domain\nnot \u{1b}[31mfound");
            line.write(&call.answer(ERROR, &refusal)).await;
        };
        let (error, ()) = tokio::join!(destroy(&client), serve);
        assert_eq!(
            error.code().map(|code| code.0),
            u32::cast_signed(code).into()
        );
        assert_eq!(error.effect(), effect, "{error}");
        let said = error.to_string();
        assert!(
            said.starts_with("destroy domain: Domain not [31mfound ("),
            "{said}"
        );
    }
}

#[tokio::test]
async fn what_libvirt_would_cut_off_is_not_sent() {
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.welcome().await;
    for bad in ["a\0b".to_owned(), "x".repeat(4 * 1024 * 1024 + 1)] {
        let error = client.domain_by_name(&bad).await.unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error}");
    }
    // The next thing that the server sees is the next good call.
    let serve = async {
        let call = line.call(23).await;
        assert_eq!(call.payload, text("good"));
        line.write(&call.answer(OK, &domain("good"))).await;
    };
    let (found, ()) = tokio::join!(client.domain_by_name("good"), serve);
    assert_eq!(found.unwrap(), Domain::new("good", Uuid([7; 16])));
}

#[tokio::test]
async fn without_a_server_calls_fail_at_once_and_later_succeed() {
    let server = Server::start().await;
    let config = server.config();
    drop(server);
    let client = run(config.clone());
    let mut events = client.events();
    let error = destroy(&client).await;
    assert!(matches!(error, Error::Unreachable(_)), "{error}");
    assert_eq!(error.effect(), Effect::None);

    let rm_libvirt::Transport::Tcp { port, .. } = config.uri.transport else {
        panic!("it is TCP");
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await;
    let listener = listener.unwrap();
    let (line, _) = listener.accept().await.unwrap();
    let mut line = Line(line);
    line.welcome().await;
    assert!(matches!(events.next().await, Some(Event::Connected)));
    client.ready().await.unwrap();
}

#[tokio::test]
async fn nobody_runs_the_connection() {
    let server = Server::start().await;
    let (client, connection) = Client::new(server.config());
    drop(connection);
    let error = client.hostname().await.unwrap_err();
    assert!(
        matches!(&error, Error::Unreachable(why) if matches!(**why, Down::NotRun)),
        "{error}"
    );
    assert!(client.events().next().await.is_none());
}

#[tokio::test]
async fn the_connection_ends_with_its_last_client() {
    let server = Server::start().await;
    let (client, connection) = Client::new(server.config());
    let runs = tokio::spawn(connection.run());
    let mut line = server.welcome().await;
    client.ready().await.unwrap();
    drop(client);
    runs.await.unwrap();
    assert_eq!(line.read().await, None);
}

#[tokio::test]
async fn a_server_that_wants_a_password_is_told_of() {
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.accept().await;
    let call = line.call(66).await;
    line.write(&call.answer(OK, &words(&[1, 1]))).await;
    let error = client.ready().await.unwrap_err().to_string();
    assert!(error.contains("SASL"), "{error}");
}

#[tokio::test]
async fn memory_of_the_host_is_told_by_what_it_is_for() {
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.welcome().await;
    let serve = async {
        let call = line.call(228).await;
        assert_eq!(call.payload, words(&[0, u32::MAX, 0]));
        line.write(&call.answer(OK, &words(&[0, 2]))).await;
        let call = line.call(228).await;
        assert_eq!(call.payload, words(&[2, u32::MAX, 0]));
        let two = [
            words(&[2]),
            text("free"),
            words(&[0, 64]),
            text("cached"),
            words(&[1, 0]),
            words(&[2]),
        ];
        line.write(&call.answer(OK, &two.concat())).await;
    };
    let (stats, ()) = tokio::join!(client.memory_stats(), serve);
    let stats = stats.unwrap();
    assert_eq!((stats["free"], stats["cached"]), (64, 1 << 32));
}

#[tokio::test]
async fn lists_and_statistics() {
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.welcome().await;
    let serve = async {
        let call = line.call(273).await;
        assert_eq!(call.payload, words(&[1, 3]));
        let two = [words(&[2]), domain("a"), domain("b"), words(&[2])].concat();
        line.write(&call.answer(OK, &two)).await;
        let call: Message = line.call(344).await;
        let one = [
            words(&[1]),
            domain("a"),
            words(&[2]),
            text("state.state"),
            words(&[1, 1]),
            text("balloon.current"),
            words(&[4, 0, 1024]),
        ];
        line.write(&call.answer(OK, &one.concat())).await;
    };
    let asked = async {
        let wanted = ListFlags::ACTIVE | ListFlags::INACTIVE;
        let domains = client.list_domains(wanted).await.unwrap();
        let names: Vec<&str> = domains.iter().map(|domain| &*domain.name).collect();
        assert_eq!(names, ["a", "b"]);
        let stats = client.all_stats(StatsFlags::STATE, wanted).await.unwrap();
        assert_eq!(stats[0].get("balloon.current"), Some(&Value::Ulong(1024)));
        assert_eq!(stats[0].get("state.state"), Some(&Value::Int(1)));
    };
    tokio::join!(asked, serve);
}
