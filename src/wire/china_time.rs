//! Dates of section 7.7 as the wire writes them: China Standard Time, by the whole second.
//!
//! Nothing here reads a clock. The zone is a parameter (minutes east of UTC, +480 unless
//! configured) because China Standard Time has no daylight saving, whatever the machine's zone.

use jiff::civil::DateTime;
use jiff::tz::Offset;

/// China Standard Time, minutes east of UTC.
pub const CHINA_STANDARD_TIME: i32 = 480;

/// Which end of a range a date is: what is left out is filled in so that the end is included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// `StartDateTime`: left-out seconds are `:00`, a date alone is 00:00:00.
    Start,
    /// `EndDateTime`: left-out seconds are `:59`, a date alone is 23:59:59.
    End,
}

/// The text is no date, or a day or time that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a date")]
pub struct NotADate;

/// Unix seconds of a date as platforms write it. Serves 7.7 `StartDateTime` and `EndDateTime`.
///
/// `YYYY-MM-DD hh:mm:ss`, and: `T` for the space, `/` for `-`, fractions (dropped), `Z` or `±hh:mm`,
/// fourteen digits, one-digit month, day and hour, seconds left out, date alone, 24:00:00. Outer white space is cut.
pub fn parse(text: &str, edge: Edge, zone_minutes: i32) -> Result<i64, NotADate> {
    let mut scan = Scan(text.trim_ascii());
    let read = scan.moment(edge)?;
    let offset = match scan.offset()? {
        Some(seconds) => seconds,
        None => zone_minutes.checked_mul(60).ok_or(NotADate)?,
    };
    if !scan.0.is_empty() {
        return Err(NotADate);
    }
    let civil = read.civil.map_err(|_| NotADate)?;
    // By the calendar alone: jiff's timestamps end a day before the year 9999 does, and
    // `9999-12-31` is how many a platform writes an open end.
    let since_1970 = civil.duration_since(jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0)).as_secs();
    Ok(since_1970 - i64::from(offset) + if read.next_day { 86_400 } else { 0 })
}

/// `YYYY-MM-DD hh:mm:ss` of these Unix seconds. Serves 7.7 `FileDate`.
///
/// Seconds outside the years 0000 to 9999 are written as the nearest that can be.
pub fn format(seconds: i64, zone_minutes: i32) -> String {
    let offset = zone_minutes.checked_mul(60).and_then(|s| Offset::from_seconds(s).ok()).unwrap_or(Offset::UTC);
    let instant =
        jiff::Timestamp::from_second(seconds.clamp(FIRST_SECOND, LAST_SECOND)).unwrap_or(jiff::Timestamp::MAX);
    let c = offset.to_datetime(instant);
    format!("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", c.year(), c.month(), c.day(), c.hour(), c.minute(), c.second())
}

/// 0000-01-02T00:00:00Z and 9999-12-30T00:00:00Z: a day inside the four-digit years in every zone.
const FIRST_SECOND: i64 = -62_167_219_200 + 86_400;
const LAST_SECOND: i64 = 253_402_300_800 - 2 * 86_400;

/// A civil time as read; `next_day` where it was 24:00:00.
struct Moment {
    civil: Result<DateTime, jiff::Error>,
    next_day: bool,
}

/// What is left to read.
struct Scan<'a>(&'a str);

impl Scan<'_> {
    fn moment(&mut self, edge: Edge) -> Result<Moment, NotADate> {
        let year = self.digits(4, 4)?;
        let (month, day);
        let mut time = None;
        if self.0.starts_with(|c: char| c.is_ascii_digit()) {
            (month, day) = (self.digits(2, 2)?, self.digits(2, 2)?);
            time = Some((self.digits(2, 2)?, self.digits(2, 2)?, self.digits(2, 2)?));
            self.fraction()?;
        } else {
            let separator = if self.eat('-') { '-' } else { '/' };
            if separator == '/' {
                self.expect('/')?;
            }
            month = self.digits(1, 2)?;
            self.expect(separator)?;
            day = self.digits(1, 2)?;
            if self.time_follows() {
                time = Some(self.clock()?);
            }
        }
        let whole_day = match edge {
            Edge::Start => (0, 0, 0),
            Edge::End => (23, 59, 59),
        };
        let (hour, minute, second) = time.unwrap_or(whole_day);
        // A 24:00 whose seconds were left out is that midnight, not its 59th second.
        let next_day = hour == 24 && minute == 0 && (second == 0 || second == SECOND_LEFT_OUT);
        let second = if second == SECOND_LEFT_OUT { if edge == Edge::End { 59 } else { 0 } } else { second };
        let (hour, minute, second) = if next_day { (0, 0, 0) } else { (hour, minute, second) };
        let civil =
            DateTime::new(year, narrow(month)?, narrow(day)?, narrow(hour)?, narrow(minute)?, narrow(second)?, 0);
        Ok(Moment { civil, next_day })
    }

    /// Whether a time of day follows, past the `T` or the white space before it.
    fn time_follows(&mut self) -> bool {
        if self.eat('T') || self.eat('t') {
            return true;
        }
        let rest = self.0.trim_ascii_start();
        let spaced = rest.len() < self.0.len() && rest.starts_with(|c: char| c.is_ascii_digit());
        if spaced {
            self.0 = rest;
        }
        spaced
    }

    fn clock(&mut self) -> Result<(i16, i16, i16), NotADate> {
        let hour = self.digits(1, 2)?;
        self.expect(':')?;
        let minute = self.digits(2, 2)?;
        if !self.eat(':') {
            return Ok((hour, minute, SECOND_LEFT_OUT));
        }
        let second = self.digits(2, 2)?;
        self.fraction()?;
        Ok((hour, minute, second))
    }

    fn fraction(&mut self) -> Result<(), NotADate> {
        if self.eat('.') {
            let rest = self.0.trim_start_matches(|c: char| c.is_ascii_digit());
            if rest.len() == self.0.len() {
                return Err(NotADate);
            }
            self.0 = rest;
        }
        Ok(())
    }

    /// Seconds east of UTC, where the text says.
    fn offset(&mut self) -> Result<Option<i32>, NotADate> {
        if self.0.is_empty() {
            return Ok(None);
        }
        if self.eat('Z') || self.eat('z') {
            return Ok(Some(0));
        }
        let sign = if self.eat('+') { 1 } else { -1 };
        if sign < 0 {
            self.expect('-')?;
        }
        let hours = i32::from(self.digits(2, 2)?);
        self.expect(':')?;
        let minutes = i32::from(self.digits(2, 2)?);
        if minutes > 59 || hours * 60 + minutes > 14 * 60 {
            return Err(NotADate);
        }
        Ok(Some(sign * (hours * 60 + minutes) * 60))
    }

    /// A number of `least` to `most` (at most 4) ASCII digits.
    fn digits(&mut self, least: usize, most: usize) -> Result<i16, NotADate> {
        let count = self.0.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if count < least {
            return Err(NotADate);
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        digits.parse().map_err(|_| NotADate)
    }

    fn eat(&mut self, wanted: char) -> bool {
        match self.0.strip_prefix(wanted) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), NotADate> {
        if self.eat(wanted) { Ok(()) } else { Err(NotADate) }
    }
}

/// Stands for seconds that the text leaves out; no two digits read as this.
const SECOND_LEFT_OUT: i16 = -1;

fn narrow(number: i16) -> Result<i8, NotADate> {
    i8::try_from(number).map_err(|_| NotADate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2014-03-28 12:34:56 +08:00
    const NOON: i64 = 1_395_981_296;

    fn start(text: &str) -> Result<i64, NotADate> {
        parse(text, Edge::Start, CHINA_STANDARD_TIME)
    }

    fn end(text: &str) -> Result<i64, NotADate> {
        parse(text, Edge::End, CHINA_STANDARD_TIME)
    }

    #[test]
    fn a_file_date_is_china_standard_time() {
        assert_eq!(format(0, 480), "1970-01-01 08:00:00");
        assert_eq!(format(NOON, 480), "2014-03-28 12:34:56");
        assert_eq!(format(NOON, 0), "2014-03-28 04:34:56");
        assert_eq!(format(i64::MIN, 480), "0000-01-02 08:00:00");
        assert_eq!(format(i64::MAX, -720), "9999-12-29 12:00:00");
    }

    #[test]
    fn every_form_of_the_contract_is_read() {
        for text in [
            "2014-03-28 12:34:56",
            "2014-03-28T12:34:56",
            "2014/03/28 12:34:56",
            "2014-3-28 12:34:56",
            "2014-03-28 12:34:56.999",
            "2014-03-28T04:34:56Z",
            "2014-03-28T04:34:56.5Z",
            "2014-03-28T12:34:56+08:00",
            "2014-03-27T23:34:56-05:00",
            "20140328123456",
            " 2014-03-28  12:34:56\n",
        ] {
            assert_eq!(start(text), Ok(NOON), "{text}");
            assert_eq!(end(text), Ok(NOON), "{text}");
        }
        assert_eq!(start("2014-3-8 9:05:00"), start("2014-03-08 09:05:00"));
    }

    #[test]
    fn what_is_left_out_includes_both_ends() {
        assert_eq!(start("2014-03-28 12:34"), Ok(NOON - 56));
        assert_eq!(end("2014-03-28 12:34"), Ok(NOON + 3));
        assert_eq!(start("2014-03-28"), start("2014-03-28 00:00:00"));
        assert_eq!(end("2014-03-28"), end("2014-03-28 23:59:59"));
        assert_eq!(end("2014/3/28Z"), end("2014-03-28 23:59:59Z"));
    }

    #[test]
    fn twenty_four_hours_is_the_next_midnight() {
        for text in ["2014-03-31 24:00:00", "2014-03-31T24:00", "20140331240000"] {
            assert_eq!(start(text), start("2014-04-01 00:00:00"), "{text}");
            assert_eq!(end(text), end("2014-04-01 00:00:00"), "{text}");
        }
        assert!(start("2014-03-31 24:00:01").is_err());
        assert!(start("2014-03-31 24:01").is_err());
    }

    #[test]
    fn a_day_that_is_not_is_refused() {
        for text in [
            "2014-02-29 00:00:00",
            "2014-13-01",
            "2014-00-01",
            "2014-04-31",
            "2014-01-01 25:00:00",
            "2014-01-01 12:60:00",
            "2014-01-01 12:00:60",
            "2014-01-01 12:00:00 noon",
            "2014-01/01",
            "14-01-01",
            "2014-01-01 12",
            "2014-01-01 12:0",
            "2014-01-01 12:00:00.",
            "2014-01-01 12:00:00+8",
            "2014-01-01 12:00:00+15:00",
            "2014010112000",
            "201401011200000",
            "２０１４-01-01",
            "yesterday",
            "T",
        ] {
            assert_eq!(start(text), Err(NotADate), "{text}");
        }
        assert!(start("2012-02-29 00:00:00").is_ok());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in FIRST_SECOND..LAST_SECOND, zone in -840i32..=840) {
            let text = format(seconds, zone);
            prop_assert_eq!(parse(&text, Edge::Start, zone), Ok(seconds));
            prop_assert_eq!(parse(&text, Edge::End, zone), Ok(seconds));
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            prop_assert_eq!(parse(&digits, Edge::Start, zone), Ok(seconds));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}", zone: i32) {
            let _ = parse(&text, Edge::Start, zone);
        }

        #[test]
        fn nothing_like_a_date_makes_it_panic(text in "[0-9:/TZ+. -]{0,30}", zone: i32) {
            let _ = parse(&text, Edge::End, zone);
        }
    }
}
