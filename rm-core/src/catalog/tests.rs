use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Appliance, Catalog, Credential, Image, Implementation, NAME_MAX, NewAppliance, NewCredential,
    NewImage, NewImplementation, NewSite, Script, Site, Target,
};
use crate::caller::{Caller, Tenant};
use crate::env::Env;
use crate::error::Result;
use crate::id::CatalogId;
use crate::model::Json;
use crate::registry::Media;
use crate::secret::{Sealer, Secret, Unsealed};
use crate::store::{Batch, Due, MemoryStore, Store};
use crate::testing::{Still, record};
use crate::{Error, ErrorKind};

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
    let env = Still::new();
    let store = Arc::new(MemoryStore::new(Arc::clone(&env) as Arc<dyn Env>));
    let catalog = Catalog::new(
        Arc::clone(&env) as Arc<dyn Env>,
        Arc::clone(&store) as Arc<dyn Store>,
        Arc::new(sealer),
        vec![Arc::new(Toy)],
        vec!["toy".to_owned()],
    );
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

// -- names -----------------------------------------------------------------------

#[tokio::test]
async fn names_that_could_not_be_told_apart_or_printed_are_refused() {
    let w = world();
    w.site("berlin").await;
    w.appliance("hadoop").await;
    let before = w.written().await;
    let too_long = "x".repeat(NAME_MAX + 1);
    for (name, fault) in [
        ("", "is empty"),
        (too_long.as_str(), "is too long"),
        ("a\nb", "control characters"),
        ("a\u{1b}[31m", "control characters"),
        ("a\0", "control characters"),
        (" a", "blank"),
        ("a\u{a0}", "blank"),
        ("a/b", "\"/\""),
    ] {
        let refused = w.add_each(name).await;
        assert_eq!(refused.len(), 5, "{name:?}");
        for e in refused {
            assert_eq!(e.kind(), ErrorKind::Invalid, "{e}");
            assert!(e.what().contains(fault), "{e}");
            assert!(!e.to_string().contains(char::is_control), "{e:?}");
        }
    }
    assert_eq!(w.written().await, before);
}

#[tokio::test]
async fn a_name_is_measured_in_characters() {
    let w = world();
    w.site("berlin").await;
    w.appliance("hadoop").await;
    assert_eq!(w.add_each(&"ß".repeat(NAME_MAX)).await.len(), 0);
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let w = world();
    w.site("berlin").await;
    w.appliance("hadoop").await;
    assert_eq!(w.add_each("twice").await.len(), 0);
    let before = w.written().await;
    // An implementation has revisions, not a name.
    let refused = w.add_each("twice").await;
    assert_eq!(refused.len(), 4);
    for e in refused {
        assert_eq!(e.kind(), ErrorKind::Exists);
        assert!(e.what().contains("\"twice\" already"), "{e}");
    }
    assert_eq!(w.written().await, before + 1);
    // What is removed gives its name free.
    w.catalog.remove_appliance(&op(), "twice").await.unwrap();
    w.appliance("twice").await;
}

#[tokio::test]
async fn a_name_that_looks_like_an_id_is_still_a_name() {
    let w = world();
    let name = "0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21";
    let made = w.site(name).await;
    assert_eq!(w.catalog.site(name).await.unwrap().id, made.id);
    let by_id = w.catalog.site(&made.id.to_string()).await.unwrap();
    assert_eq!(by_id, made);
}

// -- what is not there -------------------------------------------------------------

#[tokio::test]
async fn an_unknown_name_lists_the_known_ones() {
    let w = world();
    let e = w.catalog.site("berlin").await.unwrap_err();
    assert_eq!(e.next(), Some("there is no site at all yet"));
    for name in ["paris", "berlin"] {
        w.site(name).await;
    }
    let e = w.catalog.site("berln").await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert_eq!(e.what(), "there is no site \"berln\"");
    assert_eq!(e.next(), Some("there are: berlin, paris"));
    for n in 0..20 {
        w.site(&format!("site-{n}")).await;
    }
    let e = w.catalog.site("berln").await.unwrap_err();
    assert!(e.next().is_some_and(|a| a.ends_with(", ...")), "{e}");
}

#[tokio::test]
async fn what_a_request_names_wrongly_is_the_fault_of_the_request() {
    let w = world();
    w.site("berlin").await;
    w.appliance("hadoop").await;
    let (catalog, op) = (&w.catalog, op());
    let mut with_image = appliance("x");
    with_image.images = vec!["debian".to_owned()];
    let mut nowhere = implementation("hadoop", &any_toy());
    nowhere.site_type = None;
    let mut twice = implementation("hadoop", &any_toy());
    twice.site = Some("berlin".to_owned());
    let mut unread = implementation("hadoop", &any_toy());
    unread.media_type = "text/other".to_owned();
    let mut broken = implementation("hadoop", &any_toy());
    broken.body = "broken".to_owned();
    let before = w.written().await;
    let mut refused = vec![
        catalog
            .add_credential(&op, credential("x", "bern"))
            .await
            .err(),
        catalog.add_appliance(&op, with_image).await.err(),
        catalog
            .add_implementation(&op, implementation("spark", &any_toy()))
            .await
            .err(),
        catalog
            .add_implementation(
                &op,
                implementation("hadoop", &Target::Api("ec2".to_owned())),
            )
            .await
            .err(),
    ];
    for new in [nowhere, twice, unread, broken] {
        refused.push(catalog.add_implementation(&op, new).await.err());
    }
    for e in refused {
        assert_eq!(e.unwrap().kind(), ErrorKind::Invalid);
    }
    assert_eq!(w.written().await, before);
}

#[tokio::test]
async fn an_address_has_no_password_in_it() {
    let w = world();
    for url in [
        "",
        "http://",
        "ftp://x",
        "berlin",
        "http://user:secret@host/",
        "http://a b/",
        "http://a\n/",
    ] {
        let mut new = site("x");
        new.url = url.to_owned();
        let e = w.catalog.add_site(&op(), new).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid, "{url}");
        assert!(!e.to_string().contains("secret"));
    }
    let mut unserved = site("x");
    unserved.api = "ec2".to_owned();
    let e = w.catalog.add_site(&op(), unserved).await.unwrap_err();
    assert_eq!(e.next(), Some("the types are: toy"));
}

#[tokio::test]
async fn an_image_has_a_checksum_and_a_source() {
    let w = world();
    assert_eq!(w.image("debian").await.sha256, "ab".repeat(32));
    let mut short = image("x");
    short.sha256.pop();
    let mut odd = image("x");
    odd.sha256 = "xy".repeat(32);
    let mut nowhere = image("x");
    nowhere.source = "/etc/passwd".to_owned();
    for new in [short, odd, nowhere] {
        assert_eq!(
            kind(w.catalog.add_image(&op(), new).await),
            ErrorKind::Invalid
        );
    }
}

// -- what is in use ----------------------------------------------------------------

fn in_use<T: std::fmt::Debug>(result: Result<T>) {
    let e = result.unwrap_err();
    assert_eq!(
        (e.kind(), e.stable_code()),
        (ErrorKind::Conflict, "in-use"),
        "{e}"
    );
}

#[tokio::test]
async fn what_is_used_stays_until_its_users_are_gone() {
    let w = world();
    let (catalog, op) = (&w.catalog, op());
    let berlin = w.site("berlin").await;
    let hadoop = w.appliance("hadoop").await;
    let made = w.implementation("hadoop", &Target::Site(berlin.id)).await;
    w.credential(&op, "mine", "berlin").await;
    in_use(catalog.remove_appliance(&op, "hadoop").await);
    in_use(catalog.remove_site(&op, "berlin").await);
    catalog.remove_implementation(&op, made.id).await.unwrap();
    catalog
        .remove_appliance(&op, &hadoop.id.to_string())
        .await
        .unwrap();
    in_use(catalog.remove_site(&op, "berlin").await);
    catalog.remove_credential(&op, "mine").await.unwrap();
    catalog.remove_site(&op, "berlin").await.unwrap();
    assert_eq!(kind(catalog.site("berlin").await), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_image_is_used_however_the_appliance_calls_it() {
    let w = world();
    let debian = w.image("debian").await;
    for call in ["debian".to_owned(), debian.id.to_string()] {
        let mut new = appliance("hadoop");
        new.images = vec![call];
        let made = w.catalog.add_appliance(&op(), new).await.unwrap();
        assert_eq!(made.images, ["debian"]);
        in_use(w.catalog.remove_image(&op(), "debian").await);
        w.catalog.remove_appliance(&op(), "hadoop").await.unwrap();
    }
    w.catalog.remove_image(&op(), "debian").await.unwrap();
}

#[tokio::test]
async fn what_resources_were_made_by_stays() {
    let w = world();
    let berlin = w.site("berlin").await;
    let mine = w.credential(&anna(), "mine", "berlin").await;
    w.appliance("hadoop").await;
    let made = w.implementation("hadoop", &any_toy()).await;
    let other = w.implementation("hadoop", &any_toy()).await;
    let mut row = record(&w.env, "acme", &["anna"]);
    row.place.site = berlin.id;
    row.place.credential = mine.id;
    row.place.spec = Json::of(&json!({"implementation": made.id})).unwrap();
    let mut batch = Batch::default();
    batch.resources.push((Arc::new(row), Due::Rest));
    w.store.commit(batch).await.unwrap();
    in_use(w.catalog.remove_credential(&anna(), "mine").await);
    in_use(w.catalog.remove_implementation(&op(), made.id).await);
    w.catalog
        .remove_implementation(&op(), other.id)
        .await
        .unwrap();
}

// -- implementations -----------------------------------------------------------------

#[tokio::test]
async fn revisions_count_for_an_appliance_and_a_target() {
    let w = world();
    let berlin = Target::Site(w.site("berlin").await.id);
    w.appliance("hadoop").await;
    w.appliance("spark").await;
    let mut revisions = Vec::new();
    for (name, target) in [
        ("hadoop", &berlin),
        ("hadoop", &berlin),
        ("hadoop", &any_toy()),
        ("spark", &berlin),
        ("hadoop", &berlin),
    ] {
        revisions.push(w.implementation(name, target).await.revision);
    }
    assert_eq!(revisions, [1, 2, 1, 1, 3]);
}

#[tokio::test]
async fn only_whether_it_is_enabled_changes() {
    let w = world();
    let hadoop = w.appliance("hadoop").await;
    let made = w.implementation("hadoop", &any_toy()).await;
    assert!(made.enabled);
    let off = w
        .catalog
        .enable_implementation(&op(), made.id, false)
        .await
        .unwrap();
    let expected = Implementation {
        enabled: false,
        ..made
    };
    assert_eq!(off, expected);
    assert_eq!(
        w.catalog.implementation_now(off.id).await.unwrap(),
        expected
    );
    let all = w.catalog.implementations_of(hadoop.id).await.unwrap();
    assert_eq!(all, [expected]);
}

// -- who may ---------------------------------------------------------------------------

#[tokio::test]
async fn only_an_operator_loads_the_catalog() {
    let w = world();
    let berlin = w.site("berlin").await;
    w.appliance("hadoop").await;
    w.image("debian").await;
    let made = w.implementation("hadoop", &any_toy()).await;
    let (catalog, anna) = (&w.catalog, anna());
    let before = w.written().await;
    let new = implementation("hadoop", &Target::Site(berlin.id));
    for refused in [
        catalog.add_site(&anna, site("x")).await.err(),
        catalog.remove_site(&anna, "berlin").await.err(),
        catalog.add_appliance(&anna, appliance("x")).await.err(),
        catalog.remove_appliance(&anna, "hadoop").await.err(),
        catalog.add_implementation(&anna, new).await.err(),
        catalog
            .enable_implementation(&anna, made.id, false)
            .await
            .err(),
        catalog.remove_implementation(&anna, made.id).await.err(),
        catalog.add_image(&anna, image("x")).await.err(),
        catalog.remove_image(&anna, "debian").await.err(),
        catalog.reseal(&anna).await.err(),
    ] {
        assert_eq!(refused.unwrap().kind(), ErrorKind::Forbidden);
    }
    assert_eq!(w.written().await, before);
}

#[tokio::test]
async fn nobody_brings_a_credential_for_somebody_else() {
    let w = world();
    w.site("berlin").await;
    let mut for_user = credential("x", "berlin");
    for_user.user = Some("bert".to_owned());
    let mut for_tenant = credential("x", "berlin");
    for_tenant.tenant = Some(Tenant("other".to_owned()));
    for new in [for_user, for_tenant.clone()] {
        let refused = w.catalog.add_credential(&anna(), new).await;
        assert_eq!(kind(refused), ErrorKind::Forbidden);
    }
    // An operator may, and names everything that the caller would have said.
    let made = w.catalog.add_credential(&op(), for_tenant).await.unwrap();
    assert_eq!((made.tenant.0.as_str(), &*made.user), ("other", "olga"));
}

// -- credentials -------------------------------------------------------------------------

#[tokio::test]
async fn a_credential_of_another_tenant_is_missing() {
    let w = world();
    w.site("berlin").await;
    let hers = w.credential(&anna(), "mine", "berlin").await;
    let bert = Caller::user("bert", "other");
    // Names are the tenant's own.
    let his = w.credential(&bert, "mine", "berlin").await;
    assert_eq!(
        w.catalog.credential(&bert, "mine").await.unwrap().id,
        his.id
    );
    let her_id = hers.id.to_string();
    let nobodys = CatalogId(uuid::Uuid::from_u128(7)).to_string();
    let missing = |e: Error| (e.kind(), e.to_string().replace(&her_id, "ID"));
    let unknown = w.catalog.credential(&bert, &nobodys).await.unwrap_err();
    let expected = (unknown.kind(), unknown.to_string().replace(&nobodys, "ID"));
    assert_eq!(expected.0, ErrorKind::NotFound);
    let (secret, catalog) = (json!({"password": "x"}), &w.catalog);
    for e in [
        catalog.credential(&bert, &her_id).await.unwrap_err(),
        catalog
            .rotate_credential(&bert, &her_id, &secret)
            .await
            .unwrap_err(),
        catalog.remove_credential(&bert, &her_id).await.unwrap_err(),
    ] {
        assert_eq!(missing(e), expected);
    }
    let names = |who: Caller| async move {
        let page = w.catalog.credentials(&who, None, 9).await.unwrap();
        page.items.iter().map(|c| c.id).collect::<Vec<_>>()
    };
    assert_eq!(names(bert).await, [his.id]);
}

#[tokio::test]
async fn an_unknown_credential_does_not_tell_the_names_of_others() {
    let w = world();
    w.site("berlin").await;
    w.credential(&anna(), "annas-own", "berlin").await;
    let bert = Caller::user("bert", "other");
    let e = w.catalog.credential(&bert, "x").await.unwrap_err();
    assert!(!e.to_string().contains("annas-own"), "{e}");
    assert!(!e.to_string().contains("other/"), "{e}");
    let e = w.catalog.credential(&bert, "acme/annas-own").await;
    assert_eq!(kind(e), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_secret_is_in_no_answer_message_or_event() {
    let w = world();
    w.site("berlin").await;
    let new = credential("mine", "berlin");
    assert!(!format!("{new:?}").contains(CANARY));
    let made = w.catalog.add_credential(&anna(), new).await.unwrap();
    let secret = json!({"password": format!("{CANARY}-new")});
    let rotated = w
        .catalog
        .rotate_credential(&anna(), "mine", &secret)
        .await
        .unwrap();
    let read = w.catalog.credential(&anna(), "mine").await.unwrap();
    let listed = w.catalog.credentials(&op(), None, 9).await.unwrap();
    for shown in [&made, &rotated, &read, &listed.items[0]] {
        assert!(!format!("{shown:?}").contains(CANARY));
        let json = serde_json::to_string(shown).unwrap();
        assert!(!json.contains(CANARY) && !json.contains("sealed"), "{json}");
    }
    let mut wrong = credential("other", "berlin");
    wrong.secret = json!(CANARY);
    let refused = [
        w.catalog.add_credential(&anna(), wrong).await.unwrap_err(),
        w.catalog
            .rotate_credential(&anna(), "mine", &json!([CANARY]))
            .await
            .unwrap_err(),
    ];
    for e in refused {
        assert_eq!(e.kind(), ErrorKind::Invalid);
        assert!(!format!("{e} {e:?}").contains(CANARY));
    }
    let events = w.store.since(0, None, 99).await.unwrap();
    assert!(!format!("{events:?}").contains(CANARY));
    assert!(!format!("{:?}", w.catalog).contains(CANARY));
}

#[tokio::test]
async fn a_new_secret_is_the_one_that_is_used() {
    let w = sealed_by(Mirror);
    let berlin = w.site("berlin").await;
    let made = w.credential(&anna(), "mine", "berlin").await;
    let secret = json!({"password": "newer"});
    let rotated = w
        .catalog
        .rotate_credential(&anna(), "mine", &secret)
        .await
        .unwrap();
    assert_eq!((made.revision, rotated.revision), (1, 2));
    let (_, _, opened) = w.catalog.open(berlin.id, made.id).await.unwrap();
    assert_eq!(opened.expose(), secret.to_string());
}

#[tokio::test]
async fn all_are_sealed_anew_and_none_is_lost() {
    let w = sealed_by(Mirror);
    let berlin = w.site("berlin").await;
    let mut made = Vec::new();
    // More than fit on a page.
    for n in 0..205 {
        made.push(w.credential(&anna(), &format!("c-{n}"), "berlin").await.id);
    }
    assert_eq!(w.catalog.reseal(&op()).await.unwrap(), 205);
    for id in made {
        let (_, credential, secret) = w.catalog.open(berlin.id, id).await.unwrap();
        assert_eq!(secret.expose(), json!({"password": CANARY}).to_string());
        assert_eq!(credential.revision, 1);
    }
}

#[tokio::test]
async fn the_oldest_credential_of_the_tenant_for_the_site_comes_first() {
    let w = world();
    let berlin = w.site("berlin").await;
    w.site("paris").await;
    let first = w.credential(&anna(), "z", "berlin").await;
    w.credential(&anna(), "p", "paris").await;
    w.credential(&Caller::user("bert", "other"), "b", "berlin")
        .await;
    w.env.pass(std::time::Duration::from_secs(1));
    let second = w.credential(&anna(), "a", "berlin").await;
    let found = w.catalog.credentials_for(&anna(), berlin.id).await.unwrap();
    assert_eq!(found, [first, second]);
}
