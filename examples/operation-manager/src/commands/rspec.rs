//! RSpecs: what is wrong with them.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::ExitCode;

use rm_adapters::geni::rspec::{Rspec, Severity, faults};
use serde_json::{Value, json};

use crate::cli::RspecCommand;
use crate::failure::{Failure, Result};
use crate::output::{Column, Output, cell};

const COLUMNS: &[Column] = &[
    ("FILE", |f| cell(&f["file"])),
    ("LINE", |f| cell(&f["line"])),
    ("", |f| cell(&f["severity"])),
    ("ELEMENT", |f| cell(&f["element"])),
    ("WHAT", |f| cell(&f["what"])),
];

pub(super) fn run(command: &RspecCommand, out: Output) -> Result<ExitCode> {
    let RspecCommand::Lint { files, aggregate } = command;
    let mut found = Vec::new();
    for file in files {
        found.extend(lint(file, aggregate.as_deref())?);
    }
    out.list(&found, COLUMNS, "Nothing is wrong.")?;
    let wrong = found.iter().any(|f| f["severity"] == "error");
    Ok(if wrong {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// What is wrong with one document; where it cannot be read, just that.
fn lint(file: &Path, aggregate: Option<&str>) -> Result<Vec<Value>> {
    let shown = file.display().to_string();
    let opened = File::open(file).map_err(|e| {
        Failure::refused(format!("cannot read {shown}")).detail(e.kind().to_string())
    })?;
    let rspec = match Rspec::read_from(BufReader::new(opened)) {
        Ok(rspec) => rspec,
        Err(e) => {
            return Ok(vec![json!({
                "file": shown,
                "severity": "error",
                "code": e.stable_code(),
                "what": e.to_string(),
            })]);
        }
    };
    let faults = faults(&rspec, aggregate);
    let row = |f: &rm_adapters::geni::rspec::Fault| {
        json!({
            "file": shown,
            "line": f.line,
            "element": f.element,
            "severity": match f.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            "code": f.code,
            "what": f.what,
        })
    };
    Ok(faults.iter().map(row).collect())
}
