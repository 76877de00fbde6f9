//! The history of a cluster, also when it is gone.

use serde_json::Value;

use super::cluster;
use crate::cli::History;
use crate::client::{Client, quote};
use crate::failure::Result;
use crate::output::{Column, Output, cell, rows, sheet, time};

const COLUMNS: &[Column] = &[
    ("AT", |e| time(&e["at"])),
    ("WHAT", |e| cell(&e["what"])),
    ("BY", |e| cell(&e["by"])),
    ("", |e| cell(&e["text"])),
];

pub(super) async fn show(client: &Client, out: Output, history: &History) -> Result<()> {
    let id = cluster::find(client, &history.cluster).await?;
    let path = format!("/clusters/{id}/history");
    match &history.at {
        None => out.show(&client.get(&path).await?, all),
        Some(at) => {
            let path = format!("{path}?at={}", quote(at));
            out.show(&client.get(&path).await?, believed)
        }
    }
}

fn all(told: &Value) -> String {
    let items = told["items"].as_array().cloned().unwrap_or_default();
    let mut text = rows(&items, COLUMNS);
    if told["whole"] == false {
        text.insert_str(0, "Its beginning is no longer kept.\n");
    }
    text
}

/// What was believed at the moment that was asked for, and what led there.
fn believed(told: &Value) -> String {
    let b = &told["believed"];
    if b.is_null() {
        return "Nothing was known of it then.".to_owned();
    }
    let holders =
        b["holders"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|h| match h["until"].as_str() {
                Some(until) => format!("{} until {until}", cell(&h["user"])),
                None => cell(&h["user"]),
            });
    let state = match b["ended"] == true {
        true => "ended".to_owned(),
        false => cell(&b["state"]),
    };
    let mut text = sheet(&[
        ("state", state),
        ("since", time(&b["at"])),
        ("wanted", cell(&b["wanted"])),
        ("generation", cell(&b["generation"])),
        ("try", cell(&b["incarnation"])),
        ("nodes", cell(&b["nodes"])),
        ("site", cell(&b["site"])),
        ("thing", cell(&b["remote"])),
        ("held by", holders.collect::<Vec<_>>().join(", ")),
        ("reason", cell(&b["reason"])),
        ("let go", cell(&b["let_go"])),
    ]);
    text += "\nWhat led there:\n";
    text += &all(told);
    text
}
