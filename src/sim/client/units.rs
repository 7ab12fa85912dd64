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
}
