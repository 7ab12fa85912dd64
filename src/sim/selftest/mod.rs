//! `kandian selftest`: the specification, clause by clause, against a server that runs or one that is started for it.
//!
//! A stranger: what it knows it knows from the wire. Each clause opens its own sub-accounts, and closes them.

mod clauses;
mod report;
mod run;

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};

use self::clauses::{CLAUSES, Clause};
use self::run::{Missed, Run, Shot, Stage};
use super::client::{Endpoint, Platform, TrustOptions, units};
use super::own_server::{OwnServer, Wanted};
use super::platform::{self, PlatformOptions};
use crate::domain::Secret;
use crate::world::disk::replace_file;
use crate::world::os;

/// Bytes of a GB on a server of our own: small enough to fill one in a moment.
const OWN_GIGABYTE: u64 = 1 << 20;
/// GB of the account on a server of our own.
const OWN_SPACE: u32 = 100;

/// Options of `kandian selftest`.
#[derive(Clone, Debug, clap::Args)]
pub struct SelftestOptions {
    /// URL of a running SOAP service; without it, a server is started for the test
    #[arg(long, value_name = "URL", requires = "account", requires = "password")]
    pub soap: Option<String>,
    /// The account to test with
    #[arg(long, requires = "soap")]
    pub account: Option<String>,
    /// Its password
    #[arg(long, requires = "soap", env = "KANDIAN_SIM_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// Where to take alerts of a running server; the account's alert URL must lead here
    #[arg(long, value_name = "ADDR", requires = "soap")]
    pub listen: Option<SocketAddr>,
    /// Bytes of a GB on the running server (`space.bytes_per_gb`): what needs a full GB is done where it is 64 MiB at most
    #[arg(long, value_name = "SIZE", requires = "soap", default_value = "1073741824", value_parser = units::size)]
    pub bytes_per_gb: u64,
    /// Only these clauses (7.2, or 7 for all of section 7)
    #[arg(long = "only", value_name = "CLAUSE")]
    pub only: Vec<String>,
    /// Write an acceptance report to print and sign
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Print the exchanges of all clauses, not only of those that failed
    #[arg(long)]
    pub wire: bool,
    /// Directory for the server that is started
    #[arg(long, value_name = "DIR", conflicts_with = "soap")]
    pub dir: Option<PathBuf>,
    /// Whom to trust
    #[command(flatten)]
    pub trust: TrustOptions,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// How a clause came out.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    /// What was seen, and what should have been.
    Failed(String),
    /// Why it could not be tried here.
    NotRun(String),
}

/// A clause with all that was seen of it.
struct Finding {
    clause: &'static Clause,
    verdict: Verdict,
    shots: Vec<Shot>,
    took_ms: u128,
}

/// Runs the clauses; whether none has failed.
///
/// # Errors
///
/// The server cannot be started or reached at all, or the report cannot be written.
pub async fn run(options: SelftestOptions) -> io::Result<bool> {
    let chosen: Vec<&Clause> = CLAUSES.iter().filter(|clause| is_chosen(clause, &options.only)).collect();
    if chosen.is_empty() {
        let all: Vec<&str> = CLAUSES.iter().map(|clause| clause.number).collect();
        return Err(io::Error::other(format!("there is no such clause; there are {}", all.join(", "))));
    }
    let (stage, _own) = stage(&options).await?;
    let whom = stage.whom.clone();
    let mut run = Run::new(stage, os::world().clock);
    let mut findings = Vec::new();
    let live = !options.json && io::stderr().is_terminal();
    for clause in chosen {
        if live {
            write!(io::stderr(), "\r\x1b[K{} {} …", clause.number, clause.title)?;
        }
        let begun = Instant::now();
        let verdict = match clauses::check(clause.number, &mut run).await {
            Ok(()) => Verdict::Passed,
            Err(Missed::Wrong(why)) => Verdict::Failed(why),
            Err(Missed::Impossible(why)) => Verdict::NotRun(why),
        };
        let took_ms = begun.elapsed().as_millis();
        let finding = Finding { clause, verdict, shots: run.clean_up().await, took_ms };
        if live {
            write!(io::stderr(), "\r\x1b[K")?;
        }
        if !options.json {
            writeln!(io::stdout(), "{}", finding.text(options.wire))?;
        }
        findings.push(finding);
    }
    let failed = findings.iter().filter(|finding| matches!(finding.verdict, Verdict::Failed(_))).count();
    let not_run = findings.iter().filter(|finding| matches!(finding.verdict, Verdict::NotRun(_))).count();
    let passed = findings.len() - failed - not_run;
    if options.json {
        let clauses: Vec<Value> = findings.iter().map(Finding::json).collect();
        writeln!(
            io::stdout(),
            "{}",
            json!({"server": whom, "passed": passed, "failed": failed, "not_run": not_run, "clauses": clauses})
        )?;
    } else {
        writeln!(io::stdout(), "{passed} passed, {failed} failed, {not_run} not run: {whom}")?;
    }
    if let Some(path) = &options.report {
        let page = report::page(&findings, &whom, os::world().clock.now());
        replace_file(&*os::world().disk, &std::path::absolute(path)?, page.as_bytes())?;
    }
    Ok(failed == 0)
}

fn is_chosen(clause: &Clause, only: &[String]) -> bool {
    let under = |wanted: &String| clause.number == wanted || clause.number.starts_with(&format!("{wanted}."));
    only.is_empty() || only.iter().any(under)
}

/// The server that is tested.
async fn stage(options: &SelftestOptions) -> io::Result<(Stage, Option<OwnServer>)> {
    let trust = options.trust.trust()?;
    if let (Some(url), Some(account), Some(password)) = (&options.soap, &options.account, &options.password) {
        let soap = Endpoint::parse(url)?.or_path("/services/VideoCloudStorage");
        let secret = Secret::new(password.clone());
        let platform = Platform::new(soap.clone(), account.clone(), secret.clone(), trust.clone());
        let alerts = match options.listen {
            Some(listen) => Some(platform::beside(PlatformOptions::quiet(listen, account)).await?.1),
            None => None,
        };
        let stage = Stage {
            whom: url.clone(),
            account: account.clone(),
            password: secret,
            soap,
            platform,
            trust,
            gigabyte: options.bytes_per_gb,
            alerts,
            own: false,
        };
        return Ok((stage, None));
    }
    const ACCOUNT: &str = "selftest";
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let (url, alerts) = platform::beside(PlatformOptions::quiet(listen, ACCOUNT)).await?;
    let dir = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let wanted = Wanted {
        name: "selftest",
        settings: vec![
            ("space", "bytes_per_gb", OWN_GIGABYTE.to_string()),
            ("space", "max_sub_accounts", "20".to_owned()),
            ("storage", "reserve", "\"0%\"".to_owned()),
            ("alerts", "first_retry", "\"200ms\"".to_owned()),
        ],
        ..Wanted::default()
    };
    let started = tokio::task::spawn_blocking(move || {
        let server = OwnServer::start(&wanted, &dir)?;
        let account = server.open_account(ACCOUNT, OWN_SPACE, Some(&url))?;
        io::Result::Ok((server, account))
    });
    let (server, account) = started.await.map_err(io::Error::other)??;
    let stage = Stage {
        whom: format!("kandian {}", env!("CARGO_PKG_VERSION")),
        account: account.name.clone(),
        password: account.password.clone(),
        soap: account.soap.clone(),
        platform: account.platform()?,
        trust,
        gigabyte: OWN_GIGABYTE,
        alerts: Some(alerts),
        own: true,
    };
    Ok((stage, Some(server)))
}

// === impl Finding ===

impl Finding {
    fn text(&self, wire: bool) -> String {
        let Clause { number, title, about, .. } = self.clause;
        let (word, why) = match &self.verdict {
            Verdict::Passed => ("通过 / pass", String::new()),
            Verdict::Failed(why) => ("失败 / FAIL", format!("\n      {why}")),
            Verdict::NotRun(why) => ("未执行 / not run", format!(": {why}")),
        };
        let mut out = format!("{number:<5} {word}  {title}: {about} ({} ms){why}", self.took_ms);
        if wire || matches!(self.verdict, Verdict::Failed(_)) {
            for shot in &self.shots {
                out += &format!("\n      > {}\n      < {}", shot.sent.replace('\n', "\n        "), shot.came);
            }
        }
        out
    }

    fn json(&self) -> Value {
        let (verdict, why) = match &self.verdict {
            Verdict::Passed => ("passed", None),
            Verdict::Failed(why) => ("failed", Some(why)),
            Verdict::NotRun(why) => ("not_run", Some(why)),
        };
        let wire: Vec<Value> = self.shots.iter().map(|shot| json!({"sent": shot.sent, "came": shot.came})).collect();
        json!({
            "clause": self.clause.number,
            "title": self.clause.title,
            "about": self.clause.about,
            "verdict": verdict,
            "why": why,
            "ms": u64::try_from(self.took_ms).unwrap_or(u64::MAX),
            "wire": wire,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_are_chosen_by_number_or_by_section() {
        let numbers = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|&text| text.to_owned()).collect();
            CLAUSES.iter().filter(|clause| is_chosen(clause, &only)).map(|clause| clause.number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&["7.2"]), ["7.2"]);
        assert_eq!(numbers(&["7"]).len(), 9);
        assert_eq!(numbers(&[]).len(), CLAUSES.len());
        assert!(numbers(&["70"]).is_empty());
    }
}
