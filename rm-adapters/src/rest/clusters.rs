//! Clusters: requests, waits, answers.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{StatusCode, header};
use rm_core::clusters::{ClusterRequest, Created, Reuse, Size};
use rm_core::life::State;
use rm_core::model::Cluster;
use rm_core::resource::Resource;
use rm_core::{Call, CatalogId, Error, ErrorKind, HoldId, ResourceId, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::quarantine::{Abandon, Adopt};
use super::schemas::MOST_SLAVES;
use super::{operations, page, view};
use crate::door::problem::status_of;
use crate::door::{Reply, Request};

/// How long a request waits where it does not say.
const PATIENCE: u64 = 600;

#[derive(Deserialize)]
struct NewCluster {
    appliance: String,
    name: Option<String>,
    slaves: Option<u32>,
    #[serde(default)]
    sites: Vec<String>,
    #[serde(default)]
    hints: Hints,
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
    lease_seconds: Option<u64>,
    #[serde(default)]
    reuse: Reuse,
    #[serde(default)]
    grow: bool,
    wait_seconds: Option<u64>,
}

#[derive(Default, Deserialize)]
struct Hints {
    #[serde(default)]
    sites: Vec<String>,
    credential: Option<String>,
    revision: Option<u32>,
    implementation: Option<CatalogId>,
    network: Option<String>,
    key: Option<String>,
    image: Option<String>,
    flavor: Option<String>,
    allowed_ip: Option<String>,
}

impl NewCluster {
    /// As core takes it: hints of the site are parameters of the
    /// implementation by agreed names.
    fn into_request(self) -> Result<ClusterRequest> {
        let mut parameters = self.parameters;
        let hints = self.hints;
        for (name, value) in [
            ("network", hints.network),
            ("key", hints.key),
            ("image", hints.image),
            ("flavor", hints.flavor),
            ("allowed_ip", hints.allowed_ip),
        ] {
            let Some(value) = value else { continue };
            if parameters.insert(name.to_owned(), json!(value)).is_some() {
                return Err(Error::invalid(format!(
                    "{name:?} is given as a hint and as a parameter"
                ))
                .advice("give it once"));
            }
        }
        let mut sites = self.sites;
        sites.extend(hints.sites);
        Ok(ClusterRequest {
            appliance: self.appliance,
            name: self.name,
            slaves: self.slaves,
            sites,
            credential: hints.credential,
            revision: hints.revision,
            implementation: hints.implementation,
            parameters,
            reuse: self.reuse,
            grow: self.grow,
            lease: self.lease_seconds.map(Duration::from_secs),
            idempotency: None,
        })
    }
}

/// One cluster that the caller may see, by the id in the path.
pub(super) async fn find(call: &Call<'_>, request: &Request) -> Result<Resource<Cluster>> {
    call.host.clusters().get(call.who, id(request)?).await
}

fn id(request: &Request) -> Result<ResourceId> {
    request.path("id").parse()
}

fn seconds(wait: Option<u64>) -> Duration {
    Duration::from_secs(wait.unwrap_or(PATIENCE).min(PATIENCE))
}

pub(super) async fn create(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let new: NewCluster = request.read()?;
    let wait = seconds(new.wait_seconds);
    let mut wanted = new.into_request()?;
    // How the answer is wanted does not change what is asked for.
    wanted.idempotency = request
        .header("idempotency-key")
        .map(|key| (key.to_owned(), request.digest(&["wait_seconds"])));
    let clusters = call.host.clusters();
    let got = clusters.create(call.who, &wanted).await?;
    let Created {
        cluster,
        hold,
        generation,
        reused,
        considered,
    } = got.clone();
    let extra = json!({"hold": hold, "reused": reused, "considered": considered});
    let ready = if reused {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let answer = settle(call, request, cluster, generation, wait, ready, extra).await;
    match answer {
        // Somebody's cluster is not what was asked for: nobody is told of a
        // hold on it, so there must be none.
        Err(e) if reused => Err(match clusters.give_back(call.who, &wanted, &got).await {
            Ok(()) => e.advice(
                "this request holds nothing of it; ask for what it has, or with reuse never to get another",
            ),
            Err(_) => e.advice(format!("it is still held, by {hold}: give that up")),
        }),
        answer => answer,
    }
}

pub(super) async fn list(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let (after, limit) = page(request)?;
    let all = request.flag("all");
    let page = call
        .host
        .clusters()
        .list(call.who, all, after.as_ref(), limit)
        .await?;
    let mut items = Vec::with_capacity(page.items.len());
    for cluster in &page.items {
        items.push(view::cluster(call.who, cluster)?);
    }
    let page = rm_core::store::Page {
        items,
        next: page.next,
    };
    Ok(Reply::ok(view::list(page, |shown| shown)))
}

pub(super) async fn get(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let cluster = match request.number("wait_seconds") {
        Some(wait) if wait > 0 => settled(call, request, id(request)?, seconds(Some(wait))).await?,
        _ => find(call, request).await?,
    };
    Ok(Reply::ok(view::cluster(call.who, &cluster)?))
}

#[derive(Deserialize)]
struct Change {
    slaves: Option<u32>,
    slaves_by: Option<i64>,
    wait_seconds: Option<u64>,
}

pub(super) async fn resize(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let change: Change = request.read()?;
    let size = match (change.slaves, change.slaves_by) {
        (Some(n), None) => Size::To(n),
        (None, Some(n)) => Size::By(n),
        _ => {
            return Err(
                Error::invalid("a change says either slaves or slaves_by").code("missing-key")
            );
        }
    };
    change_size(call, request, size, seconds(change.wait_seconds)).await
}

/// One slave more or fewer.
pub(super) async fn step(call: &Call<'_>, request: &Request, by: i64) -> Result<Reply> {
    let wait = seconds(request.number("wait_seconds"));
    change_size(call, request, Size::By(by), wait).await
}

async fn change_size(
    call: &Call<'_>,
    request: &Request,
    size: Size,
    wait: Duration,
) -> Result<Reply> {
    if let Size::By(n) = size {
        let slaves = find(call, request).await?.spec()?.slaves;
        if i64::from(slaves).saturating_add(n) > i64::try_from(MOST_SLAVES).unwrap_or(i64::MAX) {
            return Err(
                Error::invalid(format!("a cluster has {MOST_SLAVES} slaves at the most"))
                    .code("out-of-range"),
            );
        }
    }
    let changed = call
        .host
        .clusters()
        .resize(call.who, id(request)?, size)
        .await?;
    let generation = changed.record().generation;
    let ready = StatusCode::OK;
    settle(call, request, changed, generation, wait, ready, Value::Null).await
}

pub(super) async fn delete(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let hold: Option<HoldId> = request.query("hold").map(str::parse).transpose()?;
    let cluster = find(call, request).await?;
    let released = cluster.release(call.who, hold).await?;
    let left = released.record().holds.len();
    if left > 0 {
        return Ok(Reply::ok(json!({"deleted": false, "holds_left": left})));
    }
    let wait = seconds(request.number("wait_seconds"));
    if !request.wants_no_wait() && !wait.is_zero() {
        let clusters = call.host.clusters();
        let gone = clusters.gone(call.who, released.id(), wait);
        if request.closing.unless(gone).await.transpose()? == Some(true) {
            return Ok(Reply::ok(json!({"deleted": true})));
        }
    }
    let now = match released.again(call.who).await {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return Ok(Reply::ok(json!({"deleted": true})));
        }
        other => other?,
    };
    if now.record().seen == State::Quarantined {
        return Err(failure(&now, "quarantined")
            .advice("an operator can try again or abandon it; until then it counts in the quota"));
    }
    under_way(
        call,
        request,
        &now,
        released.record().generation,
        Value::Null,
    )
}

#[derive(Deserialize)]
struct Lease {
    seconds: Option<u64>,
    hold: Option<HoldId>,
}

pub(super) async fn renew(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let lease: Lease = request.read()?;
    let renewed = find(call, request)
        .await?
        .renew(call.who, lease.hold, lease.seconds.map(Duration::from_secs))
        .await?;
    Ok(Reply::ok(view::cluster(call.who, &renewed)?))
}

pub(super) async fn retry(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let again = find(call, request).await?.retry(call.who).await?;
    let generation = again.record().generation;
    under_way(call, request, &again, generation, Value::Null)
}

pub(super) async fn abandon(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let given: Abandon = request.read()?;
    find(call, request)
        .await?
        .abandon(call.who, &given.reason)
        .await?;
    Ok(Reply::ok(json!({"abandoned": true})))
}

pub(super) async fn adopt(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let given: Adopt = request.read()?;
    let cluster = find(call, request).await?;
    let adopted = cluster.adopt(call.who, &given.id, &given.reason).await?;
    let generation = adopted.record().generation;
    under_way(call, request, &adopted, generation, Value::Null)
}

pub(super) async fn plan(call: &Call<'_>, request: &Request) -> Result<Reply> {
    let wanted = if request.operation == "plan" {
        request.read::<NewCluster>()?.into_request()?
    } else {
        let appliance = request
            .query("appliance")
            .ok_or_else(|| Error::invalid("which appliance?").advice("add ?appliance=NAME"))?;
        ClusterRequest {
            appliance: appliance.to_owned(),
            slaves: request.number("slaves").and_then(|n| u32::try_from(n).ok()),
            sites: request
                .query("site")
                .map(str::to_owned)
                .into_iter()
                .collect(),
            reuse: match request.query("reuse") {
                Some("never") => Reuse::Never,
                _ => Reuse::Match,
            },
            ..ClusterRequest::default()
        }
    };
    let plan = call.host.clusters().plan(call.who, &wanted).await?;
    let mut shown = json!(plan);
    if let Some(refused) = &plan.refused {
        shown["refused"]["status"] = json!(status_of(refused.kind).as_u16());
    }
    Ok(Reply::ok(shown))
}

// -- answers ---------------------------------------------------------------

/// Waits until the cluster is settled, time is over or the service stops.
async fn settled(
    call: &Call<'_>,
    request: &Request,
    id: ResourceId,
    limit: Duration,
) -> Result<Resource<Cluster>> {
    let clusters = call.host.clusters();
    let settled = clusters.settled(call.who, id, limit);
    match request.closing.unless(settled).await {
        Some(cluster) => cluster,
        None => clusters.get(call.who, id).await,
    }
}

/// Answers when what is wanted is there, has failed, or takes too long.
async fn settle(
    call: &Call<'_>,
    request: &Request,
    wanted: Resource<Cluster>,
    generation: u64,
    wait: Duration,
    ready: StatusCode,
    extra: Value,
) -> Result<Reply> {
    if request.wants_no_wait() {
        return under_way(call, request, &wanted, generation, extra);
    }
    let cluster = settled(call, request, wanted.id(), wait).await?;
    let r = cluster.record();
    if let Some(reason) = r.refusal(generation) {
        return Err(not_as_wanted(&cluster, reason, "change-refused")
            .advice("it stays as it was; ask for a size that the site can make"));
    }
    match r.seen {
        State::Failed => Err(failure(&cluster, "cluster-failed")
            .advice("it is still held: try it again, or delete it; its events tell what happened")),
        State::Quarantined => {
            Err(failure(&cluster, "quarantined").advice("an operator must look at it"))
        }
        _ if cluster.is_ready() => {
            let shown = with(view::cluster(call.who, &cluster)?, extra);
            let reply = Reply::json(ready, shown);
            Ok(match ready {
                StatusCode::CREATED => reply.header(
                    header::LOCATION,
                    &format!("{}/clusters/{}", request.prefix, cluster.id()),
                ),
                _ => reply,
            })
        }
        _ => under_way(call, request, &cluster, generation, extra),
    }
}

/// 202, and where to look.
fn under_way(
    call: &Call<'_>,
    request: &Request,
    cluster: &Resource<Cluster>,
    generation: u64,
    extra: Value,
) -> Result<Reply> {
    let operation = operations::show(&request.prefix, cluster, generation);
    let place = operation["links"]["self"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let mut shown = with(view::cluster(call.who, cluster)?, extra);
    shown["operation"] = operation;
    Ok(Reply::json(StatusCode::ACCEPTED, shown).header(header::LOCATION, &place))
}

fn with(mut shown: Value, extra: Value) -> Value {
    if let (Some(shown), Value::Object(extra)) = (shown.as_object_mut(), extra) {
        shown.extend(extra);
    }
    shown
}

/// What the site says about a cluster that will not do.
fn failure(cluster: &Resource<Cluster>, code: &'static str) -> Error {
    let why = match cluster.record().reason.as_str() {
        "" => "the site does not say why",
        reason => reason,
    };
    not_as_wanted(cluster, why, code)
}

fn not_as_wanted(cluster: &Resource<Cluster>, why: &str, code: &'static str) -> Error {
    let r = cluster.record();
    Error::new(
        ErrorKind::Failed,
        format!("the cluster {:?} is not as wanted: {why}", r.name),
    )
    .code(code)
    .resource(r.id)
    .site(r.place.site_name.clone())
}
