//! `kandian file`

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::output::{Done, Json, bytes, pairs, print, show, table, text, time};
use super::reach::either;
use super::save::To;
use crate::api::{ChooseFiles, DeleteChosen, LockFiles};
use crate::config::Config;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Files of a sub-account, the newest first
    Find(Find),
    /// A day of its recordings: what is recorded, locked, missing
    Day {
        /// The sub-account's access key (S3AK)
        ak: String,
        /// The day
        #[arg(value_name = "YYYY-MM-DD", value_parser = day)]
        day: jiff::civil::Date,
        #[command(flatten)]
        json: Json,
    },
    /// One file, with what its bytes are
    Show(One),
    /// Download a file
    Get(Get),
    /// Download files as one ZIP with a manifest of SHA-256 sums
    Zip(Zip),
    /// Lock files: neither overwritten nor deleted
    Lock(Lock),
    /// Unlock files
    Unlock(Lock),
    /// Delete files that are not locked
    Delete(Delete),
}

/// Recordings or pictures.
#[derive(Clone, Debug, clap::Args)]
pub struct Kind {
    /// What kind of files
    #[arg(long, value_name = "recording|picture", value_parser = ["recording", "picture"], default_value = "recording")]
    kind: String,
}

/// What files are narrowed by.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Narrowed {
    /// Of this day
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day, conflicts_with_all = ["from", "to"])]
    day: Option<jiff::civil::Date>,
    /// Not before this, in the box's zone
    #[arg(long, value_name = "YYYY-MM-DD[THH:MM[:SS]]", value_parser = moment)]
    from: Option<jiff::civil::DateTime>,
    /// Not after this, in the box's zone
    #[arg(long, value_name = "YYYY-MM-DD[THH:MM[:SS]]", value_parser = moment)]
    to: Option<jiff::civil::DateTime>,
    /// Only locked ones
    #[arg(long, conflicts_with = "unlocked")]
    locked: bool,
    /// Only those that are not locked
    #[arg(long)]
    unlocked: bool,
    /// Only names with this in them
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
}

/// Files by name, or all that match.
#[derive(Clone, Debug, clap::Args)]
pub struct Chosen {
    /// Their names
    #[arg(value_name = "KEY", required_unless_present = "all", conflicts_with_all = ["all", "day", "from", "to", "locked", "unlocked", "name"])]
    keys: Vec<String>,
    /// All that match
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    kind: Kind,
    #[command(flatten)]
    narrowed: Narrowed,
}

#[derive(Debug, clap::Args)]
pub struct Find {
    /// The sub-account's access key (S3AK)
    ak: String,
    #[command(flatten)]
    kind: Kind,
    #[command(flatten)]
    narrowed: Narrowed,
    /// Where to go on, as the page before said
    #[arg(long, value_name = "N", default_value_t = 0)]
    at: u64,
    /// Files at most, 1 to 500
    #[arg(long, value_name = "N", default_value_t = 100)]
    most: u64,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, clap::Args)]
pub struct One {
    /// The sub-account's access key (S3AK)
    ak: String,
    /// The file's name
    key: String,
    #[command(flatten)]
    kind: Kind,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, clap::Args)]
pub struct Get {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    to: To,
}

#[derive(Debug, clap::Args)]
pub struct Zip {
    /// The sub-account's access key (S3AK)
    ak: String,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    to: To,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, clap::Args)]
pub struct Lock {
    /// The sub-account's access key (S3AK)
    ak: String,
    /// The files' names
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,
    /// Why, 1 to 200 characters
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    kind: Kind,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, clap::Args)]
pub struct Delete {
    /// The sub-account's access key (S3AK)
    ak: String,
    #[command(flatten)]
    chosen: Chosen,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Only say what would go
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    #[command(flatten)]
    json: Json,
}

pub async fn run(command: Command, config: &Config) -> Done {
    match command {
        Command::Find(asked) => find(asked, config).await,
        Command::Day { ak, day, json } => {
            let from = second(day.to_datetime(jiff::civil::Time::midnight()), config.zone_minutes).saturating_mul(1000);
            let reached = either(config).await?;
            let answer = reached.client.sub_account_get(&ak, "files/day", &[("from_ms", from.to_string())]).await;
            let zone = config.zone_minutes;
            show(json, &reached.end(answer).await?, |day| spans(day, zone))
        }
        Command::Show(One { ak, key, kind, json }) => {
            let reached = either(config).await?;
            let answer = reached.client.sub_account_get(&ak, "files/info", &[("kind", kind.kind), ("key", key)]).await;
            show(json, &reached.end(answer).await?, one)
        }
        Command::Get(Get { one: One { ak, key, kind, json }, to }) => {
            to.check()?;
            let reached = either(config).await?;
            let taken = match reached.client.media(&ak, &kind.kind, &key).await {
                Ok(download) => to.take(download).await,
                Err(failure) => Err(failure),
            };
            saved(json, &to, reached.end(taken).await?)
        }
        Command::Zip(Zip { ak, chosen, to, json }) => {
            to.check()?;
            let chosen = chosen.choose(config.zone_minutes);
            let reached = either(config).await?;
            let taken = match reached.client.zip(&ak, &chosen).await {
                Ok(download) => to.take(download).await,
                Err(failure) => Err(failure),
            };
            saved(json, &to, reached.end(taken).await?)
        }
        Command::Lock(asked) => lock(asked, true, config).await,
        Command::Unlock(asked) => lock(asked, false, config).await,
        Command::Delete(asked) => delete(asked, config).await,
    }
}

async fn find(asked: Find, config: &Config) -> Done {
    let Find { ak, kind, narrowed, at, most, json } = asked;
    let mut query = vec![("kind", kind.kind), ("at", at.to_string()), ("most", most.to_string())];
    let (from, to) = narrowed.span(config.zone_minutes);
    query.extend(from.map(|ms| ("from_ms", ms.to_string())));
    query.extend(to.map(|ms| ("to_ms", ms.to_string())));
    query.extend(narrowed.lock().map(|locked| ("locked", locked.to_string())));
    query.extend(narrowed.name.map(|name| ("name", name)));
    let reached = either(config).await?;
    let answer = reached.client.sub_account_get(&ak, "files/find", &query).await;
    show(json, &reached.end(answer).await?, list)
}

async fn lock(asked: Lock, locked: bool, config: &Config) -> Done {
    let Lock { ak, keys, reason, kind, json } = asked;
    let body = LockFiles { kind: kind.kind, names: keys, locked, reason };
    let reached = either(config).await?;
    let answer = reached.client.sub_account_post(&ak, "files/locks", &body).await;
    let answer = reached.end(answer).await?;
    let outcomes: Value = serde_json::from_str(&answer).map_err(|error| format!("the answer is not JSON: {error}"))?;
    show(json, &answer, |outcomes| {
        let row = |one: &Value| vec![text(&one["outcome"]), text(&one["name"])];
        table(&["OUTCOME", "FILE"], &outcomes.as_array().into_iter().flatten().map(row).collect::<Vec<_>>())
    })?;
    let all = outcomes.as_array().into_iter().flatten().all(|one| one["done"] == true);
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn delete(asked: Delete, config: &Config) -> Done {
    let Delete { ak, chosen, yes, dry_run, json } = asked;
    let chosen = chosen.choose(config.zone_minutes);
    let reached = either(config).await?;
    let previewed = match reached.client.sub_account_post(&ak, "files/preview-deletion", &chosen).await {
        Ok(answer) => answer,
        Err(failure) => return reached.end::<ExitCode>(Err(failure)).await,
    };
    if dry_run {
        return show(json, &reached.end(Ok(previewed)).await?, preview);
    }
    let view: Value = serde_json::from_str(&previewed).unwrap_or_default();
    if !yes && !asked_and_meant(&ak, &view) {
        return reached.end(Ok(())).await.and(Err("nothing was deleted; --yes deletes without asking".to_owned()));
    }
    let ChooseFiles { kind, names, all, from_ms, to_ms, locked, name } = chosen;
    let upto = view["upto"].as_u64().unwrap_or(0);
    let body = DeleteChosen { kind, names, all, from_ms, to_ms, locked, name, upto, typed: ak.clone() };
    let answer = reached.client.sub_account_post(&ak, "files/confirm-deletion", &body).await;
    show(json, &reached.end(answer).await?, |done| {
        pairs(&[
            ("deleted", format!("{} files, {}", text(&done["files"]), bytes(&done["bytes"]))),
            ("kept", format!("{} files, locked or replaced", text(&done["kept"]))),
        ])
    })
}

/// Shows what would go and has the AK typed. Where nobody can type, the answer is no.
fn asked_and_meant(ak: &str, view: &Value) -> bool {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return false;
    }
    let ask = format!("{}There is no way back. Type {ak} to delete them: ", preview(view));
    let mut line = String::new();
    let asked = std::io::stderr().write_all(ask.as_bytes()).and_then(|()| stdin.lock().read_line(&mut line));
    asked.is_ok() && line.trim() == ak
}

fn saved(json: Json, to: &To, size: u64) -> Done {
    if !to.is_stdout() {
        let answer = json!({"file": to.name(), "bytes": size});
        print(&if json.json {
            format!("{answer}\n")
        } else {
            format!("{} in {}\n", bytes(&answer["bytes"]), to.name())
        });
    }
    Ok(ExitCode::SUCCESS)
}

impl Chosen {
    fn choose(self, zone_minutes: i32) -> ChooseFiles {
        let (from_ms, to_ms) = self.narrowed.span(zone_minutes);
        ChooseFiles {
            kind: self.kind.kind,
            names: (!self.all).then_some(self.keys),
            all: self.all,
            from_ms,
            to_ms,
            locked: self.narrowed.lock(),
            name: self.narrowed.name,
        }
    }
}

impl Narrowed {
    /// From when to when, ms since 1970.
    fn span(&self, zone_minutes: i32) -> (Option<i64>, Option<i64>) {
        let ms = |second: i64| second.saturating_mul(1000);
        if let Some(day) = self.day {
            let start = second(day.to_datetime(jiff::civil::Time::midnight()), zone_minutes);
            return (Some(ms(start)), Some(ms(start + 86_399)));
        }
        [self.from, self.to].map(|edge| edge.map(|edge| ms(second(edge, zone_minutes)))).into()
    }

    fn lock(&self) -> Option<bool> {
        if self.locked { Some(true) } else { self.unlocked.then_some(false) }
    }
}

fn day(text: &str) -> Result<jiff::civil::Date, String> {
    text.parse().map_err(|_| "a day is written as 2026-11-25".to_owned())
}

fn moment(text: &str) -> Result<jiff::civil::DateTime, String> {
    text.replace(' ', "T").parse().map_err(|_| "a time is written as 2026-11-25T08:30".to_owned())
}

/// The Unix second of a wall clock's time so far east of UTC.
fn second(at: jiff::civil::DateTime, zone_minutes: i32) -> i64 {
    let utc = jiff::tz::Offset::UTC.to_timestamp(at).map_or(0, jiff::Timestamp::as_second);
    utc - i64::from(zone_minutes) * 60
}

fn list(page: &Value) -> String {
    let lock = |file: &Value| match (&file["locked"], &file["reason"]["reason"]) {
        (Value::Bool(true), Value::String(reason)) => format!("locked: {}", text(&Value::String(reason.clone()))),
        (Value::Bool(true), _) => "locked".to_owned(),
        _ => "-".to_owned(),
    };
    let row = |file: &Value| vec![time(&file["created_ms"]), bytes(&file["size"]), text(&file["key"]), lock(file)];
    let rows: Vec<_> = page["files"].as_array().into_iter().flatten().map(row).collect();
    let mut out = table(&["UPLOADED", "SIZE", "FILE", "LOCK"], &rows);
    if let Some(next) = page["next"].as_u64() {
        out.push_str(&format!("more: --at {next}\n"));
    }
    out
}

fn one(answer: &Value) -> String {
    let file = &answer["file"];
    let reason = &file["reason"];
    let why = match (&file["locked"], reason.is_null()) {
        (Value::Bool(true), false) => {
            format!("{} ({}, {})", text(&reason["reason"]), text(&reason["who"]), time(&reason["at_ms"]))
        }
        (Value::Bool(true), true) => "yes".to_owned(),
        _ => "no".to_owned(),
    };
    let codecs: Vec<String> = answer["codecs"].as_array().into_iter().flatten().map(text).collect();
    let size = match (answer["width"].as_u64(), answer["height"].as_u64()) {
        (Some(width), Some(height)) => format!("{width} × {height}"),
        _ => "-".to_owned(),
    };
    pairs(&[
        ("file", text(&file["key"])),
        ("size", bytes(&file["size"])),
        ("uploaded", time(&file["created_ms"])),
        ("etag", text(&file["etag"])),
        ("locked", why),
        ("container", text(&answer["container"])),
        ("codecs", if codecs.is_empty() { "-".to_owned() } else { codecs.join(", ") }),
        ("picture", size),
        (
            "length",
            answer["duration_ms"]
                .as_u64()
                .map_or_else(|| "-".to_owned(), |ms| format!("{}.{:03} s", ms / 1000, ms % 1000)),
        ),
        (
            "in a browser",
            if answer["obstacle"].is_null() {
                "plays".to_owned()
            } else {
                format!("no: {}", text(&answer["obstacle"]))
            },
        ),
    ])
}

fn spans(day: &Value, zone_minutes: i32) -> String {
    let clock = |second: &Value| {
        let local = second.as_i64().unwrap_or(0) + i64::from(zone_minutes) * 60;
        let local = jiff::Timestamp::from_second(local).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        local.strftime("%H:%M:%S").to_string()
    };
    let row = |span: &Value| {
        vec![clock(&span["from"]), clock(&span["to"]), text(&span["part"]), text(&span["files"]), text(&span["first"])]
    };
    let rows: Vec<_> = day["spans"].as_array().into_iter().flatten().map(row).collect();
    format!("{}{} files\n", table(&["FROM", "TO", "PART", "FILES", "FIRST"], &rows), text(&day["files"]))
}

fn preview(view: &Value) -> String {
    pairs(&[
        ("would go", format!("{} files, {}", text(&view["files"]), bytes(&view["bytes"]))),
        ("from", time(&view["first_ms"])),
        ("to", time(&view["last_ms"])),
        ("locked, would stay", format!("{} files", text(&view["locked"]))),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_and_a_time_are_those_of_the_boxs_zone() {
        assert_eq!(second(moment("2025-11-25T00:00").expect("a time"), 480), 1_764_000_000);
        assert_eq!(second(moment("2025-11-25").expect("a day"), 480), 1_764_000_000);
        assert_eq!(second(moment("2025-11-25 08:00:01").expect("a time"), 0), 1_764_057_601);
        let narrowed = Narrowed { day: day("2025-11-25").ok(), ..Narrowed::default() };
        assert_eq!(narrowed.span(480), (Some(1_764_000_000_000), Some(1_764_086_399_000)));
        for bad in ["25.11.2026", "yesterday", "2026-02-30"] {
            assert!(moment(bad).is_err() && day(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_says_what_is_locked_and_where_to_go_on() {
        let page = json!({"in_time": 2, "next": 7, "files": [
            {"key": "a", "size": 1, "created_ms": 0, "locked": true, "reason": {"reason": "取证"}},
            {"key": "b", "size": 2, "created_ms": 0, "locked": false, "reason": null},
        ]});
        let told = list(&page);
        assert!(told.contains("locked: 取证") && told.ends_with("more: --at 7\n"), "{told}");
    }
}
