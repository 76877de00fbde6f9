//! Orphans: what bears our mark at any site and is no record's.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::Orphans;
use crate::client::Client;
use crate::failure::Result;
use crate::output::{Column, Output, cell, rows};

const COLUMNS: &[Column] = &[
    ("VERDICT", |o| cell(&o["verdict"])),
    ("SITE", |o| cell(&o["site"])),
    ("CREDENTIAL", |o| cell(&o["credential_name"])),
    ("ID", |o| cell(&o["id"])),
    ("RESOURCE", |o| cell(&o["resource"])),
    ("TRY", |o| cell(&o["incarnation"])),
    ("PHASE", |o| cell(&o["phase"])),
    ("AGE", age),
    ("WHY", |o| cell(&o["why"])),
];

const SKIPPED: &[Column] = &[
    ("NOT LOOKED AT", |s| cell(&s["manager"])),
    ("SITE", |s| cell(&s["site"])),
    ("CREDENTIAL", |s| cell(&s["credential_name"])),
    ("WHY", |s| cell(&s["why"])),
];

/// How long it is known to be there, in its largest unit: `new` where nobody
/// has found it before.
fn age(orphan: &Value) -> String {
    let Some(seconds) = orphan["age_seconds"].as_u64() else {
        return "new".to_owned();
    };
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let fits = units.into_iter().find(|(unit, _)| seconds >= *unit);
    let (unit, name) = fits.unwrap_or((1, "s"));
    format!("{} {name}", seconds / unit)
}

/// What a server is told to know a thing by.
const THING: [&str; 8] = [
    "manager",
    "site",
    "credential",
    "id",
    "installation",
    "resource",
    "incarnation",
    "generation",
];

/// Shows the report, and reclaims what is certainly an orphan where that is
/// asked. The exit code is 1 where something is left that a person must look
/// at after that.
pub(super) async fn run(client: &Client, out: Output, orphans: &Orphans) -> Result<ExitCode> {
    let report = client.get("/orphans").await?;
    if !orphans.reclaim {
        out.show(&report, human)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !out.json {
        out.show(&report, human)?;
    }
    let mut done = Vec::new();
    let mut left = 0;
    for orphan in report["items"].as_array().into_iter().flatten() {
        let verdict = orphan["verdict"].as_str().unwrap_or_default();
        let unheard = verdict == "unheard";
        let result = match verdict {
            "orphan" => reclaim(client, orphan, unheard).await,
            "unheard" if orphans.unheard => reclaim(client, orphan, unheard).await,
            "going" => continue,
            _ => Err(cell(&orphan["why"])),
        };
        left += u32::from(result.is_err());
        done.push(match result {
            Ok(result) => json!({"id": orphan["id"], "result": result}),
            Err(why) => json!({"id": orphan["id"], "result": "left", "why": why}),
        });
    }
    let skipped = report["skipped"].as_array().map_or(0, Vec::len);
    let told = json!({"report": report, "done": done});
    out.show(&told, |told| results(&told["done"]))?;
    Ok(match left == 0 && skipped == 0 {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// What came of it, or why it is left.
async fn reclaim(client: &Client, orphan: &Value, unheard: bool) -> Result<Value, String> {
    let mut body = json!({"unheard": unheard});
    for key in THING {
        body[key] = orphan[key].clone();
    }
    let answer = client.post("/orphans/reclaim", &body).await;
    match answer {
        Ok(answer) => Ok(answer["reclaimed"].clone()),
        Err(failure) => Err(failure.to_string()),
    }
}

fn human(report: &Value) -> String {
    let list = |key: &str| report[key].as_array().cloned().unwrap_or_default();
    let (items, skipped) = (list("items"), list("skipped"));
    let mut text = match items.is_empty() {
        true => "There is no orphan.\n".to_owned(),
        false => rows(&items, COLUMNS),
    };
    text += &format!(
        "\n{} things are their record's, {} are another installation's and are never touched.\n",
        cell(&report["owned"]),
        cell(&report["foreign"])
    );
    if items.iter().any(|o| o["verdict"] == "unheard") {
        text += "Unheard: this store knows nothing of it. If a store was lost, rebuild it (store rebuild); \
                 if not, --reclaim --unheard destroys it.\n";
    }
    if !skipped.is_empty() {
        text.push('\n');
        text += &rows(&skipped, SKIPPED);
    }
    text
}

fn results(done: &Value) -> String {
    let lines = done.as_array().into_iter().flatten().map(|one| {
        let id = cell(&one["id"]);
        match one["result"].as_str() {
            Some("accepted") => {
                format!("{id}: the site destroys it; ask again whether it is gone\n")
            }
            Some("gone") => format!("{id}: it was gone already\n"),
            _ => format!("{id}: left: {}\n", cell(&one["why"])),
        }
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        for (seconds, text) in [(0, "0 s"), (59, "59 s"), (7_300, "2 h"), (259_199, "2 d")] {
            assert_eq!(age(&json!({"age_seconds": seconds, "stamp": "x"})), text);
        }
        assert_eq!(age(&json!({"stamp": "1.0.running.1.256"})), "new");
    }
}
