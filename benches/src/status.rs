//! What the system says of this process, and of others.

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

/// Seconds for which a process was at work so far, whoever worked for it: its
/// threads, also those that have ended, and the system. Exact to a tick, which
/// is usually a hundredth of a second.
///
/// # Errors
///
/// Where there is no such process.
pub fn processor_of(process: u32) -> Result<f64> {
    let file = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(&file)?;
    // The name of the program is in parentheses, and may hold any character.
    let after_name = stat.rsplit_once(')').map(|(_, rest)| rest);
    let ticks = after_name.and_then(ticks_in);
    let ticks = ticks.ok_or_else(|| format!("{file} does not say for how long it worked"))?;
    #[expect(clippy::cast_precision_loss, reason = "ticks of a few minutes")]
    let seconds = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    Ok(seconds)
}

/// Of the user and of the system: the 14th and 15th word, the 3rd being the first
/// here.
fn ticks_in(stat: &str) -> Option<u64> {
    let mut words = stat.split_whitespace().skip(11);
    let mut next = || words.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_the_user_and_of_the_system_are_one_number() {
        let stat = " S 1 2 3 4 5 6 7 8 9 10 120 34 0 0 20 0 3 0 100";
        assert_eq!(ticks_in(stat), Some(154));
        assert_eq!(ticks_in(" S 1"), None);
    }

    #[test]
    fn the_time_of_a_process_grows_with_its_work() {
        let own = std::process::id();
        let before = processor_of(own).unwrap();
        // To ask is work, too; a tick is some hundred times that.
        assert!((0..1_000_000).any(|_| processor_of(own).unwrap() > before));
    }
}
