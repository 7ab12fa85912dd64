//! A new configuration while the server runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use super::certificates::{self, Shown};
use super::{Source, address, seam};
use crate::api::{CertificateView, PendingChanges, PendingKey, ReloadReport, Urls};
use crate::config::{Config, changed, differences};
use crate::engine::Engine;
use crate::http::{LiveRouter, LiveTls};
use crate::soap::SoapCourier;
use crate::telemetry::Log;
use crate::tls::Trust;
use crate::world::World;

/// Keys that only a restart can change: they are bound, opened or multiplied into what is stored.
const NEED_RESTART: [&str; 20] = [
    "shutdown_grace",
    "storage.data_dir",
    "storage.volumes",
    "storage.volume_size",
    "storage.index_cache",
    "storage.master_key",
    "storage.offline",
    "storage.read_only",
    "storage.salvage",
    "s3.listen",
    "s3.max_connections",
    "soap.listen",
    "portal.listen",
    "metrics.listen",
    "space.bytes_per_gb",
    "time.zone",
    "log.json",
    "log.file",
    "log.file_size",
    "log.file_keep",
];

/// What can be changed live, and the configuration that holds.
pub(super) struct Live {
    pub(super) source: Source,
    pub(super) config: Mutex<Config>,
    pub(super) engine: Engine,
    pub(super) s3: LiveRouter,
    pub(super) soap: LiveRouter,
    pub(super) log: Log,
    pub(super) s3_at: SocketAddr,
    pub(super) soap_at: SocketAddr,
    pub(super) world: World,
    /// In the order of [`certificates::PLANES`].
    pub(super) doors: [LiveTls; 4],
    pub(super) shown: Mutex<Shown>,
    pub(super) courier: SoapCourier,
}

impl Live {
    /// Reads the configuration again. A bad one changes nothing.
    pub(super) fn reload(&self) -> Result<ReloadReport, String> {
        // First, and whatever is written: it is what logrotate waits for.
        self.log.reopen();
        let (written, places) = self.source.load_with_places().map_err(|bad| bad.to_string())?;
        let brought = certificates::read(&written, &places).map_err(|bad| bad.to_string())?;
        let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let (needs_restart, applied): (Vec<_>, Vec<_>) =
            changed(&config, &written).into_iter().partition(|key| NEED_RESTART.contains(key));
        let new = keep_fixed(&config, written);
        let mut shown = brought.shown;
        certificates::add_self_signed(&self.world, &new, &mut shown).map_err(|bad| bad.to_string())?;
        self.apply(&config, &new, brought.trust);
        let others = self.show(shown);
        *config = new;
        let owned = |keys: Vec<&str>| -> Vec<String> { keys.into_iter().map(str::to_owned).collect() };
        let mut report = ReloadReport { applied: owned(applied), needs_restart: owned(needs_restart) };
        // A file of the same name may hold another certificate.
        report.applied.extend(others.into_iter().filter(|key| !report.applied.contains(key)).collect::<Vec<_>>());
        tracing::info!(applied = ?report.applied, needs_restart = ?report.needs_restart, "configuration reloaded");
        Ok(report)
    }

    /// What [`Live::reload`] would do now; it is not done.
    pub(super) fn pending(&self) -> Result<PendingChanges, String> {
        let (written, places) = self.source.load_with_places().map_err(|bad| bad.to_string())?;
        let brought = certificates::read(&written, &places).map_err(|bad| bad.to_string())?;
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pending = PendingChanges::default();
        for (key, running, written) in differences(&config, &written) {
            let list = if NEED_RESTART.contains(&key) { &mut pending.needs_restart } else { &mut pending.would_apply };
            list.push(PendingKey { key: key.to_owned(), running, written });
        }
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for ((plane, old), new) in certificates::PLANES.iter().zip(shown.iter()).zip(&brought.shown) {
            let key = format!("{plane}.tls");
            // The same files with another certificate in them.
            if let (Some(old), Some(new)) = (old, new)
                && old != new
                && !pending.would_apply.iter().any(|one| one.key == key)
            {
                let [running, written] = [old, new].map(|of| of.facts().fingerprint.as_str().into());
                pending.would_apply.push(PendingKey { key, running, written });
            }
        }
        Ok(pending)
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

    /// What each listener shows, for operators.
    pub(super) fn certificates(&self) -> Vec<CertificateView> {
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        certificates::views(&config, &shown, self.world.clock.now())
    }

    /// Renews a certificate of our own that ends soon.
    pub(super) fn renew(&self) {
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match certificates::add_self_signed(&self.world, &config, &mut shown) {
            Ok(()) => drop(self.show(shown)),
            Err(error) => tracing::error!(%error, "the self-signed certificate was not looked after"),
        }
    }

    /// Tells the log of certificates that have ended or will soon.
    pub(super) fn warn_of_certificates(&self) {
        for CertificateView { listener, fingerprint, warning, .. } in self.certificates() {
            if let Some(warning) = warning {
                tracing::warn!(listener, fingerprint, "the certificate {warning}");
            }
        }
    }

    /// Shows these from now on; gives the keys of those that are others. Connections that are open keep theirs.
    fn show(&self, new: Shown) -> Vec<String> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let others = certificates::changed(&shown, &new);
        for ((door, old), new) in self.doors.iter().zip(shown.iter()).zip(&new) {
            // The same one goes on, with the tickets that it gave out.
            if old != new {
                door.replace(new.as_ref().map(crate::tls::Identity::acceptor));
            }
        }
        *shown = new;
        others
    }

    fn apply(&self, old: &Config, new: &Config, trust: Trust) {
        self.courier.believe(trust);
        if old.log.level != new.log.level {
            self.log.set(&new.log.level);
        }
        self.engine.reload(new);
        seam::set_public_urls(&self.engine, address::public_urls(new, self.s3_at, self.soap_at));
        self.s3.set_stall_time(new.s3.idle_timeout);
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
    new.storage.master_key.clone_from(&old.storage.master_key);
    new.storage.offline.clone_from(&old.storage.offline);
    new.storage.read_only.clone_from(&old.storage.read_only);
    new.storage.salvage = old.storage.salvage;
    new.s3.listen = old.s3.listen;
    new.s3.max_connections = old.s3.max_connections;
    new.soap.listen = old.soap.listen;
    new.portal.listen = old.portal.listen;
    new.metrics_listen = old.metrics_listen;
    new.space.bytes_per_gb = old.space.bytes_per_gb;
    new.zone_minutes = old.zone_minutes;
    new.log.json = old.log.json;
    new.log.file.clone_from(&old.log.file);
    new.log.file_size = old.log.file_size;
    new.log.file_keep = old.log.file_keep;
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
            "s3.max_connections=100",
            "soap.listen=127.0.0.1:2",
            "portal.listen=127.0.0.1:3",
            "metrics.listen=127.0.0.1:4",
            "space.bytes_per_gb=7",
            "time.zone=+00:00",
            "log.json=true",
            "log.file=x.log",
            "log.file_size=1",
            "log.file_keep=1",
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
