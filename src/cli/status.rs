//! `kandian status`

use serde_json::Value;

use super::certificate;
use super::output::{Done, Json, bytes, pairs, show, table, text, time};
use super::reach::either;
use crate::config::Config;

pub async fn run(json: Json, config: &Config) -> Done {
    let reached = either(config).await?;
    let answer = reached.client.status().await;
    show(json, &reached.end(answer).await?, page)
}

/// How far the scrub in the background is, and what its last pass found.
fn scrub(s: &Value) -> String {
    let (now, last) = (&s["scrub"]["now"], &s["scrub"]["last"]);
    let share =
        u128::from(now["bytes"].as_u64().unwrap_or(0)) * 100 / u128::from(s["used_bytes"].as_u64().unwrap_or(0).max(1));
    let now = match (&now["ended_ms"], now["begun_ms"].as_i64()) {
        (Value::Null, Some(begun)) if begun > 0 => {
            format!("{} % of a pass, {} damaged", share.min(100), text(&now["damaged"]))
        }
        _ => "no pass under way".to_owned(),
    };
    let last = match last {
        Value::Null => "no pass has come through".to_owned(),
        last => format!("last pass ended {}, {} damaged", time(&last["ended_ms"]), text(&last["damaged"])),
    };
    format!("{now}; {last}")
}

fn page(s: &Value) -> String {
    let mut out = match s["salvage"].as_str() {
        Some(_) => format!("SALVAGE MODE: reads only, nothing is stored ({})\n\n", text(&s["salvage"])),
        None => String::new(),
    };
    out += &pairs(&[
        ("version", format!("{} (format {})", text(&s["version"]), text(&s["format"]))),
        ("accounts", text(&s["accounts"])),
        ("sub-accounts", text(&s["sub_accounts"])),
        ("files", text(&s["files"])),
        ("used", bytes(&s["used_bytes"])),
        ("uploads under way", bytes(&s["reserved_bytes"])),
        ("promised to accounts", bytes(&s["promised_bytes"])),
        ("handed out", bytes(&s["handed_out_bytes"])),
        (
            "uploads",
            match s["no_room"].as_str() {
                Some(why) => format!("refused: {why}"),
                None => "taken".to_owned(),
            },
        ),
        ("commit queue", text(&s["commit_queue"])),
        ("extents to give back", text(&s["trash"])),
        ("scrub", scrub(s)),
        ("alerts", format!("{} pending, {} given up", text(&s["alerts_pending"]), text(&s["alerts_given_up"]))),
    ]);
    let slowed = s["slowed"].as_array().map(Vec::as_slice).unwrap_or_default();
    out.push_str(&pairs(&[(
        "wrong passwords, signatures",
        format!("{}, {} not looked at", text(&s["wrong_guesses"]), text(&s["refused_guesses"])),
    )]));
    let row = |d: &Value| {
        let size = |key: &str| bytes(&d[key]);
        vec![
            text(&d["dir"]),
            size("total_bytes"),
            size("free_bytes"),
            size("reserve_bytes"),
            text(&d["volumes"]),
            text(&d["state"]),
        ]
    };
    let rows: Vec<_> = s["disks"].as_array().into_iter().flatten().map(row).collect();
    out.push('\n');
    out.push_str(&table(&["DISK", "SIZE", "FREE", "RESERVE", "VOLUMES", "STATE"], &rows));
    if s["certificates"].as_array().is_some_and(|all| !all.is_empty()) {
        out.push('\n');
        out.push_str(&certificate::page(&s["certificates"]));
    }
    if !slowed.is_empty() {
        let row = |s: &Value| {
            let or_dash = |key: &str| if s[key].is_null() { "-".to_owned() } else { text(&s[key]) };
            vec![text(&s["what"]), or_dash("who"), or_dash("from"), text(&s["failures"]), text(&s["seconds"])]
        };
        let rows: Vec<_> = slowed.iter().map(row).collect();
        out.push('\n');
        out.push_str(&table(&["SLOWED", "NAME", "FROM", "FAILURES", "SECONDS LEFT"], &rows));
    }
    out
}
