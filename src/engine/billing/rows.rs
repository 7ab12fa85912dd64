//! What the books keep of settlement.

use serde::{Deserialize, Serialize};

use crate::books::Row;
use crate::domain::billing::{Hour, Money, Sample, Tariff};
use crate::domain::{Bytes, Gigabytes};

/// A sample, under account and hour. One-letter names: there are 8,760 a year and account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SampleRow {
    /// GB handed out.
    g: u32,
    /// Bytes used.
    u: u64,
    /// Files.
    f: u64,
    /// Whether it is carried from the hour before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    c: bool,
}

impl Row for SampleRow {
    const TABLE: &'static str = "samples";
    type Key = (u64, u64);
}

impl SampleRow {
    pub(super) const fn of(sample: &Sample) -> Self {
        let Sample { handed_out, used, files, carried, .. } = *sample;
        Self { g: handed_out.get(), u: used.get(), f: files, c: carried }
    }

    pub(super) fn sample(self, hour: u64) -> Sample {
        Sample {
            hour: Hour::new(i64::try_from(hour).unwrap_or(i64::MAX)),
            handed_out: Gigabytes::new(self.g).unwrap_or(Gigabytes::MAX),
            used: Bytes::new(self.u),
            files: self.f,
            carried: self.c,
        }
    }
}

/// An account that was ever sampled, under its number: its name outlives it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sampled {
    pub(super) name: String,
    /// Its first hour.
    pub(super) first: i64,
}

impl Row for Sampled {
    const TABLE: &'static str = "sampled_accounts";
    type Key = u64;
}

/// The last hour that is sampled, under 0.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct SampledUntil {
    pub(super) hour: i64,
}

impl Row for SampledUntil {
    const TABLE: &'static str = "sampled_until";
    type Key = u64;
}

/// A version of a tariff, under its number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TariffRow {
    #[serde(flatten)]
    pub(super) tariff: Tariff,
    pub(super) created_ms: i64,
    pub(super) by: String,
}

impl Row for TariffRow {
    const TABLE: &'static str = "tariffs";
    type Key = u64;
}

/// Which tariff an account has, under account and first day.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AssignmentRow {
    pub(super) tariff: Option<String>,
    pub(super) created_ms: i64,
    pub(super) by: String,
}

impl Row for AssignmentRow {
    const TABLE: &'static str = "tariff_assignments";
    type Key = (u64, u64);
}

/// An issued statement, under account and month (since 1970-01). Its canonical bytes are never written again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StatementRow {
    pub(super) canonical: String,
    pub(super) digest: String,
    pub(super) total_li: Money,
    pub(super) issued_ms: i64,
    pub(super) issued_by: String,
    /// The sum of the corrections.
    #[serde(default)]
    pub(super) adjusted_li: Money,
    #[serde(default)]
    pub(super) adjustments: Vec<Adjustment>,
    #[serde(default)]
    pub(super) settled_ms: Option<i64>,
    #[serde(default)]
    pub(super) settled_by: Option<String>,
}

impl Row for StatementRow {
    const TABLE: &'static str = "statements";
    type Key = (u64, u64);
}

/// A correction.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Adjustment {
    pub(super) amount_li: Money,
    pub(super) reason: String,
    pub(super) at_ms: i64,
    pub(super) by: String,
}

impl StatementRow {
    pub(super) fn state(&self) -> &'static str {
        match (&self.settled_ms, self.adjustments.is_empty()) {
            (Some(_), _) => "settled",
            (None, false) => "adjusted",
            (None, true) => "issued",
        }
    }
}
