//! What an account had in one hour.

use super::calendar::Hour;
use super::tariff::Basis;
use crate::domain::{Bytes, GigabyteSize, Gigabytes};

/// An hour of an account: what was counted at its beginning stands for all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Which hour.
    pub hour: Hour,
    /// The sum of its sub-accounts' spaces.
    pub handed_out: Gigabytes,
    /// Bytes of files and stored parts, of sub-accounts and own buckets.
    pub used: Bytes,
    /// Files.
    pub files: u64,
    /// Nobody counted (the server was off): the values are those of the hour before.
    pub carried: bool,
}

impl Sample {
    /// The hours from the next one up to `until` (excluded), each with the values of this one and marked as such; at
    /// most `most`, the latest.
    pub fn carried_until(self, until: Hour, most: i64) -> impl Iterator<Item = Self> {
        let first = (self.hour.get() + 1).max(until.get().saturating_sub(most));
        (first..until.get()).map(move |hour| Self { hour: Hour::new(hour), carried: true, ..self })
    }

    /// The bytes that a tariff counts in this hour.
    pub fn counted(&self, basis: Basis, gigabyte: GigabyteSize) -> Bytes {
        let handed_out = gigabyte.bytes(self.handed_out);
        match basis {
            Basis::HandedOut => handed_out,
            Basis::Used => self.used,
            Basis::Larger => handed_out.max(self.used),
        }
    }

    /// Its line in what a digest of samples is made from: `hour,GB,bytes,files,carried`.
    pub fn line(&self) -> String {
        let Self { hour, handed_out, used, files, carried } = self;
        format!("{},{},{},{files},{}\n", hour.get(), handed_out.get(), used.get(), u8::from(*carried))
    }
}
