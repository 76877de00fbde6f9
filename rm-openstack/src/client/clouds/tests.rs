use super::*;

const CLOUDS: &str = "
clouds:
  plain:
    region_name: RegionOne
    interface: internal
    identity_api_version: 3
    auth:
      auth_url: http://k:5000/v3
      username: demo
      password: 0755
      project_name: demo
      user_domain_name: Default
      project_domain_id: default
  delegated:
    auth_type: v3applicationcredential
    endpoint_type: publicURL
    auth: {auth_url: 'http://k', application_credential_id: abc}
  token: {auth: {auth_url: 'http://k', token: gAAAA, project_id: p}}
  half: {auth: {auth_url: 'http://k', username: u, password: swordfish}}
  odd: {auth_type: v3kerberos, auth: {auth_url: 'http://k', password: swordfish}}
  empty:
  own: {cacert: /nowhere/ca.pem, verify: false, auth: {auth_url: 'https://k', token: gAAAA}}
  old: {insecure: true, auth: {auth_url: 'https://k', token: gAAAA}}
  mutual: {cert: /nowhere/me.pem, key: /nowhere/me.key, auth: {auth_url: 'https://k', token: gAAAA}}
";

const SECURE: &str = "clouds: {delegated: {auth: {application_credential_secret: swordfish}}}";

fn clouds() -> Clouds {
    Clouds::parse(CLOUDS, Some(SECURE)).unwrap()
}

#[test]
fn passwords_that_look_like_numbers_stay_text() {
    let plain = clouds().cloud("plain").unwrap();
    assert_eq!(plain.interface, Interface::Internal);
    assert_eq!(plain.region.as_deref(), Some("RegionOne"));
    assert!(plain.verify);
    assert_eq!(
        plain.auth,
        Auth::Password {
            user: User::Name {
                name: "demo".into(),
                domain: Domain::Name("Default".into())
            },
            password: "0755".into(),
            project: Project::Name {
                name: "demo".into(),
                domain: Domain::Id("default".into())
            },
        }
    );
}

#[test]
fn secure_yaml_is_laid_over() {
    let delegated = clouds().cloud("delegated").unwrap();
    assert_eq!(
        delegated.auth,
        Auth::ApplicationCredential {
            id: "abc".into(),
            secret: "swordfish".into()
        }
    );
    assert!(!format!("{delegated:?}{:?}", clouds()).contains("swordfish"));
    let without = Clouds::parse(CLOUDS, None).unwrap().cloud("delegated");
    assert_eq!(
        without.unwrap_err().to_string(),
        "cloud \"delegated\": auth.application_credential_secret is missing"
    );
}

#[test]
fn a_token_is_taken_without_being_announced() {
    let token = clouds().cloud("token").unwrap();
    assert!(matches!(
        token.auth,
        Auth::Token {
            project: Some(Project::Id(_)),
            ..
        }
    ));
}

#[test]
fn whom_to_trust_is_what_the_file_says() {
    let own = clouds().cloud("own").unwrap();
    assert!(!own.verify && !clouds().cloud("old").unwrap().verify);
    assert_eq!(
        own.certificates().unwrap_err().to_string(),
        "cloud \"own\": cacert cannot be read: entity not found"
    );
    assert_eq!(clouds().cloud("plain").unwrap().certificates(), Ok(None));
}

#[test]
fn errors_name_cloud_and_field_and_no_value() {
    let text = |name: &str| clouds().cloud(name).unwrap_err().to_string();
    assert_eq!(text("half"), "cloud \"half\": auth.project_name is missing");
    assert!(text("odd").starts_with("cloud \"odd\": auth_type is not"));
    assert_eq!(text("empty"), "cloud \"empty\": auth.auth_url is missing");
    assert!(text("nope").contains("delegated, empty, half"));
    assert!(text("mutual").starts_with("cloud \"mutual\": cert is a part"));
    for bad in [
        "clouds: [swordfish",
        "clouds: {a: {auth: swordfish}}",
        "clouds: {a: {auth: {password: [swordfish]}}}",
        "swordfish",
    ] {
        let error = Clouds::parse(bad, None).unwrap_err();
        assert!(
            matches!(error, CloudsError::Syntax { line: 1, .. }),
            "{bad}"
        );
        assert!(!format!("{error} {error:?}").contains("swordfish"), "{bad}");
    }
    assert!(Clouds::parse("", None).unwrap().names().is_empty());
    let error = Clouds::load(Path::new("/nowhere/clouds.yaml")).unwrap_err();
    assert_eq!(error.to_string(), "clouds.yaml: entity not found");
}
