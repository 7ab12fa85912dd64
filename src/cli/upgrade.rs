//! `kandian upgrade`: what this release would do to a store that another has written, and the way back. A start is the
//! upgrade itself.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::output::{Done, Json, bytes, pairs, patiently, print, show, text};
use super::reach::{is_running, server};
use crate::app;
use crate::config::Config;
use crate::world::os::world;

/// What this release would do to the store; exit code 1 where it could not start on it
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Upgrade {
    /// Look and change nothing, which is what is done without it too
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    json: Json,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Put back what the first start of this release has kept, for the release before; the server must not run
    Back(Back),
}

#[derive(Debug, clap::Args)]
struct Back {
    /// Also where something has changed since: what that was is said
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    json: Json,
}

pub async fn run(upgrade: Upgrade, config: &Config) -> Done {
    let Upgrade { check: _, json, command } = upgrade;
    if let Some(Command::Back(back)) = command {
        return go_back(back, config).await;
    }
    let looked = if is_running(config).await? { of_the_running(config).await? } else { of_the_closed(config).await? };
    let problems = looked["problems"].as_array().map_or(0, Vec::len);
    if json.json {
        print(&format!("{looked}\n"));
    } else {
        print(&people(&looked));
    }
    Ok(if problems > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn of_the_closed(config: &Config) -> Result<Value, String> {
    let of = config.clone();
    let looked = patiently("looking at the store", tokio::task::spawn_blocking(move || app::preflight(&world(), &of)));
    let looked = looked.await.map_err(|error| error.to_string())?;
    let looked = looked.map_err(|error| format!("the store cannot be looked at: {error}"))?;
    let mut looked = serde_json::to_value(looked).map_err(|error| error.to_string())?;
    looked["running"] = Value::Null;
    Ok(looked)
}

/// A server that runs has its index for itself; it says which format that has.
async fn of_the_running(config: &Config) -> Result<Value, String> {
    let reached = server(config).await?;
    let answer = reached.client.status().await;
    let status: Value = serde_json::from_str(&reached.end(answer).await?).map_err(|error| error.to_string())?;
    let (writes, reads_from) = app::formats();
    let format = status["format"].as_u64().unwrap_or(0);
    let mut problems = Vec::new();
    if format > u64::from(writes.0) {
        problems.push(format!(
            "the index has format {format}, this program reads up to {}; run the release that wrote it, {}",
            writes.0,
            text(&status["version"])
        ));
    }
    Ok(json!({
        "program": env!("CARGO_PKG_VERSION"),
        "running": status["version"],
        "writes": writes,
        "reads_from": reads_from,
        "found": {"index": format},
        "changes_format": format < u64::from(writes.0),
        "problems": problems,
    }))
}

fn people(looked: &Value) -> String {
    let found = &looked["found"];
    let of = |name: &str, at: usize| {
        let here =
            if found[name].is_null() { "not known while the server runs".to_owned() } else { text(&found[name]) };
        format!(
            "{here}; this release reads {} to {} and writes {}",
            looked["reads_from"][at], looked["writes"][at], looked["writes"][at]
        )
    };
    let mut rows = vec![("this release", text(&looked["program"]))];
    if !looked["running"].is_null() {
        rows.push(("running", text(&looked["running"])));
    }
    if found.is_null() {
        rows.push(("store", "none yet: a start makes one".to_owned()));
    } else {
        rows.push(("index format", of("index", 0)));
        rows.push(("journal version", of("journal", 1)));
        let change = if looked["changes_format"] == true {
            "the first start writes the newer format, and keeps a copy of index, journal and books for the way back"
        } else {
            "none: the release before can be started on it again at any time"
        };
        rows.push(("change of format", change.to_owned()));
        if !found["copy_bytes"].is_null() && looked["changes_format"] == true {
            rows.push(("the copy takes", bytes(&found["copy_bytes"])));
        }
        for copy in found["copies"].as_array().into_iter().flatten() {
            rows.push(("kept", text(copy)));
        }
    }
    let mut out = pairs(&rows);
    for problem in looked["problems"].as_array().into_iter().flatten() {
        out.push_str(&format!("\nproblem: {}\n", text(problem)));
    }
    out
}

async fn go_back(back: Back, config: &Config) -> Done {
    if is_running(config).await? {
        return Err("the server is running; stop it before `kandian upgrade back`".to_owned());
    }
    let (of, force) = (config.clone(), back.force);
    let work = tokio::task::spawn_blocking(move || app::go_back(&world(), &of, force));
    let done = patiently("putting the copy back", work).await.map_err(|error| error.to_string())?;
    let report = done.map_err(|error| format!("nothing was put back: {error}"))?;
    let answer = serde_json::to_string(&report).map_err(|error| error.to_string())?;
    show(back.json, &answer, |report| {
        let mut out = pairs(&[
            ("put back", text(&report["from"])),
            ("index format", text(&report["copy"]["index"])),
            ("journal version", text(&report["copy"]["journal"])),
            ("changes since", text(&report["changes_since"])),
        ]);
        for path in report["kept_aside"].as_array().into_iter().flatten() {
            out.push_str(&format!("kept aside: {}\n", text(path)));
        }
        out.push_str("\nNow start the release before, and not this one.\n");
        out
    })
}
