//! Calls on an aggregate, by the time of the processor that they take the
//! server. One client calls, on one line that is kept.

use std::path::Path;
use std::time::Instant;

use reqwest::Client;
use rm_adapters::geni::xmlrpc::{Value, answer};
use serde_json::{Value as Json, json};

use super::authority::{Authority, Slice};
use super::server::Server;
use super::{Options, documents};
use benches::Result;
use benches::numbers::Samples;

/// What was measured of calls: milliseconds of the server's processor for each.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// GetVersion, which brings nothing that is verified, by the door as it is.
    pub(super) version: Samples,
    /// Status of a slice, its credential verified each time.
    pub(super) status: Samples,
    /// ListResources, the credential verified each time.
    pub(super) list: Samples,
    /// The same, by a server that remembers which credentials it has verified.
    pub(super) remembered: Samples,
    /// CreateSliver, by how many nodes.
    pub(super) created: Vec<Created>,
}

/// CreateSliver of so many nodes.
#[derive(Debug)]
pub(super) struct Created {
    pub(super) nodes: u32,
    /// Length of the request.
    bytes: u32,
    /// Milliseconds of the server's processor.
    pub(super) cpu: Samples,
    /// Milliseconds until it was answered.
    pub(super) answered: Samples,
}

pub(super) fn measure(folder: &Path, options: &Options) -> Result<Calls> {
    let authority = Authority::make()?;
    authority.keep(folder)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measured(folder, options, &authority))
}

async fn measured(folder: &Path, options: &Options, authority: &Authority) -> Result<Calls> {
    let mut calls = Calls::default();
    let verifying = Server::start(folder, "verifying.db", false)?;
    let remembering = Server::start(folder, "remembering.db", true)?;
    let each = Caller::of(authority, &verifying)?;
    let once = Caller::of(authority, &remembering)?;
    let kept = authority.slice("kept")?;
    each.creates(&kept, &documents::request(1, "lxc")).await?;

    let proof = Value::Array(vec![sfa(&authority.credential()?)]);
    let list = xml("ListResources", &[proof, rspec_version()]);
    let status = [
        Value::Array(vec![Value::text(kept.urn.as_str())]),
        Value::Array(vec![sfa(&kept.credential)]),
        none(),
    ];
    let status = xml("Status", &status);
    let version = xml("GetVersion", &[]);
    // The first round makes everything warm.
    for round in 0..=options.rounds {
        let times = options.calls;
        let taken = [
            once.repeats(3, &version, times).await?,
            each.repeats(3, &status, times).await?,
            each.repeats(3, &list, times).await?,
            once.repeats(3, &list, times).await?,
        ];
        if round > 0 {
            let [version, status, list, remembered] = taken;
            calls.version.push(version);
            calls.status.push(status);
            calls.list.push(list);
            calls.remembered.push(remembered);
        }
    }
    for nodes in options.sizes() {
        println!("CreateSliver of {nodes} nodes");
        let made = created(&each, authority, nodes, options.rounds).await?;
        calls.created.push(made);
    }
    Ok(calls)
}

/// Slices with so many nodes, each of another name.
async fn created(
    by: &Caller<'_>,
    authority: &Authority,
    nodes: u32,
    rounds: u32,
) -> Result<Created> {
    let request = documents::request(nodes, "lxc");
    // Small ones are made as often as takes the processor long enough to count.
    let times = (2_000 / nodes).clamp(1, 100);
    let mut made = Created {
        nodes,
        bytes: u32::try_from(request.len())?,
        cpu: Samples::default(),
        answered: Samples::default(),
    };
    for round in 0..=rounds {
        let slices = (0..times)
            .map(|n| authority.slice(&format!("s{nodes}-{round}-{n}")))
            .collect::<Result<Vec<_>>>()?;
        let (before, begun) = (by.server.cpu()?, Instant::now());
        for slice in &slices {
            by.creates(slice, &request).await?;
        }
        let answered = begun.elapsed().as_secs_f64() * 1e3;
        let cpu = by.server.cpu()? - before;
        if round > 0 {
            made.cpu.push(cpu / f64::from(times));
            made.answered.push(answered / f64::from(times));
        }
    }
    Ok(made)
}

/// A user of the authority, and the server that is called.
struct Caller<'a> {
    server: &'a Server,
    http: Client,
}

impl<'a> Caller<'a> {
    fn of(authority: &Authority, server: &'a Server) -> Result<Self> {
        Ok(Self {
            server,
            http: authority.client()?,
        })
    }

    /// The same call so many times: milliseconds of the server's processor for
    /// each.
    async fn repeats(&self, version: u8, call: &str, times: u32) -> Result<f64> {
        let before = self.server.cpu()?;
        for _ in 0..times {
            self.calls(version, call.to_owned()).await?;
        }
        Ok((self.server.cpu()? - before) / f64::from(times))
    }

    async fn creates(&self, slice: &Slice, request: &str) -> Result<()> {
        let call = xml(
            "CreateSliver",
            &[
                Value::text(slice.urn.as_str()),
                Value::Array(vec![sfa(&slice.credential)]),
                Value::text(request),
                Value::Array(Vec::new()),
                none(),
            ],
        );
        self.calls(2, call).await
    }

    /// One call, which goes well.
    async fn calls(&self, version: u8, call: String) -> Result<()> {
        let url = format!("{}/xmlrpc/am/{version}.0", self.server.url);
        let answered = self.http.post(url).body(call).send().await?;
        let text = answered.error_for_status()?.text().await?;
        let code = "geni_code</name>\n<value><int>";
        match text
            .split_once(code)
            .map(|(_, rest)| rest.starts_with("0<"))
        {
            Some(true) => Ok(()),
            _ => Err(format!("a call is refused: {}", head(&text)).into()),
        }
    }
}

/// What an error has room for.
fn head(text: &str) -> String {
    text.chars().take(2_000).collect()
}

fn none() -> Value {
    Value::Struct(Vec::new())
}

fn sfa(credential: &str) -> Value {
    Value::of([
        ("geni_type", Value::text("geni_sfa")),
        ("geni_version", Value::text("3")),
        ("geni_value", Value::text(credential)),
    ])
}

fn rspec_version() -> Value {
    let version = Value::of([("type", Value::text("GENI")), ("version", Value::text("3"))]);
    Value::of([("geni_rspec_version", version)])
}

/// A call: its arguments are written as answers are.
fn xml(method: &str, arguments: &[Value]) -> String {
    let mut text =
        format!("<?xml version='1.0'?>\n<methodCall><methodName>{method}</methodName><params>");
    for argument in arguments {
        let answer = answer(argument);
        let inside = answer
            .split_once("<params>")
            .and_then(|(_, rest)| rest.rsplit_once("</params>"));
        text.push_str(inside.map_or("", |(param, _)| param));
    }
    text.push_str("</params></methodCall>\n");
    text
}

/// How many there are in a second of the server's processor.
pub(super) fn per_second(milliseconds: &Samples) -> f64 {
    1e3 / milliseconds.median()
}

impl Calls {
    pub(super) fn json(&self) -> Json {
        let created = self.created.iter().map(|made| {
            json!({
                "nodes": made.nodes,
                "bytes": made.bytes,
                "server_cpu_ms": made.cpu,
                "answered_ms": made.answered,
            })
        });
        json!({
            "get_version_ms": self.version,
            "status_ms": self.status,
            "list_resources_ms": self.list,
            "list_resources_remembered_ms": self.remembered,
            "create_sliver": created.collect::<Vec<_>>(),
        })
    }

    /// One call each.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let head = ["call", "server CPU, ms", "a second of it"];
        let rows = [
            ("GetVersion", &self.version),
            ("Status, verified whole", &self.status),
            ("ListResources of 20 nodes, verified whole", &self.list),
            ("the same, credential remembered", &self.remembered),
        ]
        .map(|(name, samples)| {
            vec![
                name.to_owned(),
                format!("{:.3}", samples.median()),
                format!("{:.0}", per_second(samples)),
            ]
        });
        std::iter::once(head.map(str::to_owned).to_vec())
            .chain(rows)
            .collect()
    }

    /// How it grows.
    pub(super) fn growth(&self) -> Vec<Vec<String>> {
        let head = [
            "CreateSliver, nodes",
            "KiB",
            "server CPU, ms",
            "a node, ms",
            "answered after, ms",
        ];
        let rows = self.created.iter().map(|made| {
            vec![
                made.nodes.to_string(),
                format!("{:.0}", f64::from(made.bytes) / 1024.0),
                format!("{:.2}", made.cpu.median()),
                format!("{:.4}", made.cpu.median() / f64::from(made.nodes)),
                format!("{:.2}", made.answered.median()),
            ]
        });
        std::iter::once(head.map(str::to_owned).to_vec())
            .chain(rows)
            .collect()
    }
}
