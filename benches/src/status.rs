//! What the system says of this process.

use crate::Result;

/// A line of the process's status: the first number in it.
fn status(name: &str) -> Result<u32> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| format!("/proc/self/status does not say {name}").into())
}

/// Resident memory in bytes.
///
/// # Errors
///
/// Where the system does not tell.
pub fn resident() -> Result<f64> {
    Ok(f64::from(status("VmRSS")?) * 1024.0)
}

/// The most there ever was of it, in bytes.
///
/// # Errors
///
/// Where the system does not tell.
pub fn most_resident() -> Result<f64> {
    Ok(f64::from(status("VmHWM")?) * 1024.0)
}

/// How many threads there are.
///
/// # Errors
///
/// Where the system does not tell.
pub fn threads() -> Result<u32> {
    status("Threads")
}
