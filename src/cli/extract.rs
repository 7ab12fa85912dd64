//! `kandian extract`: files out of the volumes of a dead box.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use super::output::{Done, Json, Meter, bytes, pairs, show, table, text};
use crate::engine::{Engine, Extract};

/// Reads volumes without index, data directory or master key, and writes nothing to them
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Volume files (vol-….kdv), or directories of them; a journal beside them tells the buckets' names
    #[arg(required = true, value_name = "VOLUME")]
    volumes: Vec<PathBuf>,
    /// Where the files go: a directory that is not there, or is empty
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The directory of the journal, where it does not lie beside the volumes; a backup has one
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
    /// Only this account's files
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only this bucket's files
    #[arg(long, value_name = "BUCKET")]
    bucket: Option<String>,
    /// Write damaged files too, as NAME.damaged, with zeros where they cannot be read
    #[arg(long)]
    with_damaged: bool,
    #[command(flatten)]
    json: Json,
}

pub async fn run(options: Options) -> Done {
    let Options { volumes, to, journal, account, bucket, with_damaged, json } = options;
    let what = Extract { volumes, journal, to, account, bucket, with_damaged };
    let work = tokio::task::spawn_blocking(move || {
        let mut meter = Meter::new();
        Engine::extract(&crate::world::os::world(), &what, |done, all| {
            meter.show(|| match all {
                0 => format!("looking for records … {done}"),
                all => format!("extracting … {done} of {all}"),
            });
        })
    });
    let report = work.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let whole = report.damaged.is_empty();
    let answer = serde_json::to_string(&report).map_err(|error| error.to_string())?;
    show(json, &answer, people)?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn people(report: &Value) -> String {
    let names = if report["names_known"] == true {
        "from the journal".to_owned()
    } else {
        "no journal: buckets are numbers, and deleted files may be among these".to_owned()
    };
    let mut out = pairs(&[
        ("volumes", text(&report["volumes"])),
        ("files", text(&report["objects"])),
        ("bytes", bytes(&report["bytes"])),
        ("names", names),
        ("replaced or deleted", text(&report["replaced_or_deleted"])),
        ("never acknowledged", text(&report["cut"])),
        ("under a number", text(&report["renamed"])),
        ("bytes of no record", text(&report["skipped_bytes"])),
    ]);
    if let Some(damaged) = report["damaged"].as_array().filter(|damaged| !damaged.is_empty()) {
        let rows: Vec<Vec<String>> = damaged
            .iter()
            .map(|flaw| ["bucket", "key", "reason"].iter().map(|column| text(&flaw[*column])).collect())
            .collect();
        out.push_str(&format!("\n{} damaged\n{}", rows.len(), table(&["BUCKET", "KEY", "REASON"], &rows)));
    }
    out
}
