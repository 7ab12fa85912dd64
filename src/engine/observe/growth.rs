//! What is used, how it grows, and when it is full: the disks of the box, or the space of an account.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::rows::{Counters, DayRow, HourRow, UsedRow, day_of};
use super::sums::Sums;
use crate::domain::forecast::{self, DAY_MS};
use crate::domain::{AccountId, Refusal};
use crate::engine::{Engine, Result};

/// Days that growth is measured over.
const GROWTH_DAYS: u64 = 7;
/// Days of the past that are told.
const DAYS_TOLD: u64 = 365;

/// What was used at the end of a day; of today, now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UsedPoint {
    /// When the day begins, ms since 1970.
    pub at_ms: i64,
    /// Bytes; `None` where the box did not run.
    pub used_bytes: Option<u64>,
}

/// See the module.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Growth {
    /// Used now, bytes.
    pub used_bytes: u64,
    /// What uploads may still take: of the disks, or of the account's space; bytes.
    pub left_bytes: u64,
    /// How long a time the next two are measured over, ms: seven days, less of what is younger. Below an hour they are 0.
    pub within_ms: u64,
    /// Bytes uploaded a day, over the last seven days.
    pub bytes_in_per_day: u64,
    /// The same less what was overwritten and deleted; negative where it empties.
    pub growth_per_day: i64,
    /// When it is full, ms since 1970; `None` where it does not grow.
    pub full_ms: Option<i64>,
    /// The days since the first that is known, at most a year of them, the oldest first.
    pub days: Vec<UsedPoint>,
}

impl Engine {
    /// Bytes used by account; under 0 by all of them.
    pub(in crate::engine) fn used_by_account(&self) -> BTreeMap<u64, u64> {
        let catalog = self.inner.store.catalog.read();
        let mut used: BTreeMap<u64, u64> = catalog.accounts.keys().map(|id| (id.get(), 0)).collect();
        let mut all = 0_u64;
        let subs = catalog.sub_accounts.values().map(|sub| (sub.row.account, sub.stats.used()));
        let own = catalog.own_buckets.values().map(|own| (own.row.account, own.stats.used()));
        for (account, bytes) in subs.chain(own) {
            all = all.saturating_add(bytes);
            let sum = used.entry(account.get()).or_default();
            *sum = sum.saturating_add(bytes);
        }
        used.insert(0, all);
        used
    }

    /// What uploads may still take: of the disks, or of an account's space.
    fn left(&self, account: Option<AccountId>, used: u64) -> Result<u64> {
        let Some(id) = account else {
            let disks = self.inner.store.volumes.disks();
            return Ok(disks.iter().map(|(_, _, free, reserve, ..)| free.saturating_sub(*reserve)).sum());
        };
        let gigabyte = self.inner.store.catalog.settings().gigabyte.get();
        let catalog = self.inner.store.catalog.read();
        let space = u64::from(catalog.accounts.get(&id).ok_or(Refusal::NoAccount)?.space.get());
        Ok(space.saturating_mul(gigabyte).saturating_sub(used))
    }

    /// When an account was opened, or the first hour that is known of the box, ms since 1970.
    fn begun(&self, account: Option<AccountId>) -> Result<i64> {
        if let Some(id) = account {
            let catalog = self.inner.store.catalog.read();
            return Ok(catalog.accounts.get(&id).ok_or(Refusal::NoAccount)?.created.millis());
        }
        let mut one = true;
        let first = self.inner.books.scan::<HourRow>(&(0, 0), |_, _| std::mem::take(&mut one))?;
        Ok(first.first().and_then(|((hour, _), _)| i64::try_from(*hour).ok()).unwrap_or(0).saturating_mul(3_600_000))
    }

    /// Of an account, or of the box. Blocks.
    pub(super) fn growth(&self, account: Option<AccountId>, gathered: &Sums) -> Result<Growth> {
        let (now, zone, books) = (self.now(), self.config().zone_minutes, &self.inner.books);
        let (of, today) = (account.map_or(0, AccountId::get), day_of(now, zone));
        let begins = |day: u64| i64::try_from(day).unwrap_or(0).saturating_mul(DAY_MS) - i64::from(zone) * 60_000;
        let used_bytes = self.used_by_account().get(&of).copied().unwrap_or(0);
        let left_bytes = self.left(account, used_bytes)?;

        let (mut sum, mut first) = (Counters::default(), None);
        for day in today.saturating_sub(GROWTH_DAYS - 1)..=today {
            let rows = [books.get::<DayRow>(&(day, of))?.map(|row| row.0), gathered.days.get(&(day, of)).cloned()];
            for row in rows.into_iter().flatten() {
                first.get_or_insert(day);
                sum.add(&row);
            }
        }
        // What is younger than its day is not measured from midnight.
        let begun = first.map_or(now.millis(), begins).max(self.begun(account)?);
        let within_ms = u64::try_from(now.millis().saturating_sub(begun)).unwrap_or(0);
        let a_day = |bytes: u64| forecast::per_day(bytes, Duration::from_millis(within_ms)).unwrap_or(0);
        let (came, went) = (a_day(sum.bytes_in), a_day(sum.overwritten_bytes.saturating_add(sum.deleted_bytes)));
        let growth_per_day = i64::try_from(i128::from(came) - i128::from(went)).unwrap_or(i64::MAX);
        let lasts = u64::try_from(growth_per_day).ok().and_then(|growth| forecast::lasts(left_bytes, growth));

        let mut days: Vec<UsedPoint> = Vec::new();
        for day in today.saturating_sub(DAYS_TOLD - 1)..=today {
            let used_bytes = match day == today {
                true => Some(used_bytes),
                false => books.get::<UsedRow>(&(day, of))?.map(|row| row.used),
            };
            if used_bytes.is_some() || !days.is_empty() {
                days.push(UsedPoint { at_ms: begins(day), used_bytes });
            }
        }
        Ok(Growth {
            used_bytes,
            left_bytes,
            within_ms,
            bytes_in_per_day: came,
            growth_per_day,
            full_ms: lasts.map(|ms| now.millis().saturating_add(ms)),
            days,
        })
    }
}
