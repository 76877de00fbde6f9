//! Interfaces by which things come slowly, late, or not at all: a discipline of
//! the kernel's at that end of the wire that is the machine's, which all passes
//! that comes to the container.
//!
//! LXC sets it whenever it makes the wire, also where a container restarts
//! itself, and starts no container for which it cannot be set.

use std::process::{Command, Stdio};
use std::sync::LazyLock;

use rm_core::model::Shaping;

/// How long what comes too fast may wait, in parts of a second.
const WAIT: u64 = 20;
/// So much may wait in any case, in bytes.
const QUEUE: u64 = 128 * 1024;
/// What comes at once, in parts of a second; and at least, in bytes.
const BURST: u64 = 100;
const LEAST_BURST: u64 = 4096;
/// So many packets may be on their way to where they come late.
const UNDER_WAY: u32 = 20_000;

/// Whether this machine's kernel can hold back what comes too fast.
pub(super) fn rates() -> bool {
    static KNOWN: LazyLock<bool> =
        LazyLock::new(|| knows(&["tbf", "rate", "1mbit", "burst", "4096", "limit", "65536"]));
    *KNOWN
}

/// Whether it can let things come late, or lose them; not every kernel has that.
pub(super) fn delays() -> bool {
    static KNOWN: LazyLock<bool> = LazyLock::new(|| knows(&["netem", "delay", "1ms"]));
    *KNOWN
}

/// Whether a discipline can be set, tried where nobody else is. It takes some
/// milliseconds, once in the life of a process.
fn knows(discipline: &[&str]) -> bool {
    let tried = Command::new("unshare")
        .args(["--net", "tc", "qdisc", "add", "dev", "lo", "root"])
        .args(discipline)
        .stdin(Stdio::null())
        .output();
    tried.is_ok_and(|tried| tried.status.success())
}

/// What LXC is to run when it has made a wire; nothing where nothing is to be
/// held back. It is given to a shell with further words, the last of which is
/// the machine's end.
pub(super) fn script(shaping: &Shaping) -> Option<String> {
    let discipline = discipline(shaping)?;
    Some(format!(
        "/bin/sh -c 'for end; do :; done; exec tc qdisc replace dev \"$end\" root {discipline}' shaping"
    ))
}

fn discipline(shaping: &Shaping) -> Option<String> {
    let capacity = shaping.capacity_kbps;
    if !shaping.delays() {
        let kbps = capacity?;
        let bytes = kbps.saturating_mul(1000 / 8);
        let (burst, limit) = ((bytes / BURST).max(LEAST_BURST), (bytes / WAIT).max(QUEUE));
        return Some(format!("tbf rate {kbps}kbit burst {burst} limit {limit}"));
    }
    let mut words = vec![format!("netem limit {UNDER_WAY}")];
    let latency = shaping.latency_us.filter(|us| *us > 0);
    words.extend(latency.map(|us| format!("delay {us}us")));
    let loss = shaping.loss_ppm.filter(|ppm| *ppm > 0);
    words.extend(loss.map(|ppm| format!("loss {}.{:04}%", ppm / 10_000, ppm % 10_000)));
    words.extend(capacity.map(|kbps| format!("rate {kbps}kbit")));
    Some(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_one_discipline_of_the_kernel() {
        let of = |capacity_kbps, latency_us, loss_ppm| {
            discipline(&Shaping {
                capacity_kbps,
                latency_us,
                loss_ppm,
            })
        };
        let said = |text: &str| Some(text.to_owned());
        assert_eq!(of(None, None, None), None);
        assert_eq!(of(None, Some(0), Some(0)), None);
        assert_eq!(
            of(Some(1000), None, None),
            said("tbf rate 1000kbit burst 4096 limit 131072")
        );
        assert_eq!(
            of(Some(1_000_000), Some(0), None),
            said("tbf rate 1000000kbit burst 1250000 limit 6250000")
        );
        assert_eq!(
            of(None, Some(50_000), None),
            said("netem limit 20000 delay 50000us")
        );
        assert_eq!(
            of(Some(8), None, Some(10_050)),
            said("netem limit 20000 loss 1.0050% rate 8kbit")
        );
    }

    #[test]
    fn a_command_is_one_line_that_a_shell_reads_with_words_behind_it() {
        let shaping = Shaping {
            capacity_kbps: Some(64),
            ..Shaping::default()
        };
        let script = script(&shaping).unwrap();
        assert!(!script.contains('\n'), "{script}");
        // What LXC makes of it, with a tool that tells its words.
        let told = script.replace("exec tc", "echo");
        let line = format!("exec {told} name net up veth br0 vethAB12");
        let ran = Command::new("sh").args(["-c", &line]).output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&ran.stdout).trim(),
            "qdisc replace dev vethAB12 root tbf rate 64kbit burst 4096 limit 131072"
        );
    }
}
