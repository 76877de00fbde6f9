//! Every principal times every operation: who may what.

use rm_core::clusters::{ClusterRequest, Reuse};
use rm_testkit::MEDIA_TYPE;
use serde_json::{Value, json};

use crate::support::{Loaded, Service, Who};

/// What each principal is answered: operator, owner, another user of the
/// owner's tenant, a user to whom it was granted, a user of a third tenant.
/// Nobody and liars are refused everywhere but in `PUBLIC`.
type Row = (&'static str, [u16; 5]);

const ALL: [u16; 5] = [200; 5];
const LOADS: [u16; 5] = [201, 403, 403, 403, 403];
const REMOVES: [u16; 5] = [204, 403, 403, 403, 403];
const SEES: [u16; 5] = [200, 200, 200, 200, 404];
/// Only who holds it, and operators.
const HOLDS: [u16; 5] = [200, 200, 403, 403, 404];
const HOLDS_LATER: [u16; 5] = [202, 202, 403, 403, 404];
/// Only the tenant's own, and operators.
const TENANT: [u16; 5] = [200, 200, 200, 404, 404];
/// Only the one whose it is, and operators.
const OWN: [u16; 5] = [200, 200, 403, 404, 404];
const OWN_REMOVES: [u16; 5] = [204, 204, 403, 404, 404];

const PUBLIC: [&str; 3] = ["live", "ready", "metrics"];

const TABLE: &[Row] = &[
    ("openapi", ALL),
    ("live", ALL),
    ("ready", ALL),
    ("metrics", ALL),
    ("listSites", ALL),
    ("addSite", LOADS),
    ("getSite", ALL),
    ("removeSite", REMOVES),
    ("listCredentials", ALL),
    ("addCredential", [201; 5]),
    ("getCredential", TENANT),
    // Others of the tenant may use it, and not change it.
    ("rotateCredential", OWN),
    ("removeCredential", OWN_REMOVES),
    ("listAppliances", ALL),
    ("addAppliance", LOADS),
    ("getAppliance", ALL),
    ("removeAppliance", REMOVES),
    ("listImplementations", ALL),
    ("addImplementation", LOADS),
    ("getImplementation", ALL),
    ("enableImplementation", [200, 403, 403, 403, 403]),
    ("removeImplementation", REMOVES),
    ("listImages", ALL),
    ("addImage", LOADS),
    ("getImage", ALL),
    ("removeImage", REMOVES),
    ("listImageCopies", [200, 403, 403, 403, 403]),
    // There is none of that id.
    ("getImageCopy", [404, 403, 403, 403, 403]),
    ("removeImageCopy", [404, 403, 403, 403, 403]),
    // Who has no credential for any site is told so.
    ("createCluster", [503, 202, 202, 202, 503]),
    ("listClusters", ALL),
    ("getCluster", SEES),
    ("resizeCluster", HOLDS_LATER),
    ("deleteCluster", HOLDS_LATER),
    ("listHosts", SEES),
    ("addHost", HOLDS_LATER),
    ("removeHost", HOLDS_LATER),
    ("getOutputs", SEES),
    ("clusterEvents", SEES),
    ("renewLease", HOLDS),
    ("grantCluster", HOLDS),
    ("revokeCluster", HOLDS),
    // There is nothing to try again; who holds nothing is told that first.
    ("retryCluster", [409, 409, 403, 403, 404]),
    ("abandonCluster", [409, 403, 403, 403, 403]),
    ("adoptCluster", [409, 403, 403, 403, 403]),
    ("clusterHistory", SEES),
    ("listQuarantine", ALL),
    ("getResource", SEES),
    ("retryResource", [409, 409, 403, 403, 404]),
    ("abandonResource", [409, 403, 403, 403, 403]),
    ("adoptResource", [409, 403, 403, 403, 403]),
    ("listOrphans", [200, 403, 403, 403, 403]),
    // Another installation's is not reclaimed, whoever asks.
    ("reclaimOrphan", [403; 5]),
    ("listAccounts", SEES),
    ("addAccount", [403, 201, 403, 201, 404]),
    ("getOperation", SEES),
    ("plan", [503, 200, 200, 200, 503]),
    ("planByQuery", [503, 200, 200, 200, 503]),
    ("events", ALL),
    ("addCallback", [201; 5]),
    ("listCallbacks", ALL),
    // The tenant's own business, as their events are.
    ("removeCallback", [404, 204, 204, 404, 404]),
    ("lambdalinkListSites", ALL),
    ("lambdalinkAddSite", LOADS),
    ("lambdalinkGetSite", ALL),
    ("lambdalinkPutSite", [200, 403, 403, 403, 403]),
    ("lambdalinkPatchSite", [200, 403, 403, 403, 403]),
    ("lambdalinkRemoveSite", REMOVES),
    ("lambdalinkListAppliances", ALL),
    ("lambdalinkAddAppliance", LOADS),
    ("lambdalinkGetAppliance", ALL),
    ("lambdalinkPutAppliance", [200, 403, 403, 403, 403]),
    ("lambdalinkPatchAppliance", [200, 403, 403, 403, 403]),
    ("lambdalinkRemoveAppliance", REMOVES),
    ("lambdalinkListImplementations", ALL),
    ("lambdalinkAddImplementation", LOADS),
    ("lambdalinkGetImplementation", ALL),
    ("lambdalinkPutImplementation", [200, 403, 403, 403, 403]),
    ("lambdalinkPatchImplementation", [200, 403, 403, 403, 403]),
    ("lambdalinkRemoveImplementation", REMOVES),
    ("lambdalinkListCredentials", ALL),
    ("lambdalinkAddCredential", [201; 5]),
    ("lambdalinkGetCredential", TENANT),
    ("lambdalinkPutCredential", TENANT),
    ("lambdalinkPatchCredential", TENANT),
    ("lambdalinkRemoveCredential", OWN_REMOVES),
    ("lambdalinkListClusters", ALL),
    // The credential of another tenant does not exist; an operator sees it
    // and still cannot use it.
    ("lambdalinkAddCluster", [503, 201, 201, 400, 400]),
    ("lambdalinkGetCluster", SEES),
    ("lambdalinkPutCluster", SEES),
    ("lambdalinkPatchCluster", SEES),
    ("lambdalinkRemoveCluster", [204, 204, 403, 403, 404]),
    ("lambdalinkMonitorCluster", SEES),
    ("lambdalinkListResources", ALL),
    ("lambdalinkAddResource", [503, 201, 201, 400, 400]),
    // A resource is its user's own.
    ("lambdalinkGetResource", [404, 200, 404, 404, 404]),
    ("lambdalinkPutResource", [404, 200, 404, 404, 404]),
    ("lambdalinkPatchResource", [404, 200, 404, 404, 404]),
    ("lambdalinkRemoveResource", [404, 204, 404, 404, 404]),
];

/// What every call finds: entries that nothing uses, a cluster of ann's that
/// was granted to bob, a resource of ann's.
struct Stage<'a> {
    s: &'a Service,
    loaded: Loaded,
    /// One that is ready, for accounts.
    ready: String,
    made: u32,
}

impl Stage<'_> {
    fn name(&mut self) -> String {
        self.made += 1;
        format!("spare{}", self.made)
    }

    async fn add(&mut self, path: &str, mut body: Value) -> String {
        body["name"] = json!(self.name());
        let who = match path {
            "/credentials" => Who::Ann,
            _ => Who::Operator,
        };
        let made = self.s.post(who, path, body).await.expect(201);
        made["id"].as_str().unwrap().to_owned()
    }

    async fn cluster(&self) -> String {
        let request = ClusterRequest {
            appliance: "hadoop".to_owned(),
            slaves: Some(1),
            reuse: Reuse::Never,
            ..ClusterRequest::default()
        };
        let ann = Who::Ann.caller();
        let made = self.s.host.clusters().create(&ann, &request).await.unwrap();
        made.cluster.grant(&ann, "bob").await.unwrap();
        made.cluster.id().to_string()
    }

    async fn implementation(&self) -> String {
        let body =
            json!({"appliance": "hadoop", "site": "here", "media_type": MEDIA_TYPE, "body": "{}"});
        let made = self
            .s
            .post(Who::Operator, "/implementations", body)
            .await
            .expect(201);
        let path = format!("/implementations/{}", made["id"].as_str().unwrap());
        let off = Some(json!({"enabled": false}));
        self.s
            .call(Who::Operator, "PATCH", &path, off)
            .await
            .expect(200);
        made["id"].as_str().unwrap().to_owned()
    }

    async fn resource(&self) -> String {
        let hints = json!({"credentials": self.loaded.credential, "implementation": self.loaded.implementation});
        let made = self
            .s
            .post(Who::Ann, "/lambdalink/resources/", json!({"hints": hints}))
            .await
            .expect(201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// A path and a body that would do for somebody who may.
    async fn ask(&mut self, operation: &str, template: &str) -> (String, Option<Value>) {
        let removes = operation.to_lowercase().contains("remove");
        let plain = operation.strip_prefix("lambdalink").unwrap_or(operation);
        let sha = "0".repeat(64);
        let secret = json!({"account": "physics"});
        let base64 = "eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6InAiLCJwcm9qZWN0X25hbWUiOiJ4In0=";
        let site = json!({"api": "sim", "url": "sim:x"});
        let image = json!({"source": "file:/x", "sha256": sha, "disk_format": "raw"});
        let id = if template.contains("/sites/") && removes {
            self.add("/sites", site.clone()).await
        } else if template.contains("/sites/") {
            self.loaded.site.clone()
        } else if template.contains("/credentials/") && removes {
            self.add("/credentials", json!({"site": "here", "secret": secret}))
                .await
        } else if template.contains("/credentials/") {
            self.loaded.credential.clone()
        } else if template.contains("/appliances/") && removes {
            self.add("/appliances", json!({})).await
        } else if template.contains("/appliances/") {
            "hadoop".to_owned()
        } else if template.contains("/implementations/") && removes {
            self.implementation().await
        } else if template.contains("/implementations/") {
            self.loaded.implementation.clone()
        } else if template.contains("/images/") {
            self.add("/images", image.clone()).await
        } else if template.contains("/callbacks/") {
            let body = json!({"url": "http://127.0.0.1:9/"});
            let made = self.s.post(Who::Ann, "/callbacks", body).await.expect(201);
            made["id"].as_str().unwrap().to_owned()
        } else if template.contains("/accounts") {
            self.ready.clone()
        } else if template.contains("/clusters/") || template.starts_with("/resources/") {
            self.cluster().await
        } else if template.contains("/operations/") {
            format!("{}.1", self.cluster().await)
        } else if template.contains("/resources/") {
            self.resource().await
        } else {
            String::new()
        };
        let mut path = template
            .replace("{id}", &id)
            .replace("{user}", "bob")
            .replace("{copy}", &self.loaded.credential);
        match plain {
            "addHost" | "removeHost" | "deleteCluster" => path += "?wait_seconds=0",
            "planByQuery" => path += "?appliance=hadoop&site=here",
            _ => {}
        }
        let with_name = |name: String, mut body: Value| {
            body["name"] = json!(name);
            Some(body)
        };
        let body = match operation {
            "addSite" => with_name(self.name(), site),
            "addCredential" => {
                // For another site, so that who has none here still has none.
                with_name(self.name(), json!({"site": "elsewhere", "secret": secret}))
            }
            "rotateCredential" => Some(json!({"secret": secret})),
            "addAppliance" | "lambdalinkAddAppliance" => with_name(self.name(), json!({})),
            "addImplementation" => Some(json!({
                "appliance": "hadoop", "site": "here", "media_type": MEDIA_TYPE, "body": "{}",
            })),
            "enableImplementation" => Some(json!({"enabled": true})),
            "addImage" => with_name(self.name(), image),
            "createCluster" | "plan" => Some(json!({
                "appliance": "hadoop", "sites": ["here"], "reuse": "never", "wait_seconds": 0,
            })),
            "resizeCluster" => Some(json!({"slaves": 2, "wait_seconds": 0})),
            "renewLease" => Some(json!({"seconds": 100})),
            "addCallback" => Some(json!({"url": "http://127.0.0.1:9/", "prefix": "cluster."})),
            "abandonCluster" | "abandonResource" => Some(json!({"reason": "gone"})),
            "adoptCluster" | "adoptResource" => {
                Some(json!({"id": "thing-000001", "reason": "it is ours"}))
            }
            "reclaimOrphan" => Some(json!({
                "manager": "sim", "site": "here", "credential": self.loaded.credential,
                "id": "thing-000001", "installation": "another", "resource": self.ready,
                "incarnation": 1, "generation": 1,
            })),
            "lambdalinkAddSite" => {
                with_name(self.name(), json!({"type": "sim", "api_url": "sim:y"}))
            }
            "lambdalinkAddImplementation" => Some(json!({
                "appliance": "hadoop", "site": "here", "template": "{}",
            })),
            "lambdalinkAddCredential" => with_name(
                self.name(),
                json!({"site": "elsewhere", "credentials": base64}),
            ),
            "lambdalinkAddCluster" => Some(json!({
                "credential": self.loaded.credential,
                "implementation": self.loaded.implementation,
            })),
            "lambdalinkAddResource" => Some(json!({"hints": {
                "credentials": self.loaded.credential,
                "implementation": self.loaded.implementation,
            }})),
            put if put.contains("Put") || put.contains("Patch") => Some(json!({})),
            _ => None,
        };
        (path, body)
    }
}

#[tokio::test]
async fn every_principal_is_answered_as_the_table_says() {
    let s = Service::start().await;
    let loaded = s.load().await;
    let ready = s.cluster(Who::Ann, 0).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let grant = format!("/clusters/{ready}/grants/bob");
    s.call(Who::Ann, "PUT", &grant, None).await.expect(200);
    let elsewhere = json!({"name": "elsewhere", "api": "sim", "url": "sim:elsewhere"});
    s.post(Who::Operator, "/sites", elsewhere).await.expect(201);
    let mut stage = Stage {
        s: &s,
        loaded,
        ready,
        made: 0,
    };
    let routes = s.door.routes();
    let mut wrong = Vec::new();
    let mut pairs = 0;
    for (prefix, route) in &routes {
        let Some((_, expected)) = TABLE.iter().find(|(name, _)| *name == route.operation) else {
            panic!("{} is not in the table", route.operation);
        };
        for (i, who) in Who::ALL.into_iter().enumerate() {
            let template = format!("{prefix}{}", route.path);
            let (path, body) = stage.ask(route.operation, &template).await;
            let answer = s.call(who, route.method.as_str(), &path, body).await;
            let expected = match expected.get(i) {
                Some(status) => *status,
                None if PUBLIC.contains(&route.operation) => 200,
                // The original says 403 to strangers, too.
                None if prefix == "/lambdalink" => 403,
                None => 401,
            };
            pairs += 1;
            if answer.status != expected {
                wrong.push(format!(
                    "{who:?} {} {path}: {} instead of {expected}: {}",
                    route.operation, answer.status, answer.body
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(
        routes.len(),
        TABLE.len(),
        "the table has rows that nobody serves"
    );
    assert_eq!(pairs, TABLE.len() * Who::ALL.len());
}

#[tokio::test]
async fn a_list_shows_only_what_is_yours() {
    let s = Service::start().await;
    s.load().await;
    let wait = json!({"appliance": "hadoop", "reuse": "never", "wait_seconds": 0});
    let mut ids = Vec::new();
    for who in [Who::Ann, Who::Amy, Who::Bob] {
        let made = s.post(who, "/clusters", wait.clone()).await.expect(202);
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    let grant = format!("/clusters/{}/grants/bob", ids[0]);
    s.call(Who::Ann, "PUT", &grant, None).await.expect(200);
    for (who, path, seen) in [
        (Who::Ann, "/clusters", vec![0, 1]),
        (Who::Amy, "/clusters", vec![0, 1]),
        (Who::Bob, "/clusters", vec![0, 2]),
        (Who::Cat, "/clusters", vec![]),
        (Who::Operator, "/clusters", vec![]),
        (Who::Operator, "/clusters?all=true", vec![0, 1, 2]),
        (Who::Ann, "/lambdalink/clusters/", vec![0, 1]),
        (Who::Cat, "/lambdalink/clusters/", vec![]),
    ] {
        // In pages of one, so that cursors are exercised, too.
        let mut found = Vec::new();
        let mut after = String::new();
        loop {
            let path = match (path.starts_with("/lambdalink"), path.contains('?')) {
                (true, _) => path.to_owned(),
                (_, true) => format!("{path}&limit=1{after}"),
                (_, false) => format!("{path}?limit=1{after}"),
            };
            let page = s.get(who, &path).await.expect(200);
            let items = page["items"].as_array().or(page.as_array()).unwrap();
            found.extend(items.iter().map(|c| c["id"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        found.sort();
        let mut expected: Vec<String> = seen.iter().map(|i: &usize| ids[*i].clone()).collect();
        expected.sort();
        assert_eq!(found, expected, "{who:?} {path}");
    }
    let names = |list: Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap().clone();
        items
            .iter()
            .map(|c| c["tenant"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        names(s.get(Who::Amy, "/credentials").await.expect(200)),
        ["physics"]
    );
    assert_eq!(
        names(s.get(Who::Bob, "/credentials").await.expect(200)),
        ["biology"]
    );
    assert!(names(s.get(Who::Cat, "/credentials").await.expect(200)).is_empty());
    assert_eq!(
        names(s.get(Who::Operator, "/credentials").await.expect(200)).len(),
        2
    );
}
