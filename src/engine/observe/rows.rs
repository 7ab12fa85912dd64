//! What the books keep of the box's past. Every row is JSON and only ever gets more fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::books::Row;
use crate::domain::Timestamp;
use crate::domain::billing::Day;

/// Days of a camera that are kept in its row: what a forecast looks at, and today.
const DAYS_IN_ROW: usize = 8;

/// Whole hours since 1970.
pub fn hour_of(at: Timestamp) -> u64 {
    u64::try_from(at.seconds().div_euclid(3600)).unwrap_or(0)
}

/// Whole days since 1970 in a zone so many minutes east of UTC.
pub fn day_of(at: Timestamp, zone_minutes: i32) -> u64 {
    u64::try_from((at.seconds() + i64::from(zone_minutes) * 60).div_euclid(86_400)).unwrap_or(0)
}

/// Whole months since 1970 that a day lies in.
pub fn month_of(day: u64) -> u64 {
    u64::try_from(Day::new(i64::try_from(day).unwrap_or(0)).month().get()).unwrap_or(0)
}

/// What happened within an hour, a day or a month.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Recordings uploaded.
    pub recordings: u64,
    /// Pictures uploaded.
    pub pictures: u64,
    /// Files uploaded to own buckets.
    pub others: u64,
    /// Bytes uploaded, parts of multipart uploads too.
    pub bytes_in: u64,
    /// Reads of files or of ranges.
    pub downloads: u64,
    /// Bytes read.
    pub bytes_out: u64,
    /// Files that overwrites took.
    pub overwritten: u64,
    /// Their bytes.
    pub overwritten_bytes: u64,
    /// Files deleted otherwise.
    pub deleted: u64,
    /// Their bytes.
    pub deleted_bytes: u64,
    /// Refused requests of the S3 plane, by S3's code.
    pub refusals: BTreeMap<String, u64>,
    /// Alerts raised.
    pub alerts_raised: u64,
    /// Alerts delivered.
    pub alerts_delivered: u64,
    /// Alerts given up.
    pub alerts_given_up: u64,
}

impl Counters {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        let Self {
            recordings,
            pictures,
            others,
            bytes_in,
            downloads,
            bytes_out,
            overwritten,
            overwritten_bytes,
            deleted,
            deleted_bytes,
            refusals,
            alerts_raised,
            alerts_delivered,
            alerts_given_up,
        } = other;
        for (mine, more) in [
            (&mut self.recordings, recordings),
            (&mut self.pictures, pictures),
            (&mut self.others, others),
            (&mut self.bytes_in, bytes_in),
            (&mut self.downloads, downloads),
            (&mut self.bytes_out, bytes_out),
            (&mut self.overwritten, overwritten),
            (&mut self.overwritten_bytes, overwritten_bytes),
            (&mut self.deleted, deleted),
            (&mut self.deleted_bytes, deleted_bytes),
            (&mut self.alerts_raised, alerts_raised),
            (&mut self.alerts_delivered, alerts_delivered),
            (&mut self.alerts_given_up, alerts_given_up),
        ] {
            *mine = mine.saturating_add(*more);
        }
        for (cause, more) in refusals {
            *self.refusals.entry(cause.clone()).or_default() += more;
        }
    }

    /// Files uploaded, of every kind.
    pub fn uploads(&self) -> u64 {
        self.recordings + self.pictures + self.others
    }

    /// Refused requests, whatever the cause.
    pub fn refused(&self) -> u64 {
        self.refusals.values().sum()
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident $table:literal,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Counters);

        impl Row for $name {
            const TABLE: &'static str = $table;
            type Key = (u64, u64);
        }
    )*};
}

counters! {
    /// By hour since 1970, then by account; account 0 is the whole box.
    HourRow "stat_hours",
    /// By day since 1970 in the configured zone, then by account; account 0 is the whole box.
    DayRow "stat_days",
    /// By month since 1970-01 in the configured zone, then by account; account 0 is the whole box.
    MonthRow "stat_months",
    /// By day, then by sub-account (or own bucket).
    CameraDayRow "camera_days",
}

/// What was used at the end of a day, by day and account; account 0 is the whole box.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UsedRow {
    /// Bytes.
    pub used: u64,
}

impl Row for UsedRow {
    const TABLE: &'static str = "stat_used";
    type Key = (u64, u64);
}

/// The last refused request of a camera.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalRow {
    pub at_ms: i64,
    /// S3's code.
    pub cause: String,
}

/// A camera's uploads of one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCount {
    /// Days since 1970, of UTC.
    pub day: u64,
    pub recordings: u64,
    pub pictures: u64,
    pub bytes: u64,
    /// Requests refused.
    #[serde(default)]
    pub refused: u64,
}

/// What a camera does, under its number. It stays when the camera is closed: files that are gone are told by it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CameraRow {
    pub account: u64,
    pub ak: String,
    pub record_bucket: String,
    pub picture_bucket: String,
    pub last_upload_ms: Option<i64>,
    pub last_refusal: Option<RefusalRow>,
    /// `v2`, `v4`, or either with `-presigned`; empty while nothing came.
    pub signature: String,
    pub agent: String,
    /// The request's date less ours, ms.
    pub skew_ms: Option<i64>,
    pub by_host: bool,
    /// Seconds between the last uploads, oldest first.
    pub gaps: Vec<u32>,
    /// What the next gap is counted from.
    pub anchor_ms: Option<i64>,
    /// The last days with uploads, oldest first.
    pub days: Vec<DayCount>,
}

impl CameraRow {
    /// A file arrived: 0 a recording, 1 a picture.
    pub fn arrived(&mut self, now: Timestamp, kind: usize, bytes: u64) {
        if let Some(today) = self.today(now) {
            match kind {
                0 => today.recordings += 1,
                1 => today.pictures += 1,
                _ => {}
            }
            today.bytes += bytes;
        }
    }

    /// A request was refused.
    pub fn refused(&mut self, now: Timestamp) {
        if let Some(today) = self.today(now) {
            today.refused += 1;
        }
    }

    fn today(&mut self, now: Timestamp) -> Option<&mut DayCount> {
        let day = day_of(now, 0);
        if self.days.last().is_none_or(|last| last.day != day) {
            if self.days.len() >= DAYS_IN_ROW {
                self.days.remove(0);
            }
            self.days.push(DayCount { day, ..DayCount::default() });
        }
        self.days.last_mut()
    }

    /// Bytes of the last seven days, and how long a time they came in, ms.
    pub fn last_week(&self, now: Timestamp, since: Timestamp) -> (u64, i64) {
        let today = day_of(now, 0);
        let from = today.saturating_sub(6);
        let bytes = self.days.iter().filter(|day| day.day >= from).map(|day| day.bytes).sum();
        let begun = i64::try_from(from).unwrap_or(0).saturating_mul(86_400_000).max(since.millis());
        (bytes, now.millis().saturating_sub(begun))
    }
}

impl Row for CameraRow {
    const TABLE: &'static str = "cameras";
    type Key = u64;
}

/// What people call a camera.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NameRow {
    pub name: String,
    pub place: String,
}

impl Row for NameRow {
    const TABLE: &'static str = "camera_names";
    type Key = u64;
}

/// Files that went together, by owner, then by when the last of them went (ms), then by a number.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GoneRow {
    pub bucket: String,
    /// `overwrite`, `clear`, `asked`, `closed`, `replaced`.
    pub why: String,
    pub by: Option<String>,
    /// When the first of them went.
    pub from_ms: i64,
    pub files: u64,
    pub bytes: u64,
    /// The smallest and the largest key.
    pub first: String,
    pub last: String,
    /// When the oldest and the newest of them were made.
    pub oldest_ms: i64,
    pub newest_ms: i64,
    /// Bytes of the row in `gone_files`.
    pub packed: u64,
}

impl Row for GoneRow {
    const TABLE: &'static str = "gone";
    type Key = (u64, (u64, u64));
}

/// The files of a [`GoneRow`], under the same key: packed as `gone.rs` says, in base64.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GoneFilesRow {
    pub packed: String,
}

impl Row for GoneFilesRow {
    const TABLE: &'static str = "gone_files";
    type Key = (u64, (u64, u64));
}

/// One attempt to deliver an alert, by alert, then by number.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AttemptRow {
    pub at_ms: i64,
    pub request: String,
    pub status: Option<u16>,
    pub answer: String,
    /// What it came to, in words.
    pub outcome: String,
    pub delivered: bool,
}

impl Row for AttemptRow {
    const TABLE: &'static str = "alert_attempts";
    type Key = (u64, u64);
}

/// Something that somebody said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Said {
    pub by: String,
    pub at_ms: i64,
    #[serde(default)]
    pub text: String,
}

/// What people did about an alert.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertNoteRow {
    pub acknowledged: Option<Said>,
    pub comments: Vec<Said>,
}

impl Row for AlertNoteRow {
    const TABLE: &'static str = "alert_notes";
    type Key = u64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_of_the_zone() {
        let midnight = Timestamp::from_seconds(20 * 86_400 - 8 * 3600);
        assert_eq!(day_of(midnight, 480), 20);
        assert_eq!(day_of(Timestamp::from_millis(midnight.millis() - 1), 480), 19);
        assert_eq!(day_of(midnight, 0), 19);
    }

    #[test]
    fn a_camera_knows_its_last_week_and_no_more() {
        let mut row = CameraRow::default();
        for day in 0..20 {
            row.arrived(Timestamp::from_seconds(day * 86_400 + 100), 0, 10);
        }
        assert_eq!(row.days.len(), 8);
        let now = Timestamp::from_seconds(19 * 86_400 + 43_200);
        assert_eq!(row.last_week(now, Timestamp::from_millis(0)), (70, 13 * 43_200_000));
        let young = Timestamp::from_seconds(19 * 86_400);
        assert_eq!(row.last_week(now, young).1, 43_200_000, "it cannot have sent before it was opened");
    }

    #[test]
    fn counters_add_up() {
        let mut one = Counters { recordings: 1, ..Counters::default() };
        one.refusals.insert("QuotaExceeded".to_owned(), 2);
        let mut sum = one.clone();
        sum.add(&one);
        assert_eq!((sum.uploads(), sum.refused()), (2, 4));
    }
}
