//! The hot part: its table of routes, and who serves what.

use async_trait::async_trait;
use rm_core::accounts::Account;
use rm_core::id::Kind;
use rm_core::registry::Adapter;
use rm_core::{Call, Result, Role};
use serde_json::{Map, Value, json};

use super::{
    AFTER, LIMIT, PAGE, RestOptions, callbacks, clusters, events, history, operations, orphans,
    quarantine, schemas, view,
};
use crate::door::{
    Access, Dialect, JsonContract, Method, Param, ParamKind, Reply, Request, Route,
    no_such_operation,
};

static KINDS: &[Kind] = &[Kind::CLUSTER];

const USER: Access = Access::Role(Role::User);
const OPERATOR: Access = Access::Role(Role::Operator);

const WAIT: Param = Param {
    name: "wait_seconds",
    kind: ParamKind::Number(0, 600),
    summary: "How long to wait before the answer",
};
const PREFER: Param = Param {
    name: "Prefer",
    kind: ParamKind::Text(200),
    summary: "respond-async: answer 202 at once",
};
const EVENT_QUERY: &[Param] = &[
    LIMIT,
    Param {
        name: "after",
        kind: ParamKind::Number(0, u64::MAX),
        summary: "Begin behind this event",
    },
];
const EVENT_HEADERS: &[Param] = &[Param {
    name: "Last-Event-ID",
    kind: ParamKind::Number(0, u64::MAX),
    summary: "Begin behind this event",
}];
/// A cluster as wanted, or on its way there.
const SETTLES: &[(u16, Option<&str>)] = &[(200, Some("Cluster")), (202, Some("Cluster"))];
const CLUSTER: &[(u16, Option<&str>)] = &[(200, Some("Cluster"))];

static ROUTES: &[Route] = &[
    Route::new(
        Method::Post,
        "/clusters",
        "createCluster",
        "Finds or makes a cluster by the name of an appliance, and holds it",
        &[
            (200, Some("Cluster")),
            (201, Some("Cluster")),
            (202, Some("Cluster")),
        ],
    )
    .access(USER)
    .takes("NewCluster")
    .headers(&[
        Param {
            name: "Idempotency-Key",
            kind: ParamKind::Text(200),
            summary: "The same key with the same body leads to the same cluster and hold",
        },
        PREFER,
    ]),
    Route::new(
        Method::Get,
        "/clusters",
        "listClusters",
        "The tenant's clusters, and those that were granted",
        &[(200, Some("ClusterList"))],
    )
    .query(&[
        LIMIT,
        AFTER,
        Param {
            name: "all",
            kind: ParamKind::Flag,
            summary: "Everybody's, for operators",
        },
    ]),
    Route::new(
        Method::Get,
        "/clusters/{id}",
        "getCluster",
        "One cluster, at once or when it is settled",
        CLUSTER,
    )
    .query(&[WAIT]),
    Route::new(
        Method::Patch,
        "/clusters/{id}",
        "resizeCluster",
        "Gives a cluster another size",
        SETTLES,
    )
    .takes("ClusterChange")
    .headers(&[PREFER]),
    Route::new(
        Method::Delete,
        "/clusters/{id}",
        "deleteCluster",
        "Gives up a hold; the last one destroys the cluster",
        &[(200, Some("Deleted")), (202, Some("Cluster"))],
    )
    .query(&[
        Param {
            name: "hold",
            kind: ParamKind::Text(36),
            summary: "Which hold; the caller's only one where absent",
        },
        WAIT,
    ])
    .headers(&[PREFER]),
    Route::new(
        Method::Get,
        "/clusters/{id}/hosts",
        "listHosts",
        "The hosts of a cluster",
        &[(200, Some("HostList"))],
    ),
    Route::new(
        Method::Post,
        "/clusters/{id}/hosts",
        "addHost",
        "One slave more",
        SETTLES,
    )
    .query(&[WAIT])
    .headers(&[PREFER]),
    Route::new(
        Method::Delete,
        "/clusters/{id}/hosts",
        "removeHost",
        "One slave fewer",
        SETTLES,
    )
    .query(&[WAIT])
    .headers(&[PREFER]),
    Route::new(
        Method::Get,
        "/clusters/{id}/outputs",
        "getOutputs",
        "What the implementation gives out",
        &[(200, Some("Outputs"))],
    ),
    Route::new(
        Method::Get,
        "/clusters/{id}/events",
        "clusterEvents",
        "What happened to a cluster, and what happens",
        &[(200, Some("EventList"))],
    )
    .query(EVENT_QUERY)
    .headers(EVENT_HEADERS)
    .streams(),
    Route::new(
        Method::Put,
        "/clusters/{id}/lease",
        "renewLease",
        "Gives a hold another end",
        CLUSTER,
    )
    .takes("Lease"),
    Route::new(
        Method::Put,
        "/clusters/{id}/grants/{user}",
        "grantCluster",
        "Lets another user see and use it",
        CLUSTER,
    ),
    Route::new(
        Method::Delete,
        "/clusters/{id}/grants/{user}",
        "revokeCluster",
        "Takes a grant back",
        CLUSTER,
    ),
    Route::new(
        Method::Post,
        "/clusters/{id}/retry",
        "retryCluster",
        "Tries again what failed or is in quarantine",
        &[(202, Some("Cluster"))],
    ),
    Route::new(
        Method::Post,
        "/clusters/{id}/abandon",
        "abandonCluster",
        "Forgets what is in quarantine, whatever is left of it",
        &[(200, Some("Abandoned"))],
    )
    .access(OPERATOR)
    .takes("Abandon"),
    Route::new(
        Method::Post,
        "/clusters/{id}/adopt",
        "adoptCluster",
        "Takes what is at the site for the thing of a cluster in quarantine",
        &[(202, Some("Cluster"))],
    )
    .access(OPERATOR)
    .takes("Adopt"),
    Route::new(
        Method::Get,
        "/clusters/{id}/history",
        "clusterHistory",
        "What happened to a cluster, and what was believed of it at a moment",
        &[(200, Some("History"))],
    )
    .query(&[Param {
        name: "at",
        kind: ParamKind::Text(40),
        summary: "The moment; now where absent",
    }]),
    Route::new(
        Method::Get,
        "/quarantine",
        "listQuarantine",
        "What waits for an operator to decide, of any kind: the caller's, or everybody's for operators",
        &[(200, Some("ResourceList"))],
    )
    .query(PAGE),
    Route::new(
        Method::Get,
        "/resources/{id}",
        "getResource",
        "One resource of any kind",
        &[(200, Some("Resource"))],
    ),
    Route::new(
        Method::Post,
        "/resources/{id}/retry",
        "retryResource",
        "Tries again what failed or is in quarantine",
        &[(202, Some("Resource"))],
    ),
    Route::new(
        Method::Post,
        "/resources/{id}/adopt",
        "adoptResource",
        "Takes what is at the site for the thing of a resource in quarantine",
        &[(202, Some("Resource"))],
    )
    .access(OPERATOR)
    .takes("Adopt"),
    Route::new(
        Method::Post,
        "/resources/{id}/abandon",
        "abandonResource",
        "Forgets what is in quarantine, whatever is left of it",
        &[(200, Some("Abandoned"))],
    )
    .access(OPERATOR)
    .takes("Abandon"),
    Route::new(
        Method::Get,
        "/orphans",
        "listOrphans",
        "What bears our mark at any site and is no record's",
        &[(200, Some("OrphanReport"))],
    )
    .access(OPERATOR),
    Route::new(
        Method::Post,
        "/orphans/reclaim",
        "reclaimOrphan",
        "Destroys an orphan, if it is still as the report said",
        &[(200, Some("Reclaimed")), (202, Some("Reclaimed"))],
    )
    .access(OPERATOR)
    .takes("Reclaim"),
    Route::new(
        Method::Get,
        "/clusters/{id}/accounts",
        "listAccounts",
        "The caller's accounts on a cluster",
        &[(200, Some("AccountList"))],
    ),
    Route::new(
        Method::Post,
        "/clusters/{id}/accounts",
        "addAccount",
        "Asks the cluster for an account, unless the caller has one",
        &[(200, Some("Account")), (201, Some("Account"))],
    ),
    Route::new(
        Method::Get,
        "/operations/{id}",
        "getOperation",
        "Whether what was wanted is there",
        &[(200, Some("Operation"))],
    ),
    Route::new(
        Method::Post,
        "/plan",
        "plan",
        "What a request would lead to, and why; changes nothing",
        &[(200, Some("Plan"))],
    )
    .access(USER)
    .takes("NewCluster"),
    Route::new(
        Method::Get,
        "/plan",
        "planByQuery",
        "The same, for the simple cases",
        &[(200, Some("Plan"))],
    )
    .access(USER)
    .query(&[
        Param {
            name: "appliance",
            kind: ParamKind::Text(400),
            summary: "The appliance's name; must be given",
        },
        Param {
            name: "slaves",
            kind: ParamKind::Number(0, schemas::MOST_SLAVES),
            summary: "How many hosts beside the master",
        },
        Param {
            name: "site",
            kind: ParamKind::Text(400),
            summary: "Only this site",
        },
        Param {
            name: "reuse",
            kind: ParamKind::Word(&["match", "never"]),
            summary: "Whether a cluster that is there may be used",
        },
    ]),
    Route::new(
        Method::Get,
        "/events",
        "events",
        "What happens to the caller's clusters",
        &[(200, Some("EventList"))],
    )
    .query(EVENT_QUERY)
    .headers(EVENT_HEADERS)
    .streams(),
    Route::new(
        Method::Post,
        "/callbacks",
        "addCallback",
        "Brings the tenant's events from now on to an address: each at least once, in order",
        &[(201, Some("Callback"))],
    )
    .access(USER)
    .takes("NewCallback"),
    Route::new(
        Method::Get,
        "/callbacks",
        "listCallbacks",
        "The tenant's callbacks, and whether they answer",
        &[(200, Some("CallbackList"))],
    )
    .access(USER),
    Route::new(
        Method::Delete,
        "/callbacks/{id}",
        "removeCallback",
        "Ends a callback",
        &[(204, None)],
    )
    .access(USER),
];

/// Clusters as JSON.
#[derive(Debug)]
pub struct RestResources {
    dialect: Dialect,
    options: RestOptions,
}

impl RestResources {
    /// At the root.
    pub fn new(options: RestOptions) -> Self {
        Self {
            dialect: Dialect::plain(),
            options,
        }
    }
}

impl Adapter for RestResources {
    fn name(&self) -> &'static str {
        "rest-resources"
    }

    fn kinds(&self) -> &[Kind] {
        KINDS
    }
}

#[async_trait]
impl JsonContract for RestResources {
    fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn schemas(&self) -> Map<String, Value> {
        schemas::resources()
    }

    async fn serve(&self, call: &Call<'_>, request: Request) -> Result<Reply> {
        match request.operation {
            "createCluster" => clusters::create(call, &request).await,
            "listClusters" => clusters::list(call, &request).await,
            "getCluster" => clusters::get(call, &request).await,
            "resizeCluster" => clusters::resize(call, &request).await,
            "deleteCluster" => clusters::delete(call, &request).await,
            "listHosts" => {
                let view = clusters::find(call, &request).await?.view()?;
                Ok(Reply::ok(json!({"items": view.hosts})))
            }
            "addHost" => clusters::step(call, &request, 1).await,
            "removeHost" => clusters::step(call, &request, -1).await,
            "getOutputs" => {
                let view = clusters::find(call, &request).await?.view()?;
                Ok(Reply::ok(json!(view.outputs)))
            }
            "clusterEvents" => {
                let cluster = clusters::find(call, &request).await?;
                events::serve(call, &request, Some(cluster.id())).await
            }
            "renewLease" => clusters::renew(call, &request).await,
            "grantCluster" => {
                let cluster = clusters::find(call, &request).await?;
                let granted = cluster.grant(call.who, request.path("user")).await?;
                Ok(Reply::ok(view::cluster(call.who, &granted)?))
            }
            "revokeCluster" => {
                let cluster = clusters::find(call, &request).await?;
                let revoked = cluster.revoke(call.who, request.path("user")).await?;
                Ok(Reply::ok(view::cluster(call.who, &revoked)?))
            }
            "retryCluster" => clusters::retry(call, &request).await,
            "abandonCluster" => clusters::abandon(call, &request).await,
            "adoptCluster" => clusters::adopt(call, &request).await,
            "clusterHistory" => history::serve(call, &request).await,
            "listQuarantine" => quarantine::list(call, &request).await,
            "getResource" => quarantine::get(call, &request).await,
            "retryResource" => quarantine::retry(call, &request).await,
            "adoptResource" => quarantine::adopt(call, &request).await,
            "abandonResource" => quarantine::abandon(call, &request).await,
            "listOrphans" => orphans::list(call).await,
            "reclaimOrphan" => orphans::reclaim(call, &request).await,
            "listAccounts" => {
                let cluster = clusters::find(call, &request).await?;
                let account = call.host.accounts().find(call.who, &cluster).await?;
                let items: Vec<Value> = account.iter().map(show).collect();
                Ok(Reply::ok(json!({"items": items})))
            }
            "addAccount" => {
                let cluster = clusters::find(call, &request).await?;
                let agent = self.options.agent.as_deref();
                let accounts = call.host.accounts();
                let (account, new) = accounts.find_or_make(call.who, agent, &cluster).await?;
                Ok(match new {
                    true => Reply::created(show(&account)),
                    false => Reply::ok(show(&account)),
                })
            }
            "getOperation" => Ok(Reply::ok(
                operations::get(call, &request.prefix, request.path("id")).await?,
            )),
            "plan" | "planByQuery" => clusters::plan(call, &request).await,
            "events" => events::serve(call, &request, None).await,
            "addCallback" => callbacks::add(call, &request).await,
            "listCallbacks" => callbacks::list(call).await,
            "removeCallback" => callbacks::remove(call, &request).await,
            other => Err(no_such_operation(other)),
        }
    }
}

/// An account is shown to its own user only, and then whole.
fn show(account: &Account) -> Value {
    json!({
        "username": account.username,
        "password": account.password.expose(),
        "created": account.created.to_string(),
    })
}
