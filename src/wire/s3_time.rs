//! Times as S3 writes them: RFC 1123 in headers, ISO 8601 with milliseconds in XML, ISO 8601 basic
//! in V4 signatures. All UTC.

use std::time::{Duration, UNIX_EPOCH};

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::domain::Timestamp;

fn civil(at: Timestamp) -> DateTime {
    jiff::Timestamp::from_millisecond(at.millis()).map_or(DateTime::ZERO, |at| TimeZone::UTC.to_datetime(at))
}

/// `20261123T120000Z`.
pub fn basic(at: Timestamp) -> String {
    let t = civil(at);
    let mut out = String::with_capacity(16);
    let fields = [
        (u16::try_from(t.year()).unwrap_or(0), 4),
        (t.month().unsigned_abs().into(), 2),
        (t.day().unsigned_abs().into(), 2),
        (t.hour().unsigned_abs().into(), 2),
        (t.minute().unsigned_abs().into(), 2),
        (t.second().unsigned_abs().into(), 2),
    ];
    for (at, (number, digits)) in fields.into_iter().enumerate() {
        if at == 3 {
            out.push('T');
        }
        push_digits(&mut out, number, digits);
    }
    out.push('Z');
    out
}

/// Writes `number` with so many digits. The formatter would be the dearest part of a list of a thousand times, and
/// of a signature.
fn push_digits(out: &mut String, number: u16, digits: u32) {
    for place in (0..digits).rev() {
        out.push(char::from_digit(u32::from(number) / 10_u32.pow(place) % 10, 10).unwrap_or('0'));
    }
}

/// `2026-11-23T12:00:00.000Z`.
pub fn iso(at: Timestamp) -> String {
    let t = civil(at);
    let mut out = String::with_capacity(24);
    let fields = [
        (u16::try_from(t.year()).unwrap_or(0), 4, '-'),
        (t.month().unsigned_abs().into(), 2, '-'),
        (t.day().unsigned_abs().into(), 2, 'T'),
        (t.hour().unsigned_abs().into(), 2, ':'),
        (t.minute().unsigned_abs().into(), 2, ':'),
        (t.second().unsigned_abs().into(), 2, '.'),
        (t.millisecond().unsigned_abs(), 3, 'Z'),
    ];
    for (number, digits, behind) in fields {
        push_digits(&mut out, number, digits);
        out.push(behind);
    }
    out
}

/// `Mon, 23 Nov 2026 12:00:00 GMT`.
pub fn http_date(at: Timestamp) -> String {
    let seconds = u64::try_from(at.seconds()).unwrap_or(0);
    // httpdate can write years up to 9999; no store lives that long.
    let seconds = seconds.min(253_402_300_799);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Reads `20261123T120000Z`.
pub fn parse_basic(text: &str) -> Option<Timestamp> {
    let b = text.as_bytes();
    if b.len() != 16 || b.get(8) != Some(&b'T') || b.get(15) != Some(&b'Z') {
        return None;
    }
    let n = |range: std::ops::Range<usize>| number(text.get(range)?);
    at(n(0..4)?, n(4..6)?, n(6..8)?, n(9..11)?, n(11..13)?, n(13..15)?)
}

/// Reads what a client may write into `Date`, `x-amz-date`, `If-Modified-Since`: RFC 1123 with GMT
/// or +0000 (and its elder sisters), ISO 8601 basic or extended.
pub fn parse_any(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    parse_basic(text).or_else(|| parse_extended(text)).or_else(|| parse_http(text))
}

/// Reads an HTTP date.
pub fn parse_http(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let body = ["+0000", "-0000", "UTC"].iter().find_map(|zone| text.strip_suffix(zone));
    let read = match body {
        Some(body) => httpdate::parse_http_date(&format!("{} GMT", body.trim_end())),
        None => httpdate::parse_http_date(text),
    };
    match read {
        Ok(at) => {
            let seconds = at.duration_since(UNIX_EPOCH).ok()?.as_secs();
            Some(Timestamp::from_seconds(i64::try_from(seconds).ok()?))
        }
        Err(_) => parse_whatever_weekday(text),
    }
}

/// An RFC 1123 date whose weekday is another's: a clock that knows the date and not the day is
/// told that its time is off, not that it cannot be read.
fn parse_whatever_weekday(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (weekday, rest) = text.split_once(", ")?;
    let rest = ["GMT", "+0000", "-0000", "UTC"].iter().find_map(|zone| rest.strip_suffix(zone))?.trim_end();
    let mut words = rest.split(' ');
    let (day, month, year, clock) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let mut clock = clock.split(':');
    let (hour, minute, second) = (clock.next()?, clock.next()?, clock.next()?);
    if !["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(&weekday)
        || words.next().is_some()
        || clock.next().is_some()
        || year.len() != 4
    {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == month).and_then(|at| i16::try_from(at + 1).ok())?;
    let found = at(number(year)?, month, number(day)?, number(hour)?, number(minute)?, number(second)?)?;
    (found.seconds() >= 0).then_some(found)
}

/// `2026-11-23T12:00:00[.fff]Z`.
fn parse_extended(text: &str) -> Option<Timestamp> {
    let b = text.as_bytes();
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if !text.ends_with('Z') || marks.iter().any(|&(at, mark)| b.get(at) != Some(&mark)) {
        return None;
    }
    let n = |range: std::ops::Range<usize>| number(text.get(range)?);
    let whole = at(n(0..4)?, n(5..7)?, n(8..10)?, n(11..13)?, n(14..16)?, n(17..19)?)?;
    match text.get(19..text.len() - 1)? {
        "" => Some(whole),
        fraction => {
            let digits = fraction.strip_prefix('.')?;
            (!digits.is_empty() && digits.len() <= 9 && digits.bytes().all(|b| b.is_ascii_digit())).then_some(whole)
        }
    }
}

fn number(text: &str) -> Option<i16> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn at(year: i16, month: i16, day: i16, hour: i16, minute: i16, second: i16) -> Option<Timestamp> {
    let small = |n: i16| i8::try_from(n).ok();
    let date = Date::new(year, small(month)?, small(day)?).ok()?;
    let time = jiff::civil::Time::new(small(hour)?, small(minute)?, small(second)?, 0).ok()?;
    let at = TimeZone::UTC.to_timestamp(date.to_datetime(time)).ok()?;
    Some(Timestamp::from_millis(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn a_date_with_another_weekday_is_that_date_and_one_before_1970_is_none() {
        let right = parse_any("Sun, 07 Jul 2030 21:53:04 GMT").unwrap();
        assert_eq!(parse_any("Tue, 07 Jul 2030 21:53:04 GMT"), Some(right));
        assert_eq!(parse_any("Tue, 07 Jul 2030 21:53:04 +0000"), Some(right));
        assert!(parse_any("Tue, 07 Jul 9999 21:53:04 GMT").is_some());
        for bad in [
            "Tue, 07 Jul 1950 21:53:04 GMT",
            "Xxx, 07 Jul 2030 21:53:04 GMT",
            "Tue, 07 Jul 30 21:53:04 GMT",
            "Tue, 32 Jul 2030 21:53:04 GMT",
            "Tue, 07 Jul 2030 21:53:04",
            "Tue, 07 Jul 2030 21:53:04:05 GMT",
        ] {
            assert_eq!(parse_any(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_form_of_one_moment_is_the_same_moment() {
        let moment = Timestamp::from_seconds(1_369_353_600);
        for text in [
            "20130524T000000Z",
            "2013-05-24T00:00:00Z",
            "2013-05-24T00:00:00.000Z",
            "Fri, 24 May 2013 00:00:00 GMT",
            "Fri, 24 May 2013 00:00:00 +0000",
            "Fri, 24 May 2013 00:00:00 -0000",
        ] {
            assert_eq!(parse_any(text), Some(moment), "{text}");
        }
        assert_eq!(basic(moment), "20130524T000000Z");
        assert_eq!(iso(moment), "2013-05-24T00:00:00.000Z");
        assert_eq!(http_date(moment), "Fri, 24 May 2013 00:00:00 GMT");
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in
            ["", "20130524", "20131324T000000Z", "20130524T000000", "Fri, 24 May 2013 00:00:00 +0800", "yesterday"]
        {
            assert_eq!(parse_any(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(seconds in 0i64..253_402_300_000) {
            let at = Timestamp::from_seconds(seconds);
            prop_assert_eq!(parse_any(&basic(at)), Some(at));
            prop_assert_eq!(parse_any(&iso(at)), Some(at));
            prop_assert_eq!(parse_any(&http_date(at)), Some(at));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = parse_any(&text);
        }
    }
}
