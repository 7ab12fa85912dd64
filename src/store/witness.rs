//! What the committer saw go and come, for those who keep a record of it: which files were deleted and why, and which
//! sub-accounts raised an alert.
//!
//! It is memory and nothing else: the committer puts a commit's deletions in under one short lock, and the engine takes
//! them out every minute. It has a bound; past it deletions are counted and not named. Absent: what is made of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::domain::{BucketId, Bytes, ObjectKey, SubAccountId, Timestamp};

/// Deletions that wait at most to be taken: some 100 MB of memory.
const GONE_MAX: usize = 500_000;
/// Past so many the bell is rung: who takes them need not wait for its minute.
const GONE_SOON: usize = 50_000;

/// Why a file is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WhyGone {
    /// The overwrite of section 3.
    Overwrite,
    /// 7.9.
    Clear,
    /// S3 DELETE, or a user of the portals.
    Asked,
    /// Its sub-account or its bucket was closed.
    Closed,
    /// Another file was uploaded under its name.
    Replaced,
}

impl WhyGone {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Overwrite, Self::Clear, Self::Asked, Self::Closed, Self::Replaced];

    /// What it is called where it is kept and counted.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Overwrite => "overwrite",
            Self::Clear => "clear",
            Self::Asked => "asked",
            Self::Closed => "closed",
            Self::Replaced => "replaced",
        }
    }
}

/// A file that is gone.
#[derive(Clone, Debug)]
pub struct Gone {
    /// Whose it was.
    pub owner: SubAccountId,
    pub bucket: BucketId,
    pub key: ObjectKey,
    pub size: Bytes,
    pub created: Timestamp,
    /// When it went.
    pub when: Timestamp,
    pub why: WhyGone,
    /// Who asked, where somebody did.
    pub by: Option<Arc<str>>,
}

/// What was seen since it was taken last.
#[derive(Debug, Default)]
pub struct Seen {
    pub gone: Vec<Gone>,
    /// Files deleted past the bound, which are not among `gone`.
    pub unnamed: u64,
    /// Whose alerts were raised, one entry each.
    pub raised: Vec<SubAccountId>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Witness {
    seen: Mutex<Seen>,
    /// Rung when there is much to take.
    pub bell: Notify,
    /// Since the start, in the order of [`WhyGone::ALL`]: files and their bytes.
    counted: [[AtomicU64; 2]; WhyGone::ALL.len()],
    overwrites: AtomicU64,
}

impl Witness {
    /// Counts what a commit did, for good, and adds it to what is to be taken.
    pub fn saw(&self, gone: Vec<Gone>, raised: Vec<SubAccountId>, overwrites: u64) {
        for one in &gone {
            if let Some([files, bytes]) = self.counted.get(one.why as usize) {
                files.fetch_add(1, Ordering::Relaxed);
                bytes.fetch_add(one.size.get(), Ordering::Relaxed);
            }
        }
        self.overwrites.fetch_add(overwrites, Ordering::Relaxed);
        self.add(gone, raised);
    }

    /// Files that went for this reason since the start, and their bytes.
    pub fn counted(&self, why: WhyGone) -> (u64, u64) {
        let of = |at: usize| self.counted.get(why as usize).and_then(|pair| pair.get(at));
        let number = |at| of(at).map_or(0, |counter| counter.load(Ordering::Relaxed));
        (number(0), number(1))
    }

    /// Overwrites that came to their end since the start.
    pub fn overwrites(&self) -> u64 {
        self.overwrites.load(Ordering::Relaxed)
    }

    /// Adds to what is to be taken.
    fn add(&self, mut gone: Vec<Gone>, mut raised: Vec<SubAccountId>) {
        if gone.is_empty() && raised.is_empty() {
            return;
        }
        let many = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let room = GONE_MAX.saturating_sub(seen.gone.len());
            if gone.len() > room {
                seen.unnamed += (gone.len() - room) as u64;
                gone.truncate(room);
            }
            seen.gone.append(&mut gone);
            if seen.raised.len() < GONE_MAX {
                seen.raised.append(&mut raised);
            }
            seen.gone.len() >= GONE_SOON
        };
        if many {
            self.bell.notify_one();
        }
    }

    /// Takes all of it.
    pub fn take(&self) -> Seen {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at it and leaves it; short work, as the committer waits meanwhile.
    pub fn look(&self, work: impl FnOnce(&Seen)) {
        work(&self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Puts back what could not be written down.
    pub fn put_back(&self, seen: Seen) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).unnamed += seen.unnamed;
        self.add(seen.gone, seen.raised);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(n: i64) -> Gone {
        Gone {
            owner: SubAccountId::new(1),
            bucket: BucketId::new(4),
            key: format!("k{n}").parse().unwrap(),
            size: Bytes::new(1),
            created: Timestamp::from_millis(n),
            when: Timestamp::from_millis(n + 1),
            why: WhyGone::Overwrite,
            by: None,
        }
    }

    #[test]
    fn what_is_seen_is_taken_once_and_past_the_bound_only_counted() {
        let witness = Witness::default();
        witness.saw(vec![gone(1)], vec![SubAccountId::new(1)], 1);
        witness.saw((0..600_000).map(|_| gone(2)).collect(), Vec::new(), 2);
        let seen = witness.take();
        assert_eq!((seen.gone.len(), seen.unnamed, seen.raised.len()), (GONE_MAX, 100_001, 1));
        assert!(witness.take().gone.is_empty());
        witness.put_back(seen);
        assert_eq!(witness.take().unnamed, 100_001);
        assert_eq!(witness.counted(WhyGone::Overwrite), (600_001, 600_001), "once, whoever takes them how often");
        assert_eq!((witness.counted(WhyGone::Clear), witness.overwrites()), ((0, 0), 3));
        for (at, why) in WhyGone::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, at);
        }
    }
}
