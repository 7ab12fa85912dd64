//! What has proved right lately, in memory of a fixed size: one word a slot, read without a lock by every request
//! whose signature is right.
//!
//! ```text
//! bits 63..24  of the id
//! bit      23  there were failures since
//! bits 22..0   the hour, counted from 1970
//! ```
//!
//! Two that fall into one slot take it from each other, which costs each of them a look into the table of failures and
//! nothing else.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Id;
use crate::domain::Timestamp;
use crate::domain::guessing::PROVED_FOR;

const SLOTS: usize = 1 << 16;
const TAG: u64 = !0 << 24;
const FAILED: u64 = 1 << 23;
const HOUR: u64 = FAILED - 1;

#[derive(Debug)]
pub(super) struct Proofs(Box<[AtomicU64]>);

impl Default for Proofs {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }
}

fn hour(time: Timestamp) -> u64 {
    u64::try_from(time.millis() / 3_600_000).unwrap_or(0) & HOUR
}

impl Proofs {
    fn slot(&self, id: Id) -> (&AtomicU64, u64) {
        let (low, high) = id.words();
        (&self.0[usize::try_from(low).unwrap_or(0) % SLOTS], high & TAG)
    }

    /// Whether it was right within the time for which that counts.
    pub(super) fn has(&self, id: Id, now: Timestamp) -> bool {
        let (slot, tag) = self.slot(id);
        let word = slot.load(Ordering::Relaxed);
        let hours = PROVED_FOR.as_secs() / 3600;
        // A clock that went back makes nothing right for longer.
        let then = word & HOUR;
        word & TAG == tag && then != 0 && then <= hour(now) && hour(now) - then < hours
    }

    /// It is right; whether there is more to be written down than that: it is the first time within the hour, or there
    /// were failures since.
    pub(super) fn right(&self, id: Id, now: Timestamp) -> bool {
        let (slot, tag) = self.slot(id);
        let word = tag | hour(now);
        if slot.load(Ordering::Relaxed) == word {
            return false;
        }
        slot.store(word, Ordering::Relaxed);
        true
    }

    /// It was wrong: the next time that it is right is to be written down.
    pub(super) fn wrong(&self, id: Id) {
        let (slot, tag) = self.slot(id);
        let word = slot.load(Ordering::Relaxed);
        if word & TAG == tag {
            // Where another took the slot meanwhile, it is not ours to mark.
            let _ = slot.compare_exchange(word, word | FAILED, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// It was right at that time, in an earlier life of the server.
    pub(super) fn restore(&self, id: Id, then: Timestamp) {
        let (slot, tag) = self.slot(id);
        slot.store(tag | FAILED | hour(then), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOURS: i64 = 3600;

    fn id(n: u8) -> Id {
        Id([n; 16])
    }

    #[test]
    fn what_was_right_counts_for_a_week_and_asks_for_a_note_once_an_hour() {
        let (proofs, at) = (Proofs::default(), |hours: i64| Timestamp::from_seconds(1_800_000_000 + hours * HOURS));
        assert!(!proofs.has(id(1), at(0)));
        assert!(proofs.right(id(1), at(0)));
        assert!(!proofs.right(id(1), at(0)));
        assert!(proofs.has(id(1), at(167)) && !proofs.has(id(1), at(168)) && !proofs.has(id(1), at(-1)));
        assert!(!proofs.has(id(2), at(0)));
        assert!(proofs.right(id(1), at(1)));
    }

    #[test]
    fn a_failure_is_remembered_until_the_next_time_that_it_is_right() {
        let (proofs, now) = (Proofs::default(), Timestamp::from_seconds(1_800_000_000));
        proofs.right(id(1), now);
        proofs.wrong(id(1));
        assert!(proofs.has(id(1), now));
        assert!(proofs.right(id(1), now));
        assert!(!proofs.right(id(1), now));
    }
}
