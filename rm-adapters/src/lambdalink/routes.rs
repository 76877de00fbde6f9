//! The original's routes.

use rm_core::Role;
use serde_json::{Map, Value, json};

use crate::door::{Access, Method, Route};

const OPERATOR: Access = Access::Role(Role::Operator);
const USER: Access = Access::Role(Role::User);

const fn many(
    path: &'static str,
    operation: &'static str,
    output: &'static [(u16, Option<&'static str>)],
) -> Route {
    Route::new(
        Method::Get,
        path,
        operation,
        "All that the caller may see",
        output,
    )
}

const fn one(
    path: &'static str,
    operation: &'static str,
    output: &'static [(u16, Option<&'static str>)],
) -> Route {
    Route::new(Method::Get, path, operation, "One of them", output)
}

const fn add(
    path: &'static str,
    operation: &'static str,
    output: &'static [(u16, Option<&'static str>)],
) -> Route {
    Route::new(Method::Post, path, operation, "Adds one", output)
}

const fn set(
    method: Method,
    path: &'static str,
    operation: &'static str,
    output: &'static [(u16, Option<&'static str>)],
) -> Route {
    Route::new(
        method,
        path,
        operation,
        "Changes what can be changed",
        output,
    )
    .takes("LambdaLinkAny")
}

const fn remove(path: &'static str, operation: &'static str) -> Route {
    Route::new(
        Method::Delete,
        path,
        operation,
        "Removes it",
        &[(204, None)],
    )
}

pub(super) static CATALOG: &[Route] = &[
    many(
        "/sites/",
        "lambdalinkListSites",
        &[(200, Some("LambdaLinkSites"))],
    ),
    add(
        "/sites/",
        "lambdalinkAddSite",
        &[(201, Some("LambdaLinkSite"))],
    )
    .access(OPERATOR)
    .takes("LambdaLinkNewSite"),
    one(
        "/sites/{id}/",
        "lambdalinkGetSite",
        &[(200, Some("LambdaLinkSite"))],
    ),
    set(
        Method::Put,
        "/sites/{id}/",
        "lambdalinkPutSite",
        &[(200, Some("LambdaLinkSite"))],
    )
    .access(OPERATOR),
    set(
        Method::Patch,
        "/sites/{id}/",
        "lambdalinkPatchSite",
        &[(200, Some("LambdaLinkSite"))],
    )
    .access(OPERATOR),
    remove("/sites/{id}/", "lambdalinkRemoveSite").access(OPERATOR),
    many(
        "/appliances/",
        "lambdalinkListAppliances",
        &[(200, Some("LambdaLinkAppliances"))],
    ),
    add(
        "/appliances/",
        "lambdalinkAddAppliance",
        &[(201, Some("LambdaLinkAppliance"))],
    )
    .access(OPERATOR)
    .takes("LambdaLinkNewAppliance"),
    one(
        "/appliances/{id}/",
        "lambdalinkGetAppliance",
        &[(200, Some("LambdaLinkAppliance"))],
    ),
    set(
        Method::Put,
        "/appliances/{id}/",
        "lambdalinkPutAppliance",
        &[(200, Some("LambdaLinkAppliance"))],
    )
    .access(OPERATOR),
    set(
        Method::Patch,
        "/appliances/{id}/",
        "lambdalinkPatchAppliance",
        &[(200, Some("LambdaLinkAppliance"))],
    )
    .access(OPERATOR),
    remove("/appliances/{id}/", "lambdalinkRemoveAppliance").access(OPERATOR),
    many(
        "/implementations/",
        "lambdalinkListImplementations",
        &[(200, Some("LambdaLinkImplementations"))],
    ),
    add(
        "/implementations/",
        "lambdalinkAddImplementation",
        &[(201, Some("LambdaLinkImplementation"))],
    )
    .access(OPERATOR)
    .takes("LambdaLinkNewImplementation"),
    one(
        "/implementations/{id}/",
        "lambdalinkGetImplementation",
        &[(200, Some("LambdaLinkImplementation"))],
    ),
    set(
        Method::Put,
        "/implementations/{id}/",
        "lambdalinkPutImplementation",
        &[(200, Some("LambdaLinkImplementation"))],
    )
    .access(OPERATOR),
    set(
        Method::Patch,
        "/implementations/{id}/",
        "lambdalinkPatchImplementation",
        &[(200, Some("LambdaLinkImplementation"))],
    )
    .access(OPERATOR),
    remove("/implementations/{id}/", "lambdalinkRemoveImplementation").access(OPERATOR),
];

pub(super) static RESOURCES: &[Route] = &[
    many(
        "/credentials/",
        "lambdalinkListCredentials",
        &[(200, Some("LambdaLinkCredentials"))],
    ),
    add(
        "/credentials/",
        "lambdalinkAddCredential",
        &[(201, Some("LambdaLinkCredential"))],
    )
    .access(USER)
    .takes("LambdaLinkNewCredential"),
    one(
        "/credentials/{id}/",
        "lambdalinkGetCredential",
        &[(200, Some("LambdaLinkCredential"))],
    ),
    set(
        Method::Put,
        "/credentials/{id}/",
        "lambdalinkPutCredential",
        &[(200, Some("LambdaLinkCredential"))],
    ),
    set(
        Method::Patch,
        "/credentials/{id}/",
        "lambdalinkPatchCredential",
        &[(200, Some("LambdaLinkCredential"))],
    ),
    remove("/credentials/{id}/", "lambdalinkRemoveCredential"),
    many(
        "/clusters/",
        "lambdalinkListClusters",
        &[(200, Some("LambdaLinkClusters"))],
    )
    .access(USER),
    add(
        "/clusters/",
        "lambdalinkAddCluster",
        &[(201, Some("LambdaLinkCluster"))],
    )
    .access(USER)
    .takes("LambdaLinkNewCluster"),
    one(
        "/clusters/{id}/",
        "lambdalinkGetCluster",
        &[(200, Some("LambdaLinkCluster"))],
    ),
    set(
        Method::Put,
        "/clusters/{id}/",
        "lambdalinkPutCluster",
        &[(200, Some("LambdaLinkCluster"))],
    ),
    set(
        Method::Patch,
        "/clusters/{id}/",
        "lambdalinkPatchCluster",
        &[(200, Some("LambdaLinkCluster"))],
    ),
    remove("/clusters/{id}/", "lambdalinkRemoveCluster"),
    Route::new(
        Method::Get,
        "/clusters/{id}/monitor/",
        "lambdalinkMonitorCluster",
        "Where the cluster is now",
        &[(200, Some("LambdaLinkMonitor"))],
    ),
    many(
        "/resources/",
        "lambdalinkListResources",
        &[(200, Some("LambdaLinkResources"))],
    )
    .access(USER),
    add(
        "/resources/",
        "lambdalinkAddResource",
        &[(201, Some("LambdaLinkResource"))],
    )
    .access(USER)
    .takes("LambdaLinkAny"),
    one(
        "/resources/{id}/",
        "lambdalinkGetResource",
        &[(200, Some("LambdaLinkResource"))],
    )
    .access(USER),
    set(
        Method::Put,
        "/resources/{id}/",
        "lambdalinkPutResource",
        &[(200, Some("LambdaLinkResource"))],
    )
    .access(USER),
    set(
        Method::Patch,
        "/resources/{id}/",
        "lambdalinkPatchResource",
        &[(200, Some("LambdaLinkResource"))],
    )
    .access(USER),
    remove("/resources/{id}/", "lambdalinkRemoveResource").access(USER),
];

fn object(required: &[&str], properties: &Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties})
}

fn plural(all: &mut Map<String, Value>, names: &[(&str, &str)]) {
    for (many, one) in names {
        all.insert(
            (*many).to_owned(),
            json!({"type": "array", "items": crate::door::schema::reference(one)}),
        );
    }
    all.insert(
        "LambdaLinkAny".to_owned(),
        json!({"type": "object", "additionalProperties": true}),
    );
}

fn text() -> Value {
    json!({"type": "string"})
}

fn name() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 100})
}

fn maybe() -> Value {
    json!({"type": ["string", "null"]})
}

pub(super) fn catalog_schemas() -> Map<String, Value> {
    let mut all = Map::new();
    plural(
        &mut all,
        &[
            ("LambdaLinkSites", "LambdaLinkSite"),
            ("LambdaLinkAppliances", "LambdaLinkAppliance"),
            ("LambdaLinkImplementations", "LambdaLinkImplementation"),
        ],
    );
    for (key, schema) in [
        (
            "LambdaLinkNewSite",
            object(
                &["name", "type", "api_url"],
                &json!({"name": name(), "type": name(),
                        "api_url": {"type": "string", "minLength": 1, "maxLength": 2000}}),
            ),
        ),
        (
            "LambdaLinkSite",
            object(
                &["id", "name", "type", "api_url"],
                &json!({"id": text(), "name": text(), "type": text(), "api_url": text()}),
            ),
        ),
        (
            "LambdaLinkNewAppliance",
            object(
                &["name"],
                &json!({"name": name(), "description": {"type": "string", "maxLength": 10_000}}),
            ),
        ),
        (
            "LambdaLinkAppliance",
            object(
                &["id", "owner", "name", "created", "description"],
                &json!({"id": text(), "owner": text(), "name": text(), "created": text(),
                        "description": text()}),
            ),
        ),
        (
            "LambdaLinkNewImplementation",
            object(
                &["appliance", "site"],
                &json!({"appliance": name(), "site": name(), "image": name(), "template": text(),
                        "image_name": name(),
                        "logo_url": {"type": ["string", "null"], "maxLength": 2000},
                        "scripts": {"type": "array", "items": object(
                            &["action", "code"], &json!({"action": name(), "code": text()}))}}),
            ),
        ),
        (
            "LambdaLinkImplementation",
            object(
                &[
                    "id",
                    "owner",
                    "appliance",
                    "site",
                    "created",
                    "template_parsed",
                ],
                &json!({"id": text(), "owner": text(), "appliance": text(), "site": maybe(),
                        "created": text(), "image": maybe(), "template": maybe(),
                        "template_parsed": maybe(), "script_parsed": maybe(),
                        "image_name": maybe(), "logo_url": maybe(),
                        "scripts": {"type": "array", "items": object(
                            &["id", "appliance", "action", "code"],
                            &json!({"id": text(), "appliance": text(), "action": text(),
                                    "code": text()}))}}),
            ),
        ),
    ] {
        all.insert(key.to_owned(), schema);
    }
    all
}

pub(super) fn resource_schemas() -> Map<String, Value> {
    let mut all = Map::new();
    plural(
        &mut all,
        &[
            ("LambdaLinkCredentials", "LambdaLinkCredential"),
            ("LambdaLinkClusters", "LambdaLinkCluster"),
            ("LambdaLinkResources", "LambdaLinkResource"),
        ],
    );
    for (key, schema) in [
        (
            "LambdaLinkNewCredential",
            object(
                &["name", "site", "credentials"],
                &json!({"name": name(), "site": name(),
                        "credentials": {"type": "string", "minLength": 1, "maxLength": 100_000}}),
            ),
        ),
        (
            "LambdaLinkCredential",
            object(
                &["id", "name", "site", "user", "created"],
                &json!({"id": text(), "name": text(), "site": text(), "user": text(),
                        "created": text()}),
            ),
        ),
        (
            "LambdaLinkNewCluster",
            object(
                &["credential", "implementation"],
                &json!({"credential": name(), "implementation": name()}),
            ),
        ),
        (
            "LambdaLinkCluster",
            object(
                &[
                    "id",
                    "root_owner",
                    "credential",
                    "implementation",
                    "remote_status",
                    "status",
                ],
                &json!({"id": text(), "root_owner": text(), "credential": text(),
                        "implementation": text(), "remote_id": maybe(), "remote_status": text(),
                        "status": {"enum": ["INIT", "BUILDING", "READY", "ERROR"]},
                        "address": maybe()}),
            ),
        ),
        (
            "LambdaLinkMonitor",
            object(&["result"], &json!({"result": text()})),
        ),
        (
            "LambdaLinkResource",
            object(
                &["id", "user", "cluster", "hints"],
                &json!({"id": text(), "user": text(), "cluster": text(),
                        "hints": {"type": "object"}, "username": maybe(), "password": maybe()}),
            ),
        ),
    ] {
        all.insert(key.to_owned(), schema);
    }
    all
}
