//! Hours, days and months of the configured zone, which has no daylight saving: a day has 24 hours.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::Timestamp;

/// An hour, as a number since 1970-01-01 00:00 in the zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(i64);

/// A day, as a number since 1970-01-01 in the zone. Written `2026-11-25`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

/// A calendar month in the zone, as a number since 1970-01. Written `2026-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(i64);

const HOUR_MILLIS: i64 = 3_600_000;
/// The last year that has a name.
const LAST_YEAR: i64 = 9999;

/// A zone as `+08:00`, from its minutes east of UTC.
pub fn zone_text(zone_minutes: i32) -> String {
    let sign = if zone_minutes < 0 { '-' } else { '+' };
    let minutes = zone_minutes.unsigned_abs();
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Days since 1970-01-01 of a date of the Gregorian calendar.
const fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
const fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days - era * 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + if month <= 2 { 1 } else { 0 }, month, day)
}

/// A number of exactly `len` digits.
fn digits(text: &str, len: usize) -> Option<i64> {
    (text.len() == len && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

// === impl Hour ===

impl Hour {
    /// The hour that `at` lies in.
    pub fn of(at: Timestamp, zone_minutes: i32) -> Self {
        Self(at.millis().saturating_add(i64::from(zone_minutes) * 60_000).div_euclid(HOUR_MILLIS))
    }

    /// By its number.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The day that it lies in.
    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(24))
    }

    /// When it begins, ms since 1970 UTC.
    pub fn begins(self, zone_minutes: i32) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_mul(HOUR_MILLIS).saturating_sub(i64::from(zone_minutes) * 60_000))
    }
}

/// `2026-11-25 07:00`, in the zone.
impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:02}:00", self.day(), self.0.rem_euclid(24))
    }
}

// === impl Day ===

impl Day {
    /// By its number.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The next one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Its first hour.
    pub const fn first_hour(self) -> Hour {
        Hour(self.0.saturating_mul(24))
    }

    /// The month that it lies in.
    pub const fn month(self) -> Month {
        let (year, month, _) = date_of(self.0);
        Month((year - 1970) * 12 + month - 1)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(self.0);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('-');
        let mut next = |len| parts.next().and_then(|part| digits(part, len));
        if let (Some(year), Some(month), Some(day)) = (next(4), next(2), next(2))
            && parts.next().is_none()
            && (1970..=LAST_YEAR).contains(&year)
        {
            let days = days_of(year, month, day);
            if (1..=12).contains(&month) && date_of(days) == (year, month, day) {
                return Ok(Self(days));
            }
        }
        Err(format!("{text:?} is no day like 2026-11-25"))
    }
}

// === impl Month ===

impl Month {
    /// By its number, from 1970-01 to 9999-12.
    pub const fn new(number: i64) -> Option<Self> {
        if number >= 0 && number < (LAST_YEAR - 1969) * 12 { Some(Self(number)) } else { None }
    }

    /// Its number.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Its first day.
    pub const fn first_day(self) -> Day {
        Day(days_of(1970 + self.0.div_euclid(12), self.0.rem_euclid(12) + 1, 1))
    }

    /// The first day that is no longer of it.
    pub const fn end(self) -> Day {
        self.next().first_day()
    }

    /// The month after.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The month before.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0 - 1)
    }

    /// How many hours it has: 672, 696, 720 or 744.
    pub const fn hours(self) -> i64 {
        (self.end().0 - self.first_day().0) * 24
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", 1970 + self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }
}

impl FromStr for Month {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let day = format!("{text}-01").parse::<Day>();
        day.map(Day::month).map_err(|_| format!("{text:?} is no month like 2026-11"))
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(Day);
as_text!(Month);
