//! `kandian index` and `kandian scrub`

use std::process::ExitCode;

use serde_json::Value;

use super::output::{Done, Json, bytes, pairs, patiently, show, table, text};
use super::reach::{either, is_running};
use crate::config::Config;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Hold index and volumes against each other; exit code 1 where they disagree
    Check(Json),
    /// Make the index anew from the volumes; the server must not run
    Rebuild(Json),
}

pub async fn run(command: Command, config: &Config) -> Done {
    match command {
        Command::Check(json) => {
            let reached = either(config).await?;
            let answer = patiently("checking the index", reached.client.check()).await;
            report(json, &reached.end(answer).await?, "violations", &["what", "bucket", "key"])
        }
        Command::Rebuild(json) => rebuild(json, config).await,
    }
}

pub async fn run_scrub(json: Json, config: &Config) -> Done {
    let reached = either(config).await?;
    let answer = patiently("reading everything", reached.client.scrub()).await;
    report(json, &reached.end(answer).await?, "damaged", &["bucket", "key", "reason"])
}

async fn rebuild(json: Json, config: &Config) -> Done {
    if is_running(config).await? {
        return Err("the server is running; stop it before `kandian index rebuild`".to_owned());
    }
    let config = config.clone();
    let work = tokio::task::spawn_blocking(move || crate::app::rebuild(crate::world::os::world(), &config));
    let done = patiently("reading the volumes", work).await.map_err(|error| error.to_string())?;
    let report = done.map_err(|error| format!("the index was not rebuilt: {error}"))?;
    let text_of = serde_json::to_string(&report).map_err(|error| error.to_string())?;
    show(json, &text_of, |r| {
        pairs(&[
            ("objects", text(&r["objects"])),
            ("bytes", bytes(&r["bytes"])),
            ("accounts", text(&r["accounts"])),
            ("sub-accounts", text(&r["sub_accounts"])),
            ("skipped bytes", text(&r["skipped_bytes"])),
        ])
    })
}

/// Prints what was looked at and what is wrong; exit code 1 where anything is.
fn report(json: Json, answer: &str, list: &str, columns: &[&str]) -> Done {
    let value: Value = serde_json::from_str(answer).map_err(|error| format!("the answer is not JSON: {error}"))?;
    let Some(wrong) = value[list].as_array() else { return Err("the answer is no report".to_owned()) };
    show(json, answer, |report| {
        let read = if report["bytes"].is_null() { String::new() } else { format!(", {}", bytes(&report["bytes"])) };
        let mut out = format!("{} objects{read}, {} {list}\n", text(&report["objects"]), wrong.len());
        if !wrong.is_empty() {
            let rows: Vec<Vec<String>> =
                wrong.iter().map(|row| columns.iter().map(|key| text(&row[*key])).collect()).collect();
            let heads: Vec<String> = columns.iter().map(|key| key.to_uppercase()).collect();
            let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
            out.push_str(&table(&heads, &rows));
        }
        out
    })?;
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_an_exit_code() {
        let code = |answer| report(Json { json: true }, answer, "damaged", &["bucket", "key", "reason"]);
        assert_eq!(code(r#"{"objects":1,"bytes":2,"damaged":[]}"#), Ok(ExitCode::SUCCESS));
        let one = r#"{"objects":1,"bytes":2,"damaged":[{"bucket":"b","key":"k","reason":"checksum"}]}"#;
        assert_eq!(code(one), Ok(ExitCode::FAILURE));
        assert!(code("{}").is_err());
    }
}
