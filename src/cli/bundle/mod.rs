//! `kandian support-bundle`: what somebody needs who is asked for help, in one archive that can be sent away.
//!
//! Secrets are in none of what is asked for; texts are looked through once more all the same for what looks like one.
//! `--redact` takes names out too (`redact`).

mod redact;
mod tar;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use self::redact::Pseudonyms;
use self::tar::Archive;
use super::doctor;
use super::output::{Done, patiently, print};
use super::reach::{Reached, either, is_running};
use crate::app::Source;
use crate::config::{Config, differences, to_toml};
use crate::telemetry::last_lines;
use crate::world::os::world;

/// Bytes of the log that go along.
const LOG_BYTES: u64 = 4 << 20;
/// Lines of the audit log, alerts.
const LINES: usize = 500;
/// Violations of the check that are named.
const VIOLATIONS: usize = 200;

/// Everything that somebody needs who is asked for help, in one archive: never a secret
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The archive, like bundle.tar.gz
    file: PathBuf,
    /// Put pseudonyms in the place of accounts, keys, buckets, users, cameras, hosts and addresses
    #[arg(long)]
    redact: bool,
    /// Do without `kandian index check`, which reads the head of every record
    #[arg(long)]
    without_check: bool,
    /// Replace the file where it is there
    #[arg(long)]
    force: bool,
}

/// What is gathered: names of members, and their texts.
type Members = Vec<(&'static str, String)>;

pub async fn run(options: Options, config: &Config, source: &Source) -> Done {
    if options.file.exists() && !options.force {
        return Err(format!("{} is there already; --force replaces it", options.file.display()));
    }
    let mut members = of_the_machine(config, source).await;
    let mut names = Pseudonyms::default();
    match gather(&options, config, &mut members).await {
        Ok(known) => {
            if options.redact {
                known.iter().for_each(|(kind, name)| names.add(kind, name));
            }
        }
        // What helps most where the store does not open is why it does not.
        Err(why) if options.redact => {
            return Err(format!("{why}; without the store the names in it are not known, so nothing can be redacted"));
        }
        Err(why) => members.push(("store.txt", format!("{why}\n"))),
    }
    if options.redact {
        hosts(config).iter().for_each(|host| names.add("host", host));
    }
    let seconds = u64::try_from(world().clock.now().seconds()).unwrap_or(0);
    let file = private(&part(&options.file)).map_err(|error| at(&options.file, &error))?;
    let mut archive = Archive::new(file, seconds);
    for (name, text) in &members {
        let clean = without_secrets(text);
        let clean = if options.redact { names.apply(&clean) } else { clean };
        archive.add(&format!("kandian-support/{name}"), clean.as_bytes()).map_err(|error| at(&options.file, &error))?;
    }
    let file = archive.finish().and_then(|file| file.sync_all().map(|()| file));
    file.map_err(|error| at(&options.file, &error))?;
    std::fs::rename(part(&options.file), &options.file).map_err(|error| at(&options.file, &error))?;
    let redacted = if options.redact { "names are pseudonyms" } else { "names are in it: --redact takes them out" };
    print(&format!("{}: {} files; no secrets; {redacted}\n", options.file.display(), members.len()));
    Ok(ExitCode::SUCCESS)
}

/// A file that nobody else reads: names of customers are in it.
fn private(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn at(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// What can be told without the store.
async fn of_the_machine(config: &Config, source: &Source) -> Members {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let about = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "at_ms": world().clock.now().millis(),
        "configuration": source.path().map(|path| path.display().to_string()),
        "kernel": read("/proc/version").trim(),
        "system": read("/etc/os-release"),
        "memory": read("/proc/meminfo").lines().take(5).collect::<Vec<_>>(),
        "processors": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "load": read("/proc/loadavg").trim(),
        "mounts": read("/proc/mounts").lines().filter(|line| line.starts_with('/')).collect::<Vec<_>>(),
    });
    let changed: Vec<Value> = differences(&Config::default(), config)
        .into_iter()
        .map(|(key, default, here)| json!({"key": key, "default": default, "here": here}))
        .collect();
    let doctor = match doctor::report(config, source).await {
        Ok(findings) => pretty(&findings),
        Err(why) => format!("{why}\n"),
    };
    vec![
        ("about.json", pretty(&about)),
        ("config.toml", to_toml(config)),
        ("config-diff.json", pretty(&json!(changed))),
        ("doctor.json", doctor),
        ("files.csv", files(config)),
        ("log.txt", log(config)),
    ]
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// The files of the data directory and of the disks, with what they are long and what they take.
fn files(config: &Config) -> String {
    use std::os::unix::fs::MetadataExt;
    let mut out = String::from("directory,file,bytes,taken_bytes\n");
    let mut dirs = vec![&config.storage.data_dir];
    dirs.extend(&config.storage.volumes);
    for dir in dirs {
        let mut found: Vec<(String, u64, u64)> = Vec::new();
        match std::fs::read_dir(dir) {
            Ok(entries) => {
                for entry in entries.flatten() {
                    let Ok(facts) = entry.metadata() else { continue };
                    let name = entry.file_name().to_string_lossy().into_owned();
                    found.push((name, facts.len(), facts.blocks().saturating_mul(512)));
                }
            }
            Err(error) => out += &format!("{},({error}),,\n", dir.display()),
        }
        found.sort();
        for (name, bytes, taken) in found {
            out += &format!("{},{name},{bytes},{taken}\n", dir.display());
        }
    }
    out
}

fn log(config: &Config) -> String {
    let Some(file) = &config.log.file else {
        return "log.file is not set: the log went to stderr; where systemd runs the server, add the output of\n\
                journalctl -u kandian --since -1d\n"
            .to_owned();
    };
    match last_lines(file, LOG_BYTES) {
        Ok(lines) => String::from_utf8_lossy(&lines).into_owned(),
        Err(error) => format!("{}: {error}\n", file.display()),
    }
}

/// What the running server says, or the closed store. Gives the names in it, each with its kind.
async fn gather(options: &Options, config: &Config, members: &mut Members) -> Result<Vec<(String, String)>, String> {
    let running = is_running(config).await?;
    let reached = either(config).await?;
    let told = ask(options, running, &reached, members).await;
    // The store is closed again whatever came of it.
    reached.end(Ok(())).await?;
    told
}

async fn ask(
    options: &Options,
    running: bool,
    reached: &Reached,
    members: &mut Members,
) -> Result<Vec<(String, String)>, String> {
    let client = &reached.client;
    let said = |answer: Result<String, crate::api::Failure>| {
        answer.unwrap_or_else(|error| json!({"error": error.to_string()}).to_string())
    };
    let laid_out = |text: String| serde_json::from_str::<Value>(&text).map_or(text, |value| pretty(&value));
    members.push(("status.json", laid_out(said(client.status().await))));
    if running {
        members.push(("metrics.txt", said(client.get("/metrics").await)));
        members.push(("config-pending.json", laid_out(said(client.pending().await))));
    }
    members.push(("audit.json", laid_out(said(client.audit(LINES).await))));
    members.push(("alerts.json", laid_out(said(client.alerts(LINES).await))));
    if !options.without_check {
        let checked = said(patiently("checking the index", client.check()).await);
        let mut report: Value = serde_json::from_str(&checked).unwrap_or_else(|_| json!({"error": checked}));
        if let Some(violations) = report["violations"].as_array_mut() {
            let all = violations.len();
            violations.truncate(VIOLATIONS);
            report["violations_in_all"] = all.into();
        }
        members.push(("index-check.json", pretty(&report)));
    }
    if !options.redact {
        return Ok(Vec::new());
    }
    names(client).await.map_err(|error| format!("the names of the box could not be listed: {error}"))
}

/// Every name that the box has, in an order that stays.
async fn names(client: &crate::api::Client) -> Result<Vec<(String, String)>, crate::api::Failure> {
    let names: Vec<(String, String)> = serde_json::from_str(&client.get("/names").await?).unwrap_or_default();
    let host = |(kind, name): (String, String)| match kind.as_str() {
        "url" => host_of(&name).map(|host| ("host".to_owned(), host.to_owned())),
        _ => Some((kind, name)),
    };
    Ok(names.into_iter().filter_map(host).collect())
}

/// Hosts that the configuration and the machine have.
fn hosts(config: &Config) -> Vec<String> {
    let urls = [&config.s3.public_url, &config.soap.public_url];
    let mut all: Vec<String> = urls.into_iter().flatten().filter_map(|url| host_of(url)).map(str::to_owned).collect();
    all.extend(config.s3.domain.clone());
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    all.push(machine.trim().to_owned());
    all
}

fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    // An address is one anyhow.
    (!host.is_empty() && !host.starts_with('[')).then_some(host)
}

/// What looks like a secret of a URL: a name and a password before a host, a signature, a token, what a platform has put behind `?`
/// of its own.
fn without_secrets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        out.push_str(before);
        let end =
            url.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | ',')).unwrap_or(url.len());
        let (url, behind) = url.split_at(end);
        let (place, query) = url.split_once('?').map_or((url, None), |(place, query)| (place, Some(query)));
        let (authority, path) = place.split_once('/').map_or((place, None), |(host, path)| (host, Some(path)));
        match authority.rsplit_once('@') {
            Some((_, host)) => out.push_str(&format!("***@{host}")),
            None => out.push_str(authority),
        }
        if let Some(path) = path {
            out.push('/');
            out.push_str(path);
        }
        if query.is_some_and(|query| query != "wsdl") {
            out.push_str("?***");
        } else if query.is_some() {
            out.push_str("?wsdl");
        }
        rest = behind;
    }
    out.push_str(rest);
    for name in ["Signature=", "Security-Token=", "token=", "password=", "Password="] {
        out = without_value(&out, name);
    }
    out
}

fn without_value(text: &str, name: &str) -> String {
    let mut parts = text.split(name);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end =
            part.find(|c: char| c.is_whitespace() || matches!(c, '"' | '&' | ',' | '<' | '\\')).unwrap_or(part.len());
        out.push_str(name);
        out.push_str("***");
        out.push_str(&part[end..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_taken_out() {
        for (text, wanted) in [
            ("http://u:p@a.cn:80/x?token=1 b", "http://***@a.cn:80/x?*** b"),
            ("\"https://a.cn/services/AlertCallback?wsdl\"", "\"https://a.cn/services/AlertCallback?wsdl\""),
            ("GET /b/k?X-Amz-Signature=abc&x=1", "GET /b/k?X-Amz-Signature=***&x=1"),
            ("http://a.cn", "http://a.cn"),
            ("no url, password=\"\" and Password=x y", "no url, password=***\"\" and Password=*** y"),
        ] {
            assert_eq!(without_secrets(text), wanted);
        }
    }

    #[test]
    fn the_host_of_an_address_is_told_from_what_stands_around_it() {
        assert_eq!(host_of("http://u:p@store.cn:9000/x"), Some("store.cn"));
        assert_eq!(host_of("https://store.cn"), Some("store.cn"));
        assert_eq!(host_of("http://[::1]:80/"), None);
        assert_eq!(host_of("store.cn"), None);
    }
}
