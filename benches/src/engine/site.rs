//! A site in the catalog, and an appliance for it.

use rm_core::catalog::{NewAppliance, NewCredential, NewImplementation, NewSite};
use rm_core::{Caller, Host, Result};
use serde_json::json;

/// The appliance that is asked for.
pub(super) const APPLIANCE: &str = "hadoop";

/// What is served there.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) api: &'static str,
    pub(super) media_type: &'static str,
    pub(super) body: &'static str,
}

/// Loads the site, the user's credential for it, and the appliance.
pub(super) async fn load(host: &Host, user: &Caller, site: &Site) -> Result<()> {
    let operator = Caller::operator("operator", "operators");
    let catalog = host.catalog();
    let at = NewSite::new("north", site.api, "sim:north");
    catalog.add_site(&operator, at).await?;
    let secret = json!({"account": "users", "password": "right"});
    let credential = NewCredential::new("mine", "north", secret);
    catalog.add_credential(user, credential).await?;
    let appliance = NewAppliance::new(APPLIANCE);
    catalog.add_appliance(&operator, appliance).await?;
    let body = NewImplementation::new(APPLIANCE, site.api, site.media_type, site.body);
    catalog.add_implementation(&operator, body).await.map(drop)
}
