//! What is to be expected: when a space is full, what an overwrite will take next, which camera has gone silent. All of
//! it from a few numbers, in whole bytes and milliseconds.

use std::time::Duration;

use super::{AtTheEnd, Bytes, Percent, Rules, Space, Timestamp};

/// A day, ms.
pub const DAY_MS: i64 = 86_400_000;
/// Uploads closer than this belong together (a recording and its picture): no gap is learned from them.
pub const BURST: Duration = Duration::from_secs(10);
/// Gaps that a cadence is learned from at least.
const GAPS_MIN: usize = 4;
/// Nobody is called silent before this.
const SILENT_MIN: Duration = Duration::from_secs(1800);

/// The usual gap between uploads, seconds: the median of the last gaps. `None` while there are too few.
pub fn cadence(gaps: &[u32]) -> Option<u32> {
    if gaps.len() < GAPS_MIN {
        return None;
    }
    let mut sorted = gaps.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

/// For how long a camera of this cadence (seconds) may be without an upload before it is called silent.
pub fn patience(cadence: u32, factor: u32) -> Duration {
    Duration::from_secs(u64::from(cadence).saturating_mul(u64::from(factor))).max(SILENT_MIN)
}

/// Bytes a day, of so many bytes within so long; over less than an hour nothing is said.
pub fn per_day(bytes: u64, within: Duration) -> Option<u64> {
    let ms = within.as_millis();
    if ms < 3_600_000 {
        return None;
    }
    u64::try_from(u128::from(bytes) * u128::from(DAY_MS.unsigned_abs()) / ms).ok()
}

/// How long `bytes` last at so many a day, ms; `None` where nothing comes.
pub fn lasts(bytes: u64, per_day: u64) -> Option<i64> {
    let ms = u128::from(bytes) * u128::from(DAY_MS.unsigned_abs());
    ms.checked_div(u128::from(per_day)).and_then(|ms| i64::try_from(ms).ok())
}

/// The next overwrite of a sub-account in loop mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextOverwrite {
    /// When it is expected; `None` where nothing comes.
    pub at: Option<Timestamp>,
    /// Bytes that it will free, at least: oldest unlocked files go until so many are free.
    pub frees: Bytes,
}

/// The next overwrite, where there will be one: loop mode, and something granted.
pub fn next_overwrite(rules: &Rules, space: &Space, per_day: Option<u64>, now: Timestamp) -> Option<NextOverwrite> {
    if space.at_the_end == AtTheEnd::Stop || space.granted == Bytes::ZERO {
        return None;
    }
    let left = line(space.granted, rules.overwrite).saturating_sub(space.used).get();
    let at = match left {
        0 => Some(now),
        _ => per_day.and_then(|per_day| lasts(left, per_day)).map(|ms| later(now, ms)),
    };
    Some(NextOverwrite { at, frees: rules.sweep_size(space, Bytes::ZERO) })
}

/// When a space is full, or its overwrite begins; `None` where nothing comes.
pub fn full_at(rules: &Rules, space: &Space, per_day: Option<u64>, now: Timestamp) -> Option<Timestamp> {
    let whole = match space.at_the_end {
        AtTheEnd::Stop => space.granted,
        AtTheEnd::Overwrite => line(space.granted, rules.overwrite),
    };
    let left = whole.saturating_sub(space.used).get();
    if left == 0 {
        return Some(now);
    }
    lasts(left, per_day?).map(|ms| later(now, ms))
}

/// How far back a full space reaches, ms: what is granted and not locked, at so many bytes a day.
pub fn window(rules: &Rules, space: &Space, locked: u64, per_day: Option<u64>) -> Option<i64> {
    let whole = line(space.granted, rules.overwrite).saturating_sub(Bytes::new(locked)).get();
    per_day.and_then(|per_day| lasts(whole, per_day))
}

fn line(granted: Bytes, percent: Percent) -> Bytes {
    granted.percent_ceil(percent)
}

fn later(now: Timestamp, ms: i64) -> Timestamp {
    Timestamp::from_millis(now.millis().saturating_add(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(granted: u64, used: u64, at_the_end: AtTheEnd) -> Space {
        Space {
            granted: Bytes::new(granted),
            used: Bytes::new(used),
            held: Bytes::new(used),
            reserved: Bytes::ZERO,
            at_the_end,
        }
    }

    #[test]
    fn a_cadence_is_the_median_and_takes_a_few_gaps_to_learn() {
        assert_eq!(cadence(&[600, 600, 600]), None);
        assert_eq!(cadence(&[600, 90_000, 600, 590]), Some(600));
        assert_eq!(patience(600, 3), SILENT_MIN, "half an hour at least");
        assert_eq!(patience(3600, 3), Duration::from_secs(10_800));
        assert_eq!(patience(u32::MAX, u32::MAX).as_secs(), u64::from(u32::MAX) * u64::from(u32::MAX));
    }

    #[test]
    fn ingest_is_told_a_day_and_never_of_less_than_an_hour() {
        assert_eq!(per_day(700, Duration::from_secs(7 * 86_400)), Some(100));
        assert_eq!(per_day(10, Duration::from_secs(43_200)), Some(20));
        assert_eq!(per_day(10, Duration::from_secs(3599)), None);
        assert_eq!(lasts(50, 100), Some(DAY_MS / 2));
        assert_eq!(lasts(50, 0), None);
    }

    #[test]
    fn an_overwrite_is_expected_when_its_line_is_reached() {
        let (rules, now) = (Rules::default(), Timestamp::from_millis(1000));
        let at = |used, per_day| next_overwrite(&rules, &space(1000, used, AtTheEnd::Overwrite), per_day, now);
        // 90 percent is the line.
        assert_eq!(at(800, Some(100)).unwrap().at, Some(Timestamp::from_millis(1000 + DAY_MS)));
        assert_eq!(at(950, Some(100)).unwrap().at, Some(now));
        assert_eq!(at(800, None).unwrap().at, None);
        assert_eq!(at(800, Some(0)).unwrap().at, None);
        assert_eq!(at(800, None).unwrap().frees, rules.sweep_size(&space(1000, 0, AtTheEnd::Stop), Bytes::ZERO));
        assert_eq!(next_overwrite(&rules, &space(1000, 950, AtTheEnd::Stop), Some(1), now), None);
    }

    #[test]
    fn a_space_that_stops_is_full_at_its_end_and_one_that_loops_at_its_line() {
        let (rules, now) = (Rules::default(), Timestamp::from_millis(0));
        let at = |end| full_at(&rules, &space(1000, 800, end), Some(100), now).map(Timestamp::millis);
        assert_eq!(at(AtTheEnd::Stop), Some(2 * DAY_MS));
        assert_eq!(at(AtTheEnd::Overwrite), Some(DAY_MS));
        assert_eq!(window(&rules, &space(1000, 0, AtTheEnd::Overwrite), 100, Some(100)), Some(8 * DAY_MS));
        assert_eq!(window(&rules, &space(1000, 0, AtTheEnd::Overwrite), 2000, Some(100)), Some(0));
    }
}
