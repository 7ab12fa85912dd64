//! The block function of RFC 1321, for one stream.

/// Bytes of a block.
pub(super) const BLOCK_LEN: usize = 64;

/// The four words that a stream carries from block to block.
pub(super) type State = [u32; 4];

/// Before the first block.
pub(super) const START: State = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// What step `i` adds: the integer part of 2^32 |sin(i + 1)|.
pub(super) const SINES: [u32; 64] = [
    0xd76a_a478,
    0xe8c7_b756,
    0x2420_70db,
    0xc1bd_ceee,
    0xf57c_0faf,
    0x4787_c62a,
    0xa830_4613,
    0xfd46_9501,
    0x6980_98d8,
    0x8b44_f7af,
    0xffff_5bb1,
    0x895c_d7be,
    0x6b90_1122,
    0xfd98_7193,
    0xa679_438e,
    0x49b4_0821,
    0xf61e_2562,
    0xc040_b340,
    0x265e_5a51,
    0xe9b6_c7aa,
    0xd62f_105d,
    0x0244_1453,
    0xd8a1_e681,
    0xe7d3_fbc8,
    0x21e1_cde6,
    0xc337_07d6,
    0xf4d5_0d87,
    0x455a_14ed,
    0xa9e3_e905,
    0xfcef_a3f8,
    0x676f_02d9,
    0x8d2a_4c8a,
    0xfffa_3942,
    0x8771_f681,
    0x6d9d_6122,
    0xfde5_380c,
    0xa4be_ea44,
    0x4bde_cfa9,
    0xf6bb_4b60,
    0xbebf_bc70,
    0x289b_7ec6,
    0xeaa1_27fa,
    0xd4ef_3085,
    0x0488_1d05,
    0xd9d4_d039,
    0xe6db_99e5,
    0x1fa2_7cf8,
    0xc4ac_5665,
    0xf429_2244,
    0x432a_ff97,
    0xab94_23a7,
    0xfc93_a039,
    0x655b_59c3,
    0x8f0c_cc92,
    0xffef_f47d,
    0x8584_5dd1,
    0x6fa8_7e4f,
    0xfe2c_e6e0,
    0xa301_4314,
    0x4e08_11a1,
    0xf753_7e82,
    0xbd3a_f235,
    0x2ad7_d2bb,
    0xeb86_d391,
];

/// One step of one of the four rounds: `$f` mixes three words, `$word` is the message's.
macro_rules! step {
    ($f:expr, $a:ident, $b:ident, $c:ident, $d:ident, $word:expr, $turn:literal, $sine:expr) => {
        $a = $b.wrapping_add($a.wrapping_add($f($b, $c, $d)).wrapping_add($word).wrapping_add($sine).rotate_left($turn))
    };
}

/// Takes whole blocks in; a rest shorter than a block is left out.
pub(super) fn compress(state: &mut State, data: &[u8]) {
    let (blocks, _) = data.as_chunks::<BLOCK_LEN>();
    let [mut a, mut b, mut c, mut d] = *state;
    for block in blocks {
        let mut w = [0; 16];
        for (word, bytes) in w.iter_mut().zip(block.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let before = (a, b, c, d);
        // The first two are written so that the word of the step before comes in last.
        let f = |x: u32, y: u32, z: u32| z ^ (x & (y ^ z));
        let g = |x: u32, y: u32, z: u32| (x & z).wrapping_add(y & !z);
        let h = |x: u32, y: u32, z: u32| x ^ (y ^ z);
        let i = |x: u32, y: u32, z: u32| y ^ (x | !z);
        for n in 0..4 {
            let s = n * 4;
            step!(f, a, b, c, d, w[s], 7, SINES[s]);
            step!(f, d, a, b, c, w[s + 1], 12, SINES[s + 1]);
            step!(f, c, d, a, b, w[s + 2], 17, SINES[s + 2]);
            step!(f, b, c, d, a, w[s + 3], 22, SINES[s + 3]);
        }
        for n in 0..4 {
            let s = n * 4;
            step!(g, a, b, c, d, w[(5 * s + 1) % 16], 5, SINES[s + 16]);
            step!(g, d, a, b, c, w[(5 * s + 6) % 16], 9, SINES[s + 17]);
            step!(g, c, d, a, b, w[(5 * s + 11) % 16], 14, SINES[s + 18]);
            step!(g, b, c, d, a, w[(5 * s) % 16], 20, SINES[s + 19]);
        }
        for n in 0..4 {
            let s = n * 4;
            step!(h, a, b, c, d, w[(3 * s + 5) % 16], 4, SINES[s + 32]);
            step!(h, d, a, b, c, w[(3 * s + 8) % 16], 11, SINES[s + 33]);
            step!(h, c, d, a, b, w[(3 * s + 11) % 16], 16, SINES[s + 34]);
            step!(h, b, c, d, a, w[(3 * s + 14) % 16], 23, SINES[s + 35]);
        }
        for n in 0..4 {
            let s = n * 4;
            step!(i, a, b, c, d, w[(7 * s) % 16], 6, SINES[s + 48]);
            step!(i, d, a, b, c, w[(7 * s + 7) % 16], 10, SINES[s + 49]);
            step!(i, c, d, a, b, w[(7 * s + 14) % 16], 15, SINES[s + 50]);
            step!(i, b, c, d, a, w[(7 * s + 5) % 16], 21, SINES[s + 51]);
        }
        a = a.wrapping_add(before.0);
        b = b.wrapping_add(before.1);
        c = c.wrapping_add(before.2);
        d = d.wrapping_add(before.3);
    }
    *state = [a, b, c, d];
}
