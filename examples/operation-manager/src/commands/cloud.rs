//! A cloud's login, and whom it trusts, in the shape in which the OpenStack
//! plugin reads them back from a credential.

use rm_openstack::client::auth::{Auth, Domain, Project, User};
use rm_openstack::client::clouds::{CloudProfile, CloudsError};
use serde_json::{Map, Value};

/// The secret of a credential. The daemon may run elsewhere: it gets the
/// certificates themselves.
pub(super) fn secret(cloud: &CloudProfile) -> Result<Value, CloudsError> {
    let mut secret = login(&cloud.auth);
    if let Some(certificates) = cloud.certificates()? {
        let text = String::from_utf8_lossy(&certificates);
        secret.insert("cacert".to_owned(), Value::from(text));
    }
    if !cloud.verify {
        secret.insert("verify".to_owned(), Value::from(false));
    }
    Ok(Value::Object(secret))
}

fn login(auth: &Auth) -> Map<String, Value> {
    let mut secret = Map::new();
    let mut put = |key: &str, value: &str| {
        secret.insert(key.to_owned(), Value::from(value));
    };
    match auth {
        Auth::Password {
            user: who,
            password,
            project: what,
        } => {
            put("password", password.expose());
            user(who, &mut put);
            project(what, &mut put);
        }
        Auth::ApplicationCredential { id, secret } => {
            put("application_credential_id", id);
            put("application_credential_secret", secret.expose());
        }
        Auth::ApplicationCredentialName {
            name,
            user: who,
            secret,
        } => {
            put("application_credential_name", name);
            put("application_credential_secret", secret.expose());
            user(who, &mut put);
        }
        Auth::Token {
            token,
            project: what,
        } => {
            put("token", token.expose());
            if let Some(what) = what {
                project(what, &mut put);
            }
        }
    }
    secret
}

fn user(user: &User, put: &mut impl FnMut(&str, &str)) {
    match user {
        User::Id(id) => put("user_id", id),
        User::Name { name, domain } => {
            put("username", name);
            match domain {
                Domain::Id(id) => put("user_domain_id", id),
                Domain::Name(name) => put("user_domain_name", name),
            }
        }
    }
}

fn project(project: &Project, put: &mut impl FnMut(&str, &str)) {
    match project {
        Project::Id(id) => put("project_id", id),
        Project::Name { name, domain } => {
            put("project_name", name);
            match domain {
                Domain::Id(id) => put("project_domain_id", id),
                Domain::Name(name) => put("project_domain_name", name),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rm_openstack::client::clouds::Clouds;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_file_says_arrives_in_the_credential() {
        let text = "clouds:
  pw:
    auth: {auth_url: 'http://127.0.0.1:5000/v3', username: u, password: p, project_name: x, user_domain_name: D}
  app:
    verify: false
    auth: {auth_url: 'http://127.0.0.1:5000/v3', application_credential_id: i, application_credential_secret: s}
";
        let clouds = Clouds::parse(text, None).unwrap();
        assert_eq!(
            secret(&clouds.cloud("pw").unwrap()).unwrap(),
            json!({
                "username": "u", "password": "p", "user_domain_name": "D",
                "project_name": "x", "project_domain_id": "default",
            })
        );
        assert_eq!(
            secret(&clouds.cloud("app").unwrap()).unwrap(),
            json!({"application_credential_id": "i", "application_credential_secret": "s", "verify": false})
        );
    }
}
