//! How a cluster looks to people.

use serde_json::Value;

use crate::commands::request;
use crate::output::{Column, cell, rows, sheet, time};

pub(super) const COLUMNS: &[Column] = &[
    ("NAME", |c| cell(&c["name"])),
    ("APPLIANCE", |c| cell(&c["appliance"])),
    ("SITE", |c| cell(&c["site"])),
    ("STATE", |c| cell(&c["state"])),
    ("SLAVES", |c| cell(&c["slaves"])),
    ("ADDRESS", |c| cell(&c["address"])),
    ("UNTIL", |c| until(c)),
    ("ID", |c| cell(&c["id"])),
];

pub(super) const HOSTS: &[Column] = &[
    ("NAME", |h| cell(&h["name"])),
    ("ROLE", |h| cell(&h["role"])),
    ("ADDRESS", |h| cell(&h["address"])),
];

/// When the caller's hold ends, else the first to end.
fn until(cluster: &Value) -> String {
    let holds = || cluster["holds"].as_array().into_iter().flatten();
    let mine = holds().find(|h| h["mine"] == true);
    match mine.or_else(|| holds().min_by_key(|h| cell(&h["until"]))) {
        Some(hold) => time(&hold["until"]),
        None => String::new(),
    }
}

pub(super) fn one(cluster: &Value) -> String {
    let list = |key: &str, line: fn(&Value) -> String| {
        let all = cluster[key].as_array().into_iter().flatten();
        all.map(line).collect::<Vec<_>>().join(", ")
    };
    let mut text = sheet(&[
        ("id", cell(&cluster["id"])),
        ("name", cell(&cluster["name"])),
        ("appliance", cell(&cluster["appliance"])),
        ("revision", cell(&cluster["revision"])),
        ("site", cell(&cluster["site"])),
        ("tenant", cell(&cluster["tenant"])),
        ("state", state(cluster)),
        ("reason", cell(&cluster["reason"])),
        ("slaves", cell(&cluster["slaves"])),
        ("address", cell(&cluster["address"])),
        (
            "reused",
            match cluster["reused"].as_bool() {
                Some(true) => "yes, it was there".to_owned(),
                _ => String::new(),
            },
        ),
        ("held by", list("holds", hold)),
        ("shared with", list("grants", |g| cell(&g["user"]))),
        ("created", time(&cluster["created"])),
    ]);
    if cluster["hosts"].as_array().is_some_and(|h| !h.is_empty()) {
        text.push('\n');
        let hosts = cluster["hosts"].as_array();
        text.push_str(&rows(hosts.map(Vec::as_slice).unwrap_or_default(), HOSTS));
    }
    let considered = request::considered(&cluster["considered"]);
    if !considered.is_empty() {
        text.push('\n');
        text.push_str(&considered);
    }
    text
}

fn state(cluster: &Value) -> String {
    let state = cell(&cluster["state"]);
    if cluster["generation"] == cluster["seen_generation"] || state != "ready" {
        state
    } else {
        format!("{state}, a change is under way")
    }
}

fn hold(hold: &Value) -> String {
    let user = cell(&hold["user"]);
    match time(&hold["until"]) {
        until if until.is_empty() => user,
        until => format!("{user} until {until}"),
    }
}

pub(super) fn outputs(outputs: &Value) -> String {
    let all = outputs.as_object().into_iter().flatten();
    let lines: String = all
        .map(|(name, value)| format!("{name} = {}\n", cell(value)))
        .collect();
    if lines.is_empty() {
        "It gives out nothing.".to_owned()
    } else {
        lines
    }
}

pub(super) fn account(account: &Value, reveal: bool) -> String {
    let password = if reveal {
        cell(&account["password"])
    } else {
        "(hidden; --reveal shows it)".to_owned()
    };
    sheet(&[
        ("username", cell(&account["username"])),
        ("password", password),
        ("created", time(&account["created"])),
    ])
}
