//! The lab's cloud: where it is, who may use it, and what it was asked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::Result;

/// One account on the lab's cloud.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Account {
    pub(super) auth_url: String,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) project_name: String,
}

#[derive(Debug, Deserialize)]
struct Clouds {
    clouds: BTreeMap<String, Cloud>,
}

#[derive(Debug, Deserialize)]
struct Cloud {
    auth: Account,
}

/// How long a line of the access log may take to appear.
const LINE: Duration = Duration::from_secs(10);

/// The folder of a lab.
#[derive(Debug)]
pub(super) struct Lab {
    dir: PathBuf,
    pub(super) account: Account,
    http: reqwest::Client,
    stamps: AtomicU32,
}

/// What Heat was asked after this is counted.
#[derive(Debug)]
pub(super) struct Mark {
    /// Where the log ended.
    at: usize,
    /// Heat's address.
    heat: String,
}

/// One line of an access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) status: u16,
}

impl Lab {
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let file = dir.join("clouds.yaml");
        let text =
            std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let mut clouds: Clouds = serde_saphyr::from_str(&text)
            .map_err(|_| format!("{} is not what the lab writes", file.display()))?;
        let cloud = clouds
            .clouds
            .remove("oslab")
            .ok_or("the lab has no cloud oslab")?;
        Ok(Self {
            dir: dir.to_owned(),
            account: cloud.auth,
            http: reqwest::Client::new(),
            stamps: AtomicU32::new(0),
        })
    }

    pub(super) fn clouds(&self) -> PathBuf {
        self.dir.join("clouds.yaml")
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log/heat.access.log")
    }

    /// Begins to count what this Heat is asked.
    pub(super) async fn mark(&self, heat: &str) -> Result<Mark> {
        let heat = heat.to_owned();
        let at = self.stamped(&heat).await?.len();
        Ok(Mark { at, heat })
    }

    /// What Heat was asked since then.
    pub(super) async fn since(&self, mark: Mark) -> Result<Vec<Call>> {
        let log = self.stamped(&mark.heat).await?;
        let calls = log[mark.at.min(log.len())..].lines().filter_map(line);
        Ok(calls.filter(|call| !call.is_stamp()).collect())
    }

    /// The log, complete up to now. A line is written after its answer, so
    /// something that nobody else asks for is asked, and its line waited for;
    /// twice, so that another thread of Heat's that has answered already has
    /// all that time to write its own line.
    async fn stamped(&self, heat: &str) -> Result<String> {
        let mut log = String::new();
        for _ in 0..2 {
            let n = self.stamps.fetch_add(1, Ordering::Relaxed);
            let stamp = format!("{STAMP}{}-{n}", std::process::id());
            self.http.get(format!("{heat}/{stamp}")).send().await?;
            let begun = Instant::now();
            loop {
                let bytes = tokio::fs::read(self.log()).await?;
                log = String::from_utf8_lossy(&bytes).into_owned();
                if log.lines().rev().any(|l| l.contains(&stamp)) && log.ends_with('\n') {
                    break;
                }
                if begun.elapsed() > LINE {
                    return Err("Heat's access log lacks what it was asked just now".into());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Ok(log)
    }
}

/// What only we ask for.
const STAMP: &str = "bench-stamp-";

/// `time method path status bytes seconds`.
fn line(line: &str) -> Option<Call> {
    let mut words = line.split(' ').skip(1);
    Some(Call {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        status: words.next()?.parse().ok()?,
    })
}

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// `POST /stacks`.
    Create,
    /// A list, which may show many stacks.
    List,
    /// One stack, without its outputs.
    Look,
    /// One stack, with its outputs.
    Outputs,
    Redirect,
    Other,
}

impl Call {
    fn is_stamp(&self) -> bool {
        self.path.contains(STAMP)
    }

    pub(super) fn purpose(&self) -> Purpose {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        // v1, the project, stacks, and then the stack's own names.
        let parts = path.split('/').filter(|p| !p.is_empty()).count();
        match (self.method.as_str(), self.status, parts) {
            (_, 300..=399, _) => Purpose::Redirect,
            ("POST", _, 3) => Purpose::Create,
            ("GET", _, 3) => Purpose::List,
            ("GET", _, 4 | 5) if query.contains("resolve_outputs=False") => Purpose::Look,
            ("GET", _, 4 | 5) => Purpose::Outputs,
            _ => Purpose::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_apart() {
        let purpose = |text: &str| line(text).unwrap().purpose();
        assert_eq!(purpose("1.2 POST /v1/p/stacks 201 10 0.1"), Purpose::Create);
        assert_eq!(
            purpose("1.2 GET /v1/p/stacks?id=a 200 10 0.1"),
            Purpose::List
        );
        assert_eq!(
            purpose("1.2 GET /v1/p/stacks/n/i?resolve_outputs=False 200 10 0.1"),
            Purpose::Look
        );
        assert_eq!(
            purpose("1.2 GET /v1/p/stacks/n/i 200 10 0.1"),
            Purpose::Outputs
        );
        assert_eq!(
            purpose("1.2 GET /v1/p/stacks/i 302 10 0.1"),
            Purpose::Redirect
        );
        assert_eq!(
            purpose("1.2 DELETE /v1/p/stacks/n/i 204 0 0.1"),
            Purpose::Other
        );
        assert_eq!(line("half a line"), None);
    }
}
