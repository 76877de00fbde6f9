//! The secret of a credential: what a user gives to log in at Keystone, and
//! whose servers are believed to be Keystone's.

use serde::Deserialize;

use crate::client::{Auth, Domain, HttpConfig, Project, Secret, User, pem};

/// The shape of a credential's secret, as users give it and the store seals it.
///
/// One of: `username`/`user_id` with `password` and
/// `project_name`/`project_id`; an application credential by
/// `application_credential_id`, or by `application_credential_name` with the
/// user, and `application_credential_secret`; a `token`. With each of them,
/// `cacert` (certificates in PEM, the text itself) and `verify` as in a
/// `clouds.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    username: Option<String>,
    user_id: Option<String>,
    password: Option<String>,
    user_domain_name: Option<String>,
    user_domain_id: Option<String>,
    project_name: Option<String>,
    project_id: Option<String>,
    project_domain_name: Option<String>,
    project_domain_id: Option<String>,
    application_credential_id: Option<String>,
    application_credential_name: Option<String>,
    application_credential_secret: Option<String>,
    token: Option<String>,
    cacert: Option<String>,
    verify: Option<bool>,
}

/// What a credential's secret says.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) auth: Auth,
    pub(crate) trust: Trust,
}

/// Whose word its owner takes for the site's, beside those of the machine and
/// of the configuration.
#[derive(Debug)]
pub(crate) struct Trust {
    cacert: Option<Vec<u8>>,
    verify: bool,
}

impl Trust {
    /// Laid over what the configuration says.
    pub(crate) fn over(self, configured: &HttpConfig) -> HttpConfig {
        let mut http = configured.clone();
        http.verify &= self.verify;
        if let Some(more) = self.cacert {
            let all = http.ca_pem.get_or_insert_default();
            all.push(b'\n');
            all.extend(more);
        }
        http
    }
}

/// Reads a credential's secret. The message of a refusal holds no value.
pub(crate) fn read(secret: &rm_core::secret::Secret) -> rm_core::Result<Login> {
    let mut given: Given = serde_json::from_str(secret.expose()).map_err(|_| {
        rm_core::Error::new(
            rm_core::ErrorKind::Credential,
            "the stored credential is not one for OpenStack",
        )
        .advice(SHAPES)
    })?;
    let cacert = given.cacert.take().map(String::into_bytes);
    if let Some(text) = &cacert {
        pem::certificates(text).map_err(|e| {
            rm_core::Error::new(
                rm_core::ErrorKind::Credential,
                format!("cacert of the stored credential {e}"),
            )
            .advice("give the certificate of the site's own authority, the text itself")
        })?;
    }
    Ok(Login {
        trust: Trust {
            cacert,
            verify: given.verify.unwrap_or(true),
        },
        auth: auth(given)?,
    })
}

fn auth(given: Given) -> rm_core::Result<Auth> {
    let domain = |id: Option<String>, name: Option<String>| match (id, name) {
        (Some(id), _) => Domain::Id(id),
        (None, Some(name)) => Domain::Name(name),
        (None, None) => Domain::default(),
    };
    let user = match (given.user_id, given.username) {
        (Some(id), _) => Some(User::Id(id)),
        (None, Some(name)) => Some(User::Name {
            name,
            domain: domain(given.user_domain_id, given.user_domain_name),
        }),
        (None, None) => None,
    };
    let project = match (given.project_id, given.project_name) {
        (Some(id), _) => Some(Project::Id(id)),
        (None, Some(name)) => Some(Project::Name {
            name,
            domain: domain(given.project_domain_id, given.project_domain_name),
        }),
        (None, None) => None,
    };
    let application = given.application_credential_secret.map(Secret::new);
    match (application, given.token, user, given.password) {
        (Some(secret), None, user, None) => {
            match (
                given.application_credential_id,
                given.application_credential_name,
                user,
            ) {
                (Some(id), ..) => Ok(Auth::ApplicationCredential { id, secret }),
                (None, Some(name), Some(user)) => {
                    Ok(Auth::ApplicationCredentialName { name, user, secret })
                }
                _ => Err(incomplete(
                    "the id of the application credential, or its name and user",
                )),
            }
        }
        (None, Some(token), ..) => Ok(Auth::Token {
            token: Secret::new(token),
            project,
        }),
        (None, None, Some(user), Some(password)) => Ok(Auth::Password {
            user,
            password: Secret::new(password),
            project: project.ok_or_else(|| incomplete("project_name or project_id"))?,
        }),
        (None, None, None, Some(_)) => Err(incomplete("username or user_id")),
        _ => Err(incomplete(
            "a password, an application credential's secret, or a token",
        )),
    }
}

const SHAPES: &str = "give username, password and project_name (and domains), \
     or application_credential_id and application_credential_secret, or a token";

fn incomplete(what: &str) -> rm_core::Error {
    rm_core::Error::new(
        rm_core::ErrorKind::Credential,
        format!("the stored credential lacks {what}"),
    )
    .advice(SHAPES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> rm_core::Result<Auth> {
        let login = super::read(&rm_core::secret::Secret::new(text))?;
        Ok(login.auth)
    }

    #[test]
    fn the_three_ways_to_log_in_are_told_apart() {
        let password = r#"{"username": "u", "password": "p", "project_name": "x"}"#;
        assert!(matches!(read(password), Ok(Auth::Password { .. })));
        let application =
            r#"{"application_credential_id": "i", "application_credential_secret": "s"}"#;
        assert!(matches!(
            read(application),
            Ok(Auth::ApplicationCredential { .. })
        ));
        assert!(matches!(read(r#"{"token": "t"}"#), Ok(Auth::Token { .. })));
    }

    #[test]
    fn a_refusal_says_what_lacks_and_holds_no_value() {
        for text in [
            r#"{"username": "canary", "password": "canary"}"#,
            r#"{"password": "canary"}"#,
            r#"{"passwort": "canary"}"#,
            r#"{"token": "canary", "cacert": "canary"}"#,
            "canary",
        ] {
            let e = read(text).unwrap_err();
            assert!(!format!("{e} {e:?}").contains("canary"), "{e:?}");
            assert!(e.next().is_some());
        }
    }
}
