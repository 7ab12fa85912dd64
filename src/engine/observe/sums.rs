//! What has gathered in memory, summed up by hour, day and month: on its way to the books, or read beside them while it
//! is not written yet.

use std::collections::{BTreeMap, HashMap};

use super::rows::{Counters, UsedRow, day_of, hour_of, month_of};
use super::{NOBODY, Observe, PARTS};
use crate::domain::{SubAccountId, Timestamp};
use crate::engine::Engine;
use crate::store::witness::{Gone, WhyGone};

/// Counters by the number of an hour, a day or a month, then by account; account 0 is the whole box.
pub(super) type Table = BTreeMap<(u64, u64), Counters>;

/// Counters that are not in the books yet.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) hours: Table,
    pub(super) days: Table,
    pub(super) months: Table,
    /// By day and sub-account (or own bucket).
    pub(super) cameras: Table,
    /// What is used, by day and account.
    pub(super) used: BTreeMap<(u64, u64), UsedRow>,
}

impl Sums {
    /// Adds what happened in an hour to an owner of files, of an account where it has one.
    pub(super) fn add(&mut self, owner: SubAccountId, account: u64, hour: u64, zone: i32, counters: &Counters) {
        let day = day_of(begin_of(hour), zone);
        let month = month_of(day);
        for of in [0, account].into_iter().take(if account == 0 { 1 } else { 2 }) {
            self.hours.entry((hour, of)).or_default().add(counters);
            self.days.entry((day, of)).or_default().add(counters);
            self.months.entry((month, of)).or_default().add(counters);
        }
        if owner != NOBODY {
            self.cameras.entry((day, owner.get())).or_default().add(counters);
        }
    }

    /// Files that are gone.
    pub(super) fn add_gone(&mut self, gone: &Gone, account: u64, zone: i32) {
        self.add(gone.owner, account, hour_of(gone.when), zone, &counted(gone));
    }

    /// An alert that was raised.
    pub(super) fn add_raised(&mut self, owner: SubAccountId, account: u64, now: Timestamp, zone: i32) {
        let raised = Counters { alerts_raised: 1, ..Counters::default() };
        self.add(owner, account, hour_of(now), zone, &raised);
    }

    /// The box runs: an hour, a day or a month without a row of the whole box is one in which it did not.
    pub(super) fn running(&mut self, now: Timestamp, zone: i32) {
        let (hour, day) = (hour_of(now), day_of(now, zone));
        self.hours.entry((hour, 0)).or_default();
        self.days.entry((day, 0)).or_default();
        self.months.entry((month_of(day), 0)).or_default();
    }
}

fn begin_of(hour: u64) -> Timestamp {
    Timestamp::from_seconds(i64::try_from(hour).unwrap_or(0).saturating_mul(3600))
}

fn counted(gone: &Gone) -> Counters {
    let mut one = Counters::default();
    match gone.why {
        WhyGone::Overwrite => (one.overwritten, one.overwritten_bytes) = (1, gone.size.get()),
        WhyGone::Asked | WhyGone::Clear | WhyGone::Closed | WhyGone::Replaced => {
            (one.deleted, one.deleted_bytes) = (1, gone.size.get());
        }
    }
    one
}

impl Observe {
    /// What has gathered and is not written yet. It stays where it is.
    pub(super) fn gathered(&self, engine: &Engine) -> Sums {
        // A camera that was opened since has no name yet.
        self.know(engine);
        let zone = engine.config().zone_minutes;
        let mut found: BTreeMap<(u64, u64), Counters> = BTreeMap::new();
        for at in 0..PARTS {
            let part = self.part_at(at);
            for (owner, camera) in part.iter() {
                for (hour, counters) in &camera.pending {
                    found.entry((owner.get(), *hour)).or_default().add(counters);
                }
            }
        }
        let now = hour_of(engine.now());
        // The committer waits for this lock, and may hold the catalog: accounts are looked up once it is let go.
        engine.inner.store.bells.witness.look(|seen| {
            for gone in &seen.gone {
                found.entry((gone.owner.get(), hour_of(gone.when))).or_default().add(&counted(gone));
            }
            for owner in &seen.raised {
                found.entry((owner.get(), now)).or_default().alerts_raised += 1;
            }
        });
        let accounts = self.accounts(engine, found.keys().map(|(owner, _)| SubAccountId::new(*owner)));
        let mut sums = Sums::default();
        for ((owner, hour), counters) in found {
            let owner = SubAccountId::new(owner);
            sums.add(owner, accounts.get(&owner).copied().unwrap_or(0), hour, zone, &counters);
        }
        sums
    }

    /// Counters of how many owners are not written yet.
    #[cfg(test)]
    pub(in crate::engine) fn gathered_now(&self, engine: &Engine) -> usize {
        self.gathered(engine).cameras.len()
    }

    /// Whose account each of them is; 0 of nobody's.
    pub(super) fn accounts(
        &self,
        engine: &Engine,
        owners: impl Iterator<Item = SubAccountId>,
    ) -> HashMap<SubAccountId, u64> {
        let mut out = HashMap::new();
        for owner in owners {
            out.entry(owner).or_insert_with(|| {
                let now = engine.inner.store.catalog.read().account_of(owner);
                // What is closed is known from before.
                now.map_or_else(|| self.part(owner).get(&owner).map_or(0, |c| c.row.account), |account| account.get())
            });
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_counts_for_its_day_and_its_month_in_the_zone() {
        let one = Counters { recordings: 1, ..Counters::default() };
        // 2026-11-30 15:00 and 16:00 UTC: the last hour of November and the first of December at +08:00.
        let last = 1_796_050_800 / 3600;
        let mut sums = Sums::default();
        for hour in [last, last + 1] {
            sums.add(SubAccountId::new(5), 3, hour, 480, &one);
            sums.add(NOBODY, 0, hour, 480, &one);
        }
        let day = last / 24;
        let numbers = |table: &Table| table.iter().map(|(key, c)| (*key, c.recordings)).collect::<Vec<_>>();
        assert_eq!(numbers(&sums.days), [((day, 0), 2), ((day, 3), 1), ((day + 1, 0), 2), ((day + 1, 3), 1)]);
        let month = (2026 - 1970) * 12 + 10;
        let months = [((month, 0), 2), ((month, 3), 1), ((month + 1, 0), 2), ((month + 1, 3), 1)];
        assert_eq!(numbers(&sums.months), months);
        assert_eq!(numbers(&sums.hours).len(), 4);
        assert_eq!(numbers(&sums.cameras), [((day, 5), 1), ((day + 1, 5), 1)], "nobody is no camera");
        let mut utc = Sums::default();
        utc.add(NOBODY, 0, last + 1, 0, &one);
        assert_eq!(numbers(&utc.months), [((month, 0), 1)]);
    }

    #[test]
    fn an_hour_in_which_the_box_runs_is_known_without_a_request() {
        let mut sums = Sums::default();
        sums.running(Timestamp::from_seconds(7200), 0);
        assert_eq!(sums.hours.into_iter().collect::<Vec<_>>(), [((2, 0), Counters::default())]);
        assert_eq!((sums.days.len(), sums.months.len()), (1, 1));
    }
}
