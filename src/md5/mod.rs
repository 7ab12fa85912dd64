//! MD5, one stream or many side by side.
//!
//! The tag of an object is its MD5, and MD5 is the slowest thing that is done with its bytes: each
//! of its steps waits for the one before, so one stream leaves most of a core unused. Uploads that
//! come at the same time are hashed in the lanes of one vector register: sixteen with AVX-512,
//! eight with AVX2, chosen at run time; elsewhere one after the other.
//!
//! Absent: threads and queues (`store::hasher` feeds the lanes), and any use of MD5 that is not an
//! entity tag or a `Content-MD5`.

mod block;
#[cfg(target_arch = "x86_64")]
mod lanes;

use block::{BLOCK_LEN, State, compress};

/// An MD5 on its way.
#[derive(Clone, Debug)]
pub struct Md5 {
    state: State,
    /// Bytes so far.
    len: u64,
    /// The bytes behind the last whole block; `len` says how many.
    tail: [u8; BLOCK_LEN],
}

/// How streams are hashed side by side on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// One after the other.
    One,
    /// Eight lanes, AVX2.
    Eight,
    /// Sixteen lanes, AVX-512.
    Sixteen,
}

/// The MD5 of one piece.
pub fn digest(data: &[u8]) -> [u8; 16] {
    let mut md5 = Md5::new();
    md5.update(data);
    md5.finish()
}

/// The MD5 of each of many pieces, in lanes.
pub fn digest_each(pieces: &[&[u8]]) -> Vec<[u8; 16]> {
    let mut streams: Vec<Md5> = pieces.iter().map(|_| Md5::new()).collect();
    let mut jobs: Vec<(&mut Md5, &[u8])> = streams.iter_mut().zip(pieces.iter().copied()).collect();
    update_each(&mut jobs);
    streams.into_iter().map(Md5::finish).collect()
}

/// Takes a piece into each of many streams, in as many lanes as the machine has.
pub fn update_each(jobs: &mut [(&mut Md5, &[u8])]) {
    update_each_with(Width::of_this_machine(), jobs);
}

/// As [`update_each`], no wider than `width`: for measuring one against the other.
pub fn update_each_with(width: Width, jobs: &mut [(&mut Md5, &[u8])]) {
    let width = width.min(Width::of_this_machine());
    let mut lanes: Vec<Lane<'_>> = Vec::with_capacity(jobs.len());
    for (stream, data) in jobs {
        let (whole, rest) = stream.align(data);
        stream.keep(rest, whole.len());
        if !whole.is_empty() {
            lanes.push(Lane { state: &mut stream.state, whole });
        }
    }
    run(width, &mut lanes);
}

/// Whole blocks that a stream has yet to take in.
struct Lane<'a> {
    state: &'a mut State,
    whole: &'a [u8],
}

/// Hashes all lanes to their ends. The longest come first, so that few are alone at the end.
fn run(width: Width, lanes: &mut Vec<Lane<'_>>) {
    lanes.sort_by_key(|lane| std::cmp::Reverse(lane.whole.len()));
    // Two streams cost less in lanes than one after the other; one does not.
    while width != Width::One && lanes.len() > 1 {
        let most = lanes.len().min(width.lanes());
        let (now, _) = lanes.split_at_mut(most);
        let step = now.iter().map(|lane| lane.whole.len()).min().unwrap_or(0);
        side_by_side(width, now, step);
        lanes.retain(|lane| !lane.whole.is_empty());
        // What is left of the lanes that were cut short stays among the longest.
        lanes.sort_by_key(|lane| std::cmp::Reverse(lane.whole.len()));
    }
    for lane in lanes {
        compress(lane.state, lane.whole);
    }
}

#[cfg(target_arch = "x86_64")]
fn side_by_side(width: Width, now: &mut [Lane<'_>], step: usize) {
    let mut heads: Vec<(&mut State, &[u8])> = Vec::with_capacity(now.len());
    for lane in now {
        let (head, rest) = lane.whole.split_at(step);
        lane.whole = rest;
        heads.push((&mut *lane.state, head));
    }
    match width {
        // Eight lanes come sooner to their end than sixteen that are half empty.
        Width::Sixteen if heads.len() > Width::Eight.lanes() || !lanes::has_eight() => lanes::sixteen(&mut heads),
        Width::Sixteen | Width::Eight => lanes::eight(&mut heads),
        Width::One => heads.into_iter().for_each(|(state, head)| compress(state, head)),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn side_by_side(_: Width, now: &mut [Lane<'_>], step: usize) {
    for lane in now {
        let (head, rest) = lane.whole.split_at(step);
        lane.whole = rest;
        compress(lane.state, head);
    }
}

// === impl Width ===

impl Width {
    /// The widest that this machine can.
    pub fn of_this_machine() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if lanes::has_sixteen() {
                return Self::Sixteen;
            }
            if lanes::has_eight() {
                return Self::Eight;
            }
        }
        Self::One
    }

    /// Streams that go side by side.
    pub fn lanes(self) -> usize {
        match self {
            Self::One => 1,
            Self::Eight => 8,
            Self::Sixteen => 16,
        }
    }

    fn min(self, other: Self) -> Self {
        if self.lanes() <= other.lanes() { self } else { other }
    }
}

// === impl Md5 ===

impl Md5 {
    /// Of nothing so far.
    pub fn new() -> Self {
        Self { state: block::START, len: 0, tail: [0; BLOCK_LEN] }
    }

    /// Takes a piece in.
    pub fn update(&mut self, data: &[u8]) {
        let (whole, rest) = self.align(data);
        compress(&mut self.state, whole);
        self.keep(rest, whole.len());
    }

    /// The digest of all that was taken in.
    pub fn finish(mut self) -> [u8; 16] {
        let bits = self.len.wrapping_mul(8);
        let held = self.held();
        let mut last = [0; 2 * BLOCK_LEN];
        last[..held].copy_from_slice(&self.tail[..held]);
        last[held] = 0x80;
        let end = if held < BLOCK_LEN - 8 { BLOCK_LEN } else { 2 * BLOCK_LEN };
        last[end - 8..end].copy_from_slice(&bits.to_le_bytes());
        compress(&mut self.state, &last[..end]);
        let mut out = [0; 16];
        for (bytes, word) in out.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    /// Bytes in the tail.
    fn held(&self) -> usize {
        // The remainder is less than 64.
        usize::try_from(self.len % BLOCK_LEN as u64).unwrap_or(0)
    }

    /// Fills the tail up and hashes it where it is full; gives the whole blocks of `data` behind
    /// that, and the rest.
    fn align<'a>(&mut self, data: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let held = self.held();
        let mut data = data;
        if held > 0 {
            let (fill, behind) = data.split_at(data.len().min(BLOCK_LEN - held));
            self.tail[held..held + fill.len()].copy_from_slice(fill);
            self.len = self.len.wrapping_add(fill.len() as u64);
            data = behind;
            if self.held() != 0 {
                return (&[], &[]);
            }
            if !fill.is_empty() {
                let tail = self.tail;
                compress(&mut self.state, &tail);
            }
        }
        data.split_at(data.len() / BLOCK_LEN * BLOCK_LEN)
    }

    /// Counts `whole` bytes of blocks, and keeps the rest behind them.
    fn keep(&mut self, rest: &[u8], whole: usize) {
        if !rest.is_empty() {
            self.tail[..rest.len()].copy_from_slice(rest);
        }
        self.len = self.len.wrapping_add((whole + rest.len()) as u64);
    }
}

impl Default for Md5 {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use md5::Digest;
    use proptest::prelude::*;

    use super::*;

    /// A second implementation, of other hands.
    fn oracle(data: &[u8]) -> [u8; 16] {
        md5::Md5::digest(data).into()
    }

    fn content(seed: usize, len: usize) -> Vec<u8> {
        (0..len)
            .map(|at| u8::try_from((at.wrapping_mul(31) ^ (at >> 8) ^ seed.wrapping_mul(131)) & 255).unwrap())
            .collect()
    }

    #[test]
    fn the_vectors_of_rfc_1321() {
        for (text, wanted) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ] {
            assert_eq!(hex::encode(digest(text.as_bytes())), wanted, "{text}");
        }
    }

    #[test]
    fn every_length_around_a_block_is_right_however_it_is_cut() {
        for len in 0..200 {
            let data = content(7, len);
            for cut in [0, 1, 55, 56, 63, 64, 65, 128] {
                let (first, second) = data.split_at(cut.min(len));
                let mut md5 = Md5::new();
                md5.update(first);
                md5.update(second);
                assert_eq!(md5.finish(), oracle(&data), "{len} bytes cut at {cut}");
            }
        }
    }

    #[test]
    fn every_width_gives_the_same_for_every_number_of_streams() {
        for width in [Width::One, Width::Eight, Width::Sixteen] {
            for streams in 0..40 {
                let data: Vec<_> = (0..streams).map(|n| content(n, n * 97 % 1500)).collect();
                let mut md5s = vec![Md5::new(); streams];
                let mut jobs: Vec<(&mut Md5, &[u8])> = md5s.iter_mut().zip(data.iter().map(Vec::as_slice)).collect();
                update_each_with(width, &mut jobs);
                for (md5, data) in md5s.into_iter().zip(&data) {
                    assert_eq!(md5.finish(), oracle(data), "{width:?}, {streams} streams, {} bytes", data.len());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn streams_that_come_in_pieces_are_right(
            pieces in proptest::collection::vec(proptest::collection::vec(0usize..400, 0..6), 1..24),
        ) {
            let data: Vec<Vec<u8>> = pieces.iter().enumerate().map(|(n, p)| content(n, p.iter().sum())).collect();
            let mut streams = vec![Md5::new(); data.len()];
            for round in 0..6 {
                let mut jobs = Vec::new();
                for ((stream, pieces), data) in streams.iter_mut().zip(&pieces).zip(&data) {
                    if let Some(len) = pieces.get(round) {
                        let before: usize = pieces[..round].iter().sum();
                        jobs.push((stream, &data[before..before + len]));
                    }
                }
                update_each(&mut jobs);
            }
            for (stream, data) in streams.into_iter().zip(&data) {
                prop_assert_eq!(stream.finish(), oracle(data));
            }
        }
    }
}
