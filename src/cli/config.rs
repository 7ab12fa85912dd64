//! `kandian config`

use std::process::ExitCode;

use serde_json::json;

use super::output::{Done, Json, fail, print, show, text};
use super::reach::server;
use crate::app::{BadSource, Source};
use crate::config::{to_json, to_toml};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Tell of everything that is wrong with the configuration and the files it names; exit code 1 where anything is
    Check(Json),
    /// The configuration that holds
    Show(Json),
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
