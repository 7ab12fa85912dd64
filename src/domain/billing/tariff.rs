//! What a GB costs, from which day on, and for whom.

use serde::{Deserialize, Serialize};

use super::calendar::{Day, Month};
use super::money::Money;
use super::refusal::{BillingRefusal, TariffFault};

/// The largest price of a GB-month, a million 元: with it the largest account (2^31 GB) still has an amount.
pub const PRICE_MAX: Money = Money::from_li(1_000_000_000);
/// The largest price of a package and the largest minimum, a billion 元.
const FLAT_MAX: Money = Money::from_li(1_000_000_000_000);
const TIERS_MAX: usize = 20;
const NAME_CHARS_MAX: usize = 64;

/// Which GB are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// What sub-accounts were granted.
    HandedOut,
    /// What files take.
    Used,
    /// Hour by hour, the larger of both.
    Larger,
}

/// A step of a graduated price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// Up to this many GB; `None` of the last.
    pub up_to_gb: Option<u64>,
    /// What a GB-month in this step costs.
    pub price_li: Money,
}

/// How the GB make an amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rule {
    /// Every GB-month costs the same.
    PerGb {
        /// What it costs.
        price_li: Money,
    },
    /// Graduated: the GB of each step cost that step's price.
    Tiers {
        /// From below, the last one without an end.
        tiers: Vec<Tier>,
    },
    /// So many GB for a price, and a price for each GB-month above them.
    Package {
        /// GB in the package.
        included_gb: u64,
        /// What the package costs a month.
        flat_li: Money,
        /// What a GB-month above it costs.
        overage_li: Money,
    },
}

/// A version of a tariff. It is never changed: a newer version of the same name takes over at its first day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tariff {
    /// Its name, that its versions share.
    pub name: String,
    /// Which GB count.
    pub basis: Basis,
    /// What they cost.
    pub rule: Rule,
    /// What a month costs at least.
    #[serde(default)]
    pub minimum_li: Money,
    /// Its first day.
    pub from: Day,
    /// The first day on which it does not hold any more.
    #[serde(default)]
    pub to: Option<Day>,
}

/// From this day on an account has this tariff, until the next assignment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The first day.
    pub from: Day,
    /// The tariff's name; `None`: none.
    pub tariff: Option<String>,
}

/// Days of a month with one version of a tariff, or with none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span<'a> {
    /// The first day.
    pub from: Day,
    /// The first day after.
    pub to: Day,
    /// The version and its number.
    pub tariff: Option<(u64, &'a Tariff)>,
}

impl Basis {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::HandedOut, Self::Used, Self::Larger];

    /// Its word in commands and in the API.
    pub const fn word(self) -> &'static str {
        match self {
            Self::HandedOut => "handed_out",
            Self::Used => "used",
            Self::Larger => "larger",
        }
    }
}

impl Rule {
    /// Its word in commands and in the API.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::PerGb { .. } => "per_gb",
            Self::Tiers { .. } => "tiers",
            Self::Package { .. } => "package",
        }
    }
}

impl Tariff {
    /// Whether it makes sense.
    pub fn check(&self) -> Result<(), BillingRefusal> {
        let bad = |why| Err(BillingRefusal::BadTariff { why });
        let within = |price: Money, most: Money| Money::ZERO <= price && price <= most;
        if !(1..=NAME_CHARS_MAX).contains(&self.name.chars().count())
            || self.name.chars().any(char::is_control)
            || self.name.trim() != self.name
        {
            return bad(TariffFault::Name);
        }
        if self.to.is_some_and(|to| to <= self.from) {
            return bad(TariffFault::Ends);
        }
        if !within(self.minimum_li, FLAT_MAX) {
            return bad(TariffFault::Minimum);
        }
        match &self.rule {
            Rule::PerGb { price_li } if !within(*price_li, PRICE_MAX) => bad(TariffFault::Price),
            Rule::PerGb { .. } => Ok(()),
            Rule::Package { included_gb, flat_li, overage_li } => {
                if *included_gb > u64::from(u32::MAX) {
                    bad(TariffFault::Package)
                } else if !within(*flat_li, FLAT_MAX) {
                    bad(TariffFault::PackagePrice)
                } else if !within(*overage_li, PRICE_MAX) {
                    bad(TariffFault::Price)
                } else {
                    Ok(())
                }
            }
            Rule::Tiers { tiers } => {
                if !(1..=TIERS_MAX).contains(&tiers.len()) {
                    return bad(TariffFault::TierCount);
                }
                if !tiers.iter().all(|tier| within(tier.price_li, PRICE_MAX)) {
                    return bad(TariffFault::Price);
                }
                let mut below = 0;
                for (number, tier) in tiers.iter().enumerate() {
                    match tier.up_to_gb {
                        None if number + 1 == tiers.len() => {}
                        Some(up_to) if up_to > below && up_to <= u64::from(u32::MAX) && number + 1 < tiers.len() => {
                            below = up_to;
                        }
                        _ => return bad(TariffFault::TierOrder),
                    }
                }
                Ok(())
            }
        }
    }

    /// Whether it holds on this day.
    fn holds(&self, day: Day) -> bool {
        self.from <= day && self.to.is_none_or(|to| day < to)
    }
}

/// The days of a month by the version that holds: of the tariff that is assigned, the one that began last.
pub fn spans<'a>(month: Month, assigned: &[Assignment], versions: &'a [(u64, Tariff)]) -> Vec<Span<'a>> {
    let mut out: Vec<Span<'a>> = Vec::new();
    for day in month.first_day().get()..month.end().get() {
        let day = Day::new(day);
        let name = assigned.iter().filter(|a| a.from <= day).max_by_key(|a| a.from).and_then(|a| a.tariff.as_deref());
        let begun = versions.iter().filter(|(_, tariff)| Some(tariff.name.as_str()) == name && tariff.from <= day);
        let newest = begun.max_by_key(|(_, tariff)| tariff.from).filter(|(_, tariff)| tariff.holds(day));
        let tariff = newest.map(|(id, tariff)| (*id, tariff));
        match out.last_mut() {
            Some(last) if last.tariff.map(|(id, _)| id) == tariff.map(|(id, _)| id) => last.to = day.next(),
            _ => out.push(Span { from: day, to: day.next(), tariff }),
        }
    }
    out
}
