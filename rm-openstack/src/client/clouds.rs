//! `clouds.yaml`: the file in which OpenStack's own tools keep their clouds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::auth::{Auth, Domain, Project, User};
use super::catalog::Interface;
use super::pem::{self, PemError};
use super::secret::Secret;
use super::session::{Clock, SessionConfig};
use crate::yaml;

const MAX_FILE: usize = 1024 * 1024;

/// Why a cloud cannot be taken from a file. Names the cloud and the field, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloudsError {
    /// The file is not there or cannot be read.
    #[error("{file}: {what}")]
    File {
        /// Name of the file, without its directory.
        file: String,
        /// What happened.
        what: String,
    },
    /// The file is not what it should be.
    #[error("{file}: not a list of clouds at line {line}, column {column}")]
    Syntax {
        /// Which file.
        file: &'static str,
        /// Line.
        line: u64,
        /// Column.
        column: u64,
    },
    /// There is no cloud of that name.
    #[error("no cloud {name:?}; there are: {}", .known.join(", "))]
    UnknownCloud {
        /// The name.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// A field that is needed is not there.
    #[error("cloud {cloud:?}: {field} is missing")]
    Missing {
        /// Which cloud.
        cloud: String,
        /// Which field.
        field: &'static str,
    },
    /// The file that a field names is not what it should be.
    #[error("cloud {cloud:?}: {field} {what}")]
    Certificates {
        /// Which cloud.
        cloud: String,
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        what: PemError,
    },
    /// A field has a value that this client cannot use.
    #[error("cloud {cloud:?}: {field} {what}")]
    Unusable {
        /// Which cloud.
        cloud: String,
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// A cloud of the file, ready to log in.
#[derive(Clone)]
pub struct CloudProfile {
    /// Its name in the file.
    pub name: String,
    /// Keystone's address.
    pub auth_url: String,
    /// Who logs in.
    pub auth: Auth,
    /// Region of its services.
    pub region: Option<String>,
    /// From which side its services are reached.
    pub interface: Interface,
    /// File with certificates to trust beside those of the machine.
    pub cacert: Option<PathBuf>,
    /// Whether its servers must prove who they are.
    pub verify: bool,
}

impl std::fmt::Debug for CloudProfile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CloudProfile")
            .field("name", &self.name)
            .field("auth", &self.auth)
            .field("region", &self.region)
            .field("interface", &self.interface)
            .field("cacert", &self.cacert)
            .field("verify", &self.verify)
            .finish_non_exhaustive()
    }
}

impl CloudProfile {
    /// The configuration of a session, reading the certificates if there are any.
    ///
    /// # Errors
    /// [`CloudsError::Certificates`] if they cannot be read or trusted.
    pub fn session_config(&self, now: Clock) -> Result<SessionConfig, CloudsError> {
        let mut config = SessionConfig::new(&*self.auth_url, self.auth.clone(), now);
        config.region.clone_from(&self.region);
        config.interface = self.interface;
        config.http.verify = self.verify;
        config.http.ca_pem = self.certificates()?;
        Ok(config)
    }

    /// The certificates to trust, in PEM.
    ///
    /// # Errors
    /// [`CloudsError::Certificates`] if they cannot be read or trusted.
    pub fn certificates(&self) -> Result<Option<Vec<u8>>, CloudsError> {
        let Some(path) = &self.cacert else {
            return Ok(None);
        };
        let home = std::env::home_dir();
        let path = match (path.strip_prefix("~"), home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => path.clone(),
        };
        let read = pem::read(&path).map_err(|what| CloudsError::Certificates {
            cloud: self.name.clone(),
            field: "cacert",
            what,
        });
        read.map(Some)
    }
}

/// The clouds of a file.
#[derive(Clone, Default)]
pub struct Clouds(BTreeMap<String, Fields>);

impl std::fmt::Debug for Clouds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Clouds").field(&self.0.keys()).finish()
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    clouds: Option<BTreeMap<String, Option<Fields>>>,
}

/// One cloud's fields; unknown ones are other tools' business.
#[derive(Clone, Default, Deserialize)]
struct Fields {
    auth: Option<AuthFields>,
    auth_type: Option<String>,
    region_name: Option<String>,
    interface: Option<String>,
    endpoint_type: Option<String>,
    cacert: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    verify: Option<bool>,
    insecure: Option<bool>,
}

#[derive(Clone, Default, Deserialize)]
struct AuthFields {
    auth_url: Option<String>,
    username: Option<String>,
    user_id: Option<String>,
    password: Option<Secret>,
    project_name: Option<String>,
    project_id: Option<String>,
    user_domain_name: Option<String>,
    user_domain_id: Option<String>,
    project_domain_name: Option<String>,
    project_domain_id: Option<String>,
    domain_name: Option<String>,
    domain_id: Option<String>,
    default_domain: Option<String>,
    application_credential_id: Option<String>,
    application_credential_name: Option<String>,
    application_credential_secret: Option<Secret>,
    token: Option<Secret>,
}

macro_rules! overlay {
    ($base:ident, $top:ident, $($field:ident),+ $(,)?) => {
        $(if $top.$field.is_some() { $base.$field = $top.$field; })+
    };
}

impl Fields {
    fn overlay(&mut self, mut top: Self) {
        let base = self;
        if let Some(top) = top.auth.take() {
            base.auth.get_or_insert_default().overlay(top);
        }
        overlay!(
            base,
            top,
            auth_type,
            region_name,
            interface,
            endpoint_type,
            cacert,
            cert,
            key,
            verify,
            insecure
        );
    }
}

impl AuthFields {
    fn overlay(&mut self, top: Self) {
        let base = self;
        overlay!(
            base,
            top,
            auth_url,
            username,
            user_id,
            password,
            project_name,
            project_id,
            user_domain_name,
            user_domain_id,
            project_domain_name,
            project_domain_id,
            domain_name,
            domain_id,
            default_domain,
            application_credential_id,
            application_credential_name,
            application_credential_secret,
            token
        );
    }

    fn user_domain(&self) -> Domain {
        domain(
            [&self.user_domain_id, &self.domain_id, &self.default_domain],
            [&self.user_domain_name, &self.domain_name],
        )
    }

    fn project_domain(&self) -> Domain {
        domain(
            [
                &self.project_domain_id,
                &self.domain_id,
                &self.default_domain,
            ],
            [&self.project_domain_name, &self.domain_name],
        )
    }

    fn user(&self) -> Option<User> {
        if let Some(id) = filled(&self.user_id) {
            return Some(User::Id(id));
        }
        Some(User::Name {
            name: filled(&self.username)?,
            domain: self.user_domain(),
        })
    }

    fn project(&self) -> Option<Project> {
        if let Some(id) = filled(&self.project_id) {
            return Some(Project::Id(id));
        }
        Some(Project::Name {
            name: filled(&self.project_name)?,
            domain: self.project_domain(),
        })
    }
}

/// What is said of the user or project itself counts before what is said of both.
fn domain(ids: [&Option<String>; 3], names: [&Option<String>; 2]) -> Domain {
    let [own_id, shared_id, default] = ids;
    let [own_name, shared_name] = names;
    filled(own_id)
        .map(Domain::Id)
        .or_else(|| filled(own_name).map(Domain::Name))
        .or_else(|| filled(shared_id).map(Domain::Id))
        .or_else(|| filled(shared_name).map(Domain::Name))
        .or_else(|| filled(default).map(Domain::Id))
        .unwrap_or_default()
}

fn filled(field: &Option<String>) -> Option<String> {
    field.clone().filter(|text| !text.is_empty())
}

impl Clouds {
    /// Reads `clouds.yaml`, and `secure.yaml` over it.
    ///
    /// # Errors
    /// [`CloudsError::Syntax`].
    pub fn parse(clouds: &str, secure: Option<&str>) -> Result<Self, CloudsError> {
        let mut all = read("clouds.yaml", clouds)?;
        if let Some(secure) = secure {
            for (name, fields) in read("secure.yaml", secure)? {
                all.entry(name).or_default().overlay(fields);
            }
        }
        Ok(Self(all))
    }

    /// Reads a file, and `secure.yaml` beside it if there is one.
    ///
    /// # Errors
    /// [`CloudsError::File`] and [`CloudsError::Syntax`].
    pub fn load(path: &Path) -> Result<Self, CloudsError> {
        let clouds = std::fs::read_to_string(path).map_err(|error| unread(path, &error))?;
        let beside = path.with_file_name("secure.yaml");
        let secure = match std::fs::read_to_string(&beside) {
            Ok(text) => Some(zeroize::Zeroizing::new(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(unread(&beside, &error)),
        };
        let clouds = zeroize::Zeroizing::new(clouds);
        Self::parse(&clouds, secure.as_ref().map(|text| text.as_str()))
    }

    /// The names of the clouds, in order.
    pub fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// One cloud.
    ///
    /// # Errors
    /// [`CloudsError`] that names the cloud and the field.
    pub fn cloud(&self, name: &str) -> Result<CloudProfile, CloudsError> {
        let fields = self.0.get(name).ok_or_else(|| CloudsError::UnknownCloud {
            name: name.to_owned(),
            known: self.0.keys().cloned().collect(),
        })?;
        let missing = |field| CloudsError::Missing {
            cloud: name.to_owned(),
            field,
        };
        let unusable = |field, what| CloudsError::Unusable {
            cloud: name.to_owned(),
            field,
            what,
        };
        for (field, given) in [("cert", &fields.cert), ("key", &fields.key)] {
            if given.is_some() {
                return Err(unusable(
                    field,
                    "is a part of a certificate to log in with, which is not supported; \
                     leave it out if the cloud takes other credentials, too",
                ));
            }
        }
        let auth = fields.auth.clone().unwrap_or_default();
        let (word, field) = match (filled(&fields.interface), filled(&fields.endpoint_type)) {
            (Some(word), _) => (word, "interface"),
            (None, Some(word)) => (word, "endpoint_type"),
            (None, None) => (Interface::Public.name().to_owned(), "interface"),
        };
        Ok(CloudProfile {
            name: name.to_owned(),
            auth_url: filled(&auth.auth_url).ok_or_else(|| missing("auth.auth_url"))?,
            auth: credentials(&auth, fields.auth_type.as_deref(), missing, unusable)?,
            region: filled(&fields.region_name),
            interface: Interface::parse(&word)
                .ok_or_else(|| unusable(field, "is not public, internal or admin"))?,
            cacert: fields.cacert.clone(),
            verify: fields.verify.unwrap_or(true) && !fields.insecure.unwrap_or(false),
        })
    }
}

fn credentials(
    auth: &AuthFields,
    kind: Option<&str>,
    missing: impl Fn(&'static str) -> CloudsError,
    unusable: impl Fn(&'static str, &'static str) -> CloudsError,
) -> Result<Auth, CloudsError> {
    let kind = kind.unwrap_or({
        if auth.application_credential_secret.is_some() {
            "v3applicationcredential"
        } else if auth.token.is_some() && auth.password.is_none() {
            "token"
        } else {
            "password"
        }
    });
    match kind {
        "password" | "v3password" => Ok(Auth::Password {
            user: auth.user().ok_or_else(|| missing("auth.username"))?,
            password: auth
                .password
                .clone()
                .ok_or_else(|| missing("auth.password"))?,
            project: auth.project().ok_or_else(|| missing("auth.project_name"))?,
        }),
        "v3applicationcredential" => {
            let secret = auth
                .application_credential_secret
                .clone()
                .ok_or_else(|| missing("auth.application_credential_secret"))?;
            if let Some(id) = filled(&auth.application_credential_id) {
                return Ok(Auth::ApplicationCredential { id, secret });
            }
            Ok(Auth::ApplicationCredentialName {
                name: filled(&auth.application_credential_name)
                    .ok_or_else(|| missing("auth.application_credential_id"))?,
                user: auth.user().ok_or_else(|| missing("auth.username"))?,
                secret,
            })
        }
        "token" | "v3token" => Ok(Auth::Token {
            token: auth.token.clone().ok_or_else(|| missing("auth.token"))?,
            project: auth.project(),
        }),
        _ => Err(unusable(
            "auth_type",
            "is not password, v3password, v3applicationcredential, token or v3token",
        )),
    }
}

fn read(file: &'static str, text: &str) -> Result<BTreeMap<String, Fields>, CloudsError> {
    if text.len() > MAX_FILE {
        return Err(CloudsError::File {
            file: file.to_owned(),
            what: "larger than any list of clouds".to_owned(),
        });
    }
    let parsed: Option<File> = yaml::read(text).map_err(|error| CloudsError::Syntax {
        file,
        line: error.line,
        column: error.column,
    })?;
    let clouds = parsed.and_then(|file| file.clouds).unwrap_or_default();
    Ok(clouds
        .into_iter()
        .map(|(name, fields)| (name, fields.unwrap_or_default()))
        .collect())
}

fn unread(path: &Path, error: &std::io::Error) -> CloudsError {
    CloudsError::File {
        file: path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
        what: error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests;
