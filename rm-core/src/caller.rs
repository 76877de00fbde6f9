//! Who is asking, and for whom.

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// Who owns: a project or a user, by the host's policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tenant(pub String);

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// Loads the catalog, sees every resource, leads things out of quarantine.
    Operator,
    /// Owns resources.
    User,
}

/// Who is asking now, for a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The person or program, unique in the installation.
    pub user: String,
    /// For whom.
    pub tenant: Tenant,
    /// What the caller may do.
    pub roles: BTreeSet<Role>,
}

impl Caller {
    /// A user who owns resources of the tenant.
    pub fn user(user: impl Into<String>, tenant: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            tenant: Tenant(tenant.into()),
            roles: BTreeSet::from([Role::User]),
        }
    }

    /// Somebody who loads the catalog and owns resources too.
    pub fn operator(user: impl Into<String>, tenant: impl Into<String>) -> Self {
        let mut caller = Self::user(user, tenant);
        caller.roles.insert(Role::Operator);
        caller
    }

    /// Whether the caller has the role.
    pub fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Refuses a caller without the role.
    pub fn need(&self, role: Role) -> Result<()> {
        if self.is(role) {
            return Ok(());
        }
        let (name, what) = match role {
            Role::Operator => ("operator", "load or change the catalog"),
            Role::User => ("user", "own resources"),
        };
        Err(Error::new(
            ErrorKind::Forbidden,
            format!("{} may not {what}", self.user),
        )
        .advice(format!("ask for a token with the role \"{name}\"")))
    }
}

/// Who there is. Doors know it, because they let people in; core asks before
/// it writes down that something is somebody's.
#[async_trait]
pub trait Directory: fmt::Debug + Send + Sync + 'static {
    /// Whether there is such a user.
    async fn has_user(&self, user: &str) -> Result<bool>;
    /// Whether there is such a tenant.
    async fn has_tenant(&self, tenant: &Tenant) -> Result<bool>;
}

/// Has everybody, for hosts whose doors cannot tell.
#[derive(Debug, Default, Clone, Copy)]
pub struct Everybody;

#[async_trait]
impl Directory for Everybody {
    async fn has_user(&self, _user: &str) -> Result<bool> {
        Ok(true)
    }

    async fn has_tenant(&self, _tenant: &Tenant) -> Result<bool> {
        Ok(true)
    }
}

pub(crate) async fn known_user(directory: &dyn Directory, user: &str) -> Result<()> {
    if directory.has_user(user).await? {
        return Ok(());
    }
    Err(Error::invalid(format!("there is no user {user:?}"))
        .code("unknown-user")
        .advice("look how the name is written; who there is is decided by the operator"))
}

pub(crate) async fn known_tenant(directory: &dyn Directory, tenant: &Tenant) -> Result<()> {
    if directory.has_tenant(tenant).await? {
        return Ok(());
    }
    Err(Error::invalid(format!("there is no tenant {:?}", tenant.0))
        .code("unknown-tenant")
        .advice("look how the name is written; who there is is decided by the operator"))
}
