//! Values as an operator writes them: sizes, durations, shares, addresses, zones, and back.

use std::time::Duration;

use super::Reserve;

const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

const DURATION_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("ms", 1), ("m", 60_000), ("s", 1000)];

/// A size such as `64KiB`, `1GB` or `4096`: KB, MB, GB, TB are powers of 1000, KiB … TiB of 1024,
/// no unit is bytes. The error says what would be right.
pub fn size(text: &str) -> Result<u64, String> {
    let right = || format!("{text:?} is no size; write one like \"64KiB\", \"20MB\" or \"1GiB\"");
    let (number, unit) = number_and_unit(text).ok_or_else(right)?;
    let factor = if unit.is_empty() {
        1
    } else {
        SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, f)| *f).ok_or_else(right)?
    };
    number.checked_mul(factor).ok_or_else(|| format!("{text:?} is larger than any disk"))
}

/// A duration such as `24h`, `15m`, `60s`, `500ms` or `7d`; whole numbers only, several may follow
/// one another (`1h30m`). The error says what would be right.
pub fn duration(text: &str) -> Result<Duration, String> {
    let right = || format!("{text:?} is no duration; write one like \"24h\", \"15m\", \"60s\" or \"500ms\"");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(right());
    }
    let mut millis = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(right)?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let factor = DURATION_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, f)| *f).ok_or_else(right)?;
        let number: u64 = number.parse().map_err(|_| right())?;
        millis = number.checked_mul(factor).and_then(|n| millis.checked_add(n)).ok_or_else(right)?;
        rest = after.trim_start();
    }
    Ok(Duration::from_millis(millis))
}

/// A share (`5%`, 0 to 100) or a size. The error says what would be right.
pub fn reserve(text: &str) -> Result<Reserve, String> {
    let Some(number) = text.trim().strip_suffix('%') else {
        return size(text)
            .map(Reserve::Bytes)
            .map_err(|_| format!("{text:?} is neither a share nor a size; write one like \"5%\" or \"20GiB\""));
    };
    match number.trim().parse::<u8>() {
        Ok(percent) if percent <= 100 => Ok(Reserve::Percent(percent)),
        _ => Err(format!("{text:?} is no share; write a whole number from 0% to 100%")),
    }
}

/// An offset such as `+08:00`, in minutes east of UTC, -14:00 to +14:00.
pub fn zone(text: &str) -> Result<i32, String> {
    let right = || format!("{text:?} is no offset from UTC; write one like \"+08:00\", from -14:00 to +14:00");
    if text == "Z" {
        return Ok(0);
    }
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Err(right()),
    };
    let (hours, minutes) = rest.split_once(':').ok_or_else(right)?;
    let two = |digits: &str| {
        let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse::<i32>().ok()).flatten()
    };
    let (hours, minutes) = two(hours).zip(two(minutes)).ok_or_else(right)?;
    let total = hours * 60 + minutes;
    if minutes > 59 || total > 14 * 60 {
        return Err(right());
    }
    Ok(sign * total)
}

/// The base of a URL, `http(s)://host[:port]`, without the `/` at its end.
pub fn base_url(text: &str) -> Result<String, String> {
    let right =
        || format!("{text:?} cannot be told to clients; write one like \"http://10.1.2.3:9000\", without a path");
    let (scheme, rest) = text.split_once("://").ok_or_else(right)?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let known = scheme == "http" || scheme == "https";
    let parsed: http::uri::Authority = authority.parse().map_err(|_| right())?;
    if !known || parsed.host().is_empty() || authority.contains('@') || text.len() > 255 {
        return Err(right());
    }
    if let Some((_, port)) = authority.rsplit_once(':').filter(|(_, port)| !port.contains(']'))
        && port.parse::<u16>().map_or(true, |port| port == 0)
    {
        return Err(right());
    }
    Ok(format!("{scheme}://{authority}"))
}

/// A DNS name such as `s3.example.cn`, in lower case.
pub fn domain(text: &str) -> Result<String, String> {
    let label = |l: &str| {
        let inside = l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        !l.is_empty() && l.len() <= 63 && inside && !l.starts_with('-') && !l.ends_with('-')
    };
    let fine = text.len() <= 190 && text.split('.').all(label) && text.parse::<std::net::IpAddr>().is_err();
    if fine {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!("{text:?} is no domain; write one like \"s3.example.cn\", without a scheme and a port"))
    }
}

/// A size as `size` reads it, in the largest unit that it is a whole number of.
pub fn show_size(bytes: u64) -> String {
    let mut best: Option<(&str, u64)> = None;
    for (unit, factor) in SIZE_UNITS {
        if bytes > 0 && bytes.is_multiple_of(factor) && best.is_none_or(|(_, number)| bytes / factor < number) {
            best = Some((unit, bytes / factor));
        }
    }
    best.map_or_else(|| "0B".to_owned(), |(unit, number)| format!("{number}{unit}"))
}

/// A duration as `duration` reads it, in the largest unit that it is a whole number of.
pub fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let unit = [("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    match unit.iter().find(|(_, factor)| millis > 0 && millis % factor == 0) {
        Some((unit, factor)) => format!("{}{unit}", millis / factor),
        None if millis == 0 => "0s".to_owned(),
        None => format!("{millis}ms"),
    }
}

/// A reserve as `reserve` reads it.
pub fn show_reserve(reserve: Reserve) -> String {
    match reserve {
        Reserve::Percent(percent) => format!("{percent}%"),
        Reserve::Bytes(bytes) => show_size(bytes),
    }
}

/// An offset as `zone` reads it.
pub fn show_zone(minutes: i32) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.unsigned_abs();
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kb_is_a_thousand_and_kib_is_1024() {
        assert_eq!(size("64KiB"), Ok(65536));
        assert_eq!(size("1GB"), Ok(1_000_000_000));
        assert_eq!(size("20 mb"), Ok(20_000_000));
        assert_eq!(size("4096"), Ok(4096));
        for bad in ["", "GB", "-1GB", "1.5GB", "1 parsec", "99999999999TiB", "1GBs"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        for bad in ["", "24", "h", "-1h", "1.5h", "1 fortnight", "99999999999999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_reserve_is_a_share_or_a_size() {
        assert_eq!(reserve("5%"), Ok(Reserve::Percent(5)));
        assert_eq!(reserve("20GiB"), Ok(Reserve::Bytes(20 << 30)));
        assert!(reserve("101%").is_err());
        assert!(reserve("five").is_err());
    }

    #[test]
    fn zones_reach_fourteen_hours() {
        assert_eq!(zone("+08:00"), Ok(480));
        assert_eq!(zone("-03:30"), Ok(-210));
        assert_eq!(zone("+14:00"), Ok(840));
        for bad in ["08:00", "+8:00", "+14:01", "+08:60", "+08", "Asia/Shanghai", "", "＋08:00"] {
            assert!(zone(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_base_url_is_a_scheme_a_host_and_a_port() {
        assert_eq!(base_url("http://10.1.2.3:9000/").as_deref(), Ok("http://10.1.2.3:9000"));
        assert_eq!(base_url("https://s3.example.cn").as_deref(), Ok("https://s3.example.cn"));
        assert_eq!(base_url("http://[::1]:9000").as_deref(), Ok("http://[::1]:9000"));
        for bad in [
            "10.1.2.3:9000",
            "ftp://a",
            "http://",
            "http://a/b",
            "http://a?x",
            "http://u:p@a",
            "http://a:0",
            "http://a:x",
            "http://a b",
        ] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(bytes: u64, millis in 0u64..u64::MAX / 4, minutes in -840i32..=840) {
            prop_assert_eq!(size(&show_size(bytes)), Ok(bytes));
            let d = Duration::from_millis(millis);
            prop_assert_eq!(duration(&show_duration(d)), Ok(d));
            prop_assert_eq!(zone(&show_zone(minutes)), Ok(minutes));
        }

        #[test]
        fn nothing_that_is_written_panics(text: String) {
            let _ = (size(&text), duration(&text), reserve(&text), zone(&text), base_url(&text), domain(&text));
        }
    }
}
