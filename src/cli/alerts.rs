//! `kandian alerts` and `kandian audit`

use serde_json::Value;

use super::output::{Done, Json, show, table, text, time};
use super::reach::server;
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

pub async fn run_audit(Audit::List(list): Audit, config: &Config) -> Done {
    let reached = server(config).await?;
    let answer = reached.client.audit(list.most()).await;
    show(list.json, &reached.end(answer).await?, audit)
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
