//! `kandian stats`: counters over time.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::output::{Done, bytes, pairs, print, show, table, text, time};
use super::reach::either;
use crate::config::Config;

#[derive(Debug, clap::Args)]
pub struct Stats {
    /// How far back: by the hour, by the day, by the month
    #[arg(long, value_parser = ["24h", "30d", "12m"], default_value = "24h")]
    period: String,
    /// Of this account alone
    #[arg(long)]
    account: Option<String>,
    /// What the top lists are sorted by
    #[arg(long, value_parser = ["bytes", "uploads", "refused"], default_value = "bytes")]
    by: String,
    /// Print CSV: a line a step
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    json: super::output::Json,
}

pub async fn run(stats: Stats, config: &Config) -> Done {
    let mut path = format!("/statistics?period={}&by={}", stats.period, stats.by);
    if let Some(account) = &stats.account {
        path.push_str(&format!("&account={}", utf8_percent_encode(account, NON_ALPHANUMERIC)));
    }
    if stats.csv {
        path.push_str("&as=csv");
    }
    let reached = either(config).await?;
    let answer = reached.client.get(&path).await;
    let answer = reached.end(answer).await?;
    if stats.csv {
        print(&answer);
        return Ok(std::process::ExitCode::SUCCESS);
    }
    show(stats.json, &answer, page)
}

fn page(s: &Value) -> String {
    let zone = s["zone_minutes"].as_i64().filter(|minutes| minutes.abs() < 1500).unwrap_or(0);
    let row = |point: &Value| {
        if point["measured"] == false {
            return [local(&point["at_ms"], zone)].into_iter().chain((0..7).map(|_| "-".to_owned())).collect();
        }
        let refused: u64 = point["refusals"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
        vec![
            local(&point["at_ms"], zone),
            bytes(&point["bytes_in"]),
            text(&point["recordings"]),
            text(&point["pictures"]),
            text(&point["overwritten"]),
            text(&point["deleted"]),
            refused.to_string(),
            text(&point["alerts_raised"]),
        ]
    };
    let rows: Vec<_> = s["points"].as_array().into_iter().flatten().map(row).collect();
    let heads = ["FROM", "INGEST", "RECORDINGS", "PICTURES", "OVERWRITTEN", "DELETED", "REFUSED", "ALERTS"];
    let mut out = table(&heads, &rows);
    let growth = &s["growth"];
    out.push('\n');
    out.push_str(&pairs(&[
        ("ingest", bytes(&s["total"]["bytes_in"])),
        ("used", bytes(&growth["used_bytes"])),
        ("left", bytes(&growth["left_bytes"])),
        ("net growth a day", format!("{} B", text(&growth["growth_per_day"]))),
        ("full", time(&growth["full_ms"])),
    ]));
    let mut refused: Vec<(&String, u64)> = s["total"]["refusals"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(code, n)| Some((code, n.as_u64()?)))
        .collect();
    refused.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    if !refused.is_empty() {
        let rows: Vec<_> =
            refused.into_iter().map(|(code, n)| vec![text(&code.as_str().into()), n.to_string()]).collect();
        out.push('\n');
        out.push_str(&table(&["REFUSED WITH", "REQUESTS"], &rows));
    }
    for (head, list) in [("ACCOUNT", "top_accounts"), ("CAMERA (7 DAYS)", "top_cameras")] {
        let row = |top: &Value| {
            let name = text(&top["name"]);
            let who = if name.is_empty() { text(&top["who"]) } else { format!("{} {name}", text(&top["who"])) };
            vec![who, bytes(&top["bytes_in"]), text(&top["uploads"]), text(&top["refused"])]
        };
        let rows: Vec<_> = s[list].as_array().into_iter().flatten().map(row).collect();
        if !rows.is_empty() {
            out.push('\n');
            out.push_str(&table(&[head, "INGEST", "FILES", "REFUSED"], &rows));
        }
    }
    out
}

/// A step's begin in the zone of the box, to the minute.
fn local(at_ms: &Value, zone_minutes: i64) -> String {
    let offset = i32::try_from(zone_minutes * 60).ok().and_then(|seconds| jiff::tz::Offset::from_seconds(seconds).ok());
    let stamp = at_ms.as_i64().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    match (offset, stamp) {
        (Some(offset), Some(stamp)) => offset.to_datetime(stamp).strftime("%Y-%m-%d %H:%M").to_string(),
        _ => text(at_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_step_is_told_in_the_zone_and_a_gap_as_a_dash() {
        let answer = json!({
            "zone_minutes": 480,
            "points": [
                {"at_ms": 0, "measured": false, "refusals": {}},
                {"at_ms": 3_600_000, "measured": true, "bytes_in": 2048, "recordings": 2, "pictures": 1, "overwritten": 0,
                 "deleted": 0, "refusals": {"NoSuchKey": 3, "BadDigest": 1}, "alerts_raised": 0},
            ],
            "total": {"bytes_in": 2048, "refusals": {"BadDigest": 1, "NoSuchKey": 3}},
            "growth": {"used_bytes": 2048, "left_bytes": 0, "growth_per_day": -5, "full_ms": null},
            "top_accounts": [],
            "top_cameras": [{"who": "AK", "name": "东门", "bytes_in": 2048, "uploads": 3, "refused": 0}],
        });
        let shown = page(&answer);
        let lines: Vec<String> = shown.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[1], "1970-01-01 08:00 - - - - - - -", "{shown}");
        assert_eq!(lines[2], "1970-01-01 09:00 2.0 KiB 2 1 0 0 4 0", "{shown}");
        let refused: Vec<&str> =
            shown.lines().skip_while(|line| !line.starts_with("REFUSED")).skip(1).take(2).collect();
        assert!(refused[0].starts_with("NoSuchKey") && refused[1].starts_with("BadDigest"), "{shown}");
        assert!(shown.contains("AK 东门") && !shown.contains("ACCOUNT") && shown.contains("-5 B"), "{shown}");
    }
}
