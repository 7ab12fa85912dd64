//! Who may use how many of the process's descriptors.
//!
//! A connection takes one, and so does every volume: whoever opens connections must not be able to keep the
//! store from making the next volume, nor operators from looking in. So each plane has places of its own, and all
//! of them together are fewer than the descriptors by what the store needs when its disks are full.

use std::path::Path;

use crate::config::Config;
use crate::world::Disk;

/// Listeners, the index, the books, journals, the lock, standard streams, the event loop, deliveries of alerts.
const FIXED: u64 = 64;
/// Handles of a volume that is written: through the cache and past it.
const PER_VOLUME: u64 = 2;

/// Connections that each plane may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    pub(super) s3: usize,
    pub(super) soap: usize,
    pub(super) portal: usize,
    pub(super) metrics: usize,
    pub(super) control: usize,
}

/// Descriptors that the store can come to need: disks that are full of volumes.
pub(super) fn for_the_store(disk: &dyn Disk, config: &Config) -> u64 {
    let of = |dir: &Path| {
        // What is not made yet will be on the disk of what is above it.
        let total = dir.ancestors().find_map(|at| disk.space(at).ok()).map_or(0, |(total, _)| total);
        // One more that is being filled.
        total / config.storage.volume_size + 1
    };
    let volumes = config.storage.volumes.iter().fold(0_u64, |sum, dir| sum.saturating_add(of(dir)));
    FIXED.saturating_add(volumes.saturating_mul(PER_VOLUME))
}

/// Divides `all` descriptors. The store gets what it needs, but no more than half of them.
pub(super) fn share(all: u64, store: u64, s3_most: u64) -> Shares {
    let left = all.saturating_sub(store.min(all / 2));
    let part = |of: u64, least: u64, most: u64| (left / of).clamp(least, most);
    let (soap, portal, few) = (part(8, 8, 4096), part(32, 8, 512), part(64, 4, 64));
    let s3 = left.saturating_sub(soap + portal + 2 * few).clamp(8, s3_most.max(8));
    let places = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    Shares { s3: places(s3), soap: places(soap), portal: places(portal), metrics: places(few), control: places(few) }
}

/// Tells operators where the store may run out of descriptors before its disks are full.
pub(super) fn warn(all: u64, store: u64) {
    if store > all / 2 {
        tracing::warn!(
            open_files = all,
            "more open files are needed to fill the disks: allow {} (LimitNOFILE of the unit, ulimit -n), or set a \
             larger storage.volume_size before the first upload",
            store.saturating_mul(2)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limits::CONNECTIONS_MAX;

    #[test]
    fn all_planes_together_leave_the_store_what_it_needs() {
        for all in [128_u64, 256, 1024, 4096, 20_000, 65_536, 1 << 20] {
            for store in [FIXED, 200, 2000, 100_000] {
                let Shares { s3, soap, portal, metrics, control } = share(all, store, CONNECTIONS_MAX as u64);
                let taken = [s3, soap, portal, metrics, control].iter().sum::<usize>() as u64;
                assert!(taken + store.min(all / 2) <= all, "{all} {store}: {taken}");
                assert!(s3 >= soap && soap >= portal && portal > metrics, "{all} {store}");
                assert!(s3 <= CONNECTIONS_MAX);
            }
        }
        assert_eq!(share(1 << 20, 64, 50).s3, 50, "no more than is configured");
    }

    #[test]
    fn a_box_of_twenty_thousand_descriptors_serves_ten_thousand_cameras() {
        assert!(share(20_000, 2 * 2048, CONNECTIONS_MAX as u64).s3 > 10_000);
    }
}
