//! A world for tests: a clock that is set, repeatable chance, a disk that forgets what was not synced.
//!
//! Compiled always, as tests outside the crate use it. Nothing here reads a clock or a real disk.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Clock, Entropy, Grain, World};
use crate::domain::Timestamp;

pub mod chance;
mod content;
mod disk;
mod names;

pub use disk::{FakeDisk, Fate, Faults, Survival, Unsynced, UnsyncedKind};

/// A clock that stands until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicI64,
    /// Milliseconds that it was moved forward by [`ManualClock::advance`].
    advanced: AtomicU64,
    /// Whether nothing else moves it.
    by_hand: AtomicBool,
}

/// Bytes that a seed decides.
pub struct SeededEntropy(Mutex<blake3::OutputReader>);

/// A whole world of its own: a disk of 1 TiB with nothing on it but its root, and a clock at 2014-03-28T06:30:05Z.
pub fn world(seed: u64) -> (World, Arc<FakeDisk>, Arc<ManualClock>) {
    let disk = Arc::new(FakeDisk::new(1 << 40));
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_395_988_205)));
    let entropy = Arc::new(SeededEntropy::new(seed));
    let world = World { clock: clock.clone(), entropy, disk: disk.clone(), grain: Grain::FINE };
    (world, disk, clock)
}

// === impl ManualClock ===

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { now: AtomicI64::new(now.millis()), advanced: AtomicU64::new(0), by_hand: AtomicBool::new(false) }
    }

    /// Sets the time, backwards too.
    pub fn set(&self, now: Timestamp) {
        self.now.store(now.millis(), Ordering::SeqCst);
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
        self.advanced.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// From now on [`Clock::ticking`] stands too, but for [`ManualClock::advance`].
    pub fn stand(&self) {
        self.by_hand.store(true, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }

    fn ticking(&self) -> Duration {
        if self.by_hand.load(Ordering::SeqCst) {
            return Duration::from_millis(self.advanced.load(Ordering::SeqCst));
        }
        super::clock::since_begin()
    }
}

// === impl SeededEntropy ===

impl SeededEntropy {
    /// The bytes of this seed, from their beginning.
    pub fn new(seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("kandian seeded entropy");
        hasher.update(&seed.to_le_bytes());
        Self(Mutex::new(hasher.finalize_xof()))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_stands_until_it_is_moved() {
        let (world, _, clock) = world(1);
        let before = world.clock.now();
        assert_eq!(world.clock.now(), before);
        clock.advance(Duration::from_secs(5));
        assert_eq!(world.clock.now().since(before), Duration::from_secs(5));
        clock.set(before);
        assert_eq!(world.clock.now(), before);
    }

    #[test]
    fn a_seed_repeats_its_bytes_and_another_has_others() {
        let bytes = |seed| world(seed).0.entropy.bytes::<32>();
        assert_eq!(bytes(7), bytes(7));
        assert_ne!(bytes(7), bytes(8));
        let going_on = SeededEntropy::new(7);
        let going_on: &dyn Entropy = &going_on;
        assert_ne!(going_on.bytes::<32>(), going_on.bytes::<32>());
    }
}
