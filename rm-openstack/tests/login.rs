//! Logging in, sharing the login, and replacing it in time.
#![allow(clippy::disallowed_methods, reason = "a test is a host")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rm_openstack::client::heat::StackFilter;
use rm_openstack::client::{Auth, Effect, Error, Heat, Interface, Secret, Service, Session, User};
use serde_json::{Value, json};
use support::replay::{Answer, Recording, Server};
use support::{TOKENS, cloud, config, demo, small};

#[tokio::test]
async fn logs_in_as_recorded() {
    let Some(reference) = needs::reference("logs_in_as_recorded") else {
        return;
    };
    let secret: Secret = Recording::load(&reference, "min/025-ks-auth-appcred").sent["auth"]["identity"]
        ["application_credential"]["secret"]
        .as_str()
        .unwrap()
        .into();
    let by_name = Recording::load(&reference, "min/028-ks-auth-appcred-by-name");
    let named = &by_name.sent["auth"]["identity"]["application_credential"];
    let id = Recording::load(&reference, "min/025-ks-auth-appcred").sent["auth"]["identity"]
        ["application_credential"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let cases = [
        ("min/005-ks-auth-password", demo(), false),
        (
            "min/025-ks-auth-appcred",
            Auth::ApplicationCredential {
                id,
                secret: secret.clone(),
            },
            true,
        ),
        (
            "min/028-ks-auth-appcred-by-name",
            Auth::ApplicationCredentialName {
                name: named["name"].as_str().unwrap().into(),
                user: User::Id(named["user"]["id"].as_str().unwrap().into()),
                secret,
            },
            true,
        ),
    ];
    for (name, auth, delegated) in cases {
        let login = Recording::load(&reference, name);
        let server = Server::start().await;
        server.play(&login);
        let session = Session::new(config(&server.base, auth)).unwrap();
        let token = session.token().await.unwrap();
        assert_eq!(server.seen()[0].json(), login.sent, "{name}");
        let said = &login.body["token"];
        assert_eq!(token.project_id(), said["project"]["id"].as_str(), "{name}");
        assert_eq!(Some(token.user_id()), said["user"]["id"].as_str(), "{name}");
        assert_eq!(token.is_application_credential(), delegated, "{name}");
        let heat = session.endpoint(Service::Orchestration).await.unwrap();
        assert!(heat.path().starts_with("/v1/"), "{heat}");
        let missing = session.endpoint(Service::Compute).await.unwrap_err();
        assert!(
            missing
                .to_string()
                .contains("it lists identity, orchestration")
        );
        assert_eq!(session.calls().total(), 1);
    }
}

#[tokio::test]
async fn the_catalog_is_chosen_from() {
    let Some(reference) = needs::reference("the_catalog_is_chosen_from") else {
        return;
    };
    let server = Server::start().await;
    server.play(&Recording::load(&reference, "min/005-ks-auth-password"));
    for (region, interface, found) in [
        (None, Interface::Internal, true),
        (Some("RegionOne"), Interface::Admin, true),
        (Some("Elsewhere"), Interface::Public, false),
    ] {
        let mut config = config(&server.base, demo());
        config.region = region.map(str::to_owned);
        config.interface = interface;
        let session = Session::new(config).unwrap();
        match session.endpoint(Service::Orchestration).await {
            Ok(_) => assert!(found),
            Err(error) => {
                assert!(!found);
                assert_eq!(error.effect(), Effect::None);
                assert!(error.to_string().contains("public in RegionOne"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_refused_login_is_not_guessed_about() {
    let Some(reference) = needs::reference("a_refused_login_is_not_guessed_about") else {
        return;
    };
    let mut texts = BTreeSet::new();
    for name in [
        "min/008-ks-auth-bad-password",
        "min/009-ks-auth-unknown-user",
        "min/010-ks-auth-unknown-project",
        "min/011-ks-auth-project-without-role",
    ] {
        let server = Server::start().await;
        server.play(&Recording::load(&reference, name));
        let session = Session::new(config(&server.base, demo())).unwrap();
        let mut error = session.token().await.unwrap_err();
        assert!(error.is_unauthorized());
        assert_eq!(error.effect(), Effect::None);
        assert!(!format!("{error} {error:?}").contains("oslab-user"));
        if let Error::Refused(refusal) = &mut error {
            assert!(refusal.request_id.take().unwrap().starts_with("req-"));
        }
        texts.insert(error.to_string());
    }
    assert_eq!(texts.len(), 1, "{texts:?}");
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let Some(reference) = needs::reference("a_refused_token_is_replaced_once") else {
        return;
    };
    let (server, heat, stacks) = cloud(&reference).await;
    let expired = Recording::load(&reference, "errors/007-heat-expired-token-post").answer();
    let created = Recording::load(&reference, "min/055-heat-create").answer();
    server
        .on("POST", &stacks, expired.clone())
        .on("POST", &stacks, created);
    heat.create(&small("a")).await.unwrap();
    assert_eq!(server.count("POST", TOKENS), 2);
    let bodies: Vec<Value> = server
        .seen()
        .iter()
        .filter(|seen| seen.path() == stacks)
        .map(|seen| seen.json())
        .collect();
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0], bodies[1]);
    let calls = heat.session().calls();
    assert_eq!(
        (
            calls.of(Service::Identity),
            calls.of(Service::Orchestration)
        ),
        (2, 2)
    );

    let (server, heat, stacks) = cloud(&reference).await;
    server.on("POST", &stacks, expired);
    let error = heat.create(&small("a")).await.unwrap_err();
    assert!(error.is_unauthorized() && error.effect() == Effect::None);
    assert_eq!(server.count("POST", TOKENS), 2);
    assert_eq!(server.count("POST", &stacks), 2);
}

#[tokio::test]
async fn many_callers_log_in_once() {
    let Some(reference) = needs::reference("many_callers_log_in_once") else {
        return;
    };
    let (server, heat, stacks) = cloud(&reference).await;
    let expired = Recording::load(&reference, "errors/006-heat-expired-token").answer();
    server.on("GET", &stacks, Answer::json(200, &json!({"stacks": []})));
    let all = |heat: &Heat| {
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let heat = heat.clone();
                tokio::spawn(async move { heat.list(&StackFilter::default()).await })
            })
            .collect();
        futures_util::future::join_all(calls)
    };
    assert!(
        all(&heat)
            .await
            .into_iter()
            .all(|call| call.unwrap().is_ok())
    );
    assert_eq!(server.count("POST", TOKENS), 1);

    // All of them are refused with the same old token, and one logs in for all.
    let server = Server::start().await;
    let login = Recording::load(&reference, "min/005-ks-auth-password").answer();
    for token in ["first", "second"] {
        server.on("POST", TOKENS, login.clone().with("X-Subject-Token", token));
    }
    server.on_token("first", "GET", &stacks, expired);
    server.on_token(
        "second",
        "GET",
        &stacks,
        Answer::json(200, &json!({"stacks": []})),
    );
    let heat = Heat::new(Session::new(config(&server.base, demo())).unwrap());
    heat.session().token().await.unwrap();
    assert!(
        all(&heat)
            .await
            .into_iter()
            .all(|call| call.unwrap().is_ok())
    );
    assert_eq!(server.count("POST", TOKENS), 2);

    // A wrong password is not tried once for each of them.
    let server = Server::start().await;
    server.play(&Recording::load(&reference, "min/008-ks-auth-bad-password"));
    let heat = Heat::new(Session::new(config(&server.base, demo())).unwrap());
    assert!(
        all(&heat)
            .await
            .into_iter()
            .all(|call| call.unwrap().is_err())
    );
    assert!(server.count("POST", TOKENS) <= 2);
    assert!(heat.list(&StackFilter::default()).await.is_err());
}

#[tokio::test]
async fn tokens_are_renewed_before_their_end() {
    let Some(reference) = needs::reference("tokens_are_renewed_before_their_end") else {
        return;
    };
    let server = Server::start().await;
    let login = Recording::load(&reference, "min/005-ks-auth-password").answer();
    let away = Recording::load(&reference, "errors/022-heat-keystone-down").answer();
    server
        .on("POST", TOKENS, login.clone())
        .on("POST", TOKENS, login)
        .on("POST", TOKENS, away);
    // Ten years off: the clocks of the cloud and of this machine need not agree.
    let now = Arc::new(AtomicI64::new(1_400_000_000_000));
    let mut config = config(&server.base, demo());
    let clock = Arc::clone(&now);
    config.now = Arc::new(move || clock.load(Ordering::Relaxed));
    let session = Session::new(config).unwrap();
    let minutes = |minutes: i64| now.fetch_add(minutes * 60_000, Ordering::Relaxed);
    session.token().await.unwrap();
    minutes(57);
    session.token().await.unwrap();
    assert_eq!(session.calls().total(), 1);
    minutes(2);
    session.token().await.unwrap();
    assert_eq!(session.calls().total(), 2);
    // Keystone is away: the last minutes of the old token are still used, and no more.
    minutes(59);
    session.token().await.unwrap();
    assert_eq!(session.calls().total(), 3);
    minutes(2);
    assert_eq!(session.token().await.unwrap_err().status(), Some(503));
}
