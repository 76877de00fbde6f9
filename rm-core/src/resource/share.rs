//! Who else sees and uses a resource: an explicit grant of one who holds it.

use serde_json::json;

use super::Resource;
use super::holder::holder;
use crate::accounts;
use crate::caller::{Caller, known_user};
use crate::error::{Error, Result};
use crate::life::Verb;
use crate::model::Model;
use crate::name::check_name;
use crate::record::Grant;

impl<M: Model> Resource<M> {
    /// Lets another user see and use it.
    pub async fn grant(&self, who: &Caller, to: &str) -> Result<Self> {
        check_name("user", to)?;
        known_user(&*self.core.directory, to).await?;
        self.update(who, Verb::Renew, |core, r, batch| {
            holder(who, r)?;
            if !r.grants.iter().any(|g| g.user == to) {
                r.grants.push(Grant {
                    user: to.to_owned(),
                    by: who.user.clone(),
                    since: core.env.now(),
                });
                batch
                    .events
                    .push(core.event(r, "granted", json!({"by": who.user, "to": to})));
            }
            Ok(())
        })
        .await
    }

    /// Takes a grant back.
    pub async fn revoke(&self, who: &Caller, from: &str) -> Result<Self> {
        self.update(who, Verb::Renew, |core, r, batch| {
            holder(who, r)?;
            let before = r.grants.len();
            r.grants.retain(|g| g.user != from);
            if r.grants.len() == before {
                return Err(Error::not_found(format!("nothing was granted to {from:?}")));
            }
            accounts::forget(r, from, batch);
            batch
                .events
                .push(core.event(r, "revoked", json!({"by": who.user, "from": from})));
            Ok(())
        })
        .await
    }
}
