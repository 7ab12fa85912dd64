//! What settlement shows.

use std::convert::Infallible;
use std::str::FromStr;

use serde::Serialize;

use crate::domain::billing::{Day, Money, Month, Statement, Tariff};

/// An account as settlement is asked for it: its name, or `@` and its number, which closed accounts keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BillingAccount {
    /// By its name; of closed ones of this name the last.
    Name(String),
    /// By its number.
    Number(u64),
}

impl FromStr for BillingAccount {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let number = text.strip_prefix('@').and_then(|number| number.parse().ok());
        Ok(number.map_or_else(|| Self::Name(text.to_owned()), Self::Number))
    }
}

/// A version of a tariff.
#[derive(Clone, Debug, Serialize)]
pub struct TariffView {
    /// Its number, that lines of statements name.
    pub version: u64,
    /// What it says.
    #[serde(flatten)]
    pub tariff: Tariff,
    /// When it was entered, ms since 1970.
    pub created_ms: i64,
    /// By whom.
    pub by: String,
}

/// Which tariff an account has from a day on.
#[derive(Clone, Debug, Serialize)]
pub struct AssignmentView {
    /// The account's number.
    pub account_id: u64,
    /// Its name.
    pub account: String,
    /// The first day.
    pub from: Day,
    /// The tariff's name; `None`: none.
    pub tariff: Option<String>,
    /// When it was entered, ms since 1970.
    pub created_ms: i64,
    /// By whom.
    pub by: String,
}

/// A correction.
#[derive(Clone, Debug, Serialize)]
pub struct AdjustmentView {
    /// How much, either sign.
    pub amount_li: Money,
    /// Why.
    pub reason: String,
    /// When, ms since 1970.
    pub at_ms: i64,
    /// By whom.
    pub by: String,
}

/// A statement: a trial, or issued.
#[derive(Clone, Debug, Serialize)]
pub struct StatementView {
    /// `trial`, `issued`, `adjusted` or `settled`.
    pub state: &'static str,
    /// The lines and the total; of what is issued, as they were issued.
    pub statement: Statement,
    /// SHA-256 of the canonical bytes, in hex.
    pub digest: String,
    /// The canonical bytes.
    pub canonical: String,
    /// Whether the month's last hour is sampled, so that it can be issued.
    pub over: bool,
    /// When it was issued, ms since 1970.
    pub issued_ms: Option<i64>,
    /// By whom.
    pub issued_by: Option<String>,
    /// Corrections, the oldest first.
    pub adjustments: Vec<AdjustmentView>,
    /// Their sum.
    pub adjusted_li: Money,
    /// The total and the corrections.
    pub due_li: Money,
    /// When it was settled, ms since 1970.
    pub settled_ms: Option<i64>,
    /// By whom.
    pub settled_by: Option<String>,
}

/// An account in a month.
#[derive(Clone, Debug, Serialize)]
pub struct MonthRow {
    /// Its number.
    pub account_id: u64,
    /// Its name.
    pub account: String,
    /// Which month.
    pub month: Month,
    /// `trial`, `issued`, `adjusted` or `settled`.
    pub state: &'static str,
    /// The total of the lines.
    pub total_li: Money,
    /// The sum of the corrections.
    pub adjusted_li: Money,
    /// Both.
    pub due_li: Money,
    /// Of what is issued.
    pub digest: Option<String>,
}

/// A page of accounts in a month.
#[derive(Clone, Debug, Serialize)]
pub struct MonthPage {
    /// Which month.
    pub month: Month,
    /// Whether its last hour is sampled.
    pub over: bool,
    /// By the accounts' numbers.
    pub rows: Vec<MonthRow>,
    /// What `after` is next, where there is more.
    pub next: Option<u64>,
    /// What is due of this page's rows.
    pub due_li: Money,
}

/// An hour of an account.
#[derive(Clone, Debug, Serialize)]
pub struct SampleView {
    /// Since 1970-01-01 00:00 in the zone.
    pub hour: i64,
    /// As people write it.
    pub at: String,
    /// GB handed out.
    pub handed_out_gb: u32,
    /// Bytes used.
    pub used_bytes: u64,
    /// Files.
    pub files: u64,
    /// Whether nobody counted and the values are those of the hour before.
    pub carried: bool,
}

/// Samples of an account.
#[derive(Clone, Debug, Serialize)]
pub struct SamplePage {
    /// The account's number.
    pub account_id: u64,
    /// Its name.
    pub account: String,
    /// By hour.
    pub samples: Vec<SampleView>,
}

/// What came of computing an issued month again.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// Whether the bytes are the issued ones.
    pub same: bool,
    /// The digest that was kept.
    pub issued_digest: String,
    /// That of what is computed now.
    pub computed_digest: String,
}
