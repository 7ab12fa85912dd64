//! Counters over time: 24 hours, 30 days, 12 months; top lists; CSV.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use serde::Serialize;

use super::growth::Growth;
use super::rows::{CameraRow, Counters, DayRow, HourRow, MonthRow, day_of, hour_of, month_of};
use super::sums::{Sums, Table};
use crate::books::{Books, BooksError};
use crate::domain::billing::{Month, zone_text};
use crate::domain::{AccountId, AccountName, Action, Refusal, Timestamp};
use crate::engine::status::blocking;
use crate::engine::{Caller, Engine, Result};
use crate::wire::china_time;
use crate::wire::sheet::{Cell, Sheet, csv};

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
            _ => Err(format!("{text:?} is no period; there are 24h, 30d and 12m")),
        }
    }
}

/// What a top list is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TopBy {
    /// Bytes uploaded.
    #[default]
    Bytes,
    /// Files uploaded.
    Uploads,
    /// Requests refused.
    Refused,
}

impl std::str::FromStr for TopBy {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "" | "bytes" => Ok(Self::Bytes),
            "uploads" => Ok(Self::Uploads),
            "refused" => Ok(Self::Refused),
            _ => Err(format!("{text:?} is no order; there are bytes, uploads and refused")),
        }
    }
}

/// Counters under the number of a step and an account.
type Keyed = ((u64, u64), Counters);

/// One step.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// When it begins, ms since 1970.
    pub at_ms: i64,
    /// Whether the box ran in it; where it did not, nothing is known and the counters are 0.
    pub measured: bool,
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
    /// A camera's account.
    pub account: String,
    /// Whether it is closed by now.
    pub closed: bool,
    /// Bytes uploaded.
    pub bytes_in: u64,
    /// Files uploaded.
    pub uploads: u64,
    /// Requests refused.
    pub refused: u64,
}

/// Counters over time, up to now.
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    /// How far back.
    pub period: Period,
    /// The account's name, where it is one account's.
    pub account: Option<String>,
    /// Minutes east of UTC that days and months begin by.
    pub zone_minutes: i32,
    /// Steps, the oldest first; the last one is under way.
    pub points: Vec<Point>,
    /// All of them together.
    pub total: Counters,
    /// Those that are over.
    pub over: Counters,
    /// As many steps before the first of them that is over; `None` where the box is too young.
    pub before: Option<Counters>,
    /// What the top lists are sorted by.
    pub by: TopBy,
    /// Accounts, of the period; empty where one account was asked for.
    pub top_accounts: Vec<Top>,
    /// Cameras, of the last seven days.
    pub top_cameras: Vec<Top>,
    /// What is used, and when it is full.
    pub growth: Growth,
}

impl Period {
    /// Its word in commands and queries.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Month => "30d",
            Self::Year => "12m",
        }
    }

    const fn steps(self) -> u64 {
        match self {
            Self::Day => 24,
            Self::Month => 30,
            Self::Year => 12,
        }
    }

    /// The number of the step that is under way.
    fn present(self, now: Timestamp, zone_minutes: i32) -> u64 {
        match self {
            Self::Day => hour_of(now),
            Self::Month => day_of(now, zone_minutes),
            Self::Year => month_of(day_of(now, zone_minutes)),
        }
    }

    /// When a step begins, ms since 1970.
    fn begins(self, step: u64, zone_minutes: i32) -> i64 {
        let number = i64::try_from(step).unwrap_or(0);
        let zone = i64::from(zone_minutes) * 60_000;
        let days = match self {
            Self::Day => return number.saturating_mul(3_600_000),
            Self::Month => number,
            Self::Year => Month::new(number).map_or(0, |month| month.first_day().get()),
        };
        days.saturating_mul(86_400_000) - zone
    }

    fn row(self, books: &Books, key: (u64, u64)) -> std::result::Result<Option<Counters>, BooksError> {
        Ok(match self {
            Self::Day => books.get::<HourRow>(&key)?.map(|row| row.0),
            Self::Month => books.get::<DayRow>(&key)?.map(|row| row.0),
            Self::Year => books.get::<MonthRow>(&key)?.map(|row| row.0),
        })
    }

    /// Rows from a step on, as long as `take` says so.
    fn rows(
        self,
        books: &Books,
        from: u64,
        mut take: impl FnMut() -> bool,
    ) -> std::result::Result<Vec<Keyed>, BooksError> {
        let from = (from, 0);
        Ok(match self {
            Self::Day => books.scan::<HourRow>(&from, |_, _| take())?.into_iter().map(|(k, r)| (k, r.0)).collect(),
            Self::Month => books.scan::<DayRow>(&from, |_, _| take())?.into_iter().map(|(k, r)| (k, r.0)).collect(),
            Self::Year => books.scan::<MonthRow>(&from, |_, _| take())?.into_iter().map(|(k, r)| (k, r.0)).collect(),
        })
    }

    /// The first step that is known.
    fn first(self, books: &Books) -> std::result::Result<Option<u64>, BooksError> {
        let mut one = true;
        let rows = self.rows(books, 0, || std::mem::take(&mut one))?;
        Ok(rows.first().map(|((step, _), _)| *step))
    }

    fn gathered(self, sums: &Sums) -> &Table {
        match self {
            Self::Day => &sums.hours,
            Self::Month => &sums.days,
            Self::Year => &sums.months,
        }
    }
}

impl TopBy {
    fn of(self, top: &Top) -> u64 {
        match self {
            Self::Bytes => top.bytes_in,
            Self::Uploads => top.uploads,
            Self::Refused => top.refused,
        }
    }

    /// The first of them, without those that have none of it.
    fn cut(self, mut all: Vec<Top>) -> Vec<Top> {
        all.retain(|top| self.of(top) > 0);
        all.sort_by_cached_key(|top| (Reverse(self.of(top)), top.who.clone()));
        all.truncate(TOP);
        all
    }
}

impl Engine {
    /// Counters of an account, or of the box where the caller may see all of it and names none. What has gathered and
    /// is not written yet is among them.
    pub async fn statistics(
        &self,
        caller: &Caller,
        account: Option<&AccountName>,
        period: Period,
        by: TopBy,
    ) -> Result<Series> {
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
        blocking(move || {
            let _still = engine.inner.observe.writing.read().unwrap_or_else(PoisonError::into_inner);
            let sums = engine.inner.observe.gathered(&engine);
            engine.series(account, period, by, &sums)
        })
        .await
    }

    fn series(&self, account: Option<AccountId>, period: Period, by: TopBy, sums: &Sums) -> Result<Series> {
        let (zone, books) = (self.config().zone_minutes, &self.inner.books);
        let of = account.map_or(0, AccountId::get);
        let present = period.present(self.now(), zone);
        let first = (present + 1).saturating_sub(period.steps());
        let gathered = period.gathered(sums);
        let counters = |step: u64, of: u64| -> Result<Option<Counters>> {
            let written = period.row(books, (step, of))?;
            Ok(match (written, gathered.get(&(step, of))) {
                (None, more) => more.cloned(),
                (Some(mut sum), more) => {
                    more.into_iter().for_each(|more| sum.add(more));
                    Some(sum)
                }
            })
        };
        let mut points: Vec<Point> = Vec::new();
        for step in first..=present {
            // The row of the whole box is there where it ran.
            let whole = counters(step, 0)?;
            let measured = step == present || whole.is_some();
            let counters = if of == 0 { whole } else { counters(step, of)? }.unwrap_or_default();
            points.push(Point { at_ms: period.begins(step, zone), measured, counters });
        }
        let (mut total, mut over) = (Counters::default(), Counters::default());
        for (at, point) in points.iter().enumerate() {
            total.add(&point.counters);
            if at + 1 < points.len() {
                over.add(&point.counters);
            }
        }
        // As many that are over come before the first one.
        let earlier = first.saturating_sub(present - first)..first;
        let mut before = None;
        if period.first(books)?.is_some_and(|known| known <= earlier.start) {
            let mut sum = Counters::default();
            for step in earlier {
                sum.add(&counters(step, of)?.unwrap_or_default());
            }
            before = Some(sum);
        }
        let top_accounts = if account.is_none() { self.top_accounts(period, first, by, sums)? } else { Vec::new() };
        Ok(Series {
            period,
            account: account.map(|id| self.account_name(id)),
            zone_minutes: zone,
            points,
            total,
            over,
            before,
            by,
            top_accounts,
            top_cameras: self.top_cameras(account, by),
            growth: self.growth(account, sums)?,
        })
    }

    fn top_accounts(&self, period: Period, first: u64, by: TopBy, gathered: &Sums) -> Result<Vec<Top>> {
        let mut sums = BTreeMap::<u64, Counters>::new();
        let written = period.rows(&self.inner.books, first, || true)?;
        for ((_, account), counters) in written.iter().filter(|((_, account), _)| *account != 0) {
            sums.entry(*account).or_default().add(counters);
        }
        for ((_, account), counters) in period.gathered(gathered).range((first, 0)..) {
            if *account != 0 {
                sums.entry(*account).or_default().add(counters);
            }
        }
        let all = sums.into_iter().map(|(account, sum)| Top {
            who: account.to_string(),
            name: String::new(),
            account: String::new(),
            closed: false,
            bytes_in: sum.bytes_in,
            uploads: sum.uploads(),
            refused: sum.refused(),
        });
        let mut top = by.cut(all.collect());
        for line in &mut top {
            let id = AccountId::new(line.who.parse().unwrap_or(0));
            line.closed = !self.inner.store.catalog.read().accounts.contains_key(&id);
            line.who = self.name_of_account(id)?;
        }
        Ok(top)
    }

    fn top_cameras(&self, account: Option<AccountId>, by: TopBy) -> Vec<Top> {
        let today = day_of(self.now(), 0);
        let mine = |row: &CameraRow| !row.ak.is_empty() && account.is_none_or(|id| id.get() == row.account);
        let week = |row: &CameraRow| {
            let mut top = Top {
                who: row.ak.clone(),
                name: String::new(),
                account: String::new(),
                closed: false,
                bytes_in: 0,
                uploads: 0,
                refused: 0,
            };
            for day in row.days.iter().filter(|day| day.day + 7 > today) {
                top.bytes_in += day.bytes;
                top.uploads += day.recordings + day.pictures;
                top.refused += day.refused;
            }
            (top, row.account)
        };
        let found = self.inner.observe.each(mine, week);
        let owners: BTreeMap<String, (crate::domain::SubAccountId, u64)> =
            found.iter().map(|(id, (top, account))| (top.who.clone(), (*id, *account))).collect();
        let mut top = by.cut(found.into_iter().map(|(_, (top, _))| top).collect());
        for line in &mut top {
            if let Some((id, account)) = owners.get(&line.who) {
                line.name = self.inner.observe.name(*id).name;
                line.closed = !self.inner.store.catalog.read().sub_accounts.contains_key(id);
                line.account = self.account_name(AccountId::new(*account));
            }
        }
        top
    }
}

impl Series {
    /// S3's codes of what was refused.
    pub fn codes(&self) -> BTreeSet<&str> {
        self.points.iter().flat_map(|point| point.counters.refusals.keys()).map(String::as_str).collect()
    }

    /// UTF-8 with BOM, a line a step; times in the configured zone. Steps in which the box did not run are empty.
    pub fn to_csv(&self) -> Vec<u8> {
        let codes = self.codes();
        let mut heads: Vec<Cell> = vec![format!("时间 Time (UTC{})", zone_text(self.zone_minutes)).into()];
        heads.extend(COLUMNS.iter().map(|(head, _)| Cell::from(*head)));
        heads.extend(codes.iter().map(|code| Cell::from(format!("拒绝 Refused {code}（次 requests）"))));
        let mut rows = vec![heads];
        for Point { at_ms, measured, counters } in &self.points {
            let mut row: Vec<Cell> = vec![china_time::format(at_ms.div_euclid(1000), self.zone_minutes).into()];
            let numbers = COLUMNS.iter().map(|(_, number)| number(counters));
            let refused = codes.iter().map(|code| counters.refusals.get(*code).copied().unwrap_or(0));
            row.extend(numbers.chain(refused).map(|number| match measured {
                true => Cell::Count(i64::try_from(number).unwrap_or(i64::MAX)),
                false => Cell::from(""),
            }));
            rows.push(row);
        }
        csv(&Sheet { name: self.period.word().to_owned(), rows, head: 0 })
    }
}

type Column = (&'static str, fn(&Counters) -> u64);

const COLUMNS: [Column; 14] = [
    ("录像 Recordings（个 files）", |c| c.recordings),
    ("图片 Pictures（个 files）", |c| c.pictures),
    ("其他 Other（个 files）", |c| c.others),
    ("上传 Ingest（字节 bytes）", |c| c.bytes_in),
    ("读取 Downloads（次 requests）", |c| c.downloads),
    ("读取 Downloaded（字节 bytes）", |c| c.bytes_out),
    ("覆盖 Overwritten（个 files）", |c| c.overwritten),
    ("覆盖 Overwritten（字节 bytes）", |c| c.overwritten_bytes),
    ("删除 Deleted（个 files）", |c| c.deleted),
    ("删除 Deleted（字节 bytes）", |c| c.deleted_bytes),
    ("拒绝 Refused（次 requests）", Counters::refused),
    ("告警产生 Alerts raised（条）", |c| c.alerts_raised),
    ("告警送达 Alerts delivered（条）", |c| c.alerts_delivered),
    ("告警放弃 Alerts given up（条）", |c| c.alerts_given_up),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_begin_where_the_zone_says() {
        // 2026-11-30 16:00 UTC is the first of December at +08:00.
        let now = Timestamp::from_seconds(1_796_054_400);
        for period in [Period::Month, Period::Year] {
            assert_eq!(period.begins(period.present(now, 480), 480), now.millis(), "{period:?}");
            let a_second_before = Timestamp::from_millis(now.millis() - 1000);
            assert_eq!(period.present(a_second_before, 480) + 1, period.present(now, 480), "{period:?}");
        }
        assert_eq!(Period::Year.begins(Period::Year.present(now, 0), 0), 1_793_491_200_000, "the first of November");
        assert_eq!(Period::Day.begins(Period::Day.present(now, 480), 480), now.millis());
        assert_eq!(
            [Period::Day, Period::Month, Period::Year].map(|p| p.word().parse()),
            [Ok(Period::Day), Ok(Period::Month), Ok(Period::Year)]
        );
        assert!("7d".parse::<Period>().is_err() && "names".parse::<TopBy>().is_err());
    }

    #[test]
    fn a_series_is_a_table_with_units_and_a_gap_is_empty() {
        let mut counters = Counters { recordings: 7, ..Counters::default() };
        counters.refusals.insert("NoSuchKey".to_owned(), 3);
        let points = vec![
            Point { at_ms: -3_600_000, measured: false, counters: Counters::default() },
            Point { at_ms: 0, measured: true, counters: counters.clone() },
        ];
        let series = Series {
            period: Period::Day,
            account: None,
            zone_minutes: 480,
            points,
            total: counters,
            over: Counters::default(),
            before: None,
            by: TopBy::Bytes,
            top_accounts: Vec::new(),
            top_cameras: Vec::new(),
            growth: Growth::default(),
        };
        let csv = String::from_utf8(series.to_csv()).unwrap();
        assert!(csv.starts_with("\u{feff}时间 Time (UTC+08:00),录像 Recordings"), "{csv}");
        let lines: Vec<_> = csv.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1], format!("1970-01-01 07:00:00{}", ",".repeat(15)));
        assert_eq!(lines[2], "1970-01-01 08:00:00,7,0,0,0,0,0,0,0,0,0,3,0,0,0,3");
        assert!(lines[0].ends_with("拒绝 Refused NoSuchKey（次 requests）"), "{}", lines[0]);
    }

    #[test]
    fn a_top_list_has_who_did_something_the_most_first() {
        let top = |who: &str, bytes_in, refused| Top {
            who: who.to_owned(),
            name: String::new(),
            account: String::new(),
            closed: false,
            bytes_in,
            uploads: 0,
            refused,
        };
        let all = || vec![top("a", 1, 0), top("b", 9, 1), top("c", 9, 5), top("d", 0, 2)];
        let names = |by: TopBy| by.cut(all()).into_iter().map(|top| top.who).collect::<String>();
        assert_eq!([TopBy::Bytes, TopBy::Refused, TopBy::Uploads].map(names), ["bca", "cdb", ""]);
    }
}
