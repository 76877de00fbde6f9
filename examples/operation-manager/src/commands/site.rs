//! Sites, and their import from a clouds.yaml.

use std::path::Path;

use rm_openstack::client::clouds::{CloudProfile, Clouds};
use serde_json::{Map, Value, json};

use super::cloud;
use crate::cli::{NewSite, SiteCommand};
use crate::client::{Client, quote};
use crate::failure::{Failure, Result};
use crate::output::{Column, Output, cell, note, sheet, time};

const COLUMNS: &[Column] = &[
    ("NAME", |s| cell(&s["name"])),
    ("API", |s| cell(&s["api"])),
    ("URL", |s| cell(&s["url"])),
    ("REGION", |s| cell(&s["region"])),
    ("ID", |s| cell(&s["id"])),
];

pub(super) async fn run(client: &Client, out: Output, command: SiteCommand) -> Result<()> {
    match command {
        SiteCommand::Add(new) => {
            let site = client.post("/sites", &body(new)).await?;
            out.show(&site, one)
        }
        SiteCommand::List => {
            let sites = client.list("/sites").await?;
            out.list(&sites, COLUMNS, "There is no site yet.")
        }
        SiteCommand::Show { site } => {
            let site = client.get(&format!("/sites/{}", quote(&site))).await?;
            out.show(&site, one)
        }
        SiteCommand::Remove { site } => {
            client.delete(&format!("/sites/{}", quote(&site))).await?;
            let done = json!({"removed": site});
            out.show(&done, |d| {
                format!("site {} is removed", cell(&d["removed"]))
            })
        }
        SiteCommand::ImportClouds { file, cloud } => import(client, out, &file, cloud).await,
    }
}

fn body(new: NewSite) -> Value {
    let mut body = json!({"name": new.name, "api": new.api, "url": new.url});
    if let Some(region) = new.region {
        body["region"] = Value::from(region);
    }
    if let Some(interface) = new.interface {
        body["interface"] = Value::from(interface);
    }
    if !new.defaults.is_empty() {
        body["defaults"] = Value::Object(new.defaults.into_iter().collect::<Map<_, _>>());
    }
    body
}

fn one(site: &Value) -> String {
    sheet(&[
        ("id", cell(&site["id"])),
        ("name", cell(&site["name"])),
        ("api", cell(&site["api"])),
        ("url", cell(&site["url"])),
        ("region", cell(&site["region"])),
        ("interface", cell(&site["interface"])),
        ("defaults", cell(&site["defaults"])),
        ("created", time(&site["created"])),
    ])
}

/// A site and a credential of each cloud, both under the cloud's name. What
/// is there already stays as it is.
async fn import(client: &Client, out: Output, file: &Path, only: Vec<String>) -> Result<()> {
    let unread = |e: &dyn std::fmt::Display| Failure::usage(e.to_string());
    let clouds = Clouds::load(file).map_err(|e| unread(&e))?;
    let names = if only.is_empty() {
        clouds.names().into_iter().map(str::to_owned).collect()
    } else {
        only
    };
    if names.is_empty() {
        return Err(Failure::usage("there is no cloud in that file"));
    }
    // All are read before the first is made.
    let mut profiles: Vec<(CloudProfile, Value)> = Vec::new();
    for name in &names {
        let profile = clouds.cloud(name).map_err(|e| unread(&e))?;
        let secret = cloud::secret(&profile).map_err(|e| unread(&e))?;
        profiles.push((profile, secret));
    }
    let mut made = Vec::new();
    for (profile, secret) in profiles {
        let mut site = json!({
            "name": profile.name,
            "api": "openstack",
            "url": profile.auth_url,
            "interface": profile.interface.name(),
        });
        if let Some(region) = &profile.region {
            site["region"] = Value::from(region.as_str());
        }
        let site = client.post("/sites", &site).await?;
        let credential = json!({
            "name": profile.name,
            "site": profile.name,
            "secret": secret,
        });
        let credential = client.post("/credentials", &credential).await?;
        if !profile.verify {
            note(&format!(
                "{}: its servers need not prove who they are (verify: false); whoever is on the way can read the password",
                profile.name
            ));
        }
        made.push(json!({"site": site, "credential": credential}));
    }
    out.show(&Value::Array(made), |made| {
        made.as_array()
            .into_iter()
            .flatten()
            .map(|m| {
                format!(
                    "site {} and credential {} are imported\n",
                    cell(&m["site"]["name"]),
                    cell(&m["credential"]["name"])
                )
            })
            .collect()
    })
}
