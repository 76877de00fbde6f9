//! Who logs in, and the request that does it.

use serde::Serialize;
use zeroize::Zeroizing;

use super::secret::Secret;

/// A Keystone domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Domain {
    /// By id.
    Id(String),
    /// By name.
    Name(String),
}

impl Default for Domain {
    fn default() -> Self {
        Self::Id("default".to_owned())
    }
}

/// A Keystone user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum User {
    /// By id, which needs no domain.
    Id(String),
    /// By name within a domain.
    Name {
        /// User name.
        name: String,
        /// Domain of the user.
        domain: Domain,
    },
}

/// A Keystone project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Project {
    /// By id, which needs no domain.
    Id(String),
    /// By name within a domain.
    Name {
        /// Project name.
        name: String,
        /// Domain of the project.
        domain: Domain,
    },
}

/// What a session logs in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// User and password, for one project.
    Password {
        /// Who.
        user: User,
        /// The password.
        password: Secret,
        /// Where.
        project: Project,
    },
    /// An application credential by its id. It is bound to its project and takes no other.
    ApplicationCredential {
        /// Id of the credential.
        id: String,
        /// Its secret.
        secret: Secret,
    },
    /// An application credential by its name, which is unique per user.
    ApplicationCredentialName {
        /// Name of the credential.
        name: String,
        /// Whose it is.
        user: User,
        /// Its secret.
        secret: Secret,
    },
    /// A token that somebody else got. It cannot outlive that token.
    Token {
        /// The token.
        token: Secret,
        /// Where; `None` keeps the token's own project.
        project: Option<Project>,
    },
}

impl Auth {
    /// Whether the login is delegated, so that Keystone lets it make no trust.
    pub fn is_application_credential(&self) -> bool {
        matches!(
            self,
            Self::ApplicationCredential { .. } | Self::ApplicationCredentialName { .. }
        )
    }

    /// Whether logging in again gives a longer life than before.
    pub(crate) fn can_renew(&self) -> bool {
        !matches!(self, Self::Token { .. })
    }

    pub(crate) fn secret(&self) -> &str {
        match self {
            Self::Password { password, .. } => password.expose(),
            Self::ApplicationCredential { secret, .. }
            | Self::ApplicationCredentialName { secret, .. } => secret.expose(),
            Self::Token { token, .. } => token.expose(),
        }
    }

    /// The body of the login request, wiped after use.
    pub(crate) fn request(&self) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        // Room for the whole, so that no partial copies are left behind by growing.
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        serde_json::to_writer(&mut *bytes, &Login { auth: self.body() })?;
        Ok(bytes)
    }

    fn body(&self) -> Body<'_> {
        let mut identity = Identity::default();
        let mut scope = None;
        match self {
            Self::Password {
                user,
                password,
                project,
            } => {
                identity.methods = ["password"];
                let mut user = UserRef::from(user);
                user.password = Some(password.expose());
                identity.password = Some(ByPassword { user });
                scope = Some(Scope::from(project));
            }
            Self::ApplicationCredential { id, secret } => {
                identity.methods = ["application_credential"];
                identity.application_credential = Some(ByCredential {
                    id: Some(id),
                    name: None,
                    user: None,
                    secret: secret.expose(),
                });
            }
            Self::ApplicationCredentialName { name, user, secret } => {
                identity.methods = ["application_credential"];
                identity.application_credential = Some(ByCredential {
                    id: None,
                    name: Some(name),
                    user: Some(UserRef::from(user)),
                    secret: secret.expose(),
                });
            }
            Self::Token { token, project } => {
                identity.methods = ["token"];
                identity.token = Some(ByToken { id: token.expose() });
                scope = project.as_ref().map(Scope::from);
            }
        }
        Body { identity, scope }
    }
}

#[derive(Serialize)]
struct Login<'a> {
    auth: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    identity: Identity<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<Scope<'a>>,
}

#[derive(Serialize, Default)]
struct Identity<'a> {
    methods: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<ByPassword<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_credential: Option<ByCredential<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<ByToken<'a>>,
}

#[derive(Serialize)]
struct ByPassword<'a> {
    user: UserRef<'a>,
}

#[derive(Serialize)]
struct ByCredential<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserRef<'a>>,
    secret: &'a str,
}

#[derive(Serialize)]
struct ByToken<'a> {
    id: &'a str,
}

#[derive(Serialize, Default)]
struct UserRef<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<DomainRef<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
}

impl<'a> From<&'a User> for UserRef<'a> {
    fn from(user: &'a User) -> Self {
        match user {
            User::Id(id) => Self {
                id: Some(id),
                ..Self::default()
            },
            User::Name { name, domain } => Self {
                name: Some(name),
                domain: Some(domain.into()),
                ..Self::default()
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum DomainRef<'a> {
    Id(&'a str),
    Name(&'a str),
}

impl<'a> From<&'a Domain> for DomainRef<'a> {
    fn from(domain: &'a Domain) -> Self {
        match domain {
            Domain::Id(id) => Self::Id(id),
            Domain::Name(name) => Self::Name(name),
        }
    }
}

#[derive(Serialize)]
struct Scope<'a> {
    project: ProjectRef<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ProjectRef<'a> {
    Id {
        id: &'a str,
    },
    Name {
        name: &'a str,
        domain: DomainRef<'a>,
    },
}

impl<'a> From<&'a Project> for Scope<'a> {
    fn from(project: &'a Project) -> Self {
        let project = match project {
            Project::Id(id) => ProjectRef::Id { id },
            Project::Name { name, domain } => ProjectRef::Name {
                name,
                domain: domain.into(),
            },
        };
        Self { project }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn sent(auth: &Auth) -> Value {
        serde_json::from_slice(&auth.request().unwrap()).unwrap()
    }

    #[test]
    fn password_login() {
        let auth = Auth::Password {
            user: User::Name {
                name: "demo".into(),
                domain: Domain::default(),
            },
            password: "swordfish".into(),
            project: Project::Name {
                name: "demo".into(),
                domain: Domain::Name("Default".into()),
            },
        };
        assert_eq!(
            sent(&auth),
            json!({"auth": {
                "identity": {"methods": ["password"], "password": {"user":
                    {"name": "demo", "domain": {"id": "default"}, "password": "swordfish"}}},
                "scope": {"project": {"name": "demo", "domain": {"name": "Default"}}}}})
        );
        assert!(!format!("{auth:?}").contains("swordfish"));
    }

    #[test]
    fn application_credentials_name_no_scope() {
        let by_id = Auth::ApplicationCredential {
            id: "x".into(),
            secret: "s".into(),
        };
        assert_eq!(
            sent(&by_id),
            json!({"auth": {"identity": {"methods": ["application_credential"],
                "application_credential": {"id": "x", "secret": "s"}}}})
        );
        let by_name = Auth::ApplicationCredentialName {
            name: "n".into(),
            user: User::Id("u".into()),
            secret: "s".into(),
        };
        assert_eq!(
            sent(&by_name),
            json!({"auth": {"identity": {"methods": ["application_credential"],
                "application_credential": {"name": "n", "user": {"id": "u"}, "secret": "s"}}}})
        );
    }

    #[test]
    fn token_login() {
        let auth = Auth::Token {
            token: "t".into(),
            project: Some(Project::Id("p".into())),
        };
        assert_eq!(
            sent(&auth),
            json!({"auth": {"identity": {"methods": ["token"], "token": {"id": "t"}},
                "scope": {"project": {"id": "p"}}}})
        );
    }
}
