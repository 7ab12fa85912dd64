//! The block function of RFC 1321 for sixteen or eight streams at once, a stream a lane.
//!
//! The only place in the program with `unsafe`: instructions that the machine must have, and loads
//! from slices whose lengths were checked. `forbid` in Cargo.toml is `deny` because of this file.

#![expect(unsafe_code, reason = "vector instructions have no safe form; see each SAFETY")]

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    __m256i, __m512i, _mm256_add_epi32, _mm256_and_si256, _mm256_andnot_si256, _mm256_loadu_si256, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_set1_epi32, _mm256_slli_epi32, _mm256_srli_epi32, _mm256_storeu_si256,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
    _mm512_add_epi32, _mm512_loadu_si512, _mm512_rol_epi32, _mm512_set1_epi32, _mm512_shuffle_i32x4,
    _mm512_storeu_si512, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::block::{BLOCK_LEN, SINES, State};

/// Whether [`sixteen`] can run here.
pub(super) fn has_sixteen() -> bool {
    is_x86_feature_detected!("avx512f")
}

/// Whether [`eight`] can run here.
pub(super) fn has_eight() -> bool {
    is_x86_feature_detected!("avx2")
}

/// Takes the same number of whole blocks into each of at most sixteen streams.
///
/// # Panics
/// Where the machine has no AVX-512.
pub(super) fn sixteen(streams: &mut [(&mut State, &[u8])]) {
    assert!(has_sixteen(), "this machine has no AVX-512");
    // SAFETY: the feature is there.
    unsafe { avx512(streams) }
}

/// Takes the same number of whole blocks into each of at most eight streams.
///
/// # Panics
/// Where the machine has no AVX2.
pub(super) fn eight(streams: &mut [(&mut State, &[u8])]) {
    assert!(has_eight(), "this machine has no AVX2");
    // SAFETY: the feature is there.
    unsafe { avx2(streams) }
}

/// The blocks of each lane; a lane without a stream reads the first one's and is not looked at.
fn blocks_of<'a, const LANES: usize>(streams: &[(&mut State, &'a [u8])]) -> [&'a [[u8; BLOCK_LEN]]; LANES] {
    let first = streams.first().map_or(&[][..], |(_, data)| data.as_chunks::<BLOCK_LEN>().0);
    let mut out = [first; LANES];
    for (lane, (_, data)) in out.iter_mut().zip(streams) {
        *lane = data.as_chunks::<BLOCK_LEN>().0;
    }
    let shortest = out.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
    for blocks in &mut out {
        *blocks = &blocks[..shortest];
    }
    out
}

/// The first blocks of all lanes, then the second, and so on.
fn rows<'a, const LANES: usize>(
    blocks: &[&'a [[u8; BLOCK_LEN]]; LANES],
) -> impl Iterator<Item = [&'a [u8; BLOCK_LEN]; LANES]> {
    (0..blocks.first().map_or(0, |first| first.len())).map(|number| blocks.map(|lane| &lane[number]))
}

/// Word `word` of the state of each lane.
fn words_of<const LANES: usize>(streams: &[(&mut State, &[u8])], word: usize) -> [u32; LANES] {
    let mut out = [0; LANES];
    for (lane, (state, _)) in out.iter_mut().zip(streams) {
        *lane = state[word];
    }
    out
}

/// The four rounds over one block of each lane, in whatever vectors `$add`, `$turn` and the four
/// functions work on. `$w` are the sixteen words of the message, `$sine` makes a vector of one.
macro_rules! rounds {
    ($a:ident, $b:ident, $c:ident, $d:ident, $w:ident, $add:ident, $turn:ident, $sine:ident, $f:ident, $g:ident, $h:ident, $i:ident) => {
        rounds!(@four $f, $a $b $c $d, $w, $add, $turn, $sine, 0, 7 12 17 22, [0 1 2 3] [4 5 6 7] [8 9 10 11] [12 13 14 15]);
        rounds!(@four $g, $a $b $c $d, $w, $add, $turn, $sine, 16, 5 9 14 20, [1 6 11 0] [5 10 15 4] [9 14 3 8] [13 2 7 12]);
        rounds!(@four $h, $a $b $c $d, $w, $add, $turn, $sine, 32, 4 11 16 23, [5 8 11 14] [1 4 7 10] [13 0 3 6] [9 12 15 2]);
        rounds!(@four $i, $a $b $c $d, $w, $add, $turn, $sine, 48, 6 10 15 21, [0 7 14 5] [12 3 10 1] [8 15 6 13] [4 11 2 9]);
    };
    (@four $m:ident, $a:ident $b:ident $c:ident $d:ident, $w:ident, $add:ident, $turn:ident, $sine:ident, $at:literal, $r0:literal $r1:literal $r2:literal $r3:literal, $([$w0:literal $w1:literal $w2:literal $w3:literal])+) => {
        let mut at = $at;
        $(
            rounds!(@step $m, $a $b $c $d, $w[$w0], $add, $turn, $sine, at, $r0);
            rounds!(@step $m, $d $a $b $c, $w[$w1], $add, $turn, $sine, at + 1, $r1);
            rounds!(@step $m, $c $d $a $b, $w[$w2], $add, $turn, $sine, at + 2, $r2);
            rounds!(@step $m, $b $c $d $a, $w[$w3], $add, $turn, $sine, at + 3, $r3);
            at += 4;
        )+
        let _ = at;
    };
    (@step $m:ident, $a:ident $b:ident $c:ident $d:ident, $word:expr, $add:ident, $turn:ident, $sine:ident, $at:expr, $r:literal) => {
        let ready = $add($add($a, $word), $sine(SINES[$at].cast_signed()));
        $a = $add($b, $turn!($add(ready, $m!($b, $c, $d)), $r));
    };
}

/// A function `$name` that hashes `$lanes` streams: how its vectors are read, written and worked on.
macro_rules! kernel {
    ($name:ident, $feature:literal, $lanes:literal, $words:ident, $load:ident, $store:ident, $set:ident, $add:ident, $turn:ident, $f:ident, $g:ident, $h:ident, $i:ident) => {
        #[target_feature(enable = $feature)]
        fn $name(streams: &mut [(&mut State, &[u8])]) {
            let blocks = blocks_of::<$lanes>(streams);
            // SAFETY: an array of a word a lane is as long as the vector.
            let load = |word| unsafe { $load(words_of::<$lanes>(streams, word).as_ptr().cast()) };
            let (mut a, mut b, mut c, mut d) = (load(0), load(1), load(2), load(3));
            for row in rows(&blocks) {
                let w = $words(row);
                let before = (a, b, c, d);
                rounds!(a, b, c, d, w, $add, $turn, $set, $f, $g, $h, $i);
                a = $add(a, before.0);
                b = $add(b, before.1);
                c = $add(c, before.2);
                d = $add(d, before.3);
            }
            for (word, vector) in [a, b, c, d].into_iter().enumerate() {
                let mut lanes = [0; $lanes];
                // SAFETY: an array of a word a lane is as long as the vector.
                unsafe { $store(lanes.as_mut_ptr().cast(), vector) };
                for ((state, _), lane) in streams.iter_mut().zip(lanes) {
                    state[word] = lane;
                }
            }
        }
    };
}

macro_rules! turn_512 {
    ($x:expr, $r:literal) => {
        _mm512_rol_epi32::<$r>($x)
    };
}
// Truth tables of the three-way functions of AVX-512, bit 4x + 2y + z.
macro_rules! f_512 {
    ($x:expr, $y:expr, $z:expr) => {
        _mm512_ternarylogic_epi32::<0xca>($x, $y, $z)
    };
}
macro_rules! g_512 {
    ($x:expr, $y:expr, $z:expr) => {
        _mm512_ternarylogic_epi32::<0xe4>($x, $y, $z)
    };
}
macro_rules! h_512 {
    ($x:expr, $y:expr, $z:expr) => {
        _mm512_ternarylogic_epi32::<0x96>($x, $y, $z)
    };
}
macro_rules! i_512 {
    ($x:expr, $y:expr, $z:expr) => {
        _mm512_ternarylogic_epi32::<0x39>($x, $y, $z)
    };
}
kernel!(
    avx512,
    "avx512f",
    16,
    words_16,
    _mm512_loadu_si512,
    _mm512_storeu_si512,
    _mm512_set1_epi32,
    _mm512_add_epi32,
    turn_512,
    f_512,
    g_512,
    h_512,
    i_512
);

macro_rules! turn_256 {
    ($x:expr, $r:literal) => {{
        let x = $x;
        _mm256_or_si256(_mm256_slli_epi32::<$r>(x), _mm256_srli_epi32::<{ 32 - $r }>(x))
    }};
}
macro_rules! f_256 {
    ($x:expr, $y:expr, $z:expr) => {
        _mm256_xor_si256($z, _mm256_and_si256($x, _mm256_xor_si256($y, $z)))
    };
}
macro_rules! g_256 {
    ($x:expr, $y:expr, $z:expr) => {
        _mm256_or_si256(_mm256_and_si256($x, $z), _mm256_andnot_si256($z, $y))
    };
}
macro_rules! h_256 {
    ($x:expr, $y:expr, $z:expr) => {
        _mm256_xor_si256($x, _mm256_xor_si256($y, $z))
    };
}
macro_rules! i_256 {
    ($x:expr, $y:expr, $z:expr) => {
        _mm256_xor_si256($y, _mm256_or_si256($x, _mm256_xor_si256($z, _mm256_set1_epi32(-1))))
    };
}
kernel!(
    avx2,
    "avx2",
    8,
    words_8,
    _mm256_loadu_si256,
    _mm256_storeu_si256,
    _mm256_set1_epi32,
    _mm256_add_epi32,
    turn_256,
    f_256,
    g_256,
    h_256,
    i_256
);

/// The sixteen words of one block of each of sixteen lanes.
#[target_feature(enable = "avx512f")]
fn words_16(row: [&[u8; BLOCK_LEN]; 16]) -> [__m512i; 16] {
    // SAFETY: a block is as long as the vector.
    transpose_16(std::array::from_fn(|lane| unsafe { _mm512_loadu_si512(row[lane].as_ptr().cast()) }))
}

/// The sixteen words of one block of each of eight lanes.
#[target_feature(enable = "avx2")]
fn words_8(row: [&[u8; BLOCK_LEN]; 8]) -> [__m256i; 16] {
    let half = |from: usize| -> [__m256i; 8] {
        // SAFETY: half a block, the first or the second, is as long as the vector.
        transpose_8(std::array::from_fn(|lane| unsafe {
            _mm256_loadu_si256(row[lane][from..from + BLOCK_LEN / 2].as_ptr().cast())
        }))
    };
    let (low, high) = (half(0), half(BLOCK_LEN / 2));
    std::array::from_fn(|word| if word < 8 { low[word] } else { high[word - 8] })
}

/// Rows that are blocks become rows that are words: row `i` of the outcome has word `i` of each lane.
#[target_feature(enable = "avx512f")]
fn transpose_16(rows: [__m512i; 16]) -> [__m512i; 16] {
    // Pairs of words, then pairs of pairs, within each 128 bits …
    let pairs: [__m512i; 16] = std::array::from_fn(|n| {
        let (x, y) = (rows[n / 2 * 2], rows[n / 2 * 2 + 1]);
        if n % 2 == 0 { _mm512_unpacklo_epi32(x, y) } else { _mm512_unpackhi_epi32(x, y) }
    });
    let quads: [__m512i; 16] = std::array::from_fn(|n| {
        let four = n / 4 * 4;
        let (x, y) = (pairs[four + n % 4 / 2], pairs[four + n % 4 / 2 + 2]);
        if n % 2 == 0 { _mm512_unpacklo_epi64(x, y) } else { _mm512_unpackhi_epi64(x, y) }
    });
    // … then the 128 bits themselves: `quads[4 g + j]` has words j, 4 + j, 8 + j, 12 + j of lanes 4 g to 4 g + 3.
    let halves: [__m512i; 16] = std::array::from_fn(|n| {
        let (j, upper) = (n % 4, n / 8);
        let (x, y) = (quads[8 * upper + j], quads[8 * upper + 4 + j]);
        if n / 4 % 2 == 0 { _mm512_shuffle_i32x4::<0x88>(x, y) } else { _mm512_shuffle_i32x4::<0xdd>(x, y) }
    });
    std::array::from_fn(|word| {
        // Even 128 bits have words j and 8 + j, odd ones 4 + j and 12 + j.
        let (j, odd, high) = (word % 4, word / 4 % 2, word / 8);
        let (x, y) = (halves[4 * odd + j], halves[8 + 4 * odd + j]);
        if high == 0 { _mm512_shuffle_i32x4::<0x88>(x, y) } else { _mm512_shuffle_i32x4::<0xdd>(x, y) }
    })
}

/// As [`transpose_16`], of eight words of eight lanes.
#[target_feature(enable = "avx2")]
fn transpose_8(rows: [__m256i; 8]) -> [__m256i; 8] {
    let pairs: [__m256i; 8] = std::array::from_fn(|n| {
        let (x, y) = (rows[n / 2 * 2], rows[n / 2 * 2 + 1]);
        if n % 2 == 0 { _mm256_unpacklo_epi32(x, y) } else { _mm256_unpackhi_epi32(x, y) }
    });
    let quads: [__m256i; 8] = std::array::from_fn(|n| {
        let four = n / 4 * 4;
        let (x, y) = (pairs[four + n % 4 / 2], pairs[four + n % 4 / 2 + 2]);
        if n % 2 == 0 { _mm256_unpacklo_epi64(x, y) } else { _mm256_unpackhi_epi64(x, y) }
    });
    // `quads[4 g + j]` has words j and 4 + j of lanes 4 g to 4 g + 3.
    std::array::from_fn(|word| {
        let (x, y) = (quads[word % 4], quads[4 + word % 4]);
        if word < 4 { _mm256_permute2x128_si256::<0x20>(x, y) } else { _mm256_permute2x128_si256::<0x31>(x, y) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::md5::block::{START, compress};

    #[test]
    fn every_kernel_of_this_machine_is_the_block_function() {
        let data: Vec<Vec<u8>> =
            (0..16u8).map(|lane| (0..192u8).map(|at| at.wrapping_mul(lane | 1)).collect()).collect();
        // SAFETY: each is called where its features are there.
        type Kernel = unsafe fn(&mut [(&mut State, &[u8])]);
        let kernels: [(bool, usize, Kernel); 2] = [(has_sixteen(), 16, avx512), (has_eight(), 8, avx2)];
        for (there, lanes, kernel) in kernels {
            for used in 1..=lanes {
                if !there {
                    continue;
                }
                let mut states = vec![START; used];
                let mut streams: Vec<(&mut State, &[u8])> =
                    states.iter_mut().zip(&data).map(|(state, data)| (state, data.as_slice())).collect();
                // SAFETY: as above.
                unsafe { kernel(&mut streams) };
                for (state, data) in states.iter().zip(&data) {
                    let mut right = START;
                    compress(&mut right, data);
                    assert_eq!(*state, right, "{used} of {lanes} lanes");
                }
            }
        }
    }
}
