//! What the tests of the catalog share.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Appliance, Catalog, Credential, Image, Implementation, NewAppliance, NewCredential, NewImage,
    NewImplementation, NewSite, Script, Site, Target,
};
use crate::caller::{Caller, Directory, Everybody, Tenant};
use crate::env::Env;
use crate::error::Result;
use crate::id::CatalogId;
use crate::model::Json;
use crate::name::NAME_MAX;
use crate::registry::Media;
use crate::secret::{Sealer, Secret, Unsealed};
use crate::store::{Batch, Due, MemoryStore, Store};
use crate::testing::{Still, record};
use crate::{Error, ErrorKind};

mod credentials;
mod implementations;
mod names;
mod roles;
mod used;
mod wrong;

/// What no answer, message or event may hold.
const CANARY: &str = "canary-7f3a";

#[derive(Debug)]
struct Toy;

impl Media for Toy {
    fn media_type(&self) -> &'static str {
        "text/toy"
    }

    fn check(&self, body: &str) -> Result<()> {
        match body {
            "broken" => Err(Error::invalid("it is broken")),
            _ => Ok(()),
        }
    }

    fn takes(&self, body: &str, _: &[Script], _: &BTreeMap<String, Value>) -> Result<()> {
        match body {
            "closed" => Err(Error::invalid("it takes none")),
            _ => Ok(()),
        }
    }

    fn accepts(&self, _body: &str, _parameters: &BTreeMap<String, Value>) -> Result<()> {
        Ok(())
    }
}

/// Turns the text round, and keeps what it belongs to.
#[derive(Debug)]
struct Mirror;

impl Sealer for Mirror {
    fn seal(&self, secret: &Secret, bound: &str) -> Result<String> {
        Ok(format!(
            "{bound}:{}",
            secret.expose().chars().rev().collect::<String>()
        ))
    }

    fn open(&self, sealed: &str, bound: &str) -> Result<Secret> {
        match sealed.split_once(':') {
            Some((to, text)) if to == bound => {
                Ok(Secret::new(text.chars().rev().collect::<String>()))
            }
            _ => Err(Error::new(ErrorKind::Credential, "it is another's")),
        }
    }
}

struct World {
    env: Arc<Still>,
    store: Arc<MemoryStore>,
    catalog: Catalog,
}

fn world() -> World {
    sealed_by(Unsealed)
}

fn sealed_by(sealer: impl Sealer) -> World {
    world_of(sealer, Everybody)
}

fn world_of(sealer: impl Sealer, directory: impl Directory) -> World {
    let env = Still::new();
    let store = Arc::new(MemoryStore::new(Arc::clone(&env) as Arc<dyn Env>));
    let catalog = Catalog::new(
        Arc::clone(&env) as Arc<dyn Env>,
        Arc::clone(&store) as Arc<dyn Store>,
        Arc::new(sealer),
        vec![Arc::new(Toy)],
        vec!["toy".to_owned()],
    )
    .with_directory(Arc::new(directory));
    World {
        env,
        store,
        catalog,
    }
}

fn op() -> Caller {
    Caller::operator("olga", "ops")
}

fn anna() -> Caller {
    Caller::user("anna", "acme")
}

fn site(name: &str) -> NewSite {
    serde_json::from_value(json!({"name": name, "api": "toy", "url": "http://127.0.0.1:5000/v3"}))
        .unwrap()
}

fn credential(name: &str, site: &str) -> NewCredential {
    let secret = json!({"password": CANARY});
    serde_json::from_value(json!({"name": name, "site": site, "secret": secret})).unwrap()
}

fn appliance(name: &str) -> NewAppliance {
    serde_json::from_value(json!({"name": name})).unwrap()
}

fn image(name: &str) -> NewImage {
    serde_json::from_value(json!({
        "name": name, "source": "file:/images/x", "sha256": "AB".repeat(32), "disk_format": "raw",
    }))
    .unwrap()
}

fn implementation(appliance: &str, target: &Target) -> NewImplementation {
    let mut new = json!({"appliance": appliance, "media_type": "text/toy", "body": "x"});
    match target {
        Target::Site(id) => new["site"] = json!(id),
        Target::Api(api) => new["site_type"] = json!(api),
    }
    serde_json::from_value(new).unwrap()
}

fn any_toy() -> Target {
    Target::Api("toy".to_owned())
}

impl World {
    async fn site(&self, name: &str) -> Site {
        self.catalog.add_site(&op(), site(name)).await.unwrap()
    }

    async fn credential(&self, who: &Caller, name: &str, site: &str) -> Credential {
        let new = credential(name, site);
        self.catalog.add_credential(who, new).await.unwrap()
    }

    async fn appliance(&self, name: &str) -> Appliance {
        let new = appliance(name);
        self.catalog.add_appliance(&op(), new).await.unwrap()
    }

    async fn image(&self, name: &str) -> Image {
        self.catalog.add_image(&op(), image(name)).await.unwrap()
    }

    async fn implementation(&self, appliance: &str, target: &Target) -> Implementation {
        let new = implementation(appliance, target);
        self.catalog.add_implementation(&op(), new).await.unwrap()
    }

    /// Tries to add an entry of each sort under a name.
    async fn add_each(&self, name: &str) -> Vec<Error> {
        let (catalog, op) = (&self.catalog, op());
        let mut scripted = implementation("hadoop", &any_toy());
        scripted.scripts = vec![Script {
            name: name.to_owned(),
            action: "user_data".to_owned(),
            code: String::new(),
        }];
        let tried = [
            catalog.add_site(&op, site(name)).await.err(),
            catalog
                .add_credential(&op, credential(name, "berlin"))
                .await
                .err(),
            catalog.add_appliance(&op, appliance(name)).await.err(),
            catalog.add_image(&op, image(name)).await.err(),
            catalog.add_implementation(&op, scripted).await.err(),
        ];
        tried.into_iter().flatten().collect()
    }

    async fn written(&self) -> u64 {
        self.store.newest().await.unwrap()
    }
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}
