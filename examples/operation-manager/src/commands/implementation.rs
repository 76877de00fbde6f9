//! Implementations of appliances.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::cli::{ImplementationCommand, NewImplementation};
use crate::client::{Client, quote};
use crate::failure::{Failure, Result};
use crate::output::{Column, Output, cell, clean, sheet, time};

/// What the body is where nothing is said.
const HEAT: &str = "application/vnd.openstack.heat+yaml";

/// The largest body that a door takes, and some.
const MOST: u64 = 4 * 1024 * 1024;

const COLUMNS: &[Column] = &[
    ("APPLIANCE", |i| cell(&i["appliance_name"])),
    ("FOR", |i| target(i)),
    ("REVISION", |i| cell(&i["revision"])),
    ("ENABLED", |i| cell(&i["enabled"])),
    ("MEDIA TYPE", |i| cell(&i["media_type"])),
    ("ID", |i| cell(&i["id"])),
];

pub(super) async fn run(
    client: &Client,
    out: Output,
    command: ImplementationCommand,
) -> Result<()> {
    match command {
        ImplementationCommand::Add(new) => {
            let implementation = client.post("/implementations", &body(new)?).await?;
            out.show(&implementation, brief)
        }
        ImplementationCommand::List => {
            let mut all = client.list("/implementations").await?;
            if !out.json {
                name_them(client, &mut all).await?;
            }
            out.list(&all, COLUMNS, "There is no implementation yet.")
        }
        ImplementationCommand::Show { implementation } => {
            let path = format!("/implementations/{}", quote(&implementation));
            out.show(&client.get(&path).await?, whole)
        }
        ImplementationCommand::Enable { implementation } => {
            enable(client, out, &implementation, true).await
        }
        ImplementationCommand::Disable { implementation } => {
            enable(client, out, &implementation, false).await
        }
        ImplementationCommand::Remove { implementation } => {
            let path = format!("/implementations/{}", quote(&implementation));
            client.delete(&path).await?;
            let done = json!({"removed": implementation});
            out.show(&done, |d| {
                format!("implementation {} is removed", cell(&d["removed"]))
            })
        }
    }
}

async fn enable(client: &Client, out: Output, id: &str, enabled: bool) -> Result<()> {
    let path = format!("/implementations/{}", quote(id));
    let changed = client.patch(&path, &json!({"enabled": enabled})).await?;
    out.show(&changed, brief)
}

fn body(new: NewImplementation) -> Result<Value> {
    let mut body = json!({
        "appliance": new.appliance,
        "media_type": new.media_type.as_deref().unwrap_or(HEAT),
        "body": read(&new.file)?,
    });
    match (new.site, new.site_type) {
        (Some(site), _) => body["site"] = Value::from(site),
        (None, Some(api)) => body["site_type"] = Value::from(api),
        (None, None) => body["site_type"] = Value::from("openstack"),
    }
    let mut scripts = Vec::new();
    for script in &new.scripts {
        let (action, file) = script
            .split_once('=')
            .ok_or_else(|| Failure::usage("a script is written ACTION=FILE"))?;
        let file = Path::new(file);
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned());
        scripts.push(json!({"name": name, "action": action, "code": read(file)?}));
    }
    if !scripts.is_empty() {
        body["scripts"] = Value::Array(scripts);
    }
    if !new.environment.is_empty() {
        body["environment"] = Value::Object(new.environment.into_iter().collect::<Map<_, _>>());
    }
    Ok(body)
}

fn read(file: &Path) -> Result<String> {
    let shown = file.display();
    let refuse = |why: String| Failure::usage(format!("cannot read {shown}")).detail(why);
    let about = std::fs::metadata(file).map_err(|e| refuse(e.kind().to_string()))?;
    if about.len() > MOST {
        return Err(refuse("it is too large".to_owned()));
    }
    let bytes = std::fs::read(file).map_err(|e| refuse(e.kind().to_string()))?;
    String::from_utf8(bytes).map_err(|_| refuse("it is not text in UTF-8".to_owned()))
}

/// People know appliances and sites by their names.
async fn name_them(client: &Client, all: &mut [Value]) -> Result<()> {
    let appliances = client.names("/appliances").await?;
    let sites = client.names("/sites").await?;
    for one in all {
        if let Some(name) = appliances.get(&cell(&one["appliance"])) {
            one["appliance_name"] = Value::from(name.as_str());
        }
        if let Some(name) = sites.get(&cell(&one["site"])) {
            one["site"] = Value::from(name.as_str());
        }
    }
    Ok(())
}

fn target(implementation: &Value) -> String {
    match &implementation["site"] {
        Value::Null => format!("any {}", cell(&implementation["site_type"])),
        site => cell(site),
    }
}

fn brief(implementation: &Value) -> String {
    sheet(&[
        ("id", cell(&implementation["id"])),
        ("appliance", cell(&implementation["appliance"])),
        ("for", target(implementation)),
        ("revision", cell(&implementation["revision"])),
        ("enabled", cell(&implementation["enabled"])),
        ("media type", cell(&implementation["media_type"])),
        ("owner", cell(&implementation["owner"])),
        ("created", time(&implementation["created"])),
    ])
}

fn whole(implementation: &Value) -> String {
    let mut text = brief(implementation);
    let mut add = |heading: &str, body: &str| {
        text.push_str(&format!("\n--- {heading}\n"));
        for line in body.lines() {
            text.push_str(&clean(line));
            text.push('\n');
        }
    };
    for script in implementation["scripts"].as_array().into_iter().flatten() {
        let heading = format!(
            "script {} for {}",
            cell(&script["name"]),
            cell(&script["action"])
        );
        add(&heading, script["code"].as_str().unwrap_or_default());
    }
    add("body", implementation["body"].as_str().unwrap_or_default());
    text
}
