//! Load generators for any S3 endpoint, and the limits that they are measured against.
//!
//! Absent: `engine` and `store`. What is measured is what a client sees.

mod limit;
mod load;
mod own_server;
mod process;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::{BucketName, Secret};
use crate::sim::client::{Credentials, Endpoint, S3, Signature, tally, units};
use crate::world::{Clock, os};
use limit::Limit;
use load::{Load, Measured};
use own_server::OwnServer;
use process::Usage;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Operation {
    /// Uploads.
    Put,
    /// Downloads, each held against what was uploaded.
    Get,
    /// Every other request an upload or a download.
    Mixed,
    /// Listings of up to 1,000 keys.
    List,
    /// Removals.
    Delete,
}

/// Options of `kandian bench`.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchOptions {
    /// The S3 endpoint; without one, a server is started for the run
    #[arg(long, value_name = "URL", requires_all = ["access_key", "secret_key", "bucket"])]
    pub endpoint: Option<String>,
    /// Start a server for the run, in a temporary directory
    #[arg(long = "self", conflicts_with = "endpoint")]
    pub own: bool,
    /// Access key
    #[arg(long, value_name = "AK", requires = "endpoint")]
    pub access_key: Option<String>,
    /// Secret key
    #[arg(long, value_name = "SK", requires = "endpoint", env = "KANDIAN_BENCH_SECRET_KEY", hide_env_values = true)]
    pub secret_key: Option<String>,
    /// Bucket
    #[arg(long, requires = "endpoint")]
    pub bucket: Option<String>,
    /// Region of the signatures
    #[arg(long, default_value = "kandian")]
    pub region: String,
    /// How requests are signed
    #[arg(long, value_enum, default_value_t = Signature::V4)]
    pub signature: Signature,
    /// What is measured
    #[arg(long, value_enum, default_value_t = Operation::Put)]
    pub op: Operation,
    /// Size of an object
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = units::size)]
    pub size: u64,
    /// Connections, each with one request at a time
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub connections: usize,
    /// Stop after so many requests
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Stop after so long
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::duration, conflicts_with = "count")]
    pub duration: Duration,
    /// Objects that are uploaded beforehand for get, list and delete
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub objects: u64,
    /// Measure what the machine can do in the same run
    #[arg(long)]
    pub limit: bool,
    /// Where the server of the run and the yardstick have their files
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The server's process, to report its CPU time and memory
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,
    /// Space of the sub-account that is made on a server of its own, in GB
    #[arg(long, value_name = "GB", default_value_t = 64)]
    pub space: u32,
    /// Same seed, same bytes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Print JSON only
    #[arg(long)]
    pub json: bool,
    /// The server's program, where it is not this one
    #[arg(long, value_name = "FILE", hide = true)]
    pub server_binary: Option<PathBuf>,
}

/// Runs the load and prints a line and a line of JSON (with `--json` only the latter).
///
/// # Errors
///
/// The server cannot be started or reached, a request had no answer, or what came back is not what
/// was uploaded. Refusals are counted and are no error, unless everything was refused.
pub async fn run(options: BenchOptions) -> io::Result<()> {
    if cfg!(debug_assertions) {
        writeln!(io::stderr(), "This is a debug build: its figures say nothing about a release.")?;
    }
    let dir = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let limit = if options.limit {
        let (dir, size, connections) = (dir.clone(), options.size, options.connections);
        let measured = tokio::task::spawn_blocking(move || limit::measure(&dir, size, connections));
        Some(measured.await.map_err(io::Error::other)??)
    } else {
        None
    };
    let (target, own) = match &options.endpoint {
        Some(endpoint) => (Target::given(&options, endpoint)?, None),
        None => {
            let (target, own) = Target::own(&options, dir).await?;
            (target, Some(own))
        }
    };
    let pid = own.as_ref().map(OwnServer::pid).or(options.server_pid);
    let measured = target.load(&options).run(|| pid.map(process::usage).transpose()).await;
    drop(own);
    let report = Report { options: &options, measured: measured?, limit };
    report.print()
}

/// Whom the load is put on.
struct Target {
    endpoint: Endpoint,
    credentials: Credentials,
    bucket: String,
}

impl Target {
    fn given(options: &BenchOptions, endpoint: &str) -> io::Result<Self> {
        let (Some(access_key), Some(secret), Some(bucket)) =
            (&options.access_key, &options.secret_key, &options.bucket)
        else {
            return Err(io::Error::other("--endpoint wants --access-key, --secret-key and --bucket"));
        };
        let bucket: BucketName = bucket.parse().map_err(io::Error::other)?;
        let credentials = Credentials {
            access_key: access_key.parse().map_err(io::Error::other)?,
            secret: Secret::new(secret.clone()),
            region: options.region.clone(),
            signature: options.signature,
        };
        Ok(Self { endpoint: Endpoint::parse(endpoint)?, credentials, bucket: bucket.to_string() })
    }

    async fn own(options: &BenchOptions, dir: PathBuf) -> io::Result<(Self, OwnServer)> {
        let (binary, space) = (options.server_binary.clone(), options.space);
        let started = tokio::task::spawn_blocking(move || OwnServer::start(binary, &dir, space));
        let server = started.await.map_err(io::Error::other)??;
        let sub_account = server.platform()?.open_sub_account(space).await?;
        let credentials = Credentials {
            access_key: sub_account.access_key,
            secret: sub_account.secret,
            region: options.region.clone(),
            signature: options.signature,
        };
        Ok((Self { endpoint: sub_account.s3, credentials, bucket: sub_account.recordings }, server))
    }

    fn load(self, options: &BenchOptions) -> Load {
        let clock = std::sync::Arc::new(os::SystemClock);
        let prefix = format!("bench/{:x}/", clock.now().millis());
        let clients = (0..options.connections.max(1))
            .map(|_| S3::new(self.endpoint.clone(), self.credentials.clone(), clock.clone()))
            .collect();
        Load::new(options, clients, self.bucket, prefix)
    }
}

/// What came of a run.
struct Report<'a> {
    options: &'a BenchOptions,
    measured: Measured,
    limit: Option<Limit>,
}

impl Report<'_> {
    fn print(&self) -> io::Result<()> {
        let mut out = io::stdout();
        if !self.options.json {
            writeln!(out, "{}", self.line())?;
        }
        writeln!(out, "{}", self.json())?;
        let tally = &self.measured.tally;
        match tally.failures() + tally.damaged {
            0 if tally.done == 0 && tally.refusals() > 0 => Err(io::Error::other("every request was refused")),
            0 => Ok(()),
            bad => Err(io::Error::other(format!("{bad} requests failed"))),
        }
    }

    /// Requests a second, and bytes a second.
    fn rates(&self) -> (f64, f64) {
        let seconds = self.measured.seconds.max(f64::MIN_POSITIVE);
        (number(self.measured.tally.done) / seconds, number(self.measured.tally.bytes) / seconds)
    }

    /// What was reached of what the machine can do, 0 to 1; for uploads and downloads only.
    fn ratio(&self) -> Option<f64> {
        let limit = self.limit.as_ref()?;
        let bytes_per_second = match self.options.op {
            Operation::Put => limit.put(),
            Operation::Get => limit.get,
            Operation::Mixed | Operation::List | Operation::Delete => return None,
        };
        Some(self.rates().1 / bytes_per_second.max(f64::MIN_POSITIVE))
    }

    fn line(&self) -> String {
        let (requests, bytes) = self.rates();
        let mut line = format!(
            "{:?} {} B x {} connections, {:.1} s: {requests:.0} op/s, {:.1} MB/s; {}, max {}",
            self.options.op,
            self.options.size,
            self.options.connections,
            self.measured.seconds,
            bytes / 1e6,
            self.measured.tally.line(),
            tally::millis(self.measured.tally.slowest()),
        );
        if let Some(usage) = &self.measured.usage {
            let cpu = usage.cpu_seconds;
            line += &format!("; server: {cpu:.2} CPU s, {:.1} MiB at most", tally::mebibytes(usage.peak_bytes));
        }
        if let (Some(limit), Some(ratio)) = (&self.limit, self.ratio()) {
            line += &format!("; {:.0} % of the limit ({})", ratio * 100.0, limit.line(self.options.op));
        }
        line
    }

    fn json(&self) -> Value {
        let (requests, bytes) = self.rates();
        let mut all = self.measured.tally.json();
        all["op"] = json!(format!("{:?}", self.options.op).to_lowercase());
        all["size"] = json!(self.options.size);
        all["connections"] = json!(self.options.connections);
        all["seconds"] = json!(self.measured.seconds);
        all["ops_per_s"] = json!(requests);
        all["mb_per_s"] = json!(bytes / 1e6);
        all["limit"] = self.limit.as_ref().map(Limit::json).unwrap_or_default();
        all["ratio_to_limit"] = json!(self.ratio());
        all["server"] = self.measured.usage.as_ref().map(|usage| self.server(usage)).unwrap_or_default();
        all
    }

    fn server(&self, usage: &Usage) -> Value {
        let tally = &self.measured.tally;
        let per = |share: f64| (share > 0.0).then(|| usage.cpu_seconds / share);
        json!({
            "cpu_seconds": usage.cpu_seconds,
            "cpu_seconds_per_gb": per(number(tally.bytes) / 1e9),
            "cpu_seconds_per_1000": per(number(tally.done) / 1e3),
            "peak_bytes": usage.peak_bytes,
        })
    }
}

/// A count as a number to divide.
#[expect(clippy::cast_precision_loss, reason = "rates are shown with four digits at most")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
