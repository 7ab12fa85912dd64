//! `kandian sub-account`

use serde_json::Value;

use super::output::{Done, Json, bytes, pairs, show, table, text, time};
use super::reach::either;
use crate::config::Config;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// All sub-accounts of an account
    List {
        /// The account's name
        account: String,
        #[command(flatten)]
        json: Json,
    },
    /// One sub-account
    Show {
        /// Its access key (S3AK)
        ak: String,
        #[command(flatten)]
        json: Json,
    },
}

pub async fn run(command: Command, config: &Config) -> Done {
    let reached = either(config).await?;
    match command {
        Command::List { account, json } => {
            let answer = reached.client.sub_accounts(&account).await;
            show(json, &reached.end(answer).await?, list)
        }
        Command::Show { ak, json } => {
            let answer = reached.client.sub_account(&ak).await;
            show(json, &reached.end(answer).await?, one)
        }
    }
}

fn list(sub_accounts: &Value) -> String {
    let row = |s: &Value| {
        vec![
            text(&s["ak"]),
            format!("{} GB", text(&s["space_gb"])),
            bytes(&s["used_bytes"]),
            text(&s["recordings"]),
            text(&s["pictures"]),
            text(&s["locked_files"]),
            at_the_end(s).to_owned(),
            time(&s["last_upload_ms"]),
        ]
    };
    let rows: Vec<_> = sub_accounts.as_array().into_iter().flatten().map(row).collect();
    table(&["AK", "SPACE", "USED", "RECORDINGS", "PICTURES", "LOCKED", "AT THE END", "LAST UPLOAD"], &rows)
}

fn at_the_end(sub_account: &Value) -> &'static str {
    if sub_account["loop"] == true { "overwrites" } else { "stops" }
}

fn one(s: &Value) -> String {
    let episodes: Vec<_> = s["episodes"].as_array().into_iter().flatten().map(text).collect();
    pairs(&[
        ("access key", text(&s["ak"])),
        ("account", text(&s["account"])),
        ("space", format!("{} GB ({})", text(&s["space_gb"]), bytes(&s["space_bytes"]))),
        ("used", bytes(&s["used_bytes"])),
        ("uploads under way", bytes(&s["reserved_bytes"])),
        ("locked", format!("{} in {} files", bytes(&s["locked_bytes"]), text(&s["locked_files"]))),
        ("recordings", format!("{} in {}", text(&s["recordings"]), text(&s["record_bucket"]))),
        ("pictures", format!("{} in {}", text(&s["pictures"]), text(&s["picture_bucket"]))),
        ("at the end", at_the_end(s).to_owned()),
        ("overwrites", text(&s["overwrites"])),
        ("open alerts", if episodes.is_empty() { "-".to_owned() } else { episodes.join(", ") }),
        ("last upload", time(&s["last_upload_ms"])),
        ("opened", time(&s["created_ms"])),
    ])
}
