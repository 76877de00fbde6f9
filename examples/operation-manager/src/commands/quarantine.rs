//! What waits for an operator to decide, whatever it is, and its ways out.

use rm_core::ResourceId;
use serde_json::{Value, json};

use crate::cli::QuarantineCommand;
use crate::client::Client;
use crate::failure::{Failure, Result};
use crate::output::{Column, Output, cell, sheet, time};

const COLUMNS: &[Column] = &[
    ("ID", |r| cell(&r["id"])),
    ("KIND", |r| cell(&r["kind"])),
    ("NAME", |r| cell(&r["name"])),
    ("TENANT", |r| cell(&r["tenant"])),
    ("SITE", |r| cell(&r["site"])),
    ("WANTED", |r| cell(&r["wanted"])),
    ("SINCE", |r| time(&r["updated"])),
    ("WHY", |r| cell(&r["reason"])),
];

pub(super) async fn run(client: &Client, out: Output, command: QuarantineCommand) -> Result<()> {
    match command {
        QuarantineCommand::List => {
            let held = client.list("/quarantine").await?;
            out.list(&held, COLUMNS, "Nothing is in quarantine.")
        }
        QuarantineCommand::Show { resource } => {
            let path = path(&resource, "")?;
            out.show(&client.get(&path).await?, one)
        }
        QuarantineCommand::Retry { resource } => {
            let path = path(&resource, "/retry")?;
            out.show(&client.post(&path, &json!({})).await?, one)
        }
        QuarantineCommand::Adopt {
            resource,
            remote,
            reason,
        } => {
            let path = path(&resource, "/adopt")?;
            let body = json!({"id": remote, "reason": reason});
            out.show(&client.post(&path, &body).await?, one)
        }
        QuarantineCommand::Abandon { resource, reason } => {
            let path = path(&resource, "/abandon")?;
            let done = client.post(&path, &json!({"reason": reason})).await?;
            out.show(&done, |_| {
                format!(
                    "{resource} is forgotten; what is left of it at its site is yours to remove"
                )
            })
        }
    }
}

/// Where a resource is asked for: names are not unique over all kinds.
fn path(resource: &str, verb: &str) -> Result<String> {
    let id: ResourceId = resource.parse().map_err(|_| {
        Failure::usage(format!("{resource:?} is not an id"))
            .advice("take it from the list: quarantine list")
    })?;
    Ok(format!("/resources/{id}{verb}"))
}

fn one(r: &Value) -> String {
    let holders = r["holds"].as_array().into_iter().flatten();
    let holders: Vec<String> = holders.map(|h| cell(&h["user"])).collect();
    sheet(&[
        ("id", cell(&r["id"])),
        ("kind", cell(&r["kind"])),
        ("name", cell(&r["name"])),
        ("part of", cell(&r["part_of"])),
        ("tenant", cell(&r["tenant"])),
        ("held by", holders.join(", ")),
        ("site", cell(&r["site"])),
        ("thing", cell(&r["remote"])),
        ("state", cell(&r["state"])),
        ("wanted", cell(&r["wanted"])),
        ("since", time(&r["updated"])),
        ("reason", cell(&r["reason"])),
    ])
}
