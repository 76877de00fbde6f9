//! Machines of Xen from the request to the running one and from the release to
//! nothing, and the bare calls that do the same: the same XML defined and
//! started, then destroyed and undefined, by a connection that is kept.

use std::path::Path;
use std::time::Instant;

use rm_libvirt::{
    Client, Config, CreateFlags, DestroyFlags, Domain, UndefineFlags, Uuid, XmlFlags,
};
use serde_json::{Value, json};

use super::lab::Place;
use super::program::Program;
use benches::Result;
use benches::numbers::Samples;

/// What the bare calls make.
const NAME: &str = "bench-bare";

/// Milliseconds, round by round.
#[derive(Debug, Default)]
pub(crate) struct Machines {
    pub(crate) made: Samples,
    pub(crate) made_barely: Samples,
    pub(crate) gone: Samples,
    pub(crate) gone_barely: Samples,
}

pub(crate) async fn measure(folder: &Path, place: Place, rounds: u32) -> Result<Machines> {
    let (client, connection) = Client::new(Config::new(place.address.parse()?));
    tokio::spawn(connection.run());
    let program = Program::start(folder, place).await?;
    // The kernel is brought, connections and caches are warm.
    let mut nodes = program.nodes(1).await?;
    let (warm, name) = nodes.pop().ok_or("no machine")?;
    let xml = same(&client, &name).await?;
    program.end(&[warm]).await?;
    let mut machines = Machines::default();
    machines.barely(&client, &xml).await?;
    machines = Machines::default();
    for round in 0..rounds {
        // Who comes first changes from round to round.
        if round % 2 == 0 {
            machines.by_us(&program).await?;
            machines.barely(&client, &xml).await?;
        } else {
            machines.barely(&client, &xml).await?;
            machines.by_us(&program).await?;
        }
    }
    Ok(machines)
}

/// The XML of a machine of ours, for another one.
async fn same(client: &Client, name: &str) -> Result<String> {
    let domain = client.domain_by_name(name).await?;
    let xml = client.xml(&domain, XmlFlags::INACTIVE).await?;
    let own = |uuid: Uuid| format!("<uuid>{uuid}</uuid>");
    Ok(xml.replace(&own(domain.uuid), "").replace(name, NAME))
}

impl Machines {
    async fn by_us(&mut self, program: &Program) -> Result<()> {
        let mut events = program.events().await?;
        let begun = Instant::now();
        let ids = [program.ask().await?];
        program.until(&mut events, &ids, "ready").await?;
        self.made.push(begun.elapsed().as_secs_f64() * 1e3);
        let begun = Instant::now();
        program.end(&ids).await?;
        self.gone.push(begun.elapsed().as_secs_f64() * 1e3);
        Ok(())
    }

    async fn barely(&mut self, client: &Client, xml: &str) -> Result<()> {
        let begun = Instant::now();
        let domain: Domain = client.define_xml(xml).await?;
        let domain = client.create(&domain, CreateFlags::default()).await?;
        self.made_barely.push(begun.elapsed().as_secs_f64() * 1e3);
        let begun = Instant::now();
        client.destroy(&domain, DestroyFlags::default()).await?;
        client
            .undefine(&domain, UndefineFlags::MANAGED_SAVE)
            .await?;
        self.gone_barely.push(begun.elapsed().as_secs_f64() * 1e3);
        Ok(())
    }

    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let head = ["ms", "ours", "calls", "ours / calls"].map(str::to_owned);
        let row = |what: &str, ours: &Samples, theirs: &Samples| {
            vec![
                what.to_owned(),
                format!("{:.0}", ours.median()),
                format!("{:.0}", theirs.median()),
                format!("{:.2}", ours.ratio(theirs)),
            ]
        };
        vec![
            head.to_vec(),
            row("made", &self.made, &self.made_barely),
            row("gone", &self.gone, &self.gone_barely),
        ]
    }

    pub(crate) fn json(&self) -> Value {
        let pair = |ours: &Samples, theirs: &Samples| json!({"ours_ms": ours, "calls_ms": theirs, "ratio": ours.ratio(theirs)});
        json!({
            "made": pair(&self.made, &self.made_barely),
            "gone": pair(&self.gone, &self.gone_barely),
        })
    }
}
