//! `kandian index` and `kandian scrub`

use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::output::{Done, Json, Meter, bytes, pairs, patiently, show, table, text};
use super::reach::{either, is_running};
use crate::api::{Client, Failure};
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

/// Read everything, verify every checksum; exit code 1 where anything is damaged
#[derive(Debug, clap::Args)]
pub struct Scrub {
    /// Read no more than this a second, like 50MB/s
    #[arg(long, value_name = "SIZE", value_parser = rate, default_value = "0", hide_default_value = true)]
    rate: u64,
    #[command(flatten)]
    json: Json,
}

fn rate(text: &str) -> Result<u64, String> {
    crate::config::size(text.trim_end_matches("/s"))
}

pub async fn run_scrub(scrub: Scrub, config: &Config) -> Done {
    let Scrub { rate, json } = scrub;
    let reached = either(config).await?;
    let answer = metered(&reached.client, &crate::api::Scrub { rate }).await;
    report(json, &reached.end(answer).await?, "damaged", &["bucket", "key", "reason"])
}

/// Waits for a scrub; on a terminal it says how far it is.
async fn metered(client: &Client, scrub: &crate::api::Scrub) -> Result<String, Failure> {
    let mut work = std::pin::pin!(client.scrub(scrub));
    let (mut meter, begun) = (Meter::new(), Instant::now());
    loop {
        match tokio::time::timeout(Duration::from_secs(1), &mut work).await {
            Ok(done) => return done,
            Err(_) if !meter.is_shown() => {}
            Err(_) => {
                let status = client.status().await.unwrap_or_default();
                let status: Value = serde_json::from_str(&status).unwrap_or_default();
                meter.show(|| far(&status["scrub"]["asked"], begun.elapsed()));
            }
        }
    }
}

/// Share, bytes, rate and time left of a scrub.
fn far(asked: &Value, took: Duration) -> String {
    let of = |key: &str| asked[key].as_u64().unwrap_or(0);
    let (done, all, ms) = (of("bytes"), of("of_bytes").max(1), took.as_millis().max(1));
    let percent = u128::from(done) * 100 / u128::from(all);
    let a_second = u64::try_from(u128::from(done) * 1000 / ms).unwrap_or(0);
    let left = match all.saturating_sub(done).checked_div(a_second) {
        Some(seconds) => format!("{}:{:02}:{:02} left", seconds / 3600, seconds / 60 % 60, seconds % 60),
        None => "just begun".to_owned(),
    };
    let size = |number: u64| bytes(&Value::from(number));
    format!("{} % of {}, {} files, {}/s, {left}", percent.min(100), size(all), of("objects"), size(a_second))
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
        for mended in report["mended"].as_array().into_iter().flatten() {
            out.push_str(&format!("mended: {}\n", text(mended)));
        }
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
    fn how_far_a_scrub_is_has_share_rate_and_time_left() {
        let asked = serde_json::json!({"bytes": 50 << 20, "of_bytes": 200 << 20, "objects": 7});
        assert_eq!(far(&asked, Duration::from_secs(10)), "25 % of 200.0 MiB, 7 files, 5.0 MiB/s, 0:00:30 left");
        assert!(far(&Value::Null, Duration::ZERO).contains("just begun"));
        assert_eq!((rate("50MB/s"), rate("1KiB")), (Ok(50_000_000), Ok(1024)));
        assert!(rate("fast").is_err());
    }

    #[test]
    fn damage_is_an_exit_code() {
        let code = |answer| report(Json { json: true }, answer, "damaged", &["bucket", "key", "reason"]);
        assert_eq!(code(r#"{"objects":1,"bytes":2,"damaged":[]}"#), Ok(ExitCode::SUCCESS));
        let one = r#"{"objects":1,"bytes":2,"damaged":[{"bucket":"b","key":"k","reason":"checksum"}]}"#;
        assert_eq!(code(one), Ok(ExitCode::FAILURE));
        assert!(code("{}").is_err());
    }
}
