//! Chance that a seed repeats, and bytes that a number stands for.

/// Splitmix64.
#[derive(Clone, Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// Any number.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Yes, or no.
    pub fn coin(&mut self) -> bool {
        self.word() >> 63 == 1
    }

    /// 0 to `below` - 1.
    pub fn below(&mut self, below: u64) -> u64 {
        self.word() % below.max(1)
    }

    /// Yes, once in so many times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A place in something of so many.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// One of these; there must be one.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }
}

/// Bytes that only this seed and length have, at every place others.
pub fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut out = Vec::new();
    write_content(&mut out, seed, len);
    out
}

/// Puts them behind what is there.
pub fn write_content(out: &mut Vec<u8>, seed: u64, len: usize) {
    let end = out.len() + len;
    out.reserve(len + 8);
    let mut word = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while out.len() < end {
        out.extend_from_slice(&word.to_le_bytes());
        word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(seed | 1);
    }
    out.truncate(end);
}
