//! What a month costs an account.
//!
//! A month's hours are split where the version of the tariff changes. Each part makes lines; a line's amount is
//! `price × byte-hours / (bytes of a GB × hours of the month)`, rounded half up to the 厘, once. What is per month
//! (a package, tiers' ends, the minimum) counts for a part by its share of sampled hours in the month's hours.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::calendar::{Day, Month};
use super::money::Money;
use super::sample::Sample;
use super::tariff::{Rule, Span, Tariff};
use crate::domain::GigabyteSize;

/// Version of the canonical form.
const FORMAT: u32 = 1;

/// What a statement is made from.
#[derive(Clone, Debug)]
pub struct Period<'a> {
    /// The account's number.
    pub account_id: u64,
    /// Its name.
    pub account: &'a str,
    /// Which month.
    pub month: Month,
    /// Its zone, as `+08:00`.
    pub zone: &'a str,
    /// What a GB is.
    pub gigabyte: GigabyteSize,
    /// Its tariffs, day by day.
    pub spans: &'a [Span<'a>],
    /// Its samples, by hour; those outside the month are passed over.
    pub samples: &'a [Sample],
}

/// Which rule made a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Charge {
    /// Every GB-month at one price.
    PerGb,
    /// GB-months of one step.
    Tier,
    /// The package.
    Package,
    /// GB-months above the package.
    Overage,
    /// What is missing to the minimum.
    Minimum,
    /// No tariff holds: nothing is charged.
    NoTariff,
}

/// A line of a statement. Its fields, in this order, are its canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// From 1.
    pub number: usize,
    /// The rule that made it.
    pub charge: Charge,
    /// The tariff's name.
    pub tariff: Option<String>,
    /// The number of its version.
    pub tariff_version: Option<u64>,
    /// Of a tier: above this many GB. Of an overage: the package's GB.
    pub above_gb: Option<u64>,
    /// Of a tier: up to this many GB.
    pub up_to_gb: Option<u64>,
    /// Its first day.
    pub from: Day,
    /// The first day that is no longer of it.
    pub to: Day,
    /// Hours that were sampled.
    pub hours: u64,
    /// Those of them that nobody counted (the server was off).
    pub carried_hours: u64,
    /// Bytes times hours, as a decimal number.
    #[serde(with = "decimal")]
    pub byte_hours: i128,
    /// Per GB-month; of a package and a minimum, per month.
    pub price_li: Money,
    /// What it comes to.
    pub amount_li: Money,
    /// SHA-256 of the samples' lines, in hex.
    pub samples_sha256: String,
}

/// What a month costs an account. Its fields, in this order, as JSON without white space, are its canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// 1.
    pub format: u32,
    /// The account's number.
    pub account_id: u64,
    /// Its name.
    pub account: String,
    /// Which month.
    pub month: Month,
    /// Its zone, as `+08:00`.
    pub zone: String,
    /// Hours of the month.
    pub month_hours: i64,
    /// What a GB is.
    pub bytes_per_gb: u64,
    /// By day, then as the tariff has them.
    pub lines: Vec<Line>,
    /// Their sum.
    pub total_li: Money,
}

/// An amount is larger than can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// Byte-hours travel as text: readers of JSON have no numbers of this size.
mod decimal {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(number: &i128, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(number)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i128, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// GB-months with six digits behind the point, rounded half up, for people: amounts are not made from it.
pub fn gb_months(byte_hours: i128, gigabyte: u64, month_hours: i64) -> String {
    let whole = i128::from(gigabyte).saturating_mul(i128::from(month_hours)).max(1);
    let (units, rest) = (byte_hours / whole, byte_hours % whole);
    let millionths = (rest.saturating_mul(1_000_000) + whole / 2) / whole;
    let (units, millionths) = if millionths >= 1_000_000 { (units + 1, 0) } else { (units, millionths) };
    format!("{units}.{millionths:06}")
}

impl Statement {
    /// Computes it: the same from the same, whenever.
    pub fn compute(period: &Period<'_>) -> Result<Self, TooLarge> {
        let mut lines = Vec::new();
        for span in period.spans {
            let (first, end) = (span.from.first_hour(), span.to.first_hour());
            let samples: Vec<Sample> =
                period.samples.iter().filter(|s| first <= s.hour && s.hour < end).copied().collect();
            if !samples.is_empty() {
                lines.extend(Part::new(period, span, &samples).lines()?);
            }
        }
        let mut total_li = Money::ZERO;
        for (line, number) in lines.iter_mut().zip(1..) {
            line.number = number;
            total_li = total_li.plus(line.amount_li).ok_or(TooLarge)?;
        }
        Ok(Self {
            format: FORMAT,
            account_id: period.account_id,
            account: period.account.to_owned(),
            month: period.month,
            zone: period.zone.to_owned(),
            month_hours: period.month.hours(),
            bytes_per_gb: period.gigabyte.get(),
            lines,
            total_li,
        })
    }

    /// Its bytes: JSON without white space, fields in the order in which they are declared, UTF-8.
    pub fn canonical(&self) -> String {
        // Text keys, numbers and text: serde_json cannot fail on them.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// SHA-256 of bytes, in hex.
    pub fn digest(canonical: &str) -> String {
        hex::encode(Sha256::digest(canonical.as_bytes()))
    }
}

/// Hours of a month with one version of a tariff.
struct Part<'a> {
    span: &'a Span<'a>,
    gigabyte: i128,
    month_hours: i128,
    hours: u64,
    carried_hours: u64,
    byte_hours: i128,
    samples_sha256: String,
}

impl<'a> Part<'a> {
    fn new(period: &Period<'_>, span: &'a Span<'a>, samples: &[Sample]) -> Self {
        let mut digest = Sha256::new();
        let mut byte_hours = 0_i128;
        for sample in samples {
            digest.update(sample.line().as_bytes());
            if let Some((_, tariff)) = span.tariff {
                byte_hours += i128::from(sample.counted(tariff.basis, period.gigabyte).get());
            }
        }
        Self {
            span,
            gigabyte: i128::from(period.gigabyte.get()),
            month_hours: i128::from(period.month.hours()),
            hours: samples.len() as u64,
            carried_hours: samples.iter().filter(|sample| sample.carried).count() as u64,
            byte_hours,
            samples_sha256: hex::encode(digest.finalize()),
        }
    }

    fn lines(&self) -> Result<Vec<Line>, TooLarge> {
        let Some((_, tariff)) = self.span.tariff else {
            return Ok(vec![self.line(Charge::NoTariff, self.byte_hours, Money::ZERO, Money::ZERO)]);
        };
        let mut lines = match &tariff.rule {
            Rule::PerGb { price_li } => vec![self.by_size(Charge::PerGb, self.byte_hours, *price_li)?],
            Rule::Package { included_gb, flat_li, overage_li } => {
                let mut lines = vec![self.by_time(Charge::Package, *flat_li)?];
                let above = self.byte_hours.saturating_sub(self.end_of(*included_gb)).max(0);
                if above > 0 {
                    let overage = self.by_size(Charge::Overage, above, *overage_li)?;
                    lines.push(Line { above_gb: Some(*included_gb), ..overage });
                }
                lines
            }
            Rule::Tiers { tiers } => {
                let (mut lines, mut below) = (Vec::new(), 0);
                for tier in tiers {
                    let top = tier.up_to_gb.map_or(self.byte_hours, |gb| self.end_of(gb).min(self.byte_hours));
                    let within = top.saturating_sub(self.end_of(below)).max(0);
                    if within > 0 || below == 0 {
                        let line = self.by_size(Charge::Tier, within, tier.price_li)?;
                        lines.push(Line { above_gb: Some(below), up_to_gb: tier.up_to_gb, ..line });
                    }
                    below = tier.up_to_gb.unwrap_or(below);
                }
                lines
            }
        };
        lines.extend(self.minimum(tariff, &lines)?);
        Ok(lines)
    }

    /// The byte-hours that so many GB come to in the hours of this part.
    fn end_of(&self, gigabytes: u64) -> i128 {
        i128::from(gigabytes).saturating_mul(self.gigabyte).saturating_mul(i128::from(self.hours))
    }

    fn by_size(&self, charge: Charge, byte_hours: i128, price: Money) -> Result<Line, TooLarge> {
        let product = byte_hours.checked_mul(i128::from(price.li())).ok_or(TooLarge)?;
        let amount = Money::half_up(product, self.gigabyte * self.month_hours).ok_or(TooLarge)?;
        Ok(self.line(charge, byte_hours, price, amount))
    }

    fn by_time(&self, charge: Charge, price: Money) -> Result<Line, TooLarge> {
        let amount = Money::half_up(i128::from(price.li()) * i128::from(self.hours), self.month_hours);
        let byte_hours = match self.span.tariff {
            Some((_, Tariff { rule: Rule::Package { included_gb, .. }, .. })) => {
                self.byte_hours.min(self.end_of(*included_gb))
            }
            _ => 0,
        };
        Ok(self.line(charge, byte_hours, price, amount.ok_or(TooLarge)?))
    }

    /// What is missing to the minimum of this part.
    fn minimum(&self, tariff: &Tariff, lines: &[Line]) -> Result<Option<Line>, TooLarge> {
        let mut sum = Money::ZERO;
        for line in lines {
            sum = sum.plus(line.amount_li).ok_or(TooLarge)?;
        }
        let least = self.by_time(Charge::Minimum, tariff.minimum_li)?;
        if least.amount_li <= sum {
            return Ok(None);
        }
        let missing = least.amount_li.minus(sum).ok_or(TooLarge)?;
        Ok(Some(Line { amount_li: missing, byte_hours: 0, ..least }))
    }

    fn line(&self, charge: Charge, byte_hours: i128, price_li: Money, amount_li: Money) -> Line {
        Line {
            number: 0,
            charge,
            tariff: self.span.tariff.map(|(_, tariff)| tariff.name.clone()),
            tariff_version: self.span.tariff.map(|(id, _)| id),
            above_gb: None,
            up_to_gb: None,
            from: self.span.from,
            to: self.span.to,
            hours: self.hours,
            carried_hours: self.carried_hours,
            byte_hours,
            price_li,
            amount_li,
            samples_sha256: self.samples_sha256.clone(),
        }
    }
}
