//! How numbers and times are written: each with its unit, times in the box's zone to the second. What gives [`Html`] is
//! safe in a page; the others are plain text, which a template escapes.

use askama::filters::Safe;

use super::text::Lang;
use crate::domain::{Bytes, Timestamp};
use crate::wire::china_time;

/// What a camera is called on a page: its name, where people gave it one.
pub(super) fn called<'a>(name: &'a str, ak: &'a str) -> &'a str {
    if name.is_empty() { ak } else { name }
}

/// A piece of a page.
pub(super) type Html = Safe<String>;

/// A number that is none below zero, however a view holds it; templates hand over references.
pub(super) trait Number {
    /// The number.
    fn number(&self) -> u64;
}

/// A moment, however a view holds it.
pub(super) trait Moment {
    /// Milliseconds since the Unix epoch; `None` for never.
    fn moment(&self) -> Option<i64>;
}

/// Bytes in the unit that reads best (1 KB is 2^10), two digits behind the point at most.
pub(super) fn bytes(number: u64) -> String {
    const UNITS: [(&str, u64); 5] =
        [("PB", 1 << 50), ("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)];
    let Some((unit, size)) = UNITS.into_iter().find(|(_, size)| number >= *size) else {
        return format!("{number} B");
    };
    let hundredths = u128::from(number) * 100 / u128::from(size);
    match (hundredths / 100, hundredths % 100) {
        (whole, _) if whole >= 100 => format!("{} {unit}", grouped(whole)),
        (whole, 0) => format!("{whole} {unit}"),
        (whole, rest) if rest % 10 == 0 => format!("{whole}.{} {unit}", rest / 10),
        (whole, rest) => format!("{whole}.{rest:02} {unit}"),
    }
}

/// Bytes that may be fewer than none.
pub(super) fn signed_bytes(number: i64) -> String {
    let sign = if number < 0 { "−" } else { "" };
    format!("{sign}{}", bytes(number.unsigned_abs()))
}

/// A count, its thousands apart.
pub(super) fn count(number: u64) -> String {
    grouped(u128::from(number))
}

fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share of a whole in per cent, one digit behind the point.
pub(super) fn percent(part: u64, whole: u64) -> String {
    match (u128::from(part) * 1000).checked_div(u128::from(whole)) {
        None => "–".to_owned(),
        Some(tenths) => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

/// A length of time in its two largest units.
pub(super) fn duration(seconds: u64, lang: Lang) -> String {
    let units = [
        (86_400, lang.say(" 天", " d")),
        (3600, lang.say(" 小时", " h")),
        (60, lang.say(" 分", " min")),
        (1, lang.say(" 秒", " s")),
    ];
    let Some(first) = units.iter().position(|(size, _)| seconds >= *size) else {
        return lang.say("0 秒", "0 s").to_owned();
    };
    let (size, unit) = units[first];
    let mut out = format!("{}{unit}", grouped(u128::from(seconds / size)));
    if let Some((small, unit)) = units.get(first + 1)
        && seconds % size / small > 0
    {
        out.push_str(&format!(" {}{unit}", seconds % size / small));
    }
    out
}

/// A moment in words of a zone: `2014-03-28 14:30:05`.
pub(super) fn moment(ms: i64, zone_minutes: i32) -> String {
    china_time::format(Timestamp::from_millis(ms).seconds(), zone_minutes)
}

/// A moment as `<time>`.
pub(super) fn time(ms: i64, zone_minutes: i32) -> Html {
    let text = moment(ms, zone_minutes);
    let zone = zone(zone_minutes);
    Safe(format!("<time datetime=\"{}{zone}\">{text}</time>", text.replace(' ', "T")))
}

/// A zone as `+08:00`.
pub(super) fn zone(minutes: i32) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

/// A share of a bar: the class that colours it, its word, how much.
pub(super) type Part<'a> = (&'static str, &'a str, u64);

/// A bar of shares of `whole`. A share that is there is seen, however small; what is above the whole fills the bar.
pub(super) fn bar(label: &str, parts: &[Part<'_>], whole: u64) -> Html {
    let sum: u128 = parts.iter().map(|(_, _, part)| u128::from(*part)).sum();
    let whole = u128::from(whole).max(sum).max(1);
    let mut out = format!(
        "<svg class=\"bar\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">\
         <rect class=\"bar-free\" width=\"1000\" height=\"10\"/>",
        escape(label)
    );
    let mut at = 0;
    for (class, _, part) in parts.iter().filter(|(_, _, part)| *part > 0) {
        let width = (u128::from(*part) * 1000 / whole).max(6).min(1000_u128.saturating_sub(at));
        out.push_str(&format!("<rect class=\"bar-{class}\" x=\"{at}\" width=\"{width}\" height=\"10\"/>"));
        at += width;
    }
    out.push_str("</svg>");
    Safe(out)
}

/// Text that is safe in markup and in attributes.
pub(super) fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

// === what views hold ===

impl Number for u64 {
    fn number(&self) -> u64 {
        *self
    }
}

impl Number for u32 {
    fn number(&self) -> u64 {
        u64::from(*self)
    }
}

impl Number for usize {
    fn number(&self) -> u64 {
        u64::try_from(*self).unwrap_or(u64::MAX)
    }
}

impl Number for i64 {
    fn number(&self) -> u64 {
        u64::try_from(*self).unwrap_or(0)
    }
}

impl Number for Bytes {
    fn number(&self) -> u64 {
        self.get()
    }
}

impl<T: Number + ?Sized> Number for &T {
    fn number(&self) -> u64 {
        (**self).number()
    }
}

impl Moment for Timestamp {
    fn moment(&self) -> Option<i64> {
        Some(self.millis())
    }
}

impl Moment for i64 {
    fn moment(&self) -> Option<i64> {
        Some(*self)
    }
}

impl<T: Moment> Moment for Option<T> {
    fn moment(&self) -> Option<i64> {
        self.as_ref().and_then(Moment::moment)
    }
}

impl<T: Moment + ?Sized> Moment for &T {
    fn moment(&self) -> Option<i64> {
        (**self).moment()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_units() {
        for (number, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KB"),
            (1536, "1.5 KB"),
            (1 << 30, "1 GB"),
            ((1 << 30) + (1 << 28), "1.25 GB"),
            (123 << 30, "123 GB"),
            (10_000 << 40, "9.76 PB"),
            (u64::MAX, "16,383 PB"),
        ] {
            assert_eq!(bytes(number), text);
        }
        assert_eq!((signed_bytes(-1024), signed_bytes(5)), ("−1 KB".to_owned(), "5 B".to_owned()));
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([(1, 3), (3, 3), (0, 0)].map(|(part, whole)| percent(part, whole)), ["33.3 %", "100.0 %", "–"]);
        assert_eq!(
            [0, 59, 60, 3725, 90_000].map(|s| duration(s, Lang::En)),
            ["0 s", "59 s", "1 min", "1 h 2 min", "1 d 1 h"]
        );
        let shown = "<time datetime=\"2014-03-28T14:30:05+08:00\">2014-03-28 14:30:05</time>";
        assert_eq!(time(1_395_988_205_000, 480).0, shown);
    }

    #[test]
    fn a_bar_never_leaves_its_frame_and_shows_what_is_there() {
        assert!(bar("a\"<b>", &[], 1).0.contains("aria-label=\"a&quot;&lt;b&gt;\""));
        let shown = bar("", &[("used", "", 1), ("locked", "", u64::MAX), ("reserved", "", 1)], 10).0;
        for rect in shown.split("<rect").skip(2) {
            let number = |name: &str| -> u64 {
                rect.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
            };
            assert!(number(" x") + number("width") <= 1000, "{rect}");
        }
        assert_eq!(bar("", &[("used", "", 0)], 0).0.matches("<rect").count(), 1);
    }
}
