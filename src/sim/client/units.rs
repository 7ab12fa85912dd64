//! Sizes and durations as the command lines of the strangers take them.

use std::time::Duration;

/// Bytes from `4096`, `64KiB`, `8MiB`, `1GiB` (powers of 2) or `64KB`, `8MB`, `1GB` (powers of 10).
///
/// # Errors
///
/// The text is no such size, or it is over 16 EiB.
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err("a size is like 4096, 64KiB or 8MB".to_owned()),
    };
    let number: u64 = digits.trim().parse().map_err(|_| "a size is like 4096, 64KiB or 8MB".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "too large".to_owned())
}

/// Sizes from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeRange {
    /// The smallest, in bytes.
    pub least: u64,
    /// The largest, in bytes.
    pub most: u64,
}

impl SizeRange {
    /// One size alone.
    pub fn only(bytes: u64) -> Self {
        Self { least: bytes, most: bytes }
    }

    /// One of them, as chance has it.
    pub fn pick(self, chance: u64) -> u64 {
        let sizes = self.most.saturating_sub(self.least).saturating_add(1);
        self.least.saturating_add(chance.checked_rem(sizes).unwrap_or(0))
    }
}

/// Sizes from `8MiB` or `1MiB..8MiB`.
///
/// # Errors
///
/// One of them is no size, or the first is the larger.
pub fn sizes(text: &str) -> Result<SizeRange, String> {
    let Some((least, most)) = text.split_once("..") else { return size(text).map(SizeRange::only) };
    let (least, most) = (size(least)?, size(most)?);
    if least > most {
        return Err("sizes are like 1MiB..8MiB, the smaller first".to_owned());
    }
    Ok(SizeRange { least, most })
}

/// Bits a second from `512kbit`, `2Mbit` (powers of 10) or plain bits.
///
/// # Errors
///
/// The text is no such rate.
pub fn bit_rate(text: &str) -> Result<u64, String> {
    let wrong = || "a bit rate is like 512kbit or 2Mbit".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "bit" => 1,
        "k" | "kbit" => 1000,
        "m" | "mbit" => 1_000_000,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.trim().parse().map_err(|_| wrong())?;
    number.checked_mul(factor).filter(|rate| *rate > 0).ok_or_else(wrong)
}

/// A probability from `0`, `0.05`, `1` or `5%`.
///
/// # Errors
///
/// The text is none.
pub fn probability(text: &str) -> Result<f64, String> {
    let wrong = || "a probability is like 0.05 or 5%, from 0 to 1".to_owned();
    let (digits, whole) = text.strip_suffix('%').map_or((text, 1.0), |digits| (digits, 100.0));
    let number: f64 = digits.trim().parse().map_err(|_| wrong())?;
    Some(number / whole).filter(|number| (0.0..=1.0).contains(number)).ok_or_else(wrong)
}

/// A duration from `500ms`, `10s`, `5m`, `1h` or plain seconds.
///
/// # Errors
///
/// The text is no such duration.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a duration is like 500ms, 10s, 5m or 1h".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = digits.trim().parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_read() {
        for (text, bytes) in [("0", 0), ("512", 512), ("64KiB", 65_536), ("8mb", 8_000_000), ("1 GiB", 1 << 30)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for (text, millis) in [("500ms", 500), ("2", 2000), ("1.5s", 1500), ("5m", 300_000), ("1h", 3_600_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "KiB", "1XB", "-1", "1.5MB", "99999999999GiB", "看"] {
            assert!(size(text).is_err(), "{text}");
        }
        for text in ["", "s", "-1s", "1d", "infs", "看"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_rates_and_probabilities_are_read() {
        assert_eq!(sizes("8MiB"), Ok(SizeRange::only(8 << 20)));
        let range = sizes("1KiB..2KiB").unwrap();
        assert_eq!(range, SizeRange { least: 1024, most: 2048 });
        assert!((0..5000).all(|chance| (1024..=2048).contains(&range.pick(chance))));
        assert_eq!((range.pick(0), range.pick(1024), SizeRange::only(0).pick(7)), (1024, 2048, 0));
        assert!(sizes("2..1").is_err() && sizes("1..").is_err());
        assert_eq!((bit_rate("512kbit"), bit_rate("2M"), bit_rate("9")), (Ok(512_000), Ok(2_000_000), Ok(9)));
        assert!(bit_rate("0").is_err() && bit_rate("2MB").is_err());
        assert_eq!((probability("5%"), probability("0.5"), probability("1")), (Ok(0.05), Ok(0.5), Ok(1.0)));
        assert!(probability("1.1").is_err() && probability("-1%").is_err() && probability("NaN").is_err());
    }
}
