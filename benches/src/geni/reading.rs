//! Documents, read by us, by a bare pass of the same XML reader, and by
//! geni-lib.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use quick_xml::events::Event;
use quick_xml::reader::NsReader;
use rm_adapters::geni::rspec::Rspec;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use super::{Options, documents};
use benches::Result;
use benches::numbers::Samples;
use benches::status;

/// What was measured of one size: milliseconds of the processor.
#[derive(Debug)]
pub(super) struct Size {
    pub(super) nodes: u32,
    bytes: f64,
    pub(super) request: Samples,
    pub(super) advertisement: Samples,
    pub(super) bare: Samples,
    pub(super) printed: Samples,
    pub(super) geni_lib: Option<Samples>,
    /// The most memory that reading took, with the document, over its length.
    pub(super) memory: f64,
    /// The same of the request.
    pub(super) memory_of_request: f64,
}

pub(super) fn measure(folder: &Path, options: &Options) -> Result<Vec<Size>> {
    options
        .sizes()
        .map(|nodes| {
            println!("documents of {nodes} nodes");
            one_size(folder, options, nodes)
        })
        .collect()
}

fn one_size(folder: &Path, options: &Options, nodes: u32) -> Result<Size> {
    let file = folder.join(format!("advertisement-{nodes}.xml"));
    let advertisement = documents::advertisement(nodes);
    let request = documents::request(nodes, "emulab-xen");
    fs::write(&file, &advertisement)?;
    let mut size = Size {
        nodes,
        bytes: f64::from(u32::try_from(advertisement.len())?),
        request: Samples::default(),
        advertisement: Samples::default(),
        bare: Samples::default(),
        printed: Samples::default(),
        geni_lib: None,
        memory: f64::NAN,
        memory_of_request: f64::NAN,
    };
    // Short documents are read as often as makes as long a time as a large one.
    let times = (10_000 / nodes).clamp(1, 200);
    // The first round makes everything warm.
    for round in 0..=options.rounds {
        let bare = cpu(times, || bare(&advertisement))?;
        let ours = cpu(times, || Ok(Rspec::parse(&advertisement)?))?;
        let asked = cpu(times, || Ok(Rspec::parse(&request)?))?;
        let read = Rspec::parse(&advertisement)?;
        let printed = cpu(times, || Ok(read.print()))?;
        if round > 0 {
            size.bare.push(bare);
            size.advertisement.push(ours);
            size.request.push(asked);
            size.printed.push(printed);
        }
    }
    let most: f64 = serde_json::from_str(&this(&file)?)?;
    size.memory = most / size.bytes;
    let asked = folder.join(format!("request-{nodes}.xml"));
    fs::write(&asked, &request)?;
    let most: f64 = serde_json::from_str(&this(&asked)?)?;
    size.memory_of_request = most / f64::from(u32::try_from(request.len())?);
    if let Some(python) = &options.python {
        size.geni_lib = Some(by_geni_lib(python, &file)?);
    }
    Ok(size)
}

/// Milliseconds of this thread's processor for one of so many times.
fn cpu<T>(times: u32, mut work: impl FnMut() -> Result<T>) -> Result<f64> {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        #[expect(clippy::cast_precision_loss, reason = "seconds and their parts")]
        let ms = time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6;
        ms
    };
    let begun = now();
    for _ in 0..times {
        std::hint::black_box(work()?);
    }
    Ok((now() - begun) / f64::from(times))
}

/// Only what there is, with its namespace; nothing is kept.
fn bare(text: &str) -> Result<usize> {
    let mut reader = NsReader::from_str(text);
    let mut found = 0;
    loop {
        match reader.read_resolved_event()? {
            (_, Event::Eof) => return Ok(found),
            (_, Event::Start(_) | Event::Empty(_)) => found += 1,
            _ => {}
        }
    }
}

/// Reads a document in a process of its own: bytes of memory at the most,
/// beyond those that the process has anyway.
fn this(file: &Path) -> Result<String> {
    let output = Command::new(std::env::current_exe()?)
        .arg("read")
        .arg(file)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("a measuring process failed: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// What [`this`] starts.
pub(super) fn read_one(file: &Path) -> Result<()> {
    let before = status::resident()?;
    let text = fs::read_to_string(file)?;
    let rspec = Rspec::parse(&text)?;
    println!("{}", status::most_resident()? - before);
    drop((rspec, text));
    Ok(())
}

/// Milliseconds of the processor, as Python counts them.
fn by_geni_lib(python: &Path, file: &Path) -> Result<Samples> {
    let output = Command::new(python)
        .arg("-c")
        .arg(include_str!("../../python/geni_lib_reads.py"))
        .arg(file)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("geni-lib failed: {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

impl Size {
    pub(super) fn json(&self) -> Value {
        json!({
            "nodes": self.nodes,
            "bytes": self.bytes,
            "request_ms": self.request,
            "advertisement_ms": self.advertisement,
            "bare_pass_ms": self.bare,
            "print_ms": self.printed,
            "geni_lib_ms": self.geni_lib,
            "memory_to_document": self.memory,
            "memory_to_request": self.memory_of_request,
        })
    }
}

pub(super) fn rows(sizes: &[Size]) -> Vec<Vec<String>> {
    let head = [
        "nodes",
        "KiB",
        "ad, ms",
        "bare pass, ms",
        "ours / bare",
        "print, ms",
        "request, ms",
        "geni-lib, ms",
        "memory / document",
        "memory / request",
    ];
    let rows = sizes.iter().map(|size| {
        vec![
            size.nodes.to_string(),
            format!("{:.0}", size.bytes / 1024.0),
            format!("{:.3}", size.advertisement.median()),
            format!("{:.3}", size.bare.median()),
            format!("{:.2}", size.advertisement.ratio(&size.bare)),
            format!("{:.3}", size.printed.median()),
            format!("{:.3}", size.request.median()),
            size.geni_lib.as_ref().map_or_else(
                || "-".to_owned(),
                |theirs| format!("{:.1}", theirs.median()),
            ),
            format!("{:.1}", size.memory),
            format!("{:.1}", size.memory_of_request),
        ]
    });
    std::iter::once(head.map(str::to_owned).to_vec())
        .chain(rows)
        .collect()
}
