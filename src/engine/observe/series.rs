//! Counters over time: 24 hours, 30 days, 12 months; top lists; CSV.

use std::cmp::Reverse;
use std::fmt::Write as _;

use serde::Serialize;

use super::rows::{Counters, DayRow, HourRow, day_of, hour_of};
use crate::domain::{AccountId, AccountName, Action, Refusal, Timestamp};
use crate::engine::status::blocking;
use crate::engine::{Caller, Engine, Result};
use crate::wire::china_time;

/// Lines of a top list.
const TOP: usize = 10;

/// How far back, and in which steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// 24 hours, by the hour.
    Day,
    /// 30 days, by the day.
    Month,
    /// 12 months, by the month.
    Year,
}

impl std::str::FromStr for Period {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "day" | "24h" => Ok(Self::Day),
            "month" | "30d" => Ok(Self::Month),
            "year" | "12m" => Ok(Self::Year),
            _ => Err(format!("{text:?} is no period; there are day, month and year")),
        }
    }
}

/// One step.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// When it begins, ms since 1970.
    pub at_ms: i64,
    /// What happened in it.
    #[serde(flatten)]
    pub counters: Counters,
}

/// One line of a top list.
#[derive(Clone, Debug, Serialize)]
pub struct Top {
    /// An account's name, or a camera's AK.
    pub who: String,
    /// A camera's name.
    pub name: String,
    /// Bytes uploaded.
    pub bytes_in: u64,
    /// Files uploaded.
    pub uploads: u64,
    /// Requests refused; of accounts only.
    pub refused: u64,
}

/// Counters over time, known up to a minute ago.
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    /// How far back.
    pub period: Period,
    /// Minutes east of UTC that days and months begin by.
    pub zone_minutes: i32,
    /// Steps, the oldest first; the last one is under way.
    pub points: Vec<Point>,
    /// All of them together.
    pub total: Counters,
    /// Accounts by bytes uploaded in the period; empty where one account was asked for, and over 12 months.
    pub top_accounts: Vec<Top>,
    /// Cameras by bytes uploaded in the last seven days.
    pub top_cameras: Vec<Top>,
}

impl Engine {
    /// Counters of an account, or of the box where the caller may see all of it and names none.
    pub async fn statistics(&self, caller: &Caller, account: Option<&AccountName>, period: Period) -> Result<Series> {
        let scope = caller.must(Action::SeeStatistics)?;
        let account = match account {
            None => scope,
            Some(name) => {
                let id = self.inner.store.catalog.read().names.get(name.as_str()).copied().ok_or(Refusal::NoAccount)?;
                caller.must_on(Action::SeeStatistics, id)?;
                Some(id)
            }
        };
        let engine = self.clone();
        blocking(move || engine.series(account, period)).await
    }

    fn series(&self, account: Option<AccountId>, period: Period) -> Result<Series> {
        let zone = self.config().zone_minutes;
        let books = &self.inner.books;
        let of = account.map_or(0, AccountId::get);
        let now = self.now();
        let (hour, today) = (hour_of(now), day_of(now, zone));
        let mut points: Vec<Point> = Vec::new();
        match period {
            Period::Day => {
                for hour in hour.saturating_sub(23)..=hour {
                    let row: HourRow = books.get(&(hour, of))?.unwrap_or_default();
                    points.push(Point { at_ms: millis(hour, 3_600_000), counters: row.0 });
                }
            }
            Period::Month => {
                for day in today.saturating_sub(29)..=today {
                    let row: DayRow = books.get(&(day, of))?.unwrap_or_default();
                    points.push(Point { at_ms: day_begins(day, zone), counters: row.0 });
                }
            }
            Period::Year => {
                let mut month = None;
                for day in months_ago(today, 11)..=today {
                    let row: DayRow = books.get(&(day, of))?.unwrap_or_default();
                    let (year, number, _) = civil(day);
                    if month != Some((year, number)) {
                        month = Some((year, number));
                        points.push(Point { at_ms: day_begins(day, zone), counters: Counters::default() });
                    }
                    if let Some(last) = points.last_mut() {
                        last.counters.add(&row.0);
                    }
                }
            }
        }
        let mut total = Counters::default();
        for point in &points {
            total.add(&point.counters);
        }
        let top_accounts = if account.is_none() { self.top_accounts(period, hour, today)? } else { Vec::new() };
        Ok(Series { period, zone_minutes: zone, points, total, top_accounts, top_cameras: self.top_cameras(account) })
    }

    fn top_accounts(&self, period: Period, hour: u64, today: u64) -> Result<Vec<Top>> {
        let books = &self.inner.books;
        let rows: Vec<((u64, u64), Counters)> = match period {
            Period::Day => {
                let rows = books.scan::<HourRow>(&(hour.saturating_sub(23), 0), |_, _| true)?;
                rows.into_iter().map(|(key, row)| (key, row.0)).collect()
            }
            Period::Month => {
                let rows = books.scan::<DayRow>(&(today.saturating_sub(29), 0), |_, _| true)?;
                rows.into_iter().map(|(key, row)| (key, row.0)).collect()
            }
            Period::Year => return Ok(Vec::new()),
        };
        let mut sums = std::collections::BTreeMap::<u64, Counters>::new();
        for ((_, account), counters) in rows.into_iter().filter(|((_, account), _)| *account != 0) {
            sums.entry(account).or_default().add(&counters);
        }
        let mut top: Vec<Top> = sums
            .into_iter()
            .map(|(account, sum)| Top {
                who: self.account_name(AccountId::new(account)),
                name: String::new(),
                bytes_in: sum.bytes_in,
                uploads: sum.uploads(),
                refused: sum.refused(),
            })
            .collect();
        top.sort_by_key(|top| Reverse(top.bytes_in));
        top.truncate(TOP);
        Ok(top)
    }

    fn top_cameras(&self, account: Option<AccountId>) -> Vec<Top> {
        let today = day_of(self.now(), 0);
        let of = |row: &super::rows::CameraRow| !row.ak.is_empty() && account.is_none_or(|id| id.get() == row.account);
        let mut top: Vec<(u64, crate::domain::SubAccountId, String)> = Vec::new();
        for (id, ak) in self.inner.observe.owners(of) {
            let bytes = self.inner.observe.last_week(id, self.now(), Timestamp::from_millis(0)).0;
            if bytes > 0 {
                top.push((bytes, id, ak));
            }
        }
        top.sort_by_key(|(bytes, ..)| Reverse(*bytes));
        top.truncate(TOP);
        let line = |(bytes_in, id, who): (u64, _, _)| {
            let days = self.inner.observe.row(id).days;
            let week = days.iter().filter(|day| day.day + 7 > today);
            let uploads = week.map(|day| day.recordings + day.pictures).sum();
            Top { who, name: self.inner.observe.name(id).name, bytes_in, uploads, refused: 0 }
        };
        top.into_iter().map(line).collect()
    }
}

impl Series {
    /// UTF-8 with BOM, a line a step; times in the configured zone.
    pub fn to_csv(&self) -> String {
        let mut out = "\u{feff}time,recordings,pictures,other_files,bytes_in,downloads,bytes_out,overwritten,\
                       overwritten_bytes,deleted,deleted_bytes,refused,alerts_raised,alerts_delivered,alerts_given_up\r\n"
            .to_owned();
        for Point { at_ms, counters: c } in &self.points {
            let at = china_time::format(at_ms.div_euclid(1000), self.zone_minutes);
            let numbers = [
                c.recordings,
                c.pictures,
                c.others,
                c.bytes_in,
                c.downloads,
                c.bytes_out,
                c.overwritten,
                c.overwritten_bytes,
                c.deleted,
                c.deleted_bytes,
                c.refused(),
                c.alerts_raised,
                c.alerts_delivered,
                c.alerts_given_up,
            ];
            out.push_str(&at);
            for number in numbers {
                // Writing to a string does not fail.
                let _ = write!(out, ",{number}");
            }
            out.push_str("\r\n");
        }
        out
    }
}

fn millis(number: u64, each: i64) -> i64 {
    i64::try_from(number).unwrap_or(0).saturating_mul(each)
}

fn day_begins(day: u64, zone_minutes: i32) -> i64 {
    millis(day, 86_400_000) - i64::from(zone_minutes) * 60_000
}

/// Year, month and day of a day since 1970 (Gregorian; days from the first of March of year 0 on).
fn civil(day: u64) -> (u64, u64, u64) {
    let z = day + 719_468;
    let era = z / 146_097;
    let of_era = z % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + u64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// The first day of the month so many before that of `day`.
fn months_ago(day: u64, months: u64) -> u64 {
    let (_, _, of_month) = civil(day);
    let mut first = day.saturating_sub(of_month - 1);
    for _ in 0..months {
        let before = first.saturating_sub(1);
        first = before.saturating_sub(civil(before).2 - 1);
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_on_their_first() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(20_417), (2025, 11, 25));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(months_ago(20_417, 11)), (2024, 12, 1));
        assert_eq!(months_ago(5, 11), 0);
    }

    #[test]
    fn a_series_is_a_table_with_a_head() {
        let counters = Counters { recordings: 7, ..Counters::default() };
        let point = Point { at_ms: 0, counters: counters.clone() };
        let series = Series {
            period: Period::Day,
            zone_minutes: 480,
            points: vec![point],
            total: counters,
            top_accounts: Vec::new(),
            top_cameras: Vec::new(),
        };
        let csv = series.to_csv();
        assert!(csv.starts_with("\u{feff}time,recordings"));
        let lines: Vec<_> = csv.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[1].contains(",7,0,"), "{csv}");
        assert_eq!(lines[0].split(',').count(), lines[1].split(',').count());
    }
}
