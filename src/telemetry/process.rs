//! What the kernel says of this process, under the names that every Prometheus client library has for it.

use super::text::{Text, number};

/// Ticks a second of `/proc/self/stat`, which the kernel has fixed for user space.
const TICKS: f64 = 100.0;

pub(super) fn write(text: &mut Text) {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    let status = read("status");
    let kib = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    if let Some(bytes) = kib("VmRSS:") {
        text.one("process_resident_memory_bytes", "Resident memory, bytes.", bytes);
    }
    if let Some(bytes) = kib("VmSize:") {
        text.one("process_virtual_memory_bytes", "Virtual memory, bytes.", bytes);
    }
    let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")?.trim().parse::<u64>().ok());
    if let Some(threads) = threads {
        text.one("process_threads", "Threads.", threads);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // The one that reads the directory is not ours.
        text.one("process_open_fds", "Open file descriptors.", open.count().saturating_sub(1));
    }
    let limits = read("limits");
    let most = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next());
    if let Some(most) = most.and_then(|most| most.parse::<u64>().ok()) {
        text.one("process_max_fds", "File descriptors that may be open.", most);
    }
    if let Some(seconds) = cpu_seconds(&read("stat")) {
        text.one("process_cpu_seconds_total", "Processor time, user and system, seconds.", number(seconds));
    }
}

/// Of `/proc/self/stat`, whose second field may hold anything up to its last bracket.
#[expect(clippy::cast_precision_loss, reason = "Prometheus counts in floats")]
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_seen() {
        let mut text = Text::default();
        write(&mut text);
        let text = text.into_string();
        let of = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} in {text}"))
        };
        assert!(of("process_resident_memory_bytes") > 100_000.0);
        assert!(of("process_open_fds") >= 3.0 && of("process_open_fds") < of("process_max_fds"));
        assert!(of("process_threads") >= 1.0);
        assert_eq!(cpu_seconds("1 (a) b) S 0 0 0 0 0 0 0 0 0 0 250 50 9 9"), Some(3.0));
        assert_eq!(cpu_seconds("1 (a"), None);
    }
}
