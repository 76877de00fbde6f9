//! What this machine has and what of it is free.

use std::path::Path;

use crate::driver::{Error, Host, Result};

/// As the kernel tells.
pub(super) fn facts(path: &Path) -> Result<Host> {
    let text = std::fs::read_to_string("/proc/meminfo")
        .map_err(|e| Error::Unavailable(format!("/proc/meminfo cannot be read: {e}")))?;
    let mib = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        let kib: u64 = line
            .trim_start_matches(':')
            .split_whitespace()
            .next()?
            .parse()
            .ok()?;
        Some(kib / 1024)
    };
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Host {
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
        memory_mib: mib("MemTotal").unwrap_or(0),
        free_memory_mib: mib("MemAvailable").unwrap_or(0),
        free_disk_mib: free_disk(path),
    })
}

/// Where the path is not made yet, that of what it will be in.
fn free_disk(path: &Path) -> Option<u64> {
    let there = path.ancestors().find(|p| p.exists())?;
    let facts = rustix::fs::statvfs(there).ok()?;
    Some((facts.f_bavail.checked_mul(facts.f_frsize)?) >> 20)
}
