//! Load generators for any S3 endpoint, and the limits that they are measured against.
//!
//! Absent: `engine` and `store`. What is measured is what a client sees.

mod connection;
mod curve;
mod load;
mod payload;
mod process;
mod reference;
mod report;
mod request;
mod target;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::sim::client::{TrustOptions, units};
use crate::sim::own_server::{OwnServer, Wanted};
use curve::Curve;
use load::Load;
use reference::Reference;
use report::{Report, Summary};
use request::Signing;
use target::Target;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Operation {
    /// Uploads
    Put,
    /// Downloads from memory, each held against what was uploaded
    Get,
    /// Uploads, and downloads of what was uploaded
    Mixed,
    /// Listings of up to 1,000 keys, from anywhere in the bucket
    List,
    /// Removals
    Delete,
}

/// How the reference server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Limit {
    /// `pread` and `write` with a buffer of 256 KiB
    Pread,
    /// `sendfile`
    Sendfile,
}

/// Options of `kandian bench`.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchOptions {
    /// The endpoint; without one, a server is started for the run
    #[arg(long, value_name = "URL", requires = "bucket")]
    pub endpoint: Option<String>,
    /// Start a server for the run, in a temporary directory
    #[arg(long = "self", conflicts_with = "endpoint")]
    pub own: bool,
    /// The server that is started speaks TLS, with a certificate of its own
    #[arg(long, conflicts_with = "endpoint")]
    pub tls: bool,
    /// Whom to trust
    #[command(flatten)]
    pub trust: TrustOptions,
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
    #[arg(long = "signature", value_name = "SIGNATURE", value_enum, default_value_t = Signing::V4)]
    pub signing: Signing,
    /// What is measured
    #[arg(long, value_enum, default_value_t = Operation::Put)]
    pub op: Operation,
    /// How many of 100 requests of a mixed load are uploads
    #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub put_percent: u64,
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
    /// Measure so often, and report medians
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,
    /// Objects that are uploaded beforehand for get, list and delete
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub objects: u64,
    /// Put the same load on a bare reference server, in turn: what this machine can do
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "pread")]
    pub limit: Option<Limit>,
    /// Where the server of the run and the reference server have their files; with --endpoint, a directory on the
    /// server's disk, whose writes are then reported
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The server's processes, to report their CPU time and memory
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pub server_pid: Vec<u32>,
    /// Space of the sub-account that is made on a server of its own, in GB
    #[arg(long, value_name = "GB", default_value_t = 64)]
    pub space: u32,
    /// Same seed, same bytes but for the stamps
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What the run is called in its report
    #[arg(long)]
    pub name: Option<String>,
    /// Draw the latencies into a file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Draw the latencies of earlier runs (their JSON) beside them
    #[arg(long, value_name = "FILE", requires = "svg")]
    pub beside: Vec<PathBuf>,
    /// Print JSON only
    #[arg(long)]
    pub json: bool,
    /// The server's program, where it is not this one
    #[arg(long, value_name = "FILE", hide = true)]
    pub server_binary: Option<PathBuf>,
    /// Be the reference server, with a file in this directory
    #[arg(long, value_name = "DIR", hide = true)]
    pub serve_reference: Option<PathBuf>,
    /// As a reference server, write through the page cache
    #[arg(long, hide = true)]
    pub buffered: bool,
}

/// Runs the load and prints a line, a drawing and a line of JSON (with `--json` only the latter).
///
/// # Errors
///
/// The server cannot be started or reached, a request had no answer, or what came back is not what
/// was uploaded. Refusals are counted and are no error, unless everything was refused.
pub async fn run(options: BenchOptions) -> io::Result<()> {
    if let Some(dir) = options.serve_reference.clone() {
        let serve = move || reference::run(&dir, options.limit.unwrap_or(Limit::Pread), options.buffered);
        return tokio::task::spawn_blocking(serve).await.map_err(io::Error::other)?;
    }
    if cfg!(debug_assertions) {
        writeln!(io::stderr(), "This is a debug build: its figures say nothing about a release.")?;
    }
    let dir = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let (target, _own) = match &options.endpoint {
        Some(endpoint) => (Target::given(&options, endpoint)?, None),
        None => {
            let wanted = Wanted {
                binary: options.server_binary.clone(),
                name: "bench",
                tls: options.tls,
                settings: vec![("s3", "allow_delete", "true".to_owned())],
                ..Wanted::default()
            };
            let (at, space) = (dir.clone(), options.space);
            let started = tokio::task::spawn_blocking(move || {
                let server = OwnServer::start(&wanted, &at)?;
                let account = server.open_account("bench", space, None)?;
                io::Result::Ok((server, account))
            });
            let (server, account) = started.await.map_err(io::Error::other)??;
            (Target::own(&options, &server, &account, &dir).await?, Some(server))
        }
    };
    tokio::task::spawn_blocking(move || measure(&options, target, &dir)).await.map_err(io::Error::other)?
}

/// Measures in turn the target and, where it is asked for, the reference server.
fn measure(options: &BenchOptions, target: Target, dir: &Path) -> io::Result<()> {
    let load = Load::new(options, target);
    let what = format!("{:?} {} x{}", options.op, size(options.size), options.connections).to_uppercase();
    let mut report = Report {
        options,
        run: Summary::new(options.name.clone().unwrap_or(what)),
        limit: options.limit.map(|limit| Summary::new(format!("limit ({})", limit.name()))),
    };
    // What is downloaded comes from the page cache, so it is also put there.
    let reference = match options.limit.filter(|_| options.op != Operation::List) {
        Some(limit) => Some(Reference::start(dir, limit, options.op == Operation::Get)?),
        None => None,
    };
    let bare = match &reference {
        Some(server) => {
            let target = Target::reference(options, server.address.clone(), server.pid(), dir)?;
            Some(Load::new(options, target))
        }
        None => None,
    };
    for _ in 0..options.rounds {
        for (load, summary) in [(Some(&load), Some(&mut report.run)), (bare.as_ref(), report.limit.as_mut())] {
            if let (Some(load), Some(summary)) = (load, summary) {
                load.prepare()?;
                summary.add(options.op, &load.round()?);
            }
        }
    }
    print(&report)
}

fn print(report: &Report<'_>) -> io::Result<()> {
    let mut out = io::stdout();
    if !report.options.json {
        write!(out, "{}", report.text())?;
    }
    writeln!(out, "{}", report.json())?;
    if let Some(file) = &report.options.svg {
        let mut curves = vec![report.run.curve()];
        curves.extend(report.limit.as_ref().map(Summary::curve));
        for beside in &report.options.beside {
            curves.push(earlier(beside)?);
        }
        std::fs::write(file, curve::svg(&curves))?;
    }
    let tally = &report.run.tally;
    match tally.failures() + tally.damaged {
        0 if tally.done == 0 && tally.refusals() > 0 => Err(io::Error::other("every request was refused")),
        0 => Ok(()),
        bad => Err(io::Error::other(format!("{bad} requests failed"))),
    }
}

/// The curve of a run whose output is in this file; its JSON is the last line.
fn earlier(file: &Path) -> io::Result<Curve> {
    let text = std::fs::read_to_string(file)?;
    let report = text.lines().rev().find(|line| line.starts_with('{')).unwrap_or_default();
    let curve = serde_json::from_str::<Value>(report).ok().as_ref().and_then(Curve::read);
    curve.ok_or_else(|| io::Error::other(format!("{} is no output of a run", file.display())))
}

/// `64 KiB`, `8 MiB`, or bytes.
fn size(bytes: u64) -> String {
    match bytes {
        _ if bytes > 0 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes > 0 && bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} B"),
    }
}

impl Limit {
    /// As the command line has it.
    fn name(self) -> &'static str {
        match self {
            Self::Pread => "pread",
            Self::Sendfile => "sendfile",
        }
    }
}

#[cfg(test)]
mod tests;
