//! The store, when it is lost.

use std::process::ExitCode;

use rm_adapters::Parts;
use rm_core::Caller;
use rm_core::rebuild::{LOST, Rebuilt};
use serde_json::{Value, json};

use crate::cli::ConfigFile;
use crate::config;
use crate::failure::{Failure, Result};
use crate::output::{Column, Output, cell, rows};
use crate::serve;

const RESTORED: &[Column] = &[
    ("RESOURCE", |r| cell(&r["resource"])),
    ("KIND", |r| cell(&r["kind"])),
    ("NODE OF", |r| cell(&r["part_of"])),
    ("SITE", |r| cell(&r["site"])),
    ("THING", |r| cell(&r["id"])),
    ("TENANT", |r| cell(&r["tenant"])),
    ("HELD BY", |r| cell(&r["user"])),
    ("UNTIL", |r| cell(&r["until"])),
    ("NODES", |r| cell(&r["nodes"])),
    ("BUT", |r| cell(&r["but"])),
];

const LEFT: &[Column] = &[
    ("NOT RESTORED", |l| cell(&l["resource"])),
    ("SITE", |l| cell(&l["site"])),
    ("THING", |l| cell(&l["id"])),
    ("WHY", |l| cell(&l["why"])),
];

const SKIPPED: &[Column] = &[
    ("NOT LOOKED AT", |s| cell(&s["manager"])),
    ("SITE", |s| cell(&s["site"])),
    ("CREDENTIAL", |s| cell(&s["credential"])),
    ("WHY", |s| cell(&s["why"])),
];

/// Makes records for what bears our mark and has none. The exit code is 1
/// where something was not restored or not looked at.
pub(super) async fn rebuild(file: ConfigFile, apply: bool, out: Output) -> Result<ExitCode> {
    let config = config::load(config::find(file.config)?, std::env::vars())?;
    if config.sections.store.is_memory() {
        return Err(Failure::usage("a store in memory is lost with its daemon"));
    }
    let _alone = serve::alone(&config)?;
    let host = serve::host(&config, Parts::ALL, None)?;
    let who = Caller::operator("operation-manager", "operation-manager");
    let rebuilt = host.rebuild().run(&who, apply).await?;
    let whole = rebuilt.left.is_empty() && rebuilt.skipped.is_empty();
    out.show(&told(&rebuilt, apply), |told| human(told, apply))?;
    Ok(match whole {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn told(rebuilt: &Rebuilt, applied: bool) -> Value {
    let restored = rebuilt.restored.iter().map(|r| {
        json!({
            "resource": r.resource, "kind": r.kind, "site": r.site_name,
            "credential": r.credential_name, "id": r.remote, "tenant": r.tenant,
            "user": r.user, "until": r.until.map(|t| t.to_string()), "kept": r.kept,
            "part_of": r.part_of, "nodes": r.nodes, "but": r.but,
        })
    });
    let left = rebuilt.left.iter().map(
        |l| json!({"resource": l.resource, "site": l.site_name, "id": l.remote, "why": l.why}),
    );
    let skipped = rebuilt.skipped.iter().map(|s| {
        json!({
            "manager": s.manager, "site": s.site_name, "credential": s.credential_name,
            "why": s.why,
        })
    });
    json!({
        "applied": applied,
        "restored": restored.collect::<Vec<_>>(),
        "left": left.collect::<Vec<_>>(),
        "skipped": skipped.collect::<Vec<_>>(),
        "known": rebuilt.known,
        "foreign": rebuilt.foreign,
        "lost": LOST,
    })
}

fn human(told: &Value, applied: bool) -> String {
    let list = |key: &str| told[key].as_array().cloned().unwrap_or_default();
    let mut text = String::new();
    for (key, columns) in [("restored", RESTORED), ("left", LEFT), ("skipped", SKIPPED)] {
        let items = list(key);
        if !items.is_empty() {
            text += &rows(&items, columns);
            text.push('\n');
        }
    }
    text += &format!(
        "{} have a record already, {} are another installation's.\n",
        cell(&told["known"]),
        cell(&told["foreign"])
    );
    text += match (list("restored").is_empty(), applied) {
        (true, _) => "There is nothing to restore.\n",
        (false, true) => "The records are written; start the daemon.\n",
        (false, false) => "Nothing is written yet: --apply writes the records.\n",
    };
    text += "What no site can tell is lost:\n";
    for lost in LOST {
        text += &format!("  {lost}\n");
    }
    text
}
