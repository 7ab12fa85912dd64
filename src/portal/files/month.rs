//! The days of a month with how many files each has: where to look next.

use super::sought::{DAY, Sought, start_of};
use crate::engine::{Caller, Engine, Result};

/// A day of a month.
pub(super) struct Day {
    /// Of the month, from 1.
    pub(super) number: u32,
    /// Files whose FileDate is in it.
    pub(super) files: u64,
    pub(super) href: String,
    /// Whether it is the day that is shown.
    pub(super) here: bool,
    /// How much there is, beside the month's fullest day: 0 to 4.
    pub(super) shade: u64,
}

/// The month of the day that is shown.
pub(super) struct Month {
    /// `YYYY-MM`.
    pub(super) name: String,
    pub(super) days: Vec<Day>,
    /// The last day of the month before, and the first of the one behind.
    pub(super) before: String,
    pub(super) after: String,
}

/// Year and month of `YYYY-MM-DD`.
fn parts(day: &str) -> Option<(i32, u32)> {
    Some((day.get(0..4)?.parse().ok()?, day.get(5..7)?.parse().ok()?))
}

impl Month {
    /// The month in which `sought` looks; `None` where it looks at the whole time.
    pub(super) async fn of(
        engine: &Engine,
        caller: &Caller,
        sought: &Sought,
        zone_minutes: i32,
    ) -> Result<Option<Self>> {
        let Some((year, month)) = sought.day.as_deref().and_then(parts) else { return Ok(None) };
        let (after_year, after_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        let first_of = |year: i32, month: u32| start_of(&format!("{year:04}-{month:02}-01"), zone_minutes);
        let (Some(first), Some(end)) = (first_of(year, month), first_of(after_year, after_month)) else {
            return Ok(None);
        };
        let count = (end - first) / DAY;
        let edges: Vec<i64> = (0..=count).map(|n| first + n * DAY).collect();
        let files = engine.files_by_day(caller, &sought.ak, sought.media, edges).await?;
        let most = files.iter().copied().max().unwrap_or(0).max(1);
        let days = (1_u32..)
            .zip(&files)
            .map(|(number, &files)| {
                let day = format!("{year:04}-{month:02}-{number:02}");
                let here = sought.day.as_deref() == Some(day.as_str());
                let shade = if files == 0 { 0 } else { 1 + files.saturating_mul(3) / most };
                Day { number, files, href: sought.on(day).href(), here, shade }
            })
            .collect();
        let on = |second: i64| sought.on(super::sought::day_of(second, zone_minutes)).href();
        Ok(Some(Self { name: format!("{year:04}-{month:02}"), days, before: on(first - DAY), after: on(end) }))
    }
}
