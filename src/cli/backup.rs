//! `kandian backup` and `kandian restore`

use std::path::PathBuf;

use serde_json::Value;

use super::output::{Done, Json, bytes, pairs, patiently, show, text, time};
use super::reach::{either, is_running};
use crate::api::TakeBackup;
use crate::config::Config;

/// Accounts, keys, users, settlement, settings and index (not the media), while the server runs
#[derive(Debug, clap::Args)]
pub struct Backup {
    /// A directory that is not there, or is empty
    dir: PathBuf,
    /// Leave the master key out: without it nobody can read the secrets in the backup, nor restore it alone
    #[arg(long)]
    without_master_key: bool,
    #[command(flatten)]
    json: Json,
}

/// Puts a backup back; the server must not run
#[derive(Debug, clap::Args)]
pub struct Restore {
    /// The directory of the backup
    dir: PathBuf,
    /// Restore in the place of a store that is there; what was there is kept under another name
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    json: Json,
}

pub async fn run(backup: Backup, config: &Config) -> Done {
    // The server has another working directory.
    let dir = std::path::absolute(&backup.dir).map_err(|error| format!("{}: {error}", backup.dir.display()))?;
    let Some(dir) = dir.to_str() else { return Err(format!("{} is no UTF-8", dir.display())) };
    let asked = TakeBackup { dir: dir.to_owned(), master_key: !backup.without_master_key };
    let reached = either(config).await?;
    let answer = patiently("writing the backup", reached.client.post("/backup", &asked)).await;
    show(backup.json, &reached.end(answer).await?, |report| {
        let key = if report["master_key"] == true { "in it: keep it as secret as the box" } else { "not in it" };
        pairs(&[
            ("backup", text(&report["dir"])),
            ("objects", text(&report["objects"])),
            ("accounts", text(&report["accounts"])),
            ("sub-accounts", text(&report["sub_accounts"])),
            ("bytes", bytes(&report["bytes"])),
            ("master key", key.to_owned()),
            ("took", format!("{} ms", text(&report["took_ms"]))),
        ])
    })
}

pub async fn run_restore(restore: Restore, config: &Config) -> Done {
    if is_running(config).await? {
        return Err("the server is running; stop it before `kandian restore`".to_owned());
    }
    let (config, dir, force) = (config.clone(), restore.dir.clone(), restore.force);
    let work = move || crate::app::restore(&crate::world::os::world(), &config, &dir, force);
    let done = patiently("restoring", tokio::task::spawn_blocking(work)).await.map_err(|error| error.to_string())?;
    let report = done.map_err(|error| format!("nothing was restored: {error}"))?;
    let answer = serde_json::to_string(&report).map_err(|error| error.to_string())?;
    show(restore.json, &answer, people)
}

fn people(report: &Value) -> String {
    let journal = match report["journal"].as_str() {
        Some("volumes") => "beside the volumes: it goes on past the backup",
        _ => "from the backup",
    };
    let mut out = pairs(&[
        ("backup of", time(&report["taken_ms"])),
        ("objects", text(&report["objects"])),
        ("bytes", bytes(&report["bytes"])),
        ("accounts", text(&report["accounts"])),
        ("sub-accounts", text(&report["sub_accounts"])),
        ("newer than the backup", text(&report["newer_objects"])),
        ("without a record", text(&report["missing_objects"])),
        ("journal", journal.to_owned()),
    ]);
    if !report["adopted_by"].is_null() {
        out.push_str(&format!(
            "\n{} sub-accounts or buckets are newer than the backup; the account {} has their files.\n",
            text(&report["adopted"]),
            text(&report["adopted_by"])
        ));
    }
    let lines = |key: &str| report[key].as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
    for path in lines("kept_aside") {
        out.push_str(&format!("kept aside: {path}\n"));
    }
    for line in lines("unknown") {
        out.push_str(&format!("note: {line}\n"));
    }
    out
}
