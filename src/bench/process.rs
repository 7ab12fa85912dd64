//! What a server's process has used, from the kernel's own account.

use std::io;

/// Ticks a second in `/proc`; the kernel shows 100 on every architecture that we run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time and memory of a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usage {
    /// Seconds of CPU, user and system.
    pub(super) cpu_seconds: f64,
    /// The most bytes that it ever had in memory.
    pub(super) peak_bytes: u64,
}

/// What this process has used since it was started.
pub(super) fn usage(pid: u32) -> io::Result<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let unreadable = || io::Error::other(format!("/proc/{pid} cannot be read"));
    Ok(Usage {
        cpu_seconds: cpu_seconds(&stat).ok_or_else(unreadable)?,
        peak_bytes: peak_bytes(&status).ok_or_else(unreadable)?,
    })
}

/// `utime` and `stime`, the 12th and 13th field after the command, which may have spaces and brackets in it.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((f64::from(user) + f64::from(system)) / TICKS_PER_SECOND)
}

fn peak_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_found_behind_any_command() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 150 0 0 20 0";
        assert_eq!(cpu_seconds(stat), Some(4.0));
        assert_eq!(cpu_seconds("42 (a) S 1"), None);
        assert_eq!(peak_bytes("Name:\tx\nVmHWM:\t    2048 kB\n"), Some(2 << 20));
    }

    #[test]
    fn this_process_uses_something() {
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.peak_bytes > 1 << 20);
        assert!(super::usage(u32::MAX).is_err());
    }
}
