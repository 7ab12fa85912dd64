//! A world for tests: a clock that is set, repeatable chance, a disk that forgets what was not synced.
//!
//! Compiled always, as tests outside the crate use it. Nothing here reads a clock or a real disk.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Clock, Entropy, World};
use crate::domain::Timestamp;

mod content;
mod disk;
mod names;

pub use disk::{FakeDisk, Fate, Survival, Unsynced, UnsyncedKind};

/// A clock that stands until it is moved.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

/// Bytes that a seed decides.
pub struct SeededEntropy(Mutex<blake3::OutputReader>);

/// A whole world of its own: a disk of 1 TiB with nothing on it but its root, and a clock at 2014-03-28T06:30:05Z.
pub fn world(seed: u64) -> (World, Arc<FakeDisk>, Arc<ManualClock>) {
    let disk = Arc::new(FakeDisk::new(1 << 40));
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_395_988_205)));
    let world = World { clock: clock.clone(), entropy: Arc::new(SeededEntropy::new(seed)), disk: disk.clone() };
    (world, disk, clock)
}

// === impl ManualClock ===

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.millis()))
    }

    /// Sets the time, backwards too.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.millis(), Ordering::SeqCst);
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
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
