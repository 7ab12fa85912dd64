//! Settings: as an operator writes them, as the program uses them, and the one step between.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::{GigabyteSize, RetrySchedule, Rules};

mod file;
mod keys;
mod nearest;
mod show;
mod text;
mod value;

pub use file::{Problem, Problems, Written, parse, parse_with_places};
pub use nearest::nearest;
pub use show::{changed, differences, to_json, to_toml};
pub use text::Places;
pub use value::size;

/// Name of the file in `storage.data_dir` with a certificate of our own and its key.
pub const SELF_SIGNED: &str = "self-signed.pem";

/// Free space on a disk that uploads may not touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// A share of the disk, 0 to 100.
    Percent(u8),
    /// A size in bytes.
    Bytes(u64),
}

/// What a listener shows to clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// Plain HTTP.
    #[default]
    Off,
    /// A certificate of our own making.
    SelfSigned,
    /// A certificate that an operator brought.
    Files {
        /// The chain, PEM.
        cert: PathBuf,
        /// The key, PEM.
        key: PathBuf,
    },
}

impl Tls {
    /// What URLs of the listener begin with.
    pub fn scheme(&self) -> &'static str {
        if *self == Self::Off { "http" } else { "https" }
    }
}

/// Everything that `appliance.toml` sets, checked, with no value left open but those that follow
/// from the machine at start (public addresses).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `[storage]`
    pub storage: Storage,
    /// `[s3]`
    pub s3: S3,
    /// `[soap]`
    pub soap: Soap,
    /// `[portal]`
    pub portal: Portal,
    /// `metrics.listen`
    pub metrics_listen: SocketAddr,
    /// `metrics.tls`
    pub metrics_tls: Tls,
    /// `[space]`
    pub space: Space,
    /// `[alerts]`
    pub alerts: Alerts,
    /// `time.zone`, minutes east of UTC.
    pub zone_minutes: i32,
    /// `shutdown_grace`: how long uploads under way may take to finish at a stop.
    pub shutdown_grace: Duration,
    /// `[log]`
    pub log: Log,
}

/// `[storage]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Index, keys, sockets.
    pub data_dir: PathBuf,
    /// One directory a disk; at least one.
    pub volumes: Vec<PathBuf>,
    /// Free space that uploads may not touch.
    pub reserve: Reserve,
    /// Bytes of one volume file.
    pub volume_size: u64,
    /// Bytes of the index's page cache.
    pub index_cache: u64,
    /// Bytes a second that the background scrub reads; 0 switches it off.
    pub scrub_rate: u64,
    /// The file of the key that secrets are sealed under.
    pub master_key: PathBuf,
    /// Directories among `volumes` whose disk is dead: nothing of them is opened.
    pub offline: Vec<PathBuf>,
    /// Directories among `volumes` whose disk fails: they are read, and nothing is written there.
    pub read_only: Vec<PathBuf>,
    /// Opens the store to be read alone; nothing is written.
    pub salvage: bool,
}

/// `[s3]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3 {
    /// Where cameras connect.
    pub listen: SocketAddr,
    /// What cameras and phones are told; derived from the listener where not set.
    pub public_url: Option<String>,
    /// Base domain of `bucket.DOMAIN` addressing.
    pub domain: Option<String>,
    /// Shown to clients.
    pub region: String,
    /// Life of a `FileUrl`.
    pub presign_ttl: Duration,
    /// Whether a camera's key may delete.
    pub allow_delete: bool,
    /// How far a signature's date may be off, both ways.
    pub clock_skew: Duration,
    /// Whether SigV2 is accepted.
    pub sig_v2: bool,
    /// An upload or a download on which no byte moves for so long is cut.
    pub idle_timeout: Duration,
    /// A multipart upload that got no part for so long is given up.
    pub multipart_expiry: Duration,
    /// Requests under way of all keys together.
    pub max_requests: u64,
    /// Requests under way of one key.
    pub max_requests_per_key: u64,
    /// Connections at once.
    pub max_connections: u64,
    /// Bytes that requests under way may fill.
    pub buffer_memory: u64,
    /// What is shown to cameras.
    pub tls: Tls,
}

/// `[portal]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portal {
    /// Where browsers connect.
    pub listen: SocketAddr,
    /// A session without a request for so long is over.
    pub idle_timeout: Duration,
    /// A session is over after this, whatever is done in it.
    pub session_timeout: Duration,
    /// A camera is silent after so many of its usual gaps without an upload.
    pub silent_factor: u32,
    /// How long it is known why a file is gone, days.
    pub gone_days: u32,
    /// What is shown to browsers.
    pub tls: Tls,
}

/// `[soap]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soap {
    /// Where the platform connects.
    pub listen: SocketAddr,
    /// `soap:address` of the WSDL; follows the Host header where not set.
    pub public_url: Option<String>,
    /// What is shown to the platform.
    pub tls: Tls,
}

/// `[space]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes in one GB.
    pub bytes_per_gb: GigabyteSize,
    /// The percentages.
    pub rules: Rules,
    /// `max_sub_accounts` of a new account.
    pub max_sub_accounts: u32,
}

/// `[alerts]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// Whether 8.2 is sent.
    pub notify_idle: bool,
    /// When failures are repeated.
    pub schedule: RetrySchedule,
    /// For one answer of the platform.
    pub timeout: Duration,
    /// Roots, PEM, that a platform may be certified by beside the system's.
    pub ca: Option<PathBuf>,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A `tracing` filter such as `info` or `kandian=debug`.
    pub level: String,
    /// JSON lines instead of text.
    pub json: bool,
    /// Where it is written; to stderr where not set.
    pub file: Option<PathBuf>,
    /// Another file is begun after so many bytes; 0: never.
    pub file_size: u64,
    /// Full files that are kept.
    pub file_keep: u32,
}
