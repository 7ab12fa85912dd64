//! Money, in 厘.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An amount in 厘: 1000 of them are one 元. Corrections may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(i64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many 厘.
    pub const fn from_li(li: i64) -> Self {
        Self(li)
    }

    /// 厘.
    pub const fn li(self) -> i64 {
        self.0
    }

    /// The sum; `None` past what can be named.
    pub const fn plus(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(li) => Some(Self(li)),
            None => None,
        }
    }

    /// The difference; `None` past what can be named.
    pub const fn minus(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(li) => Some(Self(li)),
            None => None,
        }
    }

    /// `numerator / denominator`, rounded half up: the only rounding of a statement. Both are at least 0, the
    /// denominator more; `None` past what can be named.
    pub fn half_up(numerator: i128, denominator: i128) -> Option<Self> {
        if numerator < 0 || denominator <= 0 {
            return None;
        }
        let (whole, rest) = (numerator / denominator, numerator % denominator);
        let up = i128::from(rest >= denominator - rest);
        i64::try_from(whole.checked_add(up)?).ok().map(Self)
    }
}

/// In 元 with three digits behind the point: `12.345`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let li = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:03}", li / 1000, li % 1000)
    }
}

/// From 元 with at most three digits behind the point; a sign, `¥`, thousands' commas and white space are passed over.
impl FromStr for Money {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no amount in 元 with at most three digits behind the point");
        let plain: String =
            text.trim().chars().filter(|c| !matches!(c, ',' | '，' | '¥' | '￥' | ' ' | '\u{a0}')).collect();
        let (negative, digits) = match plain.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        // What stands behind the third digit may only be zeros: nothing is rounded silently.
        let fraction = fraction.trim_end_matches('0');
        let all_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || fraction.len() > 3 {
            return Err(wrong());
        }
        let whole: i64 = whole.parse().map_err(|_| wrong())?;
        let behind: i64 = format!("{fraction:0<3}").parse().map_err(|_| wrong())?;
        let li = whole.checked_mul(1000).and_then(|li| li.checked_add(behind)).ok_or_else(wrong)?;
        Ok(Self(if negative { -li } else { li }))
    }
}
