//! What a server has used, from the kernel's own account: its processes, and the disk below its directory.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Ticks a second in `/proc`; the kernel shows 100 on every architecture that we run on.
const TICKS_PER_SECOND: f64 = 100.0;
/// What `/sys` counts writes in, whatever the disk's own sectors are.
const SECTOR_BYTES: u64 = 512;

/// CPU time and memory of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usage {
    /// Seconds of CPU, user and system.
    pub(super) cpu_seconds: f64,
    /// The most bytes that it ever had in memory.
    pub(super) peak_bytes: u64,
    /// Bytes that it caused to be written to disks.
    pub(super) written_bytes: u64,
}

/// What a disk has done, for whomever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Device {
    /// Times that its cache was written out.
    pub(super) flushes: u64,
    pub(super) written_bytes: u64,
}

/// What a server has used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Used {
    pub(super) processes: Usage,
    /// Unknown where there is no one disk below the directory.
    pub(super) device: Option<Device>,
}

impl Used {
    /// What was used since `before`; memory is the most since it was started.
    pub(super) fn since(&self, before: &Self) -> Self {
        let (now, then) = (&self.processes, &before.processes);
        Self {
            processes: Usage {
                cpu_seconds: now.cpu_seconds - then.cpu_seconds,
                peak_bytes: now.peak_bytes,
                written_bytes: now.written_bytes.saturating_sub(then.written_bytes),
            },
            device: self.device.zip(before.device).map(|(now, then)| Device {
                flushes: now.flushes.saturating_sub(then.flushes),
                written_bytes: now.written_bytes.saturating_sub(then.written_bytes),
            }),
        }
    }
}

/// What these processes, and the disk below `dir`, have done so far; nothing where no process is named.
pub(super) fn used(pids: &[u32], dir: Option<&Path>) -> io::Result<Option<Used>> {
    if pids.is_empty() {
        return Ok(None);
    }
    let mut all = Usage::default();
    for pid in pids {
        let usage = usage(*pid)?;
        all.cpu_seconds += usage.cpu_seconds;
        all.peak_bytes += usage.peak_bytes;
        all.written_bytes += usage.written_bytes;
    }
    Ok(Some(Used { processes: all, device: dir.and_then(|dir| device(dir).ok()) }))
}

/// What this process has used since it was started.
pub(super) fn usage(pid: u32) -> io::Result<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    // Of another user's process it is not told.
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let unreadable = || io::Error::other(format!("/proc/{pid} cannot be read"));
    Ok(Usage {
        cpu_seconds: cpu_seconds(&stat).ok_or_else(unreadable)?,
        peak_bytes: peak_bytes(&status).ok_or_else(unreadable)?,
        written_bytes: written_bytes(&io).unwrap_or(0),
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

fn written_bytes(io: &str) -> Option<u64> {
    io.lines().find_map(|line| line.strip_prefix("write_bytes:"))?.trim().parse().ok()
}

/// The disk that holds this directory.
fn device(dir: &Path) -> io::Result<Device> {
    let device = std::fs::metadata(dir)?.dev();
    // As the C library takes a device's number apart.
    let major = (device >> 8) & 0xfff | (device >> 32) & !0xfff;
    let minor = device & 0xff | (device >> 12) & !0xff;
    let dir = Path::new("/sys/dev/block").join(format!("{major}:{minor}"));
    let mut stat = std::fs::read_to_string(dir.join("stat"))?;
    if dir.join("partition").try_exists()? {
        // Flushes are counted for the whole disk.
        stat = std::fs::read_to_string(std::fs::canonicalize(dir)?.join("../stat"))?;
    }
    counters(&stat).ok_or_else(|| io::Error::other("the disk's numbers cannot be read"))
}

/// Sectors written and flushes, the 7th and the 16th number; kernels before 5.5 lack the latter.
fn counters(stat: &str) -> Option<Device> {
    let numbers: Vec<u64> = stat.split_whitespace().map_while(|number| number.parse().ok()).collect();
    Some(Device { flushes: *numbers.get(15)?, written_bytes: numbers.get(6)?.checked_mul(SECTOR_BYTES)? })
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
        assert_eq!(written_bytes("rchar: 1\nwrite_bytes: 4096\ncancelled_write_bytes: 1\n"), Some(4096));
    }

    #[test]
    fn a_disk_counts_sectors_and_flushes() {
        let stat = " 1 2 3 4 5 6 100 8 9 10 11 12 13 14 15 77 17\n";
        assert_eq!(counters(stat), Some(Device { flushes: 77, written_bytes: 51_200 }));
        assert_eq!(counters("1 2 3 4 5 6 7 8 9 10 11"), None);
        assert!(device(Path::new("/proc")).is_err());
    }

    #[test]
    fn this_process_uses_something() {
        let id = std::process::id();
        let before = used(&[id], None).unwrap().unwrap();
        assert!(before.processes.peak_bytes > 1 << 20);
        let since = used(&[id, id], None).unwrap().unwrap().since(&before);
        assert!(since.processes.peak_bytes >= 2 * before.processes.peak_bytes && since.device.is_none());
        assert!(used(&[], None).unwrap().is_none());
        assert!(usage(u32::MAX).is_err());
    }
}
