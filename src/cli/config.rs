//! `kandian config`

use std::process::ExitCode;

use serde_json::{Value, json};

use super::output::{Done, Json, fail, print, show, table, text};
use super::reach::server;
use crate::app::{BadSource, Source};
use crate::config::{Config, differences, to_json, to_toml};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Tell of everything that is wrong with the configuration and the files it names; exit code 1 where anything is
    Check(Json),
    /// The configuration that holds
    Show(Json),
    /// What differs from the defaults; or, with --running, what a reload would change and what needs a restart
    Diff {
        /// What the running server has against what is written
        #[arg(long)]
        running: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Let the running server read its configuration again
    Reload(Json),
}

pub async fn run(command: Command, source: &Source) -> Done {
    match command {
        Command::Check(json) => Ok(check(json, source)),
        Command::Show(json) => {
            let config = super::load(source)?;
            print(&if json.json { format!("{}\n", to_json(&config)) } else { to_toml(&config) });
            Ok(ExitCode::SUCCESS)
        }
        Command::Diff { running: false, json } => {
            let differences = differences(&Config::default(), &super::load(source)?);
            if json.json {
                let row =
                    |(key, default, here): &(&str, Value, Value)| json!({"key": key, "default": default, "here": here});
                print(&format!("{}\n", json!({"differences": differences.iter().map(row).collect::<Vec<_>>()})));
            } else {
                let row =
                    |(key, default, here): &(&str, Value, Value)| vec![(*key).to_owned(), shown(default), shown(here)];
                let rows: Vec<_> = differences.iter().map(row).collect();
                print(&if rows.is_empty() {
                    "all defaults\n".to_owned()
                } else {
                    table(&["KEY", "DEFAULT", "HERE"], &rows)
                });
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Diff { running: true, json } => {
            let reached = server(&super::load(source)?).await?;
            let answer = reached.client.pending().await;
            show(json, &reached.end(answer).await?, pending)
        }
        Command::Reload(json) => {
            let reached = server(&super::load(source)?).await?;
            let answer = reached.client.reload().await;
            show(json, &reached.end(answer).await?, |report| {
                let keys =
                    |list: &str| report[list].as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(", ");
                let or_none = |keys: String| if keys.is_empty() { "nothing".to_owned() } else { keys };
                format!("applied: {}\nneeds a restart: {}\n", or_none(keys("applied")), or_none(keys("needs_restart")))
            })
        }
    }
}

/// A value as `appliance.toml` has it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "not set".to_owned(),
        Value::String(_) => text(value),
        other => other.to_string(),
    }
}

fn pending(answer: &Value) -> String {
    let rows = |list: &str, word: &str| {
        let row =
            |one: &Value| vec![text(&one["key"]), shown(&one["running"]), shown(&one["written"]), word.to_owned()];
        answer[list].as_array().into_iter().flatten().map(row).collect::<Vec<_>>()
    };
    let mut all = rows("would_apply", "at reload");
    all.extend(rows("needs_restart", "at restart"));
    if all.is_empty() {
        return "the running server has what is written\n".to_owned();
    }
    table(&["KEY", "RUNNING", "WRITTEN", "CHANGES"], &all)
}

fn check(json: Json, source: &Source) -> ExitCode {
    let problems = match source.check() {
        Ok(_) => Vec::new(),
        Err(BadSource::Written(problems)) => problems.0.iter().map(ToString::to_string).collect(),
        Err(other) => vec![other.to_string()],
    };
    if json.json {
        print(&format!("{}\n", json!({"ok": problems.is_empty(), "problems": problems})));
    }
    if problems.is_empty() {
        if !json.json {
            let read = source.path().map_or("built-in defaults".to_owned(), |path| path.display().to_string());
            print(&format!("{read}: ok\n"));
        }
        return ExitCode::SUCCESS;
    }
    fail(&problems.join("\n"))
}
