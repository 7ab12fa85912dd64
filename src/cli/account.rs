//! `kandian account`

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use serde_json::Value;

use super::output::{Done, Json, bytes, pairs, show, table, text, time};
use super::reach::either;
use crate::api::{ModifyAccount, ModifyCallback, OpenAccount};
use crate::config::Config;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Open an account
    Open(Open),
    /// All accounts
    List(Json),
    /// One account
    Show(Named),
    /// Change an account; what is not named stays as it is
    Modify(Box<Modify>),
    /// Close an account and all its sub-accounts, with their files
    Close(Close),
    /// Take neither the password nor the keys of an account any more; its files stay
    Suspend(Named),
    /// Let a suspended account go on
    Resume(Named),
    /// What would go with an account if it were closed now
    Contents(Named),
    /// The administration key of an account; made at the first call
    Key(Named),
}

#[derive(Debug, clap::Args)]
pub struct Named {
    /// The account's name
    name: String,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, clap::Args)]
pub struct Open {
    /// The account's name
    name: String,
    /// Its space
    #[arg(long, value_name = "GB")]
    space: u32,
    /// Its password; one is made up and shown once where it is not given
    #[arg(long, value_name = "PW")]
    password: Option<String>,
    /// Where its platform takes alerts (section 8)
    #[arg(long, value_name = "URL")]
    alert_url: Option<String>,
    /// Sub-accounts at most
    #[arg(long, value_name = "N")]
    max_sub_accounts: Option<u32>,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, clap::Args)]
pub struct Close {
    /// The account's name
    name: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, clap::Args)]
pub struct Modify {
    /// The account's name
    name: String,
    /// A new space
    #[arg(long, value_name = "GB")]
    space: Option<u32>,
    /// A new password
    #[arg(long, value_name = "PW")]
    password: Option<String>,
    /// A new alert URL; the empty one takes it away
    #[arg(long, value_name = "URL")]
    alert_url: Option<String>,
    /// Sub-accounts at most
    #[arg(long, value_name = "N")]
    max_sub_accounts: Option<u32>,
    /// Namespace of callbacks; the empty one is ours
    #[arg(long, value_name = "URI")]
    callback_namespace: Option<String>,
    /// Name of the callback's wrapper element; the empty one is ours
    #[arg(long, value_name = "NAME")]
    callback_operation: Option<String>,
    /// SOAPAction of callbacks; the empty one is namespace#operation
    #[arg(long, value_name = "ACTION")]
    callback_soap_action: Option<String>,
    /// SOAP version of callbacks
    #[arg(long, value_name = "1.1|1.2", value_parser = ["1.1", "1.2"])]
    callback_soap_version: Option<String>,
    /// Fields of callbacks in no namespace
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    callback_unqualified: Option<bool>,
    /// Character set of callbacks
    #[arg(long, value_name = "UTF-8|GBK", value_parser = ["UTF-8", "GBK"], ignore_case = true)]
    callback_charset: Option<String>,
    #[command(flatten)]
    json: Json,
}

pub async fn run(command: Command, config: &Config) -> Done {
    match command {
        Command::Open(open) => open_account(open, config).await,
        Command::List(json) => {
            let reached = either(config).await?;
            let answer = reached.client.accounts().await;
            show(json, &reached.end(answer).await?, list)
        }
        Command::Show(Named { name, json }) => {
            let reached = either(config).await?;
            let answer = reached.client.account(&name).await;
            show(json, &reached.end(answer).await?, one)
        }
        Command::Modify(modify) => {
            let changes = modify.changes();
            let reached = either(config).await?;
            let answer = reached.client.modify_account(&modify.name, &changes).await;
            show(modify.json, &reached.end(answer).await?, one)
        }
        Command::Suspend(Named { name, json }) => suspend(&name, true, json, config).await,
        Command::Resume(Named { name, json }) => suspend(&name, false, json, config).await,
        Command::Contents(Named { name, json }) => {
            let reached = either(config).await?;
            let answer = reached.client.account_contents(&name).await;
            show(json, &reached.end(answer).await?, contents)
        }
        Command::Close(close) => close_account(close, config).await,
        Command::Key(Named { name, json }) => {
            let reached = either(config).await?;
            let answer = reached.client.account_key(&name).await;
            show(json, &reached.end(answer).await?, |key| {
                pairs(&[("access key", text(&key["ak"])), ("secret key", text(&key["sk"]))])
            })
        }
    }
}

impl Modify {
    fn changes(&self) -> ModifyAccount {
        let callback = ModifyCallback {
            namespace: self.callback_namespace.clone(),
            operation: self.callback_operation.clone(),
            soap_action: self.callback_soap_action.clone(),
            soap12: self.callback_soap_version.as_deref().map(|version| version == "1.2"),
            unqualified: self.callback_unqualified,
            gbk: self.callback_charset.as_deref().map(|charset| charset.eq_ignore_ascii_case("GBK")),
        };
        ModifyAccount {
            space_gb: self.space,
            password: self.password.clone(),
            alert_url: self.alert_url.clone(),
            max_sub_accounts: self.max_sub_accounts,
            callback: (callback != ModifyCallback::default()).then_some(callback),
        }
    }
}

async fn open_account(open: Open, config: &Config) -> Done {
    let made_up = open.password.is_none();
    let new = OpenAccount {
        account: open.name,
        space_gb: open.space,
        password: open.password,
        alert_url: open.alert_url,
        max_sub_accounts: open.max_sub_accounts,
    };
    let reached = either(config).await?;
    let answer = reached.client.open_account(&new).await;
    show(open.json, &reached.end(answer).await?, |opened| {
        let once = if made_up { "  (shown this once)" } else { "" };
        pairs(&[
            ("account", text(&opened["account"])),
            ("password", format!("{}{once}", text(&opened["password"]))),
            ("SOAP", text(&opened["soap_url"])),
            ("WSDL", text(&opened["wsdl_url"])),
            ("S3", text(&opened["s3_url"])),
        ])
    })
}

async fn suspend(name: &str, suspended: bool, json: Json, config: &Config) -> Done {
    let reached = either(config).await?;
    let answer = reached.client.suspend_account(name, suspended).await;
    show(json, &reached.end(answer).await?, one)
}

async fn close_account(close: Close, config: &Config) -> Done {
    if !close.yes && std::io::stdin().is_terminal() {
        let reached = either(config).await?;
        let answer = reached.client.account_contents(&close.name).await;
        let goes = serde_json::from_str(&reached.end(answer).await?).map_err(|error| error.to_string())?;
        if !confirmed(&close.name, &contents(&goes))? {
            return Err("nothing was closed".to_owned());
        }
    }
    let reached = either(config).await?;
    let answer = reached.client.close_account(&close.name).await;
    let answer = reached.end(answer).await?;
    if close.json.json { show(close.json, &answer, |_| String::new()) } else { Ok(ExitCode::SUCCESS) }
}

fn confirmed(name: &str, goes: &str) -> Result<bool, String> {
    let ask = format!(
        "{goes}\nClose {name}, all its sub-accounts and own buckets and all their files? Type the name to go on: "
    );
    let asked = std::io::stderr().write_all(ask.as_bytes());
    let mut line = String::new();
    asked.and_then(|()| std::io::stdin().lock().read_line(&mut line)).map_err(|error| error.to_string())?;
    Ok(line.trim() == name)
}

fn list(accounts: &Value) -> String {
    let row = |a: &Value| {
        let gb = |key: &str| format!("{} GB", text(&a[key]));
        vec![
            text(&a["account"]),
            gb("space_gb"),
            gb("handed_out_gb"),
            gb("free_gb"),
            bytes(&a["used_bytes"]),
            text(&a["files"]),
            format!("{}/{}", text(&a["sub_accounts"]), text(&a["max_sub_accounts"])),
        ]
    };
    let rows: Vec<_> = accounts.as_array().into_iter().flatten().map(row).collect();
    table(&["ACCOUNT", "SPACE", "HANDED OUT", "FREE", "USED", "FILES", "SUB-ACCOUNTS"], &rows)
}

fn contents(c: &Value) -> String {
    let files = |files: &str, size: &str| format!("{}, {}", text(&c[files]), bytes(&c[size]));
    let when = |key: &str| if c[key].is_null() { "-".to_owned() } else { time(&c[key]) };
    pairs(&[
        ("sub-accounts", text(&c["sub_accounts"])),
        ("own buckets", text(&c["own_buckets"])),
        ("files", files("files", "bytes")),
        ("locked among them", files("locked_files", "locked_bytes")),
        ("oldest file", when("oldest_ms")),
        ("last upload", when("last_upload_ms")),
    ])
}

fn since(suspended: &Value) -> String {
    format!("since {}", time(suspended))
}

fn one(a: &Value) -> String {
    let gb = |key: &str| format!("{} GB", text(&a[key]));
    let callback = &a["callback"];
    let ours = |key: &str| if callback[key].is_null() { "(ours)".to_owned() } else { text(&callback[key]) };
    let either = |key: &str, yes: &str, no: &str| if callback[key] == true { yes.to_owned() } else { no.to_owned() };
    pairs(&[
        ("account", text(&a["account"])),
        ("suspended", if a["suspended_ms"].is_null() { "no".to_owned() } else { since(&a["suspended_ms"]) }),
        ("space", gb("space_gb")),
        ("handed out", gb("handed_out_gb")),
        ("free", gb("free_gb")),
        ("used", bytes(&a["used_bytes"])),
        ("files", text(&a["files"])),
        ("sub-accounts", format!("{} of {}", text(&a["sub_accounts"]), text(&a["max_sub_accounts"]))),
        ("own buckets", format!("{}, {}", text(&a["own_buckets"]), bytes(&a["own_bytes"]))),
        ("alert URL", text(&a["alert_url"])),
        ("callback namespace", ours("namespace")),
        ("callback operation", ours("operation")),
        ("callback SOAPAction", ours("soap_action")),
        ("callback SOAP", either("soap12", "1.2", "1.1")),
        ("callback fields", either("unqualified", "unqualified", "qualified")),
        ("callback charset", either("gbk", "GBK", "UTF-8")),
        ("administration key", text(&a["admin_ak"])),
        ("opened", time(&a["created_ms"])),
    ])
}
