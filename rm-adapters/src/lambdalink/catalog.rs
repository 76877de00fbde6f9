//! The original Appliance Registry: sites, appliances, implementations.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rm_core::catalog::{
    Appliance, Implementation, NewAppliance, NewImplementation, NewSite, Script, Site, Target,
};
use rm_core::id::Kind;
use rm_core::model::Cluster;
use rm_core::registry::Adapter;
use rm_core::{Call, ErrorKind, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::wire::{blame, unchanged, wrong};
use super::{LambdaLinkOptions, id_of, logos, routes};
use crate::door::{Dialect, JsonContract, Reply, Request, Route, no_such_operation};

/// The Appliance Registry.
#[derive(Debug)]
pub struct LambdaLinkCatalog {
    dialect: Dialect,
}

impl LambdaLinkCatalog {
    /// As the options say.
    pub fn new(options: &LambdaLinkOptions) -> Self {
        Self {
            dialect: options.dialect(),
        }
    }
}

impl Adapter for LambdaLinkCatalog {
    fn name(&self) -> &'static str {
        "lambdalink-catalog"
    }

    fn kinds(&self) -> &[Kind] {
        &[]
    }
}

#[async_trait]
impl JsonContract for LambdaLinkCatalog {
    fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    fn routes(&self) -> &'static [Route] {
        routes::CATALOG
    }

    fn schemas(&self) -> Map<String, Value> {
        routes::catalog_schemas()
    }

    async fn serve(&self, call: &Call<'_>, request: Request) -> Result<Reply> {
        let (catalog, who) = (call.host.catalog(), call.who);
        let id = request.path("id");
        Ok(match request.operation {
            "lambdalinkListSites" => {
                let mut all = Vec::new();
                let mut after = None;
                loop {
                    let page = catalog.sites(after.as_ref(), 500).await?;
                    all.extend(page.items.iter().map(site));
                    after = page.next;
                    if after.is_none() {
                        break Reply::ok(Value::Array(all));
                    }
                }
            }
            "lambdalinkAddSite" => add_site(call, &request).await?,
            "lambdalinkGetSite" => Reply::ok(site(&catalog.site(id).await?)),
            "lambdalinkPutSite" | "lambdalinkPatchSite" => {
                unchanged(site(&catalog.site(id).await?), request.body())
            }
            "lambdalinkRemoveSite" => {
                catalog.remove_site(who, id).await?;
                Reply::Empty
            }
            "lambdalinkListAppliances" => {
                let mut all = Vec::new();
                let mut after = None;
                loop {
                    let page = catalog.appliances(after.as_ref(), 500).await?;
                    all.extend(page.items.iter().map(appliance));
                    after = page.next;
                    if after.is_none() {
                        break Reply::ok(Value::Array(all));
                    }
                }
            }
            "lambdalinkAddAppliance" => {
                #[derive(Deserialize)]
                struct New {
                    name: String,
                    #[serde(default)]
                    description: String,
                }
                let new: New = request.read()?;
                let added = catalog
                    .add_appliance(
                        who,
                        NewAppliance {
                            name: new.name,
                            description: new.description,
                            ready_port: None,
                            images: Vec::new(),
                        },
                    )
                    .await;
                match added {
                    Ok(added) => Reply::created(appliance(&added)),
                    Err(e) => blame("name", e)?,
                }
            }
            "lambdalinkGetAppliance" => Reply::ok(appliance(&catalog.appliance(id).await?)),
            "lambdalinkPutAppliance" | "lambdalinkPatchAppliance" => {
                unchanged(appliance(&catalog.appliance(id).await?), request.body())
            }
            "lambdalinkRemoveAppliance" => {
                catalog.remove_appliance(who, id).await?;
                Reply::Empty
            }
            "lambdalinkListImplementations" => {
                let mut all = Vec::new();
                let mut after = None;
                loop {
                    let page = catalog.implementations(after.as_ref(), 100).await?;
                    for item in &page.items {
                        all.push(implementation(call, item).await?);
                    }
                    after = page.next;
                    if after.is_none() {
                        break Reply::ok(Value::Array(all));
                    }
                }
            }
            "lambdalinkAddImplementation" => add_implementation(call, &request).await?,
            "lambdalinkGetImplementation" => {
                let found = catalog.implementation_now(id_of(id)?).await?;
                Reply::ok(implementation(call, &found).await?)
            }
            "lambdalinkPutImplementation" | "lambdalinkPatchImplementation" => {
                let found = catalog.implementation_now(id_of(id)?).await?;
                unchanged(implementation(call, &found).await?, request.body())
            }
            "lambdalinkRemoveImplementation" => {
                catalog.remove_implementation(who, id_of(id)?).await?;
                logos::forget(call.host, id_of(id)?).await?;
                Reply::Empty
            }
            other => return Err(no_such_operation(other)),
        })
    }
}

async fn add_site(call: &Call<'_>, request: &Request) -> Result<Reply> {
    #[derive(Deserialize)]
    struct New {
        name: String,
        r#type: String,
        api_url: String,
    }
    let new: New = request.read()?;
    let fields = [("type", new.r#type.clone()), ("name", new.name.clone())];
    let added = call
        .host
        .catalog()
        .add_site(
            call.who,
            NewSite {
                name: new.name,
                api: new.r#type,
                url: new.api_url,
                region: None,
                interface: None,
                defaults: BTreeMap::new(),
            },
        )
        .await;
    match added {
        Ok(added) => Ok(Reply::created(site(&added))),
        Err(e) => {
            // Core names what it refuses; the address is never repeated.
            let named = fields
                .iter()
                .find(|(field, value)| {
                    e.what().contains(&format!("{value:?}"))
                        || e.what().contains(&format!("the {field} "))
                })
                .map_or("api_url", |(field, _)| field);
            blame(named, e)
        }
    }
}

async fn add_implementation(call: &Call<'_>, request: &Request) -> Result<Reply> {
    #[derive(Deserialize)]
    struct New {
        appliance: String,
        site: String,
        image: Option<String>,
        /// What older registries called it.
        image_name: Option<String>,
        logo_url: Option<String>,
        template: Option<String>,
        #[serde(default)]
        scripts: Vec<NewScript>,
    }
    #[derive(Deserialize)]
    struct NewScript {
        action: String,
        code: String,
    }
    let new: New = request.read()?;
    let catalog = call.host.catalog();
    if let Err(e) = catalog.appliance(&new.appliance).await {
        return blame("appliance", e);
    }
    let site = match catalog.site(&new.site).await {
        Ok(site) => site,
        Err(e) => return blame("site", e),
    };
    let Some(media_type) = media_type(call, &site)? else {
        return Ok(wrong("site", "Nothing here makes clusters at this site."));
    };
    let body = match (new.image.or(new.image_name), new.template) {
        (Some(image), None) => {
            let media = catalog.media(&media_type);
            let Some(body) = media.and_then(|m| m.around_image(&image)) else {
                return Ok(wrong(
                    "image",
                    "This site needs a template: none can be made around an image.",
                ));
            };
            body
        }
        (None, Some(template)) => template,
        _ => {
            return Ok(wrong(
                "non_field_errors",
                "Exactly one of image and template must be given.",
            ));
        }
    };
    // They had no names: an action may have several.
    let scripts = (1..).zip(new.scripts).map(|(n, script)| Script {
        name: n.to_string(),
        action: script.action,
        code: script.code,
    });
    let (scripts, none) = (scripts.collect::<Vec<_>>(), BTreeMap::new());
    if let Some(media) = catalog.media(&media_type)
        && media.check(&body).is_ok()
        && let Err(e) = media.takes(&body, &scripts, &none)
    {
        return blame("scripts", e);
    }
    let added = catalog
        .add_implementation(
            call.who,
            NewImplementation {
                appliance: new.appliance,
                site: Some(new.site),
                site_type: None,
                media_type,
                body,
                scripts,
                environment: none,
            },
        )
        .await;
    match added {
        Ok(added) => {
            if let Some(url) = &new.logo_url {
                logos::keep(call.host, added.id, url).await?;
            }
            Ok(Reply::created(implementation(call, &added).await?))
        }
        Err(e) if e.kind() == ErrorKind::Invalid => blame("template", e),
        Err(e) => Err(e),
    }
}

/// In what implementations for the site are written: of what its backend
/// understands, the first.
fn media_type(call: &Call<'_>, site: &Site) -> Result<Option<String>> {
    let managers = call.host.managers().serving::<Cluster>(&Kind::CLUSTER)?;
    Ok(managers
        .iter()
        .map(|m| m.serves())
        .filter(|serves| serves.api == site.api)
        .find_map(|serves| serves.media.first().cloned()))
}

fn site(s: &Site) -> Value {
    json!({"id": s.id, "name": s.name, "type": s.api, "api_url": s.url})
}

fn appliance(a: &Appliance) -> Value {
    json!({
        "id": a.id, "owner": a.owner, "name": a.name,
        "created": a.created.to_string(), "description": a.description,
    })
}

async fn implementation(call: &Call<'_>, i: &Implementation) -> Result<Value> {
    let media = call.host.catalog().media(&i.media_type);
    let image = media.and_then(|media| media.image_of(&i.body));
    let parsed = media
        .and_then(|media| media.as_json(&i.body))
        .map(|parsed| parsed.to_string());
    let script = |s: &Script| {
        json!({
            "id": format!("{}/{}/{}", i.id, s.action, s.name),
            "appliance": i.appliance, "action": s.action, "code": s.code,
        })
    };
    Ok(json!({
        "id": i.id, "owner": i.owner, "appliance": i.appliance,
        "site": match &i.target {
            Target::Site(id) => json!(id),
            Target::Api(_) => Value::Null,
        },
        "created": i.created.to_string(),
        "image": image,
        "image_name": image,
        "logo_url": logos::find(call.host, i.id).await?,
        "scripts": i.scripts.iter().map(script).collect::<Vec<_>>(),
        "template": if image.is_some() { Value::Null } else { json!(i.body) },
        "template_parsed": parsed,
        "script_parsed": parsed,
    }))
}
