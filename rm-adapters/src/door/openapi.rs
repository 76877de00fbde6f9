//! The OpenAPI 3.1 document, made of the route tables.

use serde_json::{Map, Value, json};

use super::contract::{Access, Dialect, Param, ParamKind, TokenHeader};
use super::mount::{Mounted, Table};
use super::schema::reference;

pub(super) fn document(table: &Table) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    let mut schemes = Map::new();
    for place in table.places.values() {
        for m in &place.served {
            for (name, scheme) in ways_in(m.adapter.dialect()) {
                schemes.insert(name.to_owned(), scheme);
            }
            let entry = paths
                .entry(m.template.clone())
                .or_insert_with(|| Value::Object(Map::new()));
            entry[m.route.method.as_str().to_ascii_lowercase()] = operation(m);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Resource manager",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Clusters by the name of an appliance, wherever they run.",
        },
        "paths": paths,
        "components": {"schemas": table.schemas, "securitySchemes": schemes},
    })
}

fn operation(m: &Mounted) -> Value {
    let route = &m.route;
    let mut parameters: Vec<Value> = m
        .names
        .iter()
        .map(|name| {
            json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})
        })
        .collect();
    parameters.extend(route.query.iter().map(|p| parameter(p, "query")));
    parameters.extend(route.headers.iter().map(|p| parameter(p, "header")));
    let mut responses = Map::new();
    for (status, schema) in route.output {
        let mut response = json!({"description": describe(*status)});
        if let Some(schema) = schema {
            response["content"]["application/json"]["schema"] = reference(schema);
        }
        if route.events && *status == 200 {
            response["content"]["text/event-stream"]["schema"] = json!({"type": "string"});
        }
        responses.insert(status.to_string(), response);
    }
    responses.insert(
        "default".to_owned(),
        json!({
            "description": "A refusal",
            "content": {"application/problem+json": {"schema": reference("Problem")}},
        }),
    );
    let mut operation = json!({
        "operationId": route.operation,
        "summary": route.summary,
        "tags": [m.adapter.name()],
        "parameters": parameters,
        "responses": responses,
        "security": match route.access {
            Access::Public => json!([]),
            _ => ways_in(m.adapter.dialect())
                .into_iter()
                .map(|(name, _)| json!({name: []}))
                .collect(),
        },
    });
    if let Access::Role(role) = route.access {
        operation["x-role"] = json!(role);
    }
    if let Some(input) = route.input {
        operation["requestBody"] = json!({
            "required": true,
            "content": {"application/json": {"schema": reference(input)}},
        });
    }
    operation
}

fn parameter(param: &Param, place: &str) -> Value {
    let schema = match param.kind {
        ParamKind::Text(most) => json!({"type": "string", "minLength": 1, "maxLength": most}),
        ParamKind::Flag => json!({"type": "boolean"}),
        ParamKind::Number(min, max) => json!({"type": "integer", "minimum": min, "maximum": max}),
        ParamKind::Word(words) => json!({"type": "string", "enum": words}),
    };
    json!({
        "name": param.name, "in": place, "required": false,
        "description": param.summary, "schema": schema,
    })
}

/// The ways to say who is calling: each of them will do.
fn ways_in(dialect: &Dialect) -> Vec<(&'static str, Value)> {
    let in_header = |name: &str| json!({"type": "apiKey", "in": "header", "name": name});
    let mut ways = vec![match &dialect.token {
        TokenHeader::Bearer => ("bearer", json!({"type": "http", "scheme": "bearer"})),
        TokenHeader::Own(name) => ("own", in_header(name.as_str())),
    }];
    if let Some(signed) = &dialect.signed {
        ways.push(("signed", in_header(signed.header().as_str())));
    }
    ways
}

fn describe(status: u16) -> &'static str {
    match status {
        200 => "Done",
        201 => "Made",
        202 => "Under way",
        204 => "Done; nothing to say",
        _ => "An answer",
    }
}
