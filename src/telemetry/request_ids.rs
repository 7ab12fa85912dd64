//! Names of requests, for a client's complaint to be found in the log.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// The name of a request: 16 hex digits, upper case, as S3's request ids look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(u64);

/// Gives out names. None comes twice while the server runs, and that of another run is as unlikely as with random
/// ones; to ask the system for random bytes for each request would be dearer than to verify its signature's date.
#[derive(Debug)]
pub struct RequestIds {
    next: AtomicU64,
}

impl RequestIds {
    /// Names that follow from `start`, which is random.
    pub fn new(start: [u8; 8]) -> Self {
        Self { next: AtomicU64::new(u64::from_le_bytes(start)) }
    }

    /// The next name.
    pub fn next(&self) -> RequestId {
        // SplitMix64: an odd step meets every number before one comes again, and the mixing is one-to-one.
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.next.fetch_add(STEP, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        RequestId(z ^ (z >> 31))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_comes_twice_and_they_do_not_count() {
        let ids = RequestIds::new([255; 8]);
        let names: Vec<String> = (0..10_000).map(|_| ids.next().to_string()).collect();
        let mut unlike = names.clone();
        unlike.sort();
        unlike.dedup();
        assert_eq!(unlike.len(), names.len());
        assert!(names.iter().all(|name| name.len() == 16 && name.bytes().all(|b| b"0123456789ABCDEF".contains(&b))));
        assert_ne!(names[0][..4], names[1][..4]);
    }
}
