//! The names of all keys, for "did you mean" and for `config show`.

/// Every key of `appliance.toml`, as `section.key`; `shutdown_grace` stands before the sections.
pub const KEYS: [&str; 52] = [
    "shutdown_grace",
    "storage.data_dir",
    "storage.volumes",
    "storage.reserve",
    "storage.volume_size",
    "storage.index_cache",
    "storage.scrub_rate",
    "storage.master_key",
    "storage.offline",
    "storage.read_only",
    "storage.salvage",
    "s3.listen",
    "s3.public_url",
    "s3.domain",
    "s3.region",
    "s3.presign_ttl",
    "s3.allow_delete",
    "s3.clock_skew",
    "s3.sig_v2",
    "s3.idle_timeout",
    "s3.multipart_expiry",
    "s3.max_requests",
    "s3.max_requests_per_key",
    "s3.max_connections",
    "s3.buffer_memory",
    "s3.tls",
    "soap.listen",
    "soap.public_url",
    "soap.tls",
    "portal.listen",
    "portal.idle_timeout",
    "portal.session_timeout",
    "portal.silent_factor",
    "portal.gone_days",
    "portal.tls",
    "metrics.listen",
    "metrics.tls",
    "space.bytes_per_gb",
    "space.warn_percent",
    "space.overwrite_percent",
    "space.overwrite_free_percent",
    "space.rearm_percent",
    "space.max_sub_accounts",
    "alerts.notify_idle",
    "alerts.give_up_after",
    "alerts.first_retry",
    "alerts.max_retry",
    "alerts.timeout",
    "alerts.ca",
    "time.zone",
    "log.level",
    "log.json",
];

/// Keys whose value may be a table, and what may stand in it.
pub const TABLES: [&str; 4] = ["s3.tls", "soap.tls", "portal.tls", "metrics.tls"];
/// See [`TABLES`].
pub const IN_TABLES: [&str; 8] = [
    "s3.tls.cert",
    "s3.tls.key",
    "soap.tls.cert",
    "soap.tls.key",
    "portal.tls.cert",
    "portal.tls.key",
    "metrics.tls.cert",
    "metrics.tls.key",
];

/// Every section.
pub const SECTIONS: [&str; 9] = ["storage", "s3", "soap", "portal", "metrics", "space", "alerts", "time", "log"];
