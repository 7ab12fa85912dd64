//! `kandian billing`

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::output::{Done, Json, pairs, print, show, table, text, time};
use super::reach::server;
use super::save::To;
use crate::config::Config;
use crate::domain::billing::{Basis, Day, Money, Month, Rule, Tariff, Tier, gb_months};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Tariffs, and who has which
    #[command(subcommand)]
    Tariff(TariffCommand),
    /// Statements of a month
    #[command(subcommand)]
    Statement(StatementCommand),
    /// Hourly samples
    #[command(subcommand)]
    Sample(SampleCommand),
    /// A month over all accounts, or a statement, into a file for a spreadsheet
    Export(ExportTo),
    /// A month against what the CRM has booked
    Reconcile {
        /// YYYY-MM
        month: Month,
        /// The CRM's CSV: a column of accounts, one of amounts in 元
        file: PathBuf,
        #[command(flatten)]
        json: Json,
    },
}

#[derive(Debug, clap::Args)]
pub struct ExportTo {
    /// YYYY-MM
    month: Month,
    /// Of this account alone: its name, or @ and its number
    #[arg(long)]
    account: Option<String>,
    /// The file's format
    #[arg(long, value_parser = ["csv", "xlsx"], default_value = "csv")]
    format: String,
    #[command(flatten)]
    to: To,
}

#[derive(Debug, clap::Subcommand)]
pub enum TariffCommand {
    /// Enter a version of a tariff
    Add(Box<Add>),
    /// All versions
    List(Json),
    /// Give an account a tariff from a day on
    Assign(Assign),
    /// Who has which tariff
    Assignments(Json),
}

#[derive(Debug, clap::Args)]
pub struct Add {
    /// Its name; that of one that is there makes a new version
    name: String,
    /// What is counted
    #[arg(long, value_parser = ["handed_out", "used", "larger"], default_value = "handed_out")]
    basis: String,
    /// 元 a GB-month
    #[arg(long, value_name = "YUAN", conflicts_with_all = ["tier", "package"], required_unless_present_any = ["tier", "package"])]
    price: Option<Money>,
    /// A tier, from below: GB:YUAN, the last *:YUAN; repeatable
    #[arg(long, value_name = "GB:YUAN", conflicts_with = "package")]
    tier: Vec<String>,
    /// GB of a package
    #[arg(long, value_name = "GB", requires_all = ["flat", "overage"])]
    package: Option<u64>,
    /// 元 a month of the package
    #[arg(long, value_name = "YUAN")]
    flat: Option<Money>,
    /// 元 a GB-month above the package
    #[arg(long, value_name = "YUAN")]
    overage: Option<Money>,
    /// What a month costs at least, 元
    #[arg(long, value_name = "YUAN", default_value = "0")]
    minimum: Money,
    /// Its first day, YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    from: Day,
    /// The first day on which it does not hold any more
    #[arg(long, value_name = "DAY")]
    to: Option<Day>,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, clap::Args)]
pub struct Assign {
    /// The account's name, or @ and its number
    account: String,
    /// The tariff's name; left out: none
    tariff: Option<String>,
    /// The first day, YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    from: Day,
    /// The first day on which what was before holds again
    #[arg(long, value_name = "DAY")]
    to: Option<Day>,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, clap::Subcommand)]
pub enum StatementCommand {
    /// All accounts in a month
    List {
        /// YYYY-MM
        month: Month,
        #[command(flatten)]
        json: Json,
    },
    /// Compute a statement without issuing it; shows it as issued where it is
    Trial(Which),
    /// Issue: the period is locked, the digest kept
    Issue(Which),
    /// A statement
    Show(Which),
    /// Enter a correction
    Adjust {
        #[command(flatten)]
        which: Which,
        /// 元, either sign
        #[arg(long, value_name = "YUAN", allow_hyphen_values = true)]
        amount: Money,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Settle: nothing is changed any more
    Settle(Which),
    /// Compute an issued statement again and compare the bytes
    Verify(Which),
}

#[derive(Debug, clap::Args)]
pub struct Which {
    /// The account's name, or @ and its number
    account: String,
    /// YYYY-MM
    month: Month,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, clap::Subcommand)]
pub enum SampleCommand {
    /// The samples of a month
    List(Which),
}

pub async fn run(command: Command, config: &Config) -> Done {
    match command {
        Command::Tariff(command) => tariff(command, config).await,
        Command::Statement(command) => statement(command, config).await,
        Command::Export(export) => export_to(export, config).await,
        Command::Reconcile { month, file, json } => {
            let theirs = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let reached = server(config).await?;
            let answer = reached.client.post_file(&format!("/billing/{month}/reconcile"), theirs).await;
            show(json, &reached.end(answer).await?, matches)
        }
        Command::Sample(SampleCommand::List(which)) => {
            let reached = server(config).await?;
            let (from, to) = (which.month.first_day(), which.month.end());
            let path = format!("/accounts/{}/samples?from={from}&to={to}", encoded(&which.account));
            let answer = reached.client.get(&path).await;
            show(which.json, &reached.end(answer).await?, samples)
        }
    }
}

async fn export_to(export: ExportTo, config: &Config) -> Done {
    export.to.check()?;
    let path = match &export.account {
        Some(account) => format!("/accounts/{}/statements/{}/export", encoded(account), export.month),
        None => format!("/billing/{}/export", export.month),
    };
    let reached = server(config).await?;
    let saved = match reached.client.get_file(&format!("{path}?as={}", export.format)).await {
        Ok(download) => export.to.take(download).await,
        Err(failure) => Err(failure),
    };
    let bytes = reached.end(saved).await?;
    if !export.to.is_stdout() {
        print(&format!("{bytes} bytes in {}\n", export.to.name()));
    }
    Ok(ExitCode::SUCCESS)
}

async fn tariff(command: TariffCommand, config: &Config) -> Done {
    let words = match &command {
        TariffCommand::Add(add) => Some(serde_json::to_value(read(add)?).map_err(|error| error.to_string())?),
        TariffCommand::Assign(a) => Some(json!({"account": a.account, "tariff": a.tariff, "from": a.from, "to": a.to})),
        TariffCommand::List(_) | TariffCommand::Assignments(_) => None,
    };
    let reached = server(config).await?;
    let body = words.unwrap_or_default();
    match command {
        TariffCommand::Add(add) => {
            let answer = reached.client.post("/tariffs", &body).await;
            show(add.json, &reached.end(answer).await?, |t| format!("version {} is entered\n", text(&t["version"])))
        }
        TariffCommand::Assign(assign) => {
            let answer = reached.client.post("/tariff-assignments", &body).await;
            show(assign.json, &reached.end(answer).await?, |_| "assigned\n".to_owned())
        }
        TariffCommand::List(json) => {
            let answer = reached.client.get("/tariffs").await;
            show(json, &reached.end(answer).await?, tariffs)
        }
        TariffCommand::Assignments(json) => {
            let answer = reached.client.get("/tariff-assignments").await;
            show(json, &reached.end(answer).await?, assignments)
        }
    }
}

async fn statement(command: StatementCommand, config: &Config) -> Done {
    let reached = server(config).await?;
    let nothing = Value::Null;
    match command {
        StatementCommand::List { month, json } => {
            let answer = reached.client.get(&format!("/billing/{month}")).await;
            show(json, &reached.end(answer).await?, month_rows)
        }
        StatementCommand::Trial(which) | StatementCommand::Show(which) => {
            let answer = reached.client.get(&of(&which, "")).await;
            show(which.json, &reached.end(answer).await?, lines)
        }
        StatementCommand::Issue(which) => {
            let answer = reached.client.post(&of(&which, "/issue"), &nothing).await;
            show(which.json, &reached.end(answer).await?, lines)
        }
        StatementCommand::Settle(which) => {
            let answer = reached.client.post(&of(&which, "/settle"), &nothing).await;
            show(which.json, &reached.end(answer).await?, lines)
        }
        StatementCommand::Adjust { which, amount, reason } => {
            let body = json!({"amount_li": amount, "reason": reason});
            let answer = reached.client.post(&of(&which, "/adjust"), &body).await;
            show(which.json, &reached.end(answer).await?, lines)
        }
        StatementCommand::Verify(which) => {
            let answer = reached.client.post(&of(&which, "/verify"), &nothing).await;
            show(which.json, &reached.end(answer).await?, |v| {
                pairs(&[
                    ("same", text(&v["same"])),
                    ("issued", text(&v["issued_digest"])),
                    ("computed", text(&v["computed_digest"])),
                ])
            })
        }
    }
}

fn encoded(text: &str) -> impl std::fmt::Display {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
}

fn of(which: &Which, rest: &str) -> String {
    format!("/accounts/{}/statements/{}{rest}", encoded(&which.account), which.month)
}

fn read(add: &Add) -> Result<Tariff, String> {
    let tier = |line: &String| {
        let (end, price) = line.split_once(':').ok_or_else(|| format!("{line:?} is no GB:YUAN"))?;
        let end = if end == "*" { None } else { Some(end.parse().map_err(|_| format!("{end:?} is no number of GB"))?) };
        Ok::<_, String>(Tier { up_to_gb: end, price_li: price.parse()? })
    };
    let rule = match (add.price, add.package) {
        (Some(price_li), _) => Rule::PerGb { price_li },
        (None, Some(included_gb)) => Rule::Package {
            included_gb,
            flat_li: add.flat.unwrap_or_default(),
            overage_li: add.overage.unwrap_or_default(),
        },
        (None, None) => Rule::Tiers { tiers: add.tier.iter().map(tier).collect::<Result<_, _>>()? },
    };
    let basis = Basis::ALL.into_iter().find(|basis| basis.word() == add.basis).ok_or("no such basis")?;
    Ok(Tariff { name: add.name.clone(), basis, rule, minimum_li: add.minimum, from: add.from, to: add.to })
}

fn yuan(li: &Value) -> String {
    li.as_i64().map_or_else(|| text(li), |li| Money::from_li(li).to_string())
}

fn list(all: &Value, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    all.as_array().into_iter().flatten().map(row).collect()
}

fn tariffs(all: &Value) -> String {
    let row = |t: &Value| {
        ["version", "name", "basis"]
            .map(|key| text(&t[key]))
            .into_iter()
            .chain([t["rule"].to_string(), yuan(&t["minimum_li"]), text(&t["from"]), text(&t["to"])])
            .collect()
    };
    table(&["VERSION", "NAME", "COUNTS", "RULE", "MINIMUM", "FROM", "TO"], &list(all, row))
}

fn assignments(all: &Value) -> String {
    let row = |a: &Value| ["account", "from", "tariff", "by"].map(|key| text(&a[key])).to_vec();
    table(&["ACCOUNT", "FROM", "TARIFF", "BY"], &list(all, row))
}

fn month_rows(page: &Value) -> String {
    let row = |r: &Value| {
        let amounts = ["total_li", "adjusted_li", "due_li"].map(|key| yuan(&r[key]));
        [text(&r["account"]), text(&r["state"])].into_iter().chain(amounts).collect()
    };
    table(&["ACCOUNT", "STATE", "TOTAL", "CORRECTIONS", "DUE"], &list(&page["rows"], row))
}

fn lines(view: &Value) -> String {
    let s = &view["statement"];
    let (gb, hours) = (s["bytes_per_gb"].as_u64().unwrap_or(1), s["month_hours"].as_i64().unwrap_or(1));
    let row = |l: &Value| {
        let byte_hours = l["byte_hours"].as_str().and_then(|n| n.parse().ok()).unwrap_or(0);
        vec![
            text(&l["from"]),
            text(&l["to"]),
            text(&l["charge"]),
            text(&l["tariff"]),
            text(&l["hours"]),
            gb_months(byte_hours, gb, hours),
            yuan(&l["price_li"]),
            yuan(&l["amount_li"]),
        ]
    };
    let heads = ["FROM", "TO", "CHARGE", "TARIFF", "HOURS", "GB-MONTHS", "PRICE", "AMOUNT"];
    let head = pairs(&[
        ("account", text(&s["account"])),
        ("month", text(&s["month"])),
        ("state", text(&view["state"])),
        ("digest", text(&view["digest"])),
        ("total", yuan(&s["total_li"])),
        ("corrections", yuan(&view["adjusted_li"])),
        ("due", yuan(&view["due_li"])),
        ("issued", time(&view["issued_ms"])),
        ("settled", time(&view["settled_ms"])),
    ]);
    format!("{head}\n{}", table(&heads, &list(&s["lines"], row)))
}

fn matches(all: &Value) -> String {
    let row = |m: &Value| {
        let amounts = ["ours_li", "theirs_li", "difference_li"].map(|key| yuan(&m[key]));
        [text(&m["account"]), text(&m["outcome"])].into_iter().chain(amounts).collect()
    };
    table(&["ACCOUNT", "OUTCOME", "HERE", "CRM", "DIFFERENCE"], &list(all, row))
}

fn samples(page: &Value) -> String {
    let row = |s: &Value| ["at", "handed_out_gb", "used_bytes", "files", "carried"].map(|key| text(&s[key])).to_vec();
    table(&["HOUR", "HANDED OUT GB", "USED BYTES", "FILES", "CARRIED"], &list(&page["samples"], row))
}
