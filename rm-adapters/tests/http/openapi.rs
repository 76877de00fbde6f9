//! The document and the routes say the same.

use std::collections::BTreeSet;

use rm_adapters::door::{Access, ParamKind};
use serde_json::Value;

use crate::support::{Service, Who, role_of};

#[tokio::test]
async fn every_route_is_in_the_document_and_the_other_way_round() {
    let s = Service::start().await;
    let document = s.get(Who::Cat, "/openapi.json").await.expect(200);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(&document, s.door.document());
    let mut told = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            told.insert((id, method.to_uppercase(), path.clone()));
        }
    }
    // Without the slash it is the same operation.
    told.retain(|(id, _, path)| !id.starts_with("lambdalink") || path.ends_with('/'));
    let mut served = BTreeSet::new();
    for (prefix, route) in s.door.routes() {
        let path = format!("{prefix}{}", route.path);
        let operation = &document["paths"][&path][route.method.as_str().to_lowercase()];
        let role = match route.access {
            Access::Role(role) => Some(role),
            _ => None,
        };
        assert_eq!(role_of(operation), role, "{path}");
        assert_eq!(
            operation["security"].as_array().unwrap().is_empty(),
            route.access == Access::Public
        );
        assert_eq!(
            operation.get("requestBody").is_some(),
            route.input.is_some()
        );
        for (status, _) in route.output {
            assert!(operation["responses"].get(status.to_string()).is_some());
        }
        let parameters = operation["parameters"].as_array().unwrap();
        for param in route.query.iter().chain(route.headers) {
            let shown = parameters.iter().find(|p| p["name"] == param.name).unwrap();
            if let ParamKind::Word(words) = param.kind {
                assert_eq!(shown["schema"]["enum"], serde_json::json!(words));
            }
        }
        let in_path: Vec<&str> = parameters
            .iter()
            .filter(|p| p["in"] == "path")
            .map(|p| p["name"].as_str().unwrap())
            .collect();
        assert_eq!(in_path.len(), path.matches('{').count());
        for name in in_path {
            assert!(path.contains(&format!("{{{name}}}")));
        }
        served.insert((
            route.operation.to_owned(),
            route.method.as_str().to_owned(),
            path,
        ));
    }
    assert_eq!(told, served);
}

#[tokio::test]
async fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let s = Service::start().await;
    let document = s.door.document();
    let mut used = BTreeSet::new();
    references(document, &mut used);
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let known: BTreeSet<String> = schemas.keys().cloned().collect();
    assert_eq!(used, known);
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match (key.as_str(), value) {
                    ("$ref", Value::String(target)) => {
                        let name = target.strip_prefix("#/components/schemas/").unwrap();
                        found.insert(name.to_owned());
                    }
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}
