//! What a request may say of the appliances that it asks for.

use rm_adapters::geni::xmlrpc::Value;
use rm_core::catalog::{NewAppliance, NewCredential, NewImage, NewImplementation, NewSite};
use rm_core::nodes::MEDIA_TYPE;
use rm_core::store::{Batch, By, Key};
use rm_core::{Caller, Tenant};

use super::clusters::{charged, given, made_of, web, with_web};
use super::lab::{code, options, sfa};
use super::slice::{Slice, request, value};

fn output(answer: &Value) -> &str {
    answer.get("output").and_then(Value::as_text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_surrounds_a_cluster_is_not_for_experimenters_to_choose() {
    let lab = with_web("appliance-around").await;
    let parameters = serde_json::json!({"greeting": "hello", "image": "debian"});
    made_of(&lab, "any", "{{image}}", &parameters).await;
    let slice = Slice::of(&lab, "s");
    let asked = given("any", "image", "of-the-operator");
    for answer in [slice.create(&asked).await, slice.allocate(&asked).await] {
        assert_eq!(code(&answer), 1, "{answer:?}");
        let said = output(&answer);
        assert!(
            said.contains("\"b\"") && said.contains("\"image\""),
            "{said}"
        );
    }
    let kept = lab.host.store().resources(&By::All, None, 10).await;
    assert_eq!(kept.unwrap().items, []);
    assert_eq!(charged(&slice).await, 0);
    // What the appliance declares as its own is for them.
    value(&slice.allocate(&given("any", "greeting", "hi")).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_site_says_itself_is_not_for_experimenters_to_choose_there() {
    let lab = with_web("appliance-site").await;
    let operator = Caller::operator("root", "ops");
    let catalog = lab.host.catalog();
    let site = NewSite {
        defaults: [("greeting".to_owned(), "of the operator".into())].into(),
        ..NewSite::new("shelf", "sim", "sim://shelf")
    };
    catalog.add_site(&operator, site).await.unwrap();
    let means = NewCredential {
        tenant: Some(Tenant("lab:one".to_owned())),
        ..NewCredential::new("shelf", "shelf", serde_json::json!({"account": "geni"}))
    };
    catalog.add_credential(&operator, means).await.unwrap();
    let slice = Slice::of(&lab, "s");
    let at = |component: &str| {
        let placed = format!("client_id=\"b\" component_name=\"{component}\"");
        given("web", "greeting", "hi").replace("client_id=\"b\"", &placed)
    };
    for asked in [given("web", "greeting", "hi"), at("shelf")] {
        let answer = slice.allocate(&asked).await;
        assert_eq!(code(&answer), 1, "{answer:?}");
        assert!(output(&answer).contains("\"greeting\""), "{answer:?}");
    }
    assert_eq!(charged(&slice).await, 0);
    value(&slice.allocate(&at("rack")).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_has_so_many_clusters_and_no_more() {
    let lab = with_web("appliance-many").await;
    let slice = Slice::of(&lab, "s");
    let many = |n: usize| {
        let all: String = (0..n).map(|i| web(&format!("c{i}"), 0)).collect();
        request(&all)
    };
    for answer in [
        slice.create(&many(17)).await,
        slice.allocate(&many(17)).await,
    ] {
        assert_eq!(code(&answer), 6, "{answer:?}");
        assert!(output(&answer).contains("16 at most"), "{answer:?}");
    }
    assert_eq!(charged(&slice).await, 0);
    value(&slice.allocate(&many(16)).await);
    assert_eq!(charged(&slice).await, 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appliance_that_nobody_can_have_takes_no_other_off_the_list() {
    let mut lab = with_web("appliance-list").await;
    let operator = Caller::operator("root", "ops");
    let catalog = lab.host.catalog();
    let image = NewImage {
        name: "lost".to_owned(),
        source: "file:/images/lost".to_owned(),
        sha256: "1".repeat(64),
        disk_format: "tar".to_owned(),
    };
    let image = catalog.add_image(&operator, image).await.unwrap();
    let never = NewAppliance {
        images: vec!["lost".to_owned()],
        ..NewAppliance::new("never")
    };
    catalog.add_appliance(&operator, never).await.unwrap();
    let node = serde_json::json!({"image": "debian", "vcpus": 1, "memory_mib": 64});
    let body = serde_json::json!({
        "roles": [{"name": "master", "count": 1, "node": node}],
        "master": "master",
    });
    let new = NewImplementation::new("never", "sim", MEDIA_TYPE, &body.to_string());
    catalog.add_implementation(&operator, new).await.unwrap();
    // What the appliance needs is lost.
    let lost = Batch {
        delete: vec![
            Key::Document("catalog.image".to_owned(), image.id.to_string()),
            Key::Document("catalog.image.unique".to_owned(), "lost".to_owned()),
        ],
        ..Batch::default()
    };
    lab.host.commit(lost).await.unwrap();
    lab.restart().await;

    let mine = Value::Array(vec![sfa(&lab.user_credential(&lab.alice))]);
    let available = options(vec![("geni_available", Value::Bool(true))]);
    let answer = lab
        .call(&lab.alice, 3, "ListResources", vec![mine, available])
        .await;
    let listed = value(&answer);
    let text = listed.as_text().unwrap();
    assert!(text.contains("name=\"web\""), "{text}");
    assert!(!text.contains("name=\"never\""), "{text}");
}
