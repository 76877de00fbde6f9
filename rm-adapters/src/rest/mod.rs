//! Clusters and the catalog as JSON over HTTP.
//!
//! The same tables that this module hands to the [door](crate::door) drive the
//! dispatch, the checks of every body, the OpenAPI document at
//! `/openapi.json`, and the tests.
//!
//! # Conventions
//!
//! * Every call carries `Authorization: Bearer TOKEN`, except `/health/live`,
//!   `/health/ready` and `/metrics`.
//! * A body is `application/json`, 2 MiB at most. An unknown key is refused
//!   with the nearest known one; a `null` counts as absent.
//! * Times are RFC 3339 in UTC; ids are UUIDs. Where a path says `{id}`, sites,
//!   credentials, appliances and images are found by their name, too.
//! * A list is `{"items": [...], "next": "CURSOR"}`, asked with `?limit=`
//!   (1 to 500, 100 where absent) and `?after=CURSOR`; `next` is absent at the
//!   end.
//! * A refusal is `application/problem+json` (RFC 9457) with `type`, `title`,
//!   `status`, `detail`, `code`, `advice`, `temporary`, `request_id` and,
//!   where known, `resource`, `site`, `operation` and `errors` (pointer and
//!   detail of each fault of a body). [`crate::door::problem`] has the table.
//! * `X-Request-Id` is echoed, or made; it is also in the problem and the log.
//!
//! # Catalog
//!
//! | call | body | answer |
//! |---|---|---|
//! | `POST /sites` | `{name, api, url, region?, interface?, defaults?}` | 201 site |
//! | `GET /sites` · `GET /sites/{id}` | | 200 `{id, name, api, url, region?, interface?, defaults, created}` |
//! | `DELETE /sites/{id}` | | 204 |
//! | `POST /credentials` | `{name, site, secret: {...}, user?, tenant?}` | 201 credential |
//! | `GET /credentials` · `GET /credentials/{id}` | | 200 `{id, revision, name, tenant, user, site, created}`; never the secret |
//! | `PUT /credentials/{id}/secret` | `{secret: {...}}` | 200 credential |
//! | `DELETE /credentials/{id}` | | 204 |
//! | `POST /appliances` | `{name, description?, ready_port?, images?}` | 201 appliance |
//! | `GET /appliances` · `GET /appliances/{id}` | | 200 `{id, owner, name, description, ready_port?, images, created}` |
//! | `DELETE /appliances/{id}` | | 204 |
//! | `POST /implementations` | `{appliance, site \| site_type, media_type, body, scripts?: [{name, action, code}], environment?}` | 201 implementation |
//! | `GET /implementations` (`?appliance=`) | | 200 list, without `body`, `scripts` and `environment` |
//! | `GET /implementations/{id}` | | 200 `{id, owner, appliance, site \| site_type, revision, enabled, media_type, body, scripts, environment, created}` |
//! | `PATCH /implementations/{id}` | `{enabled}` | 200 implementation |
//! | `DELETE /implementations/{id}` | | 204 |
//! | `POST /images` | `{name, source, sha256, disk_format}` | 201 image |
//! | `GET /images` · `GET /images/{id}` | | 200 `{id, owner, name, source, sha256, disk_format, created}` |
//! | `DELETE /images/{id}` | | 204 |
//! | `GET /images/{id}/copies` · `GET /images/{id}/copies/{copy}` | | 200 `{id, image, name, sha256, site, credential, state, wanted, ready, reason, bytes, needed_by, remote?, created, updated}` |
//! | `DELETE /images/{id}/copies/{copy}` | | 202 copy; 409 `image-needed` while a cluster needs it |
//! | `DELETE /images/{id}/copies/{copy}?abandon=REASON` | | 204; forgets one that would not go |
//!
//! Only operators write, except credentials, which are their tenant's own. Only
//! they see copies, and what may open an image's `source`: its query and what
//! stands before its host.
//!
//! # Clusters
//!
//! `POST /clusters`, with an `Idempotency-Key` header if wanted:
//!
//! ```json
//! {"appliance": "hadoop", "name": "mine", "slaves": 3,
//!  "hints": {"sites": ["chameleon"], "credential": "c", "revision": 2, "implementation": "UUID",
//!            "network": "n", "key": "k", "image": "i", "flavor": "f", "allowed_ip": "10.0.0.0/8"},
//!  "parameters": {"any": "value"}, "lease_seconds": 3600,
//!  "reuse": "match", "grow": false, "wait_seconds": 600}
//! ```
//!
//! Only `appliance` must be given; `sites` may also stand beside `hints`.
//! Answers a cluster:
//!
//! ```json
//! {"id": "UUID", "name": "mine", "appliance": "hadoop", "implementation": "UUID", "revision": 2,
//!  "site": "chameleon", "tenant": "physics", "state": "ready", "wanted": "running", "ready": true,
//!  "generation": 1, "seen_generation": 1, "reason": "", "slaves": 3, "address": "10.0.0.5",
//!  "hosts": [{"name": "m", "role": "master", "address": "10.0.0.5"}],
//!  "outputs": {"master_ip": "10.0.0.5"},
//!  "holds": [{"id": "UUID", "user": "ann", "since": "TIME", "until": "TIME", "mine": true}],
//!  "grants": [{"user": "bob", "by": "ann", "since": "TIME"}],
//!  "created": "TIME", "updated": "TIME"}
//! ```
//!
//! `state` is a word of [`rm_core::life::State`]. On create these are added:
//! `hold` (the id of the caller's new hold), `reused` (true where the cluster
//! was there already) and `considered` (`[{site, revision?, verdict, why}]`).
//!
//! | status | when |
//! |---|---|
//! | 201 | made, and ready |
//! | 200 | reused, and ready |
//! | 202 | not ready yet: after `wait_seconds` (0 to 600, 600 where absent), at once with `Prefer: respond-async`, or when the service stops; `Location` and `operation` say where to look |
//! | 502 | it failed: the problem's `resource` is its id, `detail` the site's reason. A new one stays, held, until it is deleted or tried again; of one that was there nothing is held |
//! | 410 | the request of this `Idempotency-Key` was served, and its hold has ended since (`idempotency-key-spent`): a key names one request. Keys are remembered for two days at least |
//!
//! An operation is `{"id": "CLUSTER.GENERATION", "cluster": "UUID", "state":
//! "running" | "done" | "failed", "reason": "", "links": {"self":
//! "/operations/ID", "cluster": "/clusters/ID", "events":
//! "/clusters/ID/events"}}`: whether what was wanted as of that generation is
//! there. `GET /operations/{id}` reads it anew. Once a cluster is gone, its
//! operations are `done`, until its events are trimmed.
//!
//! | call | body or query | answer |
//! |---|---|---|
//! | `GET /clusters` | `?all=true` (operators) | 200 list of clusters |
//! | `GET /clusters/{id}` | `?wait_seconds=` | 200 cluster; waits until it is settled |
//! | `PATCH /clusters/{id}` | `{slaves}` or `{slaves_by}`, `wait_seconds?` | 200 cluster · 202 · 502 `change-refused` or `cluster-failed` |
//! | `POST /clusters/{id}/hosts` · `DELETE /clusters/{id}/hosts` | | one slave more · fewer; as `PATCH` |
//! | `DELETE /clusters/{id}` | `?hold=UUID&wait_seconds=` | 200 `{"deleted": true}` once seen to be gone · 200 `{"deleted": false, "holds_left": n}` · 202 cluster with `operation` · 502 `quarantined` |
//! | `PUT /clusters/{id}/lease` | `{seconds?, hold?}` | 200 cluster; without `seconds` the tenant's default |
//! | `GET /clusters/{id}/hosts` | | 200 `{"items": [{name, role, address?}]}` |
//! | `GET /clusters/{id}/outputs` | | 200 `{NAME: VALUE}` |
//! | `GET /clusters/{id}/events` | see below | |
//! | `PUT /clusters/{id}/grants/{user}` · `DELETE ...` | | 200 cluster |
//! | `POST /clusters/{id}/retry` | | 202 cluster with `operation` |
//! | `POST /clusters/{id}/adopt` | `{id, reason}` | 202 cluster with `operation`: what the site names so is ours |
//! | `POST /clusters/{id}/abandon` | `{reason}` | 200 `{"abandoned": true}` |
//! | `GET /clusters/{id}/history` | `?at=TIME` | 200 `{"cluster", "items": [{seq, at, what, by?, text}], "whole", "believed"?: {at, wanted, state, generation, incarnation, nodes?, site?, remote?, reason, let_go?, ended, holders: [{hold, user, until?}]}}`: what happened until then, and what was believed at that moment; also of a cluster that is gone |
//! | `POST /clusters/{id}/accounts` | | 201 account, or 200 the one the caller has |
//! | `GET /clusters/{id}/accounts` | | 200 `{"items": [{username, password, created}]}`: the caller's own |
//! | `GET /operations/{id}` | | 200 operation |
//! | `POST /plan` | as `POST /clusters` | 200 `{"considered": [...], "reuses"?: UUID, "grows"?: {from, to}, "refused"?: {status, code, detail, advice?, resource?}, "quota_left": {"clusters", "nodes"}}`: `refused` is what `POST /clusters` would answer now; a limit that does not exist is null. What is wrong with the request itself is answered as there |
//! | `GET /plan` | `?appliance=&slaves=&site=&reuse=` | the same |
//!
//! # Quarantine
//!
//! What the engine will not guess about waits for a person: a cluster, a node
//! of it, a node alone, an image's copy. It is shown with `"state":
//! "quarantined"` and a `reason`, counts in quotas, and has three ways out.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `GET /quarantine` | | 200 list of resources: those of the caller, or everybody's for operators |
//! | `GET /resources/{id}` | | 200 `{id, kind, name, tenant, site, state, wanted, generation, seen_generation, reason, nodes, part_of?, remote?, holds, created, updated}`; `remote` is for operators |
//! | `POST /resources/{id}/retry` | | 202 resource: what is in quarantine an operator tries again, what has failed who holds it |
//! | `POST /resources/{id}/adopt` | `{id, reason}` | 202 resource: what the site names so is its thing |
//! | `POST /resources/{id}/abandon` | `{reason}` | 200 `{"abandoned": true}` |
//!
//! Who did it, and why, stands in the events and the history.
//!
//! # Orphans
//!
//! | call | body | answer |
//! |---|---|---|
//! | `GET /orphans` | | 200 `{"items": [{manager, site, credential, credential_name, id, name, installation, resource, incarnation, generation, phase, stamp?, found?, age_seconds?, verdict, why}], "owned", "foreign", "skipped": [{manager, site, credential, credential_name, why}]}` |
//! | `POST /orphans/reclaim` | `{manager, site, credential, id, installation, resource, incarnation, generation, unheard?}` | 202 `{"reclaimed": "accepted"}` · 200 `{"reclaimed": "gone"}` · 409 `not-an-orphan` |
//!
//! For operators: what bears our mark at any site and is no record's. `verdict`
//! is `orphan`; `unheard` (this store knows nothing of it, so a store may have
//! been lost: reclaimed only with `"unheard": true`); `ambiguous` (a record may
//! still mean it: never reclaimed); or `going`. To reclaim is refused unless the
//! thing is as the report said, whole mark included. That it is gone shows in
//! the next report.
//!
//! # Callbacks
//!
//! | call | body | answer |
//! |---|---|---|
//! | `POST /callbacks` | `{url, prefix?}` | 201 `{id, url, prefix, user, state, after, failures, failing_since?, last_error?, ended?}` · 403 `too-many-callbacks` |
//! | `GET /callbacks` | | 200 list |
//! | `DELETE /callbacks/{id}` | | 204 |
//!
//! The tenant's events whose name begins with `prefix` are sent to `url` by
//! `POST`, in commit order and each at least once, as the JSON that `/events`
//! has; the first is `callback.added`. A receiver that does not answer with a
//! status of 200 to 299 within 10 s is tried again, ever later, for three days;
//! then the callback ends. `state` is `active`, `failing` or `ended`: one that
//! has ended stays in the list with its `last_error` until it is removed, and
//! the event `callback.ended` tells of it. Redirects are not followed. Which
//! addresses may be called is for the host to say; a refused one counts as a
//! receiver that does not answer, and `last_error` says so.
//!
//! # Events
//!
//! `GET /events` and `GET /clusters/{id}/events` answer `text/event-stream`:
//! `id:` the cursor, `event:` what (`cluster.ready`), `data:` `{"seq", "at",
//! "what", "tenant"?, "resource"?, "data"?}`. `Last-Event-ID` or `?after=SEQ`
//! begins behind that event; without either, `/events` begins now and those of
//! a cluster with its first. A comment every 15 s keeps the line open; the
//! stream ends when the service stops. With `Accept: application/json` the
//! answer is a list from `?after=` (0 where absent), `next` being the cursor.
//! A user hears of the tenant's clusters and of others while they are granted,
//! their end included; an operator of everything. Who may see a cluster reads
//! its history whole.
//!
//! Old events are trimmed, except those of clusters that are still there. A
//! stream whose cursor is older than what is kept begins with the event
//! `events.lost`, whose `id` is where it goes on and whose `data` has `{"code",
//! "after", "until", "detail", "advice"}`; a list is refused with 410
//! `events-lost`. The cursor 0 stands before the oldest event that is kept.

mod callbacks;
mod catalog;
mod clusters;
mod copies;
mod events;
mod history;
mod operations;
mod orphans;
mod quarantine;
mod resources;
mod schemas;
pub(crate) mod view;

use std::sync::Arc;

use rm_core::registry::Registries;
use rm_core::{Error, Result};

use crate::Parts;
use crate::agent::Agent;
use crate::door::{JsonContract, Param, ParamKind, Request};

pub use callbacks::callback_body;
pub use catalog::RestCatalog;
pub use resources::RestResources;

/// What the host brings.
#[derive(Debug, Clone, Default)]
pub struct RestOptions {
    /// Asks clusters for accounts; without it nobody gets one.
    pub agent: Option<Arc<dyn Agent>>,
}

/// Registers the adapters of the parts: `rest-catalog` and `rest-resources`.
///
/// # Errors
///
/// Where they are registered already.
pub fn register(registries: &mut Registries, parts: Parts, options: RestOptions) -> Result<()> {
    if parts.catalog {
        registries.adapter::<dyn JsonContract>(Arc::new(RestCatalog::new()))?;
    }
    if parts.resources {
        registries.adapter::<dyn JsonContract>(Arc::new(RestResources::new(options)))?;
    }
    Ok(())
}

/// Where a list goes on, and how long it may be.
pub(crate) const LIMIT: Param = Param {
    name: "limit",
    kind: ParamKind::Number(1, 500),
    summary: "How many at the most; 100 where absent",
};
pub(crate) const AFTER: Param = Param {
    name: "after",
    kind: ParamKind::Text(200),
    summary: "The cursor at which the page before ended",
};
pub(crate) const PAGE: &[Param] = &[LIMIT, AFTER];

/// The page that is asked for.
pub(crate) fn page(request: &Request) -> Result<(Option<rm_core::store::Cursor>, u32)> {
    let limit = request.number("limit").unwrap_or(100);
    let after = request
        .query("after")
        .map(|c| rm_core::store::Cursor(c.to_owned()));
    let limit = u32::try_from(limit).map_err(|_| Error::invalid("the limit is too large"))?;
    Ok((after, limit))
}
