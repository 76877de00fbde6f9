//! What the client does with recorded answers of Heat.

mod support;

use std::collections::BTreeSet;

use rm_openstack::client::heat::{
    CreateStack, EventQuery, ResourceQuery, StackFilter, StackRef, Template, UpdateStack,
};
use rm_openstack::client::{Heat, Session};
use serde_json::json;
use support::replay::{Answer, Recording, Server};
use support::{cloud, config, demo, small};

#[tokio::test]
async fn creates_as_recorded() {
    let Some(reference) = needs::reference("creates_as_recorded") else {
        return;
    };
    let (server, heat, _) = cloud(&reference).await;
    let recording = Recording::load(&reference, "min/055-heat-create");
    server.play(&recording);
    let mut wanted = CreateStack::new(
        recording.sent["stack_name"].as_str().unwrap(),
        Template::Value(recording.sent["template"].clone()),
    );
    wanted.parameters.insert("length".into(), json!(12));
    wanted.tags = vec!["red".into(), "blue".into()];
    wanted.timeout_mins = Some(5);
    let stack = heat.create(&wanted).await.unwrap();
    assert_eq!(stack.name, wanted.name);
    assert_eq!(Some(&*stack.id), recording.body["stack"]["id"].as_str());
    let seen = server.seen().pop().unwrap();
    assert_eq!(seen.json(), recording.sent);
    let token = Recording::load(&reference, "min/005-ks-auth-password");
    assert_eq!(
        Some(&*seen.headers["x-auth-token"]),
        token.header("x-subject-token")
    );
    assert!(seen.headers["user-agent"].starts_with("rm-openstack/"));
    assert_eq!(server.connections(), 1, "connections are kept");
}

#[tokio::test]
async fn redirects_keep_method_and_query() {
    let Some(reference) = needs::reference("redirects_keep_method_and_query") else {
        return;
    };
    let (server, heat, _) = cloud(&reference).await;
    let by_name = Recording::load(&reference, "min/057-heat-show-by-name-302");
    let shown = Recording::load(&reference, "min/060-heat-show-no-outputs");
    server.play(&by_name).play(&shown);
    let stack = heat.find("rec-f35e6c").await.unwrap().unwrap();
    assert_eq!(stack.status.to_string(), "CREATE_COMPLETE");
    assert_eq!(stack.tags, ["red", "blue"]);
    let last = server.seen().pop().unwrap();
    assert_eq!(last.path(), shown.path());
    assert_eq!(last.query(), "resolve_outputs=False");

    let moved = Recording::load(&reference, "min/098-heat-delete-by-name-302");
    let target = format!("{}/old-id", moved.path());
    server.on("DELETE", &target, moved.answer());
    server.on(
        "DELETE",
        shown.path(),
        Recording::load(&reference, "min/169-heat-delete").answer(),
    );
    let reference_of = StackRef::new(moved.path().rsplit('/').next().unwrap(), "old-id");
    assert!(heat.delete(&reference_of).await.unwrap());
    assert_eq!(server.seen().pop().unwrap().method, "DELETE");
}

#[tokio::test]
async fn redirects_lead_nowhere_else_and_only_once() {
    let Some(reference) = needs::reference("redirects_lead_nowhere_else_and_only_once") else {
        return;
    };
    let (server, heat, stacks) = cloud(&reference).await;
    let by_name = Recording::load(&reference, "min/057-heat-show-by-name-302").answer();
    let elsewhere = by_name.clone().with("Location", "http://192.0.2.1/v1/x");
    server.on("GET", &format!("{stacks}/a"), elsewhere);
    let error = heat.find("a").await.unwrap_err();
    assert_eq!(error.status(), Some(302));
    assert!(!error.to_string().contains("192.0.2.1"), "{error}");
    assert_eq!(server.seen().len(), 2);

    let again = by_name.with("Location", &format!("{stacks}/c"));
    server.on("GET", &format!("{stacks}/b"), again.clone());
    server.on(
        "GET",
        &format!("{stacks}/c"),
        again.with("Location", &format!("{stacks}/b")),
    );
    assert_eq!(heat.find("b").await.unwrap_err().status(), Some(302));
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn stacks_that_are_gone() {
    let Some(reference) = needs::reference("stacks_that_are_gone") else {
        return;
    };
    let (server, heat, _) = cloud(&reference).await;
    let by_id = Recording::load(&reference, "min/171-heat-show-deleted-by-id");
    let by_name = Recording::load(&reference, "min/172-heat-show-deleted-by-name");
    let again = Recording::load(&reference, "min/173-heat-delete-again");
    server
        .on("GET", by_id.path(), by_id.answer())
        .play(&by_name)
        .play(&again);
    let stack = StackRef::new("rec-f35e6c", by_id.path().rsplit('/').next().unwrap());
    let shown = heat.show(&stack).await.unwrap();
    assert!(shown.status.is_deleted() && shown.deletion_time.is_some());
    assert!(heat.find("rec-f35e6c").await.unwrap().is_none());
    assert!(!heat.delete(&stack).await.unwrap());

    // The name may still lead to the stack for a moment.
    let (server, heat, _) = cloud(&reference).await;
    let redirect = Recording::load(&reference, "min/057-heat-show-by-name-302");
    server
        .play(&redirect)
        .on("GET", by_id.path(), by_id.answer());
    assert!(heat.find("rec-f35e6c").await.unwrap().is_none());
}

#[tokio::test]
async fn lists_are_read_whole_and_never_twice() {
    let Some(reference) = needs::reference("lists_are_read_whole_and_never_twice") else {
        return;
    };
    let (server, heat, stacks) = cloud(&reference).await;
    let all = Recording::load(&reference, "min/146-heat-list");
    let ids: Vec<&str> = all.body["stacks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["id"].as_str().unwrap())
        .collect();
    server.on("GET", &stacks, all.answer());
    let listed = heat.list(&StackFilter::default()).await.unwrap();
    let found: Vec<&str> = listed.iter().map(|stack| &*stack.id).collect();
    assert_eq!(found, ids);
    assert!(
        listed
            .iter()
            .all(|stack| stack.tags.is_empty() && !stack.name.is_empty())
    );

    // A page, then what Heat says to a marker it does not know: the list from its beginning.
    let (server, heat, stacks) = cloud(&reference).await;
    let first = Recording::load(&reference, "min/147-heat-list-limit");
    let marker = first.body["stacks"][0]["id"].as_str().unwrap();
    let page = "limit=1&sort_keys=creation_time&sort_dir=asc";
    let whole = Recording::load(&reference, "min/149-heat-list-bad-marker");
    server
        .on("GET", &format!("{stacks}?{page}"), first.answer())
        .on(
            "GET",
            &format!("{stacks}?{page}&marker={marker}"),
            whole.answer(),
        )
        .on("GET", &stacks, whole.answer());
    let listed = heat.list_paged(&StackFilter::default(), 1).await.unwrap();
    let found: BTreeSet<&str> = listed.iter().map(|stack| &*stack.id).collect();
    assert_eq!(found.len(), listed.len());
    assert_eq!(listed.len(), whole.body["stacks"].as_array().unwrap().len());
    assert_eq!(server.count("GET", &stacks), 3);
}

#[tokio::test]
async fn one_call_for_many_stacks() {
    let Some(reference) = needs::reference("one_call_for_many_stacks") else {
        return;
    };
    let recording = Recording::load(&reference, "checks/007-list-by-id");
    let server = Server::start().await;
    server.play(&Recording::load(&reference, "checks/001-auth"));
    server.play(&recording);
    let heat = Heat::new(Session::new(config(&server.base, demo())).unwrap());
    let filter = StackFilter {
        ids: recording
            .target
            .split("id=")
            .skip(1)
            .map(|id| id.trim_end_matches('&').to_owned())
            .collect(),
        ..StackFilter::default()
    };
    assert_eq!(heat.list(&filter).await.unwrap().len(), 2);
    assert_eq!(server.seen().pop().unwrap().target, recording.target);

    // Far more than fit into one line: several calls, none of them too long.
    server.on(
        "GET",
        recording.path(),
        Answer::json(200, &json!({"stacks": null})),
    );
    let many = StackFilter {
        ids: (0..300).map(|n| format!("{n:036}")).collect(),
        ..StackFilter::default()
    };
    assert!(heat.list(&many).await.unwrap().is_empty());
    let asked = server.seen().split_off(2);
    assert!(asked.len() > 1 && asked.iter().all(|seen| seen.target.len() < 7500));
    let sent: usize = asked
        .iter()
        .map(|seen| seen.target.matches("id=").count())
        .sum();
    assert_eq!(sent, 300);
}

#[tokio::test]
async fn inside_a_stack() {
    let Some(reference) = needs::reference("inside_a_stack") else {
        return;
    };
    let (server, heat, _) = cloud(&reference).await;
    let resources = Recording::load(&reference, "min/135-heat-group-resources-nested");
    let events = Recording::load(&reference, "min/136-heat-group-events-nested");
    server
        .play(&resources)
        .on("GET", events.path(), events.answer());
    let mut parts = events.path().split('/').skip(4);
    let stack = StackRef::new(parts.next().unwrap(), parts.next().unwrap());
    let query = ResourceQuery {
        nested_depth: 3,
        ..ResourceQuery::default()
    };
    let found = heat.resources(&stack, &query).await.unwrap();
    let group = found.iter().find(|r| r.name == "g").unwrap();
    assert_eq!(group.nested().unwrap().id, group.physical_id);
    let member = found.iter().find(|r| r.name == "0").unwrap();
    assert_eq!(member.parent_resource.as_deref(), Some("g"));
    assert_eq!(member.stack(), group.nested());

    let query = EventQuery {
        nested_depth: 3,
        ..EventQuery::default()
    };
    let events = heat.events(&stack, &query).await.unwrap();
    assert!(events[0].is_of_stack(&stack));
    assert_eq!(events[0].status.to_string(), "CREATE_IN_PROGRESS");
    assert!(
        events
            .iter()
            .any(|event| event.stack().is_some_and(|own| own != stack))
    );
    assert_eq!(
        server.seen().pop().unwrap().query(),
        "sort_dir=asc&nested_depth=3"
    );

    let failed = Recording::load(&reference, "min/121-heat-create-failed-resources");
    server.play(&failed);
    let mut parts = failed.path().split('/').skip(4);
    let stack = StackRef::new(parts.next().unwrap(), parts.next().unwrap());
    let found = heat
        .resources(&stack, &ResourceQuery::default())
        .await
        .unwrap();
    let broken = found.iter().find(|r| r.status.is_failed()).unwrap();
    assert_eq!(
        broken.status_reason,
        "ValueError: resources.t: Test Resource failed t"
    );
    assert!(broken.physical_id.is_empty());
}

#[tokio::test]
async fn outputs_updates_and_checks() {
    let Some(reference) = needs::reference("outputs_updates_and_checks") else {
        return;
    };
    let (server, heat, stacks) = cloud(&reference).await;
    let full = Recording::load(&reference, "min/059-heat-show-complete");
    let one = Recording::load(&reference, "min/063-heat-output-one");
    let put = Recording::load(&reference, "min/100-heat-update-put");
    let patch = Recording::load(&reference, "min/103-heat-update-patch-existing");
    let validate = Recording::load(&reference, "min/049-heat-validate-ok");
    let preview = Recording::load(&reference, "min/054-heat-preview");
    server
        .play(&full)
        .play(&one)
        .play(&put)
        .play(&patch)
        .play(&validate);
    server.on("POST", &format!("{stacks}/preview"), preview.answer());
    let stack = StackRef::new("rec-f35e6c", full.path().rsplit('/').next().unwrap());
    let shown = heat.show_full(&stack).await.unwrap();
    let value = heat.output(&stack, "s").await.unwrap().value;
    assert_eq!(shown.output("s"), Some(&value));
    assert_eq!(shown.output("nope"), None);
    assert_eq!(shown.parameters["pass"], "******");

    let tags = vec!["red".to_owned(), "blue".to_owned()];
    let parameters = [("length".to_owned(), json!(6))].into();
    let update = UpdateStack::parameters(parameters, tags.clone());
    heat.update(&stack, &update).await.unwrap();
    let sent = server.seen().pop().unwrap();
    assert_eq!(sent.method, "PATCH");
    assert_eq!(
        sent.json(),
        json!({"parameters": {"length": 6}, "tags": "red,blue"})
    );
    let template = Template::Value(put.sent["template"].clone());
    let parameters = [("length".to_owned(), json!(12))].into();
    let update = UpdateStack::template(template.clone(), parameters, tags);
    heat.update(&stack, &update).await.unwrap();
    let sent = server.seen().pop().unwrap();
    assert_eq!(sent.method, "PUT");
    assert_eq!(sent.json()["tags"], "red,blue");
    assert_eq!(sent.json()["template"], put.sent["template"]);

    let validated = heat.validate(&template).await.unwrap();
    assert!(validated.parameters["pass"].hidden && !validated.parameters["length"].hidden);
    assert_eq!(validated.parameters["length"].default, Some(json!(8)));
    let preview = heat.preview(&small("rec-f35e6c")).await.unwrap();
    assert!(
        preview
            .resources
            .iter()
            .any(|r| r.kind == "OS::Heat::RandomString")
    );
}
