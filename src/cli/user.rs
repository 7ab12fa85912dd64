//! `kandian user`

use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

use serde_json::Value;

use super::output::{Done, Json, pairs, show, table, text, time};
use super::reach::either;
use crate::api::{AddUser, ChangePassword};
use crate::config::Config;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a user of the portals
    Add(Add),
    /// Another password; ends the user's sessions
    Passwd(Passwd),
    /// All users
    List(Json),
    /// Remove a user; ends its sessions
    Remove(Named),
    /// Let a user sign in no more; ends its sessions
    Disable(Named),
    /// Let a user sign in again
    Enable(Named),
    /// Switch a user's second factor off, where the authenticator is lost
    NoSecondFactor(Named),
}

#[derive(Debug, clap::Args)]
pub struct Add {
    /// The user's name
    name: String,
    /// What it may
    #[arg(long, value_parser = ["operations", "province", "viewer", "auditor"])]
    role: String,
    /// Its account, of the roles province and viewer
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Read its password from stdin, one line; else one is made up and shown once
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, clap::Args)]
pub struct Passwd {
    /// The user's name
    name: String,
    /// Read the new password from stdin, one line; else one is made up and shown once
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, clap::Args)]
pub struct Named {
    /// The user's name
    name: String,
    #[command(flatten)]
    json: Json,
}

pub async fn run(command: Command, config: &Config) -> Done {
    match command {
        Command::Add(Add { name, role, account, password_stdin, json }) => {
            let password = from_stdin(password_stdin)?;
            let typed = password.is_some();
            let new = AddUser { user: name, role, account, password };
            let reached = either(config).await?;
            let answer = reached.client.add_user(&new).await;
            show(json, &reached.end(answer).await?, |made| with_password(made, typed))
        }
        Command::Passwd(Passwd { name, password_stdin, json }) => {
            let new = from_stdin(password_stdin)?;
            let typed = new.is_some();
            let reached = either(config).await?;
            let answer = reached.client.change_password(&name, &ChangePassword { old: None, password: new }).await;
            show(json, &reached.end(answer).await?, |changed| with_password(changed, typed))
        }
        Command::List(json) => {
            let reached = either(config).await?;
            let answer = reached.client.users().await;
            show(json, &reached.end(answer).await?, list)
        }
        Command::Remove(Named { name, json }) => {
            let reached = either(config).await?;
            let answer = reached.client.remove_user(&name).await;
            done(json, &reached.end(answer).await?)
        }
        Command::Disable(Named { name, json }) => {
            let reached = either(config).await?;
            let answer = reached.client.disable_user(&name, true).await;
            done(json, &reached.end(answer).await?)
        }
        Command::Enable(Named { name, json }) => {
            let reached = either(config).await?;
            let answer = reached.client.disable_user(&name, false).await;
            done(json, &reached.end(answer).await?)
        }
        Command::NoSecondFactor(Named { name, json }) => {
            let reached = either(config).await?;
            let answer = reached.client.remove_second_factor(&name).await;
            done(json, &reached.end(answer).await?)
        }
    }
}

fn done(json: Json, answer: &str) -> Done {
    if json.json { show(json, answer, |_| String::new()) } else { Ok(ExitCode::SUCCESS) }
}

/// A password on the command line would be seen by every user of the machine.
fn from_stdin(wanted: bool) -> Result<Option<String>, String> {
    if !wanted {
        return Ok(None);
    }
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err("--password-stdin takes the password from a pipe: it would be seen on the screen".to_owned());
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line).map_err(|error| format!("cannot read the password: {error}"))?;
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() { Err("there is no password on stdin".to_owned()) } else { Ok(Some(line.to_owned())) }
}

fn with_password(made: &Value, typed: bool) -> String {
    if typed {
        return pairs(&[("user", text(&made["user"]))]);
    }
    pairs(&[("user", text(&made["user"])), ("password", format!("{}  (shown this once)", text(&made["password"])))])
}

fn list(users: &Value) -> String {
    let yes = |value: &Value| if value == true { "yes".to_owned() } else { "-".to_owned() };
    let row = |user: &Value| {
        vec![
            text(&user["user"]),
            text(&user["role"]),
            text(&user["account"]),
            yes(&user["totp"]),
            yes(&user["disabled"]),
            if user["signed_in_ms"].is_null() { "-".to_owned() } else { time(&user["signed_in_ms"]) },
        ]
    };
    let rows: Vec<_> = users.as_array().into_iter().flatten().map(row).collect();
    table(&["USER", "ROLE", "ACCOUNT", "SECOND FACTOR", "DISABLED", "LAST SIGN-IN"], &rows)
}
