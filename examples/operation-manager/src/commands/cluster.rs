//! Clusters.

use rm_core::ResourceId;
use serde_json::{Value, json};

use crate::cli::{ClusterCommand, Create, Wait};
use crate::client::{Answer, Client, quote};
use crate::failure::{Failure, Result};
use crate::output::{Output, cell};

use super::progress::Bar;
use super::wait::{self, Ear};
use super::{events, request};

mod show;

pub(super) async fn run(client: &Client, out: Output, command: ClusterCommand) -> Result<()> {
    match command {
        ClusterCommand::Create(create) => self::create(client, out, &create).await,
        ClusterCommand::List { all } => {
            let path = if all {
                "/clusters?all=true"
            } else {
                "/clusters"
            };
            let clusters = client.list(path).await?;
            out.list(&clusters, show::COLUMNS, "There is no cluster.")
        }
        ClusterCommand::Show { cluster } => {
            let id = find(client, &cluster).await?;
            let cluster = client.get(&format!("/clusters/{id}")).await?;
            out.show(&cluster, show::one)
        }
        ClusterCommand::Resize {
            cluster,
            slaves,
            wait,
        } => {
            let id = find(client, &cluster).await?;
            resize(client, out, &id, &slaves, &wait).await
        }
        ClusterCommand::Renew {
            cluster,
            lease,
            hold,
        } => {
            let id = find(client, &cluster).await?;
            let mut body = lease.map_or(json!({}), |d| json!({"seconds": d.as_secs()}));
            if let Some(hold) = hold {
                body["hold"] = Value::from(hold);
            }
            let path = format!("/clusters/{id}/lease");
            out.show(&client.put(&path, Some(&body)).await?, show::one)
        }
        ClusterCommand::Delete {
            cluster,
            hold,
            all_holds,
            wait,
        } => {
            let id = find(client, &cluster).await?;
            let holds = match (hold, all_holds) {
                (Some(hold), _) => vec![hold],
                (None, true) => own_holds(client, &id).await?,
                (None, false) => Vec::new(),
            };
            delete(client, out, &id, &holds, &wait).await
        }
        ClusterCommand::Events { cluster, follow } => {
            let id = find(client, &cluster).await?;
            events::of(client, out, &id, follow).await
        }
        ClusterCommand::Share { cluster, user } => {
            let id = find(client, &cluster).await?;
            let path = format!("/clusters/{id}/grants/{}", quote(&user));
            out.show(&client.put(&path, None).await?, show::one)
        }
        ClusterCommand::Unshare { cluster, user } => {
            let id = find(client, &cluster).await?;
            let path = format!("/clusters/{id}/grants/{}", quote(&user));
            out.show(&client.delete(&path).await?.body, show::one)
        }
        ClusterCommand::Retry { cluster, wait } => {
            let id = find(client, &cluster).await?;
            let path = format!("/clusters/{id}/retry");
            go_on(client, out, &id, (&path, json!({})), &wait).await
        }
        ClusterCommand::Adopt {
            cluster,
            remote,
            reason,
            wait,
        } => {
            let id = find(client, &cluster).await?;
            let path = format!("/clusters/{id}/adopt");
            let body = json!({"id": remote, "reason": reason});
            go_on(client, out, &id, (&path, body), &wait).await
        }
        ClusterCommand::Abandon { cluster, reason } => {
            let id = find(client, &cluster).await?;
            let path = format!("/clusters/{id}/abandon");
            let done = client.post(&path, &json!({"reason": reason})).await?;
            out.show(&done, |_| {
                format!(
                    "cluster {id} is forgotten; what is left of it at its site is yours to remove"
                )
            })
        }
        ClusterCommand::Hosts { cluster } => {
            let id = find(client, &cluster).await?;
            let mut hosts = client.get(&format!("/clusters/{id}/hosts")).await?;
            let hosts = hosts["items"].take();
            let hosts = hosts.as_array().map(Vec::as_slice).unwrap_or_default();
            out.list(hosts, show::HOSTS, "It has no hosts yet.")
        }
        ClusterCommand::Outputs { cluster } => {
            let id = find(client, &cluster).await?;
            let outputs = client.get(&format!("/clusters/{id}/outputs")).await?;
            out.show(&outputs, show::outputs)
        }
        ClusterCommand::Account { cluster, reveal } => {
            let id = find(client, &cluster).await?;
            let path = format!("/clusters/{id}/accounts");
            let account = client.post(&path, &json!({})).await?;
            out.show(&account, |account| show::account(account, reveal))
        }
    }
}

/// A cluster's id; by its name where only one has it.
pub(super) async fn find(client: &Client, wanted: &str) -> Result<String> {
    if let Ok(id) = wanted.parse::<ResourceId>() {
        return Ok(id.to_string());
    }
    let clusters = client.list("/clusters").await?;
    let ids: Vec<String> = clusters
        .iter()
        .filter(|c| c["name"] == wanted)
        .map(|c| cell(&c["id"]))
        .collect();
    match ids.as_slice() {
        [id] => Ok(id.clone()),
        [] => Err(Failure::refused(format!("you have no cluster {wanted:?}"))
            .advice("list those you have: cluster list")),
        several => Err(Failure::refused(format!(
            "{} of your clusters are called {wanted:?}",
            several.len()
        ))
        .advice(format!("say which one: {}", several.join(", ")))),
    }
}

async fn create(client: &Client, out: Output, create: &Create) -> Result<()> {
    let mut headers = vec![wait::AT_ONCE];
    if let Some(key) = &create.idempotency_key {
        headers.push(("idempotency-key", key));
    }
    let body = request::body(&create.request);
    let mut ear = Ear::new(client).await;
    let answer = client
        .call(reqwest::Method::POST, "/clusters", Some(&body), &headers)
        .await?;
    let bar = Bar::spinner(out, &create.request.appliance);
    let id = cell(&answer.body["id"]);
    let verb = match answer.body["reused"] == true {
        true => "uses",
        false => "makes",
    };
    bar.line(&format!(
        "{verb} cluster {id} at {}",
        cell(&answer.body["site"])
    ));
    let cluster = follow(client, &mut ear, &bar, answer, &id, &create.wait).await?;
    bar.done();
    out.show(&cluster, show::one)
}

/// Waits for what an answer left under way and reads the cluster once more,
/// keeping what only the answer said.
async fn follow(
    client: &Client,
    ear: &mut Ear<'_>,
    bar: &Bar,
    answer: Answer,
    id: &str,
    wait: &Wait,
) -> Result<Value> {
    let operation = wait::under_way(&answer);
    let (Some(operation), false) = (operation, wait.no_wait) else {
        return Ok(answer.body);
    };
    wait::over(ear, bar, id, &operation, wait.timeout).await?;
    let mut cluster = client.get(&format!("/clusters/{id}")).await?;
    for key in ["hold", "reused", "considered"] {
        if let Some(said) = answer.body.get(key) {
            cluster[key] = said.clone();
        }
    }
    Ok(cluster)
}

async fn resize(client: &Client, out: Output, id: &str, slaves: &str, wait: &Wait) -> Result<()> {
    let body = match size(slaves) {
        Some(Size::To(n)) => json!({"slaves": n}),
        Some(Size::By(n)) => json!({"slaves_by": n}),
        None => {
            return Err(Failure::usage(format!("{slaves:?} is not a size"))
                .advice("write 5 for five slaves, +1 or -1 for one more or fewer"));
        }
    };
    let mut ear = Ear::new(client).await;
    let path = format!("/clusters/{id}");
    let answer = client
        .call(reqwest::Method::PATCH, &path, Some(&body), &[wait::AT_ONCE])
        .await?;
    let bar = Bar::spinner(out, "resize");
    let cluster = follow(client, &mut ear, &bar, answer, id, wait).await?;
    bar.done();
    out.show(&cluster, show::one)
}

/// Asks for something after which the cluster goes on, and waits for it.
async fn go_on(
    client: &Client,
    out: Output,
    id: &str,
    (path, body): (&str, Value),
    wait: &Wait,
) -> Result<()> {
    let mut ear = Ear::new(client).await;
    let answer = client
        .call(reqwest::Method::POST, path, Some(&body), &[wait::AT_ONCE])
        .await?;
    let bar = Bar::spinner(out, "cluster");
    let cluster = follow(client, &mut ear, &bar, answer, id, wait).await?;
    bar.done();
    out.show(&cluster, show::one)
}

/// The caller's holds on a cluster.
async fn own_holds(client: &Client, id: &str) -> Result<Vec<String>> {
    let cluster = client.get(&format!("/clusters/{id}")).await?;
    let holds = cluster["holds"].as_array().into_iter().flatten();
    Ok(holds
        .filter(|h| h["mine"] == true)
        .map(|h| cell(&h["id"]))
        .collect())
}

/// Gives up these holds, or the only one there is.
async fn delete(
    client: &Client,
    out: Output,
    id: &str,
    holds: &[String],
    wait: &Wait,
) -> Result<()> {
    let mut ear = Ear::new(client).await;
    let release = async |query: &str| {
        let path = format!("/clusters/{id}{query}");
        client
            .call(reqwest::Method::DELETE, &path, None, &[wait::AT_ONCE])
            .await
    };
    let answer = match holds.split_last() {
        None => release("").await?,
        Some((last, others)) => {
            for hold in others {
                release(&format!("?hold={}", quote(hold))).await?;
            }
            release(&format!("?hold={}", quote(last))).await?
        }
    };
    let bar = Bar::spinner(out, "delete");
    let done = match wait::under_way(&answer) {
        None => answer.body,
        Some(_) if wait.no_wait => json!({"deleted": false, "id": id, "under_way": true}),
        Some(operation) => {
            wait::over(&mut ear, &bar, id, &operation, wait.timeout).await?;
            json!({"deleted": true, "id": id})
        }
    };
    bar.done();
    out.show(&done, |done| {
        if done["deleted"] == true {
            format!("cluster {id} is gone")
        } else if done["under_way"] == true {
            format!("cluster {id} is being deleted")
        } else {
            format!(
                "your hold on cluster {id} is given up; {} are left and keep it",
                cell(&done["holds_left"])
            )
        }
    })
}

enum Size {
    To(u32),
    By(i64),
}

fn size(text: &str) -> Option<Size> {
    if text.starts_with(['+', '-']) {
        return text.parse().ok().map(Size::By);
    }
    text.parse().ok().map(Size::To)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_means_more_or_fewer() {
        assert!(matches!(size("5"), Some(Size::To(5))));
        assert!(matches!(size("+1"), Some(Size::By(1))));
        assert!(matches!(size("-2"), Some(Size::By(-2))));
        assert!(size("x").is_none());
        assert!(size("").is_none());
    }
}
