//! Contents that cost next to nothing: made once, stamped anew for each object, held against what comes back.
//!
//! Every block of 4 KiB carries run, object and block, so a server that looks for duplicates finds none; and nothing
//! repeats within 1 MiB, so one that compresses gains nothing.

/// How much of a content is the same in no other.
const BLOCK: usize = 4096;
const STAMP: usize = 24;
/// How much is made, and stamped at once.
const SEGMENT: usize = 1 << 20;

/// The contents of one connection's objects, one at a time.
pub(super) struct Payload {
    bytes: Vec<u8>,
    /// Which run this is: a server may still have the objects of the last.
    run: u64,
    /// Length of every object, in bytes.
    size: u64,
    /// Which segment of which object stands in `bytes`.
    stamped: Option<(u64, u64)>,
}

/// The bytes that a seed makes, for objects of this size.
pub(super) fn pattern(seed: u64, size: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(SEGMENT).min(SEGMENT)];
    let mut hasher = blake3::Hasher::new_derive_key("kandian content pattern");
    hasher.update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

impl Payload {
    /// Contents of `size` bytes that are made of [`pattern`].
    pub(super) fn new(pattern: &[u8], run: u64, size: u64) -> Self {
        Self { bytes: pattern.to_vec(), run, size, stamped: None }
    }

    /// The content of object `number` from `at` on: as much of it as stands in one piece, nothing at its end.
    pub(super) fn from(&mut self, number: u64, at: u64) -> &[u8] {
        let (segment, within) = (at / SEGMENT as u64, at % SEGMENT as u64);
        if self.stamped != Some((number, segment)) {
            let first = segment * (SEGMENT / BLOCK) as u64;
            for (block, bytes) in (first..).zip(self.bytes.chunks_mut(BLOCK)) {
                let mut stamp = [0; STAMP];
                stamp[..8].copy_from_slice(&self.run.to_le_bytes());
                stamp[8..16].copy_from_slice(&number.to_le_bytes());
                stamp[16..].copy_from_slice(&block.to_le_bytes());
                let length = bytes.len().min(STAMP);
                bytes[..length].copy_from_slice(&stamp[..length]);
            }
            self.stamped = Some((number, segment));
        }
        let end = self.size.saturating_sub(segment * SEGMENT as u64).min(self.bytes.len() as u64);
        let range = usize::try_from(within).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
        self.bytes.get(range).unwrap_or(&[])
    }

    /// Whether `received` is what object `number` has at `at`.
    pub(super) fn is(&mut self, number: u64, at: u64, received: &[u8]) -> bool {
        let (mut at, mut rest) = (at, received);
        while !rest.is_empty() {
            let expected = self.from(number, at);
            let length = expected.len().min(rest.len());
            if length == 0 || rest[..length] != expected[..length] {
                return false;
            }
            at += length as u64;
            rest = &rest[length..];
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop, proptest};

    fn whole(payload: &mut Payload, number: u64) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let more = payload.from(number, out.len() as u64);
            if more.is_empty() {
                return out;
            }
            out.extend_from_slice(more);
        }
    }

    proptest! {
        #[test]
        fn what_was_sent_is_recognised_in_pieces_and_a_wrong_byte_is_not(
            size in 1..3_000_000_u64,
            pieces in prop::collection::vec(1..600_000_usize, 1..5),
            wrong: prop::sample::Index,
        ) {
            let mut payload = Payload::new(&pattern(1, size), 7, size);
            let mut sent = whole(&mut payload, 5);
            assert_eq!(sent.len() as u64, size);
            let mut at = 0;
            for piece in pieces.iter().cycle() {
                if at == sent.len() {
                    break;
                }
                let end = (at + piece).min(sent.len());
                assert!(payload.is(5, at as u64, &sent[at..end]));
                at = end;
            }
            assert!(!payload.is(5, size, b"x"));
            let wrong = wrong.index(sent.len());
            sent[wrong] ^= 1;
            assert!(!payload.is(5, 0, &sent));
        }
    }

    #[test]
    fn no_block_is_twice_in_an_object_in_a_run_or_in_two_runs() {
        let pattern = pattern(1, 2_500_000);
        let mut seen = std::collections::HashSet::new();
        for run in 0..2 {
            let mut payload = Payload::new(&pattern, run, 2_500_000);
            for number in 0..3 {
                for block in whole(&mut payload, number).chunks(BLOCK) {
                    assert!(seen.insert(block.to_vec()));
                }
            }
        }
    }
}
