//! The charts of the page.

use std::collections::BTreeMap;

use super::words;
use crate::engine::observe::{Counters, Growth, Period, Point, Series as Counted};
use crate::portal::chart::{Chart, Kind, Series, Unit};
use crate::portal::show::{self, Html};
use crate::portal::text::Lang;

/// Causes of refusals that have a row of their own; the rest is one.
const CAUSES: usize = 5;
/// Places of the chart of growth.
const PLACES: i64 = 60;
const DAY_MS: i64 = 86_400_000;
/// A forecast is not drawn further than this, days.
const AHEAD_MOST: i64 = 365;

/// All of them.
pub(super) struct Pictures {
    pub(super) ingest: Html,
    pub(super) files: Html,
    pub(super) gone: Html,
    pub(super) refused: Html,
    pub(super) alerts: Html,
    pub(super) growth: Html,
}

impl Pictures {
    pub(super) fn of(lang: Lang, counted: &Counted, now: i64) -> Self {
        let labels: Vec<String> = counted.points.iter().map(|point| label(counted, point)).collect();
        let drawn = |kind, unit, title, series: Vec<Series<'_>>| {
            Chart { kind, title, unit, labels: labels.clone(), series }.half(lang)
        };
        let row = |name, number: fn(&Counters) -> u64| Series { name, values: values(counted, number) };
        let mut files = vec![
            row(lang.say("录像", "Recordings"), |c| c.recordings),
            row(lang.say("图片", "Pictures"), |c| c.pictures),
        ];
        if counted.total.others > 0 {
            files.push(row(lang.say("其他文件", "Other files"), |c| c.others));
        }
        let causes = causes(lang, counted);
        let refused = causes.iter().map(|(name, values)| Series { name, values: values.clone() }).collect();
        Self {
            ingest: drawn(
                Kind::Columns,
                Unit::Bytes,
                lang.say("上传量", "Ingest"),
                vec![row(lang.say("上传量", "Ingest"), |c| c.bytes_in)],
            ),
            files: drawn(Kind::StackedColumns, Unit::Count, lang.say("上传文件（个）", "Files uploaded"), files),
            gone: drawn(
                Kind::StackedColumns,
                Unit::Bytes,
                lang.say("覆盖与删除", "Overwritten and deleted"),
                vec![
                    row(lang.say("循环覆盖", "Overwritten"), |c| c.overwritten_bytes),
                    row(lang.say("删除", "Deleted"), |c| c.deleted_bytes),
                ],
            ),
            refused: drawn(
                Kind::StackedColumns,
                Unit::Count,
                lang.say("拒绝的请求（次）", "Requests refused"),
                refused,
            ),
            alerts: drawn(
                Kind::Columns,
                Unit::Count,
                lang.say("告警（条）", "Alerts"),
                vec![
                    row(lang.say("产生", "Raised"), |c| c.alerts_raised),
                    row(lang.say("送达", "Delivered"), |c| c.alerts_delivered),
                    row(lang.say("放弃", "Given up"), |c| c.alerts_given_up),
                ],
            ),
            growth: growth(lang, &counted.growth, counted.zone_minutes, now),
        }
    }
}

/// Numbers of the steps; where the box did not run there is none.
fn values(counted: &Counted, number: impl Fn(&Counters) -> u64) -> Vec<Option<u64>> {
    counted.points.iter().map(|point| point.measured.then(|| number(&point.counters))).collect()
}

/// A step's name: `14:00`, `11-25`, `2026-11`.
fn label(counted: &Counted, point: &Point) -> String {
    let text = show::moment(point.at_ms, counted.zone_minutes);
    let part = match counted.period {
        Period::Day => text.get(11..16),
        Period::Month => text.get(5..10),
        Period::Year => text.get(..7),
    };
    part.unwrap_or_default().to_owned()
}

/// Causes of refusals by how often they came, those that come seldom as one. Codes of one word are one.
fn causes(lang: Lang, counted: &Counted) -> Vec<(String, Vec<Option<u64>>)> {
    let mut all: BTreeMap<String, (u64, Vec<Option<u64>>)> = BTreeMap::new();
    for code in counted.codes() {
        let these = values(counted, |c| c.refusals.get(code).copied().unwrap_or(0));
        let (sum, sums) = all.entry(words::refusal(lang, code)).or_default();
        *sum += these.iter().flatten().sum::<u64>();
        add(sums, &these);
    }
    let mut rows: Vec<_> = all.into_iter().map(|(name, (sum, values))| (sum, name, values)).collect();
    rows.sort_by_key(|(sum, ..)| std::cmp::Reverse(*sum));
    let rest = rows.split_off(rows.len().min(if rows.len() > CAUSES + 1 { CAUSES } else { rows.len() }));
    let mut out: Vec<_> = rows.into_iter().map(|(_, name, values)| (name, values)).collect();
    if !rest.is_empty() {
        let mut sums = Vec::new();
        rest.iter().for_each(|(_, _, values)| add(&mut sums, values));
        out.push((lang.say("其他原因", "Other causes").to_owned(), sums));
    }
    if out.is_empty() {
        out.push((lang.say("拒绝", "Refused").to_owned(), values(counted, Counters::refused)));
    }
    out
}

fn add(sums: &mut Vec<Option<u64>>, more: &[Option<u64>]) {
    sums.resize(more.len(), None);
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum = match (*sum, *more) {
            (Some(sum), Some(more)) => Some(sum.saturating_add(more)),
            (sum, more) => sum.or(more),
        };
    }
}

/// What was used by the day, and what is expected until it is full.
fn growth(lang: Lang, growth: &Growth, zone: i32, now: i64) -> Html {
    let whole = growth.used_bytes.saturating_add(growth.left_bytes);
    let past = i64::try_from(growth.days.len()).unwrap_or(0).max(1);
    // As far ahead as it is known backwards, a month at least; to where it is full if that is not out of sight.
    let until_full = growth.full_ms.map(|at| (at.saturating_sub(now) / DAY_MS).saturating_add(1));
    let ahead = match until_full {
        Some(days) if days <= AHEAD_MOST => days.saturating_add(days / 10 + 1),
        _ => past.max(30),
    };
    let step = ((past + ahead) / PLACES).max(1);
    let (mut labels, mut used, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    let today = growth.days.last().map_or(now, |day| day.at_ms);
    // Whole steps back from today, so that today is a place.
    let first = -((past - 1) / step);
    for place in first..=(ahead / step) {
        let day = place * step;
        labels.push(day_label(today.saturating_add(day.saturating_mul(DAY_MS)), zone, past + ahead > 300));
        let known = usize::try_from(past - 1 + day).ok().and_then(|at| growth.days.get(at));
        used.push(known.and_then(|day| day.used_bytes));
        expected.push((day >= 0).then(|| {
            let more = i128::from(growth.growth_per_day) * i128::from(day);
            let at = i128::from(growth.used_bytes) + more;
            u64::try_from(at.clamp(0, i128::from(whole))).unwrap_or(whole)
        }));
    }
    let limit = vec![Some(whole); labels.len()];
    let series = vec![
        Series { name: lang.say("已用", "Used"), values: used },
        Series { name: lang.say("预计", "Expected"), values: expected },
        Series { name: lang.say("容量", "Capacity"), values: limit },
    ];
    let title = lang.say("已用空间与预测", "Space used and expected");
    Chart { kind: Kind::Forecast, title, unit: Unit::Bytes, labels, series }.half(lang)
}

/// `11-25`, or with its year where it could be another's.
fn day_label(at_ms: i64, zone: i32, with_year: bool) -> String {
    show::moment(at_ms, zone).get(if with_year { 2..10 } else { 5..10 }).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::billing::Month;
    use crate::engine::observe::{TopBy, UsedPoint};

    fn counted(refusals: &[&[(&str, u64)]]) -> Counted {
        let point = |(hour, codes): (usize, &&[(&str, u64)])| {
            let refusals = codes.iter().map(|(code, times)| ((*code).to_owned(), *times)).collect();
            let at_ms = i64::try_from(hour).unwrap() * 3_600_000;
            Point { at_ms, measured: !codes.is_empty(), counters: Counters { refusals, ..Counters::default() } }
        };
        Counted {
            period: Period::Day,
            account: None,
            zone_minutes: 480,
            points: refusals.iter().enumerate().map(point).collect(),
            total: Counters::default(),
            over: Counters::default(),
            before: None,
            by: TopBy::Bytes,
            top_accounts: Vec::new(),
            top_cameras: Vec::new(),
            growth: Growth::default(),
        }
    }

    #[test]
    fn causes_that_come_often_have_a_row_and_the_rest_is_one() {
        let few = counted(&[&[("NoSuchKey", 1), ("BadDigest", 5)], &[], &[("InvalidDigest", 2)]]);
        let rows = causes(Lang::En, &few);
        assert_eq!(rows[0], ("Checksum differs".to_owned(), vec![Some(5), None, Some(2)]), "two codes, one word");
        assert_eq!(rows[1].1, [Some(1), None, Some(0)]);
        let many = counted(&[&[("A", 9), ("B", 8), ("C", 7), ("D", 6), ("E", 5), ("F", 2), ("G", 1)]]);
        let rows = causes(Lang::En, &many);
        assert_eq!(rows.iter().map(|(name, _)| name.as_str()).collect::<String>(), "ABCDEOther causes");
        assert_eq!(rows[5].1, [Some(3)]);
    }

    #[test]
    fn a_forecast_goes_on_from_today_to_the_day_it_is_full() {
        let now = 1_796_054_400_000;
        let day = |n: i64| UsedPoint { at_ms: now + n * DAY_MS, used_bytes: (n != -1).then_some(100) };
        let told = Growth {
            used_bytes: 100,
            left_bytes: 50,
            growth_per_day: 10,
            full_ms: Some(now + 5 * DAY_MS),
            days: (-3..=0).map(day).collect(),
            ..Growth::default()
        };
        let html = growth(Lang::En, &told, 480, now).0;
        assert!(html.contains("<td class=\"n\">150 B</td>") && html.contains(">12-01<"), "{html}");
        assert_eq!(html.matches("class=\"line c1 dashed\"").count(), 1);
        let none = growth(Lang::En, &Growth::default(), 480, now).0;
        assert!(none.contains("<svg"), "nothing is known and it is drawn");
        let slow = Growth { growth_per_day: 1, left_bytes: 1 << 40, full_ms: Some(i64::MAX), ..told };
        assert!(growth(Lang::En, &slow, 480, now).0.matches("<tr>").count() < 80);
    }

    #[test]
    fn a_step_is_named_in_the_zone() {
        let mut year = counted(&[&[]]);
        assert_eq!(label(&year, &year.points[0]), "08:00");
        year.period = Period::Year;
        assert_eq!(label(&year, &year.points[0]), Month::new(0).unwrap().to_string());
    }
}
