//! Containers from the request to the running thing with its address, and the
//! tools of LXC doing the same: `lxc-copy` of a container that is there, as an
//! overlay, an address, `lxc-start`.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use super::Options;
use super::lab::Lab;
use super::program::Program;
use super::tools::tool;
use benches::Result;
use benches::numbers::Samples;

/// So many are made at once.
const AT_ONCE: u32 = 8;

/// What is cloned.
const BASE: &str = "bench-base";

/// Milliseconds, round by round.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub(crate) many: Samples,
    pub(crate) many_by_tools: Samples,
    pub(crate) one: Samples,
    pub(crate) one_by_tools: Samples,
}

/// Clones by the tools, below a path of their own.
struct Clones {
    path: PathBuf,
    subnet: String,
}

impl Clones {
    /// Unpacks the same image, and writes a container around it.
    fn prepare(lab: &Lab) -> Result<Self> {
        let path = lab.path().with_extension("tools");
        let rootfs = path.join(BASE).join("rootfs");
        std::fs::create_dir_all(&rootfs)?;
        let archive = lab.text("/image/archive");
        let unpacked = std::process::Command::new("tar")
            .args(["-xzf", &archive, "-C"])
            .arg(&rootfs)
            .status()?;
        if !unpacked.success() {
            return Err(format!("{archive} cannot be unpacked").into());
        }
        let config = format!(
            "lxc.include = /usr/share/lxc/config/common.conf\nlxc.uts.name = {BASE}\n\
             lxc.rootfs.path = dir:{}\nlxc.apparmor.profile = unconfined\n\
             lxc.net.0.type = veth\nlxc.net.0.link = {}\nlxc.net.0.flags = up\n\
             lxc.net.0.name = eth0\n",
            rootfs.display(),
            lab.text("/bridge")
        );
        std::fs::write(path.join(BASE).join("config"), config)?;
        let first = lab.text("/ipv4/first");
        let (subnet, _) = first.rsplit_once('.').ok_or("an odd address")?;
        Ok(Self {
            path,
            subnet: subnet.to_owned(),
        })
    }

    /// One container, running.
    fn make(&self, number: u32) -> Result<()> {
        let name = format!("bench-{number}");
        let copied = ["-n", BASE, "-s", "-B", "overlay", "-N", &name];
        tool("lxc-copy", &self.path, &copied)?;
        let config = self.path.join(&name).join("config");
        let mut config = std::fs::OpenOptions::new().append(true).open(config)?;
        writeln!(
            config,
            "lxc.net.0.ipv4.address = {}.{}/24",
            self.subnet,
            100 + number
        )?;
        tool("lxc-start", &self.path, &["-n", &name]).map(drop)
    }

    fn unmake(&self, number: u32) -> Result<()> {
        let name = format!("bench-{number}");
        tool("lxc-stop", &self.path, &["-n", &name, "-k"])?;
        tool("lxc-destroy", &self.path, &["-n", &name]).map(drop)
    }
}

impl Drop for Clones {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(&self.path)
            .into_iter()
            .flatten()
            .flatten()
        {
            if let Some(name) = entry.file_name().to_str() {
                let _ = tool("lxc-stop", &self.path, &["-n", name, "-k"]);
            }
        }
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

pub(crate) async fn measure(options: &Options, lab: &Lab) -> Result<Made> {
    let clones = Arc::new(Clones::prepare(lab)?);
    let program = Program::start(&options.folder, lab.containers()).await?;
    // The image is unpacked, connections and caches are warm.
    let warm = program.nodes(2).await?;
    let warm: Vec<_> = warm.into_iter().map(|(id, _)| id).collect();
    program.end(&warm).await?;
    by_tools(&clones, 2).await?;
    let mut made = Made::default();
    for round in 0..options.rounds {
        for many in [true, false] {
            let count = if many { options.containers } else { 1 };
            let (ours, theirs) = match many {
                true => (&mut made.many, &mut made.many_by_tools),
                false => (&mut made.one, &mut made.one_by_tools),
            };
            // Who comes first changes from round to round.
            if round % 2 == 0 {
                ours.push(by_us(&program, count).await?);
                theirs.push(by_tools(&clones, count).await?);
            } else {
                theirs.push(by_tools(&clones, count).await?);
                ours.push(by_us(&program, count).await?);
            }
        }
    }
    Ok(made)
}

/// From the requests, made at once, until all are ready with their addresses.
async fn by_us(program: &Program, count: u32) -> Result<f64> {
    let mut events = program.events().await?;
    let begun = Instant::now();
    let asks = (0..count).map(|_| program.ask());
    let ids = futures_util::future::try_join_all(asks).await?;
    program.until(&mut events, &ids, "ready").await?;
    let took = begun.elapsed().as_secs_f64() * 1e3;
    for id in &ids {
        let view = program.get(*id).await?.view()?;
        if view.interfaces.iter().all(|nic| nic.addresses.is_empty()) {
            return Err(format!("{id} has no address").into());
        }
    }
    program.end(&ids).await?;
    Ok(took)
}

/// The same by the tools.
async fn by_tools(clones: &Arc<Clones>, count: u32) -> Result<f64> {
    let each = |work: fn(&Clones, u32) -> Result<()>| {
        let next = Arc::new(AtomicU32::new(0));
        let workers = (0..AT_ONCE.min(count)).map(move |_| {
            let (clones, next) = (Arc::clone(clones), Arc::clone(&next));
            tokio::task::spawn_blocking(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return Ok::<_, benches::Error>(());
                    }
                    work(&clones, number)?;
                }
            })
        });
        futures_util::future::join_all(workers)
    };
    let begun = Instant::now();
    for done in each(Clones::make).await {
        done??;
    }
    let took = begun.elapsed().as_secs_f64() * 1e3;
    for done in each(Clones::unmake).await {
        done??;
    }
    Ok(took)
}

impl Made {
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let head = ["ms", "ours", "tools", "ours / tools"].map(str::to_owned);
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
            row("many", &self.many, &self.many_by_tools),
            row("one", &self.one, &self.one_by_tools),
        ]
    }

    pub(crate) fn json(&self) -> Value {
        let pair = |ours: &Samples, theirs: &Samples| json!({"ours_ms": ours, "tools_ms": theirs, "ratio": ours.ratio(theirs)});
        json!({
            "many": pair(&self.many, &self.many_by_tools),
            "one": pair(&self.one, &self.one_by_tools),
            "at_once": AT_ONCE,
        })
    }
}
