//! The cold part: sites, credentials, appliances, implementations, images.

use std::sync::Arc;

use async_trait::async_trait;
use rm_core::catalog::{NewAppliance, NewCredential, NewImage, NewImplementation, NewSite};
use rm_core::id::Kind;
use rm_core::registry::Adapter;
use rm_core::store::{Cursor, Page};
use rm_core::{Call, CatalogId, Result, Role};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{AFTER, LIMIT, PAGE, copies, page, schemas, view};
use crate::door::{Access, Dialect, JsonContract, Method, Param, ParamKind, Reply, Request, Route};

const OPERATOR: Access = Access::Role(Role::Operator);
const GONE: &[(u16, Option<&str>)] = &[(204, None)];

static ROUTES: &[Route] = &[
    Route::new(
        Method::Get,
        "/sites",
        "listSites",
        "All sites",
        &[(200, Some("SiteList"))],
    )
    .query(PAGE),
    Route::new(
        Method::Post,
        "/sites",
        "addSite",
        "Adds a site",
        &[(201, Some("Site"))],
    )
    .access(OPERATOR)
    .takes("NewSite"),
    Route::new(
        Method::Get,
        "/sites/{id}",
        "getSite",
        "One site",
        &[(200, Some("Site"))],
    ),
    Route::new(
        Method::Delete,
        "/sites/{id}",
        "removeSite",
        "Removes a site that nothing uses",
        GONE,
    )
    .access(OPERATOR),
    Route::new(
        Method::Get,
        "/credentials",
        "listCredentials",
        "The tenant's credentials; all for an operator",
        &[(200, Some("CredentialList"))],
    )
    .query(PAGE),
    Route::new(
        Method::Post,
        "/credentials",
        "addCredential",
        "Adds a credential for a site",
        &[(201, Some("Credential"))],
    )
    .access(Access::Role(Role::User))
    .takes("NewCredential"),
    Route::new(
        Method::Get,
        "/credentials/{id}",
        "getCredential",
        "One credential, without its secret",
        &[(200, Some("Credential"))],
    ),
    Route::new(
        Method::Put,
        "/credentials/{id}/secret",
        "rotateCredential",
        "Gives a credential another secret",
        &[(200, Some("Credential"))],
    )
    .takes("NewSecret"),
    Route::new(
        Method::Delete,
        "/credentials/{id}",
        "removeCredential",
        "Removes a credential that nothing uses",
        GONE,
    ),
    Route::new(
        Method::Get,
        "/appliances",
        "listAppliances",
        "All appliances",
        &[(200, Some("ApplianceList"))],
    )
    .query(PAGE),
    Route::new(
        Method::Post,
        "/appliances",
        "addAppliance",
        "Adds an appliance",
        &[(201, Some("Appliance"))],
    )
    .access(OPERATOR)
    .takes("NewAppliance"),
    Route::new(
        Method::Get,
        "/appliances/{id}",
        "getAppliance",
        "One appliance",
        &[(200, Some("Appliance"))],
    ),
    Route::new(
        Method::Delete,
        "/appliances/{id}",
        "removeAppliance",
        "Removes an appliance without implementations",
        GONE,
    )
    .access(OPERATOR),
    Route::new(
        Method::Get,
        "/implementations",
        "listImplementations",
        "All implementations, or those of an appliance; without their bodies",
        &[(200, Some("ImplementationList"))],
    )
    .query(&[
        LIMIT,
        AFTER,
        Param {
            name: "appliance",
            kind: ParamKind::Text(400),
            summary: "Those of this appliance, by name or id",
        },
    ]),
    Route::new(
        Method::Post,
        "/implementations",
        "addImplementation",
        "Adds an implementation as the newest revision",
        &[(201, Some("Implementation"))],
    )
    .access(OPERATOR)
    .takes("NewImplementation"),
    Route::new(
        Method::Get,
        "/implementations/{id}",
        "getImplementation",
        "One implementation, with its body",
        &[(200, Some("Implementation"))],
    ),
    Route::new(
        Method::Patch,
        "/implementations/{id}",
        "enableImplementation",
        "Enables or disables a revision",
        &[(200, Some("Implementation"))],
    )
    .access(OPERATOR)
    .takes("ImplementationChange"),
    Route::new(
        Method::Delete,
        "/implementations/{id}",
        "removeImplementation",
        "Removes an implementation that nothing was made by",
        GONE,
    )
    .access(OPERATOR),
    Route::new(
        Method::Get,
        "/images",
        "listImages",
        "All images",
        &[(200, Some("ImageList"))],
    )
    .query(PAGE),
    Route::new(
        Method::Post,
        "/images",
        "addImage",
        "Adds an image",
        &[(201, Some("Image"))],
    )
    .access(OPERATOR)
    .takes("NewImage"),
    Route::new(
        Method::Get,
        "/images/{id}",
        "getImage",
        "One image",
        &[(200, Some("Image"))],
    ),
    Route::new(
        Method::Delete,
        "/images/{id}",
        "removeImage",
        "Removes an image that no appliance names and that no site has a copy of",
        GONE,
    )
    .access(OPERATOR),
    Route::new(
        Method::Get,
        "/images/{id}/copies",
        "listImageCopies",
        "The copies of an image that were brought to sites",
        &[(200, Some("ImageCopyList"))],
    )
    .access(OPERATOR)
    .query(PAGE),
    Route::new(
        Method::Get,
        "/images/{id}/copies/{copy}",
        "getImageCopy",
        "One copy of an image",
        &[(200, Some("ImageCopy"))],
    )
    .access(OPERATOR),
    Route::new(
        Method::Delete,
        "/images/{id}/copies/{copy}",
        "removeImageCopy",
        "Begins to remove a copy that no cluster needs from its site",
        &[(202, Some("ImageCopy")), (204, None)],
    )
    .access(OPERATOR)
    .query(&[Param {
        name: "abandon",
        kind: ParamKind::Text(400),
        summary: "Forget one that would not go, for this reason",
    }]),
];

/// The catalog as JSON.
#[derive(Debug)]
pub struct RestCatalog {
    dialect: Dialect,
}

impl RestCatalog {
    /// At the root.
    pub fn new() -> Self {
        Self {
            dialect: Dialect::plain(),
        }
    }
}

impl Default for RestCatalog {
    fn default() -> Self {
        Self::new()
    }
}

impl Adapter for RestCatalog {
    fn name(&self) -> &'static str {
        "rest-catalog"
    }

    fn kinds(&self) -> &[Kind] {
        &[]
    }
}

#[derive(Deserialize)]
struct NewSecret {
    secret: Value,
}

#[derive(Deserialize)]
struct ImplementationChange {
    enabled: bool,
}

#[async_trait]
impl JsonContract for RestCatalog {
    fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn schemas(&self) -> Map<String, Value> {
        schemas::catalog()
    }

    async fn serve(&self, call: &Call<'_>, request: Request) -> Result<Reply> {
        let (catalog, who) = (call.host.catalog(), call.who);
        let id = request.path("id");
        let (after, limit) = page(&request)?;
        let after = after.as_ref();
        Ok(match request.operation {
            "listSites" => Reply::ok(view::list(catalog.sites(after, limit).await?, view::site)),
            "addSite" => {
                let new: NewSite = request.read()?;
                Reply::created(view::site(catalog.add_site(who, new).await?))
            }
            "getSite" => Reply::ok(view::site(catalog.site(id).await?)),
            "removeSite" => {
                catalog.remove_site(who, id).await?;
                Reply::Empty
            }
            "listCredentials" => Reply::ok(view::list(
                catalog.credentials(who, after, limit).await?,
                view::credential,
            )),
            "addCredential" => {
                let new: NewCredential = request.read()?;
                Reply::created(view::credential(catalog.add_credential(who, new).await?))
            }
            "getCredential" => Reply::ok(view::credential(catalog.credential(who, id).await?)),
            "rotateCredential" => {
                let new: NewSecret = request.read()?;
                let rotated = catalog.rotate_credential(who, id, &new.secret).await?;
                Reply::ok(view::credential(rotated))
            }
            "removeCredential" => {
                catalog.remove_credential(who, id).await?;
                Reply::Empty
            }
            "listAppliances" => Reply::ok(view::list(
                catalog.appliances(after, limit).await?,
                view::appliance,
            )),
            "addAppliance" => {
                let new: NewAppliance = request.read()?;
                Reply::created(view::appliance(catalog.add_appliance(who, new).await?))
            }
            "getAppliance" => Reply::ok(view::appliance(catalog.appliance(id).await?)),
            "removeAppliance" => {
                catalog.remove_appliance(who, id).await?;
                Reply::Empty
            }
            "listImplementations" => {
                let page = match request.query("appliance") {
                    None => catalog.implementations(after, limit).await?,
                    Some(name) => {
                        let appliance = catalog.appliance(name).await?;
                        let all = catalog.implementations_of(appliance.id).await?;
                        let page = cut(all, |i| i.id.to_string(), after, limit);
                        page.map(Arc::unwrap_or_clone)
                    }
                };
                Reply::ok(view::list(page, |i| view::implementation_line(&i)))
            }
            "addImplementation" => {
                let new: NewImplementation = request.read()?;
                let added = catalog.add_implementation(who, new).await?;
                Reply::created(view::implementation(&added))
            }
            "getImplementation" => {
                let id: CatalogId = id.parse()?;
                Reply::ok(view::implementation(&catalog.implementation_now(id).await?))
            }
            "enableImplementation" => {
                let change: ImplementationChange = request.read()?;
                let changed = catalog
                    .enable_implementation(who, id.parse()?, change.enabled)
                    .await?;
                Reply::ok(view::implementation(&changed))
            }
            "removeImplementation" => {
                catalog.remove_implementation(who, id.parse()?).await?;
                Reply::Empty
            }
            "listImages" => {
                let images = catalog.images(after, limit).await?;
                Reply::ok(view::list(images, |image| view::image(who, image)))
            }
            "addImage" => {
                let new: NewImage = request.read()?;
                Reply::created(view::image(who, catalog.add_image(who, new).await?))
            }
            "getImage" => Reply::ok(view::image(who, catalog.image(id).await?)),
            "removeImage" => {
                catalog.remove_image(who, id).await?;
                Reply::Empty
            }
            "listImageCopies" => copies::list(call, &request).await?,
            "getImageCopy" => copies::get(call, &request).await?,
            "removeImageCopy" => copies::remove(call, &request).await?,
            other => return Err(crate::door::no_such_operation(other)),
        })
    }
}

/// A page of what core gives as a whole.
pub(super) fn cut<T>(
    mut all: Vec<T>,
    id: impl Fn(&T) -> String,
    after: Option<&Cursor>,
    limit: u32,
) -> Page<T> {
    all.sort_by_key(&id);
    if let Some(Cursor(after)) = after {
        all.retain(|item| id(item) > *after);
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).max(1);
    let next = (all.len() > limit)
        .then(|| all.get(limit - 1).map(|last| Cursor(id(last))))
        .flatten();
    all.truncate(limit);
    Page { items: all, next }
}
