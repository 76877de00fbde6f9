//! Appliances.

use serde_json::{Value, json};

use crate::cli::ApplianceCommand;
use crate::client::{Client, quote};
use crate::failure::Result;
use crate::output::{Column, Output, cell, sheet, time};

const COLUMNS: &[Column] = &[
    ("NAME", |a| cell(&a["name"])),
    ("DESCRIPTION", |a| cell(&a["description"])),
    ("READY PORT", |a| cell(&a["ready_port"])),
    ("IMAGES", |a| cell(&a["images"])),
    ("ID", |a| cell(&a["id"])),
];

pub(super) async fn run(client: &Client, out: Output, command: ApplianceCommand) -> Result<()> {
    match command {
        ApplianceCommand::Add(new) => {
            let mut body = json!({"name": new.name, "description": new.description});
            if let Some(port) = new.ready_port {
                body["ready_port"] = Value::from(port);
            }
            if !new.images.is_empty() {
                body["images"] = Value::from(new.images);
            }
            let appliance = client.post("/appliances", &body).await?;
            out.show(&appliance, one)
        }
        ApplianceCommand::List => {
            let appliances = client.list("/appliances").await?;
            out.list(&appliances, COLUMNS, "There is no appliance yet.")
        }
        ApplianceCommand::Show { appliance } => {
            let path = format!("/appliances/{}", quote(&appliance));
            out.show(&client.get(&path).await?, one)
        }
        ApplianceCommand::Remove { appliance } => {
            let path = format!("/appliances/{}", quote(&appliance));
            client.delete(&path).await?;
            let done = json!({"removed": appliance});
            out.show(&done, |d| {
                format!("appliance {} is removed", cell(&d["removed"]))
            })
        }
    }
}

fn one(appliance: &Value) -> String {
    sheet(&[
        ("id", cell(&appliance["id"])),
        ("name", cell(&appliance["name"])),
        ("owner", cell(&appliance["owner"])),
        ("description", cell(&appliance["description"])),
        ("ready port", cell(&appliance["ready_port"])),
        ("images", cell(&appliance["images"])),
        ("created", time(&appliance["created"])),
    ])
}
