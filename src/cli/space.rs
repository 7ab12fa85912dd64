//! `kandian space`

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::output::{Done, Json, bytes, pairs, print, show, table, text, time};
use super::reach::either;
use crate::config::Config;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Sub-accounts with what they hold and when they are full
    List {
        #[command(flatten)]
        asked: Asked,
        /// Print CSV: all of them, a line each
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
    /// Accounts with what was promised, handed out and used
    Accounts(Asked),
    /// When a sub-account is full, and what its next overwrite takes
    Forecast(One),
    /// What came to a sub-account on each of the last 30 days
    Days(One),
    /// Disks, promised, handed out, used, and when the disks are full
    Box(Json),
    /// Why files are gone
    Gone(Gone),
}

#[derive(Debug, clap::Args)]
pub struct Asked {
    /// Of this account alone
    #[arg(long)]
    account: Option<String>,
    /// In this state
    #[arg(long, value_parser = ["all", "above", "full", "loops", "stops", "locked"], default_value = "all")]
    state: String,
    /// In this order
    #[arg(long, value_parser = ["full", "kept", "used", "name", "next"], default_value = "full")]
    sort: String,
    /// With this in AK, name or place
    #[arg(long)]
    find: Option<String>,
    /// Leave out so many
    #[arg(long, default_value_t = 0)]
    skip: usize,
    /// At most so many, 1 to 1000
    #[arg(long, default_value_t = 100)]
    most: usize,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, clap::Args)]
pub struct One {
    /// Its access key (S3AK)
    ak: String,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, clap::Args)]
pub struct Gone {
    /// The file's key; TEXT* begins so, *TEXT* has it anywhere; left out: batches
    key: Option<String>,
    /// Of this camera (S3AK), closed ones too
    #[arg(long)]
    ak: Option<String>,
    /// Of this bucket
    #[arg(long)]
    bucket: Option<String>,
    /// Gone from then on, ms since 1970
    #[arg(long, value_name = "MS")]
    from_ms: Option<i64>,
    /// Gone until then, ms since 1970
    #[arg(long, value_name = "MS")]
    to_ms: Option<i64>,
    /// At most so many, 1 to 1000
    #[arg(long, default_value_t = 100)]
    most: usize,
    #[command(flatten)]
    json: Json,
}

pub async fn run(command: Command, config: &Config) -> Done {
    let reached = either(config).await?;
    let (path, json, page): (String, Json, fn(&Value) -> String) = match command {
        Command::List { asked, csv: true } => {
            let answer = reached.client.get(&format!("/space?as=csv&{}", of(&asked))).await;
            print(&reached.end(answer).await?);
            return Ok(std::process::ExitCode::SUCCESS);
        }
        Command::List { asked, csv: false } => (format!("/space?{}", of(&asked)), asked.json, list),
        Command::Accounts(asked) => (format!("/space/accounts?{}", of(&asked)), asked.json, accounts),
        Command::Forecast(one) => (format!("/space/forecast?ak={}", part(&one.ak)), one.json, forecast),
        Command::Days(one) => (format!("/space/days?ak={}", part(&one.ak)), one.json, days),
        Command::Box(json) => ("/space/box".to_owned(), json, of_the_box),
        Command::Gone(asked) => (gone_path(&asked), asked.json, gone),
    };
    let answer = reached.client.get(&path).await;
    show(json, &reached.end(answer).await?, page)
}

fn part(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn of(asked: &Asked) -> String {
    let mut query = format!("state={}&sort={}&skip={}&most={}", asked.state, asked.sort, asked.skip, asked.most);
    for (name, value) in [("account", &asked.account), ("find", &asked.find)] {
        if let Some(value) = value {
            query.push_str(&format!("&{name}={}", part(value)));
        }
    }
    query
}

fn gone_path(asked: &Gone) -> String {
    let mut path = format!("/gone?most={}", asked.most);
    for (name, value) in [("key", &asked.key), ("ak", &asked.ak), ("bucket", &asked.bucket)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", part(value)));
        }
    }
    for (name, value) in [("from_ms", asked.from_ms), ("to_ms", asked.to_ms)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={value}"));
        }
    }
    path
}

/// A length of time in days.
fn in_days(ms: &Value) -> String {
    ms.as_i64().map_or_else(|| "-".to_owned(), |ms| format!("{} d", ms / 86_400_000))
}

fn rows(all: &Value, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    all.as_array().into_iter().flatten().map(row).collect()
}

fn list(page: &Value) -> String {
    let row = |s: &Value| {
        let [space, used, locked, a_day] =
            ["granted_bytes", "used_bytes", "locked_bytes", "bytes_per_day"].map(|key| bytes(&s[key]));
        let state = if s["full"] == true {
            "full"
        } else if s["above"] == true {
            "above"
        } else {
            ""
        };
        let end = if s["loop"] == true { "overwrites" } else { "stops" };
        let (full, kept) = (time(&s["full_ms"]), in_days(&s["window_ms"]));
        vec![text(&s["ak"]), text(&s["name"]), space, used, locked, a_day, state.into(), end.into(), full, kept]
    };
    let heads = ["AK", "NAME", "SPACE", "USED", "LOCKED", "A DAY", "STATE", "AT THE END", "FULL", "KEPT"];
    format!("{}{} in all\n", table(&heads, &rows(&page["rows"], row)), text(&page["total"]))
}

fn accounts(page: &Value) -> String {
    let row = |a: &Value| {
        let [promised, out, used, locked] =
            ["space_bytes", "handed_out_bytes", "used_bytes", "locked_bytes"].map(|key| bytes(&a[key]));
        let [cameras, above, full] = ["cameras", "above", "full"].map(|key| text(&a[key]));
        let (first, kept) = (time(&a["full_ms"]), in_days(&a["kept_ms"]));
        vec![text(&a["account"]), promised, out, used, locked, cameras, above, full, first, kept]
    };
    let heads =
        ["ACCOUNT", "PROMISED", "HANDED OUT", "USED", "LOCKED", "CAMERAS", "ABOVE", "FULL", "FIRST FULL", "LEAST KEPT"];
    format!("{}{} in all\n", table(&heads, &rows(&page["rows"], row)), text(&page["total"]))
}

fn forecast(f: &Value) -> String {
    let more = if f["overwrite_more"] == true { " at least" } else { "" };
    pairs(&[
        ("access key", text(&f["ak"])),
        ("a day", bytes(&f["bytes_per_day"])),
        ("full", time(&f["full_ms"])),
        ("oldest unlocked file", time(&f["oldest_ms"])),
        ("kept now", in_days(&f["kept_ms"])),
        ("kept once it overwrites", in_days(&f["window_ms"])),
        ("next overwrite", time(&f["overwrite_ms"])),
        ("it deletes", format!("{}{more} files, {}", text(&f["overwrite_files"]), bytes(&f["overwrite_bytes"]))),
        ("made up to", time(&f["overwrite_upto_ms"])),
    ])
}

fn days(camera: &Value) -> String {
    let row = |d: &Value| {
        let [recordings, pictures, overwritten, deleted] =
            ["recordings", "pictures", "overwritten", "deleted"].map(|key| text(&d[key]));
        vec![time(&d["at_ms"]), recordings, pictures, bytes(&d["bytes_in"]), overwritten, deleted]
    };
    table(&["FROM", "RECORDINGS", "PICTURES", "INGEST", "OVERWRITTEN", "DELETED"], &rows(&camera["days"], row))
}

fn of_the_box(b: &Value) -> String {
    let sizes = [
        ("disks hold", "capacity_bytes"),
        ("promised", "promised_bytes"),
        ("handed out", "handed_out_bytes"),
        ("used", "used_bytes"),
        ("left on the disks", "left_bytes"),
        ("ingest a day", "bytes_in_per_day"),
        ("growth a day", "growth_per_day"),
    ];
    let mut all: Vec<(&str, String)> = sizes.iter().map(|(name, key)| (*name, bytes(&b[*key]))).collect();
    all.push(("disks full", time(&b["full_ms"])));
    pairs(&all)
}

fn gone(found: &Value) -> String {
    let mut out = String::new();
    for file in found["there"].as_array().into_iter().flatten() {
        let (ak, bucket, key) = (text(&file["ak"]), text(&file["bucket"]), text(&file["key"]));
        out.push_str(&format!("{key} is there: {ak} {bucket}, made {}\n", time(&file["created_ms"])));
    }
    let file = |f: &Value| {
        let (when, why, by) = (time(&f["gone_ms"]), text(&f["why"]), text(&f["by"]));
        vec![when, why, by, text(&f["ak"]), text(&f["key"]), bytes(&f["size"]), time(&f["created_ms"])]
    };
    let batch = |b: &Value| {
        let (when, why, by) = (time(&b["until_ms"]), text(&b["why"]), text(&b["by"]));
        vec![when, why, by, text(&b["ak"]), text(&b["files"]), bytes(&b["bytes"]), time(&b["newest_ms"])]
    };
    let (files, batches) = (rows(&found["files"], file), rows(&found["batches"], batch));
    if !files.is_empty() {
        out.push_str(&table(&["GONE", "WHY", "BY", "AK", "KEY", "SIZE", "MADE"], &files));
    }
    if !batches.is_empty() {
        out.push_str(&table(&["GONE", "WHY", "BY", "AK", "FILES", "BYTES", "MADE UP TO"], &batches));
    }
    let known = time(&found["known_from_ms"]);
    if out.is_empty() {
        out.push_str(&format!("nothing is known of it; it is known since {known}\n"));
    }
    if found["cut"] == true {
        out.push_str("there may be more: name a camera, or a shorter time\n");
    }
    out
}
