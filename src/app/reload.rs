//! A new configuration while the server runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use super::{Source, address, seam};
use crate::api::{ReloadReport, Urls};
use crate::config::{Config, changed};
use crate::engine::Engine;
use crate::http::LiveRouter;
use crate::telemetry::LogLevel;

/// Keys that only a restart can change: they are bound, opened or multiplied into what is stored.
const NEED_RESTART: [&str; 15] = [
    "shutdown_grace",
    "storage.data_dir",
    "storage.volumes",
    "storage.volume_size",
    "storage.index_cache",
    "storage.offline",
    "storage.read_only",
    "storage.salvage",
    "s3.listen",
    "soap.listen",
    "portal.listen",
    "metrics.listen",
    "space.bytes_per_gb",
    "time.zone",
    "log.json",
];

/// What can be changed live, and the configuration that holds.
pub(super) struct Live {
    pub(super) source: Source,
    pub(super) config: Mutex<Config>,
    pub(super) engine: Engine,
    pub(super) s3: LiveRouter,
    pub(super) soap: LiveRouter,
    pub(super) log: LogLevel,
    pub(super) s3_at: SocketAddr,
    pub(super) soap_at: SocketAddr,
}

impl Live {
    /// Reads the configuration again. A bad one changes nothing.
    pub(super) fn reload(&self) -> Result<ReloadReport, String> {
        let written = self.source.load().map_err(|bad| bad.to_string())?;
        let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let (needs_restart, applied): (Vec<_>, Vec<_>) =
            changed(&config, &written).into_iter().partition(|key| NEED_RESTART.contains(key));
        let new = keep_fixed(&config, written);
        self.apply(&config, &new);
        *config = new;
        let owned = |keys: Vec<&str>| keys.into_iter().map(str::to_owned).collect();
        let report = ReloadReport { applied: owned(applied), needs_restart: owned(needs_restart) };
        tracing::info!(applied = ?report.applied, needs_restart = ?report.needs_restart, "configuration reloaded");
        Ok(report)
    }

    /// What clients are told now.
    pub(super) fn urls(&self) -> Urls {
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        address::public_urls(&config, self.s3_at, self.soap_at)
    }

    /// How long requests under way may take at a stop.
    pub(super) fn grace(&self) -> std::time::Duration {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).shutdown_grace
    }

    fn apply(&self, old: &Config, new: &Config) {
        if old.log.level != new.log.level {
            self.log.set(&new.log.level);
        }
        self.engine.reload(new);
        seam::set_public_urls(&self.engine, address::public_urls(new, self.s3_at, self.soap_at));
        self.s3.replace(seam::s3_router(self.engine.clone(), Arc::new(new.s3.clone())));
        self.soap.replace(seam::soap_router(self.engine.clone(), new.soap.public_url.clone(), new.zone_minutes));
    }
}

/// The new configuration, with what only a restart can change as it was.
fn keep_fixed(old: &Config, mut new: Config) -> Config {
    new.shutdown_grace = old.shutdown_grace;
    new.storage.data_dir.clone_from(&old.storage.data_dir);
    new.storage.volumes.clone_from(&old.storage.volumes);
    new.storage.volume_size = old.storage.volume_size;
    new.storage.index_cache = old.storage.index_cache;
    new.storage.offline.clone_from(&old.storage.offline);
    new.storage.read_only.clone_from(&old.storage.read_only);
    new.storage.salvage = old.storage.salvage;
    new.s3.listen = old.s3.listen;
    new.soap.listen = old.soap.listen;
    new.portal.listen = old.portal.listen;
    new.metrics_listen = old.metrics_listen;
    new.space.bytes_per_gb = old.space.bytes_per_gb;
    new.zone_minutes = old.zone_minutes;
    new.log.json = old.log.json;
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Written, parse};

    #[test]
    fn what_needs_a_restart_stays_as_it_was() {
        let sets = [
            "shutdown_grace=1s",
            "storage.data_dir=x",
            "storage.volumes=[\"y\", \"z\"]",
            "storage.offline=[\"z\"]",
            "storage.read_only=[\"z\"]",
            "storage.salvage=true",
            "storage.volume_size=8MiB",
            "storage.index_cache=1MiB",
            "s3.listen=127.0.0.1:1",
            "soap.listen=127.0.0.1:2",
            "portal.listen=127.0.0.1:3",
            "metrics.listen=127.0.0.1:4",
            "space.bytes_per_gb=7",
            "time.zone=+00:00",
            "log.json=true",
        ];
        let sets = sets.map(str::to_owned).to_vec();
        let new = parse(&Written { sets, ..Written::default() }).expect("right");
        let old = Config::default();
        let mut named = changed(&old, &new);
        named.sort_unstable();
        let mut listed = NEED_RESTART.to_vec();
        listed.sort_unstable();
        assert_eq!(named, listed, "each of them is in the table and in this test");
        assert_eq!(keep_fixed(&old, new), old);
    }
}
