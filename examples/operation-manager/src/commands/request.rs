//! Asks for clusters: the body of a request, and what it would lead to.

use serde_json::{Map, Value, json};

use crate::cli::Request;
use crate::client::Client;
use crate::failure::Result;
use crate::output::{Output, cell};

/// The body of a request.
pub(super) fn body(request: &Request) -> Value {
    let mut body = json!({"appliance": request.appliance});
    if let Some(name) = &request.name {
        body["name"] = Value::from(name.as_str());
    }
    if let Some(slaves) = request.slaves {
        body["slaves"] = Value::from(slaves);
    }
    let mut hints = Map::new();
    if !request.sites.is_empty() {
        hints.insert("sites".to_owned(), Value::from(request.sites.clone()));
    }
    if let Some(credential) = &request.credential {
        hints.insert("credential".to_owned(), Value::from(credential.as_str()));
    }
    if let Some(revision) = request.revision {
        hints.insert("revision".to_owned(), Value::from(revision));
    }
    if !hints.is_empty() {
        body["hints"] = Value::Object(hints);
    }
    if !request.parameters.is_empty() {
        body["parameters"] = Value::Object(request.parameters.iter().cloned().collect());
    }
    if let Some(lease) = request.lease {
        body["lease_seconds"] = Value::from(lease.as_secs());
    }
    if request.reuse == crate::cli::ReuseWord::Never {
        body["reuse"] = Value::from("never");
    }
    if request.grow {
        body["grow"] = Value::from(true);
    }
    body
}

/// `plan`: what a request would lead to.
pub(super) async fn plan(client: &Client, out: Output, request: &Request) -> Result<()> {
    let plan = client.post("/plan", &body(request)).await?;
    out.show(&plan, |plan| {
        let mut text = match (&plan["reuses"], &plan["grows"]) {
            (Value::String(id), Value::Object(grows)) => format!(
                "Cluster {id} is there, and would grow from {} to {} slaves.\n\n",
                cell(&grows["from"]),
                cell(&grows["to"])
            ),
            (Value::String(id), _) => format!("Cluster {id} is there and would be used.\n\n"),
            _ => String::new(),
        };
        if let Some(refused) = plan["refused"].as_object() {
            text.push_str(&format!(
                "It would be refused ({}): {}\n",
                cell(&refused["code"]),
                cell(&refused["detail"])
            ));
            if let Some(advice) = refused.get("advice") {
                text.push_str(&format!("{}\n", cell(advice)));
            }
            text.push('\n');
        }
        text.push_str(&considered(&plan["considered"]));
        let left = |what: &str| match &plan["quota_left"][what] {
            Value::Null => format!("any number of {what}"),
            n => format!("{n} {what}"),
        };
        text.push_str(&format!(
            "\nYour quota leaves {} and {}.\n",
            left("clusters"),
            left("nodes")
        ));
        text
    })
}

/// What was considered, and why.
pub(super) fn considered(considered: &Value) -> String {
    considered
        .as_array()
        .into_iter()
        .flatten()
        .map(|c| {
            let revision = match &c["revision"] {
                Value::Null => String::new(),
                n => format!(" (revision {n})"),
            };
            format!(
                "{}: {}{revision}: {}\n",
                cell(&c["verdict"]),
                cell(&c["site"]),
                cell(&c["why"])
            )
        })
        .collect()
}
