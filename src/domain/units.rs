//! Units that the specification counts in. The rounding is in the name of the function.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A number of payload bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(u64);

/// How many bytes one "GB" has on this box (`space.bytes_per_gb`, 2^30 unless a tester shrank it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GigabyteSize(u64);

/// A whole number of GB as the wire carries it, 0 to 2,147,483,647.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gigabytes(u32);

/// A whole percentage, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u8);

// === impl Bytes ===

impl Bytes {
    /// No bytes.
    pub const ZERO: Self = Self(0);

    /// That many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The difference, or zero where `other` is larger.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The sum, or the largest number of bytes that can be named.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Whole KB (2^10), rounded up. Serves 7.7 `FileSize`.
    pub const fn kilobytes_ceil(self) -> u64 {
        self.0.div_ceil(1024)
    }

    /// `percent` of these bytes, rounded up, so that "at least 20 %" is at least 20 %.
    #[must_use]
    pub fn percent_ceil(self, percent: Percent) -> Self {
        let product = u128::from(self.0) * u128::from(percent.0);
        Self(u64::try_from(product.div_ceil(100)).unwrap_or(u64::MAX))
    }

    /// Whether these bytes are more than `percent` of `whole`, exactly.
    pub fn above(self, percent: Percent, whole: Self) -> bool {
        u128::from(self.0) * 100 > u128::from(whole.0) * u128::from(percent.0)
    }
}

impl Add for Bytes {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Bytes {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Bytes {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl std::iter::Sum for Bytes {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0)
    }
}

// === impl GigabyteSize ===

impl GigabyteSize {
    /// 2^30 bytes: one GB, as the contract reads it.
    pub const STANDARD: Self = Self(1 << 30);

    /// A GB of `bytes` bytes; `None` for zero.
    pub const fn new(bytes: u64) -> Option<Self> {
        if bytes == 0 { None } else { Some(Self(bytes)) }
    }

    /// Bytes in one GB.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whole GB in `bytes`, rounded down: what is promised exists. Serves 7.4 `FreeSpace`.
    pub fn floor(self, bytes: Bytes) -> Gigabytes {
        let whole = bytes.get() / self.0;
        Gigabytes(u32::try_from(whole).unwrap_or(Gigabytes::MAX.0).min(Gigabytes::MAX.0))
    }

    /// The bytes of `gigabytes`.
    pub fn bytes(self, gigabytes: Gigabytes) -> Bytes {
        Bytes(self.0.saturating_mul(u64::from(gigabytes.0)))
    }
}

// === impl Gigabytes ===

impl Gigabytes {
    /// The largest `xs:int`.
    pub const MAX: Self = Self(i32::MAX as u32);

    /// That many GB; `None` past the largest `xs:int`.
    pub const fn new(gigabytes: u32) -> Option<Self> {
        if gigabytes <= Self::MAX.0 { Some(Self(gigabytes)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Gigabytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} GB", self.0)
    }
}

// === impl Percent ===

impl Percent {
    /// `percent`, where it is 0 to 100.
    pub const fn new(percent: u8) -> Option<Self> {
        if percent <= 100 { Some(Self(percent)) } else { None }
    }

    /// The number, 0 to 100.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// So many points below, at least 0.
    #[must_use]
    pub const fn lowered_by(self, points: Self) -> Self {
        Self(self.0.saturating_sub(points.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_are_rounded_up_and_gigabytes_down() {
        assert_eq!(Bytes::new(0).kilobytes_ceil(), 0);
        assert_eq!(Bytes::new(1).kilobytes_ceil(), 1);
        assert_eq!(Bytes::new(1024).kilobytes_ceil(), 1);
        assert_eq!(Bytes::new(1025).kilobytes_ceil(), 2);
        let gb = GigabyteSize::STANDARD;
        assert_eq!(gb.floor(Bytes::new((1 << 30) - 1)).get(), 0);
        assert_eq!(gb.floor(Bytes::new(1 << 30)).get(), 1);
    }

    #[test]
    fn a_threshold_is_passed_only_above_it() {
        let whole = Bytes::new(1000);
        let ninety = Percent::new(90).expect("0 to 100");
        assert!(!Bytes::new(900).above(ninety, whole));
        assert!(Bytes::new(901).above(ninety, whole));
        assert_eq!(Bytes::new(1001).percent_ceil(Percent::new(20).expect("0 to 100")).get(), 201);
    }
}
