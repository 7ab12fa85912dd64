//! `kandian doctor`: what this machine can and cannot do. It changes nothing but a small file of
//! its own, which it removes.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use serde_json::json;

use super::output::{Done, Json, bytes, print, table};
use super::reach::is_running;
use super::signature;
use crate::api::CertificateView;
use crate::app::{BadSource, Source};
use crate::config::{Config, Reserve};
use crate::world::os::world;
use crate::world::{Disk, World};

struct Finding {
    verdict: Verdict,
    what: String,
    found: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warning,
    Bad,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

/// `kandian doctor`
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Doctor {
    #[command(flatten)]
    json: Json,
    #[command(subcommand)]
    of: Option<Of>,
}

#[derive(Debug, clap::Subcommand)]
enum Of {
    /// Why the last requests of an access key were not believed (SignatureDoesNotMatch and its like)
    Signature(signature::Options),
}

pub async fn run(doctor: Doctor, config: &Config, source: &Source) -> Done {
    match doctor.of {
        Some(Of::Signature(options)) => signature::run(options, config).await,
        None => machine(doctor.json, config, source).await,
    }
}

/// The findings on this machine, for a report.
pub async fn report(config: &Config, source: &Source) -> Result<serde_json::Value, String> {
    let findings = findings(config, source).await?;
    Ok(json!({"findings": findings.iter().map(as_json).collect::<Vec<_>>()}))
}

async fn findings(config: &Config, source: &Source) -> Result<Vec<Finding>, String> {
    let (config_, running, source) = (config.clone(), is_running(config).await?, source.clone());
    let look = tokio::task::spawn_blocking(move || {
        let mut findings = look(&config_, running);
        findings.extend(certificates(source.check()));
        findings
    });
    look.await.map_err(|error| error.to_string())
}

fn as_json(finding: &Finding) -> serde_json::Value {
    json!({"verdict": finding.verdict.word(), "what": finding.what, "found": finding.found})
}

async fn machine(json: Json, config: &Config, source: &Source) -> Done {
    let findings = findings(config, source).await?;
    let bad = findings.iter().any(|finding| finding.verdict == Verdict::Bad);
    if json.json {
        let rows: Vec<_> = findings.iter().map(as_json).collect();
        print(&format!("{}\n", json!({"ok": !bad, "findings": rows})));
    } else {
        let row = |f: &Finding| vec![f.verdict.word().to_owned(), f.what.clone(), f.found.clone()];
        print(&table(&["", "WHAT", "FOUND"], &findings.iter().map(row).collect::<Vec<_>>()));
    }
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn look(config: &Config, running: bool) -> Vec<Finding> {
    let world = world();
    let mut findings = Vec::new();
    let mut dirs = vec![config.storage.data_dir.clone()];
    dirs.extend(config.storage.volumes.iter().cloned());
    for dir in dirs {
        disk(&world, &dir, config.storage.reserve, &mut findings);
    }
    for (key, address) in [
        ("s3.listen", config.s3.listen),
        ("soap.listen", config.soap.listen),
        ("portal.listen", config.portal.listen),
        ("metrics.listen", config.metrics_listen),
    ] {
        findings.push(port(key, address, running));
    }
    findings.push(open_files());
    findings.push(clock(&world));
    findings
}

/// The directory itself, or the nearest above it that is there: what is not made yet will be made there.
fn existing(dir: &Path) -> PathBuf {
    let mut at = if dir.is_absolute() { dir.to_owned() } else { Path::new(".").join(dir) };
    while !at.is_dir() && at.pop() {}
    at
}

fn disk(world: &World, dir: &Path, reserve: Reserve, findings: &mut Vec<Finding>) {
    let at = existing(dir);
    let name = |what: &str| format!("{what} {}", dir.display());
    let finding = match world.disk.space(&at) {
        Err(error) => Finding { verdict: Verdict::Bad, what: name("space"), found: error.to_string() },
        Ok((total, free)) => {
            let kept = match reserve {
                Reserve::Bytes(bytes) => bytes,
                Reserve::Percent(percent) => total / 100 * u64::from(percent),
            };
            let found =
                format!("{} free of {}, {} kept back", bytes(&json!(free)), bytes(&json!(total)), bytes(&json!(kept)));
            let verdict = if free <= kept { Verdict::Bad } else { Verdict::Ok };
            Finding { verdict, what: name("space"), found }
        }
    };
    findings.push(finding);
    let mut nonce = String::new();
    for byte in world.entropy.bytes::<8>() {
        nonce.push_str(&format!("{byte:02x}"));
    }
    let probe = at.join(format!(".kandian-doctor-{nonce}"));
    match try_out(&*world.disk, &probe) {
        Ok(mut found) => findings.append(&mut found),
        Err(error) => {
            findings.push(Finding { verdict: Verdict::Bad, what: name("writing to"), found: error.to_string() });
        }
    }
    // A probe that could not be removed has said so above; there is nothing more to do.
    let _ = world.disk.remove(&probe);
    for finding in findings.iter_mut().filter(|finding| finding.what.ends_with(PROBE)) {
        finding.what = name(finding.what.trim_end_matches(PROBE));
    }
}

const PROBE: &str = " in";
const MIB: u64 = 1 << 20;

fn try_out(disk: &dyn Disk, probe: &Path) -> io::Result<Vec<Finding>> {
    let file = disk.create(probe)?;
    let begun = Instant::now();
    file.write_all_at(&vec![7; 64 << 10], 0)?;
    file.sync_data()?;
    let millis = begun.elapsed().as_millis();
    let slow = millis > 200;
    let synced = Finding {
        verdict: if slow { Verdict::Warning } else { Verdict::Ok },
        what: format!("fsync{PROBE}"),
        found: format!("{millis} ms{}", if slow { "; uploads wait for it, a faster disk would help" } else { "" }),
    };
    file.allocate(0, MIB)?;
    let set_aside = file.disk_usage()?;
    let allocated = Finding {
        verdict: if set_aside >= MIB { Verdict::Ok } else { Verdict::Warning },
        what: format!("setting space aside{PROBE}"),
        found: if set_aside >= MIB { "works" } else { "not supported by this file system; it may run out later" }
            .to_owned(),
    };
    file.write_all_at(&vec![7; usize::try_from(MIB).unwrap_or(0)], 0)?;
    file.sync_data()?;
    let full = file.disk_usage()?;
    file.punch(0, MIB)?;
    file.sync_data()?;
    let freed = file.disk_usage()? < full;
    let punched = Finding {
        verdict: if freed { Verdict::Ok } else { Verdict::Warning },
        what: format!("giving space back{PROBE}"),
        found: if freed { "works" } else { "not supported by this file system; deleted files keep their space" }
            .to_owned(),
    };
    disk.remove(probe)?;
    Ok(vec![synced, allocated, punched])
}

fn port(key: &str, address: SocketAddr, running: bool) -> Finding {
    let what = format!("{key} {address}");
    match TcpListener::bind(address) {
        _ if running => Finding { verdict: Verdict::Ok, what, found: "the server is running".to_owned() },
        Ok(_) => Finding { verdict: Verdict::Ok, what, found: "free".to_owned() },
        Err(error) => Finding { verdict: Verdict::Bad, what, found: error.to_string() },
    }
}

/// What is wrong with the files is bad; what will be, a warning.
fn certificates(looked: Result<Vec<CertificateView>, BadSource>) -> Vec<Finding> {
    let of = |one: CertificateView| {
        let until = super::output::time(&json!(one.valid_until_ms));
        let (verdict, found) = match one.warning {
            Some(warning) => (Verdict::Warning, warning),
            None => (Verdict::Ok, format!("until {until}, SHA-256 {}", one.fingerprint)),
        };
        Finding { verdict, what: format!("certificate of {}", one.listener), found }
    };
    match looked {
        Ok(all) => all.into_iter().map(of).collect(),
        Err(bad) => {
            vec![Finding { verdict: Verdict::Bad, what: "certificates".to_owned(), found: bad.to_string() }]
        }
    }
}

fn open_files() -> Finding {
    let what = "open files".to_owned();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    // The server raises what holds (the first number) to what may (the second).
    let most = line.and_then(|line| line.split_whitespace().nth(1));
    match most {
        None => Finding { verdict: Verdict::Warning, what, found: "the limit could not be read".to_owned() },
        Some(limit) if limit.parse::<u64>().is_ok_and(|limit| limit < 8192) => Finding {
            verdict: Verdict::Warning,
            what,
            found: format!("at most {limit}; a connection takes one each, 8192 or more are better (ulimit -n)"),
        },
        Some(limit) => Finding { verdict: Verdict::Ok, what, found: format!("at most {limit}") },
    }
}

/// 2024-01-01: no version of this program is older.
const NOT_BEFORE_SECONDS: i64 = 1_704_067_200;

fn clock(world: &World) -> Finding {
    let now = world.clock.now();
    let verdict = if now.seconds() < NOT_BEFORE_SECONDS { Verdict::Bad } else { Verdict::Ok };
    Finding { verdict, what: "clock".to_owned(), found: super::output::time(&json!(now.millis())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut findings = Vec::new();
        disk(&world(), &dir.path().join("not/made/yet"), Reserve::Bytes(0), &mut findings);
        assert_eq!(findings.len(), 4);
        assert!(findings.iter().all(|finding| finding.what.contains("not/made/yet")));
        assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 0);
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("bound");
        assert!(port("s3.listen", address, false).verdict == Verdict::Bad);
        assert!(port("s3.listen", address, true).verdict == Verdict::Ok);
    }
}
