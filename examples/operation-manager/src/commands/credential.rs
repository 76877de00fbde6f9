//! Credentials. Their secrets come from a file or from standard input, never
//! from the command line, and are never shown again.

use std::io::IsTerminal;
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::{CredentialCommand, NewCredential, SecretFrom};
use crate::client::{Client, quote};
use crate::failure::{Failure, Result};
use crate::files;
use crate::output::{Column, Output, cell, note, sheet, time};

const COLUMNS: &[Column] = &[
    ("NAME", |c| cell(&c["name"])),
    ("SITE", |c| cell(&c["site"])),
    ("USER", |c| cell(&c["user"])),
    ("TENANT", |c| cell(&c["tenant"])),
    ("REVISION", |c| cell(&c["revision"])),
    ("ID", |c| cell(&c["id"])),
];

pub(super) async fn run(client: &Client, out: Output, command: CredentialCommand) -> Result<()> {
    match command {
        CredentialCommand::Add(new) => {
            let credential = client.post("/credentials", &body(new)?).await?;
            out.show(&credential, one)
        }
        CredentialCommand::List => {
            let mut credentials = client.list("/credentials").await?;
            if !out.json {
                let sites = client.names("/sites").await?;
                for credential in &mut credentials {
                    if let Some(name) = sites.get(&cell(&credential["site"])) {
                        credential["site"] = Value::from(name.as_str());
                    }
                }
            }
            out.list(&credentials, COLUMNS, "You have no credential yet.")
        }
        CredentialCommand::Rotate { credential, secret } => {
            let body = json!({"secret": read(&secret)?});
            let path = format!("/credentials/{}/secret", quote(&credential));
            let credential = client.put(&path, Some(&body)).await?;
            out.show(&credential, one)
        }
        CredentialCommand::Remove { credential } => {
            let path = format!("/credentials/{}", quote(&credential));
            client.delete(&path).await?;
            let done = json!({"removed": credential});
            out.show(&done, |d| {
                format!("credential {} is removed", cell(&d["removed"]))
            })
        }
    }
}

fn body(new: NewCredential) -> Result<Value> {
    let mut body = json!({"name": new.name, "site": new.site, "secret": read(&new.secret)?});
    if let Some(user) = new.user {
        body["user"] = Value::from(user);
    }
    if let Some(tenant) = new.tenant {
        body["tenant"] = Value::from(tenant);
    }
    Ok(body)
}

fn read(from: &SecretFrom) -> Result<Value> {
    let what = "the credential's secret";
    let text = if from.secret_file == Path::new("-") {
        let input = std::io::stdin();
        if input.is_terminal() {
            note(
                "Write the secret as a JSON object and end it with Ctrl-D; it is shown as you type.",
            );
        }
        files::read_secret(what, "standard input", input.lock())?
    } else {
        files::read_private(what, &from.secret_file)?
    };
    serde_json::from_str::<Value>(&text)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| {
            Failure::usage(format!("{what} is not a JSON object")).advice(
                "for OpenStack: {\"username\": ..., \"password\": ..., \"project_name\": ...}",
            )
        })
}

fn one(credential: &Value) -> String {
    sheet(&[
        ("id", cell(&credential["id"])),
        ("name", cell(&credential["name"])),
        ("site", cell(&credential["site"])),
        ("user", cell(&credential["user"])),
        ("tenant", cell(&credential["tenant"])),
        ("revision", cell(&credential["revision"])),
        ("created", time(&credential["created"])),
    ])
}
