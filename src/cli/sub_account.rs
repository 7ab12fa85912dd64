//! `kandian sub-account`

use std::io::{BufRead, IsTerminal, Write};

use serde_json::{Value, json};

use super::output::{Done, Json, bytes, pairs, show, table, text, time};
use super::reach::either;
use crate::api::{Client, ModifySubAccount, NameCamera, OpenSubAccount};
use crate::config::Config;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// All sub-accounts of an account
    List {
        /// The account's name
        account: String,
        #[command(flatten)]
        json: Json,
    },
    /// Cameras, found by name, place or AK, and sorted
    Find(Find),
    /// Cameras gone silent, the longest first
    Silent(Json),
    /// One sub-account
    Show(One),
    /// What a camera does and uses: its signature, program, clock, cadence
    Camera(One),
    /// Open a sub-account; its key is shown
    Open(Open),
    /// Give a camera a name and a place; what is not given is taken away
    Name {
        /// Its access key (S3AK)
        ak: String,
        /// What people call it
        #[arg(long, default_value = "")]
        name: String,
        /// Where it is
        #[arg(long, default_value = "")]
        place: String,
        #[command(flatten)]
        json: Json,
    },
    /// Resize it, or overwrite or stop when it is full; what is not named stays as it is
    Modify(Modify),
    /// Delete all its files that are not locked
    Clear(Doomed),
    /// Close it with all its files
    Close(Doomed),
    /// Its secret key once again
    Key(One),
}

#[derive(Debug, clap::Args)]
pub struct One {
    /// Its access key (S3AK)
    ak: String,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, clap::Args)]
pub struct Find {
    /// With this in its name, place or AK
    text: Option<String>,
    /// Of this account alone
    #[arg(long)]
    account: Option<String>,
    /// In this state
    #[arg(long, value_parser = ["full", "warned", "silent", "never", "loop"])]
    state: Option<String>,
    /// In this order
    #[arg(long, value_parser = ["share", "name", "last", "full", "kept"], default_value = "share")]
    sort: String,
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
pub struct Open {
    /// The account's name
    account: String,
    /// Its space
    #[arg(long, value_name = "GB")]
    space: u32,
    /// Overwrite the oldest files when it is full
    #[arg(long)]
    overwrite: bool,
    /// What people call its camera
    #[arg(long, default_value = "")]
    name: String,
    /// Where that is
    #[arg(long, default_value = "")]
    place: String,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, clap::Args)]
pub struct Modify {
    /// Its access key (S3AK)
    ak: String,
    /// A new space
    #[arg(long, value_name = "GB")]
    space: Option<u32>,
    /// What happens when it is full
    #[arg(long, value_parser = ["overwrite", "stop"])]
    at_the_end: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, clap::Args)]
pub struct Doomed {
    /// Its access key (S3AK)
    ak: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    json: Json,
}

pub async fn run(command: Command, config: &Config) -> Done {
    let reached = either(config).await?;
    let client = &reached.client;
    let (answer, json, page): (_, Json, fn(&Value) -> String) = match command {
        Command::List { account, json } => (client.sub_accounts(&account).await, json, list),
        Command::Find(asked) => (client.get(&find_path(&asked)).await, asked.json, found),
        Command::Silent(json) => (client.get("/cameras/silent").await, json, silent),
        Command::Show(One { ak, json }) => (client.sub_account(&ak).await, json, one),
        Command::Camera(One { ak, json }) => (client.sub_account_get(&ak, "camera", &[]).await, json, camera),
        Command::Open(open) => {
            let new = OpenSubAccount {
                space_gb: open.space,
                account: Some(open.account),
                loops: open.overwrite,
                name: open.name,
                place: open.place,
            };
            (client.open_sub_account(&new).await, open.json, opened)
        }
        Command::Name { ak, name, place, json } => {
            (client.name_camera(&ak, &NameCamera { name, place }).await, json, |_| String::new())
        }
        Command::Modify(modify) => {
            let loops = modify.at_the_end.as_deref().map(|word| word == "overwrite");
            let mut query: Vec<(&str, String)> = Vec::new();
            query.extend(modify.space.map(|space| ("space_gb", space.to_string())));
            query.extend(loops.map(|loops| ("loop", loops.to_string())));
            meant(client, &modify.ak, "preview/space", &query, modify.yes).await?;
            let changes = ModifySubAccount { space_gb: modify.space, loops };
            (client.modify_sub_account(&modify.ak, &changes).await, modify.json, one)
        }
        Command::Clear(Doomed { ak, yes, json }) => {
            meant(client, &ak, "preview/clear", &[], yes).await?;
            (client.sub_account_post(&ak, "clear", &json!({})).await, json, one)
        }
        Command::Close(Doomed { ak, yes, json }) => {
            meant(client, &ak, "preview/close", &[], yes).await?;
            (client.close_sub_account(&ak).await, json, |_| String::new())
        }
        Command::Key(One { ak, json }) => (client.sub_account_post(&ak, "key", &json!({})).await, json, key),
    };
    show(json, &reached.end(answer).await?, page)
}

/// At a terminal: says what would go, and wants the AK typed where anything would.
async fn meant(client: &Client, ak: &str, what: &str, query: &[(&str, String)], yes: bool) -> Result<(), String> {
    if yes || !std::io::stdin().is_terminal() {
        return Ok(());
    }
    let answer = client.sub_account_get(ak, what, query).await.map_err(|failure| failure.to_string())?;
    let goes: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
    if goes["files"] == 0 {
        return Ok(());
    }
    let ask = format!("{}\nType the access key to go on: ", doomed(&goes));
    let asked = std::io::stderr().write_all(ask.as_bytes());
    let mut line = String::new();
    asked.and_then(|()| std::io::stdin().lock().read_line(&mut line)).map_err(|error| error.to_string())?;
    if line.trim() == ak { Ok(()) } else { Err("nothing was changed".to_owned()) }
}

fn doomed(goes: &Value) -> String {
    let more = if goes["more"] == true { "at least " } else { "" };
    pairs(&[
        ("would go", format!("{more}{} files, {}", text(&goes["files"]), bytes(&goes["bytes"]))),
        ("from", time(&goes["first_ms"])),
        ("to", time(&goes["last_ms"])),
        ("locked", format!("{} files, {}", text(&goes["locked_files"]), bytes(&goes["locked_bytes"]))),
    ])
}

fn find_path(asked: &Find) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("sort", &asked.sort).append_pair("skip", &asked.skip.to_string());
    query.append_pair("most", &asked.most.to_string());
    for (name, value) in [("find", &asked.text), ("account", &asked.account), ("state", &asked.state)] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    format!("/cameras?{}", query.finish())
}

fn found(page: &Value) -> String {
    let row = |c: &Value| {
        let state = [("full", "full"), ("warned", "warned"), ("loop", "overwrites")];
        let mut states: Vec<&str> = state.iter().filter(|(key, _)| c[*key] == true).map(|(_, word)| *word).collect();
        if !c["silent_since_ms"].is_null() {
            states.push("silent");
        }
        vec![
            text(&c["ak"]),
            text(&c["account"]),
            text(&c["name"]),
            text(&c["place"]),
            bytes(&c["granted_bytes"]),
            bytes(&c["used_bytes"]),
            if states.is_empty() { "-".to_owned() } else { states.join(", ") },
            time(&c["last_upload_ms"]),
        ]
    };
    let rows: Vec<_> = page["rows"].as_array().into_iter().flatten().map(row).collect();
    table(&["AK", "ACCOUNT", "NAME", "PLACE", "SPACE", "USED", "STATE", "LAST UPLOAD"], &rows)
}

fn silent(cameras: &Value) -> String {
    let row = |c: &Value| {
        vec![
            text(&c["ak"]),
            text(&c["account"]),
            text(&c["name"]),
            text(&c["place"]),
            time(&c["since_ms"]),
            format!("{} s", text(&c["cadence_s"])),
            text(&c["refused"]),
        ]
    };
    let rows: Vec<_> = cameras.as_array().into_iter().flatten().map(row).collect();
    table(&["AK", "ACCOUNT", "NAME", "PLACE", "SINCE", "CADENCE", "REFUSED"], &rows)
}

fn camera(c: &Value) -> String {
    pairs(&[
        ("access key", text(&c["ak"])),
        ("account", text(&c["account"])),
        ("name", text(&c["name"])),
        ("place", text(&c["place"])),
        ("last upload", time(&c["last_upload_ms"])),
        ("silent since", time(&c["silent_since_ms"])),
        ("cadence, s", text(&c["cadence_s"])),
        ("signature", text(&c["signature"])),
        ("agent", text(&c["agent"])),
        ("clock ahead, ms", text(&c["skew_ms"])),
        ("addressing", text(&c["addressing"])),
        ("last refusal", format!("{} {}", time(&c["last_refusal_ms"]), text(&c["last_refusal"]))),
        ("recordings a day", text(&c["recordings_per_day"])),
        ("pictures a day", text(&c["pictures_per_day"])),
        ("a day", bytes(&c["bytes_per_day"])),
    ])
}

fn opened(s: &Value) -> String {
    pairs(&[
        ("access key", text(&s["ak"])),
        ("secret key", text(&s["sk"])),
        ("S3 URL", text(&s["s3_url"])),
        ("record bucket", text(&s["record_bucket"])),
        ("picture bucket", text(&s["picture_bucket"])),
    ])
}

fn key(pair: &Value) -> String {
    pairs(&[("access key", text(&pair["ak"])), ("secret key", text(&pair["sk"]))])
}

fn list(sub_accounts: &Value) -> String {
    let row = |s: &Value| {
        vec![
            text(&s["ak"]),
            format!("{} GB", text(&s["space_gb"])),
            bytes(&s["used_bytes"]),
            text(&s["recordings"]),
            text(&s["pictures"]),
            text(&s["locked_files"]),
            at_the_end(s).to_owned(),
            time(&s["last_upload_ms"]),
        ]
    };
    let rows: Vec<_> = sub_accounts.as_array().into_iter().flatten().map(row).collect();
    table(&["AK", "SPACE", "USED", "RECORDINGS", "PICTURES", "LOCKED", "AT THE END", "LAST UPLOAD"], &rows)
}

fn at_the_end(sub_account: &Value) -> &'static str {
    if sub_account["loop"] == true { "overwrites" } else { "stops" }
}

fn one(s: &Value) -> String {
    let episodes: Vec<_> = s["episodes"].as_array().into_iter().flatten().map(text).collect();
    pairs(&[
        ("access key", text(&s["ak"])),
        ("account", text(&s["account"])),
        ("space", format!("{} GB ({})", text(&s["space_gb"]), bytes(&s["space_bytes"]))),
        ("used", bytes(&s["used_bytes"])),
        ("uploads under way", bytes(&s["reserved_bytes"])),
        ("locked", format!("{} in {} files", bytes(&s["locked_bytes"]), text(&s["locked_files"]))),
        ("recordings", format!("{} in {}", text(&s["recordings"]), text(&s["record_bucket"]))),
        ("pictures", format!("{} in {}", text(&s["pictures"]), text(&s["picture_bucket"]))),
        ("at the end", at_the_end(s).to_owned()),
        ("overwrites", text(&s["overwrites"])),
        ("open alerts", if episodes.is_empty() { "-".to_owned() } else { episodes.join(", ") }),
        ("last upload", time(&s["last_upload_ms"])),
        ("opened", time(&s["created_ms"])),
    ])
}
