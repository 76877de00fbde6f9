//! What the client makes of refusals, broken connections and nonsense.
#![allow(clippy::disallowed_methods, reason = "a test is a host")]

mod support;

use std::time::Duration;

use rm_openstack::client::heat::StackFilter;
use rm_openstack::client::{Effect, Heat, Service, Session};
use support::replay::{Answer, Recording, Server};
use support::{cloud, config, demo, small};

#[tokio::test]
async fn every_recorded_error_is_read() {
    let Some(reference) = needs::reference("every_recorded_error_is_read") else {
        return;
    };
    let mut read = 0;
    for folder in ["min", "full", "errors", "checks"] {
        let dir = reference.join("data/openstack-wire").join(folder);
        for entry in std::fs::read_dir(dir).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            let Some(name) = file.strip_suffix(".json") else {
                continue;
            };
            let recording = Recording::load(&reference, &format!("{folder}/{name}"));
            if recording.status < 400 || recording.method == "HEAD" {
                continue;
            }
            let (server, heat, stacks) = cloud(&reference).await;
            server.on("GET", &stacks, recording.answer());
            let error = heat.list(&StackFilter::default()).await.unwrap_err();
            let refusal = error.refusal().unwrap();
            assert_eq!(refusal.status, recording.status, "{name}");
            assert_eq!(
                error.request_id(),
                recording.header("x-openstack-request-id")
            );
            let kind = recording.body["error"]["type"]
                .as_str()
                .or_else(|| recording.body["NeutronError"]["type"].as_str());
            if kind.is_some() {
                assert_eq!(error.error_type(), kind, "{name}");
            }
            let said = recording.body["error"]["message"].as_str();
            assert!(said.is_none() || !refusal.message.is_empty(), "{name}");
            let text = format!("{error} {error:?}");
            for bad in ["/v1/", "/v3/", "<br", "<p>", "gAAAA", "\\n", "oslab-"] {
                assert!(!text.contains(bad), "{name}: {bad} in {text}");
            }
            assert!(refusal.message.chars().count() <= 301, "{name}");
            read += 1;
        }
    }
    assert!(read > 60, "only {read}");
}

#[tokio::test]
async fn refused_creates_have_no_effect_and_lost_ones_may_have() {
    let Some(reference) = needs::reference("refused_creates_have_no_effect_and_lost_ones_may_have")
    else {
        return;
    };
    let cases = [
        (
            "min/078-heat-create-exists-409",
            Effect::None,
            Some("StackExists"),
        ),
        (
            "errors/017-heat-quota-stacks-exceeded",
            Effect::None,
            Some("RequestLimitExceeded"),
        ),
        (
            "min/084-heat-create-missing-parameter",
            Effect::None,
            Some("UserParameterMissing"),
        ),
        (
            "errors/021-heat-engine-down-create",
            Effect::Unknown,
            Some("MessagingTimeout"),
        ),
        ("errors/022-heat-keystone-down", Effect::None, None),
    ];
    for (name, effect, kind) in cases {
        let (server, heat, stacks) = cloud(&reference).await;
        server.on("POST", &stacks, Recording::load(&reference, name).answer());
        let error = heat.create(&small("a")).await.unwrap_err();
        assert_eq!(
            (error.effect(), error.error_type()),
            (effect, kind),
            "{name}"
        );
        assert_eq!(error.operation(), Some("create stack"));
        assert_eq!(error.service(), Some(Service::Orchestration));
    }
}

#[tokio::test]
async fn application_credentials_get_the_hint_that_heat_does_not_give() {
    let Some(reference) =
        needs::reference("application_credentials_get_the_hint_that_heat_does_not_give")
    else {
        return;
    };
    let refused = Recording::load(&reference, "min/162-heat-create-appcred-unrestricted");
    let logins = [
        ("min/026-ks-auth-appcred-unrestricted", true),
        ("min/005-ks-auth-password", false),
    ];
    for (login, hinted) in logins {
        let server = Server::start().await;
        server
            .play(&Recording::load(&reference, login))
            .play(&refused);
        let session = Session::new(config(&server.base, demo())).unwrap();
        let error = Heat::new(session).create(&small("a")).await.unwrap_err();
        assert_eq!(error.status(), Some(403));
        assert_eq!(error.effect(), Effect::None);
        assert_eq!(
            error.hint().is_some_and(|hint| hint.contains("password")),
            hinted
        );
        assert_eq!(error.to_string().contains("trust"), hinted);
    }
}

#[tokio::test]
async fn what_is_lost_on_the_way() {
    let Some(reference) = needs::reference("what_is_lost_on_the_way") else {
        return;
    };
    for answer in [Answer::Hang, Answer::Stall] {
        let (server, heat, stacks) = cloud(&reference).await;
        server
            .on("POST", &stacks, answer.clone())
            .on("GET", &stacks, answer);
        heat.session().token().await.unwrap();
        let hasty = Heat::new(heat.session().with_timeout(Duration::from_millis(300)));
        let error = hasty.create(&small("a")).await.unwrap_err();
        assert_eq!(error.effect(), Effect::Unknown, "{error}");
        assert!(error.is_temporary());
        let error = hasty.list(&StackFilter::default()).await.unwrap_err();
        assert_eq!(error.effect(), Effect::None, "{error}");
        assert!(!format!("{error} {error:?}").contains("/v1/"));
    }
    // Nobody listens: nothing was sent.
    let (server, heat, _) = cloud(&reference).await;
    heat.session().token().await.unwrap();
    let base = server.base.clone();
    drop(server);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let nobody = Session::new(config(&base, demo())).unwrap();
    let error = Heat::new(nobody).create(&small("a")).await.unwrap_err();
    assert_eq!(error.effect(), Effect::None, "{error}");
    assert_eq!(error.operation(), Some("log in"));
}

#[tokio::test]
async fn answers_that_make_no_sense() {
    let Some(reference) = needs::reference("answers_that_make_no_sense") else {
        return;
    };
    let raw = |body: &[u8]| Answer::Say {
        status: 200,
        headers: Vec::new(),
        body: body.to_vec(),
    };
    let large = format!("{{\"stacks\": [], \"more\": \"{}\"}}", "x".repeat(10_000));
    for (body, text) in [
        (&b"swordfish"[..], "line 1"),
        (b"{\"stacks\": [{\"id\": [\"swordfish\"]}]}", "line 1"),
        (b"", "line 1"),
        (large.as_bytes(), "larger than 5000 bytes"),
    ] {
        let (server, _, stacks) = cloud(&reference).await;
        let mut config = config(&server.base, demo());
        config.http.max_body = 5000;
        let heat = Heat::new(Session::new(config).unwrap());
        server
            .on("GET", &stacks, raw(body))
            .on("POST", &stacks, raw(body));
        let error = heat.list(&StackFilter::default()).await.unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert!(!format!("{error} {error:?}").contains("swordfish"));
        assert_eq!(error.effect(), Effect::None);
        let error = heat.create(&small("a")).await.unwrap_err();
        assert_eq!(error.effect(), Effect::Unknown);
    }
}
