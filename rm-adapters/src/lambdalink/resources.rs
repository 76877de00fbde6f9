//! The original Resource Manager: credentials, clusters, resources.

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::StatusCode;
use base64::Engine as _;
use rm_core::catalog::{Credential, NewCredential, Target};
use rm_core::clusters::{ClusterRequest, Reuse};
use rm_core::id::Kind;
use rm_core::model::Cluster;
use rm_core::registry::Adapter;
use rm_core::resource::Resource;
use rm_core::{Call, CatalogId, HoldId, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::wire::{blame, is_hidden, remote_id, remote_status, status, unchanged, wrong};
use super::{LambdaLinkOptions, id_of, nothing, routes, uses};
use crate::agent::Agent;
use crate::door::{Dialect, JsonContract, Reply, Request, Route, no_such_operation};

static KINDS: &[Kind] = &[Kind::CLUSTER];

/// The Resource Manager.
#[derive(Debug)]
pub struct LambdaLinkResources {
    dialect: Dialect,
    agent: Option<Arc<dyn Agent>>,
}

impl LambdaLinkResources {
    /// As the options say.
    pub fn new(options: &LambdaLinkOptions) -> Self {
        Self {
            dialect: options.dialect(),
            agent: options.agent.clone(),
        }
    }
}

impl Adapter for LambdaLinkResources {
    fn name(&self) -> &'static str {
        "lambdalink-resources"
    }

    fn kinds(&self) -> &[Kind] {
        KINDS
    }
}

#[async_trait]
impl JsonContract for LambdaLinkResources {
    fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    fn routes(&self) -> &'static [Route] {
        routes::RESOURCES
    }

    fn schemas(&self) -> Map<String, Value> {
        routes::resource_schemas()
    }

    async fn serve(&self, call: &Call<'_>, request: Request) -> Result<Reply> {
        let (catalog, who) = (call.host.catalog(), call.who);
        let id = request.path("id");
        match request.operation {
            "lambdalinkListCredentials" => {
                let mut all = Vec::new();
                let mut after = None;
                loop {
                    let page = catalog.credentials(who, after.as_ref(), 500).await?;
                    all.extend(page.items.iter().map(credential));
                    after = page.next;
                    if after.is_none() {
                        return Ok(Reply::ok(Value::Array(all)));
                    }
                }
            }
            "lambdalinkAddCredential" => add_credential(call, &request).await,
            "lambdalinkGetCredential" => {
                Ok(Reply::ok(credential(&catalog.credential(who, id).await?)))
            }
            "lambdalinkPutCredential" | "lambdalinkPatchCredential" => {
                let now = catalog.credential(who, id).await?;
                let reply = unchanged(credential(&now), request.body());
                let refused =
                    matches!(&reply, Reply::Json { status, .. } if *status != StatusCode::OK);
                match request.body().get("credentials") {
                    Some(_) if refused => Ok(reply),
                    None => Ok(reply),
                    Some(given) => match given.as_str().and_then(decoded) {
                        None => Ok(wrong("credentials", NOT_CREDENTIALS)),
                        Some(secret) => {
                            let rotated = catalog.rotate_credential(who, id, &secret).await?;
                            Ok(Reply::ok(credential(&rotated)))
                        }
                    },
                }
            }
            "lambdalinkRemoveCredential" => {
                catalog.remove_credential(who, id).await?;
                Ok(Reply::Empty)
            }
            "lambdalinkListClusters" => list_clusters(call).await,
            "lambdalinkAddCluster" => add_cluster(call, &request).await,
            "lambdalinkGetCluster" => Ok(Reply::ok(cluster(&find(call, id).await?)?)),
            "lambdalinkPutCluster" | "lambdalinkPatchCluster" => {
                Ok(unchanged(cluster(&find(call, id).await?)?, request.body()))
            }
            "lambdalinkRemoveCluster" => {
                let found = find(call, id).await?;
                let mine: Vec<HoldId> = found
                    .record()
                    .holds
                    .iter()
                    .filter(|h| h.user == who.user)
                    .map(|h| h.id)
                    .collect();
                if mine.is_empty() {
                    // An operator may; anybody else is told why not.
                    found.release(who, None).await?;
                }
                for hold in mine {
                    found.release(who, Some(hold)).await?;
                }
                Ok(Reply::Empty)
            }
            "lambdalinkMonitorCluster" => {
                let shown = cluster(&find(call, id).await?)?;
                Ok(Reply::ok(json!({"result": shown["status"]})))
            }
            "lambdalinkListResources" => uses::list(call, self.agent.as_ref()).await,
            "lambdalinkAddResource" => uses::add(call, &request).await,
            "lambdalinkGetResource" => uses::get(call, self.agent.as_ref(), id).await,
            "lambdalinkPutResource" | "lambdalinkPatchResource" => uses::set(call, id).await,
            "lambdalinkRemoveResource" => uses::remove(call, id).await,
            other => Err(no_such_operation(other)),
        }
    }
}

// -- credentials -----------------------------------------------------------

const NOT_CREDENTIALS: &str =
    "This is base64 of a JSON object with at least username, password and project_name.";

fn credential(c: &Credential) -> Value {
    json!({
        "id": c.id, "name": c.name, "site": c.site, "user": c.user,
        "created": c.created.to_string(),
    })
}

/// What base64 hides, if it is what it should be.
fn decoded(text: &str) -> Option<Value> {
    let blank = |c: &char| !c.is_ascii_whitespace();
    let text: String = text.chars().filter(blank).collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()?;
    let secret: Value = serde_json::from_slice(&bytes).ok()?;
    ["username", "password", "project_name"]
        .iter()
        .all(|key| secret[*key].is_string())
        .then_some(secret)
}

async fn add_credential(call: &Call<'_>, request: &Request) -> Result<Reply> {
    #[derive(Deserialize)]
    struct New {
        name: String,
        site: String,
        credentials: String,
    }
    let new: New = request.read()?;
    let Some(secret) = decoded(&new.credentials) else {
        return Ok(wrong("credentials", NOT_CREDENTIALS));
    };
    let catalog = call.host.catalog();
    if let Err(e) = catalog.site(&new.site).await {
        return blame("site", e);
    }
    let added = catalog
        .add_credential(
            call.who,
            NewCredential {
                name: new.name,
                site: new.site,
                user: None,
                tenant: None,
                secret,
            },
        )
        .await;
    match added {
        Ok(added) => Ok(Reply::created(credential(&added))),
        Err(e) => blame("name", e),
    }
}

// -- clusters --------------------------------------------------------------

fn cluster(cluster: &Resource<Cluster>) -> Result<Value> {
    let (r, spec, view) = (cluster.record(), cluster.spec()?, cluster.view()?);
    Ok(json!({
        "id": r.id,
        "root_owner": r.holds.first().map_or(r.tenant.0.as_str(), |h| h.user.as_str()),
        "credential": r.place.credential,
        "implementation": spec.implementation,
        "remote_id": remote_id(r),
        "remote_status": remote_status(r),
        "status": status(r.wanted, r.seen, cluster.is_ready()),
        "address": view.address,
    }))
}

async fn find(call: &Call<'_>, id: &str) -> Result<Resource<Cluster>> {
    let found = call.host.clusters().get(call.who, id_of(id)?).await?;
    if is_hidden(found.record().wanted, found.record().seen) {
        return Err(nothing());
    }
    Ok(found)
}

async fn list_clusters(call: &Call<'_>) -> Result<Reply> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = call
            .host
            .clusters()
            .list(call.who, false, after.as_ref(), 200)
            .await?;
        for found in &page.items {
            if !is_hidden(found.record().wanted, found.record().seen) {
                all.push(cluster(found)?);
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(Reply::ok(Value::Array(all)));
        }
    }
}

/// What two ids ask for; the other side is what is wrong with them.
pub(super) async fn wanted(
    call: &Call<'_>,
    credential: (&str, &str),
    implementation: (&str, &str),
) -> Result<std::result::Result<ClusterRequest, Reply>> {
    let catalog = call.host.catalog();
    let unknown = "There is no such entry.";
    let found = catalog.credential(call.who, credential.1).await;
    let Ok(found) = found else {
        return Ok(Err(wrong(credential.0, unknown)));
    };
    let Ok(id) = implementation.1.parse::<CatalogId>() else {
        return Ok(Err(wrong(implementation.0, unknown)));
    };
    let Ok(chosen) = catalog.implementation_now(id).await else {
        return Ok(Err(wrong(implementation.0, unknown)));
    };
    let site = catalog.site(&found.site.to_string()).await?;
    let fits = match &chosen.target {
        Target::Site(id) => *id == found.site,
        Target::Api(api) => *api == site.api,
    };
    if !fits {
        return Ok(Err(wrong(
            credential.0,
            "The credential's site is not that of the implementation.",
        )));
    }
    Ok(Ok(ClusterRequest {
        appliance: chosen.appliance.to_string(),
        implementation: Some(id),
        credential: Some(found.id.to_string()),
        sites: vec![found.site.to_string()],
        ..ClusterRequest::default()
    }))
}

async fn add_cluster(call: &Call<'_>, request: &Request) -> Result<Reply> {
    #[derive(Deserialize)]
    struct New {
        credential: String,
        implementation: String,
    }
    let new: New = request.read()?;
    let wanted = wanted(
        call,
        ("credential", &new.credential),
        ("implementation", &new.implementation),
    )
    .await?;
    let mut wanted = match wanted {
        Ok(wanted) => wanted,
        Err(reply) => return Ok(reply),
    };
    wanted.reuse = Reuse::Never;
    let created = call.host.clusters().create(call.who, &wanted).await?;
    Ok(Reply::created(cluster(&created.cluster)?))
}
