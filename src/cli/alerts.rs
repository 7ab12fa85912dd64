//! `kandian alerts` and `kandian audit`

use std::process::ExitCode;

use serde_json::Value;

use super::output::{Done, Json, show, table, text, time};
use super::reach::{either, server};
use crate::config::Config;

#[derive(Debug, clap::Subcommand)]
pub enum Alerts {
    /// Alerts, the newest first
    List(List),
    /// Send a pending or given-up alert now
    Resend {
        /// Its number
        id: u64,
        #[command(flatten)]
        json: Json,
    },
}

#[derive(Debug, clap::Subcommand)]
pub enum Audit {
    /// The audit log, the newest first
    List(List),
    /// Hold the audit log against its chain; exit 1 where a line was changed or is missing
    Verify(Json),
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
        Alerts::List(list) => {
            let answer = reached.client.alerts(list.most()).await;
            show(list.json, &reached.end(answer).await?, alerts)
        }
        Alerts::Resend { id, json } => {
            let answer = reached.client.resend_alert(id).await;
            show(json, &reached.end(answer).await?, |_| format!("alert {id} is being sent\n"))
        }
    }
}

pub async fn run_audit(command: Audit, config: &Config) -> Done {
    let list = match command {
        Audit::List(list) => list,
        Audit::Verify(json) => return verify(json, config).await,
    };
    let reached = server(config).await?;
    let answer = reached.client.audit(list.most()).await;
    show(list.json, &reached.end(answer).await?, audit)
}

async fn verify(json: Json, config: &Config) -> Done {
    let reached = either(config).await?;
    let answer = reached.client.verify_audit().await;
    let answer = reached.end(answer).await?;
    let verdict: Value = serde_json::from_str(&answer).map_err(|error| format!("the answer is not JSON: {error}"))?;
    show(json, &answer, verdict_words)?;
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
            text(&a["alert"]),
            text(&a["state"]),
            text(&a["attempts"]),
            text(&a["last"]),
        ]
    };
    let rows: Vec<_> = all.as_array().into_iter().flatten().map(row).collect();
    table(&["ID", "RAISED", "ACCOUNT", "AK", "ALERT", "STATE", "ATTEMPTS", "LAST"], &rows)
}

fn audit(all: &Value) -> String {
    let row = |a: &Value| {
        let columns = ["who", "from", "what", "target", "outcome"];
        std::iter::once(time(&a["at_ms"])).chain(columns.map(|key| text(&a[key]))).collect()
    };
    let rows: Vec<Vec<String>> = all.as_array().into_iter().flatten().map(row).collect();
    table(&["TIME", "WHO", "FROM", "WHAT", "TARGET", "OUTCOME"], &rows)
}
