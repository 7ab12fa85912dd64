//! `kandian alerts` and `kandian audit`

use std::process::ExitCode;

use serde_json::Value;

use super::output::{Done, Json, pairs, print, show, table, text, time};
use super::reach::{Reached, either, server};
use crate::api::{Failure, TestAlert};
use crate::config::Config;
use crate::engine::{ALERT_KINDS, ALERT_STATES, AuditPage, ChainPage, verify_export};

#[derive(Debug, clap::Subcommand)]
pub enum Alerts {
    /// Alerts, the newest first
    List(Box<Which>),
    /// One alert with every attempt and what people said
    Show(Numbered),
    /// Send a pending or given-up alert now
    Resend {
        /// Its number
        id: u64,
        #[command(flatten)]
        json: Json,
    },
    /// Acknowledge an alert
    Ack {
        #[command(flatten)]
        alert: Numbered,
        /// Take it back
        #[arg(long)]
        undo: bool,
    },
    /// Say something about an alert
    Comment {
        #[command(flatten)]
        alert: Numbered,
        /// What
        text: String,
    },
    /// Send an alert as a test, by the outbox. The platform cannot tell it from another
    Test {
        /// The account
        account: String,
        /// The sub-account's AK; the account's first where it is not given
        #[arg(long)]
        ak: Option<String>,
        /// Which alert
        #[arg(long, default_value = "nearly_full", value_parser = ALERT_KINDS)]
        alert: String,
        #[command(flatten)]
        json: Json,
    },
}

#[derive(Debug, clap::Args)]
pub struct Numbered {
    /// Its number
    id: u64,
    #[command(flatten)]
    json: Json,
}

/// Which alerts.
#[derive(Debug, clap::Args)]
pub struct Which {
    #[command(flatten)]
    list: List,
    /// In this state
    #[arg(long, value_parser = ALERT_STATES)]
    state: Option<String>,
    /// Of this kind
    #[arg(long, value_parser = ALERT_KINDS)]
    kind: Option<String>,
    /// Of this account
    #[arg(long)]
    account: Option<String>,
    /// Of this sub-account
    #[arg(long)]
    ak: Option<String>,
    /// Those that somebody acknowledged, or the others
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    acknowledged: Option<bool>,
    /// Tests, or the others
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    test: Option<bool>,
}

#[derive(Debug, clap::Subcommand)]
pub enum Audit {
    /// The audit log, the newest first
    List(List),
    /// The whole audit log as CSV, the newest first, or what of it is asked for
    Export(Box<Lines>),
    /// Hold the audit log against its chain; exit 1 where a line was changed or is missing
    Verify(Verify),
}

/// Which lines.
#[derive(Debug, clap::Args)]
pub struct Lines {
    /// Of whom, whole
    #[arg(long)]
    who: Option<String>,
    /// A part of what was done
    #[arg(long)]
    what: Option<String>,
    /// A part of what it was done on
    #[arg(long)]
    target: Option<String>,
    /// What an account did, and what was done on it
    #[arg(long)]
    account: Option<String>,
    /// A part of anything that a line says
    #[arg(long)]
    text: Option<String>,
    /// What was refused or failed
    #[arg(long)]
    refused: bool,
    /// Not before this, ms since 1970
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    from_ms: Option<i64>,
    /// Before this, ms since 1970
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    until_ms: Option<i64>,
    /// All lines, oldest first, with their chain, as `audit verify --file` verifies them anywhere
    #[arg(long, conflicts_with_all = ["who", "what", "target", "account", "text", "refused", "from_ms", "until_ms"])]
    chain: bool,
}

#[derive(Debug, clap::Args)]
pub struct Verify {
    /// An export with its chain instead of this appliance's log; no server and no store is needed
    #[arg(long, value_name = "FILE")]
    file: Option<std::path::PathBuf>,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, clap::Args)]
pub struct List {
    /// How many at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    most: u32,
    #[command(flatten)]
    json: Json,
}

impl List {
    fn most(&self) -> usize {
        usize::try_from(self.most).unwrap_or(usize::MAX)
    }
}

pub async fn run(command: Alerts, config: &Config) -> Done {
    let reached = server(config).await?;
    match command {
        Alerts::List(which) => {
            let answer = pages(&reached, &which).await;
            show(which.list.json, &reached.end(answer).await?, alerts)
        }
        Alerts::Show(Numbered { id, json }) => {
            let answer = reached.client.alert(id).await;
            show(json, &reached.end(answer).await?, alert)
        }
        Alerts::Ack { alert: Numbered { id, json }, undo } => {
            let answer = reached.client.acknowledge_alert(id, !undo).await;
            let word = if undo { "no longer acknowledged" } else { "acknowledged" };
            show(json, &reached.end(answer).await?, |_| format!("alert {id} is {word}\n"))
        }
        Alerts::Comment { alert: Numbered { id, json }, text } => {
            let answer = reached.client.comment_on_alert(id, &text).await;
            show(json, &reached.end(answer).await?, |_| format!("alert {id} has one comment more\n"))
        }
        Alerts::Test { account, ak, alert, json } => {
            let test = TestAlert { ak, alert: Some(alert) };
            let answer = reached.client.test_alert(&account, &test).await;
            show(json, &reached.end(answer).await?, |sent| {
                let id = text(&sent["id"]);
                format!("alert {id} is being sent as a test; `kandian alert show {id}` has its attempts\n")
            })
        }
        Alerts::Resend { id, json } => {
            let answer = reached.client.resend_alert(id).await;
            show(json, &reached.end(answer).await?, |_| format!("alert {id} is being sent\n"))
        }
    }
}

/// As many alerts as were asked for, page after page, as one JSON list.
async fn pages(reached: &Reached, which: &Which) -> Result<String, Failure> {
    let (mut all, mut before, most) = (Vec::new(), None, which.list.most());
    loop {
        let page = reached.client.alert_page(&which.query(before, most - all.len())).await?;
        let mut page: Value = serde_json::from_str(&page).map_err(not_json)?;
        if let Some(alerts) = page["alerts"].as_array_mut() {
            all.append(alerts);
        }
        before = page["next"].as_u64();
        if before.is_none() || all.len() >= most {
            return Ok(Value::Array(all).to_string());
        }
    }
}

fn not_json(error: serde_json::Error) -> Failure {
    Failure::Connection(std::io::Error::other(error))
}

impl Which {
    fn query(&self, before: Option<u64>, most: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("most", &most.clamp(1, 1000).to_string());
        let texts = [("state", &self.state), ("kind", &self.kind), ("account", &self.account), ("ak", &self.ak)];
        for (key, value) in texts {
            query.extend_pairs(value.iter().map(|value| (key, value)));
        }
        for (key, value) in [("acknowledged", self.acknowledged), ("test", self.test)] {
            query.extend_pairs(value.map(|value| (key, value.to_string())));
        }
        query.extend_pairs(before.map(|before| ("before", before.to_string())));
        query.finish()
    }
}

impl Lines {
    fn query(&self, before: Option<u64>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("most", "1000");
        let texts = [
            ("who", &self.who),
            ("what", &self.what),
            ("target", &self.target),
            ("account", &self.account),
            ("text", &self.text),
        ];
        for (key, value) in texts {
            query.extend_pairs(value.iter().map(|value| (key, value)));
        }
        if self.refused {
            query.append_pair("done", "false");
        }
        for (key, value) in [("from_ms", self.from_ms), ("until_ms", self.until_ms)] {
            query.extend_pairs(value.map(|value| (key, value.to_string())));
        }
        query.extend_pairs(before.map(|before| ("before", before.to_string())));
        query.finish()
    }
}

/// Prints page after page: a log of years is not held in memory.
async fn export(lines: &Lines, config: &Config) -> Done {
    let reached = either(config).await?;
    let mut before = None;
    let answer: Result<(), Failure> = async {
        print(&AuditPage::csv_head());
        loop {
            let page = reached.client.audit_page(&lines.query(before)).await?;
            let page: AuditPage = serde_json::from_str(&page).map_err(not_json)?;
            before = page.next;
            print(&page.into_csv(config.zone_minutes));
            if before.is_none() {
                return Ok(());
            }
        }
    }
    .await;
    reached.end(answer).await?;
    Ok(ExitCode::SUCCESS)
}

pub async fn run_audit(command: Audit, config: &Config) -> Done {
    let list = match command {
        Audit::List(list) => list,
        Audit::Export(lines) if lines.chain => return export_chain(config).await,
        Audit::Export(lines) => return export(&lines, config).await,
        Audit::Verify(Verify { file: Some(file), json }) => return verify_file(json, &file),
        Audit::Verify(Verify { file: None, json }) => return verify(json, config).await,
    };
    let reached = server(config).await?;
    let answer = reached.client.audit(list.most()).await;
    show(list.json, &reached.end(answer).await?, audit)
}

/// As [`export`], with the chain.
async fn export_chain(config: &Config) -> Done {
    let reached = either(config).await?;
    let answer: Result<(), Failure> = async {
        print("{\"kandian_audit_chain\":1}\n");
        let (mut after, mut lines) = (None, 0u64);
        loop {
            let page = reached.client.audit_chain(after).await?;
            let page: ChainPage = serde_json::from_str(&page).map_err(not_json)?;
            for line in &page.lines {
                print(&(serde_json::to_string(line).map_err(not_json)? + "\n"));
                lines += 1;
            }
            after = page.next;
            if after.is_none() {
                // What the log itself says that it ends in, of the moment of this page.
                print(&format!("{{\"lines\":{lines},\"end\":\"{}\"}}\n", page.end));
                return Ok(());
            }
        }
    }
    .await;
    reached.end(answer).await?;
    Ok(ExitCode::SUCCESS)
}

fn verify_file(json: Json, file: &std::path::Path) -> Done {
    let text = super::save::read(file)?;
    let verdict = verify_export(&text).map_err(|what| format!("{}: {what}", file.display()))?;
    told(json, &serde_json::to_string(&verdict).map_err(|error| error.to_string())?)
}

async fn verify(json: Json, config: &Config) -> Done {
    let reached = either(config).await?;
    let answer = reached.client.verify_audit().await;
    told(json, &reached.end(answer).await?)
}

/// Tells a verdict; exit code 1 where it is not sound.
fn told(json: Json, answer: &str) -> Done {
    let verdict: Value = serde_json::from_str(answer).map_err(|error| format!("the answer is not JSON: {error}"))?;
    show(json, answer, verdict_words)?;
    let sound = verdict["broken_at"].is_null() && verdict["cut_off"] == false;
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn verdict_words(verdict: &Value) -> String {
    let mut words = format!("{} lines\n", text(&verdict["lines"]));
    if !verdict["broken_at"].is_null() {
        let number = text(&verdict["broken_at"]);
        words.push_str(&format!("line {number} is not as it was written, or the line before it is missing\n"));
    }
    if verdict["cut_off"] == true {
        words.push_str("lines at the end are missing\n");
    }
    words
}

fn alerts(all: &Value) -> String {
    let row = |a: &Value| {
        vec![
            text(&a["id"]),
            time(&a["raised_ms"]),
            text(&a["account"]),
            text(&a["ak"]),
            text(&a["alert"]) + if a["test"] == true { " (test)" } else { "" },
            text(&a["state"]),
            text(&a["attempts"]),
            text(&a["last"]),
        ]
    };
    let rows: Vec<_> = all.as_array().into_iter().flatten().map(row).collect();
    table(&["ID", "RAISED", "ACCOUNT", "AK", "ALERT", "STATE", "ATTEMPTS", "LAST"], &rows)
}

fn alert(told: &Value) -> String {
    let a = &told["alert"];
    let by = |said: &Value| format!("{} {}", time(&said["at_ms"]), text(&said["by"]));
    let mut out = pairs(&[
        ("alert", text(&a["id"])),
        ("kind", text(&a["alert"]) + if a["test"] == true { ", a test" } else { "" }),
        ("account", text(&a["account"])),
        ("AK", text(&a["ak"])),
        ("state", text(&a["state"])),
        ("raised", time(&a["raised_ms"])),
        ("next attempt", if a["next_ms"].is_null() { "-".to_owned() } else { time(&a["next_ms"]) }),
        ("acknowledged", if told["acknowledged"].is_null() { "no".to_owned() } else { by(&told["acknowledged"]) }),
    ]);
    for attempt in told["attempts"].as_array().into_iter().flatten() {
        let status = if attempt["status"].is_null() { String::new() } else { format!("HTTP {}, ", attempt["status"]) };
        out.push_str(&format!("\n{}  {status}{}\n", time(&attempt["at_ms"]), text(&attempt["outcome"])));
        for part in ["request", "answer"].map(|key| attempt[key].as_str().unwrap_or_default()) {
            part.lines().for_each(|line| out.push_str(&format!("    {line}\n")));
        }
    }
    for said in told["comments"].as_array().into_iter().flatten() {
        out.push_str(&format!("\n{}: {}\n", by(said), text(&said["text"])));
    }
    out
}

fn audit(all: &Value) -> String {
    let row = |a: &Value| {
        let columns = ["who", "from", "what", "target", "outcome"];
        std::iter::once(time(&a["at_ms"])).chain(columns.map(|key| text(&a[key]))).collect()
    };
    let rows: Vec<Vec<String>> = all.as_array().into_iter().flatten().map(row).collect();
    table(&["TIME", "WHO", "FROM", "WHAT", "TARGET", "OUTCOME"], &rows)
}
