//! The client against a real cloud with Keystone and Heat, named by `RM_LAB_CLOUDS` (the path of a
//! `clouds.yaml`) and `RM_LAB_CLOUD` (a cloud in it, `oslab` by default).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests, and what they share"
)]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rm_openstack::client::clouds::Clouds;
use rm_openstack::client::heat::{
    CreateStack, EventQuery, IN_ONE_CALL, Parameters, ResourceQuery, StackFilter, StackRef,
    Template, UpdateStack,
};
use rm_openstack::client::{Auth, Effect, Heat, Service, Session, SessionConfig};
use serde_json::json;

const TEMPLATE: &str = "
heat_template_version: 2018-08-31
parameters:
  length: {type: number, default: 8}
  width: {type: number, default: 3}
resources:
  group:
    type: OS::Heat::ResourceGroup
    properties:
      count: 2
      resource_def: {type: OS::Heat::RandomString, properties: {length: {get_param: length}}}
outputs:
  master_ip: {value: {get_attr: [group, resource.0.value]}}
  width: {value: {get_param: width}}
";

fn lab(test: &str) -> Option<SessionConfig> {
    let path = needs::lab(test, "RM_LAB_CLOUDS")?;
    let cloud = std::env::var("RM_LAB_CLOUD").unwrap_or_else(|_| "oslab".into());
    let clouds = Clouds::load(&path).unwrap();
    let now = Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        i64::try_from(since.as_millis()).unwrap()
    });
    Some(clouds.cloud(&cloud).unwrap().session_config(now).unwrap())
}

/// In as long as Heat itself gives the stack: other tests may have made a hundred beside it.
async fn settled(heat: &Heat, stack: &StackRef) -> String {
    for _ in 0..5 * 60 * 5 {
        let shown = heat.show(stack).await.unwrap();
        if !shown.status.is_in_progress() {
            return shown.status.to_string();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("the stack does not settle");
}

#[tokio::test]
async fn life_of_a_stack() {
    let Some(config) = lab("life_of_a_stack") else {
        return;
    };
    let session = Session::new(config).unwrap();
    let heat = Heat::new(session.clone());
    let template = Template::Text(TEMPLATE.into());
    let validated = heat.validate(&template).await.unwrap();
    assert!(validated.parameters.contains_key("length"));

    let name = format!("rm-client-{}", std::process::id());
    let mut wanted = CreateStack::new(&*name, template.clone());
    wanted.tags = vec!["rm-a".into(), format!("rm-{name}")];
    wanted.parameters.insert("width".into(), json!(5));
    wanted.timeout_mins = Some(5);
    let preview = heat.preview(&wanted).await.unwrap();
    assert!(
        preview
            .resources
            .iter()
            .any(|r| r.kind == "OS::Heat::RandomString")
    );
    let before = session.calls();
    let stack = heat.create(&wanted).await.unwrap();
    let again = heat.create(&wanted).await.unwrap_err();
    assert!(again.is_stack_exists(), "{again}");
    assert_eq!(settled(&heat, &stack).await, "CREATE_COMPLETE");

    // Found by name, by name in a list, by id in a list, and by all of its tags.
    assert_eq!(heat.find(&name).await.unwrap().unwrap().id, stack.id);
    assert!(heat.find("rm-client-nobody").await.unwrap().is_none());
    for filter in [
        StackFilter {
            names: vec!["rm-other".into(), name.clone()],
            ..StackFilter::default()
        },
        StackFilter {
            ids: vec![stack.id.clone(), "nonsense".into()],
            ..StackFilter::default()
        },
        StackFilter {
            tags: wanted.tags.clone(),
            ..StackFilter::default()
        },
    ] {
        let found = heat.list(&filter).await.unwrap();
        assert_eq!(found.len(), 1, "{filter:?}");
        assert_eq!(found[0].reference(), stack);
        assert_eq!(found[0].tags, wanted.tags);
    }
    // As many as a look takes are one call that Heat takes.
    let most = usize::try_from(IN_ONE_CALL).unwrap();
    let others = |n: usize| format!("rm-00000000-0000-0000-0000-{n:012}-9999");
    let mut names: Vec<String> = (1..most).map(others).collect();
    names.push(name.clone());
    let mut ids: Vec<String> = (1..most).map(|n| format!("{n:036}")).collect();
    ids.push(stack.id.clone());
    for (ids, names) in [(ids, Vec::new()), (Vec::new(), names)] {
        let before = session.calls().total();
        let filter = StackFilter {
            ids,
            names,
            ..StackFilter::default()
        };
        let found = heat.list(&filter).await.unwrap();
        assert_eq!(found.len(), 1, "the one that is there");
        assert_eq!(session.calls().total() - before, 1);
    }
    let paged = heat.list_paged(&StackFilter::default(), 1).await.unwrap();
    assert!(paged.iter().any(|found| found.id == stack.id));

    let full = heat.show_full(&stack).await.unwrap();
    assert_eq!(full.output("master_ip").unwrap().as_str().unwrap().len(), 8);
    assert!(heat.show(&stack).await.unwrap().outputs.is_empty());
    assert!(
        heat.output(&stack, "nope")
            .await
            .unwrap_err()
            .is_not_found()
    );
    let query = ResourceQuery {
        nested_depth: 3,
        kind: Some("OS::Heat::RandomString".into()),
        with_detail: true,
        ..ResourceQuery::default()
    };
    let inside = heat.resources(&stack, &query).await.unwrap();
    assert_eq!(inside.len(), 2);
    assert_eq!(inside[0].parent_resource.as_deref(), Some("group"));

    // A changed parameter, with the tags sent along; the other parameter keeps its value.
    let parameters = Parameters::from([("length".into(), json!(12))]);
    let update = UpdateStack::parameters(parameters, wanted.tags.clone());
    heat.update(&stack, &update).await.unwrap();
    assert_eq!(settled(&heat, &stack).await, "UPDATE_COMPLETE");
    let shown = heat.show(&stack).await.unwrap();
    assert_eq!(shown.tags, wanted.tags);
    assert_eq!(shown.parameters["width"], "5");
    let value = heat.output(&stack, "master_ip").await.unwrap().value;
    assert_eq!(value.as_str().unwrap().len(), 12);

    let events = heat.events(&stack, &EventQuery::default()).await.unwrap();
    assert!(events[0].is_of_stack(&stack));
    let after = EventQuery {
        marker: Some(events.last().unwrap().id.clone()),
        ..EventQuery::default()
    };
    assert!(heat.events(&stack, &after).await.unwrap().is_empty());

    assert!(heat.delete(&stack).await.unwrap());
    assert_eq!(settled(&heat, &stack).await, "DELETE_COMPLETE");
    // A moment passes between Heat's writing this and its forgetting the stack,
    // in which it may fall over what it has forgotten already.
    let mut asked = 0;
    while match heat.delete(&stack).await {
        Ok(was_there) => was_there,
        Err(e) if e.is_of_its_own() => true,
        Err(e) => panic!("{e}"),
    } {
        asked += 1;
        assert!(asked < 100, "it can be deleted again and again");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(heat.find(&name).await.unwrap().is_none());
    assert_eq!(session.calls().of(Service::Identity), 1);
    assert!(session.calls().total() > before.total());
}

#[tokio::test]
async fn a_wrong_password_is_refused_without_guessing() {
    let Some(mut config) = lab("a_wrong_password_is_refused_without_guessing") else {
        return;
    };
    if let Auth::Password { password, .. } = &mut config.auth {
        *password = "swordfish".into();
    }
    let session = Session::new(config).unwrap();
    let error = session.token().await.unwrap_err();
    assert!(error.is_unauthorized() && error.effect() == Effect::None);
    assert!(!format!("{error} {error:?} {session:?}").contains("swordfish"));
}
