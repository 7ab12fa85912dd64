//! `kandian overview`

use serde_json::Value;

use super::output::{Done, Json, bytes, pairs, show, table, text, time};
use super::reach::either;
use crate::config::Config;

pub async fn run(json: Json, config: &Config) -> Done {
    let reached = either(config).await?;
    let answer = reached.client.get("/overview").await;
    show(json, &reached.end(answer).await?, page)
}

fn page(o: &Value) -> String {
    let (status, growth, ingest) = (&o["status"], &o["growth"], &o["ingest"]);
    let due = &o["to_issue"];
    let per_second = |number: &Value| {
        let within = ingest["within_ms"].as_u64().unwrap_or(0);
        let rate = number.as_u64().unwrap_or(0).saturating_mul(1000).checked_div(within).unwrap_or(0);
        Value::from(rate)
    };
    let mut out = pairs(&[
        ("healthy", text(&o["healthy"])),
        ("used", bytes(&growth["used_bytes"])),
        ("left on the disks", bytes(&growth["left_bytes"])),
        ("net growth a day", format!("{} B", text(&growth["growth_per_day"]))),
        ("full", time(&growth["full_ms"])),
        ("promised to accounts", bytes(&status["promised_bytes"])),
        ("handed out", bytes(&status["handed_out_bytes"])),
        (
            "ingest now",
            format!(
                "{}/s, {} files in {} ms",
                bytes(&per_second(&ingest["bytes"])),
                text(&ingest["files"]),
                text(&ingest["within_ms"])
            ),
        ),
        ("alerts not delivered", text(&o["alerts_open"])),
        ("the oldest of them", time(&o["alerts_oldest_ms"])),
        ("cameras gone silent", text(&o["silent"])),
        (
            "statements to issue",
            if due.is_null() {
                "0".to_owned()
            } else {
                format!("{} of {}", text(&due["accounts"]), text(&due["month"]))
            },
        ),
        ("last checkpoint", time(&o["checkpoint_ms"])),
    ]);
    let row = |camera: &Value| {
        vec![text(&camera["account"]), text(&camera["ak"]), text(&camera["name"]), time(&camera["since_ms"])]
    };
    let rows: Vec<_> = o["silent_first"].as_array().into_iter().flatten().map(row).collect();
    if !rows.is_empty() {
        out.push('\n');
        out.push_str(&table(&["ACCOUNT", "SILENT", "NAME", "SINCE"], &rows));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_comes_in_is_told_by_the_second() {
        let answer = json!({
            "healthy": true, "status": {}, "growth": {"used_bytes": 0}, "alerts_open": 2, "silent": 1,
            "ingest": {"bytes": 61_440, "files": 3, "within_ms": 60_000},
            "to_issue": {"month": "2026-10", "accounts": 4},
            "silent_first": [{"account": "江苏", "ak": "AK", "name": "东门", "since_ms": 0}],
        });
        let shown = page(&answer);
        assert!(shown.contains("1.0 KiB/s, 3 files") && shown.contains("4 of 2026-10"), "{shown}");
        assert!(shown.contains("东门") && shown.contains("1970-01-01 00:00:00 UTC"), "{shown}");
        let young = page(&json!({"ingest": {"bytes": 5, "files": 1, "within_ms": 0}}));
        assert!(young.contains("0 B/s"), "{young}");
    }
}
